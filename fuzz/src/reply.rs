//! What holds for every reply, whatever was asked.

use std::net::{Ipv4Addr, Ipv6Addr};

use ringdns_engine::testing::{checksum, transport_checksum};

/// Bytes of a DNS header.
const HEADER_BYTES: usize = 12;

/// Type OPT.
const OPT: u16 = 41;

/// Checks a reply against the query that it answers, both as DNS messages. `has_others` says that names of others are answered.
pub(crate) fn check(query: &[u8], reply: &[u8], udp_answer_bytes_max: usize, has_others: bool) {
    assert_eq!(reply[..2], query[..2], "id");
    assert_eq!(reply[2] & 0xf9, query[2] & 0x79 | 0x80, "QR, opcode and RD");
    assert_eq!(reply[3] & 0x70, query[3] & 0x10, "CD is copied, AD clear");
    assert!(has_others || reply[3] & 0x80 == 0, "RA is clear where nobody is asked");
    let rcode = reply[3] & 0xf;
    let counts: Vec<usize> = (4..HEADER_BYTES).step_by(2).map(|at| usize::from(number(reply, at))).collect();
    assert!(counts[0] <= 1, "one question at most");
    let mut position = HEADER_BYTES;
    if counts[0] == 1 {
        position = name_end(reply, position) + 4;
        assert_eq!(reply[HEADER_BYTES..position], query[HEADER_BYTES..position], "the question as it was sent");
    } else {
        assert!(matches!(rcode, 0 | 1 | 4 | 7), "rcode {rcode} without a question");
    }
    let mut opt = None;
    for (section, &count) in counts[1..].iter().enumerate() {
        for _ in 0..count {
            let end = name_end(reply, position);
            if number(reply, end) == OPT {
                assert!(section == 2 && opt.is_none() && end == position + 1, "an OPT record out of place");
                opt = Some(end);
            }
            position = end + 10 + usize::from(number(reply, end + 8));
        }
    }
    assert_eq!(position, reply.len(), "the reply ends with its last record");
    assert!(reply.len() <= udp_answer_bytes_max, "{} bytes", reply.len());
    assert!(reply.len() <= 512 || opt.is_some(), "{} bytes without EDNS", reply.len());
    if opt.is_some() {
        let asked = asked_bytes(query).expect("an OPT record is answered, never volunteered");
        assert!(reply.len() <= asked.max(512), "{} bytes, at most {asked}", reply.len());
    }
}

/// The UDP size that a query's OPT record offers.
fn asked_bytes(query: &[u8]) -> Option<usize> {
    let questions = usize::from(number(query, 4));
    let mut position = HEADER_BYTES;
    for _ in 0..questions {
        position = name_end(query, position) + 4;
    }
    for _ in 0..number(query, 10) {
        let end = name_end(query, position);
        if number(query, end) == OPT {
            return Some(usize::from(number(query, end + 2)));
        }
        position = end + 10 + usize::from(number(query, end + 8));
    }
    None
}

/// Sixteen bits of a message.
fn number(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([message[at], message[at + 1]])
}

/// Where a name in a message ends; it is sound, and its pointers lead backwards.
fn name_end(message: &[u8], start: usize) -> usize {
    let (mut position, mut end, mut bytes, mut bound) = (start, None, 1, start);
    loop {
        let length = usize::from(message[position]);
        match length {
            0 => return end.unwrap_or(position + 1),
            1..64 => {
                bytes += length + 1;
                position += length + 1;
                assert!(bytes <= 255, "a name of more than 255 bytes");
            }
            192.. => {
                let target = usize::from(number(message, position) & 0x3fff);
                end.get_or_insert(position + 2);
                assert!((HEADER_BYTES..bound).contains(&target), "a pointer from {bound} to {target}");
                (position, bound) = (target, target);
            }
            _ => panic!("a label of type {length}"),
        }
    }
}

/// Checks a frame that goes back to where another came from: addresses and every checksum.
pub(crate) fn check_frame(asked: &[u8], reply: &[u8]) {
    assert_eq!(reply[..6], asked[6..12], "it goes to whom it came from");
    assert_eq!(reply[6] & 1, 0, "no group sends");
    let tag_bytes = if reply[12..14] == [0x81, 0] { 4 } else { 0 };
    assert_eq!(reply[12..14 + tag_bytes], asked[12..14 + tag_bytes], "tag and ethertype stay");
    let packet = &reply[14 + tag_bytes..];
    match reply[12 + tag_bytes..14 + tag_bytes] {
        [0x08, 0x00] => {
            let length = usize::from(number(packet, 2));
            assert!(length <= packet.len() && packet[0] == 0x45, "IPv4 header");
            assert_eq!(checksum(&packet[..20]), [0, 0], "IPv4 header checksum");
            let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
            let segment = &packet[20..length];
            match packet[9] {
                1 => assert_eq!(checksum(segment), [0, 0], "ICMP checksum"),
                protocol => check_segment((address(12).into(), address(16).into()), protocol, segment),
            }
        }
        [0x86, 0xdd] => {
            let length = 40 + usize::from(number(packet, 4));
            assert!(length <= packet.len() && packet[0] >> 4 == 6, "IPv6 header");
            let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
            check_segment((address(8).into(), address(24).into()), packet[6], &packet[40..length]);
        }
        [0x08, 0x06] => assert_eq!(packet[6..8], [0, 2], "an ARP reply"),
        ref other => panic!("a reply of ethertype {other:02x?}"),
    }
}

/// Checks a UDP datagram or an ICMPv6 message.
fn check_segment(addresses: (std::net::IpAddr, std::net::IpAddr), protocol: u8, segment: &[u8]) {
    assert!(matches!(protocol, 17 | 58), "a reply of protocol {protocol}");
    assert_eq!(transport_checksum(addresses, protocol, segment), [0, 0], "checksum of protocol {protocol}");
    if protocol == 17 {
        assert_eq!(usize::from(number(segment, 4)), segment.len(), "UDP length");
        assert_ne!(segment[6..8], [0, 0], "the UDP checksum is always filled in");
    }
}
