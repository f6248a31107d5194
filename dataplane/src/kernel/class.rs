//! Which frames hold up sessions and routes, and which can wait behind them.

/// Bytes of the MAC addresses.
const ADDRESSES_BYTES: usize = 12;
/// Bytes of a VLAN tag.
const TAG_BYTES: usize = 4;
/// Protocol number of UDP.
const UDP: u8 = 17;
/// Protocol number of the IPv6 fragment header.
const IPV6_FRAGMENT: u8 = 44;

/// True for ARP, for protocols beside IP (LLDP, PTP), and for whole packets that are not UDP: TCP, ICMP, neighbour
/// discovery, OSPF. Nobody sends many of these by chance, and without them neighbours, routes and sessions are lost.
///
/// Looks at fixed places only, behind at most two VLAN tags. A wrong guess puts a frame into the other ring.
#[inline]
pub fn holds_sessions(frame: &[u8]) -> bool {
    let mut start = ADDRESSES_BYTES;
    for _ in 0..2 {
        if !matches!(at::<2>(frame, start), Some([0x81, 0x00] | [0x88, 0xa8])) {
            break;
        }
        start += TAG_BYTES;
    }
    match at::<2>(frame, start) {
        // Of the 20 bytes: flags and fragment offset at 6, protocol at 9.
        Some([0x08, 0x00]) => at::<20>(frame, start + 2).is_some_and(|[_, _, _, _, _, _, f1, f2, _, protocol, ..]| {
            protocol != UDP && u16::from_be_bytes([f1, f2]) & 0x3fff == 0
        }),
        Some([0x86, 0xdd]) => {
            at::<8>(frame, start + 2).is_some_and(|[.., next, _]| !matches!(next, UDP | IPV6_FRAGMENT))
        }
        Some(_) => true,
        None => false,
    }
}

/// Some bytes of a frame.
#[inline]
fn at<const N: usize>(frame: &[u8], start: usize) -> Option<[u8; N]> {
    frame.get(start..)?.first_chunk().copied()
}

/// A number that is the same for all packets between two addresses, so that their order is kept by whoever spreads frames by
/// it. Fragments of a packet are among them.
#[inline]
pub fn flow(frame: &[u8]) -> usize {
    let addresses: &[u8] = match at::<2>(frame, ADDRESSES_BYTES) {
        Some([0x08, 0x00]) => frame.get(26..34).unwrap_or_default(),
        Some([0x86, 0xdd]) => frame.get(22..54).unwrap_or_default(),
        _ => frame.get(..ADDRESSES_BYTES).unwrap_or_default(),
    };
    addresses.iter().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with tags, an ethertype and the start of what it carries.
    fn frame(tags: &[[u8; 4]], ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &tags.concat(), &ethertype, payload, &[0; 40]].concat()
    }

    /// An IPv4 header up to the protocol.
    fn ipv4(flags: [u8; 2], protocol: u8) -> Vec<u8> {
        [&[0x45, 0, 0, 40, 0, 0][..], &flags, &[64, protocol]].concat()
    }

    #[test]
    fn tcp_icmp_arp_and_link_protocols_hold_sessions() {
        let tag = [0x81, 0, 0, 7];
        for tags in [&[][..], &[tag], &[[0x88, 0xa8, 0, 9], tag]] {
            assert!(holds_sessions(&frame(tags, [8, 6], b"")));
            assert!(holds_sessions(&frame(tags, [0x88, 0xcc], b"")));
            assert!(holds_sessions(&frame(tags, [8, 0], &ipv4([0x40, 0], 6))));
            assert!(holds_sessions(&frame(tags, [8, 0], &ipv4([0, 0], 1))));
            assert!(holds_sessions(&frame(tags, [0x86, 0xdd], &[0x60, 0, 0, 0, 0, 20, 58, 255])));
        }
    }

    #[test]
    fn datagrams_and_fragments_and_short_frames_do_not() {
        assert!(!holds_sessions(&frame(&[], [8, 0], &ipv4([0, 0], 17))));
        assert!(!holds_sessions(&frame(&[], [8, 0], &ipv4([0x20, 0], 6))), "a first fragment");
        assert!(!holds_sessions(&frame(&[], [8, 0], &ipv4([0, 9], 6))), "a later fragment");
        for next in [17, 44] {
            assert!(!holds_sessions(&frame(&[], [0x86, 0xdd], &[0x60, 0, 0, 0, 0, 20, next, 64])));
        }
        let whole = frame(&[], [8, 0], &ipv4([0, 0], 6));
        assert!((0..34).all(|length| !holds_sessions(&whole[..length])));
    }

    #[test]
    fn a_flow_is_two_addresses() {
        let packet = |last: u8, rest: u8| {
            let header = [&ipv4([0, 0], 6)[..], &[0, 0, 192, 0, 2, 1, 192, 0, 2, last, rest]].concat();
            flow(&frame(&[], [8, 0], &header))
        };
        assert_eq!(packet(2, 7), packet(2, 8));
        assert_ne!(packet(2, 7), packet(3, 7));
        assert_eq!(flow(&[1; 20]), flow(&[1; 60]));
    }
}
