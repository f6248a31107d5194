//! `[[port]]`: the ports that queries come in by.

use std::collections::HashMap;
use std::net::IpAddr;

use ringdns_engine::limits::SERVED_ADDRESSES_MAX;
use toml::Spanned;

use super::kernel::kernel;
use super::problem::Problems;
use super::validate::{number, small};
use super::{PortConfig, file};

/// Smallest MTU: the IPv4 datagram that every host must take (RFC 791).
const MTU_BYTES_MIN: i64 = 576;

/// Smallest MTU of a link that carries IPv6 (RFC 8200 section 5).
const MTU_BYTES_MIN_IPV6: i64 = 1280;

/// Largest MTU: customary jumbo frames.
const MTU_BYTES_MAX: i64 = 9000;

/// `[[port]]`
pub(super) fn ports(specs: &[Spanned<file::Port>], listens: bool, problems: &mut Problems<'_>) -> Vec<PortConfig> {
    if specs.is_empty() && !listens {
        problems.add(
            None,
            "port",
            "no port and no socket is configured, so no query could come in",
            "add a [[port]] with device and addresses, which conf/example.toml shows, or set sockets.listen",
        );
    }
    let mut devices = HashMap::new();
    let mut interfaces = HashMap::new();
    let mut kernel_interfaces = HashMap::new();
    (specs.iter().enumerate())
        .map(|(index, spec)| {
            let spec = spec.get_ref();
            device(index, spec, &mut devices, &mut interfaces, problems);
            let kernel = kernel(index, spec, &mut kernel_interfaces, problems);
            PortConfig { kernel, ..port(index, spec, problems) }
        })
        .collect()
}

/// Checks a port's device against those before it.
fn device<'a>(
    index: usize,
    spec: &'a file::Port,
    devices: &mut HashMap<&'a str, usize>,
    interfaces: &mut HashMap<&'a str, usize>,
    problems: &mut Problems<'_>,
) {
    let key = format!("port[{index}].device");
    let span = Some(spec.device.span());
    let text = spec.device.get_ref().as_str();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let remedy = "write DPDK device arguments such as \"net_tap0,iface=ringdns0\", or a PCI address such as \"0000:01:00.0\"";
        problems.add(span, key, "the device is empty or has blanks in it", remedy);
        return;
    }
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or(text);
    if let Some(before) = devices.insert(name, index) {
        let message = format!("device {name} is already that of port[{before}]");
        problems.add(
            span.clone(),
            key.as_str(),
            message,
            "give each port a device of its own, such as net_tap0 and net_tap1",
        );
    }
    for interface in parts.filter_map(|part| part.strip_prefix("iface=")) {
        if let Some(before) = interfaces.insert(interface, index) {
            let message = format!("interface {interface} is already that of port[{before}]");
            problems.add(span.clone(), key.as_str(), message, "give each port an interface of its own");
        }
    }
}

/// Checks the rest of a port.
fn port(index: usize, spec: &file::Port, problems: &mut Problems<'_>) -> PortConfig {
    let key = |name: &str| format!("port[{index}].{name}");
    let addresses = addresses(&key("addresses"), &spec.addresses, problems);
    let dns_port = number(spec.dns_port.as_ref(), &key("dns_port"), 1..=65_535, "", 53, problems);
    let vlan = (spec.vlan.as_ref())
        .map(|_| small(number(spec.vlan.as_ref(), &key("vlan"), 1..=4094, " (IEEE 802.1Q)", 1, problems)));
    let ipv6 = addresses.iter().any(IpAddr::is_ipv6);
    let mtu_min = if ipv6 { MTU_BYTES_MIN_IPV6 } else { MTU_BYTES_MIN };
    let mtu = (spec.mtu.as_ref())
        .map(|_| small(number(spec.mtu.as_ref(), &key("mtu"), mtu_min..=MTU_BYTES_MAX, " bytes", 1500, problems)));
    PortConfig { device: spec.device.get_ref().clone(), addresses, dns_port: small(dns_port), vlan, mtu, kernel: None }
}

/// Checks served addresses.
fn addresses(key: &str, list: &Spanned<Vec<Spanned<IpAddr>>>, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "no address is given", "name the IPv4 or IPv6 addresses to answer for");
    }
    if list.get_ref().len() > SERVED_ADDRESSES_MAX {
        let message = format!("{} addresses are given", list.get_ref().len());
        let remedy = format!("a port serves at most {SERVED_ADDRESSES_MAX}");
        problems.add(Some(list.span()), key, message, remedy);
    }
    for entry in list.get_ref() {
        let address = *entry.get_ref();
        if let Some(fault) = fault_of_address(address) {
            let message = format!("{address} {fault}");
            problems.add(Some(entry.span()), key, message, "give a unicast address that clients can reach");
        } else if addresses.contains(&address) {
            problems.add(Some(entry.span()), key, format!("{address} is given twice"), "name each address once");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

/// Why no answer could come from an address.
fn fault_of_address(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("is the unspecified address"),
        _ if address.is_multicast() => Some("is a multicast address"),
        _ if address.is_loopback() => Some("is a loopback address, which no frame carries"),
        IpAddr::V4(ipv4) if ipv4.is_broadcast() => Some("is the broadcast address"),
        IpAddr::V4(ipv4) if ipv4.octets()[0] == 0 => Some("lies in 0.0.0.0/8, which no host may use"),
        IpAddr::V6(ipv6) if ipv6.to_ipv4_mapped().is_some() => Some("is an IPv4-mapped address; write it as IPv4"),
        _ => None,
    }
}
