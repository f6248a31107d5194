//! IPv4, IPv6 and UDP: what is checked before a datagram is believed.

use super::checksum::Sum;
use super::{Classified, Datagram, Frame, IPV4_BYTES, IPV6_BYTES, Packet, Request, Station, UDP_BYTES, discard, punt};
use crate::verdict::Reason;

/// Protocol number of ICMP.
const ICMP: u8 = 1;
/// Protocol number of UDP.
const UDP: u8 = 17;
/// Protocol number of ICMPv6.
const ICMPV6: u8 = 58;
/// Protocol number of the IPv6 fragment header.
const IPV6_FRAGMENT: u8 = 44;

/// ICMP type of an echo request.
const ECHO_REQUEST: u8 = 8;
/// ICMPv6 type of an echo request.
const ECHO_REQUEST_V6: u8 = 128;
/// ICMPv6 type of a neighbour solicitation.
const NEIGHBOUR_SOLICITATION: u8 = 135;

/// Bytes of a neighbour solicitation without options (RFC 4861 section 4.3).
const SOLICITATION_BYTES: usize = 24;

/// Source ports of services that would answer an answer: 0 is none, then echo, daytime, chargen, time.
pub(crate) const SOURCE_PORTS_REFUSED: [u16; 5] = [0, 7, 13, 19, 37];

impl Station {
    /// An IPv4 packet that starts at `ip`.
    #[inline]
    pub(super) fn classify_ipv4(&self, frame: &[u8], ip: usize, to_group: bool) -> Classified<Frame> {
        let Some((header, payload)) = frame.get(ip..).and_then(<[u8]>::split_first_chunk::<IPV4_BYTES>) else {
            return discard(Reason::FrameShort);
        };
        let &[version, _, l1, l2, _, _, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = header;
        if version >> 4 != 4 || version & 0xf < 5 {
            return discard(Reason::Ipv4Header);
        }
        if !self.serves_ipv4([d1, d2, d3, d4]) {
            return punt(Reason::OtherAddress);
        }
        // RFC 1122 section 3.3.6: a packet to a host's own address in a frame to a group is to be discarded.
        if to_group {
            return discard(Reason::OtherStation);
        }
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        if length < usize::from(version & 0xf) * 4 || length > IPV4_BYTES + payload.len() {
            return discard(Reason::IpLength);
        }
        if version & 0xf != 5 {
            return punt(Reason::Ipv4Options);
        }
        if !Sum::default().add(header).is_right() {
            return discard(Reason::Ipv4Checksum);
        }
        // All but the "don't fragment" bit.
        if u16::from_be_bytes([f1, f2]) & 0xbfff != 0 {
            return punt(Reason::Fragment);
        }
        if !can_reply_ipv4([s1, s2, s3, s4]) || [s1, s2, s3, s4] == [d1, d2, d3, d4] {
            return discard(Reason::SourceAddress);
        }
        let packet = Packet { is_ipv6: false, ip, payload: ip + IPV4_BYTES, end: ip + length };
        match protocol {
            UDP => self.classify_udp(frame, packet),
            ICMP if self.takes(frame, packet, ECHO_REQUEST) => {
                check_icmp(frame, packet).map(|()| Frame::Local(Request::Echo(packet)))
            }
            _ => punt(Reason::OtherProtocol),
        }
    }

    /// An IPv6 packet that starts at `ip`.
    #[inline]
    pub(super) fn classify_ipv6(&self, frame: &[u8], ip: usize, to_group: bool) -> Classified<Frame> {
        let Some((header, payload)) = frame.get(ip..).and_then(<[u8]>::split_first_chunk::<IPV6_BYTES>) else {
            return discard(Reason::FrameShort);
        };
        let &[version, _, _, _, l1, l2, next_header, hop_limit, ref addresses @ ..] = header;
        let (Some(source), Some(destination)) = (addresses.first_chunk::<16>(), addresses.last_chunk::<16>()) else {
            return discard(Reason::FrameShort);
        };
        if version >> 4 != 6 {
            return discard(Reason::Ipv6Header);
        }
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let packet = Packet { is_ipv6: true, ip, payload: ip + IPV6_BYTES, end: ip + IPV6_BYTES + length };
        let is_served = self.serves_ipv6(destination);
        if is_served && length > payload.len() {
            return discard(Reason::IpLength);
        }
        if next_header == ICMPV6 && length <= payload.len() && self.takes(frame, packet, NEIGHBOUR_SOLICITATION) {
            return self.classify_solicitation(frame, packet, hop_limit, is_served || to_group);
        }
        if !is_served {
            return punt(Reason::OtherAddress);
        }
        if to_group {
            return discard(Reason::OtherStation);
        }
        match next_header {
            IPV6_FRAGMENT => return punt(Reason::Fragment),
            // Hop-by-hop, routing, ESP, AH, destination options, mobility, HIP, shim6 (RFC 7045 section 1.1).
            0 | 43 | 50 | 51 | 60 | 135 | 139 | 140 => return punt(Reason::Ipv6Extension),
            _ => {}
        }
        if !can_reply_ipv6(source) || source == destination {
            return discard(Reason::SourceAddress);
        }
        match next_header {
            UDP => self.classify_udp(frame, packet),
            ICMPV6 if self.takes(frame, packet, ECHO_REQUEST_V6) => {
                check_icmp(frame, packet).map(|()| Frame::Local(Request::Echo(packet)))
            }
            _ => punt(Reason::OtherProtocol),
        }
    }

    /// True where this kind of ICMP or ICMPv6 message is answered here.
    fn takes(&self, frame: &[u8], packet: Packet, kind: u8) -> bool {
        self.answer_local && frame.get(packet.payload..packet.end).and_then(<[u8]>::first) == Some(&kind)
    }

    /// A UDP datagram to a served address.
    #[inline]
    fn classify_udp(&self, frame: &[u8], packet: Packet) -> Classified<Frame> {
        let segment = frame.get(packet.payload..packet.end).unwrap_or_default();
        let Some(&[s1, s2, d1, d2, l1, l2, c1, c2]) = segment.first_chunk::<UDP_BYTES>() else {
            return discard(Reason::UdpLength);
        };
        if [d1, d2] != self.dns_port {
            return punt(Reason::OtherPort);
        }
        // What the IP packet holds beyond the UDP length is not of the datagram (RFC 9868 calls it the surplus area).
        let Some(datagram) = segment.get(..usize::from(u16::from_be_bytes([l1, l2]))) else {
            return discard(Reason::UdpLength);
        };
        if datagram.len() < UDP_BYTES {
            return discard(Reason::UdpLength);
        }
        if SOURCE_PORTS_REFUSED.contains(&u16::from_be_bytes([s1, s2])) {
            return discard(Reason::SourcePort);
        }
        // RFC 768: no checksum is zero; RFC 8200 section 8.1 does not allow that over IPv6.
        let unchecked = [c1, c2] == [0, 0];
        if (unchecked && packet.is_ipv6)
            || (!unchecked && !pseudo_header(frame, packet, datagram.len()).add(datagram).is_right())
        {
            return discard(Reason::UdpChecksum);
        }
        Ok(Frame::Dns(Datagram { packet, end: packet.payload + datagram.len() }))
    }

    /// A neighbour solicitation, by the rules of RFC 4861 section 7.1.1.
    fn classify_solicitation(&self, frame: &[u8], packet: Packet, hop_limit: u8, is_ours: bool) -> Classified<Frame> {
        let message = frame.get(packet.payload..packet.end).unwrap_or_default();
        let Some((&[_, code, _, _, _, _, _, _, ref target @ ..], options)) =
            message.split_first_chunk::<SOLICITATION_BYTES>()
        else {
            return discard(Reason::IcmpMalformed);
        };
        if !self.serves_ipv6(target) || !is_ours {
            return punt(Reason::OtherAddress);
        }
        if hop_limit != 255 || code != 0 || !options_are_whole(options) {
            return discard(Reason::IcmpMalformed);
        }
        check_icmp(frame, packet)?;
        Ok(Frame::Local(Request::Neighbour(packet)))
    }
}

/// True where neighbour discovery options fill the bytes exactly, none of them empty (RFC 4861 section 4.6).
fn options_are_whole(mut options: &[u8]) -> bool {
    while let Some(&[_, length]) = options.first_chunk::<2>() {
        match options.get(usize::from(length) * 8..) {
            Some(rest) if length > 0 => options = rest,
            _ => return false,
        }
    }
    options.is_empty()
}

/// Checks the checksum of an ICMP or ICMPv6 message.
fn check_icmp(frame: &[u8], packet: Packet) -> Classified<()> {
    let message = frame.get(packet.payload..packet.end).unwrap_or_default();
    if message.len() < 8 {
        return discard(Reason::IcmpMalformed);
    }
    let sum = if packet.is_ipv6 { pseudo_header(frame, packet, message.len()) } else { Sum::default() };
    if sum.add(message).is_right() { Ok(()) } else { discard(Reason::IcmpChecksum) }
}

/// The sum of a packet's pseudo-header for a payload of `length` bytes (RFC 768, RFC 8200 section 8.1).
#[inline]
pub(super) fn pseudo_header(frame: &[u8], packet: Packet, length: usize) -> Sum {
    let (protocol_at, addresses_at, address_bytes) = if packet.is_ipv6 { (6, 8, 32) } else { (9, 12, 8) };
    let protocol = frame.get(packet.ip + protocol_at).copied().unwrap_or_default();
    let start = packet.ip + addresses_at;
    let addresses = frame.get(start..start + address_bytes).unwrap_or_default();
    // A frame is shorter than 64 KiB.
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    Sum::default().add(addresses).add_u16(u16::from(protocol)).add_u16(length)
}

/// False for source addresses that no reply can be sent to (RFC 1122 section 3.2.1.3).
#[inline]
fn can_reply_ipv4([first, ..]: [u8; 4]) -> bool {
    // This network, loopback, multicast and what is reserved, broadcast among it.
    first != 0 && first != 127 && first < 224
}

/// False for source addresses that no reply can be sent to (RFC 4291 section 2.7): unspecified, loopback, multicast.
#[inline]
fn can_reply_ipv6(source: &[u8; 16]) -> bool {
    u128::from_be_bytes(*source) > 1 && source.first() != Some(&0xff)
}
