//! The plain frame: IPv4 without options or fragments, with a whole UDP datagram to a served address, untagged or with the
//! port's VLAN tag. Nearly all queries are such. They are checked here in few instructions; whatever is not plain goes
//! through [`Station::classify`], which also knows what is wrong with it.
//!
//! Where the port has a VLAN, a frame is looked at from its fifth byte on: everything behind the tag then stands where it
//! stands in an untagged frame, and the plain way need not know.

use super::checksum::Sum;
use super::{Datagram, ETHERNET_BYTES, ETHERTYPE_VLAN, IPV4_BYTES, Packet, Station, UDP_BYTES, VLAN_TAG_BYTES};
use crate::machine::{BLOCK_BYTES, Block};

/// Bytes of the headers of a plain frame.
pub(crate) const PLAIN_HEADERS_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;

/// Where a frame of a port with a VLAN is looked at from.
pub(crate) const PLAIN_START_TAGGED: usize = VLAN_TAG_BYTES;

/// Source ports above this are not looked up among those refused.
const WELL_KNOWN_PORTS: u16 = 37;

/// What of a frame's first sixteen bytes tells that it is a plain one: our MAC address, the group bit of the sender's,
/// ethertype, version and header length.
const FIRST_MASK: [u8; BLOCK_BYTES] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0];
/// The same of a tagged frame from its fifth byte on: the end of our MAC address, the group bit of the sender's, tag and VLAN
/// without the priority, ethertype, version and header length.
const FIRST_MASK_TAGGED: [u8; BLOCK_BYTES] =
    [0xff, 0xff, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0];
/// The same of those from [`SECOND_AT`] on: protocol, destination address and port.
const SECOND_MASK: [u8; BLOCK_BYTES] = [0, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff];
/// Where those stand.
const SECOND_AT: usize = 22;
/// Fragment offset and flags, and not the bit that forbids fragments.
const FRAGMENT_MASK: u16 = u16::from_le_bytes([0xbf, 0xff]);

/// What a plain frame to a port has in its headers.
#[derive(Clone, Debug)]
pub(super) struct PlainPattern {
    /// The first sixteen bytes, as far as the mask leaves them.
    first: [u8; BLOCK_BYTES],
    /// Those from [`SECOND_AT`] on as far as [`SECOND_MASK`] leaves them, with the first served address.
    second: [u8; BLOCK_BYTES],
    /// The same with the other served addresses.
    others: Box<[[u8; BLOCK_BYTES]]>,
}

impl PlainPattern {
    /// What frames to some addresses have, in a VLAN or untagged.
    pub(super) fn new(mac: [u8; 6], vlan: Option<u16>, dns_port: [u8; 2], addresses: &[[u8; 4]]) -> Self {
        let [m1, m2, m3, m4, m5, m6] = mac;
        let [q1, q2] = dns_port;
        let ([g1, g2], [v1, v2]) = (ETHERTYPE_VLAN, vlan.unwrap_or_default().to_be_bytes());
        let first = match vlan {
            None => [m1, m2, m3, m4, m5, m6, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 0],
            Some(_) => [m5, m6, 0, 0, 0, 0, 0, 0, g1, g2, v1, v2, 8, 0, 0x45, 0],
        };
        let mut seconds = addresses.iter().map(|&[a, b, c, d]| [0, 17, 0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, q1, q2]);
        Self {
            first,
            // Zeros are no protocol of ours: nothing is taken where no address is served.
            second: seconds.next().unwrap_or_default(),
            others: seconds.collect(),
        }
    }

    /// True where a frame's headers are such.
    #[inline(always)]
    fn fits<const START: usize>(&self, headers: &[u8; PLAIN_HEADERS_BYTES]) -> bool {
        let masked = |at: usize, mask: &[u8; BLOCK_BYTES]| Block::new(&bytes_at(headers, at)).and(Block::new(mask));
        let first_mask = if START == 0 { &FIRST_MASK } else { &FIRST_MASK_TAGGED };
        let first = masked(0, first_mask).equal(Block::new(&self.first));
        let second = masked(SECOND_AT, &SECOND_MASK);
        first.and(second.equal(Block::new(&self.second))).is_ones()
            || (first.is_ones() && self.others.iter().any(|other| second.equal(Block::new(other)).is_ones()))
    }
}

/// By the first octet of an address: whether a sender may have it. Not "this" network, loopback, groups, or what is
/// reserved (RFC 1122 section 3.2.1.3).
static SENDERS: [bool; 256] = {
    let mut senders = [false; 256];
    let mut first: u8 = 1;
    let (_, rest) = senders.split_at_mut(1);
    let mut rest = rest;
    while let [sender, after @ ..] = rest {
        *sender = first < 224 && first != 127;
        first = first.wrapping_add(1);
        rest = after;
    }
    senders
};

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
    /// Where a frame is looked at from: everything of a plain frame stands where it stands in an untagged one.
    #[inline(always)]
    pub(crate) fn plain_start(&self) -> usize {
        self.tag_bytes
    }

    /// A buffer from there on; nothing where the frame is for another station.
    #[inline(always)]
    pub(crate) fn plain_part<'a, const START: usize>(&self, room: &'a [u8]) -> Option<&'a [u8]> {
        if START == 0 {
            return Some(room);
        }
        let (start, part) = room.split_first_chunk::<START>()?;
        self.mac.starts_with(start).then_some(part)
    }

    /// The datagram of a plain frame; nothing where the frame is not plain, or something of it is wrong.
    #[inline(always)]
    pub(crate) fn classify_plain(&self, frame: &[u8]) -> Option<Datagram> {
        if self.vlan.is_some() {
            return None;
        }
        let plain = self.plain_headers::<0>(frame.first_chunk()?, frame.len())?;
        let payload = ETHERNET_BYTES + IPV4_BYTES;
        let end = payload + plain.udp_bytes;
        if plain.udp_bytes < UDP_BYTES {
            return None;
        }
        let packet = Packet { is_ipv6: false, ip: ETHERNET_BYTES, payload, end: ETHERNET_BYTES + plain.ip_bytes };
        plain.pseudo_sum.add(frame.get(payload..end)?).is_right().then_some(Datagram { packet, end })
    }

    /// Checks the headers of a plain part of `length` bytes, all but the UDP checksum.
    #[inline(always)]
    pub(crate) fn plain_headers<const START: usize>(
        &self,
        headers: &[u8; PLAIN_HEADERS_BYTES],
        length: usize,
    ) -> Option<PlainHeaders> {
        let [source, destination] = [bytes_at::<4>(headers, 26), bytes_at(headers, 30)];
        if !self.plain.fits::<START>(headers) || u16::from_le_bytes(bytes_at(headers, 20)) & FRAGMENT_MASK != 0 {
            return None;
        }
        let [first, ..] = source;
        let ip_bytes = usize::from(u16::from_be_bytes(bytes_at(headers, 16)));
        let udp_bytes = usize::from(u16::from_be_bytes(bytes_at(headers, 38)));
        // A datagram without checksum is rare; the long way takes it.
        if !SENDERS.get(usize::from(first)).is_some_and(|&sender| sender)
            || source == destination
            || u16::from_be_bytes(bytes_at(headers, 34)) <= WELL_KNOWN_PORTS
            || ip_bytes + ETHERNET_BYTES > length
            || udp_bytes + IPV4_BYTES > ip_bytes
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
