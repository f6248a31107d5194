//! The status of addresses: `/containerdns/monitor/status/<address>`, as ContainerDNS's interface creates and its scanner keeps
//! it.

use std::net::IpAddr;

use serde::Deserialize;

use super::layout::{Fault, json};
use crate::health::Status;

/// The value of a key; other members are for whoever checks.
#[derive(Debug, Deserialize)]
struct Monitored {
    /// `UP` or `DOWN`.
    status: String,
}

/// The address that a key below a path is about.
pub(super) fn address(key: &[u8], path: &[u8]) -> Option<IpAddr> {
    let rest = key.strip_prefix(path)?.strip_prefix(b"/")?;
    str::from_utf8(rest).ok()?.parse().ok()
}

/// What a value says.
pub(super) fn read(value: &[u8]) -> Result<Status, Fault> {
    let Monitored { status } = json(value)?;
    match status.as_str() {
        "UP" => Ok(Status::Up),
        "DOWN" => Ok(Status::Down),
        other => Err(Fault::new(format!("status \"{other}\" is neither UP nor DOWN"))),
    }
}
