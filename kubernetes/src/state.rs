//! What others see of the source: metrics, and its part of `/api/v1/status`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringdns_controlplane::metrics::rows::Histogram;
use serde_json::{Value, json};

use crate::api::{Fault, Plan};
use crate::object::Kind;
use crate::records::{Count, Programmed, ProgrammedKind};

/// The kinds in the order in which they are shown.
pub(crate) const KINDS: [Kind; 5] = [Kind::Namespace, Kind::Service, Kind::Slice, Kind::Pod, Kind::ServiceImport];

/// The name of a kind in metrics.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "namespace",
        Kind::Service => "service",
        Kind::Slice => "endpoints",
        Kind::Pod => "pod",
        Kind::ServiceImport => "service_import",
    }
}

/// What others see of one listing and its watches.
#[derive(Debug)]
pub(crate) struct ScopeState {
    /// The kind of its objects.
    pub(crate) kind: Kind,
    /// True while a watch is open.
    watching: AtomicBool,
    /// True once everything was listed.
    listed: AtomicBool,
    /// When the server was heard last, in milliseconds since 1970; 0: never.
    contact_ms: AtomicU64,
    /// The version up to which everything was told; 0: none, or one that is no number.
    version: AtomicU64,
    /// Objects that are known.
    objects: AtomicU64,
    /// Times that everything was listed.
    lists: AtomicU64,
    /// What is wrong.
    error: Mutex<Option<String>>,
}

/// What others see of the source.
#[derive(Debug)]
pub struct ClusterState {
    /// The listings.
    scopes: Vec<ScopeState>,
    /// What is kept of each kind.
    kept: Mutex<Vec<Count>>,
    /// Failures by kind and reason.
    faults: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// Requests by status, method and server.
    requests: Mutex<BTreeMap<(String, &'static str, String), u64>>,
    /// How long requests took, by server.
    durations: Mutex<BTreeMap<String, Histogram>>,
    /// From a change in the cluster to its publication, by kind of Service.
    programming: Mutex<[Histogram; 3]>,
    /// True while what is served was read from disk at start.
    pub(crate) from_cache: AtomicBool,
    /// Times that the copy on disk was written.
    pub(crate) cache_writes: AtomicU64,
}

impl ClusterState {
    /// Of a source that has not heard anything.
    pub fn new(plan: &Plan) -> Self {
        let scope = |kind| ScopeState {
            kind,
            watching: AtomicBool::default(),
            listed: AtomicBool::default(),
            contact_ms: AtomicU64::default(),
            version: AtomicU64::default(),
            objects: AtomicU64::default(),
            lists: AtomicU64::default(),
            error: Mutex::default(),
        };
        // As CoreDNS has them: from a millisecond on, each twice the one before.
        let programming =
            || Histogram::new(&std::array::from_fn::<_, 20, _>(|power| 0.001 * 2_f64.powi(power_of(power))));
        Self {
            scopes: plan.scopes.iter().map(|found| scope(found.what.kind())).collect(),
            kept: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            durations: Mutex::default(),
            programming: Mutex::new([programming(), programming(), programming()]),
            from_cache: AtomicBool::default(),
            cache_writes: AtomicU64::default(),
        }
    }

    /// Notes that everything is being listed.
    pub(crate) fn note_list(&self, place: usize) {
        let scope = &self.scopes[place];
        scope.lists.fetch_add(1, Ordering::Relaxed);
        scope.watching.store(false, Ordering::Relaxed);
    }

    /// Notes that everything was listed.
    pub(crate) fn note_listed(&self, place: usize, version: &str, objects: usize) {
        let scope = &self.scopes[place];
        scope.listed.store(true, Ordering::Relaxed);
        scope.version.store(version.parse().unwrap_or_default(), Ordering::Relaxed);
        self.note_objects(place, objects);
        self.note_contact(place, "");
        let kind = kind_name(scope.kind);
        tracing::info!(kind, objects, version, "the API server has listed everything");
    }

    /// Notes how many objects are known.
    pub(crate) fn note_objects(&self, place: usize, objects: usize) {
        self.scopes[place].objects.store(objects as u64, Ordering::Relaxed);
    }

    /// Notes that a watch is open.
    pub(crate) fn note_watching(&self, place: usize) {
        let scope = &self.scopes[place];
        scope.watching.store(true, Ordering::Relaxed);
        *scope.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.note_contact(place, "");
    }

    /// Notes that the server was heard, and the version that was reached where one is given.
    pub(crate) fn note_contact(&self, place: usize, version: &str) {
        let scope = &self.scopes[place];
        scope.contact_ms.store(now_ms(), Ordering::Relaxed);
        if let Ok(version) = version.parse() {
            scope.version.store(version, Ordering::Relaxed);
        }
    }

    /// Notes what went wrong.
    pub(crate) fn note_fault(&self, place: usize, fault: &Fault, resource: &str) {
        let scope = &self.scopes[place];
        let (kind, reason) = (kind_name(scope.kind), fault.reason());
        scope.watching.store(false, Ordering::Relaxed);
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, reason)).or_default() += 1;
        let remedy = fault.remedy(resource);
        let text = format!("{resource}: {fault}{remedy}");
        let is_news =
            scope.error.lock().unwrap_or_else(PoisonError::into_inner).replace(text.clone()).as_ref() != Some(&text);
        // The same thing is said once, however often it is tried: the metrics count.
        if is_news {
            tracing::warn!(reason, "{text}");
        }
    }

    /// Counts a request; listings with the time that they took.
    pub(crate) fn note_request(&self, host: &str, code: String, took: Option<Duration>) {
        let key = (code, "GET", host.to_owned());
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        if let Some(took) = took {
            // As client-go has them.
            let new = || Histogram::new(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
            let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
            durations.entry(host.to_owned()).or_insert_with(new).observe(took.as_secs_f64());
        }
    }

    /// Notes what is kept.
    pub(crate) fn note_kept(&self, kept: Vec<Count>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// Notes that a change of endpoints is on the wire.
    pub(crate) fn note_programmed(&self, programmed: &Programmed, now_ms: u64) {
        let place = match programmed.kind {
            ProgrammedKind::ClusterIp => 0,
            ProgrammedKind::HeadlessWithSelector => 1,
            ProgrammedKind::HeadlessWithoutSelector => 2,
        };
        let seconds = now_ms.saturating_sub(programmed.triggered_ms) as f64 / 1000.0;
        self.programming.lock().unwrap_or_else(PoisonError::into_inner)[place].observe(seconds);
    }

    /// True while all watches are open.
    pub fn is_connected(&self) -> bool {
        self.scopes.iter().all(|scope| scope.watching.load(Ordering::Relaxed))
    }

    /// The listings of a kind.
    pub(crate) fn scopes_of(&self, kind: Kind) -> impl Iterator<Item = &ScopeState> {
        self.scopes.iter().filter(move |scope| scope.kind == kind)
    }

    /// Seconds since the server was heard last about a kind, where it was: the longest of its listings.
    pub fn age_seconds(&self, kind: Kind) -> Option<f64> {
        let oldest = self.scopes_of(kind).map(|scope| scope.contact_ms.load(Ordering::Relaxed)).min();
        oldest.filter(|&then| then > 0).map(|then| now_ms().saturating_sub(then) as f64 / 1000.0)
    }

    /// Bytes that the objects of a kind take.
    pub(crate) fn bytes(&self, kind: Kind) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|found| found.kind == kind).map_or(0, |found| found.bytes)
    }

    /// Failures by kind and reason.
    pub fn faults(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests by status, method and server.
    pub fn requests(&self) -> BTreeMap<(String, &'static str, String), u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long requests took, by server.
    pub(crate) fn durations(&self) -> BTreeMap<String, Histogram> {
        self.durations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From a change in the cluster to its publication, by kind of Service as CoreDNS names them.
    pub(crate) fn programming(&self) -> [(&'static str, Histogram); 3] {
        let [cluster_ip, with, without] = self.programming.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [("cluster_ip", cluster_ip), ("headless_with_selector", with), ("headless_without_selector", without)]
    }

    /// For `/api/v1/status`.
    pub fn json(&self) -> Value {
        let kinds = KINDS.into_iter().filter(|&kind| self.scopes_of(kind).next().is_some());
        let kinds: serde_json::Map<String, Value> = kinds
            .map(|kind| {
                let scopes = || self.scopes_of(kind);
                let error = |scope: &ScopeState| scope.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let errors: Vec<String> = scopes().filter_map(error).collect();
                let value = json!({
                    "listed": scopes().all(|scope| scope.listed.load(Ordering::Relaxed)),
                    "watching": scopes().all(|scope| scope.watching.load(Ordering::Relaxed)),
                    "objects": scopes().map(ScopeState::objects).sum::<u64>(),
                    "bytes": self.bytes(kind),
                    "resource_version": scopes().map(ScopeState::version).max(),
                    "age_seconds": self.age_seconds(kind),
                    "lists": scopes().map(ScopeState::lists).sum::<u64>(),
                    "errors": errors,
                });
                (kind_name(kind).to_owned(), value)
            })
            .collect();
        json!({
            "connected": self.is_connected(),
            "from_cache": self.from_cache.load(Ordering::Relaxed),
            "kinds": kinds,
        })
    }
}

impl ScopeState {
    /// Objects that are known.
    pub(crate) fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// The version up to which everything was told.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Times that everything was listed.
    pub(crate) fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }
}

/// An exponent of the small numbers that buckets are counted by.
fn power_of(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// Milliseconds since 1970; 0 on a machine whose clock is before that.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
