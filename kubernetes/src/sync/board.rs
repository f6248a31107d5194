//! Everything that is known: the objects of the cluster, what they are to be in etcd, what is there, and which units differ perhaps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_controlplane::config::{KubesyncConfig, KubesyncLayout};
use ringdns_health::follow::{Change, News};
use ringdns_health::link::Entry;

use super::layout::{Layout, Wanted};
use super::ledger::{Ledger, Share, sum};
use super::unit::Unit;
use crate::object::{Event, Key, Kind, Object, Service, Slice};

/// What is followed in etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The records.
    Records,
    /// The ledger.
    Ledger,
    /// The states of addresses.
    States,
}

/// The places in the order of their numbers.
pub(super) const PLACES: [Place; 3] = [Place::Records, Place::Ledger, Place::States];

/// A revision for each place.
pub(super) type Revisions = [i64; 3];

/// A value of the ledger, and the revision that wrote it.
#[derive(Clone, Debug)]
pub(super) struct Noted<T> {
    /// What it says; nothing where it cannot be read.
    pub(super) value: Option<T>,
    /// The revision.
    pub(super) revision: i64,
}

/// Everything that is known.
#[derive(Debug)]
pub(super) struct Board {
    /// How keys and values are written.
    pub(super) layout: Layout,
    /// Equal keys of others become ours.
    pub(super) adopt: bool,
    /// What states are stamped with.
    pub(super) cluster: String,
    /// The path of the ledger.
    ledger_path: String,
    /// The path of states; nothing: there are none.
    pub(super) status_path: Option<String>,
    /// Services.
    pub(super) services: HashMap<Key, Service>,
    /// Slices by their Services.
    slices: HashMap<Key, BTreeMap<Arc<str>, Slice>>,
    /// The Services of slices.
    slice_services: HashMap<Key, Arc<str>>,
    /// What each unit is to be; Services and Pods alone.
    pub(super) wanted: HashMap<Unit, Wanted>,
    /// The Pods that keys are of.
    pod_keys: HashMap<String, Unit>,
    /// The Services and Pods at each address, in the order of units.
    pub(super) users: HashMap<IpAddr, BTreeSet<Unit>>,
    /// The records in etcd: the sum of each value, and the revision that wrote it.
    pub(super) records: HashMap<String, (u64, i64)>,
    /// Records of ours where nothing is followed any more, since the configuration names another place.
    strays: HashMap<String, (u64, i64)>,
    /// The ledger of Services and Pods.
    pub(super) ledgers: HashMap<Unit, Noted<Ledger>>,
    /// The ledger of addresses.
    pub(super) shares: HashMap<IpAddr, Noted<Share>>,
    /// The states.
    pub(super) states: HashMap<IpAddr, Entry>,
    /// Up to which revision each place is known; nothing: it was not listed yet.
    pub(super) reached: [Option<i64>; 3],
    /// Units that are to be looked at.
    pub(super) queue: BTreeSet<Unit>,
    /// Units that were written, until what was written is seen at the places.
    pub(super) parked: HashMap<Unit, Revisions>,
    /// Units that could not be written, until a while has passed.
    pub(super) later: BTreeSet<Unit>,
    /// Keys of others at places that units want.
    pub(super) foreign: BTreeMap<Unit, BTreeSet<String>>,
    /// True once all objects were told.
    pub(super) is_told: bool,
    /// True where the cluster cannot be without a Service, since all of it is followed.
    pub(super) is_whole: bool,
}

impl Board {
    /// Knows nothing yet. `is_whole`: all namespaces are followed, and any labels.
    pub(super) fn new(config: &KubesyncConfig, is_whole: bool) -> Self {
        let (cluster, status_path) = match &config.layout {
            KubesyncLayout::SkyDns { .. } => (String::new(), None),
            KubesyncLayout::ContainerDns { cluster, status_path, .. } => (cluster.clone(), status_path.clone()),
        };
        let mut reached = [None; 3];
        if status_path.is_none() {
            reached[Place::States as usize] = Some(0);
        }
        Self {
            layout: Layout::new(config),
            adopt: config.adopt,
            cluster,
            ledger_path: format!("{}/written", config.state_path),
            status_path,
            services: HashMap::new(),
            slices: HashMap::new(),
            slice_services: HashMap::new(),
            wanted: HashMap::new(),
            pod_keys: HashMap::new(),
            users: HashMap::new(),
            records: HashMap::new(),
            strays: HashMap::new(),
            ledgers: HashMap::new(),
            shares: HashMap::new(),
            states: HashMap::new(),
            reached,
            queue: BTreeSet::new(),
            parked: HashMap::new(),
            later: BTreeSet::new(),
            foreign: BTreeMap::new(),
            is_told: false,
            is_whole,
        }
    }

    /// The path that is followed for a place; nothing where it is not.
    pub(super) fn path(&self, place: Place) -> Option<&str> {
        match place {
            Place::Records => Some(self.layout.base()),
            Place::Ledger => Some(&self.ledger_path),
            Place::States => self.status_path.as_deref(),
        }
    }

    /// The key of a unit in the ledger.
    pub(super) fn ledger_key(&self, unit: &Unit) -> String {
        format!("{}/{unit}", self.ledger_path)
    }

    /// The key of an address's state.
    pub(super) fn state_key(&self, address: IpAddr) -> Option<String> {
        self.status_path.as_ref().map(|path| format!("{path}/{address}"))
    }

    /// Takes what happened in the cluster.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Put(Object::Service(service)) => {
                let key = service.key.clone();
                self.services.insert(key.clone(), service);
                self.renew_service(key);
            }
            Event::Put(Object::Slice(slice)) => {
                let service = Key { namespace: slice.key.namespace.clone(), name: slice.service.clone() };
                let before = self.slice_services.insert(slice.key.clone(), slice.service.clone());
                if let Some(other) = before.filter(|before| *before != slice.service) {
                    self.remove_slice(&slice.key, other);
                }
                self.slices.entry(service.clone()).or_default().insert(slice.key.name.clone(), slice);
                self.renew_service(service);
            }
            Event::Put(Object::Pod(pod)) => {
                let wanted = self.layout.pod(&pod);
                self.renew(Unit::Pod(pod.key), wanted);
            }
            Event::Gone(Kind::Service, key) => {
                self.services.remove(&key);
                self.renew_service(key);
            }
            Event::Gone(Kind::Slice, key) => {
                if let Some(service) = self.slice_services.remove(&key) {
                    self.remove_slice(&key, service);
                }
            }
            Event::Gone(Kind::Pod, key) => self.renew(Unit::Pod(key), Wanted::default()),
            // Nothing else is followed, and what a listing did not name is told gone by itself.
            _ => {}
        }
    }

    /// All objects were told: what is in etcd for others is to go.
    pub(super) fn told(&mut self) {
        self.is_told = true;
        self.queue_all();
    }

    /// Takes a slice away from a Service.
    fn remove_slice(&mut self, slice: &Key, service: Arc<str>) {
        let service = Key { namespace: slice.namespace.clone(), name: service };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(&slice.name);
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.renew_service(service);
    }

    /// Finds out anew what a Service is to be.
    fn renew_service(&mut self, key: Key) {
        let slices = self.slices.get(&key).into_iter().flat_map(BTreeMap::values);
        let wanted = self.services.get(&key).map(|service| self.layout.service(service, slices)).unwrap_or_default();
        self.renew(Unit::Service(key), wanted);
    }

    /// Notes what a unit is to be.
    fn renew(&mut self, unit: Unit, wanted: Wanted) {
        let before = self.wanted.remove(&unit).unwrap_or_default();
        if before == wanted {
            if wanted != Wanted::default() {
                self.wanted.insert(unit, wanted);
            }
            return;
        }
        if matches!(unit, Unit::Pod(_)) {
            for key in before.records.keys() {
                self.pod_keys.remove(key);
            }
            self.pod_keys.extend(wanted.records.keys().map(|key| (key.clone(), unit.clone())));
        }
        if self.status_path.is_some() {
            for address in before.addresses.difference(&wanted.addresses) {
                if let Some(users) = self.users.get_mut(address) {
                    users.remove(&unit);
                    if users.is_empty() {
                        self.users.remove(address);
                    }
                }
            }
            for address in &wanted.addresses {
                self.users.entry(*address).or_default().insert(unit.clone());
            }
            self.queue.extend(before.addresses.union(&wanted.addresses).copied().map(Unit::Address));
        }
        if wanted != Wanted::default() {
            self.wanted.insert(unit.clone(), wanted);
        }
        self.queue.insert(unit);
    }

    /// What stands at a key: the sum of its value, and the revision that wrote it.
    pub(super) fn record(&self, key: &str) -> Option<(u64, i64)> {
        self.records.get(key).or_else(|| self.strays.get(key)).copied()
    }

    /// The keys in a ledger that lie where nothing is followed.
    pub(super) fn strays_of(&self, ledger: &[Entry]) -> Vec<String> {
        let base = format!("{}/", self.layout.base());
        let keys =
            ledger.iter().filter_map(|entry| Ledger::parse(&entry.value)).flat_map(|ledger| ledger.0.into_keys());
        keys.filter(|key| !key.starts_with(&base)).collect()
    }

    /// Notes what stands at such a key, or that nothing does.
    pub(super) fn note_stray(&mut self, key: &str, found: Option<&Entry>) {
        match found {
            Some(entry) => drop(self.strays.insert(key.to_owned(), (sum(&entry.value), entry.revision))),
            None => drop(self.strays.remove(key)),
        }
    }

    /// Takes what is new in etcd.
    pub(super) fn news(&mut self, place: Place, news: News) {
        match news {
            News::Listed(listing) => {
                match place {
                    Place::Records => self.records.clear(),
                    Place::Ledger => {
                        self.ledgers.clear();
                        self.shares.clear();
                    }
                    Place::States => self.states.clear(),
                }
                for entry in listing.entries {
                    self.put(place, entry);
                }
                self.reached[place as usize] = Some(listing.revision);
                // It may be another etcd, or an earlier state of this one.
                self.parked.clear();
                self.queue_all();
            }
            News::Changed(changes) => {
                for change in changes {
                    let revision = match change {
                        Change::Put(entry) => {
                            let (key, revision) = (entry.key.clone(), entry.revision);
                            self.put(place, entry);
                            self.touch(place, &key);
                            revision
                        }
                        Change::Deleted { key, revision } => {
                            self.delete(place, &key);
                            self.touch(place, &key);
                            revision
                        }
                    };
                    let reached = &mut self.reached[place as usize];
                    *reached = (*reached).max(Some(revision));
                }
                let reached = self.reached;
                let seen = |(_, wanted): &(&Unit, &mut Revisions)| {
                    wanted
                        .iter()
                        .zip(reached)
                        .all(|(wanted, reached)| reached.is_some_and(|reached| reached >= *wanted))
                };
                self.queue.extend(self.parked.extract_if(|unit, wanted| seen(&(unit, wanted))).map(|(unit, _)| unit));
            }
        }
    }

    /// Notes a key.
    fn put(&mut self, place: Place, entry: Entry) {
        let revision = entry.revision;
        match (place, self.named(place, &entry.key)) {
            (Place::Records, _) => drop(self.records.insert(entry.key, (sum(&entry.value), revision))),
            (_, Some(Unit::Address(address))) if place == Place::States => drop(self.states.insert(address, entry)),
            (_, Some(Unit::Address(address))) => {
                drop(self.shares.insert(address, Noted { value: serde_json::from_slice(&entry.value).ok(), revision }));
            }
            (_, Some(unit)) => drop(self.ledgers.insert(unit, Noted { value: Ledger::parse(&entry.value), revision })),
            (_, None) => {}
        }
    }

    /// Notes that a key is gone.
    fn delete(&mut self, place: Place, key: &str) {
        match (place, self.named(place, key)) {
            (Place::Records, _) => drop(self.records.remove(key)),
            (_, Some(Unit::Address(address))) if place == Place::States => drop(self.states.remove(&address)),
            (_, Some(Unit::Address(address))) => drop(self.shares.remove(&address)),
            (_, Some(unit)) => drop(self.ledgers.remove(&unit)),
            (_, None) => {}
        }
    }

    /// The unit that a key of the ledger or of a state is named after.
    fn named(&self, place: Place, key: &str) -> Option<Unit> {
        let rest = key.strip_prefix(self.path(place)?)?.strip_prefix('/')?;
        match place {
            Place::Records => None,
            Place::Ledger => Unit::parse(rest),
            Place::States => rest.parse().ok().map(Unit::Address),
        }
    }

    /// Has the units looked at that a key may be of.
    fn touch(&mut self, place: Place, key: &str) {
        let of_key = match place {
            Place::Records => self.layout.unit(key).filter(|unit| self.is_known(unit)),
            _ => self.named(place, key),
        };
        self.queue.extend(of_key);
        self.queue.extend(self.pod_keys.get(key).filter(|_| place == Place::Records).cloned());
    }

    /// True for a unit that is to be something, or was written.
    fn is_known(&self, unit: &Unit) -> bool {
        self.wanted.contains_key(unit) || self.ledgers.contains_key(unit)
    }

    /// Services that are known.
    pub(super) fn services(&self) -> usize {
        self.services.len()
    }

    /// True once a place was listed.
    pub(super) fn is_listed(&self, place: Place) -> bool {
        self.reached[place as usize].is_some()
    }
}
