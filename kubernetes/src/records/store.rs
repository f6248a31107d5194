//! The objects of a cluster as they are kept, and what they were before the events that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::pack::Packed;
use super::pods::Pods;

/// A slice as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredSlice {
    /// Its name.
    pub(super) name: Arc<str>,
    /// What it has.
    pub(super) packed: Packed,
}

/// What goes by the name of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The Service.
    pub(super) service: Option<Packed>,
    /// The ServiceImport.
    pub(super) import: Option<Packed>,
    /// The slices, in the order of their names.
    pub(super) slices: Vec<StoredSlice>,
}

/// The place of a Service: it has a number as long as anything goes by its name.
#[derive(Debug)]
pub(super) struct Entry {
    /// The namespace.
    pub(super) namespace: Arc<str>,
    /// The name.
    pub(super) name: Arc<str>,
    /// What there is.
    pub(super) parts: Parts,
    /// The listing that the Service was seen in last.
    service_listing: u32,
    /// The listing that the ServiceImport was seen in last.
    import_listing: u32,
}

/// Where a slice is.
#[derive(Clone, Copy, Debug)]
struct Home {
    /// The number of its Service.
    entry: u32,
    /// The listing that it was seen in last.
    listing: u32,
}

/// A namespace, or what is known of one that does not exist yet.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    /// Whether it exists.
    exists: bool,
    /// The listing that it was seen in last.
    listing: u32,
    /// The numbers of its Services, by name.
    pub(super) services: BTreeMap<Arc<str>, u32>,
    /// Its slices.
    slices: HashMap<Arc<str>, Home>,
    /// Its Pods.
    pub(super) pods: Pods,
}

/// What a Service was, or is.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The namespace.
    pub(super) namespace: &'a str,
    /// The name.
    pub(super) name: &'a str,
    /// Whether its namespace exists and is answered.
    pub(super) visible: bool,
    /// The Service.
    pub(super) service: Option<&'a Packed>,
    /// The ServiceImport.
    pub(super) import: Option<&'a Packed>,
    /// The slices.
    pub(super) slices: &'a [StoredSlice],
}

/// What a Service was before the events that wait.
#[derive(Debug)]
pub(super) struct Before {
    /// Whether its namespace existed and was answered.
    pub(super) visible: bool,
    /// What there was.
    pub(super) parts: Parts,
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Services, as they were.
    pub(super) entries: BTreeMap<u32, Before>,
    /// Namespaces, and whether they were answered.
    pub(super) namespaces: BTreeMap<Arc<str>, bool>,
    /// Addresses of Pods by namespace, and whether they were answered.
    pub(super) pods: BTreeMap<(Arc<str>, IpAddr), bool>,
}

impl Waiting {
    /// What a Service was before the events that wait.
    pub(super) fn view_before<'a>(&'a self, store: &'a Store, number: u32) -> Option<View<'a>> {
        match self.entries.get(&number) {
            Some(before) => Some(store.entry(number)?.view(&before.parts, before.visible)),
            None => store.view(number),
        }
    }
}

/// Which object of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The Service.
    Service,
    /// The ServiceImport.
    Import,
}

/// The objects of a cluster.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// The namespaces that are answered, if there are; empty: all.
    wanted: BTreeSet<String>,
    /// What goes by the names of Services, by number.
    entries: Vec<Option<Entry>>,
    /// Numbers that nothing has.
    free: Vec<u32>,
    /// The namespaces.
    pub(super) namespaces: BTreeMap<Arc<str>, Namespace>,
    /// What waits to be told.
    pub(super) waiting: Waiting,
    /// The number of the last listing that began.
    pub(super) listing: u32,
}

impl Store {
    /// Nothing yet.
    pub(super) fn new(wanted: &[String]) -> Self {
        Self { wanted: wanted.iter().cloned().collect(), ..Self::default() }
    }

    /// The entry of a number.
    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// All entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// What a Service is.
    pub(super) fn view(&self, number: u32) -> Option<View<'_>> {
        let entry = self.entry(number)?;
        Some(entry.view(&entry.parts, self.is_visible(&entry.namespace)))
    }

    /// True where a namespace exists and is answered.
    pub(super) fn is_visible(&self, namespace: &str) -> bool {
        let exists = self.namespaces.get(namespace).is_some_and(|namespace| namespace.exists);
        exists && (self.wanted.is_empty() || self.wanted.contains(namespace))
    }

    /// The namespace of a name, made where it was missing.
    fn namespace(&mut self, name: &Arc<str>) -> &mut Namespace {
        if !self.namespaces.contains_key(name) {
            self.namespaces.insert(Arc::clone(name), Namespace::default());
        }
        self.namespaces.entry(Arc::clone(name)).or_default()
    }

    /// The number of a Service's name, given where it has none.
    fn number(&mut self, namespace: &Arc<str>, name: &Arc<str>) -> Option<u32> {
        if let Some(number) = self.namespaces.get(namespace).and_then(|namespace| namespace.services.get(name)) {
            return Some(*number);
        }
        let number = self.free.pop().or_else(|| u32::try_from(self.entries.len()).ok())?;
        self.namespace(namespace).services.insert(Arc::clone(name), number);
        // One copy of each name, whoever told it first.
        let namespace = self.namespaces.get_key_value(namespace).map_or(namespace, |(name, _)| name);
        let entry = Entry {
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
            parts: Parts::default(),
            service_listing: 0,
            import_listing: 0,
        };
        let place = usize::try_from(number).ok()?;
        if place == self.entries.len() {
            self.entries.push(Some(entry));
        } else if let Some(slot) = self.entries.get_mut(place) {
            *slot = Some(entry);
        }
        Some(number)
    }

    /// Notes what a Service is, before it changes; gives its entry.
    fn touch(&mut self, number: u32) -> Option<&mut Entry> {
        if !self.waiting.entries.contains_key(&number) {
            let entry = self.entry(number)?;
            let before = Before { visible: self.is_visible(&entry.namespace), parts: entry.parts.clone() };
            self.waiting.entries.insert(number, before);
        }
        self.entries.get_mut(usize::try_from(number).ok()?)?.as_mut()
    }

    /// Takes a Service or a ServiceImport.
    pub(super) fn put(&mut self, namespace: &Arc<str>, name: &Arc<str>, part: Part, packed: Packed) {
        let listing = self.listing;
        let Some(number) = self.number(namespace, name) else { return };
        let place = usize::try_from(number).ok();
        let Some(entry) = place.and_then(|place| self.entries.get_mut(place)?.as_mut()) else { return };
        let (slot, seen) = entry.part(part);
        *seen = listing;
        if slot.as_ref() == Some(&packed) {
            return;
        }
        if let Some(entry) = self.touch(number) {
            *entry.part(part).0 = Some(packed);
        }
    }

    /// Forgets a Service or a ServiceImport.
    pub(super) fn forget(&mut self, namespace: &str, name: &str, part: Part) {
        let Some(&number) = self.namespaces.get(namespace).and_then(|namespace| namespace.services.get(name)) else {
            return;
        };
        if let Some(entry) = self.touch(number) {
            *entry.part(part).0 = None;
        }
    }

    /// Takes a slice; the number of its Service where it says something new.
    pub(super) fn put_slice(
        &mut self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        service: &Arc<str>,
        packed: Packed,
    ) -> Option<u32> {
        let listing = self.listing;
        let entry = self.number(namespace, service)?;
        let home = self.namespace(namespace).slices.insert(Arc::clone(name), Home { entry, listing });
        if let Some(former) = home.filter(|home| home.entry != entry) {
            self.remove_slice(former.entry, name);
        }
        let slices = &self.entry(entry)?.parts.slices;
        let place = slices.binary_search_by(|slice| slice.name.cmp(name));
        if place.is_ok_and(|place| slices.get(place).is_some_and(|slice| slice.packed == packed)) {
            return None;
        }
        let slices = &mut self.touch(entry)?.parts.slices;
        match place {
            Ok(place) => slices.get_mut(place)?.packed = packed,
            Err(place) => {
                slices.reserve_exact(1);
                slices.insert(place, StoredSlice { name: Arc::clone(name), packed });
            }
        }
        Some(entry)
    }

    /// Forgets a slice; the number of its Service.
    pub(super) fn forget_slice(&mut self, namespace: &str, name: &str) -> Option<u32> {
        let home = self.namespaces.get_mut(namespace)?.slices.remove(name)?;
        self.remove_slice(home.entry, name);
        Some(home.entry)
    }

    /// Takes a slice from its Service.
    fn remove_slice(&mut self, entry: u32, name: &str) {
        if let Some(entry) = self.touch(entry) {
            entry.parts.slices.retain(|slice| &*slice.name != name);
        }
    }

    /// Takes a namespace, or forgets it. What is in it is answered only as long as it exists.
    pub(super) fn set_namespace(&mut self, name: &Arc<str>, exists: bool) {
        let listing = self.listing;
        if !exists && !self.namespaces.contains_key(name) {
            return;
        }
        let was_visible = self.is_visible(name);
        let known = self.namespaces.get(name).is_some_and(|namespace| namespace.exists);
        if known != exists {
            let numbers: Vec<u32> = self
                .namespaces
                .get(name)
                .into_iter()
                .flat_map(|namespace| namespace.services.values().copied())
                .collect();
            for number in numbers {
                self.touch(number);
            }
            self.waiting.namespaces.entry(Arc::clone(name)).or_insert(was_visible);
            let pods = self.namespaces.get(name).map(|namespace| namespace.pods.addresses()).unwrap_or_default();
            for address in pods {
                self.waiting.pods.entry((Arc::clone(name), address)).or_insert(was_visible);
            }
        }
        let namespace = self.namespace(name);
        (namespace.exists, namespace.listing) = (exists, listing);
    }

    /// Takes the addresses of a Pod; none: it is no more.
    pub(super) fn put_pod(&mut self, namespace: &Arc<str>, name: &str, addresses: &[IpAddr]) {
        if addresses.is_empty() && !self.namespaces.contains_key(namespace) {
            return;
        }
        let (listing, is_visible) = (self.listing, self.is_visible(namespace));
        let pods = &mut self.namespace(namespace).pods;
        let changed = pods.put(name, addresses, listing);
        for (address, was_there) in changed {
            self.waiting.pods.entry((Arc::clone(namespace), address)).or_insert(was_there && is_visible);
        }
    }

    /// Whether an address of a Pod is answered.
    pub(super) fn has_pod(&self, namespace: &str, address: &IpAddr) -> bool {
        let pods = self.namespaces.get(namespace).map(|namespace| &namespace.pods);
        self.is_visible(namespace) && pods.is_some_and(|pods| pods.has(address))
    }

    /// The Services or ServiceImports that the last listing did not name.
    pub(super) fn unlisted(&self, part: Part) -> Vec<(Arc<str>, Arc<str>)> {
        let is_unlisted = |entry: &&Entry| match part {
            Part::Service => entry.parts.service.is_some() && entry.service_listing != self.listing,
            Part::Import => entry.parts.import.is_some() && entry.import_listing != self.listing,
        };
        let unlisted = self.entries().filter(is_unlisted);
        unlisted.map(|entry| (Arc::clone(&entry.namespace), Arc::clone(&entry.name))).collect()
    }

    /// The slices that the last listing did not name.
    pub(super) fn unlisted_slices(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let of = |(name, namespace): (&Arc<str>, &Namespace)| {
            let unlisted = namespace.slices.iter().filter(|(_, home)| home.listing != self.listing);
            unlisted.map(|(slice, _)| (Arc::clone(name), Arc::clone(slice))).collect::<Vec<_>>()
        };
        self.namespaces.iter().flat_map(of).collect()
    }

    /// The namespaces that the last listing did not name.
    pub(super) fn unlisted_namespaces(&self) -> Vec<Arc<str>> {
        let unlisted = self.namespaces.iter().filter(|(_, one)| one.exists && one.listing != self.listing);
        unlisted.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// The Pods that the last listing did not name.
    pub(super) fn unlisted_pods(&self) -> Vec<(Arc<str>, Box<str>)> {
        let of = |(name, namespace): (&Arc<str>, &Namespace)| {
            let unlisted = namespace.pods.unlisted(self.listing);
            unlisted.map(|pod| (Arc::clone(name), pod)).collect::<Vec<_>>()
        };
        self.namespaces.iter().flat_map(of).collect()
    }

    /// Gives up the numbers of names that nothing goes by any longer, and namespaces that nothing is left of.
    pub(super) fn tidy(&mut self, numbers: impl Iterator<Item = u32>, namespaces: impl Iterator<Item = Arc<str>>) {
        let mut namespaces: BTreeSet<Arc<str>> = namespaces.collect();
        for number in numbers {
            let Some(entry) = self.entry(number).filter(|entry| entry.parts == Parts::default()) else { continue };
            let (namespace, name) = (Arc::clone(&entry.namespace), Arc::clone(&entry.name));
            if let Some(slot) = usize::try_from(number).ok().and_then(|place| self.entries.get_mut(place)) {
                *slot = None;
                self.free.push(number);
            }
            if let Some(services) = self.namespaces.get_mut(&namespace).map(|namespace| &mut namespace.services) {
                services.remove(&name);
            }
            namespaces.insert(namespace);
        }
        for name in namespaces {
            if self.namespaces.get(&name).is_some_and(Namespace::is_nothing) {
                self.namespaces.remove(&name);
            }
        }
    }

    /// Slices that are kept.
    pub(super) fn slice_count(&self) -> usize {
        self.namespaces.values().map(|namespace| namespace.slices.len()).sum()
    }

    /// Namespaces that exist.
    pub(super) fn namespace_count(&self) -> usize {
        self.namespaces.values().filter(|namespace| namespace.exists).count()
    }
}

impl Entry {
    /// One of its objects, and when that was seen.
    fn part(&mut self, part: Part) -> (&mut Option<Packed>, &mut u32) {
        match part {
            Part::Service => (&mut self.parts.service, &mut self.service_listing),
            Part::Import => (&mut self.parts.import, &mut self.import_listing),
        }
    }

    /// What it is with parts of now or of before.
    pub(super) fn view<'a>(&'a self, parts: &'a Parts, visible: bool) -> View<'a> {
        View {
            namespace: &self.namespace,
            name: &self.name,
            visible,
            service: parts.service.as_ref(),
            import: parts.import.as_ref(),
            slices: &parts.slices,
        }
    }
}

impl Namespace {
    /// Whether it exists.
    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    /// True where nothing is left of it.
    fn is_nothing(&self) -> bool {
        !self.exists && self.services.is_empty() && self.slices.is_empty() && self.pods.is_empty()
    }
}
