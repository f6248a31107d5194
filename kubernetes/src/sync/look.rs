//! What has to be written so that a unit is as it is to be. Only what differs is, and nothing that others wrote.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ringdns_health::scheduler::fence::Write;

use super::board::{Board, PLACES, Place, Revisions};
use super::ledger::{Ledger, Share, sum};
use super::status::{Change, Part, revise};
use super::unit::Unit;

/// What is written for a unit.
pub(super) type Due = (Unit, Vec<Write>);

impl Board {
    /// The next writes, of as many units as fit into one transaction.
    pub(super) fn due(&mut self, writes_max: usize) -> Vec<Due> {
        let (mut due, mut count, mut keys): (Vec<Due>, usize, HashSet<String>) = (Vec::new(), 0, HashSet::new());
        while let Some(unit) = self.next() {
            let writes = self.look(&unit, writes_max);
            if writes.is_empty() {
                continue;
            }
            if count + writes.len() > writes_max {
                self.enqueue(unit);
                break;
            }
            // Two that want one key: the second finds out whose it is once the first has written it. etcd takes no key twice.
            if writes.iter().any(|write| keys.contains(&write.key)) {
                self.postpone(unit);
                continue;
            }
            count += writes.len();
            keys.extend(writes.iter().map(|write| write.key.clone()));
            // On its way from now on: it is not yet as it is to be, whoever asks.
            self.park(unit.clone(), [i64::MAX; 3]);
            due.push((unit, writes));
        }
        due
    }

    /// Notes that a unit was written.
    pub(super) fn wrote(&mut self, unit: Unit, writes: &[Write], revision: i64) {
        let is_in = |key: &str, place| {
            self.path(place).and_then(|path| key.strip_prefix(path)).is_some_and(|rest| rest.starts_with('/'))
        };
        let reach = |place: Place| if writes.iter().any(|write| is_in(&write.key, place)) { revision } else { 0 };
        let revisions: Revisions = PLACES.map(reach);
        for write in writes {
            self.note_stray(&write.key, None);
        }
        self.park(unit, revisions);
    }

    /// What has to be written for a unit.
    fn look(&mut self, unit: &Unit, writes_max: usize) -> Vec<Write> {
        match unit {
            Unit::Service(_) | Unit::Pod(_) => self.look_at_records(unit, writes_max),
            Unit::Address(address) | Unit::Stale(address) => {
                self.look_at_state(*address, matches!(unit, Unit::Stale(_)))
            }
        }
    }

    /// What has to be written so that an object has its records. New ones come first, so that one that is too large for a transaction
    /// never has fewer addresses than before or after; what is written is in the ledger before, or in the same transaction.
    fn look_at_records(&mut self, unit: &Unit, writes_max: usize) -> Vec<Write> {
        let (noted, known) = match self.ledgers.get(unit) {
            Some(noted) => (noted.value.clone().unwrap_or_default(), noted.revision),
            None => (Ledger::default(), 0),
        };
        let wanted = self.wanted.get(unit);
        let records = wanted.into_iter().flat_map(|wanted| &wanted.records);
        let (mut next, mut writes, mut foreign) = (Ledger::default(), Vec::new(), BTreeSet::new());
        for (key, value) in records {
            let new = sum(value.as_bytes());
            let put = |known| Write { key: key.clone(), known, value: Some(value.clone().into_bytes()), lease: 0 };
            match self.record(key) {
                None => writes.push(put(0)),
                Some((found, _)) if found == new && (self.adopt || noted.has(key, found)) => {}
                Some((found, revision)) if found != new && noted.has(key, found) => writes.push(put(revision)),
                Some(_) => {
                    foreign.insert(key.clone());
                    continue;
                }
            }
            next.note(key, new);
        }
        for key in noted.0.keys().filter(|key| wanted.is_none_or(|wanted| !wanted.records.contains_key(*key))) {
            if let Some((_, known)) = self.record(key).filter(|(found, _)| noted.has(key, *found)) {
                writes.push(Write { key: key.clone(), known, value: None, lease: 0 });
            }
        }
        self.note_foreign(unit, foreign);
        if writes.len() >= writes_max {
            writes.truncate(writes_max - 1);
            for (key, sums) in &noted.0 {
                sums.iter().for_each(|&sum| next.note(key, sum));
            }
        }
        // One that cannot be read is written anew.
        if next != noted || self.ledgers.get(unit).is_some_and(|noted| noted.value.is_none()) {
            let key = self.ledger_key(unit);
            writes.extend(ledger_write(key, known, next.to_bytes()));
        }
        writes
    }

    /// Notes which keys of others a unit would have.
    fn note_foreign(&mut self, unit: &Unit, keys: BTreeSet<String>) {
        if keys.is_empty() {
            self.foreign.remove(unit);
            return;
        }
        let before = self.foreign.insert(unit.clone(), keys);
        if before.as_ref() != self.foreign.get(unit) {
            let keys = self.foreign.get(unit);
            tracing::warn!(%unit, ?keys, "others have written what stands there, and it is left as it is; delete it, or set kubesync.adopt \
                                           where it is just what would be written");
        }
    }

    /// What has to be written so that an address has its state.
    fn look_at_state(&mut self, address: IpAddr, is_stale: bool) -> Vec<Write> {
        let Some(state_key) = self.state_key(address) else { return Vec::new() };
        let (share, known) = match self.shares.get(&address) {
            Some(noted) => (noted.value.clone().unwrap_or_default(), noted.revision),
            None => (Share::default(), 0),
        };
        let mut wanted = self.part(address);
        if !is_stale {
            let more = |list: &mut Vec<String>, ours: &BTreeSet<String>| {
                let missing: Vec<String> = ours.iter().filter(|text| !list.contains(text)).cloned().collect();
                let is_missing = !missing.is_empty();
                list.extend(missing);
                is_missing
            };
            let (names, ports) = (more(&mut wanted.domains, &share.domains), more(&mut wanted.ports, &share.ports));
            if names || ports {
                self.enqueue(Unit::Stale(address));
            }
        }
        let state = self.states.get(&address);
        let (change, next) = revise(state.map(|entry| entry.value.as_slice()), &share, &wanted, &self.cluster);
        let revision = state.map_or(0, |entry| entry.revision);
        let lease = state.map_or(0, |entry| entry.lease);
        let mut writes = Vec::new();
        match change {
            Change::None => {}
            Change::Put(value) => writes.push(Write { key: state_key, known: revision, value: Some(value), lease }),
            Change::Delete => writes.push(Write { key: state_key, known: revision, value: None, lease: 0 }),
        }
        if next != share {
            let bytes = if next == Share::default() { None } else { serde_json::to_vec(&next).ok() };
            writes.extend(ledger_write(self.ledger_key(&Unit::Address(address)), known, bytes));
        }
        writes
    }

    /// What is to be in the state of an address.
    fn part(&self, address: IpAddr) -> Part {
        let mut part = Part::default();
        for wanted in self.users.get(&address).into_iter().flatten().filter_map(|unit| self.wanted.get(unit)) {
            part.domains.push(wanted.name.clone());
            for port in wanted.ports.iter().map(u16::to_string) {
                if !part.ports.contains(&port) {
                    part.ports.push(port);
                }
            }
        }
        part
    }
}

/// What has to be done about a key of the ledger; nothing where it is not there and not to be there.
fn ledger_write(key: String, known: i64, value: Option<Vec<u8>>) -> Option<Write> {
    (known != 0 || value.is_some()).then_some(Write { key, known, value, lease: 0 })
}
