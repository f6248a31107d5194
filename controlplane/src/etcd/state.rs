//! What others see of the source.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use serde_json::{Value, json};

use super::reach::Reach;
use crate::health::Table;
use crate::metrics::{Labels, counter, gauge};
use crate::state::now_ms;
use crate::suffixes::Suffixes;

/// What others see of the source. Written by it alone.
#[derive(Debug, Default)]
pub(crate) struct EtcdState {
    /// True while a watch is open.
    pub(super) connected: AtomicBool,
    /// Revision of etcd up to which everything was taken; 0: none.
    pub(super) revision: AtomicI64,
    /// Keys that are known.
    pub(super) keys: AtomicU64,
    /// Keys among them that say nothing.
    pub(super) malformed_keys: AtomicU64,
    /// Times that all keys were listed.
    pub(super) lists: AtomicU64,
    /// Times that a connection failed or was lost.
    pub(super) failures: AtomicU64,
    /// Times that the copy on disk was written.
    pub(super) cache_writes: AtomicU64,
    /// When the data was known to be etcd's, in milliseconds since 1970; 0: never.
    pub(super) contact_ms: AtomicU64,
    /// True as long as what is served was never compared with etcd since the start.
    pub(super) from_cache: AtomicBool,
    /// Up to where each range was handed over.
    pub(super) reach: Reach,
    /// Which addresses are up.
    pub(super) health: Arc<Table>,
    /// Where stub zones are told.
    pub(super) suffixes: Arc<Suffixes>,
    /// Prefixes of trees whose questions with `*` and `any` are not answered for their number.
    refused_wildcards: Mutex<Vec<String>>,
    /// Why there is no connection.
    error: Mutex<Option<String>>,
}

impl EtcdState {
    /// Of a source that has not said anything, which keeps a table of addresses and tells stub zones.
    pub(crate) fn new(health: Arc<Table>, suffixes: Arc<Suffixes>) -> Self {
        Self { health, suffixes, ..Self::default() }
    }

    /// Notes the trees whose questions with `*` and `any` are not answered for their number.
    pub(super) fn note_refused_wildcards(&self, prefixes: Vec<String>) {
        *self.refused_wildcards.lock().unwrap_or_else(PoisonError::into_inner) = prefixes;
    }

    /// Notes that a watch is open.
    pub(super) fn note_connected(&self) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.contact_ms.store(now_ms(), Ordering::Relaxed);
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Notes that there is none any more.
    pub(super) fn note_failure(&self, error: String) {
        if self.connected.swap(false, Ordering::Relaxed) {
            self.contact_ms.store(now_ms(), Ordering::Relaxed);
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Seconds for which the data may have been other than etcd's; nothing before there was any.
    fn age_seconds(&self) -> Option<f64> {
        if self.connected.load(Ordering::Relaxed) {
            return Some(0.0);
        }
        let then = Some(self.contact_ms.load(Ordering::Relaxed)).filter(|&then| then > 0)?;
        Some(now_ms().saturating_sub(then) as f64 / 1000.0)
    }

    /// For `/ready` and `/api/v1/status`.
    pub(crate) fn json(&self) -> Value {
        let [up, down] = self.health.counts();
        json!({
            "connected": self.connected.load(Ordering::Relaxed),
            "error": *self.error.lock().unwrap_or_else(PoisonError::into_inner),
            "age_seconds": self.age_seconds(),
            "from_cache": self.from_cache.load(Ordering::Relaxed),
            "revision": self.revision.load(Ordering::Relaxed),
            "keys": self.keys.load(Ordering::Relaxed),
            "malformed_keys": self.malformed_keys.load(Ordering::Relaxed),
            "addresses_up": up,
            "addresses_down": down,
            "wildcards_refused": *self.refused_wildcards.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// For `/metrics`.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let flag = |flag: &AtomicBool| f64::from(u8::from(flag.load(Ordering::Relaxed)));
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
        for (name, help, value) in [
            ("connected", "1 while changes come from etcd.", flag(&self.connected)),
            ("from_cache", "1 while what is served was read from disk at start.", flag(&self.from_cache)),
            ("revision", "Revision of etcd that is served.", self.revision.load(Ordering::Relaxed) as f64),
            ("keys", "Keys that were read from etcd.", number(&self.keys)),
            ("malformed_keys", "Keys among them that cannot be read.", number(&self.malformed_keys)),
        ] {
            gauge(encoder, &format!("ringdns_etcd_{name}"), help, [(Labels::new(), value)])?;
        }
        let addresses = ["up", "down"].into_iter().zip(self.health.counts());
        let addresses = addresses.map(|(status, count)| (vec![("status", status.to_owned())], count as f64));
        gauge(encoder, "ringdns_etcd_addresses", "Addresses whose status is known from etcd.", addresses)?;
        let refused = self.refused_wildcards.lock().unwrap_or_else(PoisonError::into_inner).len();
        let help = "Trees whose questions with * and any are not answered because they take too many names.";
        gauge(encoder, "ringdns_etcd_wildcards_refused", help, [(Labels::new(), refused as f64)])?;
        let age = self.age_seconds().map(|age| (Labels::new(), age));
        gauge(encoder, "ringdns_etcd_age_seconds", "Seconds since the data was known to be etcd's.", age)?;
        for (name, help, value) in [
            ("lists", "Times that all keys were listed.", &self.lists),
            ("failures", "Times that a connection failed or was lost.", &self.failures),
            ("cache_writes", "Times that the copy on disk was written.", &self.cache_writes),
        ] {
            let row = (Labels::new(), value.load(Ordering::Relaxed));
            counter(encoder, &format!("ringdns_etcd_{name}"), help, [row])?;
        }
        Ok(())
    }
}
