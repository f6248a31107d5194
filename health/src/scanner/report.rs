//! Writes what has changed to etcd: compare and swap, several at the same time, again where etcd was away.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, TxnOpResponse};
use ringdns_controlplane::etcd::SessionError;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Shared;
use super::board::{Moves, Target, Write};
use crate::backoff::Backoff;
use crate::link::Entry;

/// Writes at the same time: etcd writes to disk what comes together.
const WRITES_MAX: usize = 64;

/// How often a write is tried anew at once after something had changed.
const TRIES: usize = 3;

/// Targets of which something may have to be written.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// They.
    targets: Mutex<HashSet<Target>>,
    /// Rings.
    bell: Notify,
    /// True while some that were taken out are written.
    writing: AtomicBool,
}

impl Inbox {
    /// The targets.
    fn targets(&self) -> MutexGuard<'_, HashSet<Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts targets in.
    pub(super) fn add(&self, targets: impl IntoIterator<Item = Target>) {
        self.targets().extend(targets);
        self.bell.notify_one();
    }

    /// Waits until there are some.
    async fn wait(&self) {
        while self.targets().is_empty() {
            self.bell.notified().await;
        }
    }

    /// Waits until everything is written, or etcd has to be waited for.
    pub(super) async fn idle(&self) {
        while !self.targets().is_empty() || self.writing.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Takes some out.
    fn take(&self, count: usize) -> Vec<Target> {
        let mut targets = self.targets();
        self.writing.store(true, Ordering::Relaxed);
        let taken: Vec<Target> = targets.iter().take(count).cloned().collect();
        for target in &taken {
            targets.remove(target);
        }
        taken
    }
}

/// Writes until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut writes = JoinSet::new();
    loop {
        // At the most so many, and each target once: its write is finished before it is taken out again.
        shared.inbox.wait().await;
        for target in shared.inbox.take(WRITES_MAX) {
            let shared = Arc::clone(&shared);
            writes.spawn(async move { report(&shared, &target).await.map_err(|error| (target, error)) });
        }
        let mut failure = None;
        while let Some(written) = writes.join_next().await {
            if let Ok(Err((target, error))) = written {
                shared.counts.failed.add(1);
                shared.inbox.add([target]);
                failure = Some(error);
            }
        }
        shared.inbox.writing.store(false, Ordering::Relaxed);
        match failure {
            None => backoff.reset(),
            Some(error) => {
                let pause = backoff.pause();
                tracing::warn!("etcd: states cannot be written: {error}; next try in {} ms", pause.as_millis());
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Writes what is due for a target. Without a lease nothing is: the next one has it looked at again.
async fn report(shared: &Shared, target: &Target) -> Result<(), SessionError> {
    for _ in 0..TRIES {
        let lease = i64::try_from(shared.counts.lease.get()).unwrap_or_default();
        if lease == 0 {
            return Ok(());
        }
        let Some(write) = shared.board().due(target, lease) else { return Ok(()) };
        if swap(shared, target, &write, lease).await? {
            shared.counts.written.add(1);
            return Ok(());
        }
        shared.counts.refused.add(1);
    }
    // The next check looks at it again.
    Ok(())
}

/// One compare and swap; false where something had changed, which is known then.
async fn swap(shared: &Shared, target: &Target, write: &Write, lease: i64) -> Result<bool, SessionError> {
    let ours = Compare::lease(shared.keys.agent(&shared.config.name), CompareOp::Equal, lease);
    let unchanged = write.unless_changed.iter();
    let unchanged = unchanged.map(|(key, revision)| Compare::mod_revision(key.as_str(), CompareOp::Equal, *revision));
    let conditions: Vec<Compare> = std::iter::once(ours).chain(unchanged).collect();
    let options = PutOptions::new().with_lease(if write.is_leased { lease } else { 0 });
    let put = TxnOp::put(write.key.as_str(), write.value.clone(), Some(options));
    let look: Vec<TxnOp> = write.unless_changed.iter().map(|(key, _)| TxnOp::get(key.as_str(), None)).collect();
    let answer = shared.link.txn(Txn::new().when(conditions).and_then([put]).or_else(look)).await?;
    if answer.succeeded() {
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let moves = shared.board().written(target, write, revision, lease);
        shared.moved(moves);
        return Ok(true);
    }
    for response in answer.op_responses() {
        let TxnOpResponse::Get(mut found) = response else { continue };
        // What is gone is told by the watch.
        let moves: Vec<Moves> =
            found.take_kvs().into_iter().map(|pair| shared.board().seen(Entry::from(pair))).collect();
        moves.into_iter().for_each(|moves| shared.moved(moves));
    }
    Ok(false)
}
