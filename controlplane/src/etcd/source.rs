//! The source: the copy on disk first, then a listing, then changes as they come; and all over again where etcd was away.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use etcd_client::{EventType, WatchResponse, WatchStream};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::cache;
use super::client::{Header, Member, Range, SessionError, ranges};
use super::model::{Model, Update};
use super::state::EtcdState;
use crate::config::EtcdConfig;
use crate::source::{Published, Sink, Source};
use crate::state::now_ms;

/// Least time between two copies on disk.
const CACHE_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is looked whether a copy is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// First pause after a failure; it doubles from one to the next.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Changes that are handed to the cycle at once while much is read.
const BATCH_CHANGES: usize = 5000;

/// Changes from which on a batch waits until the one before it is published: what other sources say stands behind one such batch
/// at most, however much is listed.
const PACED_CHANGES: usize = 1000;

/// Malformed keys that are logged one by one of a page or an answer; the rest is counted.
const FAULTS_LOGGED_MAX: usize = 10;

/// etcd as a source.
#[derive(Debug)]
pub(crate) struct EtcdSource {
    /// Where etcd is, and what is read.
    config: Arc<EtcdConfig>,
    /// What others see.
    state: Arc<EtcdState>,
    /// What etcd has.
    model: Model,
    /// What is listed and watched.
    ranges: Vec<Range>,
    /// Up to where each range was taken: the revision to go on from; empty: all has to be listed.
    next: Vec<i64>,
    /// The cluster that they are of.
    cluster: u64,
    /// True once everything was said that there was at the start.
    synced: bool,
    /// True where the copy on disk is behind.
    is_unsaved: bool,
    /// When it was written last.
    saved: Option<Instant>,
    /// Told when the last large batch is published.
    published: Option<oneshot::Receiver<Published>>,
    /// The copy that is being written; true where that went well.
    saving: Option<JoinHandle<bool>>,
}

/// Why a session ends.
enum End {
    /// The cycle is gone.
    Closed,
    /// etcd is.
    Failed(SessionError),
}

impl From<crate::source::Closed> for End {
    fn from(_: crate::source::Closed) -> Self {
        Self::Closed
    }
}

impl From<SessionError> for End {
    fn from(error: SessionError) -> Self {
        Self::Failed(error)
    }
}

impl EtcdSource {
    /// A source that has not said anything.
    pub(crate) fn new(config: &EtcdConfig, state: Arc<EtcdState>) -> Self {
        let status_path = config.status_path.clone().map(String::into_bytes);
        let ranges = ranges(&config.trees, status_path.as_deref());
        let model = Model::new(config.trees.clone().into(), status_path, config.status_unknown);
        Self {
            config: Arc::new(config.clone()),
            state,
            model,
            ranges,
            next: Vec::new(),
            cluster: 0,
            synced: false,
            is_unsaved: false,
            saved: None,
            published: None,
            saving: None,
        }
    }

    /// Says what the copy on disk has. True where there is one.
    async fn load(&mut self, sink: &Sink) -> Result<bool, End> {
        let path = self.config.cache_file.clone();
        let shown = path.display().to_string();
        let copied = tokio::task::spawn_blocking(move || cache::read(&path)).await;
        let copied = match copied {
            Ok(Ok(Some(copied))) => copied,
            Ok(Ok(None)) | Err(_) => return Ok(false),
            Ok(Err(error)) => {
                tracing::error!(path = shown, "the copy of etcd's data on disk is not used: {error}");
                return Ok(false);
            }
        };
        let is_ours = |(key, _): &(Vec<u8>, Vec<u8>)| self.ranges.iter().any(|range| range.has(key));
        let updates: Vec<Update> =
            copied.pairs.into_iter().filter(is_ours).map(|(key, value)| (key, Some(value))).collect();
        tracing::info!(path = shown, keys = updates.len(), "etcd's data as they were last are served until it answers");
        self.state.contact_ms.store(copied.contact_ms, Ordering::Relaxed);
        self.state.from_cache.store(true, Ordering::Relaxed);
        self.take(updates, copied.revision, sink).await?;
        Ok(true)
    }

    /// Takes updates of a revision into the model and has published what they change.
    async fn take(&mut self, updates: Vec<Update>, revision: i64, sink: &Sink) -> Result<(), End> {
        if updates.is_empty() {
            return Ok(());
        }
        // Much of it keeps a core busy for a while: the other tasks of this thread go on elsewhere.
        let outcome = if updates.len() < PACED_CHANGES {
            self.model.apply(updates, serial(revision))
        } else {
            tokio::task::block_in_place(|| self.model.apply(updates, serial(revision)))
        };
        for (key, fault) in outcome.faults.iter().take(FAULTS_LOGGED_MAX) {
            tracing::warn!(key = %String::from_utf8_lossy(key), "a key of etcd is not served: {fault}");
        }
        if let Some(more) = outcome.faults.len().checked_sub(FAULTS_LOGGED_MAX).filter(|&more| more > 0) {
            tracing::warn!("{more} more keys of etcd are not served");
        }
        self.state.keys.store(self.model.len() as u64, Ordering::Relaxed);
        self.state.malformed_keys.store(self.model.malformed() as u64, Ordering::Relaxed);
        self.state.note_refused_wildcards(self.model.refused_wildcards());
        self.is_unsaved = true;
        if let Some(stubs) = outcome.stubs {
            self.state.suffixes.set_stubs(stubs);
        }
        match outcome.changes.len() {
            0 => {}
            1..PACED_CHANGES => sink.apply(outcome.changes).await?,
            _ => {
                if let Some(published) = self.published.take() {
                    // Where nobody tells any more, the next batch says why.
                    let _ = published.await;
                }
                self.published = Some(sink.apply_tracked(outcome.changes).await?);
            }
        }
        Ok(())
    }

    /// Makes the model what etcd has: page by page, of one revision. What has not changed is not touched.
    async fn list(&mut self, member: &Member, sink: &Sink) -> Result<(), End> {
        let started = Instant::now();
        let mut at: Option<Header> = None;
        for range in self.ranges.clone() {
            let mut from = range.first.clone();
            let mut updates = Vec::new();
            loop {
                let page = member.page(&range, &from, at.map(|header| header.revision)).await?;
                let header = *at.get_or_insert(page.header);
                let pairs: Vec<_> = page.pairs.into_iter().filter(|(key, _)| range.has(key)).collect();
                let last = pairs.last().map(|(key, _)| key.clone()).filter(|_| page.more);
                let mut next = last.clone().unwrap_or_else(|| range.end.clone());
                if last.is_some() {
                    next.push(0);
                }
                updates.extend(self.model.replacing(&from, &next, pairs));
                let is_last = last.is_none();
                if is_last || updates.len() >= BATCH_CHANGES {
                    self.take(std::mem::take(&mut updates), header.revision, sink).await?;
                }
                if is_last {
                    break;
                }
                from = next;
            }
        }
        let Header { cluster, revision } = at.unwrap_or_default();
        self.next = vec![revision + 1; self.ranges.len()];
        self.cluster = cluster;
        self.ranges.iter().for_each(|range| self.state.reach.note(&range.first, revision));
        self.state.lists.fetch_add(1, Ordering::Relaxed);
        self.state.revision.store(revision, Ordering::Relaxed);
        self.state.from_cache.store(false, Ordering::Relaxed);
        let (keys, malformed) = (self.model.len(), self.model.malformed());
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(keys, malformed, revision, seconds, "etcd was listed");
        Ok(())
    }

    /// One connection: lists where that is needed, then takes what comes.
    async fn session(&mut self, endpoint: &str, sink: &Sink) -> Result<Infallible, End> {
        let member = Member::connect(endpoint, &self.config).await?;
        loop {
            if self.next.is_empty() {
                self.list(&member, sink).await?;
            }
            let stream = member.watch(&self.ranges, &self.next).await?;
            match self.watch(stream, endpoint, sink).await {
                // The revisions that were missed are gone: everything is listed again and compared.
                Err(End::Failed(error)) if error.is_compacted() => self.next.clear(),
                Err(end) => return Err(end),
                Ok(()) => self.next.clear(),
            }
        }
    }

    /// Takes what comes, until etcd has to be listed again.
    async fn watch(&mut self, mut stream: WatchStream, endpoint: &str, sink: &Sink) -> Result<(), End> {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let mut awaited = self.ranges.len();
        let opened = Instant::now();
        loop {
            let answer = tokio::select! {
                answer = stream.message() => answer.map_err(SessionError::from)?.ok_or(SessionError::Closed)?,
                _ = look.tick() => {
                    self.save();
                    if awaited > 0 && opened.elapsed() > self.config.timeout {
                        return Err(SessionError::Timeout(self.config.timeout).into());
                    }
                    continue;
                }
            };
            let header = Header::of(answer.header());
            let place = usize::try_from(answer.watch_id() - 1).ok();
            let Some(place) = place.filter(|&place| place < self.next.len()) else { continue };
            if answer.compact_revision() > 0 {
                tracing::info!(revision = self.next[place], "etcd has compacted what was missed; it is listed again");
                return Ok(());
            }
            if answer.canceled() {
                return Err(SessionError::Canceled(answer.cancel_reason().to_owned()).into());
            }
            if answer.created() {
                if header.cluster != self.cluster || header.revision < self.next[place] - 1 {
                    tracing::warn!("this etcd is another one, or was put back to an earlier state; it is listed again");
                    return Ok(());
                }
                awaited = awaited.saturating_sub(1);
                if awaited == 0 {
                    tracing::info!(endpoint, revision = header.revision, "watching etcd");
                    self.state.note_connected();
                    self.sync(sink).await?;
                }
                continue;
            }
            self.take_answer(place, header, &answer, sink).await?;
        }
    }

    /// Takes the events of a range; what etcd says in one answer is published at once, so no transaction is seen half.
    async fn take_answer(
        &mut self,
        place: usize,
        header: Header,
        answer: &WatchResponse,
        sink: &Sink,
    ) -> Result<(), End> {
        let next = self.next[place];
        let mut reached = if answer.events().is_empty() { header.revision } else { next - 1 };
        let mut updates: Vec<Update> = Vec::new();
        for event in answer.events() {
            let Some(pair) = event.kv().filter(|pair| pair.mod_revision() >= next) else { continue };
            reached = reached.max(pair.mod_revision());
            if self.ranges[place].has(pair.key()) {
                let value = (event.event_type() == EventType::Put).then(|| pair.value().to_vec());
                updates.push((pair.key().to_vec(), value));
            }
        }
        self.take(updates, reached, sink).await?;
        self.next[place] = next.max(reached + 1);
        self.state.reach.note(&self.ranges[place].first, self.next[place] - 1);
        self.state.revision.fetch_max(reached, Ordering::Relaxed);
        Ok(())
    }

    /// Says once that everything was said.
    async fn sync(&mut self, sink: &Sink) -> Result<(), End> {
        if !self.synced {
            sink.synced().await?;
            self.synced = true;
        }
        Ok(())
    }

    /// Has a copy written to disk, unless one is being written, or was a moment ago, or there is nothing new.
    fn save(&mut self) {
        if let Some(saved) = self.saving.take_if(|saving| saving.is_finished())
            && saved.now_or_never().is_none_or(|saved| !saved.unwrap_or(false))
        {
            self.is_unsaved = true;
        }
        let is_busy = self.saving.is_some();
        let is_early = self.saved.is_some_and(|saved| saved.elapsed() < CACHE_INTERVAL);
        if !self.is_unsaved || is_busy || is_early || self.state.from_cache.load(Ordering::Relaxed) {
            return;
        }
        self.is_unsaved = false;
        self.saved = Some(Instant::now());
        let (pairs, path) = (self.model.pairs(), self.config.cache_file.clone());
        let (state, revision) = (Arc::clone(&self.state), self.state.revision.load(Ordering::Relaxed));
        let is_current = self.state.connected.load(Ordering::Relaxed);
        let contact_ms = if is_current { now_ms() } else { self.state.contact_ms.load(Ordering::Relaxed) };
        self.saving = Some(tokio::task::spawn_blocking(move || {
            let written = cache::write(&path, contact_ms, revision, &pairs);
            match &written {
                Ok(()) => drop(state.cache_writes.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%path, "the copy of etcd's data cannot be written: {error}; make its directory writable");
                }
            }
            written.is_ok()
        }));
    }

    /// Connects again and again, until the cycle is gone.
    async fn serve(&mut self, sink: &Sink) -> Result<Infallible, End> {
        sink.apply(self.model.zones(serial(0))).await?;
        sink.zones_known().await?;
        let has_copy = self.load(sink).await?;
        let endpoints = self.config.endpoints.clone();
        // Replicas that start together do not all ask the same member.
        let mut turn = usize::try_from(chance()).unwrap_or_default() % endpoints.len().max(1);
        let mut pause = PAUSE_FIRST;
        let mut failures = 0;
        loop {
            let endpoint = endpoints.get(turn % endpoints.len().max(1)).map_or("", String::as_str);
            let error = match self.session(endpoint, sink).await {
                Ok(never) => return Ok(never),
                Err(End::Closed) => return Err(End::Closed),
                Err(End::Failed(error)) => error,
            };
            if self.state.connected.load(Ordering::Relaxed) {
                (pause, failures) = (PAUSE_FIRST, 0);
            }
            tracing::warn!(endpoint, "etcd is away, what it had stays served: {error}");
            self.state.note_failure(format!("{endpoint}: {error}"));
            failures += 1;
            if failures >= endpoints.len() && has_copy {
                if !self.synced {
                    tracing::warn!("no member of etcd answers; its data as they were last are served");
                }
                self.sync(sink).await?;
            }
            self.save();
            // Half of the pause by chance: many servers do not come back at the same moment.
            tokio::time::sleep(pause / 2 + (pause / 2).mul_f64(chance() as f64 / u64::MAX as f64)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            turn = turn.wrapping_add(1);
        }
    }
}

impl Source for EtcdSource {
    type Error = Infallible;

    async fn run(mut self, sink: Sink) -> Result<(), Infallible> {
        match self.serve(&sink).await {
            Ok(never) => match never {},
            // The program ends.
            Err(_) => Ok(()),
        }
    }
}

/// The serial number of zones at a revision: the same on every server.
fn serial(revision: i64) -> u32 {
    // Serial numbers go round (RFC 1982).
    u32::try_from(revision.rem_euclid(1 << 32)).unwrap_or_default()
}

/// A number by chance, without a generator: std seeds its hashers so.
fn chance() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
