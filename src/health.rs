//! `ringdns scanner`, `ringdns scheduler`: the roles of health checking, each a process of its own.

use std::fmt;
use std::path::Path;

use ringdns_controlplane::ControlPlane;
use ringdns_controlplane::config::{Config, ConfigError, LogConfig, RoleConfig};
use ringdns_controlplane::logging::{self, LogError};
use ringdns_health::role;
use ringdns_health::scanner::{self, Scanner};
use ringdns_health::scheduler::Scheduler;
use ringdns_kubernetes::sync;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Why a role did not start.
#[derive(Debug)]
pub enum RoleError {
    /// The configuration.
    Config(ConfigError),
    /// The log.
    Log(LogError),
    /// Signals.
    Signals(std::io::Error),
    /// The scanner.
    Scanner(scanner::StartError),
    /// The scheduler.
    Scheduler(role::StartError),
    /// What writes a cluster's records to etcd.
    Kubesync(sync::StartError),
}

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Signals(error) => {
                write!(f, "the kernel refuses signals: {error}; raise the process's limits (ulimit -a)")
            }
            Self::Scanner(error) => error.fmt(f),
            Self::Scheduler(error) => error.fmt(f),
            Self::Kubesync(error) => error.fmt(f),
        }
    }
}

/// The scanner of a server, where it has one: an agent among others where there is etcd, else for this server alone.
pub fn beside(config: &Config, server: &ControlPlane) -> Result<Option<Scanner>, scanner::StartError> {
    if !config.health.scanner.enabled {
        return Ok(None);
    }
    let scanner = match config.etcd.clone() {
        Some(etcd) => Scanner::start(etcd, &config.health),
        None => Scanner::start_alone(server.health(), &config.health),
    };
    scanner.map(Some)
}

/// Checks targets until SIGTERM or SIGINT.
pub fn scan(path: &Path) -> Result<(), RoleError> {
    let (config, signals) = start(path)?;
    let scanner = Scanner::start(config.etcd, &config.health).map_err(RoleError::Scanner)?;
    wait_for_end(signals);
    scanner.stop();
    Ok(())
}

/// Says who checks what until SIGTERM or SIGINT.
pub fn schedule(path: &Path) -> Result<(), RoleError> {
    let (config, signals) = start(path)?;
    let scheduler = Scheduler::start(&config.etcd, &config.health).map_err(RoleError::Scheduler)?;
    wait_for_end(signals);
    scheduler.stop();
    Ok(())
}

/// Reads the configuration and takes the signals before anything is started.
fn start(path: &Path) -> Result<(RoleConfig, Signals), RoleError> {
    let config = RoleConfig::load(path).map_err(RoleError::Config)?;
    let signals = signals(&config.log)?;
    Ok((config, signals))
}

/// Begins to log, and takes the signals.
pub(crate) fn signals(log: &LogConfig) -> Result<Signals, RoleError> {
    logging::init(log).map_err(RoleError::Log)?;
    Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(RoleError::Signals)
}

/// Waits until it is time to end.
pub(crate) fn wait_for_end(mut signals: Signals) {
    for signal in signals.forever() {
        if signal != SIGHUP {
            return;
        }
        tracing::warn!("the configuration of this role is read at start only: restart it");
    }
}
