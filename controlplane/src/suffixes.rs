//! Suffixes whose names others are asked for: those of the configuration, and the stub zones that etcd has. Written by who reads
//! them; the cycle cuts them out of the zones that they are in, and who forwards follows the stub zones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringdns_engine::name::WireName;
use tokio::sync::watch;

use crate::config::Config;
use crate::config::forward::ForwardMode;
use crate::foreign::ForeignCache;

/// Zones and who is asked for their names, as etcd has them for SkyDNS.
pub type StubZones = BTreeMap<WireName, Vec<SocketAddr>>;

/// The suffixes, for the control plane.
#[derive(Debug, Default)]
pub(crate) struct Suffixes {
    /// Those of the configuration.
    configured: Mutex<BTreeSet<WireName>>,
    /// Those of etcd.
    stubs: watch::Sender<Arc<StubZones>>,
    /// True where the cycle has not seen them yet.
    are_new: AtomicBool,
}

/// Has who forwards follow stub zones.
pub(crate) async fn follow(mut stubs: watch::Receiver<Arc<StubZones>>, forwarder: Arc<dyn ForeignCache>) {
    loop {
        let (zones, to) = (Arc::clone(&stubs.borrow_and_update()), Arc::clone(&forwarder));
        // Upstreams are taken up and the cache is looked through: it takes a while, and what has changed since comes after.
        let told = tokio::task::spawn_blocking(move || to.set_stub_zones(&zones)).await;
        if told.is_err() || stubs.changed().await.is_err() {
            return;
        }
    }
}

impl Suffixes {
    /// Takes those of a configuration.
    pub(crate) fn configure(&self, config: &Config) {
        let zones = config.forward.iter().flat_map(|forward| &forward.zones);
        let asked = zones.filter(|zone| zone.mode != ForwardMode::Disable).map(|zone| zone.zone.to_lowercase());
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = asked.collect();
        self.are_new.store(true, Ordering::Release);
    }

    /// Takes those of etcd, all of them.
    pub(crate) fn set_stubs(&self, stubs: StubZones) {
        self.stubs.send_replace(Arc::new(stubs));
        self.are_new.store(true, Ordering::Release);
    }

    /// Follows those of etcd.
    pub(crate) fn stubs(&self) -> watch::Receiver<Arc<StubZones>> {
        self.stubs.subscribe()
    }

    /// True where the cycle has something to take.
    pub(crate) fn are_new(&self) -> bool {
        self.are_new.load(Ordering::Acquire)
    }

    /// All of them, where they are others than at the last call.
    pub(crate) fn take_new(&self) -> Option<BTreeSet<WireName>> {
        // Before they are read: what comes after that is for the next call.
        if !self.are_new.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut all = self.configured.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.extend(self.stubs.borrow().keys().cloned());
        Some(all)
    }
}
