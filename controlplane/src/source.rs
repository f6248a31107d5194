//! Sources: where records come from. A source is a task that tells a [`Sink`] what it has; it knows nothing of other
//! sources, of priorities or of the snapshot.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::health::owners::Found;
use crate::merge::Refusal;
use crate::model::Change;

/// Batches that wait for the cycle. A source that is ahead waits; the cycle takes all that wait in one go.
const WAITING_BATCHES_MAX: usize = 256;

/// A source of records.
pub trait Source: Send + 'static {
    /// Why a source ends before its time.
    type Error: std::error::Error + Send + 'static;

    /// Tells the sink everything it has, then `synced`, then every change, until it is told to end; as soon as it can, all zones
    /// and `zones_known`.
    fn run(self, sink: Sink) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What a source says to the cycle.
#[derive(Debug)]
pub(crate) enum Event {
    /// Changes that become visible together.
    Batch(Batch),
    /// Everything that the source had when it started has been said.
    Synced {
        /// The source.
        origin: u8,
    },
    /// Every zone has been said that the source can have until then.
    ZonesKnown {
        /// The source.
        origin: u8,
    },
    /// The owners of members were found.
    Found(Found),
    /// Time passes: a look at retired snapshots is due.
    Tick,
}

/// Changes of one source that become visible together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The source.
    pub(crate) origin: u8,
    /// What it says.
    pub(crate) changes: Vec<Change>,
    /// Told when the changes are published.
    pub(crate) done: Option<oneshot::Sender<Published>>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Generation of the snapshot that the changes are in.
    pub generation: u64,
    /// Changes that the snapshot could not take.
    pub refusals: Vec<Refusal>,
}

/// The cycle is gone: the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control plane is shutting down")]
pub struct Closed;

/// Where a source says what it has.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The source.
    origin: u8,
    /// The cycle's queue.
    events: mpsc::Sender<Event>,
}

impl Sink {
    /// A sink for a source, by its place in the order of priority.
    pub(crate) fn new(origin: u8, events: mpsc::Sender<Event>) -> Self {
        Self { origin, events }
    }

    /// Hands over changes that become visible together; waits while the cycle is behind.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<(), Closed> {
        self.send(self.batch(changes, None)).await
    }

    /// Hands over changes; the answer comes when they are published.
    pub async fn apply_tracked(&self, changes: Vec<Change>) -> Result<oneshot::Receiver<Published>, Closed> {
        let (done, published) = oneshot::channel();
        self.send(self.batch(changes, Some(done))).await?;
        Ok(published)
    }

    /// [`Sink::apply`] from a thread that may block.
    pub fn blocking_apply(&self, changes: Vec<Change>) -> Result<(), Closed> {
        self.events.blocking_send(self.batch(changes, None)).map_err(|_| Closed)
    }

    /// Says that each zone has been handed over that the source can have before it is synced: a name that is in no zone is not its
    /// own. A source that cannot know says nothing, and names of others are not asked for until it is synced.
    pub async fn zones_known(&self) -> Result<(), Closed> {
        self.send(Event::ZonesKnown { origin: self.origin }).await
    }

    /// [`Sink::zones_known`] from a thread that may block.
    pub(crate) fn blocking_zones_known(&self) -> Result<(), Closed> {
        self.events.blocking_send(Event::ZonesKnown { origin: self.origin }).map_err(|_| Closed)
    }

    /// [`Sink::synced`] from a thread that may block.
    pub fn blocking_synced(&self) -> Result<(), Closed> {
        self.events.blocking_send(Event::Synced { origin: self.origin }).map_err(|_| Closed)
    }

    /// [`Sink::apply_tracked`] from a thread that may block.
    pub fn blocking_apply_tracked(&self, changes: Vec<Change>) -> Result<oneshot::Receiver<Published>, Closed> {
        let (done, published) = oneshot::channel();
        self.events.blocking_send(self.batch(changes, Some(done))).map_err(|_| Closed)?;
        Ok(published)
    }

    /// Says that everything the source had when it started has been handed over.
    pub async fn synced(&self) -> Result<(), Closed> {
        self.send(Event::Synced { origin: self.origin }).await
    }

    /// A batch of this source.
    fn batch(&self, changes: Vec<Change>, done: Option<oneshot::Sender<Published>>) -> Event {
        Event::Batch(Batch { origin: self.origin, changes, done })
    }

    /// Queues an event.
    async fn send(&self, event: Event) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }
}

/// Tells the cycle at intervals that time passes, as long as there is a source.
pub(crate) async fn tick(events: mpsc::WeakSender<Event>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(events) = events.upgrade() else { return };
        // Where the queue is full the cycle has turns enough without a tick.
        let _ = events.try_send(Event::Tick);
    }
}

/// The cycle's queue.
pub(crate) fn queue() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    mpsc::channel(WAITING_BATCHES_MAX)
}
