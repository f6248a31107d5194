//! The objects of the double, and what has happened to them: everything at any version can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::{Value, json};

/// Namespace and name.
pub type Name = (String, String);

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that it made.
    pub version: u64,
    /// The plural of what has changed.
    pub plural: String,
    /// Which one.
    pub name: Name,
    /// As it was.
    pub before: Option<Value>,
    /// As it is; nothing: it is gone.
    pub after: Option<Value>,
}

/// The objects.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The version.
    version: u64,
    /// Changes up to this are forgotten.
    compacted: u64,
    /// Everything that has happened.
    log: Vec<Change>,
    /// The objects by their plurals.
    objects: BTreeMap<String, BTreeMap<Name, Value>>,
    /// Plurals that are not served.
    pub absent: BTreeSet<String>,
    /// Plurals that may not be read.
    pub forbidden: BTreeSet<String>,
    /// The token that is asked for.
    pub token: Option<String>,
    /// Every request that was answered: its path and parameters.
    pub requests: Vec<String>,
}

/// The plural of a kind.
fn plural(kind: &str) -> &'static str {
    match kind {
        "Namespace" => "namespaces",
        "Service" => "services",
        "EndpointSlice" => "endpointslices",
        "Endpoints" => "endpoints",
        "Pod" => "pods",
        "ServiceImport" => "serviceimports",
        other => panic!("the double knows no {other}"),
    }
}

/// A text in an object.
fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Cluster {
    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Changes up to this are forgotten.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets all changes so far.
    pub fn compact(&mut self) {
        self.compacted = self.version;
    }

    /// Raises the version as changes of other kinds do.
    pub fn pass(&mut self, versions: u64) {
        self.version += versions;
    }

    /// The changes after a version.
    pub fn since(&self, version: u64) -> impl DoubleEndedIterator<Item = &Change> {
        let from = self.log.partition_point(|change| change.version <= version);
        self.log[from..].iter()
    }

    /// The objects of a kind at a version.
    pub fn at(&self, plural: &str, version: u64) -> BTreeMap<Name, Value> {
        let mut objects = self.objects.get(plural).cloned().unwrap_or_default();
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            if change.plural == plural {
                match &change.before {
                    Some(before) => drop(objects.insert(change.name.clone(), before.clone())),
                    None => drop(objects.remove(&change.name)),
                }
            }
        }
        objects
    }

    /// Objects of a kind at a version, those after a name, so many at most. As long as none of the kind has changed since, only
    /// these are looked at: a large cluster is listed by hundreds of pages.
    pub fn page(
        &self,
        plural: &str,
        version: u64,
        last: Option<&Name>,
        most: usize,
        wanted: &Wanted,
    ) -> Vec<(Name, Value)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let former;
        let objects = if self.since(version).any(|change| change.plural == plural) {
            former = self.at(plural, version);
            Some(&former)
        } else {
            self.objects.get(plural)
        };
        let rest = objects.into_iter().flat_map(|objects| objects.range::<Name, _>((from, Bound::Unbounded)));
        let found = rest.filter(|(_, object)| wanted.has(object)).take(most);
        found.map(|(name, object)| (name.clone(), object.clone())).collect()
    }

    /// Makes or changes an object.
    pub fn put(&mut self, mut object: Value) {
        let plural = plural(&text(&object, "/kind")).to_owned();
        let name = (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before = self.objects.entry(plural.clone()).or_default().insert(name.clone(), object.clone());
        self.log.push(Change { version: self.version, plural, name, before, after: Some(object) });
    }

    /// Removes an object, if there is one.
    pub fn remove(&mut self, plural: &str, namespace: &str, name: &str) {
        let name = (namespace.to_owned(), name.to_owned());
        let Some(before) = self.objects.get_mut(plural).and_then(|objects| objects.remove(&name)) else { return };
        self.version += 1;
        let change =
            Change { version: self.version, plural: plural.to_owned(), name, before: Some(before), after: None };
        self.log.push(change);
    }

    /// Goes back to a version.
    pub fn restore(&mut self, version: u64) {
        let plurals: Vec<String> = self.objects.keys().cloned().collect();
        for plural in plurals {
            let objects = self.at(&plural, version);
            self.objects.insert(plural, objects);
        }
        self.log.retain(|change| change.version <= version);
        (self.version, self.compacted) = (version, self.compacted.min(version));
    }
}

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The namespace; empty: all.
    pub namespace: String,
    /// Labels.
    pub labels: String,
    /// Fields.
    pub fields: String,
}

impl Wanted {
    /// True for an object that is asked for.
    pub fn has(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str().map(str::to_owned);
        let field = |key: &str| Some(text(object, &format!("/{}", key.replace('.', "/"))));
        (self.namespace.is_empty() || text(object, "/metadata/namespace") == self.namespace)
            && all(&self.labels, label)
            && all(&self.fields, field)
    }
}

/// True where each requirement holds: `key`, `key=value` or `key!=value`.
fn all(selector: &str, value: impl Fn(&str) -> Option<String>) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once("!=") {
        Some((key, other)) => value(key).as_deref() != Some(other),
        None => match part.split_once('=') {
            Some((key, wanted)) => value(key).as_deref() == Some(wanted),
            None => value(part).is_some(),
        },
    })
}
