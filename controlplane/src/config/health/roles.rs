//! The configuration of a process that only checks or schedules: of a file that may be the server's, or have no port.

use std::path::{Path, PathBuf};

use super::super::etcd::connection;
use super::super::file::Spec;
use super::super::problem::Problems;
use super::super::validate::{add_spec_error, log};
use super::super::{ConfigError, EtcdConfig, LogConfig};
use super::{HealthConfig, Tables, health};

/// What `ringdns scanner` and `ringdns scheduler` are told.
#[derive(Clone, Debug)]
pub struct RoleConfig {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where keys are; it has no trees.
    pub etcd: EtcdConfig,
    /// Everything about health checking.
    pub health: HealthConfig,
    /// Logs.
    pub log: LogConfig,
}

impl RoleConfig {
    /// Reads and checks a file; reports every problem of it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error })?;
        Self::parse(path, &text)
    }

    /// The same where the file is for roles alone: it has no port, which a server needs, and says where etcd is, which roles need.
    pub fn load_alone(path: &Path) -> Option<Result<Self, ConfigError>> {
        let text = std::fs::read_to_string(path).ok()?;
        let Ok(Spec::V1(spec)) = Spec::parse(&text) else { return None };
        (spec.port.is_empty() && spec.etcd.endpoints.is_some()).then(|| Self::parse(path, &text))
    }

    /// Checks text as if it had been read from `path`, which relative paths in it are relative to.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems::new(path, text);
        let spec = match Spec::parse(text) {
            Ok(Spec::V1(spec)) => *spec,
            Err(error) => {
                add_spec_error(&mut problems, &error);
                return Err(problems.into_error());
            }
        };
        let base = path.parent().unwrap_or(Path::new(""));
        let etcd = connection(&spec.etcd, base, &mut problems);
        if etcd.is_none() {
            let remedy = "give endpoints in [etcd], such as [\"http://127.0.0.1:2379\"]";
            problems.add(None, "etcd.endpoints", "states and jobs are kept in etcd, and none is given", remedy);
        }
        let health = health(&Tables::of(&spec), base, &mut problems);
        let log = log(spec.log, &mut problems);
        match etcd {
            Some(etcd) => problems.finish(Self { path: path.to_path_buf(), etcd, health, log }),
            None => Err(problems.into_error()),
        }
    }
}
