//! One exchange: which way a question is asked, and again which way where that has not done.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::check::{Bad, Expected, Found, check, datagram_bytes_max, rcode};
use super::counts::{Counts, Turn};
use super::habits::{Habits, Manners};
use super::https::Https;
use super::lines::Lines;
use super::query::{Form, Query};
use super::udp::{self, Ended};
use super::{Ask, Failure, Means, random};

/// Times that one question is written anew at most. Each of the reasons to do so arises once: EDNS, cookie, truncation or doubt,
/// leniency.
const ROUNDS_MAX: usize = 6;

/// How an upstream is reached.
pub(super) enum Way {
    /// UDP and TCP.
    Plain {
        /// Where.
        address: SocketAddr,
        /// TCP.
        lines: Lines,
    },
    /// TLS.
    Tls(Lines),
    /// HTTPS.
    Https(Https),
}

/// What an exchange needs.
pub(super) struct Exchange<'a> {
    /// The question.
    pub(super) ask: &'a Ask<'a>,
    /// AD is asked for.
    pub(super) wants_ad: bool,
    /// When it is over.
    pub(super) until: Instant,
    /// The upstream's habits.
    pub(super) habits: &'a Habits,
    /// The upstream's counters.
    pub(super) counts: &'a Counts,
    /// What all upstreams share.
    pub(super) means: &'a Means,
}

/// What has been found out in the course of an exchange.
struct Course {
    /// What the upstream was known to do at the start, less what it has shown not to do since.
    manners: Manners,
    /// The next round is one over TCP.
    over_tcp: bool,
    /// A packet's fault that a connection was to tell more about.
    doubt: Option<Bad>,
    /// A fault that is overlooked, because there is no connection.
    overlooked: Option<Bad>,
    /// EDNS was not understood, by who showed no EDNS of its own.
    refused_edns: bool,
    /// A cookie was not good enough once.
    cookie_refused: bool,
    /// The answer as far as a packet had room for it.
    part: Option<Vec<u8>>,
}

/// What comes of a round.
enum Round {
    /// A message, what was found in it, and what was sent.
    Message(Vec<u8>, Found, Form),
    /// Nothing that is believed over UDP: TCP is to show it.
    Turn(Turn, Option<Bad>),
    /// The answer is longer than a packet: TCP is to have all of it.
    Part(Vec<u8>),
}

impl Exchange<'_> {
    /// Asks until there is an answer that stands.
    pub(super) async fn run(&self, way: &Way, tcp_only: bool) -> Result<Vec<u8>, Failure> {
        let mut course = Course {
            manners: self.habits.manners(Instant::now()),
            over_tcp: tcp_only,
            doubt: None,
            overlooked: None,
            refused_edns: false,
            cookie_refused: false,
            part: None,
        };
        for _ in 0..ROUNDS_MAX {
            match self.round(way, &course).await {
                Ok(Round::Message(message, found, form)) => {
                    if self.settles(&mut course, &found, &form)? {
                        return Ok(message);
                    }
                }
                Ok(Round::Turn(_, Some(_))) if course.overlooked.is_some() => return Err(Failure::Malformed),
                Ok(Round::Turn(turn, doubt)) => {
                    self.counts.turn(turn);
                    course.over_tcp = true;
                    course.doubt = doubt;
                }
                Ok(Round::Part(part)) => {
                    self.counts.turn(Turn::Truncated);
                    (course.over_tcp, course.part) = (true, Some(part));
                }
                Err(failure) => match course.part.take().filter(|_| is_without_connections(failure)) {
                    // RFC 2181 section 9: it is not to be relied on, which TC says to whoever gets it.
                    Some(part) => return Ok(part),
                    None => course.overlook(failure)?,
                },
            }
        }
        Err(Failure::Malformed)
    }

    /// One round.
    async fn round(&self, way: &Way, course: &Course) -> Result<Round, Failure> {
        match way {
            Way::Plain { address, .. } if !course.over_tcp => self.datagram(*address, course).await,
            Way::Plain { lines, .. } => {
                let form = Form { cookie: self.habits.held_cookie(), ..self.form(course) };
                self.over_line(lines, form, self.line_until(course)).await
            }
            Way::Tls(lines) => self.over_line(lines, self.private_form(course), self.until).await,
            Way::Https(https) => {
                let form = self.private_form(course);
                // Id 0, so that caches of HTTP work (RFC 8484 section 4.1).
                let query = Query::write(self.ask, &form, 0);
                let message = https.ask(&query, self.until).await?;
                self.checked(message, &query, 0, form)
            }
        }
    }

    /// How a question is written that others may read; its case is set by who writes it.
    fn form(&self, course: &Course) -> Form {
        Form { edns: course.manners.has_edns, wants_ad: self.wants_ad, ..Form::default() }
    }

    /// How a question is written that others must not read. Its case need not vary and it needs no cookie: nobody else answers.
    fn private_form(&self, course: &Course) -> Form {
        Form { padded: true, ..self.form(course) }
    }

    /// Over UDP.
    async fn datagram(&self, address: SocketAddr, course: &Course) -> Result<Round, Failure> {
        // Half of the time at most is waited for a socket: what is done with one takes time too.
        let patience = Instant::now() + self.until.saturating_duration_since(Instant::now()) / 2;
        let permit = timeout_at(patience, self.means.sockets.acquire()).await;
        let _permit = permit.map_err(|_| Failure::Local)?.map_err(|_| Failure::Local)?;
        let socket = self.means.ports.open(address).map_err(|error| udp::failure(&error))?;
        let local = socket.local_addr().map_err(|error| udp::failure(&error))?;
        let socket = UdpSocket::from_std(socket).map_err(|_| Failure::Local)?;
        let (case, id) = self.chance(course)?;
        let mut form = Form { case, ..self.form(course) };
        form.cookie = if form.edns { self.habits.cookie(local.ip()) } else { None };
        let query = Query::write(self.ask, &form, id);
        let expected = Expected {
            query: &query,
            id,
            cookie: form.cookie.as_ref(),
            datagram_bytes_max: Some(datagram_bytes_max(form.edns)),
            case_matters: true,
            needs_cookie: form.edns && course.manners.needs_cookie,
        };
        match udp::exchange(&socket, address, &expected, self.until, self.counts).await {
            Ended::Answer(message, found) => Ok(Round::Message(message, found, form)),
            Ended::Truncated(part) => Ok(Round::Part(part)),
            Ended::Doubt(bad) => Ok(Round::Turn(Turn::Doubt, Some(bad))),
            Ended::Attacked => Ok(Round::Turn(Turn::Attack, None)),
            Ended::Failed(failure) => Err(failure),
        }
    }

    /// Over TCP or TLS.
    async fn over_line(&self, lines: &Lines, mut form: Form, until: Instant) -> Result<Round, Failure> {
        if !form.edns {
            form.cookie = None;
        }
        if !form.padded {
            // Nobody else answers here: it shows whether the upstream gives the case back.
            form.case = Some(random::bytes().map_err(|_| Failure::Local)?);
        }
        let query = Query::write(self.ask, &form, 0);
        let (id, message) = lines.ask(&query, until).await?;
        self.checked(message, &query, id, form)
    }

    /// Until when a connection is waited for: half of what is left where there may be something to do without one.
    fn line_until(&self, course: &Course) -> Instant {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        now + if course.doubt.is_some() || course.part.is_some() { left / 2 } else { left }
    }

    /// Letters' case and id by chance.
    fn chance(&self, course: &Course) -> Result<(Option<[u8; 32]>, u16), Failure> {
        let chance: [u8; 34] = random::bytes().map_err(|_| Failure::Local)?;
        let (id, case) = chance.split_first_chunk().ok_or(Failure::Local)?;
        let case = case.first_chunk().copied().filter(|_| course.manners.keeps_case);
        Ok((case, u16::from_be_bytes(*id)))
    }

    /// Checks what came over a connection.
    fn checked(&self, message: Vec<u8>, query: &Query, id: u16, form: Form) -> Result<Round, Failure> {
        let expected = Expected {
            query,
            id,
            cookie: form.cookie.as_ref(),
            datagram_bytes_max: None,
            case_matters: false,
            needs_cookie: false,
        };
        let found = check(&message, &expected).map_err(|bad| {
            self.counts.bad(bad);
            Failure::Malformed
        })?;
        // Where it is truncated there is no way on which more would fit: it is what there is. Of options nothing is known then.
        if !found.is_truncated {
            self.habits.learn(&found, form.case.is_some(), form.cookie.is_some(), Instant::now());
        }
        Ok(Round::Message(message, found, form))
    }

    /// Whether an answer stands; else what is to be done otherwise is noted.
    fn settles(&self, course: &mut Course, found: &Found, form: &Form) -> Result<bool, Failure> {
        if let (Some(sent), Some(server)) = (&form.cookie, &found.cookie) {
            self.habits.keep_cookie(sent, server);
        }
        let not_understood = matches!(found.rcode, rcode::FORMERR | rcode::NOTIMP | rcode::BADVERS);
        if form.edns && not_understood {
            // RFC 6891 section 7: FORMERR is what servers from before EDNS say. Once more without it.
            course.manners.has_edns = false;
            course.refused_edns = !found.has_edns || found.rcode == rcode::BADVERS;
            return Ok(false);
        }
        if found.rcode == rcode::BADCOOKIE {
            // RFC 7873 section 5.3: once more with the cookie that has just come, then over TCP.
            if course.over_tcp || form.cookie.is_none() {
                return Err(Failure::Malformed);
            }
            if course.cookie_refused {
                self.counts.turn(Turn::Cookie);
                course.over_tcp = true;
            }
            course.cookie_refused = true;
            return Ok(false);
        }
        let now = Instant::now();
        if course.refused_edns && !not_understood {
            self.habits.lacks_edns(now);
        }
        match course.overlooked {
            Some(Bad::Case) => self.habits.loses_case(now),
            Some(Bad::NoCookie) => self.habits.loses_cookies(now),
            _ => {}
        }
        Ok(true)
    }
}

/// True where an upstream may have no connections at all.
fn is_without_connections(failure: Failure) -> bool {
    matches!(failure, Failure::Timeout | Failure::Unreachable | Failure::Closed)
}

impl Course {
    /// After a failure: where a packet was doubted and the upstream has no connections that would tell, it is asked once more
    /// over UDP without what it was doubted for. Whoever would make use of that has guessed port and id once, and must do so
    /// again.
    fn overlook(&mut self, failure: Failure) -> Result<(), Failure> {
        match self.doubt.take() {
            Some(bad) if self.over_tcp && is_without_connections(failure) => {
                match bad {
                    Bad::Case => self.manners.keeps_case = false,
                    Bad::NoCookie => self.manners.needs_cookie = false,
                    Bad::NoQuestion => {
                        self.manners.has_edns = false;
                        self.refused_edns = true;
                    }
                    _ => return Err(failure),
                }
                self.overlooked = Some(bad);
                self.over_tcp = false;
                Ok(())
            }
            _ => Err(failure),
        }
    }
}
