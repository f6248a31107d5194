//! What the cycle and the sources let others see: the served snapshot, the zones, the state of each source, and counts.
//! Written by them, read by the API, by readiness and by metrics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::Snapshot;

use crate::compat::kdns::Refusals;
use crate::config::ZoneFileConfig;
use crate::etcd::state::EtcdState;
use crate::feed::Feed;
use crate::foreign::{ForeignCache, Waits};
use crate::guest::Shown;
use crate::health::Table;
use crate::node_local::NodeLocalGauges;
use crate::ports::PortGauges;
use crate::store::ReplicaState;
use crate::suffixes::Suffixes;
use crate::views::Views;

/// Upper bounds in seconds of the buckets of the publication histogram.
pub(crate) const PUBLISH_SECONDS_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, f64::INFINITY];

/// How often it is looked whether answers are still held back.
const HELD_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What is served, and who says so.
#[derive(Clone, Debug)]
pub struct Served {
    /// The published snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The zones and the numbers of the sources that have them, in canonical order.
    pub zones: Arc<BTreeMap<WireName, Vec<u8>>>,
}

/// What others see of a source.
#[derive(Debug)]
pub struct SourceState {
    /// Its name: `store`, `zone_files`.
    pub name: &'static str,
    /// Everything that it had when it started is served.
    synced: AtomicBool,
    /// Batches that it handed over.
    batches: AtomicU64,
    /// When its last batch was published, in milliseconds since 1970; 0: never.
    changed_ms: AtomicU64,
    /// Why it ended before its time; written once.
    failure: OnceLock<String>,
}

impl SourceState {
    /// A source that has not said anything yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            synced: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            changed_ms: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// True once everything that it had when it started is served.
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Batches that it handed over.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Seconds since its last change was published; nothing before the first.
    pub fn age_seconds(&self) -> Option<f64> {
        match self.changed_ms.load(Ordering::Relaxed) {
            0 => None,
            then => Some(Duration::from_millis(now_ms().saturating_sub(then)).as_secs_f64()),
        }
    }

    /// Why the source ended before its time.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Notes that the source ended before its time.
    pub(crate) fn note_failure(&self, error: String) {
        // The first failure is the one that counts.
        let _ = self.failure.set(error);
    }

    /// Notes a published batch; written by the cycle alone.
    pub(crate) fn note_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.changed_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// Notes that the source is synced; written by the cycle alone.
    pub(crate) fn note_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }
}

/// The state of a zone file.
#[derive(Clone, Debug)]
pub struct ZoneFileState {
    /// The zone.
    pub zone: WireName,
    /// The file.
    pub path: PathBuf,
    /// Records of the last load that went well; nothing before it.
    pub records: Option<u64>,
    /// What is wrong with the file as it was read last; nothing where it was taken.
    pub error: Option<String>,
}

impl ZoneFileState {
    /// Of a file that was not read yet.
    pub(crate) fn new(file: &ZoneFileConfig) -> Self {
        Self { zone: file.zone.clone(), path: file.path.clone(), records: None, error: None }
    }
}

/// How long publications took.
#[derive(Clone, Debug, Default)]
pub struct PublishTimes {
    /// Number by bucket.
    pub buckets: [u64; PUBLISH_SECONDS_BUCKETS.len()],
    /// Sum in seconds.
    pub sum_seconds: f64,
    /// The last one in seconds.
    pub last_seconds: f64,
    /// Number of publications.
    pub count: u64,
}

/// Everything that others see.
#[derive(Debug)]
pub struct State {
    /// What is served.
    served: RwLock<Served>,
    /// The sources in order of priority.
    pub sources: Vec<SourceState>,
    /// The ports; written once.
    ports: OnceLock<Vec<Arc<PortGauges>>>,
    /// What others count, for the metrics; written once.
    pub(crate) shown: OnceLock<Registry>,
    /// Which addresses are up.
    pub(crate) members: Arc<Table>,
    /// The etcd source, where there is one.
    pub(crate) etcd: OnceLock<Arc<EtcdState>>,
    /// For which sources answers are held back, and until when.
    held: OnceLock<(Vec<&'static str>, Instant)>,
    /// What sources of other crates show, by their names.
    pub(crate) guests: OnceLock<Vec<(&'static str, Arc<dyn Shown>)>>,
    /// The store as a replica of etcd, where it is one.
    pub(crate) replica: OnceLock<Arc<ReplicaState>>,
    /// What the kdns interface did not take, where there is one.
    pub(crate) kdns: OnceLock<Arc<Refusals>>,
    /// How the node's own DNS does, where there is one.
    pub(crate) node_local: OnceLock<Arc<NodeLocalGauges>>,
    /// What is kept of names of others, where they are asked for.
    pub(crate) foreign: OnceLock<Arc<dyn ForeignCache>>,
    /// Suffixes whose names others are asked for.
    pub(crate) suffixes: Arc<Suffixes>,
    /// The queries of ports that wait for others.
    pub(crate) waits: OnceLock<Arc<dyn Waits>>,
    /// Whether somebody shows who asks for which names of others.
    pub(crate) shows_askers: AtomicBool,
    /// Whether the server was told to end.
    ending: AtomicBool,
    /// The names of views.
    pub views: Arc<Views>,
    /// What has changed of late.
    pub(crate) feed: Arc<Feed>,
    /// The zone files in the order of the configuration.
    zone_files: Mutex<Vec<ZoneFileState>>,
    /// How long publications took.
    publish_times: Mutex<PublishTimes>,
    /// Changes that the snapshot could not take.
    pub(crate) refusals: AtomicU64,
    /// RRsets that are remembered and not served.
    pub(crate) losers: AtomicU64,
    /// Durable commits of the store.
    pub(crate) store_commits: AtomicU64,
    /// Writes that those commits held.
    pub(crate) store_writes: AtomicU64,
}

impl State {
    /// Starts with what the publisher was made with.
    pub fn new(
        snapshot: Arc<Snapshot>,
        sources: &[&'static str],
        views: Arc<Views>,
        zone_files: Vec<ZoneFileState>,
    ) -> Self {
        Self {
            served: RwLock::new(Served { snapshot, zones: Arc::default() }),
            sources: sources.iter().map(|name| SourceState::new(name)).collect(),
            ports: OnceLock::new(),
            shown: OnceLock::new(),
            members: Arc::default(),
            etcd: OnceLock::new(),
            guests: OnceLock::new(),
            held: OnceLock::new(),
            replica: OnceLock::new(),
            kdns: OnceLock::new(),
            node_local: OnceLock::new(),
            foreign: OnceLock::new(),
            suffixes: Arc::default(),
            waits: OnceLock::new(),
            shows_askers: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            views,
            feed: Arc::default(),
            zone_files: Mutex::new(zone_files),
            publish_times: Mutex::default(),
            refusals: AtomicU64::new(0),
            losers: AtomicU64::new(0),
            store_commits: AtomicU64::new(0),
            store_writes: AtomicU64::new(0),
        }
    }

    /// The ports; none before they are shown.
    pub fn ports(&self) -> &[Arc<PortGauges>] {
        self.ports.get().map_or(&[], Vec::as_slice)
    }

    /// Shows the ports, if none were shown before.
    pub(crate) fn show_ports(&self, ports: Vec<Arc<PortGauges>>) {
        // The first ones count: ports do not change while the process runs.
        let _ = self.ports.set(ports);
    }

    /// Shows what is kept of names of others, and what becomes of the queries of ports that wait for them; the first call counts.
    pub(crate) fn show_foreign(&self, cache: Arc<dyn ForeignCache>, waits: Arc<dyn Waits>) {
        if self.shows_askers.load(Ordering::Relaxed) {
            cache.count_askers();
        }
        // Nothing changes where it was called before.
        let _ = self.foreign.set(cache);
        let _ = self.waits.set(waits);
    }

    /// What is served now.
    pub fn served(&self) -> Served {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The published snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    /// Notes a publication; written by the cycle alone.
    pub(crate) fn note_served(&self, served: Served, took: Duration) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
        let mut times = self.publish_times.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = took.as_secs_f64();
        let bucket = PUBLISH_SECONDS_BUCKETS.iter().position(|&bound| seconds <= bound).unwrap_or(0);
        if let Some(count) = times.buckets.get_mut(bucket) {
            *count += 1;
        }
        times.sum_seconds += seconds;
        times.last_seconds = seconds;
        times.count += 1;
    }

    /// How long publications took.
    pub fn publish_times(&self) -> PublishTimes {
        self.publish_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the server was told to end: it is not ready from now on, and answers all the same.
    pub(crate) fn note_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// True once the server was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// True once every source has told all that it had.
    pub fn is_synced(&self) -> bool {
        self.sources.iter().all(SourceState::is_synced)
    }

    /// Has answers held back until these sources have told everything, for a time at most; the first call counts.
    pub(crate) fn hold(&self, sources: Vec<&'static str>, time: Duration) {
        let _ = self.held.set((sources, Instant::now() + time));
    }

    /// True while answers are held back.
    pub fn is_held_back(&self) -> bool {
        let Some((names, until)) = self.held.get() else { return false };
        let is_missing = |source: &SourceState| names.contains(&source.name) && !source.is_synced();
        Instant::now() < *until && self.sources.iter().any(is_missing)
    }

    /// Waits as long as answers are held back.
    pub(crate) async fn until_answering(&self) {
        while self.is_held_back() {
            tokio::time::sleep(HELD_LOOK_INTERVAL).await;
        }
    }

    /// The zone files.
    pub fn zone_files(&self) -> Vec<ZoneFileState> {
        self.zone_files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes which zone files there are from now on; what is known of those that stay is kept.
    pub(crate) fn set_zone_files(&self, wanted: &[ZoneFileConfig]) {
        let mut files = self.zone_files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *files);
        let state = |file: &ZoneFileConfig| {
            let same = known.iter().find(|state| state.zone == file.zone).cloned();
            let state = same.unwrap_or_else(|| ZoneFileState::new(file));
            ZoneFileState { path: file.path.clone(), ..state }
        };
        *files = wanted.iter().map(state).collect();
    }

    /// Notes what became of a zone file.
    pub(crate) fn note_zone_file(&self, zone: &WireName, outcome: Result<u64, String>) {
        let mut files = self.zone_files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = files.iter_mut().find(|file| file.zone == *zone) else { return };
        match outcome {
            Ok(records) => (file.records, file.error) = (Some(records), None),
            Err(error) => file.error = Some(error),
        }
    }
}

/// Milliseconds since 1970; 0 on a machine whose clock is before that.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
