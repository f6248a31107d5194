//! Suffixes within zones that are served here and whose names are left to others all the same: somebody has named upstreams for
//! them, and the longer name counts (as between server blocks of CoreDNS, and in SkyDNS and ContainerDNS).
//!
//! In the snapshot each is a zone that has nothing ([`Editor::leave_to_others`]), so that packets find it as they find a zone
//! within a zone. No source has it, and nobody is shown it as a zone. Where no zone is above a suffix none is needed.
//!
//! [`Editor::leave_to_others`]: ringdns_engine::snapshot::edit::Editor::leave_to_others

use std::collections::BTreeSet;

use ringdns_engine::name::WireName;

use super::{Merge, Transaction};

/// The suffixes.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Those that are wanted, in lower case.
    wanted: BTreeSet<WireName>,
    /// Those that are in the snapshot.
    placed: BTreeSet<WireName>,
    /// True where zones, rules or suffixes have changed since they were placed.
    pub(super) is_due: bool,
}

impl Cuts {
    /// Makes room for a zone of the same name.
    pub(super) fn take_back(&mut self, apex: &WireName, transaction: &mut Transaction) {
        self.is_due = true;
        if self.placed.remove(apex) {
            transaction.edit().take_back(apex);
        }
    }
}

impl Merge {
    /// Says which suffixes are left to others from now on.
    pub(crate) fn leave(&mut self, suffixes: BTreeSet<WireName>) {
        self.cuts.wanted = suffixes;
        self.cuts.is_due = true;
    }

    /// Places the suffixes that are in zones, and takes the others back.
    pub(crate) fn place_cuts(&mut self, transaction: &mut Transaction) {
        if !std::mem::take(&mut self.cuts.is_due) || (self.cuts.wanted.is_empty() && self.cuts.placed.is_empty()) {
            return;
        }
        let wanted: Vec<&WireName> =
            self.cuts.wanted.iter().filter(|suffix| self.is_cut(suffix, transaction)).collect();
        let placed = wanted.into_iter().cloned().collect::<BTreeSet<_>>();
        for gone in self.cuts.placed.difference(&placed) {
            transaction.edit().take_back(gone);
        }
        for new in placed.difference(&self.cuts.placed) {
            transaction.edit().leave_to_others(new);
        }
        self.cuts.placed = placed;
    }

    /// True for a suffix within a zone that is served, and that does not leave the names to others anyway that it does not have:
    /// such a zone is asked first, as CoreDNS asks one plugin after the other.
    fn is_cut(&self, suffix: &WireName, transaction: &mut Transaction) -> bool {
        if self.zones.contains_key(suffix) {
            return false;
        }
        let mut above = suffix.parent();
        while let Some(name) = above {
            if self.zones.contains_key(&name) {
                return !transaction.settled().rules(&name).is_some_and(|rules| rules.fallthrough);
            }
            above = name.parent();
        }
        false
    }
}
