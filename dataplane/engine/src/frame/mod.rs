//! Frames: what a frame is to a port, and how it is turned round.

pub(crate) mod checksum;
mod ip;
pub(crate) use ip::SOURCE_PORTS_REFUSED;
pub(crate) mod local;
pub(crate) mod plain;
pub(crate) mod turn;

use core::net::IpAddr;

use crate::verdict::{Reason, Verdict};

/// A received frame in a buffer of its own that the reply is written into.
///
/// Implemented by the data plane's mbuf and by the buffers of tests.
pub trait FrameBuffer {
    /// The frame as received, without preamble and frame check sequence.
    fn frame(&self) -> &[u8];

    /// The buffer from the frame's first byte to the end of its room; at least as long as the frame.
    fn room(&mut self) -> &mut [u8];

    /// Sets the length of the frame in bytes; never more than the room.
    fn set_len(&mut self, len: usize);

    /// False where the frame goes on in another buffer, which the engine does not follow.
    fn is_whole(&self) -> bool {
        true
    }
}

/// Bytes of an Ethernet header without VLAN tag.
pub(crate) const ETHERNET_BYTES: usize = 14;
/// Bytes of a VLAN tag (IEEE 802.1Q).
const VLAN_TAG_BYTES: usize = 4;
/// Bytes of an ARP packet for IPv4 over Ethernet (RFC 826).
pub(crate) const ARP_BYTES: usize = 28;
/// Bytes of an IPv4 header without options.
pub(crate) const IPV4_BYTES: usize = 20;
/// Bytes of an IPv6 header.
pub(crate) const IPV6_BYTES: usize = 40;
/// Bytes of a UDP header.
pub(crate) const UDP_BYTES: usize = 8;

/// Ethertype of IPv4.
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// Ethertype of ARP.
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Ethertype of a customer VLAN tag.
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
/// Ethertype of IPv6.
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// What a port must know to take a frame for its own.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    /// The port's MAC address.
    pub mac: [u8; 6],
    /// What plain frames have in their headers.
    plain: plain::PlainPattern,
    /// Served IPv4 addresses.
    ipv4: Box<[[u8; 4]]>,
    /// Served IPv6 addresses.
    ipv6: Box<[[u8; 16]]>,
    /// The UDP port that is served.
    dns_port: [u8; 2],
    /// The VLAN of the port's frames; nothing: frames without a tag.
    vlan: Option<u16>,
    /// Bytes of the tag of the port's frames.
    tag_bytes: usize,
    /// Whether ARP, neighbour discovery and echo are answered here.
    answer_local: bool,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A UDP datagram to the served port of a served address.
    Dns(Datagram),
    /// A request of another protocol that is answered here.
    Local(Request),
}

/// What is answered where there is no kernel path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// An ARP request for a served address.
    Arp {
        /// Where the ARP packet starts.
        start: usize,
    },
    /// A neighbour solicitation for a served address.
    Neighbour(Packet),
    /// An ICMP or ICMPv6 echo request to a served address.
    Echo(Packet),
}

/// An IP packet of a frame; offsets are in bytes from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// IPv6 or IPv4.
    pub is_ipv6: bool,
    /// Where the IP header starts.
    pub ip: usize,
    /// Where the IP payload starts.
    pub payload: usize,
    /// Where the IP payload ends.
    pub end: usize,
}

/// A UDP datagram of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// Its IP packet; the payload starts with the UDP header.
    pub packet: Packet,
    /// Where the UDP payload ends.
    pub end: usize,
}

impl Datagram {
    /// Where the DNS message starts.
    pub(crate) fn message(&self) -> usize {
        self.packet.payload + UDP_BYTES
    }
}

/// Shorthand for a frame that is not taken.
pub(crate) type Classified<T> = Result<T, Verdict>;

/// A frame that goes nowhere.
pub(crate) const fn discard<T>(reason: Reason) -> Classified<T> {
    Err(Verdict::Drop(reason))
}

/// A frame that is for the kernel.
pub(crate) const fn punt<T>(reason: Reason) -> Classified<T> {
    Err(Verdict::Punt(reason))
}

impl Station {
    /// The station of a port.
    pub(crate) fn new(config: &crate::serve::ServerConfig) -> Self {
        let ipv4 = config.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address.octets()),
            IpAddr::V6(_) => None,
        });
        let ipv6 = config.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets()),
        });
        let ipv4: Box<[[u8; 4]]> = ipv4.collect();
        Self {
            mac: config.mac,
            plain: plain::PlainPattern::new(config.mac, config.vlan, config.dns_port.to_be_bytes(), &ipv4),
            ipv4,
            ipv6: ipv6.collect(),
            dns_port: config.dns_port.to_be_bytes(),
            vlan: config.vlan,
            tag_bytes: config.vlan.map_or(0, |_| VLAN_TAG_BYTES),
            answer_local: config.answer_local,
        }
    }

    /// Finds out what a frame is. Everything that is read later was checked here.
    #[inline]
    pub(crate) fn classify(&self, frame: &[u8]) -> Classified<Frame> {
        let Some(header) = frame.first_chunk::<ETHERNET_BYTES>() else {
            return discard(Reason::FrameShort);
        };
        let [d1, d2, d3, d4, d5, d6, s1, _, _, _, _, _, t1, t2] = *header;
        // The lowest bit of the first octet tells a group; IEEE 802.3 section 3.2.3: a source is never one.
        let is_group = d1 & 1 != 0;
        if (!is_group && [d1, d2, d3, d4, d5, d6] != self.mac) || s1 & 1 != 0 {
            return discard(Reason::OtherStation);
        }
        let (ethertype, start) = self.untag([t1, t2], frame)?;
        match ethertype {
            ETHERTYPE_IPV4 => self.classify_ipv4(frame, start, is_group),
            ETHERTYPE_IPV6 => self.classify_ipv6(frame, start, is_group),
            ETHERTYPE_ARP => self.classify_arp(frame, start),
            ETHERTYPE_VLAN => punt(Reason::OtherVlan),
            _ => punt(Reason::OtherEthertype),
        }
    }

    /// Takes off the port's VLAN tag; gives the ethertype behind it, and where what it stands for starts.
    #[inline]
    fn untag(&self, ethertype: [u8; 2], frame: &[u8]) -> Classified<([u8; 2], usize)> {
        if ethertype != ETHERTYPE_VLAN {
            return if self.vlan.is_none() { Ok((ethertype, ETHERNET_BYTES)) } else { punt(Reason::OtherVlan) };
        }
        let tag = frame.get(ETHERNET_BYTES..).and_then(<[u8]>::first_chunk::<VLAN_TAG_BYTES>);
        let Some(&[v1, v2, t1, t2]) = tag else {
            return discard(Reason::FrameShort);
        };
        // VLAN 0 carries a priority only (IEEE 802.1Q section 9.6): such a frame belongs to no VLAN.
        if u16::from_be_bytes([v1, v2]) & 0x0fff != self.vlan.unwrap_or(0) {
            return punt(Reason::OtherVlan);
        }
        Ok(([t1, t2], ETHERNET_BYTES + VLAN_TAG_BYTES))
    }

    /// An ARP packet.
    fn classify_arp(&self, frame: &[u8], start: usize) -> Classified<Frame> {
        let Some(arp) = frame.get(start..).and_then(<[u8]>::first_chunk::<ARP_BYTES>) else {
            return discard(Reason::FrameShort);
        };
        // Ethernet, IPv4, their address lengths, request.
        let is_request = arp.starts_with(&[0, 1, 8, 0, 6, 4, 0, 1]);
        let target = arp.last_chunk::<4>();
        if self.answer_local && is_request && target.is_some_and(|address| self.ipv4.contains(address)) {
            return Ok(Frame::Local(Request::Arp { start }));
        }
        punt(Reason::OtherArp)
    }

    /// True where an IPv4 address is served.
    #[inline]
    fn serves_ipv4(&self, address: [u8; 4]) -> bool {
        self.ipv4.contains(&address)
    }

    /// True where an IPv6 address is served.
    #[inline]
    fn serves_ipv6(&self, address: &[u8; 16]) -> bool {
        self.ipv6.contains(address)
    }
}
