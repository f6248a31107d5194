//! What an upstream is known to do, and not to do. Each habit is forgotten after a while: upstreams are replaced.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::check::{Found, rcode};
use super::cookie::{ClientSide, Jar};

/// How long what an upstream does not do is not tried again.
const REMEMBERED_FOR: Duration = Duration::from_secs(900);

/// Connections closed after one answer that make a habit.
const EARLY_CLOSES_MIN: u32 = 2;

/// The habits of an upstream.
#[derive(Debug, Default)]
pub(super) struct Habits(Mutex<Known>);

/// What is known.
#[derive(Debug, Default)]
struct Known {
    /// Until then questions are in lower case: the upstream does not give the case back.
    lower_case_until: Option<Instant>,
    /// Until then questions are without EDNS: the upstream does not understand it.
    plain_until: Option<Instant>,
    /// Until then a connection gets one question only: the upstream closes it after the first answer.
    single_until: Option<Instant>,
    /// Connections that it has closed so since one gave more answers.
    early_closes: u32,
    /// Its cookies.
    jar: Jar,
}

/// What is known at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manners {
    /// The case of questions comes back.
    pub(super) keeps_case: bool,
    /// EDNS is understood.
    pub(super) has_edns: bool,
    /// Answers have cookies.
    pub(super) has_cookies: bool,
    /// An answer without a cookie is not believed.
    pub(super) needs_cookie: bool,
    /// Connections are kept, and take several questions.
    pub(super) keeps_connections: bool,
}

impl Habits {
    /// What is known now.
    pub(super) fn manners(&self, now: Instant) -> Manners {
        self.with(|known| Manners {
            keeps_case: is_over(known.lower_case_until, now),
            has_edns: is_over(known.plain_until, now),
            has_cookies: known.jar.has_cookies(),
            needs_cookie: known.jar.is_required(now),
            keeps_connections: is_over(known.single_until, now),
        })
    }

    /// The cookie for questions from an address.
    pub(super) fn cookie(&self, local: IpAddr) -> Option<ClientSide> {
        self.with(|known| known.jar.cookie(local))
    }

    /// The cookie that is held, for connections: whence they come is the same as for packets.
    pub(super) fn held_cookie(&self) -> Option<ClientSide> {
        self.with(|known| known.jar.held())
    }

    /// The cookie of an answer to a question with `sent`.
    pub(super) fn keep_cookie(&self, sent: &ClientSide, server: &[u8]) {
        self.with(|known| known.jar.keep(sent, server));
    }

    /// Learns from an answer over a connection, where nobody but the upstream answers. `varied`: the question's case was;
    /// `cookie`: one was sent.
    pub(super) fn learn(&self, found: &Found, varied: bool, cookie: bool, now: Instant) {
        self.with(|known| {
            if varied {
                known.lower_case_until = (!found.keeps_case).then(|| now + REMEMBERED_FOR);
            }
            if cookie && found.cookie.is_none() && found.rcode != rcode::FORMERR {
                known.jar.none_came(now);
            }
        });
    }

    /// The upstream does not give the case back, and cannot be asked over a connection whether that was so.
    pub(super) fn loses_case(&self, now: Instant) {
        self.with(|known| known.lower_case_until = Some(now + REMEMBERED_FOR));
    }

    /// It has stopped having cookies, and cannot be asked over a connection whether that was so.
    pub(super) fn loses_cookies(&self, now: Instant) {
        self.with(|known| known.jar.none_came(now));
    }

    /// It has answered without EDNS what it had not understood with it.
    pub(super) fn lacks_edns(&self, now: Instant) {
        self.with(|known| known.plain_until = Some(now + REMEMBERED_FOR));
    }

    /// It has closed a connection after the first answer, although there were more questions. Once is no habit: it may just
    /// have been started again.
    pub(super) fn closes_early(&self, now: Instant) {
        self.with(|known| {
            known.early_closes += 1;
            if known.early_closes >= EARLY_CLOSES_MIN {
                (known.single_until, known.early_closes) = (Some(now + REMEMBERED_FOR), 0);
            }
        });
    }

    /// It has given more than one answer on a connection.
    pub(super) fn answers_on(&self) {
        self.with(|known| known.early_closes = 0);
    }

    /// Does something with what is known. Nothing in there can panic, and nothing waits.
    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A time that has come, or was never set.
fn is_over(until: Option<Instant>, now: Instant) -> bool {
    until.is_none_or(|until| until <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_learnt_and_forgotten() {
        let (habits, now) = (Habits::default(), Instant::now());
        let later = now + REMEMBERED_FOR;
        let at_first = habits.manners(now);
        assert!(at_first.keeps_case && at_first.has_edns && at_first.keeps_connections && !at_first.has_cookies);
        habits.lacks_edns(now);
        habits.closes_early(now);
        habits.answers_on();
        habits.closes_early(now);
        assert!(habits.manners(now).keeps_connections);
        habits.closes_early(now);
        habits.learn(&Found::default(), true, false, now);
        let learnt = habits.manners(now);
        assert!(!learnt.keeps_case && !learnt.has_edns && !learnt.keeps_connections);
        assert_eq!(habits.manners(later), at_first);
        habits.learn(&Found { keeps_case: true, ..Found::default() }, true, false, now);
        assert!(habits.manners(now).keeps_case);
        habits.loses_case(now);
        habits.learn(&Found { keeps_case: true, ..Found::default() }, false, false, now);
        assert!(!habits.manners(now).keeps_case, "a question in lower case tells nothing");
    }

    #[test]
    fn cookies_are_given_up_where_a_connection_shows_none() {
        let (habits, now) = (Habits::default(), Instant::now());
        let sent = habits.cookie([127, 0, 0, 1].into()).unwrap();
        habits.keep_cookie(&sent, b"abcdefgh");
        habits.learn(&Found { rcode: rcode::FORMERR, ..Found::default() }, false, true, now);
        assert!(habits.manners(now).needs_cookie, "an error is no sign");
        habits.learn(&Found::default(), false, true, now);
        assert!(!habits.manners(now).needs_cookie && habits.manners(now).has_cookies);
    }
}
