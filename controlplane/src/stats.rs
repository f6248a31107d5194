//! What was asked for: numbers of queries by worker, and by name where names are counted. Nothing is kept here but the last
//! list of the names that are asked for most, which is dear to make.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::tally::{NameCount, NameTally};

use crate::sockets::Monitor;
use crate::state::State;

/// Most names of a list.
pub(crate) const TOP_MAX: usize = 1000;

/// How old a list of names may be.
const TOP_AGE_MAX: Duration = Duration::from_secs(1);

/// Numbers over all workers and sockets since they started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Queries that were answered.
    pub(crate) queries: u64,
    /// Answers that said that there is no such name.
    pub(crate) nxdomain: u64,
    /// Answers that said that the name has nothing of the type; 0 where names are not counted.
    pub(crate) nodata: u64,
    /// Answers with the TC bit.
    pub(crate) truncated: u64,
    /// Queries for names of others that were answered from the cache.
    pub(crate) recalled: u64,
    /// Queries for names of others that the cache had no answer to.
    pub(crate) forwarded: u64,
}

/// Where the numbers come from.
#[derive(Debug)]
pub(crate) struct Stats {
    /// What the workers count.
    workers: Vec<Arc<Counters>>,
    /// What the sockets count.
    sockets: Option<Arc<Monitor>>,
    /// Where what counts the queries of ports that have waited for others is found.
    state: Arc<State>,
    /// The names that were asked for most, the first first, and when that was so.
    top: Mutex<Option<(Instant, Arc<[NameCount]>)>>,
}

impl Stats {
    /// Reads these.
    pub(crate) fn new(workers: Vec<Arc<Counters>>, sockets: Option<Arc<Monitor>>, state: &Arc<State>) -> Self {
        Self { workers, sockets, state: Arc::clone(state), top: Mutex::default() }
    }

    /// What the workers count, one for each.
    pub(crate) fn workers(&self) -> &[Arc<Counters>] {
        &self.workers
    }

    /// What counts the answers to queries of ports that have waited for others; nothing where there is no forwarder.
    pub(crate) fn waited(&self) -> Option<&Counters> {
        self.state.waits.get().map(|waits| waits.served())
    }

    /// All counters of answers.
    fn counters(&self) -> impl Iterator<Item = &Counters> {
        let sockets = self.sockets.iter().flat_map(|monitor| monitor.counters());
        let workers = self.workers.iter().map(Arc::as_ref);
        workers.chain(sockets.map(|(_, counters)| counters)).chain(self.waited())
    }

    /// All counts by name; none where names are not counted.
    fn tallies(&self) -> impl Iterator<Item = &NameTally> {
        self.counters().filter_map(Counters::names)
    }

    /// True where names are counted.
    pub(crate) fn counts_names(&self) -> bool {
        self.tallies().next().is_some()
    }

    /// The numbers now.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for counters in self.counters() {
            totals.queries += counters.queries_ipv4.get() + counters.queries_ipv6.get();
            totals.truncated += counters.truncated.get();
            totals.recalled += counters.recalled.get();
            totals.forwarded += counters.forwarded.get();
            let nxdomain = u16::from(hickory_proto::op::ResponseCode::NXDomain);
            totals.nxdomain +=
                counters.rcodes().filter(|&(code, _)| code == nxdomain).map(|(_, count)| count).sum::<u64>();
        }
        totals.nodata = self.tallies().map(|tally| tally.nodata.get()).sum();
        totals
    }

    /// How often a name was asked for.
    pub(crate) fn name(&self, name: &WireName) -> Option<NameCount> {
        self.tallies().filter_map(|tally| tally.get(name)).reduce(|one, other| joined(one, &other))
    }

    /// The names that were asked for most, at most [`TOP_MAX`], the first first. Takes a look at every name that is noted, so
    /// it blocks for milliseconds; a list that is younger than a second is given again.
    pub(crate) fn top(&self) -> Arc<[NameCount]> {
        let mut top = self.top.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, list)) = top.as_ref()
            && made.elapsed() < TOP_AGE_MAX
        {
            return Arc::clone(list);
        }
        let mut counts: HashMap<WireName, NameCount> = HashMap::new();
        for count in self.tallies().flat_map(NameTally::names) {
            let before = counts.remove(&count.name);
            counts.insert(count.name.clone(), before.iter().fold(count, joined));
        }
        let mut list: Vec<NameCount> = counts.into_values().collect();
        let order = |count: &NameCount| (Reverse(count.queries), count.name.to_string());
        if list.len() > TOP_MAX {
            list.select_nth_unstable_by_key(TOP_MAX, |count| Reverse(count.queries));
            list.truncate(TOP_MAX);
        }
        list.sort_by_cached_key(order);
        let list: Arc<[NameCount]> = list.into();
        *top = Some((Instant::now(), Arc::clone(&list)));
        list
    }
}

/// What two workers know of the same name.
fn joined(one: NameCount, other: &NameCount) -> NameCount {
    NameCount {
        name: one.name,
        queries: one.queries + other.queries,
        first_seconds: one.first_seconds.min(other.first_seconds),
        last_seconds: one.last_seconds.max(other.last_seconds),
    }
}

/// A time as RFC 3339 writes it, in UTC.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // The calendar from days since 1970, by eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use ringdns_engine::snapshot::Snapshot;

    use super::*;

    /// What one worker knows.
    fn counters(names: &[(&str, usize)]) -> Arc<Counters> {
        use ringdns_engine::serve::{MessageServer, Transport};
        use ringdns_engine::testing::{query, server_config};
        let server = server_config();
        let ringdns_engine::serve::ServerConfig {
            udp_answer_bytes_max,
            hides_aaaa,
            edns,
            chaos,
            rate_limit,
            recall,
            ..
        } = server;
        let config =
            ringdns_engine::serve::MessageConfig { udp_answer_bytes_max, hides_aaaa, edns, chaos, rate_limit, recall };
        let mut server = MessageServer::new(&config, Transport::Udp);
        let counters = Arc::new(Counters::with_names(4096));
        let snapshot = Snapshot::empty();
        for (number, &(name, times)) in (1u32..).zip(names) {
            for _ in 0..times {
                server.set_time(0, number);
                let mut buffer = query(name, 1);
                let length = buffer.len();
                server.answer("198.51.100.1:4000".parse().unwrap(), &mut buffer, length, &snapshot, &counters).unwrap();
            }
        }
        counters
    }

    /// Where nobody forwards.
    fn state() -> Arc<State> {
        let views = Arc::new(crate::views::Views::new([]));
        Arc::new(State::new(Arc::new(Snapshot::empty()), &["store"], views, Vec::new()))
    }

    #[test]
    fn what_workers_know_is_joined() {
        let workers =
            vec![counters(&[("a.", 2), ("B.", 4)]), counters(&[("c.", 1), ("d.", 1), ("A.", 3)]), Arc::default()];
        let stats = Stats::new(workers, None, &state());
        let a = NameCount { name: "a.".parse().unwrap(), queries: 5, first_seconds: 1, last_seconds: 3 };
        assert_eq!(stats.name(&"A.".parse().unwrap()), Some(a));
        assert_eq!(stats.name(&"x.".parse().unwrap()), None);
        let top: Vec<(String, u64)> = stats.top().iter().map(|count| (count.name.to_string(), count.queries)).collect();
        let expected = [("a.", 5), ("b.", 4), ("c.", 1), ("d.", 1)].map(|(name, queries)| (name.to_owned(), queries));
        assert_eq!(top, expected);
        assert_eq!(stats.totals().queries, 11);
    }

    #[test]
    fn the_list_is_bounded() {
        let names: Vec<String> = (0..TOP_MAX + 200).map(|number| format!("n{number}.")).collect();
        let mut asked: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        asked.push(("often.", 3));
        let top = Stats::new(vec![counters(&asked)], None, &state()).top();
        assert_eq!((top.len(), top.first().map(|count| count.queries)), (TOP_MAX, Some(3)));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
