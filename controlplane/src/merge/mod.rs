//! Merge: several sources may say something of the same owner; the one with the highest priority is served, and what the
//! others said is remembered and served again when the winner goes.
//!
//! Priority is the source's number, the lowest first. What is served stands in the snapshot together with its source's
//! number, so only the losers of a conflict need memory here, and zones of one source cost nothing.
//!
//! At one owner the candidates are taken in order of priority; each is served unless its type is taken already or cannot
//! stand beside one that is (CNAME). So the result depends on what the sources say, never on who said it first.

mod cuts;
mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::select::ViewTable;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};

use crate::health::owners::{Found, Owners, Place, addresses, has};
use crate::model::{Change, Rrset, exclude_each_other};
use crate::text::rtype;
use crate::views::Views;
use cuts::Cuts;
use names::Names;

/// A change that the snapshot could not take. It spoils nothing but itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The zone.
    pub apex: WireName,
    /// The owner.
    pub owner: WireName,
    /// The type.
    pub rtype: u16,
    /// Why.
    pub error: EditError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of zone {}: {}", self.owner, rtype::show(self.rtype), self.apex, self.error)
    }
}

/// An editor on a snapshot that can be looked at as a whole in between.
pub(crate) struct Transaction {
    /// The snapshot that `editor` started from.
    base: Snapshot,
    /// Edits since then.
    editor: Editor,
    /// True where `editor` differs from `base`.
    dirty: bool,
}

impl Transaction {
    /// Starts on a snapshot.
    pub(crate) fn new(base: &Snapshot) -> Self {
        Self { base: base.clone(), editor: Editor::new(base), dirty: false }
    }

    /// Says whether every source has told all it knows, and whether each has told its zones at least.
    pub(crate) fn set_complete(&mut self, complete: bool, zones_known: bool) {
        self.editor.set_complete(complete);
        self.editor.set_zones_known(zones_known);
    }

    /// The result.
    pub(crate) fn commit(self) -> Snapshot {
        self.editor.commit()
    }

    /// Everything as it is now.
    fn settled(&mut self) -> &Snapshot {
        if self.dirty {
            let fresh = Editor::new(&self.base);
            self.base = std::mem::replace(&mut self.editor, fresh).commit();
            self.editor = Editor::new(&self.base);
            self.dirty = false;
        }
        &self.base
    }

    /// The editor, for a change.
    fn edit(&mut self) -> &mut Editor {
        self.dirty = true;
        &mut self.editor
    }
}

/// RRsets of one owner that are not served.
type Losers = HashMap<WireName, Vec<RrsetSpec>>;

/// What is known beyond the snapshot.
// std's HashMap is hashbrown with a hash that strangers cannot aim at; the crate itself would add nothing here.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    /// The zones and the sources that have them, in order of priority; shared with readers until it changes.
    zones: Arc<BTreeMap<WireName, Vec<u8>>>,
    /// By apex and owner: what lost against a source of higher priority.
    losers: HashMap<WireName, Losers>,
    /// RRsets in `losers`.
    losers_count: usize,
    /// Names that exist without RRsets, and the source of each zone's rules.
    names: Names,
    /// Suffixes within zones whose names are left to others.
    cuts: Cuts,
    /// The numbers of views.
    views: Arc<Views>,
    /// Who is down, and who has it.
    owners: Owners,
}

/// Which clients see which view, as one source says it.
pub(crate) type ClientsOfViews = Vec<(Network, Arc<str>)>;

/// Type and view: what tells the RRsets of an owner apart.
type Kind = (u16, u16);

/// Type and view of an RRset.
fn kind(rrset: &RrsetSpec) -> Kind {
    (rrset.rtype, rrset.view)
}

impl Merge {
    /// Nothing known yet but views, and what a source has said of their clients already.
    pub(crate) fn new(views: Arc<Views>, origin: u8, clients: ClientsOfViews, owners: Owners) -> Self {
        views.set_clients(origin, clients);
        Self { views, owners, ..Self::default() }
    }

    /// The zones and the sources that have them, in canonical order.
    pub(crate) fn zones(&self) -> Arc<BTreeMap<WireName, Vec<u8>>> {
        Arc::clone(&self.zones)
    }

    /// RRsets that are remembered and not served.
    pub(crate) fn losers(&self) -> usize {
        self.losers_count
    }

    /// Whose owners are to be found now, in what is published.
    pub(crate) fn start_walk(&mut self) -> Option<BTreeSet<IpAddr>> {
        self.owners.start_walk()
    }

    /// Takes owners that were found.
    pub(crate) fn end_walk(&mut self, found: Found, transaction: &mut Transaction, refusals: &mut Vec<Refusal>) {
        let touched = self.owners.end_walk(found);
        // Each RRset says itself which source it is of.
        Scene { merge: self, transaction, origin: 0, refusals }.mark_again(touched);
    }

    /// Applies what a source says.
    pub(crate) fn apply(
        &mut self,
        origin: u8,
        change: Change,
        transaction: &mut Transaction,
        refusals: &mut Vec<Refusal>,
    ) {
        let mut scene = Scene { merge: self, transaction, origin, refusals };
        match change {
            Change::SetViews(clients) => scene.set_views(clients),
            Change::AddZone(apex) => scene.add_zone(&apex),
            Change::RemoveZone(apex) => scene.remove_zone(&apex),
            Change::SetAsterisks { apex, are_labels } => {
                scene.transaction.edit().set_asterisks(&apex, are_labels);
            }
            Change::SetRules { apex, rules } => scene.set_rules(&apex, &rules),
            Change::AddName { apex, owner } => scene.add_name(&apex, &owner),
            Change::RemoveName { apex, owner } => scene.remove_name(&apex, &owner),
            Change::SetMembers(said) => {
                let touched = scene.merge.owners.take(said);
                scene.mark_again(touched);
            }
            Change::SetHealth { apex, rule } => scene.merge.owners.set_rule(apex, origin, rule),
            Change::ReplaceZone { apex, rrsets } => scene.replace_zone(&apex, rrsets),
            Change::Put { apex, rrset } => scene.put(&apex, rrset),
            Change::Remove { apex, owner, rtype, view } => {
                if let Some(view) = scene.merge.views.number(view.as_deref()) {
                    scene.remove(&apex, &owner, (rtype, view));
                }
            }
        }
    }
}

/// One source's change being applied.
struct Scene<'a> {
    /// What is known beyond the snapshot.
    merge: &'a mut Merge,
    /// The snapshot being made.
    transaction: &'a mut Transaction,
    /// The source.
    origin: u8,
    /// What could not be taken.
    refusals: &'a mut Vec<Refusal>,
}

impl Scene<'_> {
    /// Says anew which clients see which view by this source.
    fn set_views(&mut self, clients: ClientsOfViews) {
        let table = ViewTable::new(self.merge.views.set_clients(self.origin, clients));
        self.transaction.edit().set_views(table);
    }

    /// Notes that the source has a zone.
    fn add_zone(&mut self, apex: &WireName) {
        if self.merge.zones.get(apex).is_some_and(|origins| origins.contains(&self.origin)) {
            return;
        }
        let origins = Arc::make_mut(&mut self.merge.zones).entry(apex.clone()).or_default();
        origins.push(self.origin);
        origins.sort_unstable();
        self.merge.cuts.take_back(apex, self.transaction);
        self.transaction.edit().add_zone(apex);
    }

    /// Takes everything of the source out of a zone, and the zone where no other source has it.
    fn remove_zone(&mut self, apex: &WireName) {
        if !self.merge.zones.get(apex).is_some_and(|origins| origins.contains(&self.origin)) {
            return;
        }
        let zones = Arc::make_mut(&mut self.merge.zones);
        if zones.get(apex).is_some_and(|origins| origins.len() == 1) {
            // The only source of a zone loses against nobody, so there are no losers here.
            zones.remove(apex);
            self.merge.names.forget_zone(apex);
            self.merge.cuts.is_due = true;
            self.transaction.edit().remove_zone(apex);
            return;
        }
        if let Some(origins) = zones.get_mut(apex) {
            origins.retain(|origin| *origin != self.origin);
        }
        self.remove_names(apex);
        self.remove_rules(apex);
        let owners: HashSet<WireName> = self.own_rrsets(apex).into_iter().map(|(owner, _)| owner).collect();
        let origin = self.origin;
        for owner in owners {
            self.settle(apex, &owner, |candidates| candidates.retain(|candidate| candidate.origin != origin));
        }
    }

    /// Makes what the source has in a zone equal to a list; what is the same already is not touched.
    fn replace_zone(&mut self, apex: &WireName, rrsets: Vec<Rrset>) {
        self.add_zone(apex);
        self.remove_names(apex);
        let present = self.own_rrsets(apex);
        if !present.is_empty() {
            let kind = |rrset: &Rrset| Some((rrset.rtype, self.merge.views.number(rrset.view.as_deref())?));
            let named: HashSet<(&WireName, Kind)> =
                rrsets.iter().filter_map(|rrset| Some((&rrset.owner, kind(rrset)?))).collect();
            for (owner, kind) in &present {
                if !named.contains(&(owner, *kind)) {
                    self.remove(apex, owner, *kind);
                }
            }
        }
        for rrset in rrsets {
            if present.is_empty() || !self.is_served_already(apex, &rrset) {
                self.put(apex, rrset);
            }
        }
    }

    /// True where the settled snapshot has this very RRset of this source.
    fn is_served_already(&self, apex: &WireName, rrset: &Rrset) -> bool {
        let Some(number) = self.merge.views.number(rrset.view.as_deref()) else { return false };
        let node = self.transaction.base.node(apex, &rrset.owner);
        node.and_then(|node| node.rrset_in(rrset.rtype, number)).is_some_and(|view| {
            view.origin() == self.origin
                && view.ttl() == rrset.ttl
                && view.rdatas().eq(rrset.rdatas.iter())
                && view.selection().as_ref() == rrset.selection.as_deref()
        })
    }

    /// Owner, type and view of every RRset of the source in a zone, served or not. Goes through the whole zone.
    fn own_rrsets(&mut self, apex: &WireName) -> Vec<(WireName, Kind)> {
        let origin = self.origin;
        let mut found = Vec::new();
        for node in self.transaction.settled().nodes(apex) {
            let own = node.rrsets().filter(|rrset| rrset.origin() == origin);
            found.extend(own.map(|rrset| (node.owner(), (rrset.rtype(), rrset.view()))));
        }
        for (owner, losers) in self.merge.losers.get(apex).into_iter().flatten() {
            let own = losers.iter().filter(|loser| loser.origin == origin);
            found.extend(own.map(|loser| (owner.clone(), kind(loser))));
        }
        found
    }

    /// Takes an RRset of the source.
    fn put(&mut self, apex: &WireName, rrset: Rrset) {
        let Rrset { owner, rtype, ttl, rdatas, selection, view } = rrset;
        let Some(view) = self.merge.views.number(view.as_deref()) else {
            return self.refuse(apex, &owner, rtype, EditError::TooLarge);
        };
        let spec = RrsetSpec { rtype, ttl, origin: self.origin, rdatas, view, selection };
        let Some(origins) = self.merge.zones.get(apex).filter(|origins| origins.contains(&self.origin)) else {
            return self.refuse(apex, &owner, rtype, EditError::NoZone);
        };
        if origins.len() == 1 {
            return self.serve(apex, &owner, &spec);
        }
        let (mut beside_itself, goes_beside) = (false, self.transaction.editor.has_aliases_beside(apex));
        self.settle(apex, &owner, |candidates| {
            let is_own = |candidate: &&RrsetSpec| (candidate.origin, candidate.view) == (spec.origin, view);
            let mut own = candidates.iter().filter(is_own);
            beside_itself = !goes_beside && own.any(|candidate| exclude_each_other(candidate.rtype, rtype));
            if !beside_itself {
                candidates.retain(|candidate| (candidate.origin, kind(candidate)) != (spec.origin, (rtype, view)));
                candidates.push(spec);
            }
        });
        if beside_itself {
            self.refuse(apex, &owner, rtype, EditError::CnameAndOther);
        }
    }

    /// Forgets an RRset of the source.
    fn remove(&mut self, apex: &WireName, owner: &WireName, (rtype, view): Kind) {
        let Some(origins) = self.merge.zones.get(apex).filter(|origins| origins.contains(&self.origin)) else { return };
        if origins.len() == 1 {
            self.lose_members(apex, owner, (rtype, view), None);
            self.transaction.edit().remove_rrset_in(apex, owner, rtype, view);
            return;
        }
        let origin = self.origin;
        self.settle(apex, owner, |candidates| {
            candidates.retain(|candidate| (candidate.origin, kind(candidate)) != (origin, (rtype, view)));
        });
    }

    /// Changes the candidates of an owner and makes the snapshot serve those that win.
    fn settle(&mut self, apex: &WireName, owner: &WireName, change: impl FnOnce(&mut Vec<RrsetSpec>)) {
        let before = self.transaction.editor.rrsets(apex, owner);
        let mut candidates = before.clone();
        if let Some(losers) = self.merge.losers.get_mut(apex).and_then(|losers| losers.remove(owner)) {
            self.merge.losers_count -= losers.len();
            candidates.extend(losers);
        }
        change(&mut candidates);
        let (winners, losers) = elect(candidates, self.transaction.editor.has_aliases_beside(apex));
        for spec in &before {
            if !winners.iter().any(|winner| kind(winner) == kind(spec)) {
                self.lose_members(apex, owner, kind(spec), None);
                self.transaction.edit().remove_rrset_in(apex, owner, spec.rtype, spec.view);
            }
        }
        for winner in winners.iter().filter(|winner| !before.contains(winner)) {
            self.serve(apex, owner, winner);
        }
        if !losers.is_empty() {
            self.merge.losers_count += losers.len();
            self.merge.losers.entry(apex.clone()).or_default().insert(owner.clone(), losers);
        }
    }

    /// Makes the snapshot serve an RRset, without the members that are down.
    fn serve(&mut self, apex: &WireName, owner: &WireName, spec: &RrsetSpec) {
        self.lose_members(apex, owner, kind(spec), Some(spec));
        let marks = self.merge.owners.marks(apex, owner, spec);
        if let Err(error) = self.transaction.edit().put_marked(apex, owner, spec, &marks) {
            self.refuse(apex, owner, spec.rtype, error);
        }
    }

    /// Forgets that an owner has the members that an RRset of it is about to lose, unless another RRset of it has them.
    fn lose_members(&mut self, apex: &WireName, owner: &WireName, lost: Kind, next: Option<&RrsetSpec>) {
        if !self.merge.owners.follows(lost.0) {
            return;
        }
        let specs = self.transaction.editor.rrsets(apex, owner);
        let Some(old) = specs.iter().find(|spec| kind(spec) == lost) else { return };
        let is_kept =
            |address| specs.iter().filter(|spec| kind(spec) != lost).chain(next).any(|spec| has(spec, address));
        for address in addresses(old).filter(|&address| !is_kept(address)) {
            self.merge.owners.forget(&(apex.clone(), owner.clone()), address);
        }
    }

    /// Serves RRsets again whose member fell or came back; an owner that has lost it is forgotten.
    fn mark_again(&mut self, touched: BTreeSet<(Place, IpAddr)>) {
        for (place, address) in touched {
            let (apex, owner) = &place;
            let mut specs = self.transaction.editor.rrsets(apex, owner);
            specs.retain(|spec| has(spec, address));
            if specs.is_empty() {
                self.merge.owners.forget(&place, address);
            }
            specs.iter().for_each(|spec| self.serve(apex, owner, spec));
        }
    }

    /// Notes a change that could not be taken.
    fn refuse(&mut self, apex: &WireName, owner: &WireName, rtype: u16, error: EditError) {
        self.refusals.push(Refusal { apex: apex.clone(), owner: owner.clone(), rtype, error });
    }
}

/// Divides the candidates of one owner into those that are served and those that are not; an alias goes beside others or not.
fn elect(mut candidates: Vec<RrsetSpec>, aliases_beside: bool) -> (Vec<RrsetSpec>, Vec<RrsetSpec>) {
    candidates.sort_by_key(|candidate| (candidate.origin, kind(candidate)));
    let mut winners: Vec<RrsetSpec> = Vec::new();
    let mut losers = Vec::new();
    for candidate in candidates {
        let stands_back = |winner: &RrsetSpec| {
            let excludes = !aliases_beside && exclude_each_other(winner.rtype, candidate.rtype);
            let excluded = winner.rtype == candidate.rtype || excludes;
            winner.view == candidate.view && excluded
        };
        if winners.iter().any(stands_back) { losers.push(candidate) } else { winners.push(candidate) }
    }
    (winners, losers)
}

#[cfg(test)]
mod tests;
