//! The store as a source: tells the cycle all that the file has, then takes writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::{ReadableDatabase as _, ReadableTable as _};
use ringdns_engine::name::WireName;
use tokio::sync::{mpsc, oneshot};

use super::schema::{RRSETS, ZONES, rrset_of};
use super::write::{Stored as _, Tables};
use super::{Outcome, Store, Write, WriteError};
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
pub(crate) struct StoreHandle(mpsc::Sender<Order>);

impl StoreHandle {
    /// Writes; comes back when the write is on disk and served.
    pub(crate) async fn write(&self, write: Write) -> Result<Outcome, WriteError> {
        let (done, outcome) = oneshot::channel();
        let order = Order::Write(Box::new((write, done)));
        self.0.send(order).await.map_err(|_| WriteError::Unavailable)?;
        outcome.await.unwrap_or(Err(WriteError::Unavailable))
    }

    /// Ends the store once what was handed over before is written. Later writes are refused.
    pub(crate) async fn stop(&self) {
        // Where nobody listens the store has ended already.
        let _ = self.0.send(Order::Stop).await;
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
        (Self { store, orders, state }, StoreHandle(sender))
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
        let mut changes = Vec::new();
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
        let targets: Vec<_> = writes.iter().map(Write::target).collect();
        let answers = match self.commit(writes) {
            Ok((answers, changes)) => with_refusals(answers, &targets, changes, sink),
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

    /// Carries out writes and makes them durable; gives the answer of each and what the cycle has to know.
    fn commit(&self, writes: Vec<Write>) -> Result<(Vec<Answer>, Vec<Change>), WriteError> {
        let count = writes.len() as u64;
        let transaction = self.store.database.begin_write().stored()?;
        let mut changes = Vec::new();
        let mut answers = Vec::new();
        {
            let mut tables = Tables::open(&transaction)?;
            for write in writes {
                match tables.apply(write) {
                    Ok((outcome, more)) => {
                        changes.extend(more);
                        answers.push(Ok(outcome));
                    }
                    // Half a write may be in the transaction: none of it is kept.
                    Err(error @ WriteError::Storage(_)) => return Err(error),
                    Err(error) => answers.push(Err(error)),
                }
            }
            changes.extend(tables.finish()?);
        }
        if changes.is_empty() {
            transaction.abort().stored()?;
        } else {
            transaction.commit().stored()?;
            self.state.store_commits.fetch_add(1, Ordering::Relaxed);
            self.state.store_writes.fetch_add(count, Ordering::Relaxed);
        }
        Ok((answers, changes))
    }
}

/// Has changes published; a write whose RRset the snapshot could not take is told so.
fn with_refusals(
    mut answers: Vec<Answer>,
    targets: &[(WireName, WireName)],
    changes: Vec<Change>,
    sink: &Sink,
) -> Vec<Answer> {
    if changes.is_empty() {
        return answers;
    }
    // Where the cycle is gone the writes are on disk, and served after the next start.
    let published = sink.blocking_apply_tracked(changes).ok().and_then(|published| published.blocking_recv().ok());
    for refusal in published.into_iter().flat_map(|published| published.refusals) {
        for (answer, (apex, owner)) in answers.iter_mut().zip(targets) {
            if answer.is_ok() && *apex == refusal.apex && *owner == refusal.owner {
                *answer = Err(WriteError::NotServed(refusal.to_string()));
            }
        }
    }
    answers
}
