//! The source: begins with the zones, takes what is told of the cluster, and hands on what that changes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use ringdns_controlplane::config::{Config, KubernetesAccess, KubernetesConfig};
use ringdns_controlplane::guest::{Guest, GuestTask, Shown};
use ringdns_controlplane::source::{Closed, Sink};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::api::{Following, Plan, Tempo, Told};
use crate::cache::Cache;
use crate::config::{options, own_addresses};
use crate::metrics::Reader;
use crate::object::{Event, Object};
use crate::records::Records;
use crate::state::{ClusterState, now_ms};

/// Least time between two publications: what comes in the meantime is handed on together. A change that comes alone waits for
/// nothing.
const COALESCE: Duration = Duration::from_millis(3);

/// Endpoints and other objects that are taken before what they change is handed on, however much is waiting.
const BATCH_WEIGHT: usize = 2000;

/// Changes from which on a batch waits until the one before it is published: what other sources say stands behind one such batch
/// at most, however much is listed.
const PACED_CHANGES: usize = 1000;

/// Messages that are taken at once.
const MESSAGES_MAX: usize = 256;

/// How often it is looked whether a copy on disk is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The cluster of a configuration as a source; nothing where there is none.
pub fn guest(config: &Config) -> Option<Box<dyn Guest>> {
    guest_with(config, Tempo::default())
}

/// [`guest`] at another pace, for tests.
pub fn guest_with(config: &Config, tempo: Tempo) -> Option<Box<dyn Guest>> {
    let cluster = config.kubernetes.as_ref()?;
    let records = Records::new(options(cluster, own_addresses(config, cluster)));
    Some(Box::new(ClusterSource::new(cluster, records, tempo)))
}

/// A cluster as a source.
#[derive(Debug)]
struct ClusterSource {
    /// How the API server is reached.
    access: KubernetesAccess,
    /// What is followed.
    plan: Plan,
    /// How long what may take.
    tempo: Tempo,
    /// How long the first listing is waited for.
    startup_timeout: Duration,
    /// Makes records.
    records: Records,
    /// The copy on disk.
    cache: Cache,
    /// What others see.
    state: Arc<ClusterState>,
    /// The scopes that were not listed yet.
    unlisted: HashSet<usize>,
    /// True once everything was said that there was at the start.
    synced: bool,
    /// True once everything was listed and handed on: what changes from then on is measured.
    is_measuring: bool,
    /// When something was handed on last.
    handed: Option<Instant>,
    /// Told when the last large batch is published.
    published: Option<JoinHandle<()>>,
}

impl ClusterSource {
    /// A source that has not said anything.
    fn new(config: &KubernetesConfig, records: Records, tempo: Tempo) -> Self {
        let plan = Plan::new(config);
        let state = Arc::new(ClusterState::new(&plan));
        Self {
            access: config.access.clone(),
            unlisted: (0..plan.scopes.len()).collect(),
            plan,
            tempo,
            startup_timeout: config.startup_timeout,
            records,
            cache: Cache::new(config.cache_file.clone()),
            state,
            synced: false,
            is_measuring: false,
            handed: None,
            published: None,
        }
    }

    /// Says everything, until the cycle is gone.
    async fn serve(&mut self, sink: &Sink) -> Result<(), Closed> {
        sink.apply(self.records.begin()).await?;
        sink.zones_known().await?;
        self.load(sink).await?;
        let mut following = Following::start(&self.plan, &self.access, self.tempo, &self.state);
        let late = tokio::time::sleep(self.startup_timeout);
        tokio::pin!(late);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                count = following.told.recv_many(&mut waiting, MESSAGES_MAX) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.gather(&mut following.told, &mut waiting).await;
                    self.take(&mut waiting, sink).await?;
                }
                () = &mut late, if !self.synced && self.cache.is_loaded() => self.be_late(sink).await?,
                _ = look.tick() => {
                    // Counting looks at everything that is kept.
                    self.state.note_kept(tokio::task::block_in_place(|| self.records.counts()));
                    self.cache.look(&self.records, &self.state, self.unlisted.is_empty());
                }
            }
        }
    }

    /// Says what the copy on disk has.
    async fn load(&mut self, sink: &Sink) -> Result<(), Closed> {
        for object in self.cache.load(&self.state).await {
            self.records.take(Event::Put(object));
        }
        if self.cache.is_loaded() { self.hand_on(sink).await } else { Ok(()) }
    }

    /// The API server is not there in time: the cluster as it was last is all there is to know. Names that it does not have are
    /// denied then, because resolvers walk their search paths by such answers.
    async fn be_late(&mut self, sink: &Sink) -> Result<(), Closed> {
        tracing::warn!("the API server has not listed everything in time; the cluster as it was last is served");
        self.synced = true;
        sink.synced().await
    }

    /// Waits for more, where something was handed on a moment ago.
    async fn gather(&self, told: &mut mpsc::Receiver<Told>, waiting: &mut Vec<Told>) {
        let Some(due) = self.handed.map(|handed| handed + COALESCE) else { return };
        while waiting.len() < MESSAGES_MAX {
            match tokio::time::timeout_at(due.into(), told.recv()).await {
                Ok(Some(more)) => waiting.push(more),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Takes what was told, and hands on what it changes.
    async fn take(&mut self, waiting: &mut Vec<Told>, sink: &Sink) -> Result<(), Closed> {
        let mut weight = 0;
        for told in waiting.drain(..) {
            match told {
                Told::Events(events) => {
                    for event in events {
                        weight += weigh(&event);
                        self.cache.note(&event);
                        self.records.take(event);
                        if weight >= BATCH_WEIGHT {
                            weight = 0;
                            self.hand_on(sink).await?;
                        }
                    }
                }
                Told::Listed(place) => {
                    self.unlisted.remove(&place);
                    let scopes = &self.plan.scopes;
                    let kind = scopes[place].what.kind();
                    if !self.unlisted.iter().any(|&place| scopes[place].what.kind() == kind) {
                        for event in self.cache.unlisted(kind) {
                            self.records.take(event);
                        }
                    }
                }
            }
        }
        self.hand_on(sink).await?;
        if self.unlisted.is_empty() {
            self.is_measuring = true;
            self.state.from_cache.store(false, Ordering::Relaxed);
            if !self.synced {
                self.synced = true;
                sink.synced().await?;
                tracing::info!("the cluster is served as it is");
            }
        }
        Ok(())
    }

    /// Hands on what the events so far change.
    async fn hand_on(&mut self, sink: &Sink) -> Result<(), Closed> {
        // Much of it keeps a core busy for a while: the other tasks of this thread go on elsewhere.
        let changes = tokio::task::block_in_place(|| self.records.changes(now_seconds()));
        let programmed = self.records.programmed();
        self.handed = Some(Instant::now());
        if changes.is_empty() {
            return Ok(());
        }
        let is_large = changes.len() >= PACED_CHANGES;
        // What is listed at start changed long ago, and is not measured.
        let is_measured = !programmed.is_empty() && self.is_measuring;
        if is_large && let Some(published) = self.published.take() {
            // Fails where the cycle is gone, which the next batch tells.
            let _ = published.await;
        }
        if !is_large && !is_measured {
            return sink.apply(changes).await;
        }
        let (published, state) = (sink.apply_tracked(changes).await?, Arc::clone(&self.state));
        let published = tokio::spawn(async move {
            if published.await.is_ok() && is_measured {
                let now = now_ms();
                programmed.iter().for_each(|found| state.note_programmed(found, now));
            }
        });
        if is_large {
            self.published = Some(published);
        }
        Ok(())
    }
}

/// About how much work an event is.
fn weigh(event: &Event) -> usize {
    match event {
        Event::Put(Object::Slice(slice)) => 1 + slice.endpoints.len(),
        _ => 1,
    }
}

/// Seconds since 1970.
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Shown for ClusterState {
    fn json(&self) -> Value {
        ClusterState::json(self)
    }
}

impl Guest for ClusterSource {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn metrics(&self) -> Option<Box<dyn Collector>> {
        Some(Box::new(Reader(Arc::clone(&self.state))))
    }

    fn shown(&self) -> Option<Arc<dyn Shown>> {
        Some(Arc::<ClusterState>::clone(&self.state))
    }

    fn hold(&self) -> Duration {
        self.startup_timeout
    }

    fn run(mut self: Box<Self>, sink: Sink) -> GuestTask {
        Box::pin(async move {
            // Fails where the cycle is gone: the program ends.
            let _ = self.serve(&sink).await;
            Ok(())
        })
    }
}
