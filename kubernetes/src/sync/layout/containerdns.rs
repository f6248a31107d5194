//! As containerdns-kubeapi wrote it: the type stands in each value, keys end in a slash, and addresses have states.

use std::net::IpAddr;

use super::{Layout, Member, Wanted, hash, port_labels};
use crate::object::{Pod, Service, ServiceKind};

/// A value: the original's members in its order. A port or a cluster that is none is left out.
fn value(layout: &Layout, rtype: &str, source: &str, host: &str, port: u16, cluster: &str) -> String {
    let port = if port == 0 { String::new() } else { format!("\"port\":{port},") };
    let cluster = if cluster.is_empty() { String::new() } else { format!(",\"cluster\":\"{cluster}\"") };
    let ttl = layout.ttl;
    format!(
        r#"{{"type":"{rtype}","source":"{source}","host":"{host}","ttl":{ttl},{port}"priority":10,"weight":10{cluster}}}"#
    )
}

/// The value of an address.
fn address_value(layout: &Layout, source: &str, address: IpAddr, cluster: &str) -> String {
    let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
    value(layout, rtype, source, &address.to_string(), 0, cluster)
}

/// A Service: its addresses outside or inside of the cluster, or those of its endpoints.
pub(super) fn service(
    layout: &Layout,
    service: &Service,
    members: &[Member<'_>],
    cluster: &str,
    external: bool,
) -> Wanted {
    let name = format!("{}.{}.svc", service.key.name, service.key.namespace);
    let mut wanted = Wanted {
        name: format!("{name}.{}", layout.domain),
        ports: service.ports.iter().map(|port| port.number).collect(),
        ..Wanted::default()
    };
    if service.kind == ServiceKind::Headless {
        for member in members {
            add_member(layout, &name, member, cluster, &mut wanted);
        }
        return wanted;
    }
    for address in if external { &service.external_ips } else { &service.cluster_ips } {
        add_address(layout, &name, *address, "", cluster, &mut wanted);
    }
    wanted
}

/// An endpoint, with its named ports.
fn add_member(layout: &Layout, name: &str, member: &Member<'_>, cluster: &str, wanted: &mut Wanted) {
    let label = add_address(layout, name, member.address, member.hostname, cluster, wanted);
    let host = format!("{label}.{name}.{}", layout.domain);
    for port in member.ports.iter().filter(|port| !port.name.is_empty()) {
        let key = key(layout, &format!("{label}.{}.{name}", port_labels(port)));
        wanted.records.insert(key, value(layout, "SRV", "svc", &host, port.number, cluster));
    }
}

/// An address of a name. Its label is the one that is given, unless another address has that; else its hash.
fn add_address(
    layout: &Layout,
    name: &str,
    address: IpAddr,
    label: &str,
    cluster: &str,
    wanted: &mut Wanted,
) -> String {
    let value = address_value(layout, "svc", address, cluster);
    let mut label = label.to_owned();
    let mut at = key(layout, &format!("{label}.{name}"));
    if label.is_empty() || wanted.records.get(&at).is_some_and(|other| *other != value) {
        label = hash(&value);
        at = key(layout, &format!("{label}.{name}"));
    }
    wanted.records.insert(at, value);
    wanted.addresses.insert(address);
    label
}

/// A Pod: its first address has the label `ip`, as its only one had; a second one its hash.
pub(super) fn pod(layout: &Layout, pod: &Pod, cluster: &str) -> Wanted {
    let name = format!("{}.{}.svc", pod.key.name, pod.key.namespace);
    let mut wanted = Wanted { name: format!("{name}.{}", layout.domain), ..Wanted::default() };
    for (place, address) in pod.addresses.iter().enumerate() {
        let value = address_value(layout, "pod", *address, cluster);
        let label = if place == 0 { "ip".to_owned() } else { hash(&value) };
        wanted.records.insert(key(layout, &format!("{label}.{name}")), value);
        wanted.addresses.insert(*address);
    }
    wanted
}

/// The key of a name, with the slash that the original's have at their ends.
fn key(layout: &Layout, name: &str) -> String {
    layout.key(name) + "/"
}
