//! What others see of a replica.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use serde_json::{Value, json};

use crate::etcd::follow::Following;
use crate::metrics::{Labels, counter, gauge};

/// What others see of a replica.
#[derive(Debug, Default)]
pub(crate) struct ReplicaState {
    /// How it follows etcd.
    pub(super) following: Arc<Following>,
    /// Keys that say nothing.
    pub(super) malformed_keys: AtomicU64,
    /// Transactions that were decided again because another server was faster.
    pub(super) conflicts: AtomicU64,
    /// Why etcd is not followed though it is there.
    refused: Mutex<Option<String>>,
}

impl ReplicaState {
    /// Notes why etcd is not followed, or that it is.
    pub(super) fn refuse(&self, reason: Option<String>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why etcd is not followed though it is there.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True while a watch is open.
    pub(super) fn is_connected(&self) -> bool {
        self.following.connected.load(Ordering::Acquire)
    }

    /// For `/ready` and `/api/v1/status`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "connected": self.is_connected(),
            "error": self.refused().or_else(|| self.following.error()),
            "revision": self.following.revision.load(Ordering::Relaxed),
            "malformed_keys": self.malformed_keys.load(Ordering::Relaxed),
        })
    }

    /// For `/metrics`.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let takes = self.is_connected() && self.refused().is_none();
        for (name, help, value) in [
            ("connected", "1 while the store follows etcd and takes writes.", f64::from(u8::from(takes))),
            (
                "revision",
                "Revision of etcd that the store has.",
                self.following.revision.load(Ordering::Relaxed) as f64,
            ),
            (
                "malformed_keys",
                "Keys of the store in etcd that cannot be read.",
                self.malformed_keys.load(Ordering::Relaxed) as f64,
            ),
        ] {
            gauge(encoder, &format!("ringdns_store_etcd_{name}"), help, [(Labels::new(), value)])?;
        }
        let conflicts = (Labels::new(), self.conflicts.load(Ordering::Relaxed));
        let help = "Transactions that were decided again because another server was faster.";
        counter(encoder, "ringdns_store_etcd_conflicts", help, [conflicts])
    }
}
