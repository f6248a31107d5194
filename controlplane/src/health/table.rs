//! What is known of addresses, for whoever asks: the API and the metrics. The cycle alone writes it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use prometheus_client::encoding::DescriptorEncoder;

use super::{Said, Status};
use crate::metrics::{counter, gauge};
use crate::state::now_ms;
use crate::stats::rfc3339;

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether it is up.
    pub(crate) status: Status,
    /// Since when (RFC 3339): as it was said, or when it was first heard.
    pub(crate) since: String,
    /// The last error; empty: none is known.
    pub(crate) error: String,
    /// Who found it so; empty: nobody says.
    pub(crate) by: String,
}

/// The addresses of which anything is known.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// They.
    members: RwLock<BTreeMap<IpAddr, Known>>,
    /// How often one that was known came up, and how often one went down.
    turned: [AtomicU64; 2],
}

impl Table {
    /// Notes what is said of an address, or that nothing is any more; gives the statuses before and after.
    pub(super) fn note(&self, address: IpAddr, said: Option<Said>) -> [Option<Status>; 2] {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let before = members.get(&address);
        let statuses = [before.map(|known| known.status), said.as_ref().map(|said| said.status)];
        let Some(Said { status, since, error, by }) = said else {
            members.remove(&address);
            return statuses;
        };
        let same = before.filter(|known| known.status == status).map(|known| known.since.clone());
        let since = since.or(same).unwrap_or_else(|| rfc3339(now_ms() / 1000));
        if before.is_some_and(|known| known.status != status) {
            let [up, down] = &self.turned;
            let turned = if status == Status::Up { up } else { down };
            turned.fetch_add(1, Ordering::Relaxed);
        }
        members.insert(address, Known { status, since, error, by });
        statuses
    }

    /// What is known of an address.
    pub(crate) fn get(&self, address: IpAddr) -> Option<Known> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// All addresses behind another, in order, as many of those that are wanted as there is room for.
    pub(crate) fn page(
        &self,
        after: Option<IpAddr>,
        limit: usize,
        is_wanted: impl Fn(&Known) -> bool,
    ) -> Vec<(IpAddr, Known)> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let found = members.range((from, Bound::Unbounded)).filter(|(_, known)| is_wanted(known));
        found.take(limit).map(|(address, known)| (*address, known.clone())).collect()
    }

    /// How many addresses are known to be up, and how many to be down.
    pub(crate) fn counts(&self) -> [usize; 2] {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let down = members.values().filter(|known| known.status == Status::Down).count();
        [members.len() - down, down]
    }

    /// For `/metrics`.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let label = |name, word: &str| vec![(name, word.to_owned())];
        let states = ["up", "down"].into_iter().zip(self.counts());
        let states = states.map(|(word, count)| (label("state", word), count as f64));
        gauge(encoder, "ringdns_members", "Addresses whose health is known.", states)?;
        let turned = self.turned.each_ref().map(|turned| turned.load(Ordering::Relaxed));
        let turned = ["up", "down"].into_iter().zip(turned).map(|(word, count)| (label("to", word), count));
        counter(encoder, "ringdns_member_transitions", "Times that an address fell or came back.", turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address by its last number.
    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn what_was_said_last_counts() {
        let table = Table::default();
        assert_eq!(table.note(address(1), Some(Said::new(Status::Up))), [None, Some(Status::Up)]);
        let since = table.get(address(1)).unwrap().since;
        assert!(since.ends_with('Z'), "{since}");
        let down = Said {
            since: Some("then".to_owned()),
            error: "refused".to_owned(),
            by: "a".to_owned(),
            ..Said::new(Status::Down)
        };
        assert_eq!(table.note(address(1), Some(down.clone())), [Some(Status::Up), Some(Status::Down)]);
        let again = Said { since: None, by: "b".to_owned(), ..down };
        assert_eq!(table.note(address(1), Some(again)), [Some(Status::Down); 2]);
        let known = table.get(address(1)).unwrap();
        assert_eq!((known.since.as_str(), known.by.as_str(), known.error.as_str()), ("then", "b", "refused"));
        assert_eq!(table.counts(), [0, 1]);
        assert_eq!(table.note(address(1), None), [Some(Status::Down), None]);
        assert_eq!((table.get(address(1)), table.counts()), (None, [0, 0]));
    }

    #[test]
    fn pages_go_on_behind_an_address() {
        let table = Table::default();
        for last in 1..=6 {
            let status = if last % 2 == 0 { Status::Down } else { Status::Up };
            table.note(address(last), Some(Said::new(status)));
        }
        let lasts = |after, limit, status| {
            let page = table.page(after, limit, |known| known.status == status);
            page.into_iter().map(|(address, _)| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(lasts(None, 2, Status::Down), ["10.0.0.2", "10.0.0.4"]);
        assert_eq!(lasts(Some(address(4)), 2, Status::Down), ["10.0.0.6"]);
        assert_eq!(lasts(Some(address(3)), 9, Status::Up), ["10.0.0.5"]);
    }
}
