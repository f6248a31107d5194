//! `ringdns check-config`: everything that can be found wrong without starting.

use std::path::Path;

use ringdns_corefile::{Why, grouped};

use crate::config::{Config, ConfigError, ConfigSource};
use crate::zonefile::{self, ZoneError};

/// What a configuration would serve.
#[derive(Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// What is odd and does not keep it from being served, one line each.
    pub warnings: Vec<String>,
    /// Zones and records of all zone files.
    pub zone_records: Vec<(String, u64)>,
}

/// Why a configuration would not do.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Zone files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Zones(Vec<ZoneError>),
}

/// Loads and checks a configuration and reads its zone files; reports every problem.
pub fn check_config(path: &Path) -> Result<Checked, CheckError> {
    let config = ConfigSource::of(path).load()?;
    let notes = config.corefile.iter().flat_map(|corefile| grouped(&corefile.notes));
    let mut warnings: Vec<String> = notes.filter(|(why, _)| *why != Why::NotNeeded).map(|(_, note)| note).collect();
    let mut zone_records = Vec::new();
    let mut failed = Vec::new();
    for file in &config.zone_files {
        match zonefile::load_configured(file) {
            Ok(zone) => {
                warnings.extend(zone.warnings.first.iter().map(ToString::to_string));
                zone_records.push((zone.apex.to_string(), zone.records));
            }
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() { Ok(Checked { config, warnings, zone_records }) } else { Err(CheckError::Zones(failed)) }
}
