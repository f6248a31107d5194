//! Ethernet frames byte by byte, and a socket that sends them as they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv, send, socket,
};

/// Bytes before the IP header of an untagged frame.
pub const ETHERNET_BYTES: usize = 14;

/// A DNS query's way: who asks whom.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// MAC address of the client.
    pub source_mac: [u8; 6],
    /// MAC address of the server.
    pub destination_mac: [u8; 6],
    /// Address of the client; the same family as the server's.
    pub source: IpAddr,
    /// Address of the server.
    pub destination: IpAddr,
    /// Port of the client.
    pub source_port: u16,
    /// Port of the server.
    pub destination_port: u16,
}

impl Way {
    /// A correct frame around a UDP payload.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let udp_bytes = sixteen(8 + payload.len());
        let mut udp = Vec::new();
        udp.extend(self.source_port.to_be_bytes());
        udp.extend(self.destination_port.to_be_bytes());
        udp.extend(udp_bytes.to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(payload);
        let pseudo = self.pseudo_header(udp_bytes);
        let sum = checksum(&[pseudo.as_slice(), &udp].concat());
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        self.packet(17, &udp)
    }

    /// A correct frame around an IP payload of any protocol.
    pub fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = [self.destination_mac, self.source_mac].concat();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([0x08, 0x00]);
                frame.extend(ipv4_header(source, destination, protocol, payload.len()));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd]);
                frame.extend(ipv6_header(source, destination, protocol, payload.len()));
            }
            ways => panic!("addresses of two families: {ways:?}"),
        }
        frame.extend(payload);
        frame
    }

    /// What a UDP checksum covers besides the datagram.
    fn pseudo_header(&self, udp_bytes: u16) -> Vec<u8> {
        let mut pseudo = Vec::new();
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => pseudo.extend(address.octets()),
                IpAddr::V6(address) => pseudo.extend(address.octets()),
            }
        }
        pseudo.extend([0, 17]);
        pseudo.extend(udp_bytes.to_be_bytes());
        pseudo
    }
}

/// An IPv4 header without options.
fn ipv4_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload_bytes: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(sixteen(20 + payload_bytes).to_be_bytes());
    // Id 1, don't fragment, TTL 64.
    header.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    set_ipv4_checksum(&mut header);
    header
}

/// An IPv6 header.
fn ipv6_header(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, payload_bytes: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(sixteen(payload_bytes).to_be_bytes());
    header.extend([next_header, 64]);
    header.extend(source.octets());
    header.extend(destination.octets());
    header
}

/// Puts the right header checksum into an IPv4 header with or without options.
pub fn set_ipv4_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The Internet checksum (RFC 1071) as it stands in a header.
pub fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to sixteen bits")
}

/// A length as a header field.
fn sixteen(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("a length of sixteen bits")
}

/// Sends frames by one interface of this namespace.
pub struct PacketSocket {
    /// Bound to the interface.
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens it.
    pub fn open(interface: &str) -> PacketSocket {
        let kind = (AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll);
        let socket = socket(kind.0, kind.1, kind.2, kind.3).expect("a packet socket: the outer tests run as root");
        let mut links = getifaddrs().expect("interfaces").filter(|link| link.interface_name == interface);
        let address = links
            .find_map(|link| link.address?.as_link_addr().copied())
            .unwrap_or_else(|| panic!("no interface {interface}"));
        assert_eq!(address.family(), Some(AddressFamily::Packet));
        bind(socket.as_raw_fd(), &address).expect("a bound packet socket");
        PacketSocket { socket }
    }

    /// Sends a frame as it is.
    pub fn send(&self, frame: &[u8]) {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).expect("a sent frame");
        assert_eq!(sent, frame.len());
    }

    /// Takes a frame that has arrived or was sent; none where none is waiting.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 16_384];
        let length = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT).ok()?;
        frame.truncate(length);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_verify_to_zero() {
        let header = ipv4_header(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 53), 17, 100);
        assert_eq!(checksum(&header), 0);
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d, "RFC 1071 section 3");
    }
}
