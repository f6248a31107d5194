//! `ringdns run`: ports, workers and control plane are started in order, and ended in the opposite one.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ringdns_controlplane::config::{Config, ConfigError, CookieMode, DnsConfig, Idle as ConfiguredIdle};
use ringdns_controlplane::logging::{self, LogError};
use ringdns_controlplane::{BuildInfo, ControlPlane, StartError as ControlError};
use ringdns_dataplane::dpdk::{
    DpdkError, Eal, EalOptions, Port, PortOptions, PortQueue, kernel_spare_mbufs, prepare_control_threads,
};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::{StartError, WorkerPanic, Workers};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, Server, ServerConfig};
use ringdns_engine::snapshot::Snapshot;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::kernel::KernelInterfaces;
use crate::notify::Notifier;
use crate::preflight::{self, PreflightError};

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
    let config = Config::load(path)?;
    logging::init(&config.log)?;
    let devices = preflight::devices(&config)?;
    let cores = preflight::cores(&config)?;
    // Before any other thread is made: they inherit cores and signal masks from this one.
    prepare_control_threads(&cores)?;
    let signals = forward_signals()?;

    // The NIC spreads every client's packets over all workers.
    let workers = u32::try_from(cores.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let rate_limit = config.rate_limit.clone().map(|limit| RateLimit { workers, ..limit });
    let (hugepages, memory_mib) = (config.eal.hugepages, config.eal.memory_mib);
    let eal = Eal::start(&EalOptions { hugepages, memory_mib, worker_cores: cores.clone() }, &devices)?;
    let mut lanes: Vec<Vec<WorkerPort<PortQueue>>> = cores.iter().map(|_| Vec::new()).collect();
    let mut ports = Vec::new();
    let mut interfaces = KernelInterfaces::default();
    let (edns, chaos) = (edns_config(&config.dns)?, chaos_config(&config.dns));
    for (device, port_config) in devices.iter().zip(&config.ports) {
        let defaults = PortOptions::default();
        let queues = u16::try_from(cores.len()).unwrap_or(u16::MAX);
        let mtu = port_config.mtu.unwrap_or(defaults.mtu);
        let spare_mbufs = port_config.kernel.as_ref().map_or(0, |_| kernel_spare_mbufs());
        let (port, queues) = Port::open(&eal, device, PortOptions { queues, mtu, spare_mbufs, ..defaults })?;
        let kernel = interfaces.open(&eal, &port, port_config, queues.len())?;
        let server = ServerConfig {
            mac: port.mac(),
            addresses: port_config.addresses.clone(),
            dns_port: port_config.dns_port,
            // A longer one would not leave the port in one frame.
            udp_answer_bytes_max: config.dns.udp_answer_bytes_max.min(port.udp_payload_bytes_max()),
            answer_local: port_config.kernel.is_none(),
            vlan: port_config.vlan,
            edns: edns.clone(),
            chaos: chaos.clone(),
            rate_limit: rate_limit.clone(),
        };
        for ((lanes, (nic, kernel)), core) in lanes.iter_mut().zip(queues.into_iter().zip(kernel)).zip(&cores) {
            tracing::info!(port = port.name(), core, addresses = ?server.addresses, "queue pair served");
            lanes.push(WorkerPort { nic, server: Server::new(&server), kernel, successor: None });
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
    let path = interfaces.start()?;
    let workers = match Workers::start(workers) {
        Ok(workers) => workers,
        Err(error) => {
            control.shutdown();
            return Err(error.into());
        }
    };
    tracing::info!(ports = ports.len(), workers = cores.len(), "ready to answer");
    wait_for_end(&signals, &control, &workers, &mut interfaces, &mut notifier);
    notifier.stopping();
    // The workers answer while requests of the API are finished; then they answer what has arrived, and end.
    let publisher = control.shutdown();
    let ended = workers.join();
    if let Some(path) = path {
        path.stop();
    }
    drop(publisher);
    ended?;
    tracing::info!("ended");
    Ok(())
}

/// What all ports answer to options. Without a configured secret, cookies are made with one of this process.
fn edns_config(dns: &DnsConfig) -> Result<EdnsConfig, RunError> {
    let mut secrets = dns.cookie_secrets.iter().copied();
    let cookies = match dns.cookies {
        CookieMode::Off => None,
        mode => {
            let secret = match secrets.next() {
                Some(secret) => secret,
                None => {
                    tracing::info!(
                        "cookies have a random secret: set dns.cookie_secrets where servers share an address"
                    );
                    random_secret()?
                }
            };
            Some(CookieConfig { secret, other_secret: secrets.next(), enforce: mode == CookieMode::Enforce })
        }
    };
    Ok(EdnsConfig { nsid: dns.nsid.clone(), cookies })
}

/// What all ports tell of the server.
fn chaos_config(dns: &DnsConfig) -> ChaosConfig {
    ChaosConfig { version: dns.version.clone(), identity: dns.identity.clone() }
}

/// A secret that nobody knows.
fn random_secret() -> std::io::Result<CookieSecret> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(CookieSecret(bytes))
}

/// Starts a thread that passes signals on; taken before anything is started, so that none of them ends the process.
fn forward_signals() -> Result<mpsc::Receiver<i32>, RunError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = mpsc::channel();
    let forward = move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("ringdns-signals".to_owned()).spawn(forward)?;
    Ok(receiver)
}

/// Reloads on SIGHUP; returns when it is time to end: at SIGTERM, SIGINT or the death of a worker.
fn wait_for_end(
    signals: &mpsc::Receiver<i32>,
    control: &ControlPlane,
    workers: &Workers<PortQueue>,
    interfaces: &mut KernelInterfaces,
    notifier: &mut Notifier,
) {
    loop {
        notifier.look(control);
        match signals.recv_timeout(LOOK_INTERVAL) {
            // Its outcome is logged when it is there: a large zone takes seconds.
            Ok(SIGHUP) => notifier.reloading(control.request_reload()),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                tracing::info!("draining");
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        interfaces.look();
        if !workers.all_running() {
            tracing::error!("a worker has ended by itself");
            return;
        }
    }
}
