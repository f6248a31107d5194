//! The status of addresses: `/containerdns/monitor/status/<address>`, as ContainerDNS's interface creates and its scanner keeps
//! it.

use std::net::IpAddr;

use serde::Deserialize;

use super::layout::{Fault, json};
use crate::health::{Said, Status};

/// The value of a key; other members are for whoever checks. ContainerDNS's scanner writes none but the first of these.
#[derive(Debug, Deserialize)]
struct Monitored {
    /// `UP` or `DOWN`.
    status: String,
    /// Since when.
    #[serde(default)]
    since: Option<String>,
    /// The last error.
    #[serde(default)]
    error: String,
    /// Who found it so.
    #[serde(default)]
    by: String,
}

/// The address that a key below a path is about.
pub(super) fn address(key: &[u8], path: &[u8]) -> Option<IpAddr> {
    let rest = key.strip_prefix(path)?.strip_prefix(b"/")?;
    str::from_utf8(rest).ok()?.parse().ok()
}

/// What a value says.
pub(super) fn read(value: &[u8]) -> Result<Said, Fault> {
    let Monitored { status, since, error, by } = json(value)?;
    let status = match status.as_str() {
        "UP" => Status::Up,
        "DOWN" => Status::Down,
        other => return Err(Fault::new(format!("status \"{other}\" is neither UP nor DOWN"))),
    };
    Ok(Said { status, since, error, by })
}
