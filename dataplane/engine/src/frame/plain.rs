//! The plain frame: untagged IPv4 without options or fragments, with a whole UDP datagram to a served address. Nearly all
//! queries are such. They are checked here in few instructions; whatever is not plain goes through
//! [`Station::classify`], which also knows what is wrong with it.

use super::checksum::Sum;
use super::{Datagram, ETHERNET_BYTES, IPV4_BYTES, Packet, Station, UDP_BYTES};

/// Bytes of the headers of a plain frame.
const HEADERS_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;

/// Source ports above this are not looked up among those refused.
const WELL_KNOWN_PORTS: u16 = 37;

impl Station {
    /// The datagram of a plain frame; nothing where the frame is not plain, or something of it is wrong.
    #[inline]
    pub(crate) fn classify_plain(&self, frame: &[u8]) -> Option<Datagram> {
        let headers = frame.first_chunk::<HEADERS_BYTES>()?;
        let (ethernet, rest) = headers.split_first_chunk::<ETHERNET_BYTES>()?;
        let (ip, udp) = rest.split_first_chunk::<IPV4_BYTES>()?;
        let &[d1, d2, d3, d4, d5, d6, s1, _, _, _, _, _, t1, t2] = ethernet;
        let &[v, _, l1, l2, _, _, f1, f2, _, protocol, _, _, sa, sb, sc, sd, da, db, dc, dd] = ip;
        let &[p1, p2, q1, q2, u1, u2, c1, c2] = udp.first_chunk::<UDP_BYTES>()?;
        let to_us = [d1, d2, d3, d4, d5, d6] == self.mac && s1 & 1 == 0;
        let is_plain = [t1, t2, v, protocol] == [8, 0, 0x45, 17] && u16::from_be_bytes([f1, f2]) & 0xbfff == 0;
        if !to_us
            || !is_plain
            || self.vlan.is_some()
            || [q1, q2] != self.dns_port
            || !self.serves_ipv4([da, db, dc, dd])
        {
            return None;
        }
        let ip_length = usize::from(u16::from_be_bytes([l1, l2]));
        let udp_length = usize::from(u16::from_be_bytes([u1, u2]));
        let fits = ip_length <= frame.len() - ETHERNET_BYTES && udp_length + IPV4_BYTES <= ip_length;
        let source_is_good = sa != 0
            && sa != 127
            && sa < 224
            && [sa, sb, sc, sd] != [da, db, dc, dd]
            && u16::from_be_bytes([p1, p2]) > WELL_KNOWN_PORTS;
        // A datagram without checksum is rare; the long way takes it.
        if !fits
            || udp_length < UDP_BYTES
            || !source_is_good
            || [c1, c2] == [0, 0]
            || !Sum::default().add(ip).is_right()
        {
            return None;
        }
        let segment = frame.get(ETHERNET_BYTES + IPV4_BYTES..ETHERNET_BYTES + IPV4_BYTES + udp_length)?;
        // The pseudo-header: addresses, protocol, length.
        let sum = Sum::default().add(&[sa, sb, sc, sd, da, db, dc, dd, 0, 17, u1, u2, 0, 0, 0, 0]).add(segment);
        let packet = Packet {
            is_ipv6: false,
            ip: ETHERNET_BYTES,
            payload: ETHERNET_BYTES + IPV4_BYTES,
            end: ETHERNET_BYTES + ip_length,
        };
        sum.is_right().then_some(Datagram { packet, end: packet.payload + udp_length })
    }
}
