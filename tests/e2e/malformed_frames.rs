//! Frames that break the rules below DNS, sent as they are.

use std::net::{IpAddr, Ipv4Addr};

use harness::frames::{ETHERNET_BYTES, PacketSocket, Way, checksum, set_ipv4_checksum};
use harness::link::addresses::{SERVED4, SERVED6};
use harness::link::{mac_address, parse_mac};
use harness::process::run;
use harness::server::TAP;
use harness::{Setup, turn, wait_for};

use crate::malformed::{COUNT_TIME_MAX, assert_answers, question, start};

/// Times that each frame is sent: the kernel's own multicast, a few frames, cannot be mistaken for it.
const COPIES: u64 = 50;

/// A frame with a description and the reason that it must be counted under.
type Case = (&'static str, Vec<u8>, &'static str);

/// A frame after a change.
fn changed(frame: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = frame.to_vec();
    change(&mut frame);
    frame
}

/// Puts bytes into a frame.
fn insert(frame: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let tail = frame.split_off(at);
    frame.extend(bytes);
    frame.extend(tail);
}

/// The same with the IPv4 header's checksum put right after the change.
fn changed_ipv4(frame: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    changed(frame, |frame| {
        change(frame);
        set_ipv4_checksum(&mut frame[ETHERNET_BYTES..ETHERNET_BYTES + 20]);
    })
}

/// Frames whose Ethernet part is odd.
fn ethernet_cases(v4: &Way, good: &[u8]) -> Vec<Case> {
    let tagged = |tag: [u8; 4]| changed(good, |frame| insert(frame, 12, &tag));
    let twice_tagged = changed(&tagged([0x81, 0, 0, 5]), |frame| insert(frame, 12, &[0x81, 0, 0, 6]));
    let other_station = Way { destination_mac: [2, 0, 0, 0, 0, 0x77], ..*v4 };
    vec![
        ("an Ethernet header alone", good[..14].to_vec(), "frame_short"),
        ("cut in the VLAN tag", [&good[..12], &[0x81, 0, 0]].concat(), "frame_short"),
        ("cut in the IPv4 header", good[..24].to_vec(), "frame_short"),
        ("for another station", other_station.frame(&question().to_wire(1)), "other_station"),
        ("in VLAN 5", tagged([0x81, 0, 0, 5]), "other_vlan"),
        ("in two VLANs", twice_tagged, "other_vlan"),
        ("with a service provider's tag", tagged([0x88, 0xa8, 0, 6]), "other_ethertype"),
        (
            "of an unknown ethertype",
            changed(good, |frame| frame[12..14].copy_from_slice(&[0x88, 0xb5])),
            "other_ethertype",
        ),
        ("ARP for another address", arp_for(v4, [192, 0, 2, 99]), "other_arp"),
    ]
}

/// An ARP request.
fn arp_for(way: &Way, target: [u8; 4]) -> Vec<u8> {
    let mut frame = [[0xff; 6], way.source_mac].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(way.source_mac);
    frame.extend([192, 0, 2, 1]);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}

/// Frames whose IPv4 header is wrong or not ours.
fn ipv4_cases(v4: &Way, good: &[u8]) -> Vec<Case> {
    let ip = ETHERNET_BYTES;
    let query = question().to_wire(1);
    let from = |source: [u8; 4]| Way { source: IpAddr::V4(Ipv4Addr::from(source)), ..*v4 }.frame(&query);
    let other_address = Way { destination: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)), ..*v4 };
    let options = changed(good, |frame| {
        // One word of no-operation options: header length 6, total length 4 more.
        frame[ip] = 0x46;
        let total = u16::from_be_bytes([frame[ip + 2], frame[ip + 3]]) + 4;
        frame[ip + 2..ip + 4].copy_from_slice(&total.to_be_bytes());
        insert(frame, ip + 20, &[1, 1, 1, 1]);
        set_ipv4_checksum(&mut frame[ip..ip + 24]);
    });
    let length = |bytes: u16| {
        changed_ipv4(good, |frame| {
            frame[ip + 2..ip + 4].copy_from_slice(&bytes.to_be_bytes());
        })
    };
    vec![
        ("of IP version 5", changed_ipv4(good, |frame| frame[ip] = 0x55), "ipv4_header"),
        ("with a header of 16 bytes", changed_ipv4(good, |frame| frame[ip] = 0x44), "ipv4_header"),
        ("with a wrong header checksum", changed(good, |frame| frame[ip + 10] ^= 1), "ipv4_checksum"),
        ("longer than the frame", length(1400), "ip_length"),
        ("shorter than its header", length(19), "ip_length"),
        ("with options", options, "ipv4_options"),
        ("a first fragment", changed_ipv4(good, |frame| frame[ip + 6] = 0x20), "fragment"),
        ("a later fragment", changed_ipv4(good, |frame| frame[ip + 6..ip + 8].copy_from_slice(&[0, 9])), "fragment"),
        ("for another address", other_address.frame(&query), "other_address"),
        ("TCP", v4.packet(6, &[0; 20]), "other_protocol"),
        ("from loopback", from([127, 0, 0, 1]), "source_address"),
        ("from nowhere", from([0, 0, 0, 0]), "source_address"),
        ("from a group", from([224, 0, 0, 1]), "source_address"),
        ("from everybody", from([255, 255, 255, 255]), "source_address"),
    ]
}

/// Frames whose IPv6 header is wrong or not ours.
fn ipv6_cases(v6: &Way, good: &[u8]) -> Vec<Case> {
    let ip = ETHERNET_BYTES;
    let query = question().to_wire(1);
    let hop_by_hop = [&[17, 0, 1, 4, 0, 0, 0, 0], &good[ip + 40..]].concat();
    let fragment = [&[17, 0, 0, 1, 0, 0, 0, 9], &good[ip + 40..]].concat();
    let from = |source: &str| Way { source: source.parse().expect("an address"), ..*v6 }.frame(&query);
    let other_address = Way { destination: "2001:db8:53::99".parse().expect("an address"), ..*v6 };
    vec![
        ("of IP version 7", changed(good, |frame| frame[ip] = 0x70), "ipv6_header"),
        ("cut in the IPv6 header", good[..ip + 30].to_vec(), "frame_short"),
        ("longer than the frame (v6)", changed(good, |frame| frame[ip + 4] = 5), "ip_length"),
        ("with hop-by-hop options", v6.packet(0, &hop_by_hop), "ipv6_extension"),
        ("a fragment (v6)", v6.packet(44, &fragment), "fragment"),
        ("for another address (v6)", other_address.frame(&query), "other_address"),
        ("from a group (v6)", from("ff02::1"), "source_address"),
        ("from loopback (v6)", from("::1"), "source_address"),
        ("from nowhere (v6)", from("::"), "source_address"),
        ("without UDP checksum (v6)", changed(good, |frame| frame[ip + 46..ip + 48].fill(0)), "udp_checksum"),
        ("with a wrong UDP checksum (v6)", changed(good, |frame| frame[ip + 46] ^= 1), "udp_checksum"),
    ]
}

/// Frames whose UDP or ICMP part is wrong or not ours.
fn transport_cases(v4: &Way, good: &[u8]) -> Vec<Case> {
    let udp = ETHERNET_BYTES + 20;
    let query = question().to_wire(1);
    let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1, b'h', b'i'];
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    let bad_echo = changed(&echo, |echo| echo[2] ^= 1);
    let length = |bytes: u8| changed(good, |frame| frame[udp + 4..udp + 6].copy_from_slice(&[0, bytes]));
    vec![
        ("with a wrong UDP checksum", changed(good, |frame| frame[udp + 6] ^= 1), "udp_checksum"),
        ("with a UDP length beyond the packet", length(250), "udp_length"),
        ("with a UDP length below its header", length(7), "udp_length"),
        ("from port 0", Way { source_port: 0, ..*v4 }.frame(&query), "source_port"),
        ("to another port", Way { destination_port: 5300, ..*v4 }.frame(&query), "other_port"),
        ("echo with a wrong checksum", v4.packet(1, &bad_echo), "icmp_checksum"),
        ("echo cut in its header", v4.packet(1, &echo[..5]), "icmp_malformed"),
    ]
}

#[test]
fn malformed_frames_are_each_counted_under_their_reason() {
    let _turn = turn();
    let mut setup = Setup::new();
    let server = start(&mut setup);
    assert_answers();
    let neighbour = run("ip", &["neighbour", "show", &SERVED4.to_string(), "dev", TAP]);
    let destination_mac =
        parse_mac(neighbour.split("lladdr ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a MAC"));
    let v4 = Way {
        source_mac: mac_address(TAP),
        destination_mac,
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        destination: SERVED4,
        source_port: 40_000,
        destination_port: 53,
    };
    let v6 = Way { source: "2001:db8:53::1".parse().expect("an address"), destination: SERVED6, ..v4 };
    let (good4, good6) = (v4.frame(&question().to_wire(1)), v6.frame(&question().to_wire(1)));
    let socket = PacketSocket::open(TAP);

    // What the cases are made of is answered: else each would prove nothing.
    let before = server.metrics();
    (0..COPIES).for_each(|_| [&good4, &good6].iter().for_each(|frame| socket.send(frame)));
    wait_for("the unchanged frames to be answered", COUNT_TIME_MAX, || {
        (server.metrics().answers("NOERROR") == before.answers("NOERROR") + 2 * COPIES).then_some(())
    });

    let cases =
        [ethernet_cases(&v4, &good4), ipv4_cases(&v4, &good4), ipv6_cases(&v6, &good6), transport_cases(&v4, &good4)];
    let mut failures = Vec::new();
    for (what, frame, reason) in cases.concat() {
        let before = server.metrics();
        (0..COPIES).for_each(|_| socket.send(&frame));
        let start = std::time::Instant::now();
        // Everything arrives under some reason; which one is looked at then.
        let grown = loop {
            let grown = server.metrics().grown_reasons(&before);
            if grown.values().any(|&frames| frames >= COPIES) || start.elapsed() > COUNT_TIME_MAX {
                break grown;
            }
        };
        if grown.get(reason).is_none_or(|&frames| frames < COPIES) {
            failures.push(format!("a frame {what} must be counted as {reason}: {grown:?}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert_answers();
}
