//! Turning a frame round: the reply goes where the query came from, in the same buffer.

use super::checksum::Sum;
use super::ip::pseudo_header;
use super::plain::PLAIN_HEADERS_BYTES;
use super::{Datagram, IPV4_BYTES, Packet, Station, UDP_BYTES};

/// The same as [`IPV4_BYTES`].
const IPV4_BYTES_U16: u16 = 20;

const _: () = assert!(IPV4_BYTES_U16 as usize == IPV4_BYTES);

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

/// Turns the Ethernet and IP headers of a plain frame round; `udp_bytes` is the length of the reply's datagram. Gives what
/// [`ethernet`] and [`ipv4`] give, eight bytes at a time. The MAC addresses of a tagged frame are left to [`ethernet`]: they
/// begin before what is plain of it.
#[inline(always)]
pub(crate) fn plain<const START: usize>(outer: &mut [u8; PLAIN_HEADERS_BYTES], station: &Station, udp_bytes: u16) {
    let length = udp_bytes.wrapping_add(IPV4_BYTES_U16).to_be_bytes();
    let [m1, m2, m3, m4, m5, m6] = station.mac;
    if START == 0 {
        // Two bytes too many, which the next line writes.
        let sender: [u8; 8] = outer.get(6..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        put(outer, 0, sender);
        put(outer, 6, [m1, m2, m3, m4, m5, m6, 8, 0]);
    }
    let [l1, l2] = length;
    put(outer, 14, [0x45, 0, l1, l2, 0, 0, 0x40, 0]);
    put(outer, 22, [HOPS, 17]);
    if let Some(addresses) = outer.get_mut(26..).and_then(<[u8]>::first_chunk_mut::<8>) {
        let both = u64::from_ne_bytes(*addresses);
        *addresses = both.rotate_left(32).to_ne_bytes();
        let word = |bytes: [u8; 2]| u64::from(u16::from_ne_bytes(bytes));
        let fields = word([0x45, 0]) + word(length) + word([0x40, 0]) + word([HOPS, 17]);
        let sum = Sum::of((both >> 32) + (both & u64::from(u32::MAX)) + fields).finish();
        if let Some(place) = outer.get_mut(24..).and_then(<[u8]>::first_chunk_mut::<2>) {
            *place = sum;
        }
    }
}

/// Puts bytes where they are known to fit.
#[inline(always)]
fn put<const N: usize>(outer: &mut [u8; PLAIN_HEADERS_BYTES], at: usize, bytes: [u8; N]) {
    if let Some(place) = outer.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *place = bytes;
    }
}

/// Swaps the MAC addresses; the reply comes from the port's own.
#[inline]
pub(crate) fn ethernet(room: &mut [u8], mac: [u8; 6]) {
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
    let sum = Sum::default().add(header).finish();
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
