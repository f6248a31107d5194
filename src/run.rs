//! `ringdns run`: ports, workers and control plane are started in order, and ended in the opposite one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ringdns_controlplane::config::{Config, ConfigError, Idle as ConfiguredIdle};
use ringdns_controlplane::logging::{self, LogError};
use ringdns_controlplane::reload::{Outcome, Reply};
use ringdns_controlplane::{BuildInfo, ControlPlane, StartError as ControlError};
use ringdns_dataplane::dpdk::{
    DpdkError, Eal, EalOptions, Port, PortOptions, PortQueue, kernel_spare_mbufs, prepare_control_threads,
};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::{StartError, WorkerPanic, Workers};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::snapshot::Snapshot;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::answering::Answering;
use crate::kernel::KernelInterfaces;
use crate::notify::Notifier;
use crate::preflight::{self, PreflightError};
use crate::reload::reload;

/// How often the workers are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Why RingDNS did not start, or did not go on.
#[derive(Debug)]
pub enum RunError {
    /// The configuration.
    Config(ConfigError),
    /// The log.
    Log(LogError),
    /// Devices or cores.
    Preflight(PreflightError),
    /// The EAL or a port.
    Dpdk(DpdkError),
    /// Store or admin API.
    Control(ControlError),
    /// Threads of the workers.
    Workers(StartError),
    /// Signals, or the main thread's cores.
    System(std::io::Error),
    /// A worker died.
    Worker(WorkerPanic),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Preflight(error) => error.fmt(f),
            Self::Dpdk(error) => error.fmt(f),
            Self::Control(error) => error.fmt(f),
            Self::Workers(error) => error.fmt(f),
            Self::System(error) => write!(f, "the kernel refuses: {error}; raise the process's limits (ulimit -a)"),
            Self::Worker(error) => write!(f, "{error}; please report this with the message above"),
        }
    }
}

/// Makes a conversion for each kind of error that has one place.
macro_rules! run_error_from {
    ($($error:ty => $variant:ident),* $(,)?) => {
        $(impl From<$error> for RunError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

run_error_from! {
    ConfigError => Config,
    LogError => Log,
    PreflightError => Preflight,
    DpdkError => Dpdk,
    ControlError => Control,
    StartError => Workers,
    std::io::Error => System,
    WorkerPanic => Worker,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(path: &Path, build: BuildInfo) -> Result<(), RunError> {
    let mut config = Config::load(path)?;
    logging::init(&config.log)?;
    let devices = preflight::devices(&config)?;
    let cores = preflight::cores(&config)?;
    // Before any other thread is made: they inherit cores and signal masks from this one.
    prepare_control_threads(&cores)?;
    let (sender, events) = mpsc::channel();
    forward_signals(sender.clone())?;
    let mut answering = Answering::new()?;

    let (hugepages, memory_mib) = (config.eal.hugepages, config.eal.memory_mib);
    let eal = Eal::start(&EalOptions { hugepages, memory_mib, worker_cores: cores.clone() }, &devices)?;
    let mut lanes: Vec<Vec<WorkerPort<PortQueue>>> = cores.iter().map(|_| Vec::new()).collect();
    let mut ports = Vec::new();
    let mut interfaces = KernelInterfaces::default();
    for (device, port_config) in devices.iter().zip(&config.ports) {
        let defaults = PortOptions::default();
        let queues = u16::try_from(cores.len()).unwrap_or(u16::MAX);
        let mtu = port_config.mtu.unwrap_or(defaults.mtu);
        let spare_mbufs = port_config.kernel.as_ref().map_or(0, |_| kernel_spare_mbufs());
        let (port, queues) = Port::open(&eal, device, PortOptions { queues, mtu, spare_mbufs, ..defaults })?;
        let kernel = interfaces.open(&eal, &port, port_config, queues.len())?;
        let servers = answering.add_port(&config, port.mac(), port.udp_payload_bytes_max(), queues.len());
        let pairs = queues.into_iter().zip(kernel).zip(servers);
        for ((lanes, core), ((nic, kernel), (server, successor))) in lanes.iter_mut().zip(&cores).zip(pairs) {
            tracing::info!(port = port.name(), core, addresses = ?port_config.addresses, "queue pair served");
            lanes.push(WorkerPort { nic, server, kernel, successor: Some(successor) });
        }
        ports.push(port);
    }

    let publisher = Publisher::new(Snapshot::empty());
    let counters: Vec<Arc<Counters>> = cores.iter().map(|_| Arc::default()).collect();
    let idle = match config.workers.idle {
        ConfiguredIdle::Busy => Idle::Busy,
        ConfiguredIdle::Sleep => Idle::Sleep,
    };
    let workers = lanes
        .into_iter()
        .zip(&counters)
        .map(|(lanes, counters)| Worker::new(lanes, publisher.reader(), Arc::clone(counters), idle));
    let workers: Vec<_> = cores.iter().copied().zip(workers).collect();
    let mut notifier = Notifier::from_environment(counters.clone());
    let control = ControlPlane::start(&config, counters, publisher, build)?;
    let kernel_path = interfaces.start()?;
    let workers = match Workers::start(workers) {
        Ok(workers) => workers,
        Err(error) => {
            control.shutdown();
            return Err(error.into());
        }
    };
    tracing::info!(ports = ports.len(), workers = cores.len(), "ready to answer");
    control.on_reload(Box::new(move |reply| drop(sender.send(Event::Reload(reply)))));
    let mut running =
        Running { path, config: &mut config, answering: &answering, control: &control, workers: &workers };
    running.wait_for_end(&events, &mut interfaces, &mut notifier);
    notifier.stopping();
    // The workers answer while requests of the API are finished; then they answer what has arrived, and end.
    let publisher = control.shutdown();
    let ended = workers.join();
    if let Some(kernel_path) = kernel_path {
        kernel_path.stop();
    }
    drop(publisher);
    ended?;
    tracing::info!("ended");
    Ok(())
}

/// What the main thread is told.
enum Event {
    /// A signal has come.
    Signal(i32),
    /// The admin API asks for the configuration to be read again.
    Reload(Reply),
}

/// Starts a thread that passes signals on; taken before anything is started, so that none of them ends the process.
fn forward_signals(sender: mpsc::Sender<Event>) -> Result<(), RunError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let forward = move || {
        for signal in signals.forever() {
            if sender.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("ringdns-signals".to_owned()).spawn(forward)?;
    Ok(())
}

/// What runs.
struct Running<'a> {
    /// The configuration's file.
    path: &'a Path,
    /// What holds of it.
    config: &'a mut Config,
    /// Makes the workers' servers.
    answering: &'a Answering,
    /// The control plane.
    control: &'a ControlPlane,
    /// The workers.
    workers: &'a Workers<PortQueue>,
}

impl Running<'_> {
    /// Reloads when asked to; returns when it is time to end: at SIGTERM, SIGINT or the death of a worker.
    fn wait_for_end(
        &mut self,
        events: &mpsc::Receiver<Event>,
        interfaces: &mut KernelInterfaces,
        notifier: &mut Notifier,
    ) {
        loop {
            notifier.look(self.control);
            match events.recv_timeout(LOOK_INTERVAL) {
                // What comes of it is logged when it is there: a large zone takes seconds.
                Ok(Event::Signal(SIGHUP)) => {
                    notifier.reloading();
                    notifier.expect(self.reload().ok().map(|(_, zone_files)| zone_files.into()));
                }
                // Whoever asked may have gone.
                Ok(Event::Reload(reply)) => drop(reply.send(self.reload())),
                Ok(Event::Signal(_)) | Err(RecvTimeoutError::Disconnected) => {
                    tracing::info!("draining");
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            interfaces.look();
            self.answering.settle();
            if !self.workers.all_running() {
                tracing::error!("a worker has ended by itself");
                return;
            }
        }
    }

    /// Reads the configuration again.
    fn reload(&mut self) -> Outcome {
        reload(self.path, self.config, self.answering, self.control)
    }
}
