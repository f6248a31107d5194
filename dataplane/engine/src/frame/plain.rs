//! The plain frame: untagged IPv4 without options or fragments, with a whole UDP datagram to a served address. Nearly all
//! queries are such. They are checked here in few instructions; whatever is not plain goes through
//! [`Station::classify`], which also knows what is wrong with it.

use super::checksum::Sum;
use super::{Datagram, ETHERNET_BYTES, IPV4_BYTES, Packet, Station, UDP_BYTES};

/// Bytes of the headers of a plain frame.
pub(crate) const PLAIN_HEADERS_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;

/// Source ports above this are not looked up among those refused.
const WELL_KNOWN_PORTS: u16 = 37;

/// The first eight bytes of a frame without what differs between senders: our MAC address, and the group bit of theirs.
const TO_MASK: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]);
/// Ethertype, version and header length, and not the type of service.
const KIND_MASK: u32 = u32::from_le_bytes([0xff, 0xff, 0xff, 0]);
/// IPv4 with a header of twenty bytes.
const KIND: u32 = u32::from_le_bytes([8, 0, 0x45, 0]);
/// Fragment offset and flags, and the protocol; not the bit that forbids fragments, and not the TTL.
const PART_MASK: u32 = u32::from_le_bytes([0xbf, 0xff, 0, 0xff]);
/// No fragment, UDP.
const PART: u32 = u32::from_le_bytes([0, 0, 0, 17]);

/// A plain frame's datagram as far as its headers tell.
pub(crate) struct PlainHeaders {
    /// Length of the UDP datagram, its header included.
    pub udp_bytes: usize,
    /// Length of the IP packet.
    ip_bytes: usize,
    /// What the UDP checksum's sum takes from the IP header.
    pub pseudo_sum: Sum,
}

impl Station {
    /// The datagram of a plain frame; nothing where the frame is not plain, or something of it is wrong.
    #[inline(always)]
    pub(crate) fn classify_plain(&self, frame: &[u8]) -> Option<Datagram> {
        if self.vlan.is_some() {
            return None;
        }
        let plain = self.plain_headers(frame.first_chunk()?, frame.len())?;
        let payload = ETHERNET_BYTES + IPV4_BYTES;
        let end = payload + plain.udp_bytes;
        let packet = Packet { is_ipv6: false, ip: ETHERNET_BYTES, payload, end: ETHERNET_BYTES + plain.ip_bytes };
        plain.pseudo_sum.add(frame.get(payload..end)?).is_right().then_some(Datagram { packet, end })
    }

    /// Checks the headers of a frame of `length` bytes on a port without VLAN, all but the UDP checksum.
    #[inline(always)]
    pub(crate) fn plain_headers(&self, headers: &[u8; PLAIN_HEADERS_BYTES], length: usize) -> Option<PlainHeaders> {
        let to = u64::from_le_bytes(bytes_at(headers, 0));
        let kind = u32::from_le_bytes(bytes_at(headers, 12));
        let part = u32::from_le_bytes(bytes_at(headers, 20));
        let [source, destination] = [bytes_at(headers, 26), bytes_at(headers, 30)];
        let [p1, p2, q1, q2] = bytes_at(headers, 34);
        if to & TO_MASK != self.mac_word
            || kind & KIND_MASK != KIND
            || part & PART_MASK != PART
            || [q1, q2] != self.dns_port
            || (destination != self.first_ipv4 && !self.serves_ipv4(destination))
        {
            return None;
        }
        let [first, ..] = source;
        let source_is_good = first.wrapping_sub(1) < 223 && first != 127 && source != destination;
        let ip_bytes = usize::from(u16::from_be_bytes(bytes_at(headers, 16)));
        let udp_bytes = usize::from(u16::from_be_bytes(bytes_at(headers, 38)));
        // A datagram without checksum is rare; the long way takes it.
        if !source_is_good
            || u16::from_be_bytes([p1, p2]) <= WELL_KNOWN_PORTS
            || ip_bytes + ETHERNET_BYTES > length
            || udp_bytes + IPV4_BYTES > ip_bytes
            || udp_bytes < UDP_BYTES
            || bytes_at(headers, 40) == [0, 0]
        {
            return None;
        }
        let word = |at: usize| u64::from(u32::from_ne_bytes(bytes_at(headers, at)));
        let addresses = word(26) + word(30);
        if !Sum::of(word(14) + word(18) + word(22) + addresses).is_right() {
            return None;
        }
        // The pseudo-header: addresses, protocol, length.
        let number = |bytes: [u8; 2]| u64::from(u16::from_ne_bytes(bytes));
        let pseudo_sum = Sum::of(addresses + number([0, 17]) + number(bytes_at(headers, 38)));
        Some(PlainHeaders { udp_bytes, ip_bytes, pseudo_sum })
    }
}

/// Some bytes of the headers, all of which are there.
#[inline(always)]
fn bytes_at<const N: usize>(headers: &[u8; PLAIN_HEADERS_BYTES], at: usize) -> [u8; N] {
    headers.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}
