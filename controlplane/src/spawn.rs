//! Starts what runs beside each other: the cycle on a thread, each source as a task, and a look at the workers.

use std::sync::Arc;
use std::thread::JoinHandle;

use ringdns_engine::publish::Publisher;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::api::ready;
use crate::config::{Config, EtcdConfig};
use crate::control::{ETCD, StartError, ZONE_FILES};
use crate::cycle::Cycle;
use crate::etcd::reach::Served;
use crate::etcd::source::EtcdSource;
use crate::etcd::state::EtcdState;
use crate::guest::Guest;
use crate::health::Rule;
use crate::health::owners::Owners;
use crate::source::{self, Sink, Source};
use crate::state::State;
use crate::zonefile::source as zone_file;

/// Starts the cycle's thread on both ends of its queue.
pub(crate) fn spawn_cycle(
    config: &Config,
    publisher: Publisher,
    queue: (mpsc::WeakSender<source::Event>, mpsc::Receiver<source::Event>),
    state: &Arc<State>,
) -> Result<JoinHandle<Publisher>, StartError> {
    let clients = (ZONE_FILES, zone_file::clients(&config.views));
    let rule = Rule { all_down: config.health.all_down, ..Rule::default() };
    let owners = Owners::new(Arc::clone(&state.members), rule);
    let cycle = Cycle::new(publisher, queue, Arc::clone(state), clients, owners);
    let builder = std::thread::Builder::new().name("ringdns-cycle".to_owned());
    builder.spawn(move || cycle.run()).map_err(StartError::Thread)
}

/// Starts the source of etcd; who writes to etcd is told what of it is served.
pub(crate) fn spawn_etcd(
    runtime: &Runtime,
    state: &Arc<State>,
    config: &EtcdConfig,
    events: &mpsc::Sender<source::Event>,
) -> (AbortHandle, Served) {
    let seen = state.etcd.get_or_init(|| Arc::new(EtcdState::new(Arc::clone(&state.members))));
    let etcd = EtcdSource::new(config, Arc::clone(seen));
    let served = Served::new(Arc::clone(seen), ETCD, events.downgrade());
    (spawn_source(runtime, state, ETCD, etcd, events), served)
}

/// Starts a source of this crate: see [`supervise`].
pub(crate) fn spawn_source<S: Source>(
    runtime: &Runtime,
    state: &Arc<State>,
    origin: u8,
    source: S,
    events: &mpsc::Sender<source::Event>,
) -> AbortHandle {
    supervise(runtime, state, origin, source.run(Sink::new(origin, events.clone())))
}

/// Starts a source of another crate: see [`supervise`].
pub(crate) fn spawn_guest(
    runtime: &Runtime,
    state: &Arc<State>,
    origin: u8,
    guest: Box<dyn Guest>,
    events: &mpsc::Sender<source::Event>,
) -> AbortHandle {
    supervise(runtime, state, origin, guest.run(Sink::new(origin, events.clone())))
}

/// Runs a source; one that fails is told in the log and by `/ready`, and what it said stays served.
fn supervise<E: std::fmt::Display + Send + 'static>(
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

/// Looks at the workers at intervals, as long as anybody can ask.
pub(crate) fn spawn_look(runtime: &Runtime, workers: &Arc<ready::Workers>) {
    let workers = Arc::downgrade(workers);
    runtime.spawn(async move {
        while let Some(workers) = workers.upgrade() {
            workers.look();
            drop(workers);
            tokio::time::sleep(ready::LOOK_INTERVAL).await;
        }
    });
}
