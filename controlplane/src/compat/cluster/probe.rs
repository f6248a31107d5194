//! The probes of kube-dns's sidecar: a question at intervals, shown as `/healthcheck/<label>` and as metrics.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ask::{Way, ask};
use super::exposition::Exposition;
use super::observed::Observed;
use crate::config::ClusterProbe;

/// Upper bounds of the latencies in milliseconds: the first, the factor, and how many.
const LATENCY_BOUNDS_MS: (f64, f64, usize) = (0.25, 2.0, 16);

/// A probe and what it found.
#[derive(Debug)]
pub(super) struct Probe {
    /// What it asks.
    config: ClusterProbe,
    /// Latencies in milliseconds, and errors.
    observed: Observed,
    /// How long the last answer took, or why there was none.
    last: Mutex<Result<Duration, String>>,
}

impl Probe {
    /// A probe that has not asked yet.
    pub(super) fn new(config: ClusterProbe) -> Self {
        let (first, factor, bounds) = LATENCY_BOUNDS_MS;
        let last = Mutex::new(Err("waiting for first probe".to_owned()));
        Self { config, observed: Observed::new(first, factor, bounds), last }
    }

    /// What it is called.
    pub(super) fn label(&self) -> &str {
        &self.config.label
    }

    /// Asks at intervals; does not end.
    pub(super) async fn run(&self) {
        let mut due = tokio::time::interval(self.config.interval);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let begun = Instant::now();
            let ClusterProbe { server, name, qtype, .. } = &self.config;
            let found = match ask(Way::Udp, *server, name, *qtype).await {
                Ok(answer) if answer.records == 0 => Err(format!("no RRs for domain \"{name}\"")),
                Ok(_) => Ok(begun.elapsed()),
                Err(error) => Err(error.to_string()),
            };
            match &found {
                Ok(took) => self.observed.note(took.as_secs_f64() * 1000.0),
                Err(_) => self.observed.note_failure(),
            }
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    /// `/healthcheck/<label>`: status and body, whose members stand in the sidecar's order.
    pub(super) fn answer(&self) -> (u16, String) {
        match &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(took) => (200, format!("{{\"IsOk\":true,\"LatencySeconds\":{},\"Err\":\"\"}}", took.as_secs_f64())),
            Err(error) => {
                (503, format!("{{\"IsOk\":false,\"LatencySeconds\":0,\"Err\":{}}}", Value::from(error.as_str())))
            }
        }
    }

    /// Writes its metrics.
    pub(super) fn encode(&self, text: &mut Exposition) {
        let (label, (values, buckets)) = (self.label(), self.observed.read());
        let help = format!("Latency of the DNS probe request {label}.");
        text.family(&format!("kubedns_probe_{label}_latency_ms"), "histogram", &help);
        text.histogram(&[], buckets, values.sum);
        let help = format!("Count of errors in name resolution of {label}.");
        text.family(&format!("kubedns_probe_{label}_errors"), "counter", &help);
        text.row(&[], values.failures);
    }
}
