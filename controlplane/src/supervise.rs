//! Sources as tasks of the control plane's runtime.

use std::fmt::Display;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::guest::Guest;
use crate::source::{Event, Sink, Source};
use crate::state::State;

/// Starts a source of this crate: see [`supervise`].
pub(crate) fn spawn_source<S: Source>(
    runtime: &Runtime,
    state: &Arc<State>,
    origin: u8,
    source: S,
    events: &mpsc::Sender<Event>,
) -> AbortHandle {
    supervise(runtime, state, origin, source.run(Sink::new(origin, events.clone())))
}

/// Starts a source of another crate: see [`supervise`].
pub(crate) fn spawn_guest(
    runtime: &Runtime,
    state: &Arc<State>,
    origin: u8,
    guest: Box<dyn Guest>,
    events: &mpsc::Sender<Event>,
) -> AbortHandle {
    supervise(runtime, state, origin, guest.run(Sink::new(origin, events.clone())))
}

/// Runs a source; one that fails is told in the log and by `/ready`, and what it said stays served.
fn supervise<E: Display + Send + 'static>(
    runtime: &Runtime,
    state: &Arc<State>,
    origin: u8,
    source: impl Future<Output = Result<(), E>> + Send + 'static,
) -> AbortHandle {
    let state = Arc::clone(state);
    let task = runtime.spawn(async move {
        let Err(error) = source.await else { return };
        let Some(source) = state.sources.get(usize::from(origin)) else { return };
        tracing::error!(source = source.name, "the source ended: {error}; what it said before stays served");
        source.note_failure(error.to_string());
    });
    task.abort_handle()
}
