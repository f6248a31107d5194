//! What etcd has, by key, and what that makes of each owner. Several keys are one RRset, so an owner is always made anew
//! from all of its keys; only what differs from before is a change.

mod wildcards;
mod zone;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::name::WireName;

use super::kdns::Clients;
use super::layout::{Data, Fault, Item, Layout, Tree, Wanted};
use super::rrsets::assemble;
use super::skydns::{self, Stub};
use super::{kdns, status};
use crate::health::{Rule, Said as SaidOfMember, Status};
use crate::model::{Change, Rrset};
use crate::suffixes::StubZones;

/// Most keys that one owner is made from. What SkyDNS answers for a name high up in its tree is everything below it: nobody
/// uses the thousands of addresses that this can be, and each change below would cost as much.
pub(super) const OWNER_KEYS_MAX: usize = 256;

/// A key and its new value; nothing where it is gone.
pub(super) type Update = (Vec<u8>, Option<Vec<u8>>);

/// A key and its value, shared with a copy that is being written to disk.
pub(super) type Pair = (Arc<[u8]>, Arc<[u8]>);

/// All keys of one owner.
type Keys = BTreeSet<Arc<[u8]>>;

/// What an update came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What is to be published.
    pub(super) changes: Vec<Change>,
    /// Keys that say nothing, and why.
    pub(super) faults: Vec<(Arc<[u8]>, Fault)>,
    /// The stub zones, where they have changed.
    pub(super) stubs: Option<StubZones>,
}

/// What etcd has.
#[derive(Debug)]
pub(super) struct Model {
    /// How it is read.
    trees: Arc<[Tree]>,
    /// The zones, the innermost first, each with its labels and the place of its tree.
    zones: Vec<(WireName, usize)>,
    /// The keys and their values.
    keys: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    /// The keys that say something of an owner.
    owners: HashMap<WireName, Keys>,
    /// Targets of services, and how many keys have them.
    targets: HashMap<WireName, usize>,
    /// Keys that say nothing, or not all that they should.
    malformed: HashSet<Arc<[u8]>>,
    /// What the keys of views begin with.
    views_paths: Vec<Vec<u8>>,
    /// The clients of views, by the keys that say them.
    clients: BTreeMap<Arc<[u8]>, Clients>,
    /// Who is asked for stub zones, by the keys that say them.
    stubs: BTreeMap<Arc<[u8]>, Stub>,
    /// The path of the keys that say which addresses are up; nothing where they are not read.
    status_path: Option<Vec<u8>>,
    /// What addresses without a key are taken to be.
    unknown: Status,
    /// Owners that stand for questions with `*` and `any`, by tree; nothing where there were too many.
    wildcards: Vec<Option<usize>>,
}

impl Model {
    /// Nothing known yet.
    pub(super) fn new(trees: Arc<[Tree]>, status_path: Option<Vec<u8>>, unknown: Status) -> Self {
        let zones = trees.iter().enumerate().flat_map(|(place, tree)| tree.zones.iter().map(move |zone| (zone, place)));
        let mut zones: Vec<(WireName, usize)> = zones.map(|(zone, place)| (zone.clone(), place)).collect();
        zones.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.label_count()));
        let views_paths = trees.iter().filter_map(Tree::views_path).collect();
        let wildcards = trees.iter().map(|tree| tree.has_wildcards().then_some(0)).collect();
        Self {
            trees,
            zones,
            keys: BTreeMap::new(),
            owners: HashMap::new(),
            targets: HashMap::new(),
            malformed: HashSet::new(),
            views_paths,
            clients: BTreeMap::new(),
            stubs: BTreeMap::new(),
            status_path,
            unknown,
            wildcards,
        }
    }

    /// The zones, empty but for what makes them zones.
    pub(super) fn zones(&self, serial: u32) -> Vec<Change> {
        let mut changes = Vec::new();
        for (tree, zone) in self.trees.iter().flat_map(|tree| tree.zones.iter().map(move |zone| (tree, zone))) {
            let unknown = if self.status_path.is_some() { self.unknown } else { Status::Up };
            let rule = Rule { obeyed: tree.health, unknown, all_down: tree.all_down };
            changes.extend([Change::AddZone(zone.clone()), Change::SetHealth { apex: zone.clone(), rule }]);
            changes.push(zone::soa(tree, zone, serial));
            if tree.has_wildcards() {
                changes.push(Change::SetAsterisks { apex: zone.clone(), are_labels: true });
            }
            changes.extend(zone::rules(tree, zone));
        }
        changes
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Number of keys that say nothing.
    pub(super) fn malformed(&self) -> usize {
        self.malformed.len()
    }

    /// All keys and their values.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        self.keys.iter().map(|(key, value)| (Arc::clone(key), Arc::clone(value))).collect()
    }

    /// What makes the keys from `first` on, up to and without `end`, those of a page.
    pub(super) fn replacing(&self, first: &[u8], end: &[u8], page: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Update> {
        let there: HashSet<&[u8]> = page.iter().map(|(key, _)| key.as_slice()).collect();
        let bounds = (std::ops::Bound::Included(first), std::ops::Bound::Excluded(end));
        let gone = if first < end { Some(self.keys.range::<[u8], _>(bounds)) } else { None };
        let gone = gone.into_iter().flatten().filter(|(key, _)| !there.contains(key.as_ref()));
        let mut updates: Vec<Update> = gone.map(|(key, _)| (key.to_vec(), None)).collect();
        updates.extend(page.into_iter().map(|(key, value)| (key, Some(value))));
        updates
    }

    /// Takes updates, the last one of a key counts, and says what they change.
    pub(super) fn apply(&mut self, updates: Vec<Update>, serial: u32) -> Outcome {
        let last: BTreeMap<Vec<u8>, Option<Vec<u8>>> = updates.into_iter().collect();
        let is_new = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            self.keys.get(key.as_slice()).map(AsRef::as_ref) != value.as_deref()
        };
        let updates: Vec<Update> = last.into_iter().filter(is_new).collect();
        let mut outcome = Outcome::default();
        let mut dirty = HashSet::new();
        let mut steps = Vec::with_capacity(updates.len());
        for (key, value) in updates {
            let before = self.keys.get(key.as_slice()).map(|value| self.read(&key, value).0);
            let (after, fault) = value.as_deref().map(|value| self.read(&key, value)).unwrap_or_default();
            let key: Arc<[u8]> = key.into();
            let step = Step { key, value, before: before.unwrap_or_default(), after, is_malformed: fault.is_some() };
            outcome.faults.extend(fault.map(|fault| (Arc::clone(&step.key), fault)));
            self.touch(&step, &mut dirty);
            steps.push(step);
        }
        let members: Vec<_> = steps.iter().filter_map(|step| self.member(step)).collect();
        if !members.is_empty() {
            // Before the records: they are served right from the first.
            outcome.changes.push(Change::SetMembers(members));
        }
        let clients_change = steps.iter().any(|step| !step.before.clients.is_empty() || !step.after.clients.is_empty());
        let stubs_change = steps.iter().any(|step| step.before.stub != step.after.stub);
        let former: Vec<(WireName, Vec<Rrset>)> = dirty
            .into_iter()
            .map(|owner| (self.rrsets(&owner), owner))
            .map(|(rrsets, owner)| (owner, rrsets))
            .collect();
        for step in steps {
            self.step(step);
        }
        outcome.stubs = stubs_change.then(|| skydns::stub_zones(self.stubs.values()));
        if clients_change {
            outcome.changes.push(Change::SetViews(self.clients.values().flatten().cloned().collect()));
        }
        let mut zones = HashSet::new();
        for (owner, former) in former {
            let changes = self.changes(&owner, &former);
            if !changes.is_empty() {
                zones.extend(self.zone(&owner).map(|(_, zone)| zone.clone()));
                outcome.changes.extend(changes);
            }
        }
        outcome.changes.extend(self.bound_wildcards());
        for zone in zones {
            outcome.changes.extend(self.zone(&zone).map(|(place, zone)| zone::soa(&self.trees[place], zone, serial)));
        }
        outcome
    }

    /// Adds the owners whose RRsets a key's new value may change.
    fn touch(&self, step: &Step, dirty: &mut HashSet<WireName>) {
        let items = || step.before.items.iter().chain(&step.after.items);
        dirty.extend(items().filter_map(|item| self.whole_zone(&item.owner)).cloned());
        for owner in items().flat_map(touched) {
            if !dirty.contains(owner) {
                dirty.insert(owner.clone());
            }
        }
    }

    /// What a key that says how an address is now says.
    fn member(&self, step: &Step) -> Option<(IpAddr, Option<SaidOfMember>)> {
        let address = self.status_key(&step.key)?;
        Some((address, step.after.status.as_ref().map(|(_, said)| said.clone())))
    }

    /// Takes one key's new value.
    fn step(&mut self, step: Step) {
        let Step { key, value, before, after, is_malformed } = step;
        for item in before.items {
            self.forget_target(&item);
            if let Some(keys) = self.owners.get_mut(&item.owner) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.owners.remove(&item.owner);
                    self.count_wildcard(&item.owner, false);
                }
            }
        }
        for item in after.items {
            if let Data::Service { target, .. } = &item.data {
                *self.targets.entry(target.clone()).or_default() += 1;
            }
            if let Some(keys) = self.owners.get_mut(&item.owner) {
                keys.insert(Arc::clone(&key));
            } else {
                self.count_wildcard(&item.owner, true);
                self.owners.insert(item.owner, Keys::from([Arc::clone(&key)]));
            }
        }
        self.clients.remove(&key);
        if !after.clients.is_empty() {
            self.clients.insert(Arc::clone(&key), after.clients);
        }
        self.stubs.remove(&key);
        if let Some(stub) = after.stub {
            self.stubs.insert(Arc::clone(&key), stub);
        }
        if is_malformed {
            self.malformed.insert(Arc::clone(&key));
        } else {
            self.malformed.remove(&key);
        }
        match value {
            Some(value) => drop(self.keys.insert(key, value.into())),
            None => drop(self.keys.remove(&key)),
        }
    }

    /// Counts a service's target out.
    fn forget_target(&mut self, item: &Item) {
        let Data::Service { target, .. } = &item.data else { return };
        if let Some(count) = self.targets.get_mut(target) {
            *count -= 1;
            if *count == 0 {
                self.targets.remove(target);
            }
        }
    }

    /// The address whose status a key says.
    fn status_key(&self, key: &[u8]) -> Option<IpAddr> {
        status::address(key, self.status_path.as_deref()?)
    }

    /// What a key says, and what is wrong with it.
    fn read(&self, key: &[u8], value: &[u8]) -> (Said, Option<Fault>) {
        if let Some(rest) = self.status_path.as_ref().and_then(|path| key.strip_prefix(path.as_slice())) {
            if rest.is_empty() || rest == b"/" {
                return Default::default();
            }
            let status = self.status_key(key).ok_or_else(|| Fault::new("the key names no address"));
            return match status.and_then(|address| Ok((address, status::read(value)?))) {
                Ok(status) => (Said { status: Some(status), ..Said::default() }, None),
                Err(fault) => (Said::default(), Some(fault)),
            };
        }
        if self.views_paths.iter().any(|path| key.starts_with(path)) {
            return match kdns::clients(value) {
                Ok((clients, fault)) => (Said { clients, ..Said::default() }, fault),
                Err(fault) => (Said::default(), Some(fault)),
            };
        }
        if let Some(stub) = self.trees.iter().find_map(|tree| skydns::stub(tree, key, value)) {
            return match stub {
                Ok(stub) => (Said { stub: Some(stub), ..Said::default() }, None),
                Err(fault) => (Said::default(), Some(fault)),
            };
        }
        match self.items(key, value, None, false) {
            Ok(items) => (Said { items, ..Said::default() }, None),
            Err(fault) => (Said::default(), Some(fault)),
        }
    }

    /// The records that a key says, of names whose innermost zone is one of its tree; of one owner alone where it is given.
    fn items(&self, key: &[u8], value: &[u8], only: Option<&WireName>, of_zone: bool) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        for (place, tree) in self.trees.iter().enumerate() {
            let wanted = Wanted { only, wildcards: self.wildcards[place].is_some(), of_zone };
            let found = tree.items(key, value, wanted)?;
            let is_ours = |item: &Item| self.zone(&item.owner).is_some_and(|(of, _)| of == place);
            items.extend(found.into_iter().filter(is_ours));
        }
        Ok(items)
    }

    /// The innermost zone that a name is in, and the place of its tree.
    fn zone(&self, name: &WireName) -> Option<(usize, &WireName)> {
        self.zones.iter().find(|(zone, _)| zone.contains(name)).map(|(zone, place)| (*place, zone))
    }

    /// The RRsets of an owner.
    fn rrsets(&self, owner: &WireName) -> Vec<Rrset> {
        let Some((place, zone)) = self.zone(owner) else { return Vec::new() };
        let tree = &self.trees[place];
        let items = self.items_of_zone(owner).unwrap_or_else(|| self.items_of_owner(owner, tree));
        assemble(owner, zone, tree, items)
    }

    /// What the keys of an owner say of it.
    fn items_of_owner(&self, owner: &WireName, tree: &Tree) -> Vec<Item> {
        let Some(keys) = self.owners.get(owner) else { return Vec::new() };
        if keys.len() > OWNER_KEYS_MAX && tree.layout == Layout::SkyDns {
            return Vec::new();
        }
        let is_target = self.targets.contains_key(owner);
        let mut items = Vec::new();
        for key in keys {
            let Some(value) = self.keys.get(key) else { continue };
            let said = self.items(key, value, Some(owner), false).unwrap_or_default();
            items.extend(said.into_iter().filter(|item| item.owner == *owner && (is_target || !item.for_target)));
        }
        items
    }

    /// What has changed of an owner.
    fn changes(&self, owner: &WireName, former: &[Rrset]) -> Vec<Change> {
        let Some((_, zone)) = self.zone(owner) else { return Vec::new() };
        let now = self.rrsets(owner);
        let kind = |rrset: &Rrset| (rrset.rtype, rrset.view.clone());
        let gone = former.iter().filter(|rrset| !now.iter().any(|other| kind(other) == kind(rrset)));
        // What is gone goes first: an alias has to be out of the way of what comes in its place.
        let mut changes: Vec<Change> = gone
            .map(|rrset| {
                let (rtype, view) = kind(rrset);
                Change::Remove { apex: zone.clone(), owner: owner.clone(), rtype, view }
            })
            .collect();
        let new = now.into_iter().filter(|rrset| !former.contains(rrset));
        changes.extend(new.map(|rrset| Change::Put { apex: zone.clone(), rrset }));
        changes
    }
}

/// What a key says.
#[derive(Debug, Default)]
struct Said {
    /// Records.
    items: Vec<Item>,
    /// Clients of views.
    clients: Clients,
    /// The status of an address.
    status: Option<(IpAddr, SaidOfMember)>,
    /// Who is asked for a stub zone.
    stub: Option<Stub>,
}

/// One key's new value, read.
struct Step {
    /// The key.
    key: Arc<[u8]>,
    /// The value; nothing where the key is gone.
    value: Option<Vec<u8>>,
    /// What it said.
    before: Said,
    /// What it says.
    after: Said,
    /// True: it cannot be read, or not all of it.
    is_malformed: bool,
}

/// The names whose RRsets depend on an item.
fn touched(item: &Item) -> impl Iterator<Item = &WireName> {
    let target = match &item.data {
        Data::Service { target, .. } => Some(target),
        _ => None,
    };
    std::iter::once(&item.owner).chain(target)
}
