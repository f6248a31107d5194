//! Which units are looked at next.

use super::board::{Board, Revisions};
use super::unit::Unit;

impl Board {
    /// Has everything looked at.
    pub(super) fn queue_all(&mut self) {
        self.queue.extend(self.wanted.keys().chain(self.ledgers.keys()).cloned());
        if self.status_path.is_some() {
            self.queue.extend(self.users.keys().chain(self.shares.keys()).copied().map(Unit::Address));
        }
    }

    /// Has those looked at that could not be written.
    pub(super) fn resume(&mut self) {
        self.queue.append(&mut self.later);
    }

    /// Puts a unit off that could not be written.
    pub(super) fn postpone(&mut self, unit: Unit) {
        self.parked.remove(&unit);
        self.later.insert(unit);
    }

    /// True where something is to be looked at, and enough is known for it.
    pub(super) fn has_work(&self) -> bool {
        self.is_ready() && !self.queue.is_empty()
    }

    /// True once everything is known. A cluster without any Service has lost its objects rather than its Services: there is always the
    /// one of the API server itself. What was written stays then.
    pub(super) fn is_ready(&self) -> bool {
        self.is_told && self.reached.iter().all(Option::is_some) && !self.is_empty()
    }

    /// True where the cluster has no Service at all, and that cannot be.
    pub(super) fn is_empty(&self) -> bool {
        self.is_told && self.is_whole && self.services.is_empty()
    }

    /// The next unit, as long as nothing of it is on its way.
    pub(super) fn next(&mut self) -> Option<Unit> {
        while let Some(unit) = self.queue.pop_first() {
            let is_parked = match &unit {
                // They write the same keys.
                Unit::Address(address) => self.parked.contains_key(&Unit::Stale(*address)),
                Unit::Stale(address) => self.parked.contains_key(&Unit::Address(*address)) || self.is_behind(),
                Unit::Service(_) | Unit::Pod(_) => false,
            };
            if is_parked {
                self.later.insert(unit);
            } else if !self.parked.contains_key(&unit) {
                return Some(unit);
            }
        }
        None
    }

    /// Has a unit looked at.
    pub(super) fn enqueue(&mut self, unit: Unit) {
        self.queue.insert(unit);
    }

    /// True where records wait to be written, by which somebody may still be sent to an address.
    fn is_behind(&self) -> bool {
        self.later.iter().any(|unit| matches!(unit, Unit::Service(_) | Unit::Pod(_)))
    }

    /// A unit was written: it is looked at again once that is seen.
    pub(super) fn park(&mut self, unit: Unit, revisions: Revisions) {
        self.parked.insert(unit, revisions);
    }

    /// Units that are not yet as they should be, as far as anybody knows.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.parked.len() + self.later.len()
    }

    /// True for a unit of those.
    pub(super) fn is_waiting(&self, unit: &Unit) -> bool {
        self.queue.contains(unit) || self.parked.contains_key(unit) || self.later.contains(unit)
    }
}
