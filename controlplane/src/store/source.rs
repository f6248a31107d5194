//! The store as a source: tells the cycle all that the file has, then takes writes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use redb::{ReadableDatabase as _, ReadableTable as _};
use ringdns_engine::name::WireName;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::edit::carry_out;
use super::etcd::{Log, Replica, ReplicaState, Sent};
use super::schema::{RRSETS, ZONES, rrset_of};
use super::view;
use super::write::{Stored as _, Tables};
use super::{Outcome, Reading, Store, Write, WriteError};
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

/// Times that a transaction is decided again because another server was faster each time.
const OVERTAKEN_MAX: usize = 100;

/// RRsets between two lines of the log that tell how far the load is.
const PROGRESS_RRSETS: u64 = 1_000_000;

/// What a write came to.
type Answer = Result<Outcome, WriteError>;

/// A write and who waits for it.
type Request = (Write, oneshot::Sender<Answer>);

/// What the writer is told.
#[derive(Debug)]
enum Order {
    /// Write.
    Write(Box<Request>),
    /// Write what came before, and end.
    Stop,
}

/// Hands writes to the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    /// To the thread that works on the file.
    orders: mpsc::Sender<Order>,
    /// For readers; weak, so that a reader that lingers does not keep the file open.
    database: Weak<redb::Database>,
}

impl StoreHandle {
    /// Has a thread that may block look at what the store has at one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reading) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let database = self.database.upgrade().ok_or(WriteError::Unavailable)?;
        let looked = tokio::task::spawn_blocking(move || look(&Reading::open(&database)?)).await;
        looked.unwrap_or(Err(WriteError::Unavailable))
    }

    /// Writes; comes back when the write is on disk and served.
    pub(crate) async fn write(&self, write: Write) -> Result<Outcome, WriteError> {
        let (done, outcome) = oneshot::channel();
        let order = Order::Write(Box::new((write, done)));
        self.orders.send(order).await.map_err(|_| WriteError::Unavailable)?;
        outcome.await.unwrap_or(Err(WriteError::Unavailable))
    }

    /// Ends the store once what was handed over before is written. Later writes are refused.
    pub(crate) async fn stop(&self) {
        // Where nobody listens the store has ended already.
        let _ = self.orders.send(Order::Stop).await;
    }
}

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
    store: Store,
    /// Writes; the source ends when it is told to, or when nobody can write any more.
    orders: mpsc::Receiver<Order>,
    /// Where commits are counted.
    state: Arc<State>,
    /// What makes the file a replica of etcd, if it is one. The thread that works on the file has it alone.
    replica: Option<RefCell<Replica>>,
}

/// What the writer is woken by.
enum Wake {
    /// An order.
    Order(Order),
    /// What etcd says.
    News(News),
}

/// What became of a transaction.
enum Attempt {
    /// It is committed, or nothing was written.
    Done(Committed),
    /// An edit has failed half-way: its place, and why.
    Spoilt(usize, WriteError),
    /// Another server was faster: it has to be decided again.
    Overtaken,
    /// etcd has not taken it, and why; true where it would take less.
    Failed(WriteError, bool),
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
        let database = Arc::downgrade(&store.database);
        (Self { store, orders, state, replica: None }, StoreHandle { orders: sender, database })
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
        let Some(replica) = &mut self.replica else { return Ok(()) };
        let replica = replica.get_mut();
        let is_listing = matches!(news, News::Listing { .. });
        if let Err(error) = replica.take(&self.store.database, news) {
            tracing::error!("what etcd says cannot be kept, and is read again: {error}");
            replica.distrust();
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
    fn write_group(&self, group: Vec<Request>, sink: &Sink) {
        let (writes, waiting): (Vec<Write>, Vec<_>) = group.into_iter().unzip();
        let committed = self.commit(&writes);
        // What others have written meanwhile comes first.
        let untold = self.replica.as_ref().map(|replica| replica.borrow_mut().take_untold());
        if let Some(untold) = untold.filter(|untold| !untold.is_empty()) {
            // Where the cycle is gone, all of it is served after the next start.
            let _ = sink.blocking_apply(untold);
        }
        let answers = match committed {
            Ok(committed) => with_refusals(committed, sink),
            Err(error) => {
                tracing::error!("{error}");
                vec![Err(error); waiting.len()]
            }
        };
        for (done, answer) in waiting.into_iter().zip(answers) {
            // A client that went away is not told; its write stands.
            let _ = done.send(answer);
        }
    }

    /// For tests: the answers of writes that share a transaction, and what the cycle would be told.
    #[cfg(test)]
    pub(super) fn commit_all(&self, writes: &[Write]) -> Result<(Vec<Answer>, Vec<Change>), WriteError> {
        self.commit(writes).map(|committed| (committed.answers, committed.changes))
    }

    /// Carries out writes and makes them durable. Where an edit fails half-way the others are carried out without it.
    fn commit(&self, writes: &[Write]) -> Result<Committed, WriteError> {
        let (mut refused, mut tries) = (HashMap::new(), 0);
        loop {
            match self.attempt(writes, &refused)? {
                Attempt::Done(committed) => return Ok(committed),
                Attempt::Spoilt(index, error) => drop(refused.insert(index, error)),
                Attempt::Overtaken => {
                    // What was refused may be right by now.
                    refused.clear();
                    tries += 1;
                    if let Err(error) = self.catch_up(tries) {
                        return Ok(Committed::failed(writes, &error));
                    }
                }
                Attempt::Failed(_, true) if writes.len() > 1 => return self.commit_each(writes),
                Attempt::Failed(error, _) => return Ok(Committed::failed(writes, &error)),
            }
        }
    }

    /// Carries out writes one by one.
    fn commit_each(&self, writes: &[Write]) -> Result<Committed, WriteError> {
        let mut all = Committed::default();
        for write in writes {
            let Committed { answers, targets, changes } = self.commit(std::slice::from_ref(write))?;
            all.answers.extend(answers);
            all.targets.extend(targets);
            all.changes.extend(changes);
        }
        Ok(all)
    }

    /// Waits until what has overtaken a transaction is in the file.
    fn catch_up(&self, tries: usize) -> Result<(), WriteError> {
        let Some(replica) = &self.replica else { return Ok(()) };
        if tries > OVERTAKEN_MAX {
            return Err(WriteError::Etcd("other servers write all the time; try again".to_owned()));
        }
        replica.borrow_mut().catch_up(&self.store.database)
    }

    /// Carries out writes in one transaction but for those that are refused already; the place of an edit that spoilt it,
    /// and why, where one did.
    fn attempt(&self, writes: &[Write], refused: &HashMap<usize, WriteError>) -> Result<Attempt, WriteError> {
        let log = self.replica.as_ref().map(|_| Log::default());
        let transaction = self.store.database.begin_write().stored()?;
        let mut committed = Committed::default();
        let mut written = false;
        {
            let mut tables = Tables::open(&transaction, log.as_ref())?;
            for (index, write) in writes.iter().enumerate() {
                if let Some(error) = refused.get(&index) {
                    committed.push(Err(error.clone()), write, Vec::new());
                    continue;
                }
                let (answer, changes) = match write {
                    Write::Edit(edit) => {
                        let edited = carry_out(&**edit, &mut tables, &transaction)?;
                        written |= edited.written;
                        match edited.outcome {
                            // Half an edit is in the transaction: none of it is kept.
                            Err(error) if edited.written => return Ok(Attempt::Spoilt(index, error)),
                            outcome => (outcome.map(|()| Outcome::Replaced), edited.changes),
                        }
                    }
                    plain => match tables.apply(plain.clone()) {
                        Ok((outcome, changes)) => (Ok(outcome), changes),
                        Err(error) => (Err(error), Vec::new()),
                    },
                };
                if let Err(error @ WriteError::Storage(_)) = answer {
                    // Half a write may be in the transaction: none of it is kept.
                    return Err(error);
                }
                committed.push(answer, write, changes);
            }
            committed.changes.extend(tables.finish()?);
        }
        if committed.changes.is_empty() && !written {
            transaction.abort().stored()?;
        } else {
            let sent = match (&self.replica, log) {
                (Some(replica), Some(log)) => replica.borrow_mut().send(&transaction, &log.borrow())?,
                _ => Sent::Committed,
            };
            match sent {
                Sent::Committed => {}
                Sent::Overtaken => return transaction.abort().stored().map(|()| Attempt::Overtaken),
                Sent::Failed { error, is_too_much } => {
                    return transaction.abort().stored().map(|()| Attempt::Failed(error, is_too_much));
                }
            }
            let kept = transaction.commit().stored();
            if let Some(replica) = &self.replica {
                replica.borrow_mut().settle(kept.is_ok());
            }
            kept?;
            self.state.store_commits.fetch_add(1, Ordering::Relaxed);
            self.state.store_writes.fetch_add(writes.len() as u64, Ordering::Relaxed);
        }
        Ok(Attempt::Done(committed))
    }
}

/// What is on disk.
#[derive(Default)]
struct Committed {
    /// The answer of each write.
    answers: Vec<Answer>,
    /// Zones and owners that each write was about.
    targets: Vec<Vec<(WireName, WireName)>>,
    /// What the cycle has to know.
    changes: Vec<Change>,
}

impl Committed {
    /// Writes of which none was carried out, for the same reason.
    fn failed(writes: &[Write], error: &WriteError) -> Self {
        let mut committed = Self::default();
        writes.iter().for_each(|write| committed.push(Err(error.clone()), write, Vec::new()));
        committed
    }

    /// Notes what became of the next write.
    fn push(&mut self, answer: Answer, write: &Write, changes: Vec<Change>) {
        let of_change = |change: &Change| match change {
            Change::Put { apex, rrset } => Some((apex.clone(), rrset.owner.clone())),
            _ => None,
        };
        let target = write.target();
        self.targets.push(target.map_or_else(|| changes.iter().filter_map(of_change).collect(), |target| vec![target]));
        self.answers.push(answer);
        self.changes.extend(changes);
    }
}

/// Has changes published; a write whose RRset the snapshot could not take is told so.
fn with_refusals(committed: Committed, sink: &Sink) -> Vec<Answer> {
    let Committed { mut answers, targets, changes } = committed;
    if changes.is_empty() {
        return answers;
    }
    // Where the cycle is gone the writes are on disk, and served after the next start.
    let published = sink.blocking_apply_tracked(changes).ok().and_then(|published| published.blocking_recv().ok());
    for refusal in published.into_iter().flat_map(|published| published.refusals) {
        for (answer, targets) in answers.iter_mut().zip(&targets) {
            let is_refused = targets.iter().any(|(apex, owner)| *apex == refusal.apex && *owner == refusal.owner);
            if answer.is_ok() && is_refused {
                *answer = Err(WriteError::NotServed(refusal.to_string()));
            }
        }
    }
    answers
}
