//! What an object is in etcd: keys and values as kube2sky ([`skydns`]) and containerdns-kubeapi ([`containerdns`]) wrote them.
//!
//! A key is a name with its labels turned round. Labels that tell the records of a name apart are hashes of their values, in
//! hexadecimal without zeros in front, so that a value is always at the same key.

mod containerdns;
mod skydns;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringdns_controlplane::config::{KubesyncConfig, KubesyncLayout};

use super::unit::Unit;
use crate::object::{Pod, Port, Protocol, Service, ServiceKind, Slice};
use crate::records::label::fnv;

/// What is to stand in etcd for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Values by their keys.
    pub(super) records: BTreeMap<String, String>,
    /// The addresses that have a state for it.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// The name by which they have it.
    pub(super) name: String,
    /// The ports on which they are checked for it.
    pub(super) ports: Vec<u16>,
}

/// How keys and values are written.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// What the configuration says.
    kind: KubesyncLayout,
    /// The path of the domain.
    base: String,
    /// The domain, with a dot at its end.
    domain: String,
    /// TTL of records in seconds.
    ttl: u32,
}

/// An endpoint that is answered.
struct Member<'a> {
    /// Its host name; empty: none.
    hostname: &'a str,
    /// Its address.
    address: IpAddr,
    /// Its ports.
    ports: &'a [Port],
}

impl Layout {
    /// That of a configuration.
    pub(super) fn new(config: &KubesyncConfig) -> Self {
        let domain = config.domain.to_string();
        let base = path(&config.prefix, domain.trim_end_matches('.'));
        Self { kind: config.layout.clone(), base, domain, ttl: config.ttl }
    }

    /// Where all records are.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// What a Service is, with all of its slices.
    pub(super) fn service<'a>(&self, service: &Service, slices: impl Iterator<Item = &'a Slice>) -> Wanted {
        if service.kind == ServiceKind::ExternalName {
            return Wanted::default();
        }
        let members = members(service, slices);
        match &self.kind {
            KubesyncLayout::SkyDns { legacy_names } => skydns::service(self, service, &members, *legacy_names),
            KubesyncLayout::ContainerDns { cluster, external, .. } => {
                containerdns::service(self, service, &members, cluster, *external)
            }
        }
    }

    /// What a Pod is.
    pub(super) fn pod(&self, pod: &Pod) -> Wanted {
        match &self.kind {
            KubesyncLayout::SkyDns { .. } => skydns::pod(self, pod),
            KubesyncLayout::ContainerDns { cluster, .. } => containerdns::pod(self, pod, cluster),
        }
    }

    /// The Service that a key may be of.
    pub(super) fn unit(&self, key: &str) -> Option<Unit> {
        let mut parts = key.strip_prefix(&self.base)?.strip_prefix('/')?.split('/');
        match (parts.next()?, parts.next()?) {
            ("svc", namespace) => Some(Unit::service(namespace, parts.next()?)),
            ("pod", _) => None,
            // Without `svc`.
            (namespace, name) => Some(Unit::service(namespace, name)),
        }
    }

    /// The key of a name relative to the domain.
    fn key(&self, name: &str) -> String {
        path(&self.base, name)
    }
}

/// A path with the labels of a name turned round behind it.
fn path(base: &str, name: &str) -> String {
    let mut path = base.to_owned();
    for label in name.rsplit('.') {
        path.push('/');
        path.push_str(label);
    }
    path
}

/// The label of a value.
fn hash(value: &str) -> String {
    format!("{:x}", fnv(value))
}

/// The labels of a port's services: `_http._tcp`.
fn port_labels(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    format!("_{}._{protocol}", port.name.to_lowercase())
}

/// The endpoints that are answered, in an order that is always the same.
fn members<'a>(service: &Service, slices: impl Iterator<Item = &'a Slice>) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'a>> = Vec::new();
    for slice in slices.filter(|slice| slice.cluster.is_empty()) {
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready || service.publish_not_ready) {
            members.extend(endpoint.addresses.iter().map(|&address| Member {
                hostname: &endpoint.hostname,
                address,
                ports: &slice.ports,
            }));
        }
    }
    members.sort_by_key(|member| (member.hostname, member.address));
    members
}
