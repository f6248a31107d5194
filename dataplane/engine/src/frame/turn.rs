//! Turning a frame round: the reply goes where the query came from, in the same buffer.

use super::ip::pseudo_header;
use super::{Datagram, ETHERNET_BYTES, IPV4_BYTES, Packet, UDP_BYTES};

/// TTL and hop limit of replies.
const HOPS: u8 = 64;

/// Addresses a UDP reply back to its sender. `end` is where the reply's message ends in the frame; it is the length of
/// the frame. What is on the wire beyond it was padding of the query. A checksum that is known already need not be
/// computed.
#[inline]
pub(crate) fn datagram(room: &mut [u8], mac: [u8; 6], datagram: Datagram, end: usize, checksum: Option<[u8; 2]>) {
    let packet = Packet { end, ..datagram.packet };
    ethernet(room, mac);
    ip(room, packet);
    let length = end - packet.payload;
    if let Some([s1, s2, d1, d2, l1, l2, c1, c2]) = chunk_at::<UDP_BYTES>(room, packet.payload) {
        core::mem::swap(s1, d1);
        core::mem::swap(s2, d2);
        // The reply fits its buffer, and so sixteen bits.
        [*l1, *l2] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        (*c1, *c2) = (0, 0);
    }
    let sum = checksum.unwrap_or_else(|| {
        pseudo_header(room, packet, length).add(room.get(packet.payload..end).unwrap_or_default()).finish()
    });
    if let Some([.., c1, c2]) = chunk_at::<UDP_BYTES>(room, packet.payload) {
        // RFC 768: a computed checksum of zero is sent as all ones.
        [*c1, *c2] = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    }
}

/// Turns the Ethernet and IP headers of a plain frame round; `udp_bytes` is the length of the reply's datagram.
#[inline]
pub(crate) fn plain(outer: &mut [u8], mac: [u8; 6], udp_bytes: u16) {
    ethernet(outer, mac);
    let payload = ETHERNET_BYTES + IPV4_BYTES;
    ipv4(outer, Packet { is_ipv6: false, ip: ETHERNET_BYTES, payload, end: payload + usize::from(udp_bytes) });
}

/// Swaps the MAC addresses; the reply comes from the port's own.
#[inline]
pub(super) fn ethernet(room: &mut [u8], mac: [u8; 6]) {
    if let Some((to, rest)) = room.split_first_chunk_mut::<6>()
        && let Some(from) = rest.first_chunk_mut::<6>()
    {
        *to = *from;
        *from = mac;
    }
}

/// Swaps the IP addresses and sets lengths, hop limit and header checksum anew.
#[inline]
pub(super) fn ip(room: &mut [u8], packet: Packet) {
    if packet.is_ipv6 {
        ipv6(room, packet);
    } else {
        ipv4(room, packet);
    }
}

/// The IPv4 header of a reply.
#[inline]
fn ipv4(room: &mut [u8], packet: Packet) {
    let Some(header) = chunk_at::<IPV4_BYTES>(room, packet.ip) else {
        return;
    };
    let [_, tos, l1, l2, i1, i2, f1, f2, ttl, _, c1, c2, s1, s2, s3, s4, d1, d2, d3, d4] = header;
    let length = packet.end - packet.ip;
    [*l1, *l2] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    // RFC 6864 section 4.1: a packet that is not and may not be fragmented needs no identification.
    ([*i1, *i2], [*f1, *f2]) = ([0, 0], [0x40, 0]);
    (*tos, *ttl, *c1, *c2) = (0, HOPS, 0, 0);
    for (source, destination) in [(s1, d1), (s2, d2), (s3, d3), (s4, d4)] {
        core::mem::swap(source, destination);
    }
    let sum = super::checksum::Sum::default().add(header).finish();
    if let Some((_, [c1, c2, ..])) = header.split_first_chunk_mut::<10>() {
        [*c1, *c2] = sum;
    }
}

/// The IPv6 header of a reply.
#[inline]
fn ipv6(room: &mut [u8], packet: Packet) {
    if let Some(head) = chunk_at::<8>(room, packet.ip) {
        let [l1, l2] = u16::try_from(packet.end - packet.payload).unwrap_or(u16::MAX).to_be_bytes();
        let [.., next_header, _] = *head;
        *head = [0x60, 0, 0, 0, l1, l2, next_header, HOPS];
    }
    if let Some(addresses) = chunk_at::<32>(room, packet.ip + 8) {
        let (source, destination) = addresses.split_at_mut(16);
        source.swap_with_slice(destination);
    }
}

/// Some bytes of a buffer.
#[inline]
pub(super) fn chunk_at<const N: usize>(room: &mut [u8], start: usize) -> Option<&mut [u8; N]> {
    room.get_mut(start..)?.first_chunk_mut::<N>()
}
