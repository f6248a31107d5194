//! What is looked at before anything is started: devices and cores. Each failure names its remedy.

use std::fmt;

use ringdns_controlplane::config::Config;
use ringdns_dataplane::dpdk::{Device, DpdkError};
use ringdns_dataplane::workers::available_cores;

/// Why there is no use in starting.
#[derive(Debug)]
pub enum PreflightError {
    /// A device's arguments are wrong.
    Device(DpdkError),
    /// A core that this process cannot have.
    Core {
        /// The core.
        core: usize,
        /// Those that it can have.
        available: Vec<usize>,
    },
}

impl fmt::Display for PreflightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Core { core, available } => write!(
                f,
                "workers.cores: there is no core {core} for this process; choose among {available:?} (lscpu --extended, \
                 taskset --cpu-list --pid)"
            ),
        }
    }
}

impl std::error::Error for PreflightError {}

/// The devices of the ports, in their order.
pub fn devices(config: &Config) -> Result<Vec<Device>, PreflightError> {
    config.ports.iter().map(|port| Device::parse(&port.device).map_err(PreflightError::Device)).collect()
}

/// The workers' cores: those of the configuration, or the last one of this process where it names none.
pub fn cores(config: &Config) -> Result<Vec<usize>, PreflightError> {
    let available = available_cores();
    if let Some(&core) = config.workers.cores.iter().find(|core| !available.contains(core)) {
        return Err(PreflightError::Core { core, available });
    }
    match (config.workers.cores.as_slice(), available.last()) {
        ([], Some(&last)) => Ok(vec![last]),
        (cores, _) => Ok(cores.to_vec()),
    }
}
