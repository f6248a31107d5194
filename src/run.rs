//! `ringdns run`: ports, workers and control plane are started in order, and ended in the opposite one.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ringdns_controlplane::config::{Config, ConfigError, CookieMode, DnsConfig};
use ringdns_controlplane::logging::{self, LogError};
use ringdns_controlplane::{BuildInfo, ControlPlane, StartError as ControlError};
use ringdns_dataplane::dpdk::{DpdkError, Eal, EalOptions, PortQueue, prepare_control_threads};
use ringdns_dataplane::worker::Worker;
use ringdns_dataplane::workers::{StartError, WorkerPanic, Workers};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig};
use ringdns_engine::snapshot::Snapshot;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::ports::{self, EngineConfig, OpenPorts, PlannedWorker};
use crate::preflight::{self, PreflightError};
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

    let (hugepages, memory_mib) = (config.eal.hugepages, config.eal.memory_mib);
    let eal = Eal::start(&EalOptions { hugepages, memory_mib, worker_cores: cores.clone() }, &devices)?;
    let engine = EngineConfig { edns: edns_config(&config.dns)?, chaos: chaos_config(&config.dns) };
    let OpenPorts { ports, workers } = ports::open(&eal, &config, &devices, &cores, &engine)?;

    let publisher = Publisher::new(Snapshot::empty());
    let counters: Vec<Arc<Counters>> = workers.iter().map(|_| Arc::default()).collect();
    let workers: Vec<_> = (workers.into_iter().zip(&counters))
        .map(|(PlannedWorker { core, idle, lanes }, counters)| {
            (core, Worker::new(lanes, publisher.reader(), Arc::clone(counters), idle))
        })
        .collect();
    let workers_count = workers.len();
    let control = ControlPlane::start(&config, counters, publisher, build)?;
    let workers = match Workers::start(workers) {
        Ok(workers) => workers,
        Err(error) => {
            control.shutdown();
            return Err(error.into());
        }
    };
    let mut watch = PortWatch::new(ports);
    control.show_ports(watch.gauges());
    tracing::info!(ports = config.ports.len(), workers = workers_count, "ready to answer");
    wait_for_end(&signals, &control, &workers, &mut watch);
    // The workers answer while requests of the API are finished; then they answer what has arrived, and end.
    let publisher = control.shutdown();
    let ended = workers.join();
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
    ports: &mut PortWatch,
) {
    loop {
        ports.look();
        match signals.recv_timeout(LOOK_INTERVAL) {
            // Its outcome is logged when it is there: a large zone takes seconds.
            Ok(SIGHUP) => control.request_reload(),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                tracing::info!("draining");
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if !workers.all_running() {
            tracing::error!("a worker has ended by itself");
            return;
        }
    }
}
