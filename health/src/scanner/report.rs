//! Writes what has changed to etcd: compare and swap, many in one transaction of transactions, again where etcd was away.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use ringdns_controlplane::etcd::SessionError;
use tokio::sync::Notify;

use super::Shared;
use super::board::{Target, Write};
use crate::backoff::Backoff;
use crate::link::{Entry, Link};

/// Writes of one transaction: etcd takes 128 operations in all, and as many below each.
const WRITES_MAX: usize = 64;

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
    pub(super) async fn wait(&self) {
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

    /// What was taken out is written.
    pub(super) fn written(&self) {
        self.writing.store(false, Ordering::Relaxed);
    }

    /// Takes some out.
    pub(super) fn take(&self, count: usize) -> Vec<Target> {
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
pub(super) async fn run(shared: Arc<Shared>, link: Link) {
    let mut backoff = Backoff::default();
    loop {
        shared.inbox.wait().await;
        let targets = shared.inbox.take(WRITES_MAX);
        let written = report(&shared, &link, &targets).await;
        let failure = written.err();
        if failure.is_some() {
            shared.counts.failed.add(1);
            shared.inbox.add(targets);
        }
        shared.inbox.written();
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

/// Writes what is due for targets. Without a lease nothing is: the next one has all of them looked at again.
async fn report(shared: &Shared, link: &Link, targets: &[Target]) -> Result<(), SessionError> {
    let lease = i64::try_from(shared.counts.lease.get()).unwrap_or_default();
    if lease == 0 {
        return Ok(());
    }
    let due: Vec<(&Target, Write)> = {
        let board = shared.board();
        targets.iter().filter_map(|target| Some((target, board.due(target, lease)?))).collect()
    };
    if due.is_empty() {
        return Ok(());
    }
    // Who has lost its place to another writes nothing at all.
    let ours = Compare::lease(shared.keys.agent(&shared.config.name), CompareOp::Equal, lease);
    let swaps: Vec<TxnOp> = due.iter().map(|(_, write)| TxnOp::txn(swap(write, lease))).collect();
    let answer = link.txn(Txn::new().when([ours]).and_then(swaps)).await?;
    if !answer.succeeded() {
        shared.counts.refused.add(due.len() as u64);
        return Ok(());
    }
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    for ((target, write), response) in due.iter().zip(answer.op_responses()) {
        match response {
            TxnOpResponse::Txn(swapped) if swapped.succeeded() => {
                shared.counts.written.add(1);
                let moves = shared.board().written(target, write, revision, lease);
                shared.moved(moves);
            }
            TxnOpResponse::Txn(swapped) => {
                shared.counts.refused.add(1);
                learn(shared, &swapped);
                // Else there is nothing new to go by: the next check looks at it again.
                if shared.board().due(target, lease).is_some_and(|again| again.unless_changed != write.unless_changed) {
                    shared.inbox.add([(*target).clone()]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One compare and swap; where something has changed it is read.
fn swap(write: &Write, lease: i64) -> Txn {
    let unchanged = write.unless_changed.iter();
    let unchanged: Vec<Compare> =
        unchanged.map(|(key, revision)| Compare::mod_revision(key.as_str(), CompareOp::Equal, *revision)).collect();
    let options = PutOptions::new().with_lease(if write.is_leased { lease } else { 0 });
    let put = TxnOp::put(write.key.as_str(), write.value.clone(), Some(options));
    let look: Vec<TxnOp> = write.unless_changed.iter().map(|(key, _)| TxnOp::get(key.as_str(), None)).collect();
    Txn::new().when(unchanged).and_then([put]).or_else(look)
}

/// Takes what was read in place of a write. What is gone is told by the watch.
fn learn(shared: &Shared, refused: &TxnResponse) {
    for response in refused.op_responses() {
        let TxnOpResponse::Get(mut found) = response else { continue };
        for pair in found.take_kvs() {
            let moves = shared.board().seen(Entry::from(pair));
            shared.moved(moves);
        }
    }
}
