//! Puts the parts together: opens the store, starts the cycle, the sources and the API, and ends them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::registry::Registry;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::select::ViewTable;
use ringdns_engine::serve::MessageConfig;
use ringdns_engine::snapshot::edit::Editor;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::api::{Bounds, Context, ready};
use crate::config::{Changes, ClusterPort, Config, ConfigError, EtcdConfig, ViewConfig};
use crate::cycle::{Cycle, RECLAIM_INTERVAL};
use crate::etcd::reach::Served;
use crate::etcd::source::EtcdSource;
use crate::etcd::state::EtcdState;
use crate::foreign::{ForeignCache, Waits};
use crate::guest::Guest;
use crate::health::owners::Owners;
use crate::health::{Handle, Rule};
use crate::interfaces::{Addresses, Interfaces, Listeners};
use crate::metrics::Metrics;
use crate::node_local::NodeLocalGauges;
use crate::ports::PortGauges;
use crate::reload::{ReloadHook, Settings};
use crate::sockets::{SocketOptions, Sockets, SocketsError};
use crate::source;
use crate::state::{State, ZoneFileState};
use crate::stats::Stats;
use crate::store::{OpenError, Store, StoreHandle, StoreSource};
use crate::suffixes;
use crate::supervise::{spawn_guest, spawn_source};
use crate::tls::TlsError;
use crate::views::Views;
use crate::zonefile::source::{self as zone_file, Reload, ReloadRequest, ZoneFiles};

/// Threads of the runtime. The control plane waits for files and sockets; its heavy work has threads of its own.
const RUNTIME_THREADS: usize = 2;

/// How long requests that are under way may take once the end has come.
const DRAIN: Duration = Duration::from_secs(5);

/// The sources that are always there, in order of priority: the first wins.
const SOURCES: [&str; 2] = ["store", "zone_files"];

/// The number of the store's source.
pub(crate) const STORE: u8 = 0;

/// The number of the zone files' source, which also tells the configuration's views.
pub(crate) const ZONE_FILES: u8 = 1;

/// What the program was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of RingDNS.
    pub version: String,
    /// Commit that it was built from.
    pub commit: String,
    /// Version of DPDK that it runs with.
    pub dpdk: String,
}

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address of an interface.
    #[error(
        "{key}: {address} cannot be listened on: {error}; stop what else listens there (ss -ltnp), or set another address"
    )]
    Listen {
        /// Where the configuration says it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The sockets of DNS.
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    /// Certificates.
    #[error("{key}: {error}; give certificate and key in PEM form")]
    Tls {
        /// Where the configuration says it.
        key: &'static str,
        /// Why.
        error: TlsError,
    },
    /// Threads.
    #[error("a thread of the control plane cannot be started: {0}; raise the limit of processes (ulimit -u)")]
    Thread(std::io::Error),
}

/// Why zone files were not read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control plane is shutting down, or the zone files have not been read for the first time yet")]
pub struct ReloadError;

/// A reload of zone files that was asked for.
#[derive(Debug)]
pub struct PendingReload(oneshot::Receiver<Reload>);

impl From<oneshot::Receiver<Reload>> for PendingReload {
    fn from(report: oneshot::Receiver<Reload>) -> Self {
        Self(report)
    }
}

impl PendingReload {
    /// Whether it has ended, or will never be; does not wait.
    pub fn is_over(&mut self) -> bool {
        !matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

/// A running control plane. Dropping it ends it as [`ControlPlane::shutdown`] does.
#[derive(Debug)]
pub struct ControlPlane {
    /// Its parts; gone once it has ended.
    parts: Option<Parts>,
    /// Where the interfaces listen.
    addresses: Addresses,
    /// Asks for a reload of zone files.
    reloads: mpsc::UnboundedSender<ReloadRequest>,
    /// What of the configuration can change.
    settings: Arc<Settings>,
    /// What others see.
    state: Arc<State>,
    /// The way of checks of this process.
    health: Handle,
}

/// What ends in order.
#[derive(Debug)]
struct Parts {
    /// Where its tasks run.
    runtime: Runtime,
    /// The interfaces.
    interfaces: Interfaces,
    /// End the other sources, zone files also in the middle of a file.
    tasks: Vec<AbortHandle>,
    /// Ends the store.
    store: StoreHandle,
    /// Gives the publisher back when every source is gone.
    cycle: JoinHandle<Publisher>,
    /// Answers DNS over sockets.
    sockets: Sockets,
}

impl ControlPlane {
    /// Starts everything. Returns once the store is open and the API listens; zones are read after that, and `/ready`
    /// tells when they are.
    ///
    /// The control plane's threads inherit the CPU affinity of the caller: call it from a thread that keeps off the
    /// workers' cores, where there are others.
    pub fn start(
        config: &Config,
        sockets: SocketOptions,
        counters: Vec<Arc<Counters>>,
        mut publisher: Publisher,
        build: BuildInfo,
        guests: Vec<Box<dyn Guest>>,
    ) -> Result<Self, StartError> {
        let store = if config.store.in_memory { Store::in_memory()? } else { Store::open(&config.store.path)? };
        store.attach(config.store.etcd.as_ref())?;
        let is_read = |etcd: &&EtcdConfig| !etcd.trees.is_empty() || etcd.status_path.is_some();
        let read = config.etcd.as_ref().filter(is_read);
        let runtime = make_runtime().map_err(StartError::Thread)?;
        let listeners = Listeners::bind(&runtime, config)?;

        let files = config.zone_files.iter().map(ZoneFileState::new);
        let settings = Arc::new(Settings::new(config));
        let views = publish_views(&config.views, &mut publisher);
        let names: Vec<&'static str> =
            SOURCES.into_iter().chain(read.map(|_| "etcd")).chain(guests.iter().map(|guest| guest.name())).collect();
        let state = Arc::new(State::new(Arc::clone(publisher.current()), &names, views, files.collect()));
        show_guests(&state, &guests);
        state.suffixes.configure(config);
        let sockets = Sockets::start(config, sockets, &state, settings.transfers(), DRAIN)?;
        let (events, waiting) = source::queue();
        let rule = Rule { all_down: config.health.all_down, ..Rule::default() };
        let clients = (ZONE_FILES, zone_file::clients(&config.views));
        let (owners, waiting) = (Owners::new(Arc::clone(&state.members), rule), (events.downgrade(), waiting));
        let cycle = spawn_cycle(Cycle::new(publisher, waiting, Arc::clone(&state), clients, owners))?;
        runtime.spawn(source::tick(events.downgrade(), RECLAIM_INTERVAL));

        let (mut store, writer) = StoreSource::new(store, Arc::clone(&state));
        if let (Some(etcd), Some(kept)) = (&config.etcd, &config.store.etcd) {
            store = store.follow(etcd, kept.clone(), runtime.handle().clone());
        }
        let (reloads, requests) = mpsc::unbounded_channel();
        let zone_files = ZoneFiles::new(Arc::clone(&settings), requests, Arc::clone(&state));
        spawn_source(&runtime, &state, STORE, store, &events);
        let mut tasks = vec![spawn_source(&runtime, &state, ZONE_FILES, zone_files, &events)];
        let mut served = None;
        if let Some(config) = read {
            let seen = state
                .etcd
                .get_or_init(|| Arc::new(EtcdState::new(Arc::clone(&state.members), Arc::clone(&state.suffixes))));
            let etcd = EtcdSource::new(config, Arc::clone(seen));
            tasks.push(spawn_source(&runtime, &state, 2, etcd, &events));
            served = Some(Served::new(Arc::clone(seen), 2, events.downgrade()));
        }
        let guest_metrics = guests.iter().filter_map(|guest| guest.metrics()).collect();
        for (origin, guest) in (2 + u8::from(read.is_some())..).zip(guests) {
            tasks.push(spawn_guest(&runtime, &state, origin, guest, &events));
        }
        let health = Handle::new(events.downgrade(), Arc::clone(&state), writer.clone());
        // From here on only sources hold the queue open: when the last ends, so does the cycle.
        drop(events);

        let workers = Arc::new(ready::Workers::new(counters.clone()));
        runtime.spawn(ready::look(Arc::downgrade(&workers)));
        let context = Arc::new(Context {
            sockets: sockets.monitor().cloned(),
            stats: Arc::new(Stats::new(counters.clone(), sockets.monitor().cloned(), &state)),
            metrics: Metrics::new(
                counters,
                sockets.monitor().cloned(),
                Arc::clone(&state),
                Arc::clone(&settings),
                build.clone(),
                guest_metrics,
            ),
            state: Arc::clone(&state),
            store: writer.clone(),
            settings: Arc::clone(&settings),
            workers,
            build,
            bounds: Bounds::default(),
        });
        let addresses = listeners.addresses();
        let interfaces = listeners.serve(&runtime, config, &context, served);
        let parts = Parts { runtime, interfaces, tasks, store: writer, cycle, sockets };
        Ok(Self { parts: Some(parts), addresses, reloads, settings, state, health })
    }

    /// Where the API listens: the port is the one that was given, or a free one where 0 was given.
    pub fn address(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// Where the record interface of ContainerDNS listens, if it does.
    pub fn containerdns_address(&self) -> Option<SocketAddr> {
        self.addresses.containerdns
    }

    /// Where the statistics interface of ContainerDNS listens, if it does.
    pub fn containerdns_stats_address(&self) -> Option<SocketAddr> {
        self.addresses.containerdns_stats
    }

    /// Where the record interface of kdns listens, if it does.
    pub fn kdns_address(&self) -> Option<SocketAddr> {
        self.addresses.kdns
    }

    /// Where a port around a cluster's DNS listens, if it does.
    pub fn cluster_address(&self, port: ClusterPort) -> Option<SocketAddr> {
        self.addresses.cluster.iter().find(|(bound, _)| *bound == port).map(|&(_, address)| address)
    }

    /// For checks that run in this process.
    pub fn health(&self) -> Handle {
        self.health.clone()
    }

    /// Shows ports in the metrics from now on; the first call counts.
    pub fn show_ports(&self, ports: Vec<Arc<PortGauges>>) {
        self.state.show_ports(ports);
    }

    /// Shows in the metrics from now on how the node's own DNS does; the first call counts.
    pub fn show_node_local(&self, gauges: Arc<NodeLocalGauges>) {
        // Nothing changes where it was called before.
        let _ = self.state.node_local.set(gauges);
    }

    /// Shows from now on what is kept of names of others, and who is asked for them; the first call counts.
    pub fn show_foreign(&self, cache: Arc<dyn ForeignCache>, waits: Arc<dyn Waits>) {
        if let Some(parts) = &self.parts {
            parts.runtime.spawn(suffixes::follow(self.state.suffixes.stubs(), Arc::clone(&cache)));
        }
        self.state.show_foreign(cache, waits);
    }

    /// True where a query over the sockets would be answered as it should be: every source has been read, answers are not held
    /// back, and no thread of the sockets has ended.
    pub fn is_answering(&self) -> bool {
        let monitor = self.parts.as_ref().and_then(|parts| parts.sockets.monitor());
        let runs = monitor.is_some_and(|monitor| monitor.ended.load(Ordering::Relaxed) == 0);
        runs && self.is_synced() && !self.is_held_back()
    }

    /// Shows what others count in the metrics from now on; the first call counts.
    pub fn show_metrics(&self, collectors: Vec<Box<dyn Collector>>) {
        let mut registry = Registry::default();
        collectors.into_iter().for_each(|collector| registry.register_collector(collector));
        // Nobody is shown twice.
        let _ = self.state.shown.set(registry);
    }

    /// Where DNS is answered over sockets.
    pub fn socket_addresses(&self) -> &[SocketAddr] {
        self.parts.as_ref().map(|parts| parts.sockets.addresses()).unwrap_or_default()
    }

    /// True once every source has been read.
    pub fn is_synced(&self) -> bool {
        self.state.is_synced()
    }

    /// True while answers are held back for a source that has not told everything yet.
    pub fn is_held_back(&self) -> bool {
        self.state.is_held_back()
    }

    /// Reads the zone files again; what changed is published at once. A file with mistakes leaves its zone as it is.
    pub fn reload(&self) -> Result<Reload, ReloadError> {
        self.request_reload().blocking_recv().map_err(|_| ReloadError)
    }

    /// Has the zone files read again and does not wait for it: what came of it is in the log and in `/ready`, and comes by
    /// the receiver.
    pub fn request_reload(&self) -> oneshot::Receiver<Reload> {
        let (done, report) = oneshot::channel();
        // Where the source has ended, the receiver tells.
        let _ = self.reloads.send(done);
        report
    }

    /// Takes from a configuration what has changed, zone files among it, and has these read again. `changes` is what
    /// [`Config::take`] gave.
    pub fn reconfigure(&self, config: &Config, changes: &Changes) -> oneshot::Receiver<Reload> {
        self.settings.take(config, changes);
        self.state.suffixes.configure(config);
        self.request_reload()
    }

    /// Has the sockets answer with something else from their next message on.
    pub fn renew_answers(&self, answers: MessageConfig) {
        if let Some(parts) = &self.parts {
            parts.sockets.renew_answers(answers);
        }
    }

    /// Notes that the configuration was read again and refused: `/api/v1/status` and the metrics tell.
    pub fn note_refused_config(&self, error: &ConfigError) {
        self.settings.note_refused(error);
    }

    /// Sets who reads the configuration again when the admin API is asked to.
    pub fn on_reload(&self, hook: ReloadHook) {
        self.settings.set_hook(hook);
    }

    /// Says from now on that the server is not ready, and goes on all the same: who sends queries here is to learn of it before
    /// the end.
    pub fn announce_end(&self) {
        self.state.note_ending();
    }

    /// Stops in order: no new requests, the requests that are under way are answered, the sources end, the store is
    /// closed, the cycle publishes what is left. Gives the publisher back, so that its snapshots outlive the workers.
    pub fn shutdown(mut self) -> Option<Publisher> {
        self.parts.take().and_then(Parts::end)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.end();
        }
    }
}

impl Parts {
    /// See [`ControlPlane::shutdown`].
    fn end(self) -> Option<Publisher> {
        let Self { runtime, interfaces, tasks, store, cycle, sockets } = self;
        // All drain at the same time.
        sockets.request_stop();
        runtime.block_on(async {
            let drained = tokio::time::timeout(DRAIN, interfaces.stop());
            if drained.await.is_err() {
                tracing::warn!(seconds = DRAIN.as_secs(), "requests were still under way at the end");
            }
            store.stop().await;
        });
        drop(sockets);
        tasks.iter().for_each(AbortHandle::abort);
        drop(store);
        let publisher = cycle.join().ok();
        // What runs now is a zone file being read, or a client that never ends its request: nothing that is missed.
        runtime.shutdown_background();
        tracing::info!("control plane has ended");
        publisher
    }
}

/// Shows what sources of other crates show, and has answers held back for them as long as they ask for.
fn show_guests(state: &State, guests: &[Box<dyn Guest>]) {
    let shown = guests.iter().filter_map(|guest| Some((guest.name(), guest.shown()?))).collect();
    // Set here alone.
    let _ = state.guests.set(shown);
    let hold = guests.iter().map(|guest| guest.hold()).max().unwrap_or_default();
    state.hold(guests.iter().map(|guest| guest.name()).collect(), hold);
}

/// Starts the runtime's threads.
fn make_runtime() -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(RUNTIME_THREADS).thread_name("ringdns-control").enable_all().build()
}

/// Publishes which client sees which view, so that it is known before the first record is.
fn publish_views(views: &[ViewConfig], publisher: &mut Publisher) -> Arc<Views> {
    if !views.is_empty() {
        let numbered = (1u16..).zip(views);
        let prefixes = numbered.flat_map(|(number, view)| view.prefixes.iter().map(move |&network| (network, number)));
        let mut editor = Editor::new(publisher.current());
        editor.set_views(ViewTable::new(prefixes));
        publisher.publish(editor.commit());
    }
    Arc::new(Views::new(views.iter().map(|view| view.name.as_str())))
}

/// Starts the cycle's thread.
fn spawn_cycle(cycle: Cycle) -> Result<JoinHandle<Publisher>, StartError> {
    let builder = std::thread::Builder::new().name("ringdns-cycle".to_owned());
    builder.spawn(move || cycle.run()).map_err(StartError::Thread)
}
