//! Sources of other crates: the control plane runs them beside its own and knows nothing else of them.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use prometheus_client::collector::Collector;

use crate::source::Sink;

/// What a guest's task gives back: why it ended before its time.
pub type GuestTask = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send>>> + Send>>;

/// A source that another crate brings along. Its priority is below that of the control plane's own, and by the order in which
/// guests are given.
pub trait Guest: Send {
    /// Its name in `/ready`, `/api/v1/status` and metrics.
    fn name(&self) -> &'static str;

    /// What it shows in the metrics.
    fn metrics(&self) -> Option<Box<dyn Collector>> {
        None
    }

    /// Tells the sink everything it has, then `synced`, then every change, as [`crate::source::Source::run`] does.
    fn run(self: Box<Self>, sink: Sink) -> GuestTask;
}
