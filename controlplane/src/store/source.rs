//! The store as a source: tells the cycle all that the file has, then takes writes.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use redb::{ReadableDatabase as _, ReadableTable as _};
use ringdns_engine::name::WireName;
use tokio::sync::{mpsc, oneshot};

use super::edit::carry_out;
use super::schema::{RRSETS, ZONES, rrset_of};
use super::view;
use super::write::{Stored as _, Tables};
use super::{Outcome, Reading, Store, Write, WriteError};
use crate::canonical::split_name;
use crate::model::Change;
use crate::source::{Closed, Sink, Source};
use crate::state::State;

/// Writes that wait for the writer; whoever comes later waits outside.
const WAITING_WRITES_MAX: usize = 1024;

/// Writes that share one transaction: bounds how long the first waits for the last.
const GROUP_WRITES_MAX: usize = 256;

/// Changes that are handed to the cycle at once while the file is read.
const LOAD_CHANGES: usize = 5000;

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
}

impl StoreSource {
    /// The source and whoever writes to it.
    pub(crate) fn new(store: Store, state: Arc<State>) -> (Self, StoreHandle) {
        let (sender, orders) = mpsc::channel(WAITING_WRITES_MAX);
        let database = Arc::downgrade(&store.database);
        (Self { store, orders, state }, StoreHandle { orders: sender, database })
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
        let mut ends = false;
        while !ends && let Some(first) = self.orders.blocking_recv() {
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
        Ok(sink.blocking_apply(changes).and_then(|()| sink.blocking_synced()))
    }

    /// Writes a group in one transaction, has it published, and answers.
    fn write_group(&self, group: Vec<Request>, sink: &Sink) {
        let (writes, waiting): (Vec<Write>, Vec<_>) = group.into_iter().unzip();
        let answers = match self.commit(&writes) {
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
        let mut refused = HashMap::new();
        loop {
            match self.attempt(writes, &refused)? {
                Ok(committed) => return Ok(committed),
                Err((index, error)) => drop(refused.insert(index, error)),
            }
        }
    }

    /// Carries out writes in one transaction but for those that are refused already; the place of an edit that spoilt it,
    /// and why, where one did.
    fn attempt(
        &self,
        writes: &[Write],
        refused: &HashMap<usize, WriteError>,
    ) -> Result<Result<Committed, (usize, WriteError)>, WriteError> {
        let transaction = self.store.database.begin_write().stored()?;
        let mut committed = Committed::default();
        let mut written = false;
        {
            let mut tables = Tables::open(&transaction)?;
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
                            Err(error) if edited.written => return Ok(Err((index, error))),
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
            transaction.commit().stored()?;
            self.state.store_commits.fetch_add(1, Ordering::Relaxed);
            self.state.store_writes.fetch_add(writes.len() as u64, Ordering::Relaxed);
        }
        Ok(Ok(committed))
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
