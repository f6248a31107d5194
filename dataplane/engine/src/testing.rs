//! Frames and queries built byte by byte, for the tests of this crate and of the data plane.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests state what they expect by failing"
)]

use core::net::IpAddr;

use crate::frame::FrameBuffer;
use crate::name::WireName;
use crate::serve::{ChaosConfig, EdnsConfig, ServerConfig};

/// The MAC address of the port under test.
pub const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x53];
/// The MAC address of the client.
pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// A port that serves 192.0.2.53 and 2001:db8::53 and answers ARP, neighbour discovery and echo.
pub fn server_config() -> ServerConfig {
    ServerConfig {
        mac: SERVER_MAC,
        addresses: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
        dns_port: 53,
        udp_answer_bytes_max: crate::limits::UDP_ANSWER_BYTES_DEFAULT,
        answer_local: true,
        vlan: None,
        hides_aaaa: false,
        edns: EdnsConfig::default(),
        chaos: ChaosConfig::default(),
        rate_limit: None,
        recall: None,
    }
}

/// A frame in a buffer with room behind it.
#[derive(Clone, Debug)]
pub struct TestFrame {
    /// The buffer.
    room: Vec<u8>,
    /// Bytes of the frame.
    length: usize,
}

impl TestFrame {
    /// A frame in a buffer of 2 KiB, as ports have them.
    pub fn new(frame: &[u8]) -> Self {
        Self::with_room(frame, 2048)
    }

    /// A frame in a buffer of some size.
    pub fn with_room(frame: &[u8], room: usize) -> Self {
        let mut bytes = frame.to_vec();
        bytes.resize(room.max(frame.len()), 0xee);
        Self { room: bytes, length: frame.len() }
    }
}

impl FrameBuffer for TestFrame {
    fn frame(&self) -> &[u8] {
        &self.room[..self.length]
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.room
    }

    fn set_len(&mut self, len: usize) {
        assert!(len <= self.room.len(), "the frame is longer than its room");
        self.length = len;
    }
}

/// A query message: id 0x1234, RD set.
pub fn query(qname: &str, qtype: u16) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    message.extend_from_slice(qname.parse::<WireName>().unwrap().as_bytes());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// A query message with an OPT record of version 0.
pub fn query_edns(qname: &str, qtype: u16, udp_bytes: u16, dnssec_ok: bool) -> Vec<u8> {
    let mut message = query(qname, qtype);
    message[11] = 1;
    let [s1, s2] = udp_bytes.to_be_bytes();
    message.extend_from_slice(&[0, 0, 41, s1, s2, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    message
}

/// A query message with options in its OPT record: their numbers and data.
pub fn query_options(qname: &str, qtype: u16, udp_bytes: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = query_edns(qname, qtype, udp_bytes, false);
    let start = message.len();
    for (code, data) in options {
        message.extend_from_slice(&code.to_be_bytes());
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    }
    let length = (message.len() - start) as u16;
    message[start - 2..start].copy_from_slice(&length.to_be_bytes());
    message
}

/// A UDP datagram from a client to the port under test, in a frame.
#[derive(Clone, Debug)]
pub struct UdpFrame {
    /// Source and destination address; of the same family.
    pub addresses: (IpAddr, IpAddr),
    /// Source and destination port.
    pub ports: (u16, u16),
    /// VLAN tag, if any.
    pub vlan: Option<u16>,
}

impl UdpFrame {
    /// From 192.0.2.1 to 192.0.2.53.
    pub fn ipv4() -> Self {
        Self {
            addresses: ("192.0.2.1".parse().unwrap(), "192.0.2.53".parse().unwrap()),
            ports: (40000, 53),
            vlan: None,
        }
    }

    /// From 2001:db8::1 to 2001:db8::53.
    pub fn ipv6() -> Self {
        Self { addresses: ("2001:db8::1".parse().unwrap(), "2001:db8::53".parse().unwrap()), ..Self::ipv4() }
    }

    /// The frame with a payload, all checksums right.
    pub fn build(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = ethernet(self.vlan, self.addresses.0.is_ipv6());
        let mut udp = Vec::new();
        udp.extend_from_slice(&self.ports.0.to_be_bytes());
        udp.extend_from_slice(&self.ports.1.to_be_bytes());
        udp.extend_from_slice(&(payload.len() as u16 + 8).to_be_bytes());
        udp.extend_from_slice(&[0, 0]);
        udp.extend_from_slice(payload);
        let sum = transport_checksum(self.addresses, 17, &udp);
        udp[6..8].copy_from_slice(&if sum == [0, 0] { [0xff, 0xff] } else { sum });
        frame.extend_from_slice(&ip(self.addresses, 17, 64, &udp));
        frame
    }
}

/// An Ethernet header from client to server.
pub fn ethernet(vlan: Option<u16>, is_ipv6: bool) -> Vec<u8> {
    let mut header = [SERVER_MAC, CLIENT_MAC].concat();
    if let Some(vlan) = vlan {
        header.extend_from_slice(&[0x81, 0]);
        header.extend_from_slice(&vlan.to_be_bytes());
    }
    header.extend_from_slice(if is_ipv6 { &[0x86, 0xdd] } else { &[8, 0] });
    header
}

/// An IP packet.
pub fn ip((source, destination): (IpAddr, IpAddr), protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&(payload.len() as u16 + 20).to_be_bytes());
            header.extend_from_slice(&[0xab, 0xcd, 0x40, 0, hops, protocol, 0, 0]);
            header.extend_from_slice(&source.octets());
            header.extend_from_slice(&destination.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            [header, payload.to_vec()].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            header.extend_from_slice(&[protocol, hops]);
            header.extend_from_slice(&source.octets());
            header.extend_from_slice(&destination.octets());
            [header, payload.to_vec()].concat()
        }
        _ => panic!("addresses of two families"),
    }
}

/// The Internet checksum, word by word (RFC 1071 section 4.1), independent of the engine's.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += (u32::from(pair[0]) << 8) + u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// The checksum of a transport segment with its pseudo-header, the checksum field included in the segment.
pub fn transport_checksum((source, destination): (IpAddr, IpAddr), protocol: u8, segment: &[u8]) -> [u8; 2] {
    let mut bytes = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
        }
    }
    bytes.extend_from_slice(&(segment.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, protocol]);
    bytes.extend_from_slice(segment);
    checksum(&bytes)
}

/// The DNS message of a reply to a [`UdpFrame`], after checking that the frame goes back where the query came from, and
/// that every length and checksum is right.
pub fn reply_message<'a>(reply: &'a [u8], query: &UdpFrame) -> &'a [u8] {
    assert_eq!(reply[..6], CLIENT_MAC);
    assert_eq!(reply[6..12], SERVER_MAC);
    let is_ipv6 = query.addresses.0.is_ipv6();
    let mut packet = &reply[ethernet(query.vlan, is_ipv6).len()..];
    let ethertype = if is_ipv6 { [0x86, 0xdd] } else { [8, 0] };
    assert_eq!(reply[reply.len() - packet.len() - 2..][..2], ethertype);
    if let Some(vlan) = query.vlan {
        assert_eq!(reply[12..16], [[0x81, 0], vlan.to_be_bytes()].concat());
    }
    if is_ipv6 {
        assert_eq!(packet[..4], [0x60, 0, 0, 0]);
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len() - 40, "IPv6 payload length");
        assert_eq!(packet[6..8], [17, 64]);
        packet = &packet[40..];
    } else {
        assert_eq!(packet[0], 0x45);
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len(), "IPv4 total length");
        assert_eq!(checksum(&packet[..20]), [0, 0], "IPv4 header checksum");
        assert_eq!(packet[8..10], [64, 17]);
        packet = &packet[20..];
    }
    let (client, server) = query.addresses;
    let at = reply.len() - packet.len();
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let addresses = [octets(server), octets(client)].concat();
    assert_eq!(reply[at - addresses.len()..at], addresses, "addresses");
    assert_eq!(packet[..2], query.ports.1.to_be_bytes());
    assert_eq!(packet[2..4], query.ports.0.to_be_bytes());
    assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len(), "UDP length");
    assert_ne!(packet[6..8], [0, 0], "the UDP checksum is always filled in");
    assert_eq!(transport_checksum((server, client), 17, packet), [0, 0], "UDP checksum");
    &packet[8..]
}
