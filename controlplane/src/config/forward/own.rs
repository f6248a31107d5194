//! Where the server itself answers: to ask there would be to ask oneself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use toml::Spanned;

use super::ForwardConfig;

use crate::config::PortConfig;

/// The port that clients ask where somebody between them and the server changes it: that of a Service.
const SERVICE_PORT: u16 = 53;

impl ForwardConfig {
    /// True where the server itself answers: as upstream it would be asked for what it asks.
    pub fn is_own(&self, address: SocketAddr) -> bool {
        is_own(&self.own, address)
    }
}

/// True for one of the server's own addresses; IPv4 addresses are the same whether they are mapped into IPv6 or not.
pub(super) fn is_own(own: &[SocketAddr], address: SocketAddr) -> bool {
    own.iter().any(|own| own.port() == address.port() && own.ip().to_canonical() == address.ip().to_canonical())
}

/// Where the server answers: ports, sockets, and what `own_addresses` adds, at any port of the server's and at that of a Service.
pub(super) fn own(
    more: Option<&Spanned<Vec<Spanned<IpAddr>>>>,
    ports: &[PortConfig],
    listen: &[SocketAddr],
) -> Vec<SocketAddr> {
    let mut own: Vec<SocketAddr> = Vec::new();
    let mut add = |address: SocketAddr| {
        if !own.contains(&address) {
            own.push(address);
        }
    };
    let of_ports = ports.iter().flat_map(|port| port.addresses.iter().map(|ip| SocketAddr::new(*ip, port.dns_port)));
    for address in of_ports.chain(listen.iter().copied()) {
        match address.ip().is_unspecified() {
            // A wildcard of IPv6 takes no IPv4 here, but that costs nothing.
            true => of_machine().into_iter().for_each(|ip| add(SocketAddr::new(ip, address.port()))),
            false => add(address),
        }
    }
    let ports: Vec<u16> = own.iter().map(SocketAddr::port).chain([SERVICE_PORT]).collect();
    for entry in more.into_iter().flat_map(Spanned::get_ref) {
        for port in &ports {
            let address = SocketAddr::new(*entry.get_ref(), *port);
            if !own.contains(&address) {
                own.push(address);
            }
        }
    }
    own
}

/// The addresses of the machine's interfaces, loopback among them.
fn of_machine() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let ip = |address: SockaddrStorage| {
        let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        ipv4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    match getifaddrs() {
        Ok(interfaces) => addresses.extend(interfaces.filter_map(|interface| ip(interface.address?))),
        Err(error) => {
            tracing::warn!("the machine's addresses cannot be read: {error}; give forward.own_addresses");
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::super::upstream::socket_address;
    use super::*;

    #[test]
    fn mapped_addresses_are_the_same_and_ports_count() {
        let own = ["192.0.2.1:53", "[2001:db8::1]:5353"].map(|text| socket_address(text, 53).unwrap());
        for (address, expected) in [
            ("192.0.2.1", true),
            ("[::ffff:192.0.2.1]:53", true),
            ("192.0.2.1:5353", false),
            ("[2001:db8::1]:5353", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_own(&own, socket_address(address, 53).unwrap()), expected, "{address}");
        }
        assert!(of_machine().len() >= 2);
    }
}
