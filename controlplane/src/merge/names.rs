//! Names that exist without RRsets, and rules: what several sources say of them.

use std::collections::HashMap;

use ringdns_engine::name::WireName;
use ringdns_engine::rules::Rules;
use ringdns_engine::snapshot::edit::EditError;

use super::Scene;

/// A type that no record has, for refusals of what is no RRset.
const NO_TYPE: u16 = 0;

/// What is known of names and rules beyond the snapshot.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By apex and owner: the sources that have the name.
    origins: HashMap<WireName, HashMap<WireName, Vec<u8>>>,
    /// By apex: the source whose rules hold.
    rules: HashMap<WireName, u8>,
}

impl Names {
    /// Forgets a zone.
    pub(super) fn forget_zone(&mut self, apex: &WireName) {
        self.origins.remove(apex);
        self.rules.remove(apex);
    }

    /// Notes that a source has a name.
    fn add(&mut self, apex: &WireName, owner: &WireName, origin: u8) {
        let origins = self.origins.entry(apex.clone()).or_default().entry(owner.clone()).or_default();
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }

    /// Notes that a source has a name no longer; true where no other has it.
    fn remove(&mut self, apex: &WireName, owner: &WireName, origin: u8) -> bool {
        let Some(names) = self.origins.get_mut(apex) else { return false };
        let Some(origins) = names.get_mut(owner) else { return false };
        origins.retain(|other| *other != origin);
        let is_gone = origins.is_empty();
        if is_gone {
            names.remove(owner);
        }
        is_gone
    }

    /// The names that a source has in a zone.
    fn of(&self, apex: &WireName, origin: u8) -> Vec<WireName> {
        let names = self.origins.get(apex).into_iter().flatten();
        names.filter(|(_, origins)| origins.contains(&origin)).map(|(owner, _)| owner.clone()).collect()
    }
}

impl Scene<'_> {
    /// Takes the rules of a zone.
    pub(super) fn set_rules(&mut self, apex: &WireName, rules: &Rules) {
        if !self.has_zone(apex) {
            return self.refuse(apex, apex, NO_TYPE, EditError::NoZone);
        }
        self.merge.cuts.is_due = true;
        match self.transaction.edit().set_rules(apex, rules) {
            Ok(()) => drop(self.merge.names.rules.insert(apex.clone(), self.origin)),
            Err(error) => self.refuse(apex, apex, NO_TYPE, error),
        }
    }

    /// Takes back the rules of a zone where they are the source's.
    pub(super) fn remove_rules(&mut self, apex: &WireName) {
        if self.merge.names.rules.get(apex) == Some(&self.origin) {
            self.merge.names.rules.remove(apex);
            self.merge.cuts.is_due = true;
            // A zone that is there takes rules that are none.
            self.transaction.edit().set_rules(apex, &Rules::default()).unwrap_or_default();
        }
    }

    /// Takes a name.
    pub(super) fn add_name(&mut self, apex: &WireName, owner: &WireName) {
        if !self.has_zone(apex) {
            return self.refuse(apex, owner, NO_TYPE, EditError::NoZone);
        }
        if let Err(error) = self.transaction.edit().add_name(apex, owner) {
            return self.refuse(apex, owner, NO_TYPE, error);
        }
        self.merge.names.add(apex, owner, self.origin);
    }

    /// Forgets a name of the source.
    pub(super) fn remove_name(&mut self, apex: &WireName, owner: &WireName) {
        if self.merge.names.remove(apex, owner, self.origin) {
            self.transaction.edit().remove_name(apex, owner);
        }
    }

    /// Forgets all names of the source in a zone.
    pub(super) fn remove_names(&mut self, apex: &WireName) {
        for owner in self.merge.names.of(apex, self.origin) {
            self.remove_name(apex, &owner);
        }
    }

    /// True where the source has a zone.
    fn has_zone(&self, apex: &WireName) -> bool {
        self.merge.zones.get(apex).is_some_and(|origins| origins.contains(&self.origin))
    }
}
