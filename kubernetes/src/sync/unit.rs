//! What is written as one.

use std::fmt;
use std::net::IpAddr;

use crate::object::Key;

/// What is written as one. In the order in which units wait: addresses have their states before somebody is sent there, and lose
/// them afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unit {
    /// What is to be added to the state of an address.
    Address(IpAddr),
    /// The records of a Service.
    Service(Key),
    /// The records of a Pod.
    Pod(Key),
    /// What is to be taken away from the state of an address.
    Stale(IpAddr),
}

impl Unit {
    /// The unit of a Service.
    pub(super) fn service(namespace: &str, name: &str) -> Self {
        Self::Service(Key { namespace: namespace.into(), name: name.into() })
    }

    /// The unit of a Pod.
    pub(super) fn pod(namespace: &str, name: &str) -> Self {
        Self::Pod(Key { namespace: namespace.into(), name: name.into() })
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        match (kind, rest.split_once('/')) {
            ("address", None) => rest.parse().ok().map(Self::Address),
            ("service", Some((namespace, name))) => Some(Self::service(namespace, name)),
            ("pod", Some((namespace, name))) => Some(Self::pod(namespace, name)),
            _ => None,
        }
    }

    /// The kind, as it is shown.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) | Self::Stale(_) => "address",
            Self::Service(_) => "service",
            Self::Pod(_) => "pod",
        }
    }

    /// The name, as it is shown.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Address(address) | Self::Stale(address) => address.to_string(),
            Self::Service(key) | Self::Pod(key) => format!("{}/{}", key.namespace, key.name),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}
