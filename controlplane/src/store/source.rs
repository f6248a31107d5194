//! The store as a source: tells the cycle all that the file has, then takes writes.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redb::{ReadableDatabase as _, ReadableTable as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::commit::with_refusals;
use super::etcd::{Replica, ReplicaState};
use super::handle::{Order, Readable, Request, StoreHandle, Wait, Waiter, Written};
use super::schema::{RRSETS, ZONES, rrset_of};
use super::{Store, Write, WriteError, view};
use crate::canonical::split_name;
use crate::config::{EtcdConfig, StoreEtcdConfig};
use crate::etcd::follow::News;
use crate::model::Change;
use crate::source::{Closed, Sink, Source};
use crate::state::State;

/// Writes that wait for the writer; whoever comes later waits outside.
const WAITING_WRITES_MAX: usize = 1024;

/// Writes that share one transaction: bounds how long the first waits for the last.
const GROUP_WRITES_MAX: usize = 256;

/// Changes that are handed to the cycle at once while the file is read.
const LOAD_CHANGES: usize = 5000;

/// How long the writer waits after what etcd says could not be kept.
const HEAL_PAUSE: Duration = Duration::from_secs(1);

/// RRsets between two lines of the log that tell how far the load is.
const PROGRESS_RRSETS: u64 = 1_000_000;

/// Why the store stops being a source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read.
    #[error("the store's file cannot be read: {0}")]
    Read(#[from] Box<redb::Error>),
    /// The file cannot become a replica.
    #[error("the store's file cannot be a replica of etcd: {0}")]
    Replica(String),
    /// The thread that works on the file panicked.
    #[error("the store's thread panicked")]
    Panicked,
}

/// The store as a source.
#[derive(Debug)]
pub(crate) struct StoreSource {
    /// The open store.
    pub(super) store: Store,
    /// Writes; the source ends when it is told to, or when nobody can write any more.
    pub(super) orders: mpsc::Receiver<Order>,
    /// Where commits are counted.
    pub(super) state: Arc<State>,
    /// What readers read.
    readable: Readable,
    /// True where the file has to be opened anew.
    broken: bool,
    /// What makes the file a replica of etcd, if it is one. The thread that works on the file has it alone.
    pub(super) replica: Option<RefCell<Replica>>,
}

/// What the writer is woken by.
enum Wake {
    /// An order.
    Order(Order),
    /// What etcd says.
    News(News),
}

impl StoreSource {
    /// Has the file be a replica of etcd.
    pub(crate) fn follow(self, etcd: &EtcdConfig, config: StoreEtcdConfig, runtime: Handle) -> Self {
        let seen = self.state.replica.get_or_init(|| Arc::new(ReplicaState::default()));
        let replica = Replica::new(etcd, config, Arc::clone(seen), runtime);
        Self { replica: Some(RefCell::new(replica)), ..self }
    }

    /// The source and whoever writes to it.
    pub(crate) fn new(store: Store, state: Arc<State>) -> (Self, StoreHandle) {
        let (sender, orders) = mpsc::channel(WAITING_WRITES_MAX);
        let readable: Readable = Arc::new(RwLock::new(Arc::downgrade(&store.database)));
        let handle = StoreHandle::new(sender, Arc::clone(&readable));
        (Self { store, orders, state, readable, broken: false, replica: None }, handle)
    }
}

impl Source for StoreSource {
    type Error = StoreError;

    async fn run(self, sink: Sink) -> Result<(), StoreError> {
        // The file is worked on by one thread that may block; it lives as long as the source.
        let worked = tokio::task::spawn_blocking(move || self.work(&sink)).await;
        worked.map_err(|_| StoreError::Panicked)?
    }
}

impl StoreSource {
    /// Loads, then writes until it is told to end.
    fn work(mut self, sink: &Sink) -> Result<(), StoreError> {
        if self.load(sink).map_err(Box::new)?.is_err() {
            return Ok(());
        }
        if let Some(replica) = &mut self.replica {
            replica.get_mut().start(&self.store.database).map_err(|error| StoreError::Replica(error.to_string()))?;
        }
        let (mut ends, mut is_synced) = (false, self.replica.is_none());
        while !ends && let Some(wake) = self.wait() {
            let first = match wake {
                Wake::Order(order) => order,
                Wake::News(news) => {
                    if self.take(news, &mut is_synced, sink).is_err() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Write(request) => group.push(*request),
                    Order::Stop => ends = true,
                }
                if !ends && group.len() < GROUP_WRITES_MAX {
                    next = self.orders.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.write_group(group, sink);
            }
        }
        tracing::debug!(path = %self.store.path.display(), "store is closed");
        Ok(())
    }

    /// Waits for an order, or for what etcd says, which comes first; nothing where nobody can write any more.
    fn wait(&mut self) -> Option<Wake> {
        let Some(replica) = &mut self.replica else { return self.orders.blocking_recv().map(Wake::Order) };
        let replica = replica.get_mut();
        let (runtime, news, orders) = (replica.runtime.clone(), &mut replica.news, &mut self.orders);
        runtime.block_on(async {
            tokio::select! {
                biased;
                Some(news) = news.recv() => Some(Wake::News(news)),
                order = orders.recv() => order.map(Wake::Order),
            }
        })
    }

    /// Takes what etcd says into the file, and has it published.
    fn take(&mut self, news: News, is_synced: &mut bool, sink: &Sink) -> Result<(), Closed> {
        let healed = self.heal();
        let Some(replica) = &mut self.replica else { return Ok(()) };
        let replica = replica.get_mut();
        let is_listing = matches!(news, News::Listing { .. });
        if let Err(error) = healed.and_then(|()| replica.take(&self.store.database, news)) {
            tracing::error!("what etcd says cannot be kept, and is read again: {error}");
            self.broken |= error.is_of_file();
            replica.distrust();
            // Reading all of it is not cheap: the disk gets a moment.
            std::thread::sleep(HEAL_PAUSE);
        }
        let untold = replica.take_untold();
        if !untold.is_empty() {
            sink.blocking_apply(untold)?;
        }
        // Without etcd the file is served as it is, if it is a replica at all.
        if !*is_synced && (is_listing || replica.is_servable()) {
            sink.blocking_synced()?;
            *is_synced = true;
        }
        Ok(())
    }

    /// Tells the cycle all that the file has.
    fn load(&self, sink: &Sink) -> Result<Result<(), Closed>, redb::Error> {
        let started = std::time::Instant::now();
        let read = self.store.database.begin_read()?;
        let mut changes: Vec<Change> = view::load(&read)?.into_iter().collect();
        for entry in read.open_table(ZONES)?.iter()? {
            let (key, _) = entry?;
            match split_name(key.value()) {
                Some((apex, [])) => changes.push(Change::AddZone(apex)),
                _ => tracing::error!(key = ?key.value(), "the store has a zone whose key is damaged; it is not served"),
            }
        }
        // What the file has not got a zone for may be in etcd.
        let zones = sink.blocking_apply(std::mem::take(&mut changes));
        let known = || if self.replica.is_some() { Ok(()) } else { sink.blocking_zones_known() };
        if let Err(closed) = zones.and_then(|()| known()) {
            return Ok(Err(closed));
        }
        let mut rrsets = 0;
        for entry in read.open_table(RRSETS)?.iter()? {
            let (key, value) = entry?;
            match rrset_of(key.value(), value.value()) {
                Some((apex, rrset)) => changes.push(Change::Put { apex, rrset }),
                None => tracing::error!(key = ?key.value(), "the store has an RRset that is damaged; it is not served"),
            }
            rrsets += 1;
            if rrsets % PROGRESS_RRSETS == 0 {
                tracing::info!(rrsets, "reading the store");
            }
            if self.orders.is_closed() {
                return Ok(Err(Closed));
            }
            if changes.len() >= LOAD_CHANGES && sink.blocking_apply(std::mem::take(&mut changes)).is_err() {
                return Ok(Err(Closed));
            }
        }
        tracing::info!(rrsets, seconds = started.elapsed().as_secs_f64(), "store is read");
        // A replica is compared with etcd before.
        let synced = || if self.replica.is_some() { Ok(()) } else { sink.blocking_synced() };
        Ok(sink.blocking_apply(changes).and_then(|()| synced()))
    }

    /// Writes a group in one transaction, has it published, and answers.
    fn write_group(&mut self, group: Vec<Request>, sink: &Sink) {
        let (writes, waiting): (Vec<Write>, Vec<Waiter>) = group.into_iter().unzip();
        let committed = self.heal().and_then(|()| self.commit(&writes));
        // What others have written meanwhile comes first.
        let untold = self.replica.as_ref().map(|replica| replica.borrow_mut().take_untold());
        if let Some(untold) = untold.filter(|untold| !untold.is_empty()) {
            // Where the cycle is gone, all of it is served after the next start.
            let _ = sink.blocking_apply(untold);
        }
        let committed = match committed {
            Ok(committed) => committed,
            Err(error) => {
                tracing::error!("{error}");
                // At once, so that reads go on: a file that cannot be written can mostly be read.
                self.broken = true;
                if let Err(error) = self.heal() {
                    tracing::error!("{error}");
                }
                for (_, done) in waiting {
                    let _ = done.send(Err(error.clone()));
                }
                return;
            }
        };
        let mut later = Vec::new();
        for (index, (waiter, answer)) in waiting.into_iter().zip(&committed.answers).enumerate() {
            match waiter {
                (Wait::Published, done) => later.push((index, done)),
                // A client that went away is not told; its write stands.
                (Wait::Stored, done) => {
                    let written = answer.clone().map(|outcome| Written { outcome, generation: None });
                    let _ = done.send(written);
                }
            }
        }
        let (answers, generation) = with_refusals(committed, sink, &self.state);
        for (index, done) in later {
            let answer = answers.get(index).cloned().unwrap_or(Err(WriteError::Unavailable));
            let _ = done.send(answer.map(|outcome| Written { outcome, generation: Some(generation) }));
        }
    }

    /// Opens the file anew where it failed.
    fn heal(&mut self) -> Result<(), WriteError> {
        if !self.broken {
            return Ok(());
        }
        let opened = self.store.reopen();
        *self.readable.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&self.store.database);
        opened.map_err(|error| WriteError::Storage(error.to_string()))?;
        self.broken = false;
        tracing::info!(path = %self.store.path.display(), "the store is open again");
        Ok(())
    }
}
