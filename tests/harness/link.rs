//! Network interfaces of the client side.

use crate::namespace::Namespace;
use crate::process::run;

/// What the client side calls itself, and what it asks.
pub mod addresses {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// The client's IPv4 address and network.
    pub const CLIENT4: &str = "192.0.2.1/24";
    /// The client's IPv6 address and network.
    pub const CLIENT6: &str = "2001:db8:53::1/64";
    /// The served IPv4 address.
    pub const SERVED4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
    /// The served IPv6 address.
    pub const SERVED6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53));
}

/// Gives an interface of this namespace the client's addresses and brings it up.
pub fn address_client(interface: &str) {
    run("ip", &["address", "add", addresses::CLIENT4, "dev", interface]);
    // nodad: the address is usable at once.
    run("ip", &["address", "add", addresses::CLIENT6, "dev", interface, "nodad"]);
    run("ip", &["link", "set", interface, "up"]);
}

/// Gives the interface that a port has in the kernel the served addresses.
pub fn address_server(interface: &str) {
    run("ip", &["address", "add", &format!("{}/24", addresses::SERVED4), "dev", interface]);
    run("ip", &["address", "add", &format!("{}/64", addresses::SERVED6), "dev", interface, "nodad"]);
}

/// A veth pair: `server_end` in this namespace without any address, `client_end` in the other one, addressed.
pub fn veth_pair(server_end: &str, client_end: &str, client: &Namespace) {
    run("ip", &["link", "add", server_end, "type", "veth", "peer", "name", client_end]);
    // The kernel sees the frames too and must stay silent: no IPv6, no ARP.
    let silent = format!("/proc/sys/net/ipv6/conf/{server_end}/disable_ipv6");
    std::fs::write(silent, "1").expect("a writable setting");
    run("ip", &["link", "set", server_end, "arp", "off", "up"]);
    run("ip", &["link", "set", client_end, "netns", &client.path()]);
    let _entered = client.enter();
    // A veth's sender leaves checksums partial, which only another kernel would complete.
    run("ethtool", &["-K", client_end, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
    address_client(client_end);
}

/// The MAC address of an interface of this namespace.
pub fn mac_address(interface: &str) -> [u8; 6] {
    let shown = run("ip", &["-oneline", "link", "show", interface]);
    let text = shown.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an Ethernet address");
    parse_mac(text)
}

/// A MAC address from its text.
pub fn parse_mac(text: &str) -> [u8; 6] {
    let mut mac = [0; 6];
    for (byte, digits) in mac.iter_mut().zip(text.split(':')) {
        *byte = u8::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    mac
}
