//! `ringdns run`: ports, workers and control plane are started in order, and ended in the opposite one.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use ringdns_controlplane::config::{Config, ConfigError, ConfigSource, ConfigWatch, CookieMode, Stale};
use ringdns_controlplane::logging::{self, LogError};
use ringdns_controlplane::reload::{Outcome, Reply};
use ringdns_controlplane::{BuildInfo, ControlPlane, StartError as ControlError};
use ringdns_dataplane::dpdk::{Device, DpdkError, Eal, EalOptions, PortQueue, prepare_control_threads};
use ringdns_dataplane::kernel::KernelPath;
use ringdns_dataplane::worker::Worker;
use ringdns_dataplane::workers::{StartError, WorkerPanic, Workers};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::snapshot::Snapshot;
use ringdns_health::scanner::{Scanner, StartError as ScannerError};
use ringdns_nodelocal::StartError as NodeLocalError;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::answering::Answering;
use crate::forward::{ForwardError, Forwarding};
use crate::health;
use crate::hold;
use crate::kernel::KernelInterfaces;
use crate::node_local::OnNode;
use crate::notify::Notifier;
use crate::ports::{self, OpenPorts, PlannedWorker};
use crate::preflight::{self, PreflightError};
use crate::reload::{reload, renew_judged};
use crate::watch::PortWatch;

/// How often workers and ports are looked at.
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
    /// Who is asked for names of others.
    Forward(ForwardError),
    /// The scanner.
    Scanner(ScannerError),
    /// Addresses and rules of the node.
    NodeLocal(NodeLocalError),
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
            Self::Forward(error) => error.fmt(f),
            Self::Scanner(error) => error.fmt(f),
            Self::NodeLocal(error) => error.fmt(f),
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
    ForwardError => Forward,
    ScannerError => Scanner,
    NodeLocalError => NodeLocal,
    StartError => Workers,
    std::io::Error => System,
    WorkerPanic => Worker,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(source: &ConfigSource, build: BuildInfo) -> Result<(), RunError> {
    let mut config = source.load()?;
    logging::init(&config.log)?;
    config.tell_corefile();
    let mut watch = ConfigWatch::new(&config);
    let devices = preflight::devices(&config)?;
    // Without ports there are no workers, and nothing has to keep off their cores.
    let cores = if devices.is_empty() { Vec::new() } else { preflight::cores(&config)? };
    // Before any other thread is made: they inherit cores and signal masks from this one.
    prepare_control_threads(&cores)?;
    let (sender, events) = mpsc::channel();
    forward_signals(sender.clone())?;
    let publisher = Publisher::new(Snapshot::empty());
    let mut answering = Answering::new(Forwarding::start(&config, &publisher)?)?;

    let eal = start_eal(&config, &devices, &cores)?;
    let mut interfaces = KernelInterfaces::default();
    let OpenPorts { ports, workers } = match &eal {
        Some(eal) => ports::open(eal, &config, &devices, &cores, &mut answering, &mut interfaces)?,
        None => OpenPorts::default(),
    };

    if let Some(forwarding) = &mut answering.forwarding {
        forwarding.start_path(&publisher)?;
    }
    let count = || Arc::new(Counters::with_names(config.stats.names).with_census(config.stats.messages));
    let counters: Vec<Arc<Counters>> = workers.iter().map(|_| count()).collect();
    let take_up = |(PlannedWorker { core, idle, lanes }, counters): (PlannedWorker, &Arc<Counters>)| {
        (core, Worker::new(lanes, publisher.reader(), Arc::clone(counters), idle))
    };
    let workers: Vec<_> = workers.into_iter().zip(&counters).map(take_up).collect();
    let workers_count = workers.len();
    let mut notifier = Notifier::from_environment(counters.clone());
    // Before the sockets, which listen on its addresses.
    let mut on_node = OnNode::start(&config)?;
    let guests = ringdns_kubernetes::guest(&config).into_iter().collect();
    let control = ControlPlane::start(&config, answering.sockets(&config), counters, publisher, build, guests)?;
    on_node.show(&control);
    answering.forwarding.iter().for_each(|forwarding| control.show_foreign(forwarding.shown(), forwarding.waits()));
    warn_without_tcp(&config, &control);
    let kernel_path = interfaces.start()?;
    let scanner = health::beside(&config, &control)?;
    hold::until_answering(&config, &control, &sender, &events);
    let workers = match Workers::start(workers) {
        Ok(workers) => workers,
        Err(error) => {
            control.shutdown();
            return Err(error.into());
        }
    };
    let mut ports = PortWatch::new(ports);
    control.show_ports(ports.gauges());
    control.show_metrics(answering.forwarding.iter().flat_map(Forwarding::metrics).collect());
    tracing::info!(ports = config.ports.len(), workers = workers_count, "ready to answer");
    control.on_reload(Box::new(move |reply| drop(sender.send(Event::Reload(reply)))));
    let mut running = Running {
        source,
        config: &mut config,
        answering: &answering,
        control: &control,
        workers: &workers,
        on_node: &mut on_node,
    };
    running.wait_for_end(&events, &mut interfaces, &mut ports, &mut notifier, &mut watch);
    on_node.withdraw();
    control.announce_end();
    notifier.stopping(Duration::ZERO);
    scanner.into_iter().for_each(Scanner::stop);
    end(control, workers, on_node, kernel_path, answering)
}

/// Ends what answers, and then what it needs.
fn end(
    control: ControlPlane,
    workers: Workers<PortQueue>,
    on_node: OnNode,
    kernel_path: Option<KernelPath<PortQueue>>,
    answering: Answering,
) -> Result<(), RunError> {
    // The workers answer while requests of the API are finished; then they answer what has arrived, and end.
    let publisher = control.shutdown();
    let ended = workers.join();
    // What had arrived is answered from these addresses.
    drop(on_node);
    if let Some(kernel_path) = kernel_path {
        kernel_path.stop();
    }
    answering.forwarding.into_iter().for_each(Forwarding::stop);
    drop(publisher);
    ended?;
    tracing::info!("ended");
    Ok(())
}

/// Starts DPDK where there are devices for it: without any, queries come by the kernel's sockets alone.
fn start_eal(config: &Config, devices: &[Device], cores: &[usize]) -> Result<Option<Eal>, DpdkError> {
    if devices.is_empty() {
        return Ok(None);
    }
    let (hugepages, memory_mib) = (config.eal.hugepages, config.eal.memory_mib);
    Eal::start(&EalOptions { hugepages, memory_mib, worker_cores: cores.to_vec() }, devices).map(Some)
}

/// Warns where clients are sent to TCP, and nobody answers there.
fn warn_without_tcp(config: &Config, control: &ControlPlane) {
    let slips = config.rate_limit.as_ref().is_some_and(|limit| limit.slip != 0 && limit.responses_per_second != 0);
    let enforces = config.dns.cookies == CookieMode::Enforce;
    if (slips || enforces) && control.socket_addresses().is_empty() {
        tracing::warn!(
            "limits or cookies send clients to TCP, which is not answered: set sockets.listen, or rate_limit.slip = 0 and \
             dns.cookies = \"on\""
        );
    }
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
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
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
    /// Where the configuration is read from.
    source: &'a ConfigSource,
    /// What holds of it.
    config: &'a mut Config,
    /// Makes the workers' servers.
    answering: &'a Answering,
    /// The control plane.
    control: &'a ControlPlane,
    /// The workers.
    workers: &'a Workers<PortQueue>,
    /// Addresses and rules of the node.
    on_node: &'a mut OnNode,
}

impl Running<'_> {
    /// Reloads when asked to; returns when it is time to end: at the death of a worker, or at SIGTERM or SIGINT. Where the
    /// configuration says so, that is some time later, or at the second of these signals.
    fn wait_for_end(
        &mut self,
        events: &mpsc::Receiver<Event>,
        interfaces: &mut KernelInterfaces,
        ports: &mut PortWatch,
        notifier: &mut Notifier,
        watch: &mut ConfigWatch,
    ) {
        let mut end = None;
        loop {
            notifier.look(self.control);
            self.on_node.look(self.control);
            let left = end.map_or(LOOK_INTERVAL, |end: Instant| end.saturating_duration_since(Instant::now()));
            match events.recv_timeout(left.min(LOOK_INTERVAL)) {
                // What comes of it is logged when it is there: a large zone takes seconds. CoreDNS takes SIGUSR1 for it.
                Ok(Event::Signal(SIGHUP | SIGUSR1)) => {
                    self.reload_and_notify(notifier);
                }
                // Whoever asked may have gone.
                Ok(Event::Reload(reply)) => drop(reply.send(self.reload())),
                Ok(Event::Signal(_)) if end.is_none() && !self.config.shutdown.lameduck.is_zero() => {
                    end = Some(self.be_lame(notifier));
                }
                Ok(Event::Signal(_)) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) {
                break;
            }
            let stale = watch.look_at_kube_dns(self.config.kube_dns_directory.as_deref(), now);
            self.renew(stale, notifier);
            self.renew(watch.look(self.config, now), notifier);
            ports.look();
            interfaces.look();
            interfaces.show(&ports.gauges());
            renew_judged(self.config, self.answering, self.control);
            self.answering.settle();
            if !self.workers.all_running() {
                tracing::error!("a worker has ended by itself");
                return;
            }
        }
        tracing::info!("draining");
    }

    /// Says that the server is not ready, and goes on; gives when that is over.
    fn be_lame(&mut self, notifier: &mut Notifier) -> Instant {
        let lameduck = self.config.shutdown.lameduck;
        self.on_node.withdraw();
        self.control.announce_end();
        notifier.stopping(lameduck);
        tracing::info!(
            ?lameduck,
            "not ready any more; answering for a while yet, until the next SIGTERM at the latest"
        );
        Instant::now() + lameduck
    }

    /// Reads the configuration again, and has the service manager know. True where it was taken.
    fn reload_and_notify(&mut self, notifier: &mut Notifier) -> bool {
        notifier.reloading();
        let taken = self.reload().ok();
        let is_taken = taken.is_some();
        notifier.expect(taken.map(|(_, zone_files)| zone_files.into()));
        is_taken
    }

    /// Reads again what was found to have changed.
    fn renew(&mut self, stale: Stale, notifier: &mut Notifier) {
        let is_done = match stale {
            Stale::Nothing => true,
            Stale::ZoneFiles => false,
            Stale::Corefile => {
                tracing::info!("what the Corefile, or the ConfigMap of kube-dns, is made from has changed");
                self.reload_and_notify(notifier)
            }
        };
        if !is_done {
            // What comes of it is logged when it is there.
            drop(self.control.request_reload());
        }
    }

    /// Reads the configuration again.
    fn reload(&mut self) -> Outcome {
        reload(self.source, self.config, self.answering, self.control)
    }
}
