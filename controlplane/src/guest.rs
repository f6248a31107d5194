//! Sources of other crates: the control plane runs them beside its own and knows nothing else of them.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use serde_json::Value;

use crate::source::Sink;

/// What a guest's task gives back: why it ended before its time.
pub type GuestTask = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send>>> + Send>>;

/// What a source of another crate shows.
pub trait Shown: std::fmt::Debug + Send + Sync {
    /// As it is now.
    fn json(&self) -> Value;
}

/// A source that another crate brings along. Its priority is below that of the control plane's own, and by the order in which
/// guests are given.
pub trait Guest: Send {
    /// Its name in `/ready`, `/api/v1/status` and metrics.
    fn name(&self) -> &'static str;

    /// What it shows in the metrics.
    fn metrics(&self) -> Option<Box<dyn Collector>> {
        None
    }

    /// What it shows by its name in `/ready` and `/api/v1/status`.
    fn shown(&self) -> Option<Arc<dyn Shown>> {
        None
    }

    /// How long DNS is held back at most until it has told everything: whoever asks too early is better asked to wait than told
    /// that something failed.
    fn hold(&self) -> Duration {
        Duration::ZERO
    }

    /// Tells the sink everything it has, then `synced`, then every change, as [`crate::source::Source::run`] does.
    fn run(self: Box<Self>, sink: Sink) -> GuestTask;
}
