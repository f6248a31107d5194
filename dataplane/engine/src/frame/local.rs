//! What a port without a kernel path answers by itself: ARP, neighbour discovery, echo.

use super::checksum::Sum;
use super::ip::pseudo_header;
use super::turn::{self, chunk_at};
use super::{ARP_BYTES, Packet};

/// ICMP type of an echo reply.
const ECHO_REPLY: u8 = 0;
/// ICMPv6 type of an echo reply.
const ECHO_REPLY_V6: u8 = 129;
/// ICMPv6 type of a neighbour advertisement.
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Bytes of a neighbour advertisement with the option that gives our MAC address (RFC 4861 sections 4.4, 4.6.1).
const ADVERTISEMENT_BYTES: usize = 32;
/// All nodes of the link: address (RFC 4291 section 2.7.1) and MAC address (RFC 2464 section 7).
const ALL_NODES: [u8; 16] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The MAC address of all nodes of the link.
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Turns an ARP request into its reply (RFC 826). The frame keeps its length.
pub(crate) fn arp(room: &mut [u8], mac: [u8; 6], start: usize) -> Option<()> {
    turn::ethernet(room, mac);
    let arp = chunk_at::<ARP_BYTES>(room, start)?;
    let (head, addresses) = arp.split_first_chunk_mut::<8>()?;
    let [.., operation] = head;
    *operation = 2;
    let (sender, target) = addresses.split_at_mut(10);
    sender.swap_with_slice(target);
    *sender.first_chunk_mut::<6>()? = mac;
    Some(())
}

/// Turns an echo request into its reply (RFC 792, RFC 4443 section 4.2). Returns the length of the frame.
pub(crate) fn echo(room: &mut [u8], mac: [u8; 6], packet: Packet) -> Option<usize> {
    turn::ethernet(room, mac);
    turn::ip(room, packet);
    let kind = if packet.is_ipv6 { ECHO_REPLY_V6 } else { ECHO_REPLY };
    seal(room, packet, kind)
}

/// Turns a neighbour solicitation into an advertisement (RFC 4861 section 7.2.4). Returns the length of the frame;
/// nothing where the buffer has no room for it.
pub(crate) fn neighbour(room: &mut [u8], mac: [u8; 6], packet: Packet) -> Option<usize> {
    let packet = Packet { end: packet.payload + ADVERTISEMENT_BYTES, ..packet };
    let message = chunk_at::<ADVERTISEMENT_BYTES>(room, packet.payload)?;
    let target: [u8; 16] = *message.get(8..)?.first_chunk()?;
    let source: [u8; 16] = *chunk_at(room, packet.ip + 8)?;
    turn::ethernet(room, mac);
    turn::ip(room, packet);
    // RFC 4861 section 7.2.4: an unspecified source looks for duplicates of its address; the answer goes to all nodes.
    let solicited = source != [0; 16];
    let (head, addresses) = room.get_mut(packet.ip..packet.ip + 40)?.split_first_chunk_mut::<8>()?;
    let [.., hop_limit] = head;
    *hop_limit = 255;
    *addresses.first_chunk_mut::<16>()? = target;
    if !solicited {
        *addresses.last_chunk_mut::<16>()? = ALL_NODES;
        *room.first_chunk_mut::<6>()? = ALL_NODES_MAC;
    }
    let message = chunk_at::<ADVERTISEMENT_BYTES>(room, packet.payload)?;
    // Solicited and override flags.
    let flags = if solicited { 0x60 } else { 0x20 };
    *message.first_chunk_mut::<8>()? = [NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    let [m1, m2, m3, m4, m5, m6] = mac;
    *message.last_chunk_mut::<8>()? = [2, 1, m1, m2, m3, m4, m5, m6];
    seal(room, packet, NEIGHBOUR_ADVERTISEMENT)
}

/// Sets an ICMP message's type and checksum; returns the length of the frame.
fn seal(room: &mut [u8], packet: Packet, kind: u8) -> Option<usize> {
    let [first, _, c1, c2] = chunk_at::<4>(room, packet.payload)?;
    (*first, *c1, *c2) = (kind, 0, 0);
    let length = packet.end - packet.payload;
    let sum = if packet.is_ipv6 { pseudo_header(room, packet, length) } else { Sum::default() };
    let checksum = sum.add(room.get(packet.payload..packet.end)?).finish();
    let [_, _, c1, c2] = chunk_at::<4>(room, packet.payload)?;
    [*c1, *c2] = checksum;
    Some(packet.end)
}
