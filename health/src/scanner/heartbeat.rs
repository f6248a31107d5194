//! Our key among the agents: it lies on a lease, and all our writes are made only while it does. Who was away for so long that
//! others took over writes nothing any more.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};
use ringdns_controlplane::config::health::ScannerConfig;
use ringdns_controlplane::etcd::SessionError;

use super::count::Counts;
use crate::backoff::Backoff;
use crate::keys::Keys;
use crate::link::Link;
use crate::values;

/// Keeps the key.
pub(super) struct Heartbeat {
    /// Etcd.
    pub(super) link: Link,
    /// Keys.
    pub(super) keys: Keys,
    /// Who we are.
    pub(super) config: ScannerConfig,
    /// Where the lease is shown.
    pub(super) counts: Arc<Counts>,
}

impl Heartbeat {
    /// Goes on until it is dropped.
    pub(super) async fn run(self, on_lease: impl Fn()) {
        let mut backoff = Backoff::default();
        // The lease before; none: this run has had none.
        let mut before = None;
        loop {
            match self.register(before).await {
                Ok(Some(lease)) => {
                    before = Some(lease);
                    backoff.reset();
                    self.counts.lease.set(lease.unsigned_abs());
                    on_lease();
                    self.keep(lease).await;
                    self.counts.lease.set(0);
                    self.counts.leases_lost.add(1);
                }
                Ok(None) => tracing::error!(
                    "another scanner runs as {}: nothing is written until it ends; give each a scanner.name of its own",
                    self.config.name
                ),
                Err(error) => tracing::warn!("etcd: no lease: {error}"),
            }
            backoff.wait().await;
        }
    }

    /// Writes the key on a new lease; nothing where another has it. At the start an older one is that of a run before
    /// this, which may have had no time to end it; later it may be there because etcd was away for longer than we.
    async fn register(&self, before: Option<i64>) -> Result<Option<i64>, SessionError> {
        let lease = self.link.grant(self.config.lease).await?;
        let key = self.keys.agent(&self.config.name);
        let absent = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
        let tries = match before {
            None => vec![Vec::new()],
            Some(before) => vec![vec![absent], vec![Compare::lease(key.as_str(), CompareOp::Equal, before)]],
        };
        for conditions in tries {
            let answer = self.link.txn(Txn::new().when(conditions).and_then([self.put(lease)])).await?;
            if answer.succeeded() {
                return Ok(Some(lease));
            }
        }
        self.link.revoke(lease).await?;
        Ok(None)
    }

    /// The key with the time of now.
    fn put(&self, lease: i64) -> TxnOp {
        let value = values::heartbeat(self.keys.generation(), &self.config.name, SystemTime::now());
        TxnOp::put(self.keys.agent(&self.config.name), value, Some(PutOptions::new().with_lease(lease)))
    }

    /// Renews a lease until it is lost.
    async fn keep(&self, lease: i64) {
        let (mut renewed, mut written) = (Instant::now(), Instant::now());
        let pause = (self.config.lease / 3).max(Duration::from_millis(200));
        let pause = self.config.heartbeat.map_or(pause, |heartbeat| pause.min(heartbeat));
        while renewed.elapsed() < self.config.lease {
            tokio::time::sleep(pause).await;
            match self.link.renew(lease).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return tracing::warn!("etcd: the lease is gone"),
                Err(error) => {
                    tracing::warn!("etcd: the lease cannot be renewed: {error}");
                    continue;
                }
            }
            if self.config.heartbeat.is_some_and(|heartbeat| written.elapsed() >= heartbeat) {
                let ours = Compare::lease(self.keys.agent(&self.config.name), CompareOp::Equal, lease);
                match self.link.txn(Txn::new().when([ours]).and_then([self.put(lease)])).await {
                    Ok(answer) if answer.succeeded() => written = Instant::now(),
                    Ok(_) => return tracing::warn!("etcd: the key of {} is another's", self.config.name),
                    Err(error) => tracing::warn!("etcd: the heartbeat cannot be written: {error}"),
                }
            }
        }
        tracing::warn!("etcd: the lease was not renewed in time");
    }
}
