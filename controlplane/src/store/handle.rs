//! Who writes to the store, and who reads it.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::{mpsc, oneshot};

use super::{Outcome, Reading, Write, WriteError};

/// What a writer waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The write is on disk.
    Stored,
    /// It is served, too.
    #[default]
    Published,
}

/// A write that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// What it did.
    pub(crate) outcome: Outcome,
    /// Generation of the snapshot that has it; nothing where nobody waited for that.
    pub(crate) generation: Option<u64>,
}

/// Who waits for a write, and what for.
pub(super) type Waiter = (Wait, oneshot::Sender<Result<Written, WriteError>>);

/// A write and who waits for it.
pub(super) type Request = (Write, Waiter);

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Order {
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
    /// For readers.
    database: Readable,
}

/// What readers read. Weak, so that a reader that lingers does not keep the file open; another one once it was opened anew.
pub(super) type Readable = Arc<RwLock<Weak<redb::Database>>>;

impl StoreHandle {
    /// To a thread that takes orders, over what readers read.
    pub(super) fn new(orders: mpsc::Sender<Order>, database: Readable) -> Self {
        Self { orders, database }
    }

    /// Has a thread that may block look at what the store has at one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reading) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner).upgrade();
        let database = database.ok_or(WriteError::Unavailable)?;
        let looked = tokio::task::spawn_blocking(move || look(&Reading::open(&database)?)).await;
        looked.unwrap_or(Err(WriteError::Unavailable))
    }

    /// Writes; comes back when the write is on disk and served.
    pub(crate) async fn write(&self, write: Write) -> Result<Outcome, WriteError> {
        self.write_until(write, Wait::Published).await.map(|written| written.outcome)
    }

    /// Writes; comes back when the write is as far as the writer waits for.
    pub(crate) async fn write_until(&self, write: Write, wait: Wait) -> Result<Written, WriteError> {
        let (done, outcome) = oneshot::channel();
        let order = Order::Write(Box::new((write, (wait, done))));
        self.orders.send(order).await.map_err(|_| WriteError::Unavailable)?;
        outcome.await.unwrap_or(Err(WriteError::Unavailable))
    }

    /// Ends the store once what was handed over before is written. Later writes are refused.
    pub(crate) async fn stop(&self) {
        // Where nobody listens the store has ended already.
        let _ = self.orders.send(Order::Stop).await;
    }
}
