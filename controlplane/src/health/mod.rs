//! Health of addresses: which are up, which are down, and what that makes of the RRsets that have them.
//!
//! Who learns of an address notes it in the table; who makes RRsets has the table mark them
//! before they go to the cycle, and makes those with an address anew whose status has changed. The table knows nothing of
//! owners: each source finds its own. A member that is down is left out of answers; where all are, all are answered
//! (see `ringdns_engine::select`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use ringdns_engine::select::{Member, SELECTION_MEMBERS_MAX};

use crate::model::Rrset;

/// The type of IPv4 addresses.
const A: u16 = 1;

/// The type of IPv6 addresses.
const AAAA: u16 = 28;

/// Whether an address can be sent to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    #[default]
    Up,
    /// No.
    Down,
}

/// The addresses of which anything is known.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The status of addresses of which nothing is known.
    unknown: Status,
    /// The status of all others.
    statuses: RwLock<HashMap<IpAddr, Status>>,
}

impl Table {
    /// Nothing is known yet.
    pub(crate) fn new(unknown: Status) -> Self {
        Self { unknown, statuses: RwLock::default() }
    }

    /// The status of an address.
    pub(crate) fn of(&self, address: IpAddr) -> Status {
        let statuses = self.statuses.read().unwrap_or_else(PoisonError::into_inner);
        statuses.get(&address).copied().unwrap_or(self.unknown)
    }

    /// The status that an address has once this is noted.
    pub(crate) fn after(&self, noted: Option<Status>) -> Status {
        noted.unwrap_or(self.unknown)
    }

    /// Notes the status of an address, or that nothing is known of it any more.
    pub(crate) fn note(&self, address: IpAddr, status: Option<Status>) {
        let mut statuses = self.statuses.write().unwrap_or_else(PoisonError::into_inner);
        match status {
            Some(status) => drop(statuses.insert(address, status)),
            None => drop(statuses.remove(&address)),
        }
    }

    /// How many addresses are known to be up, and how many to be down.
    pub(crate) fn counts(&self) -> [usize; 2] {
        let statuses = self.statuses.read().unwrap_or_else(PoisonError::into_inner);
        let down = statuses.values().filter(|&&status| status == Status::Down).count();
        [statuses.len() - down, down]
    }

    /// Marks the members of an RRset of addresses that are down. One without such members stays as it is, and so does one that
    /// is too large to be chosen from: its clients get addresses to try, not none.
    pub(crate) fn mark(&self, rrset: &mut Rrset) {
        if rrset.rdatas.len() > SELECTION_MEMBERS_MAX {
            return;
        }
        let statuses = self.statuses.read().unwrap_or_else(PoisonError::into_inner);
        if statuses.is_empty() && self.unknown == Status::Up {
            return;
        }
        let is_up = |rdata: &Vec<u8>| {
            let status = address(rrset.rtype, rdata).map(|address| statuses.get(&address).unwrap_or(&self.unknown));
            status != Some(&Status::Down)
        };
        let up: Vec<bool> = rrset.rdatas.iter().map(is_up).collect();
        if up.iter().all(|&up| up) {
            return;
        }
        let selection = rrset.selection.get_or_insert_default();
        selection.members.resize(up.len(), Member::default());
        for (member, up) in selection.members.iter_mut().zip(up) {
            member.up &= up;
        }
    }
}

/// The address of a record; nothing of other types.
fn address(rtype: u16, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ringdns_engine::select::{Mode, Selection};

    use super::*;

    fn rrset(rtype: u16, rdatas: &[&[u8]]) -> Rrset {
        let rdatas = rdatas.iter().map(|rdata| rdata.to_vec()).collect();
        Rrset::new("a.example.".parse().unwrap(), rtype, 60, rdatas)
    }

    /// Which members of a marked RRset are up; none where it has no selection.
    fn marked(table: &Table, mut rrset: Rrset) -> Vec<bool> {
        table.mark(&mut rrset);
        rrset.selection.map_or(Vec::new(), |selection| selection.members.iter().map(|member| member.up).collect())
    }

    #[test]
    fn members_follow_the_table() {
        let table = Table::new(Status::Up);
        let three: [&[u8]; 3] = [&[10, 0, 0, 1], &[10, 0, 0, 2], &[10, 0, 0, 3]];
        assert_eq!(marked(&table, rrset(A, &three)), [] as [bool; 0]);
        table.note([10, 0, 0, 1].into(), Some(Status::Up));
        assert_eq!(marked(&table, rrset(A, &three)), [] as [bool; 0]);
        table.note([10, 0, 0, 2].into(), Some(Status::Down));
        assert_eq!(marked(&table, rrset(A, &three)), [true, false, true]);
        assert_eq!((table.counts(), table.of([10, 0, 0, 3].into())), ([1, 1], Status::Up));
        assert_eq!(marked(&table, rrset(16, &three)), [] as [bool; 0], "text that looks like an address");
        table.note([10, 0, 0, 2].into(), None);
        assert_eq!(marked(&table, rrset(A, &three)), [] as [bool; 0]);
        let six = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        table.note(six.into(), Some(Status::Down));
        assert_eq!(marked(&table, rrset(AAAA, &[&six])), [false]);
    }

    #[test]
    fn what_is_unknown_can_be_down() {
        let table = Table::new(Status::Down);
        table.note([10, 0, 0, 2].into(), Some(Status::Up));
        assert_eq!(marked(&table, rrset(A, &[&[10, 0, 0, 1], &[10, 0, 0, 2]])), [false, true]);
    }

    #[test]
    fn a_selection_keeps_what_it_says() {
        let table = Table::new(Status::Up);
        table.note([10, 0, 0, 1].into(), Some(Status::Down));
        let mut rrset = rrset(A, &[&[10, 0, 0, 1], &[10, 0, 0, 2]]);
        let members = vec![Member { weight: 7, up: true }, Member { weight: 3, up: false }];
        rrset.selection = Some(Box::new(Selection { mode: Mode::Weighted, answers_max: 2, members }));
        table.mark(&mut rrset);
        let members = vec![Member { weight: 7, up: false }, Member { weight: 3, up: false }];
        assert_eq!(*rrset.selection.unwrap(), Selection { mode: Mode::Weighted, answers_max: 2, members });
    }

    #[test]
    fn what_is_too_large_to_be_chosen_from_is_answered_whole() {
        let table = Table::new(Status::Down);
        let rdatas: Vec<[u8; 4]> = (0..=1024u32).map(u32::to_be_bytes).collect();
        let rdatas: Vec<&[u8]> = rdatas.iter().map(AsRef::as_ref).collect();
        assert_eq!(marked(&table, rrset(A, &rdatas)), [] as [bool; 0]);
        assert_eq!(marked(&table, rrset(A, &rdatas[1..])).len(), 1024);
    }
}
