//! Who asks for what: questions by name, and by name and client, where somebody shows them.
//!
//! They are looked at every ten minutes, as in kdns: what is shown is from the last look, how long answers took is of the time since
//! the look before, and what nobody has asked for since then is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringdns_controlplane::foreign::{Asked, AskedClient, AskedName, AskedTimes, TOOK_BOUNDS_US, Took};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{Done, ForeignQuestion};

use crate::forwarder::Clock;

/// Seconds between two looks.
const LOOK_SECONDS: u32 = 600;

/// Most names, and most names and clients: some tens of MiB. Those that find no room wait for the next look: a flood of names that
/// are asked for once must not push out those that are asked for all the time.
const NAMES_MAX: usize = 100_000;

/// See [`NAMES_MAX`].
const CLIENTS_MAX: usize = 200_000;

/// Microseconds of a second.
const MICROSECONDS: u64 = 1_000_000;

/// Counts.
#[derive(Default)]
pub(crate) struct Askers {
    /// Somebody shows what is counted.
    is_on: AtomicBool,
    /// What is counted.
    tables: Mutex<Tables>,
}

/// What is counted.
#[derive(Default)]
struct Tables {
    /// By name.
    names: HashMap<Arc<WireName>, (AskedTimes, Took)>,
    /// By name and client.
    clients: HashMap<(Arc<WireName>, IpAddr), AskedTimes>,
    /// When it is looked next, in seconds since 1970.
    look_at: u32,
    /// What is shown.
    shown: Asked,
}

impl Askers {
    /// Counts from now on.
    pub(crate) fn turn_on(&self, now_seconds: u32) {
        self.tables().look_at = now_seconds.saturating_add(LOOK_SECONDS);
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// True where it is counted.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Who is told, and has it counted how long that took where somebody wants to know.
    pub(crate) fn watched(self: &Arc<Self>, question: &ForeignQuestion, done: Done, clock: &Clock) -> Done {
        if !self.is_on() {
            return done;
        }
        let (askers, clock, begun) = (Arc::clone(self), Arc::clone(clock), Instant::now());
        let (name, client) = (question.name.to_lowercase(), question.client);
        Box::new(move |answer| {
            askers.note(name, client, begun.elapsed(), clock());
            done(answer);
        })
    }

    /// What is counted.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer, at a time in seconds since 1970.
    pub(crate) fn note(&self, name: WireName, client: IpAddr, took: Duration, now_seconds: u32) {
        let now_us = u64::from(now_seconds) * MICROSECONDS;
        let mut tables = self.tables();
        let known = tables.names.get_key_value(&name).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| Arc::new(name));
        if tables.names.len() < NAMES_MAX || tables.names.contains_key(&name) {
            let (times, all) = tables.names.entry(Arc::clone(&name)).or_default();
            count(times, now_us);
            add(all, took);
        }
        let asker = (name, client);
        if tables.clients.len() < CLIENTS_MAX || tables.clients.contains_key(&asker) {
            count(tables.clients.entry(asker).or_default(), now_us);
        }
    }

    /// Looks, if it is time to; to be called every now and then.
    pub(crate) fn look(&self, now_seconds: u32) {
        if !self.is_on() {
            return;
        }
        let mut tables = self.tables();
        // A clock that was set back must not keep anybody waiting for ever.
        let is_due = now_seconds >= tables.look_at || tables.look_at - now_seconds > LOOK_SECONDS;
        if is_due {
            // Since the look before: what was asked for right after it is shown once at least.
            let since = tables.look_at.min(now_seconds).saturating_sub(LOOK_SECONDS);
            tables.look_at = now_seconds.saturating_add(LOOK_SECONDS);
            tables.look(u64::from(since) * MICROSECONDS);
        }
    }

    /// What is shown.
    pub(crate) fn shown(&self) -> Asked {
        self.tables().shown.clone()
    }
}

impl Tables {
    /// Forgets what was not asked for since a time, and shows the rest from now on.
    fn look(&mut self, since_us: u64) {
        self.names.retain(|_, (times, _)| times.last_us >= since_us);
        self.clients.retain(|_, times| times.last_us >= since_us);
        let name = |(name, (times, took)): (&Arc<WireName>, &mut (AskedTimes, Took))| {
            let took = std::mem::take(took);
            AskedName { name: WireName::clone(name), times: *times, took }
        };
        let client = |((name, client), times): (&(Arc<WireName>, IpAddr), &AskedTimes)| AskedClient {
            name: WireName::clone(name),
            client: *client,
            times: *times,
        };
        self.shown = Asked {
            names: self.names.iter_mut().map(name).collect(),
            clients: self.clients.iter().map(client).collect(),
        };
    }
}

/// One more.
fn count(times: &mut AskedTimes, now_us: u64) {
    if times.queries == 0 {
        times.first_us = now_us;
    }
    times.queries += 1;
    times.last_us = now_us;
}

/// One more time.
fn add(all: &mut Took, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let is_first = all.buckets.iter().all(|count| *count == 0);
    all.min_us = if is_first { took_us } else { all.min_us.min(took_us) };
    all.max_us = all.max_us.max(took_us);
    all.sum_us = all.sum_us.saturating_add(took_us);
    let place = TOOK_BOUNDS_US.iter().position(|bound| took_us <= *bound).unwrap_or(TOOK_BOUNDS_US.len());
    if let Some(count) = all.buckets.get_mut(place) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name.
    fn name(text: &str) -> WireName {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_shown_is_of_the_last_look() {
        let (askers, client) = (Askers::default(), IpAddr::from([192, 0, 2, 7]));
        askers.look(1000);
        assert!(!askers.is_on());
        askers.turn_on(1000);
        for (text, us) in [("a.test.", 5), ("a.test.", 2000), ("a.test.", 100), ("b.test.", 101)] {
            askers.note(name(text), client, Duration::from_micros(us), 1100);
        }
        askers.note(name("a.test."), [192, 0, 2, 8].into(), Duration::from_micros(11), 1200);
        askers.look(1599);
        assert_eq!(askers.shown(), Asked::default(), "nothing before the first look");
        askers.look(1600);
        let mut shown = askers.shown();
        shown.names.sort_by(|one, other| one.name.cmp(&other.name));
        let times = |queries, first: u64, last: u64| AskedTimes {
            queries,
            first_us: first * MICROSECONDS,
            last_us: last * MICROSECONDS,
        };
        let took = Took { min_us: 5, max_us: 2000, sum_us: 2116, buckets: [1, 2, 0, 1] };
        assert_eq!(shown.names[0], AskedName { name: name("a.test."), times: times(4, 1100, 1200), took });
        let took = Took { min_us: 101, max_us: 101, sum_us: 101, buckets: [0, 0, 1, 0] };
        assert_eq!(shown.names[1], AskedName { name: name("b.test."), times: times(1, 1100, 1100), took });
        assert_eq!(shown.clients.len(), 3);
        let one = shown.clients.iter().find(|asked| asked.client == client && asked.name == name("a.test.")).unwrap();
        assert_eq!(one.times, times(3, 1100, 1100));
        // Times are of the ten minutes since, numbers of all time.
        askers.note(name("a.test."), client, Duration::from_micros(7), 2100);
        askers.look(2200);
        let shown = askers.shown();
        let took = Took { min_us: 7, max_us: 7, sum_us: 7, buckets: [1, 0, 0, 0] };
        assert_eq!(shown.names, [AskedName { name: name("a.test."), times: times(5, 1100, 2100), took }]);
        assert_eq!(shown.clients.len(), 1, "what nobody asks for is forgotten");
    }

    #[test]
    fn the_room_is_bounded_and_those_that_are_known_stay() {
        let (askers, client) = (Askers::default(), IpAddr::from([192, 0, 2, 7]));
        askers.turn_on(1);
        for number in 0..=NAMES_MAX {
            askers.note(name(&format!("n{number}.test.")), client, Duration::ZERO, 1);
        }
        askers.note(name("n0.test."), client, Duration::ZERO, 2);
        askers.look(601);
        let shown = askers.shown();
        assert_eq!(shown.names.len(), NAMES_MAX);
        let first = shown.names.iter().find(|asked| asked.name == name("n0.test.")).unwrap();
        assert_eq!(first.times.queries, 2);
    }
}
