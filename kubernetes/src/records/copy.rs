//! The objects as they are kept, unpacked again: for a copy on disk.

use super::Records;
use super::pack::Packed;
use super::store::Entry;
use crate::object::{self, Endpoint, Ingress, Key, Object, Port, Service, ServiceImport, ServiceKind, Slice};

impl Records {
    /// Every object that is kept, as far as answers need it.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        let namespaces = self.store.namespaces.iter();
        let pods = namespaces.clone().flat_map(|(namespace, found)| {
            found.pods.iter().map(move |(name, addresses)| {
                let key = Key { namespace: namespace.clone(), name: name.into() };
                Object::Pod(object::Pod { key, addresses: addresses.to_vec() })
            })
        });
        let namespaces =
            namespaces.filter(|(_, found)| found.exists()).map(|(name, _)| Object::Namespace(name.clone()));
        namespaces.chain(self.store.entries().flat_map(of_entry)).chain(pods)
    }
}

/// What goes by the name of a Service.
fn of_entry(entry: &Entry) -> impl Iterator<Item = Object> {
    let key = || Key { namespace: entry.namespace.clone(), name: entry.name.clone() };
    let own = entry.parts.service.as_ref().map(|packed| Object::Service(service(key(), packed)));
    let import = entry.parts.import.as_ref().map(|packed| {
        let Service { key, kind, cluster_ips: ips, ports, .. } = service(key(), packed);
        Object::ServiceImport(ServiceImport { key, headless: kind == ServiceKind::Headless, ips, ports })
    });
    let slices = entry.parts.slices.iter().map(|slice| {
        let key = Key { namespace: entry.namespace.clone(), name: slice.name.clone() };
        let found = slice.packed.read_slice();
        let endpoint = |found: super::pack::Endpoint<'_>| Endpoint {
            addresses: vec![found.address],
            hostname: found.hostname.into(),
            pod: found.pod.into(),
            zone: found.zone.into(),
            ready: found.ready,
        };
        Object::Slice(Slice {
            key,
            service: entry.name.clone(),
            cluster: found.cluster.into(),
            ports: ports(&found.ports),
            endpoints: found.endpoints.map(endpoint).collect(),
            triggered_ms: None,
        })
    });
    own.into_iter().chain(import).chain(slices)
}

/// A Service.
fn service(key: Key, packed: &Packed) -> Service {
    let found = packed.read_service();
    let (external_ips, balancers) = found.outer.split_at(found.external_ips);
    let name = (!found.outer_name.is_empty()).then(|| Ingress::Name(found.outer_name.into()));
    Service {
        key,
        kind: found.kind,
        cluster_ips: found.addresses,
        external_ips: external_ips.to_vec(),
        ingress: balancers.iter().copied().map(Ingress::Address).chain(name).collect(),
        external_name: found.external_name.into(),
        ports: ports(&found.ports),
        publish_not_ready: found.publish_not_ready,
        has_selector: found.has_selector,
    }
}

/// Ports.
fn ports(packed: &[super::pack::Port<'_>]) -> Vec<Port> {
    packed.iter().map(|port| Port { name: port.name.into(), protocol: port.protocol, number: port.number }).collect()
}
