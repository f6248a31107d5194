//! The forwarder as others see it.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use ringdns_controlplane::config::forward::ForwardConfig;
use ringdns_engine::cache::{CacheDesk, CacheShelf};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, KeptAnswer, RecallConfig};
use ringdns_engine::snapshot::Snapshot;
use tokio::runtime::Handle;

use crate::policy::Policy;

/// Gives the newest published snapshot.
pub type Snapshots = Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// Why the forwarder cannot be started, or another configuration not be taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream is this server itself.
    #[error("{upstream} is an address of this server: what is sent there comes back; name another upstream")]
    OwnAddress {
        /// The upstream.
        upstream: String,
    },
}

/// Asks others, and keeps what they say. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Arc<Parts>);

/// What the clones have in common.
struct Parts {
    /// What workers see of the cache.
    shelf: Arc<CacheShelf>,
}

/// An entry of the cache, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in lower case.
    pub name: WireName,
    /// The type that was asked for.
    pub qtype: u16,
    /// The answer.
    pub answer: KeptAnswer,
    /// How often it was used of late, up to 15.
    pub uses: u8,
}

impl Forwarder {
    /// Starts to forward: the cache's memory is taken, its file read, upstreams are taken up. All that waits runs on `runtime`.
    /// The seed of the snapshots must be the same for as long as the process lives.
    pub fn start(
        config: &ForwardConfig,
        _runtime: Handle,
        _snapshots: Snapshots,
        _policy: Arc<dyn Policy>,
    ) -> Result<Self, StartError> {
        let desk = CacheDesk::new(config.cache.bytes);
        Ok(Self(Arc::new(Parts { shelf: Arc::clone(desk.shelf()) })))
    }

    /// What workers see of the cache; the same for as long as the forwarder lives.
    pub fn shelf(&self) -> Arc<CacheShelf> {
        Arc::clone(&self.0.shelf)
    }

    /// The TTL of stale answers that workers give at once; nothing where they give none.
    pub fn stale_ttl(&self) -> Option<u32> {
        None
    }

    /// How workers and sockets answer from the cache: to be asked for again after [`Self::reload`].
    pub fn recall(&self) -> RecallConfig {
        RecallConfig { shelf: self.shelf(), authoritative: false, stale_ttl_seconds: self.stale_ttl() }
    }

    /// Takes another configuration; the size of the cache and its file stay. Upstreams that are in both keep their state. Where
    /// it is not taken all stays as it was.
    pub fn reload(&self, _config: &ForwardConfig) -> Result<(), StartError> {
        Ok(())
    }

    /// Removes entries: of names at and below one, of one type. Gives their number. Answers under way for them are not kept.
    pub fn flush(&self, _below: Option<&WireName>, _qtype: Option<u16>) -> usize {
        0
    }

    /// Entries of names at and below one, the oldest first: those behind the first `skipped`, `count` at most.
    pub fn entries(&self, _below: Option<&WireName>, _skipped: usize, _count: usize) -> Vec<Entry> {
        Vec::new()
    }

    /// Metrics.
    pub fn metrics(&self) -> Box<dyn Collector> {
        Box::new(ForwarderMetrics)
    }

    /// Ends it: who waits is told SERVFAIL, and the cache's file is written. Questions that come later are told SERVFAIL.
    pub fn stop(&self) {}
}

impl AskOthers for Forwarder {
    fn ask(&self, _question: ForeignQuestion, done: Done) {
        done(Some(Arc::new(KeptAnswer::empty(2))));
    }
}

/// The forwarder's metrics.
#[derive(Debug)]
struct ForwarderMetrics;

impl Collector for ForwarderMetrics {
    fn encode(&self, _encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        Ok(())
    }
}
