//! As kube2sky wrote it, in its last form with a hash for each address; names without `svc`, as it had them before, where they are wanted.

use std::net::IpAddr;

use super::{Layout, Member, Wanted, hash, port_labels};
use crate::object::{Pod, Service};
use crate::records::label::dashed;

/// A message: the original's members in its order. A port that is none is left out.
fn message(layout: &Layout, host: &str, port: u16) -> String {
    let port = if port == 0 { String::new() } else { format!("\"port\":{port},") };
    format!(r#"{{"host":"{host}",{port}"priority":10,"weight":10,"ttl":{},"targetstrip":0}}"#, layout.ttl)
}

/// A Service: its own addresses; where it has none, its endpoints'.
pub(super) fn service(layout: &Layout, service: &Service, members: &[Member<'_>], legacy_names: bool) -> Wanted {
    let name = format!("{}.{}.svc", service.key.name, service.key.namespace);
    let mut wanted = Wanted::default();
    if service.cluster_ips.is_empty() {
        for member in members {
            add_member(layout, &name, member, &mut wanted);
        }
        return wanted;
    }
    for (place, address) in service.cluster_ips.iter().enumerate() {
        let label = add_address(layout, &name, *address, "", &mut wanted);
        let host = format!("{name}.{}", layout.domain);
        // One of each is enough: they all say the Service's name.
        for port in service.ports.iter().filter(|port| place == 0 && !port.name.is_empty()) {
            let key = layout.key(&format!("{label}.{}.{name}", port_labels(port)));
            wanted.records.insert(key, message(layout, &host, port.number));
        }
    }
    if legacy_names && let Some(address) = service.cluster_ips.first() {
        let key = layout.key(&format!("{}.{}", service.key.name, service.key.namespace));
        wanted.records.insert(key, message(layout, &address.to_string(), 0));
    }
    wanted
}

/// An endpoint, with its named ports.
fn add_member(layout: &Layout, name: &str, member: &Member<'_>, wanted: &mut Wanted) {
    let label = add_address(layout, name, member.address, member.hostname, wanted);
    let host = format!("{label}.{name}.{}", layout.domain);
    for port in member.ports.iter().filter(|port| !port.name.is_empty()) {
        let key = layout.key(&format!("{label}.{}.{name}", port_labels(port)));
        wanted.records.insert(key, message(layout, &host, port.number));
    }
}

/// An address below a name. Its label is the one that is given, unless another address has that; else its hash.
fn add_address(layout: &Layout, name: &str, address: IpAddr, label: &str, wanted: &mut Wanted) -> String {
    let value = message(layout, &address.to_string(), 0);
    let mut key = layout.key(&format!("{label}.{name}"));
    let mut label = label.to_owned();
    if label.is_empty() || wanted.records.get(&key).is_some_and(|other| *other != value) {
        label = hash(&value);
        key = layout.key(&format!("{label}.{name}"));
    }
    wanted.records.insert(key, value);
    label
}

/// A Pod: a name for each of its addresses.
pub(super) fn pod(layout: &Layout, pod: &Pod) -> Wanted {
    let mut wanted = Wanted::default();
    for address in &pod.addresses {
        add_address(layout, &format!("{}.{}.pod", dashed(*address), pod.key.namespace), *address, "", &mut wanted);
    }
    wanted
}
