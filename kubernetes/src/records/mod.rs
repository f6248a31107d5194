//! Objects to records: what the events of a cluster change in its zones, and nothing else.
//!
//! Objects are kept as they came, in a few bytes each (`pack`, `store`). What a Service's records are is not kept: it is made from
//! the objects as they were and as they are, and what differs is told (`draft`). So an event costs what its Service has, and
//! the model is small. Only what is made from several objects is remembered: which Services have an address (`pointer`), and who
//! is a name server.

mod copy;
mod draft;
mod focus;
pub(crate) mod label;
mod names;
mod outer;
mod pack;
mod pods;
mod pointer;
mod questions;
mod rules;
mod servers;
mod service;
mod store;
mod update;
mod zone;

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ringdns_controlplane::model::Change;
use ringdns_engine::name::WireName;

use crate::object::{Event, Key, Kind, Object, Slice};
use crate::options::{EndpointLabel, Options, PodMode};
use draft::{Draft, Outcome, Said};
use focus::Focus;
use pack::{Packed, Wanted};
use pointer::Index;
use questions::Ends;
use store::{Part, Store};
use update::{answer_questions, names_of_namespaces, now_seconds};
use zone::{Role, Zone};

/// What the programming of endpoints is told by, as CoreDNS's metric has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgrammedKind {
    /// A Service with addresses of its own.
    ClusterIp,
    /// A headless Service whose endpoints the cluster makes.
    HeadlessWithSelector,
    /// A headless Service whose endpoints somebody else makes.
    HeadlessWithoutSelector,
}

/// A slice whose change was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programmed {
    /// What kind of Service it is of.
    pub kind: ProgrammedKind,
    /// When the change was made, in milliseconds since 1970.
    pub triggered_ms: u64,
}

/// How many objects of a kind are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: Kind,
    /// How many there are.
    pub objects: usize,
    /// Bytes that they take, about.
    pub bytes: usize,
}

/// How a cluster is answered, worked out once.
#[derive(Debug)]
struct Plan {
    /// What is asked for.
    options: Options,
    /// The zones.
    zones: Vec<Zone>,
    /// Where PTR records point.
    primary: Option<WireName>,
    /// The server's own addresses, those of its own host left out.
    own: BTreeSet<IpAddr>,
}

/// Makes records of objects.
#[derive(Debug)]
pub struct Records {
    /// How.
    plan: Plan,
    /// The objects.
    store: Store,
    /// Which Services have an address, where there are PTR records.
    index: Index,
    /// The Services that have this server for an endpoint.
    servers: BTreeSet<u32>,
    /// What was said of name servers.
    servers_said: Vec<Said>,
    /// Where the answers to questions with `*` end that have enough records.
    ends: Ends,
    /// Slices whose changes wait to be told, by their Services.
    triggered: Vec<(u32, u64)>,
    /// Those that were in the last changes.
    programmed: Vec<Programmed>,
    /// The kinds that are being listed.
    listing: HashSet<Kind>,
}

impl Records {
    /// Nothing known yet.
    pub fn new(options: Options) -> Self {
        let zones = zone::zones(&options, now_seconds());
        let primary = zones.iter().find(|zone| zone.role == Role::Services).map(|zone| zone.apex.clone());
        let own = options.own_addresses.iter().filter(|address| !address.is_loopback() && !address.is_unspecified());
        let own = own.copied().collect();
        let store = Store::new(&options.namespaces);
        Self {
            plan: Plan { options, zones, primary, own },
            store,
            index: Index::default(),
            servers: BTreeSet::new(),
            servers_said: Vec::new(),
            ends: Ends::new(),
            triggered: Vec::new(),
            programmed: Vec::new(),
            listing: HashSet::new(),
        }
    }

    /// The zones, and what they have whatever the cluster has.
    pub fn begin(&mut self) -> Vec<Change> {
        let (plan, mut draft) = (&self.plan, Draft::default());
        self.servers_said = servers::render(plan, &self.store, &self.servers).0;
        let mut outcome = Outcome::new(&plan.zones);
        for (place, zone) in plan.zones.iter().enumerate() {
            outcome.changes.push(Change::AddZone(zone.apex.clone()));
            outcome.changes.push(Change::SetRules { apex: zone.apex.clone(), rules: rules::of(&plan.options, zone) });
            if zone.role == Role::Services && plan.options.query_wildcards {
                outcome.changes.push(Change::SetAsterisks { apex: zone.apex.clone(), are_labels: true });
            }
            zone.constants(place, &plan.options, &mut draft);
            draft.0.extend(zone.soa(place, &plan.options));
        }
        draft.0.into_iter().chain(self.servers_said.iter().cloned()).for_each(|said| outcome.put(said));
        outcome.changes
    }

    /// Takes an event; what it changes is told by the next [`Records::changes`].
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Put(object) => self.put(object),
            Event::Gone(kind, key) => self.forget(kind, &key),
            Event::ListBegins(kind) => {
                self.store.listing = self.store.listing.wrapping_add(1);
                self.listing.insert(kind);
            }
            Event::ListEnds(kind) => {
                self.listing.remove(&kind);
                self.sweep(kind);
            }
        }
    }

    /// What the events since the last call change.
    pub fn changes(&mut self, now_seconds: u64) -> Vec<Change> {
        let waiting = std::mem::take(&mut self.store.waiting);
        let pointers = self.plan.has_pointers().then(|| self.index_changes(&waiting));
        let mut outcome = Outcome::new(&self.plan.zones);
        let (plan, store) = (&self.plan, &self.store);
        for (&number, before) in &waiting.entries {
            let Some(entry) = store.entry(number) else { continue };
            let before = entry.view(&before.parts, before.visible);
            let after = entry.view(&entry.parts, store.is_visible(&entry.namespace));
            let focus = Focus::new(&before, &after, plan.options.endpoint_label);
            let [before, after] = [before, after].map(|view| service::render(plan, &view, focus.as_ref()));
            outcome.compare(before.0, after.0);
            let is_server = servers::is_server(plan, &entry.view(&entry.parts, true));
            if is_server {
                self.servers.insert(number)
            } else {
                self.servers.remove(&number)
            };
        }
        if let Some((before, after)) = pointers {
            outcome.compare(before.0, after.0);
        }
        let (before, after) = names_of_namespaces(plan, store, &waiting);
        outcome.compare(before.0, after.0);
        if plan.options.query_wildcards {
            answer_questions(plan, store, &waiting, &mut self.ends, &mut outcome);
        }
        let servers = servers::render(plan, store, &self.servers).0;
        if servers != self.servers_said {
            outcome.compare(std::mem::replace(&mut self.servers_said, servers.clone()), servers);
        }
        let (touched, mut changes) = (outcome.touched, outcome.changes);
        self.raise_serials(&touched, now_seconds, &mut changes);
        self.note_programmed();
        let of_pods = waiting.pods.into_keys().map(|(namespace, _)| namespace);
        self.store.tidy(waiting.entries.into_keys(), waiting.namespaces.into_keys().chain(of_pods));
        changes
    }

    /// The slices whose changes were told by the last [`Records::changes`].
    pub fn programmed(&mut self) -> Vec<Programmed> {
        std::mem::take(&mut self.programmed)
    }

    /// How many objects are kept, by kind.
    pub fn counts(&self) -> Vec<Count> {
        let entries = || self.store.entries();
        let slots = |count: usize| count * (size_of::<store::Entry>() + 64);
        let services = || entries().filter_map(|entry| entry.parts.service.as_ref());
        let imports = || entries().filter_map(|entry| entry.parts.import.as_ref());
        let slices = || entries().flat_map(|entry| &entry.parts.slices);
        let bytes = |slice: &store::StoredSlice| slice.packed.bytes() + slice.name.len() + 96;
        let pods = || self.store.namespaces.values().map(|namespace| &namespace.pods);
        let namespaces = self.store.namespaces.len() * (size_of::<store::Namespace>() + 32);
        vec![
            Count { kind: Kind::Namespace, objects: self.store.namespace_count(), bytes: namespaces },
            Count {
                kind: Kind::Service,
                objects: services().count(),
                bytes: services().map(Packed::bytes).sum::<usize>() + slots(entries().count()),
            },
            Count {
                kind: Kind::Slice,
                objects: self.store.slice_count(),
                bytes: slices().map(bytes).sum::<usize>() + self.index.bytes(),
            },
            Count {
                kind: Kind::Pod,
                objects: pods().map(pods::Pods::len).sum(),
                bytes: pods().map(pods::Pods::bytes).sum(),
            },
            Count { kind: Kind::ServiceImport, objects: imports().count(), bytes: imports().map(Packed::bytes).sum() },
        ]
    }

    /// Takes an object.
    fn put(&mut self, object: Object) {
        match object {
            Object::Namespace(name) => self.store.set_namespace(&name, true),
            Object::Service(service) => {
                let Key { namespace, name } = &service.key;
                self.store.put(namespace, name, Part::Service, Packed::service(&service));
            }
            Object::ServiceImport(import) => {
                let Key { namespace, name } = &import.key;
                self.store.put(namespace, name, Part::Import, Packed::import(&import));
            }
            Object::Slice(slice) => self.put_slice(&slice),
            Object::Pod(pod) if self.plan.options.pods == PodMode::Verified => {
                self.store.put_pod(&pod.key.namespace, &pod.key.name, &pod.addresses);
            }
            Object::Pod(_) => {}
        }
    }

    /// Takes a slice.
    fn put_slice(&mut self, slice: &Slice) {
        let options = &self.plan.options;
        if !options.endpoints {
            return;
        }
        let wanted = Wanted { pod: options.endpoint_label == EndpointLabel::PodName, zone: options.zonal };
        let Key { namespace, name } = &slice.key;
        let changed = self.store.put_slice(namespace, name, &slice.service, Packed::slice(slice, wanted));
        // What a listing tells may have happened long ago.
        if !self.listing.contains(&Kind::Slice) {
            self.triggered.extend(changed.zip(slice.triggered_ms));
        }
    }

    /// Forgets an object.
    fn forget(&mut self, kind: Kind, key: &Key) {
        let Key { namespace, name } = key;
        match kind {
            Kind::Namespace => self.store.set_namespace(name, false),
            Kind::Service => self.store.forget(namespace, name, Part::Service),
            Kind::ServiceImport => self.store.forget(namespace, name, Part::Import),
            Kind::Slice => drop(self.store.forget_slice(namespace, name)),
            Kind::Pod => self.store.put_pod(namespace, name, &[]),
        }
    }

    /// Forgets the objects of a kind that its listing did not name.
    fn sweep(&mut self, kind: Kind) {
        match kind {
            Kind::Namespace => {
                self.store.unlisted_namespaces().iter().for_each(|name| self.store.set_namespace(name, false));
            }
            Kind::Service | Kind::ServiceImport => {
                let part = if kind == Kind::Service { Part::Service } else { Part::Import };
                for (namespace, name) in self.store.unlisted(part) {
                    self.store.forget(&namespace, &name, part);
                }
            }
            Kind::Slice => {
                for (namespace, name) in self.store.unlisted_slices() {
                    self.store.forget_slice(&namespace, &name);
                }
            }
            Kind::Pod => {
                for (namespace, name) in self.store.unlisted_pods() {
                    self.store.put_pod(&namespace, &name, &[]);
                }
            }
        }
    }
}
