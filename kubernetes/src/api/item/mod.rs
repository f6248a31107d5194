//! Objects as the API server writes them, read field by field: what answers do not need is skipped while it is read and takes no
//! memory. Types of `k8s-openapi` would hold whole objects, and so would `kube::Resource`, whose metadata has every label and the
//! fields' managers; their constants say where things are.
//!
//! Null and what is missing are one: the API server writes either. Addresses and ports that are none are left out, because one odd
//! object must not keep all others from being listed.

mod json;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::Resource;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use serde::de::DeserializeOwned;

use self::json::{AddressItem, EndpointItem, IngressItem, Labels, PodStatus, PortItem, Subset, Target};
pub(super) use self::json::{EndpointsItem, ImportItem, Metadata, NamespaceItem, PodItem, ServiceItem, SliceItem};
use super::names::Names;
use crate::object::{
    Endpoint, Ingress, Key, Kind, Object, Pod, Port, Protocol, Service, ServiceImport, ServiceKind, Slice,
};

/// A kind of objects that can be listed and watched.
pub(super) trait Item: DeserializeOwned + Clone + Send + 'static {
    /// What its objects become.
    const KIND: Kind;
    /// Group and version, as they stand in paths.
    const API: &'static str;
    /// The plural, as it stands in paths.
    const PLURAL: &'static str;

    /// What every object has.
    fn metadata(&self) -> &Metadata;

    /// What is told of it: the objects, and which parts of it they are.
    fn objects(self, key: &Key, names: &Names) -> (Parts, Vec<Object>);
}

/// The parts of an object that were told. Most objects are told as a whole, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// None.
    None,
    /// The object itself.
    Whole,
    /// Of a slice, what it is for a ServiceImport.
    Imported,
    /// Of a slice, what it is for a Service, and for a ServiceImport.
    Both,
    /// Of Endpoints, so many subsets.
    Subsets(usize),
}

impl Parts {
    /// The keys under which they were told.
    pub(super) fn keys(self, key: &Key) -> Vec<Key> {
        let part = |part: &dyn std::fmt::Display| Key {
            namespace: Arc::clone(&key.namespace),
            name: format!("{}/{part}", key.name).into(),
        };
        match self {
            Self::None => Vec::new(),
            Self::Whole => vec![key.clone()],
            Self::Imported => vec![part(&"import")],
            Self::Both => vec![key.clone(), part(&"import")],
            Self::Subsets(count) => (0..count).map(|place| part(&place)).collect(),
        }
    }
}

/// The addresses among texts.
fn addresses<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// The ports that have numbers.
fn ports(items: Vec<PortItem>) -> Vec<Port> {
    let port = |PortItem { name, protocol, number }: PortItem| {
        let protocol = match protocol.as_str() {
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        Some(Port { name: name.into(), protocol, number: u16::try_from(number).ok().filter(|&number| number > 0)? })
    };
    items.into_iter().filter_map(port).collect()
}

/// The Pod that an endpoint is.
fn pod(target: Target) -> Box<str> {
    if target.kind == "Pod" { target.name.into() } else { Box::default() }
}

/// Milliseconds since 1970 of an annotation.
fn triggered_ms(metadata: &Metadata) -> Option<u64> {
    let time: jiff::Timestamp = metadata.annotations.triggered.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

impl Item for ServiceItem {
    const KIND: Kind = Kind::Service;
    const API: &'static str = core::Service::API_VERSION;
    const PLURAL: &'static str = core::Service::URL_PATH_SEGMENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, _names: &Names) -> (Parts, Vec<Object>) {
        let Self { metadata, spec, status } = self;
        let first = spec.cluster_ips.first().unwrap_or(&spec.cluster_ip);
        let kind = if spec.kind == "ExternalName" {
            ServiceKind::ExternalName
        } else if first == "None" {
            ServiceKind::Headless
        } else {
            ServiceKind::ClusterIp
        };
        let listed =
            if spec.cluster_ips.is_empty() { std::slice::from_ref(&spec.cluster_ip) } else { &spec.cluster_ips };
        let ingress = |item: IngressItem| match item.ip.parse() {
            Ok(address) => Some(Ingress::Address(address)),
            Err(_) => Some(Ingress::Name(item.hostname.into())).filter(|name| *name != Ingress::Name(Box::default())),
        };
        let service = Service {
            key: key.clone(),
            kind,
            cluster_ips: if kind == ServiceKind::ClusterIp { addresses(listed) } else { Vec::new() },
            external_ips: addresses(&spec.external_ips),
            ingress: status.balancer.ingress.into_iter().filter_map(ingress).collect(),
            // The field outlives a change of the type.
            external_name: if kind == ServiceKind::ExternalName { spec.external_name.into() } else { Box::default() },
            ports: ports(spec.ports),
            publish_not_ready: spec.publish_not_ready || metadata.annotations.tolerate_unready == "true",
            has_selector: !spec.selector.is_empty(),
        };
        (Parts::Whole, vec![Object::Service(service)])
    }
}

impl Item for SliceItem {
    const KIND: Kind = Kind::Slice;
    const API: &'static str = discovery::EndpointSlice::API_VERSION;
    const PLURAL: &'static str = discovery::EndpointSlice::URL_PATH_SEGMENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, names: &Names) -> (Parts, Vec<Object>) {
        let triggered_ms = triggered_ms(&self.metadata);
        let Labels { service, import, cluster } = &self.metadata.labels;
        let endpoint = |item: EndpointItem| Endpoint {
            addresses: addresses(&item.addresses),
            hostname: item.hostname.into(),
            pod: pod(item.target),
            zone: item.zone.into(),
            ready: item.conditions.ready.unwrap_or(true),
        };
        let slice = Slice {
            key: key.clone(),
            service: names.share(service),
            cluster: Box::default(),
            ports: ports(self.ports),
            endpoints: self.endpoints.into_iter().map(endpoint).filter(|found| !found.addresses.is_empty()).collect(),
            triggered_ms,
        };
        // An imported slice can be that of a Service of this cluster too, by which the import's address is reached.
        let parts = match (service.is_empty(), import.is_empty() || cluster.is_empty()) {
            (true, true) => Parts::None,
            (false, true) => Parts::Whole,
            (true, false) => Parts::Imported,
            (false, false) => Parts::Both,
        };
        let told = |key: Key| {
            if key.name == slice.key.name {
                return Object::Slice(slice.clone());
            }
            let (service, cluster) = (names.share(import), cluster.as_str().into());
            Object::Slice(Slice { key, service, cluster, ..slice.clone() })
        };
        (parts, parts.keys(key).into_iter().map(told).collect())
    }
}

impl Item for EndpointsItem {
    const KIND: Kind = Kind::Slice;
    const API: &'static str = core::Endpoints::API_VERSION;
    const PLURAL: &'static str = core::Endpoints::URL_PATH_SEGMENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, _names: &Names) -> (Parts, Vec<Object>) {
        let triggered_ms = triggered_ms(&self.metadata);
        let parts = Parts::Subsets(self.subsets.len());
        let endpoint = |item: AddressItem, ready| {
            let addresses = vec![item.ip.parse().ok()?];
            Some(Endpoint {
                addresses,
                hostname: item.hostname.into(),
                pod: pod(item.target),
                zone: Box::default(),
                ready,
            })
        };
        let service = &key.name;
        let subset = |(key, subset): (Key, Subset)| {
            let ready = subset.ready.into_iter().filter_map(|item| endpoint(item, true));
            let not_ready = subset.not_ready.into_iter().filter_map(|item| endpoint(item, false));
            Object::Slice(Slice {
                service: service.clone(),
                key,
                cluster: Box::default(),
                ports: ports(subset.ports),
                endpoints: ready.chain(not_ready).collect(),
                triggered_ms,
            })
        };
        let objects = parts.keys(key).into_iter().zip(self.subsets).map(subset).collect();
        (parts, objects)
    }
}

impl Item for NamespaceItem {
    const KIND: Kind = Kind::Namespace;
    const API: &'static str = core::Namespace::API_VERSION;
    const PLURAL: &'static str = core::Namespace::URL_PATH_SEGMENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, _names: &Names) -> (Parts, Vec<Object>) {
        (Parts::Whole, vec![Object::Namespace(key.name.clone())])
    }
}

impl Item for PodItem {
    const KIND: Kind = Kind::Pod;
    const API: &'static str = core::Pod::API_VERSION;
    const PLURAL: &'static str = core::Pod::URL_PATH_SEGMENT;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, _names: &Names) -> (Parts, Vec<Object>) {
        let PodStatus { phase, ip, ips } = &self.status;
        // An address can be another Pod's as soon as its Pod ends.
        let has_ended = self.metadata.deleted.is_some() || matches!(phase.as_str(), "Succeeded" | "Failed" | "Unknown");
        let first = ips.is_empty().then_some(ip);
        let addresses = addresses(first.into_iter().chain(ips.iter().map(|address| &address.ip)));
        if has_ended || addresses.is_empty() {
            return (Parts::None, Vec::new());
        }
        (Parts::Whole, vec![Object::Pod(Pod { key: key.clone(), addresses })])
    }
}

impl Item for ImportItem {
    const KIND: Kind = Kind::ServiceImport;
    // No part of Kubernetes itself: the definition is KEP 1645's.
    const API: &'static str = "multicluster.x-k8s.io/v1alpha1";
    const PLURAL: &'static str = "serviceimports";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn objects(self, key: &Key, _names: &Names) -> (Parts, Vec<Object>) {
        let headless = self.spec.kind == "Headless";
        let ips = addresses(&self.spec.ips);
        let import = ServiceImport { key: key.clone(), headless, ips, ports: ports(self.spec.ports) };
        (Parts::Whole, vec![Object::ServiceImport(import)])
    }
}
