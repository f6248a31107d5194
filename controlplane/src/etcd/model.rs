//! What etcd has, by key, and what that makes of each owner. Several keys are one RRset, so an owner is always made anew
//! from all of its keys; only what differs from before is a change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ringdns_engine::name::WireName;

use super::layout::{Data, Fault, Item, Layout, Tree};
use super::rrsets::assemble;
use crate::model::{Change, Rrset};
use crate::text::rtype;

/// Most keys that one owner is made from. What SkyDNS answers for a name high up in its tree is everything below it: nobody
/// uses the thousands of addresses that this can be, and each change below would cost as much.
pub(super) const OWNER_KEYS_MAX: usize = 256;

/// Times of the SOA record in seconds: refresh, retry, expire, minimum (RFC 1035 section 3.3.13). Nobody transfers these
/// zones; the last is how long negative answers may be kept (RFC 2308).
const SOA_SECONDS: [u32; 4] = [14_400, 3600, 604_800, 60];

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
}

/// What etcd has.
#[derive(Debug)]
pub(super) struct Model {
    /// How it is read.
    trees: Arc<[Tree]>,
    /// The keys and their values.
    keys: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    /// The keys that say something of an owner.
    owners: HashMap<WireName, Keys>,
    /// Targets of services, and how many keys have them.
    targets: HashMap<WireName, usize>,
    /// Keys that say nothing.
    malformed: HashSet<Arc<[u8]>>,
}

impl Model {
    /// Nothing known yet.
    pub(super) fn new(trees: Arc<[Tree]>) -> Self {
        let (keys, owners) = (BTreeMap::new(), HashMap::new());
        Self { trees, keys, owners, targets: HashMap::new(), malformed: HashSet::new() }
    }

    /// The zones, empty but for what makes them zones.
    pub(super) fn zones(&self, serial: u32) -> Vec<Change> {
        let zones = self.trees.iter().flat_map(|tree| tree.zones.iter().map(move |zone| (tree, zone)));
        zones.flat_map(|(tree, zone)| [Change::AddZone(zone.clone()), soa(tree, zone, serial)]).collect()
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
        let mut steps = Vec::new();
        let mut dirty = BTreeSet::new();
        for (key, value) in updates {
            let before = self.keys.get(key.as_slice()).map(|value| self.items(&key, value).unwrap_or_default());
            let after = value.as_deref().map(|value| self.items(&key, value)).transpose();
            let key: Arc<[u8]> = key.into();
            let (after, is_malformed) = match after {
                Ok(after) => (after.unwrap_or_default(), false),
                Err(fault) => {
                    outcome.faults.push((Arc::clone(&key), fault));
                    (Vec::new(), true)
                }
            };
            let before = before.unwrap_or_default();
            dirty.extend(before.iter().chain(&after).flat_map(touched).cloned());
            steps.push(Step { key, value, before, after, is_malformed });
        }
        let former: Vec<Vec<Rrset>> = dirty.iter().map(|owner| self.rrsets(owner)).collect();
        for step in steps {
            self.step(step);
        }
        let mut zones = BTreeSet::new();
        for (owner, former) in dirty.iter().zip(former) {
            let changes = self.changes(owner, &former);
            if !changes.is_empty() {
                zones.extend(self.zone(owner).map(|(_, zone)| zone.clone()));
                outcome.changes.extend(changes);
            }
        }
        for zone in zones {
            outcome.changes.extend(self.zone(&zone).map(|(tree, zone)| soa(tree, zone, serial)));
        }
        outcome
    }

    /// Takes one key's new value.
    fn step(&mut self, step: Step) {
        let Step { key, value, before, after, is_malformed } = step;
        for item in before {
            self.forget_target(&item);
            if let Some(keys) = self.owners.get_mut(&item.owner) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.owners.remove(&item.owner);
                }
            }
        }
        for item in after {
            if let Data::Service { target, .. } = &item.data {
                *self.targets.entry(target.clone()).or_default() += 1;
            }
            self.owners.entry(item.owner).or_default().insert(Arc::clone(&key));
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

    /// What a key says, of names whose innermost zone is one of its tree.
    fn items(&self, key: &[u8], value: &[u8]) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        for tree in self.trees.iter() {
            let found = tree.items(key, value)?;
            items.extend(found.into_iter().filter(|item| self.zone(&item.owner).is_some_and(|(of, _)| of == tree)));
        }
        Ok(items)
    }

    /// The innermost zone that a name is in, and its tree.
    fn zone(&self, name: &WireName) -> Option<(&Tree, &WireName)> {
        let zones = self.trees.iter().flat_map(|tree| tree.zones.iter().map(move |zone| (tree, zone)));
        zones.filter(|(_, zone)| zone.contains(name)).max_by_key(|(_, zone)| zone.label_count())
    }

    /// The RRsets of an owner.
    fn rrsets(&self, owner: &WireName) -> Vec<Rrset> {
        let Some(keys) = self.owners.get(owner) else { return Vec::new() };
        let Some((tree, zone)) = self.zone(owner) else { return Vec::new() };
        if keys.len() > OWNER_KEYS_MAX && tree.layout == Layout::SkyDns {
            return Vec::new();
        }
        let is_target = self.targets.contains_key(owner);
        let mut items = Vec::new();
        for key in keys {
            let Some(value) = self.keys.get(key) else { continue };
            let said = self.items(key, value).unwrap_or_default();
            items.extend(said.into_iter().filter(|item| item.owner == *owner && (is_target || !item.for_target)));
        }
        assemble(owner, zone, tree.layout, items)
    }

    /// What has changed of an owner.
    fn changes(&self, owner: &WireName, former: &[Rrset]) -> Vec<Change> {
        let Some((_, zone)) = self.zone(owner) else { return Vec::new() };
        let now = self.rrsets(owner);
        let gone = former.iter().filter(|rrset| !now.iter().any(|other| other.rtype == rrset.rtype));
        // What is gone goes first: an alias has to be out of the way of what comes in its place.
        let mut changes: Vec<Change> = gone
            .map(|rrset| Change::Remove { apex: zone.clone(), owner: owner.clone(), rtype: rrset.rtype, view: None })
            .collect();
        let new = now.into_iter().filter(|rrset| !former.contains(rrset));
        changes.extend(new.map(|rrset| Change::Put { apex: zone.clone(), rrset }));
        changes
    }
}

/// One key's new value, read.
struct Step {
    /// The key.
    key: Arc<[u8]>,
    /// The value; nothing where the key is gone.
    value: Option<Vec<u8>>,
    /// What it said.
    before: Vec<Item>,
    /// What it says.
    after: Vec<Item>,
    /// True: it cannot be read.
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

/// The SOA record of a zone, which neither tree holds.
fn soa(tree: &Tree, zone: &WireName, serial: u32) -> Change {
    let server: &[&[u8]] = match tree.layout {
        Layout::ContainerDns => &[b"ns1"],
        Layout::SkyDns => &[b"ns", b"dns"],
    };
    let below = |labels: &[&[u8]]| {
        // A zone's name is so long only if the tree has nothing below it.
        let name = labels.iter().rev().try_fold(zone.clone(), |name, label| name.child(label).ok());
        name.unwrap_or_else(|| zone.clone())
    };
    let mut rdata = below(server).as_bytes().to_vec();
    rdata.extend_from_slice(below(&[b"hostmaster"]).as_bytes());
    rdata.extend_from_slice(&serial.to_be_bytes());
    for seconds in SOA_SECONDS {
        rdata.extend_from_slice(&seconds.to_be_bytes());
    }
    Change::Put { apex: zone.clone(), rrset: Rrset::new(zone.clone(), rtype::SOA, SOA_SECONDS[3], vec![rdata]) }
}
