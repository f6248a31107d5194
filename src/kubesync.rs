//! `ringdns kubesync`: a cluster's records written through to etcd, by a process of its own.

use std::path::Path;

use ringdns_controlplane::config::{ConfigError, KubesyncLayout, KubesyncRole};
use ringdns_kubernetes::sync::ClusterWriter;

use crate::health::{RoleError, signals, wait_for_end};

/// Writes until SIGTERM or SIGINT.
pub fn run(path: &Path) -> Result<(), RoleError> {
    let config = KubesyncRole::load(path).map_err(RoleError::Config)?;
    let signals = signals(&config.log)?;
    let role = ClusterWriter::start(&config).map_err(RoleError::Kubesync)?;
    wait_for_end(signals);
    role.stop();
    Ok(())
}

/// What a file of this role alone would do; nothing where it is a server's.
pub fn check(path: &Path) -> Result<Option<String>, String> {
    let config = KubesyncRole::load_alone(path).map_err(|error: ConfigError| error.to_string())?;
    let Some(KubesyncRole { kubernetes, kubesync, .. }) = config else { return Ok(None) };
    ringdns_kubernetes::check(&kubernetes.access).map_err(|error| error.to_string())?;
    let layout = match kubesync.layout {
        KubesyncLayout::SkyDns { .. } => "skydns",
        KubesyncLayout::ContainerDns { .. } => "containerdns",
    };
    Ok(Some(format!("{}: right; kubesync: {} as {layout} below {}", path.display(), kubesync.domain, kubesync.prefix)))
}
