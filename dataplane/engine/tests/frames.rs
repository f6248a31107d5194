//! Frames: what is ours, what is answered by the port itself, and why the rest is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, cookies, snapshot};
use ringdns_engine::rtype::types;
use ringdns_engine::serve::ServerConfig;
use ringdns_engine::testing::{
    CLIENT_MAC, SERVER_MAC, UdpFrame, checksum, ethernet, ip, query, query_options, reply_message, transport_checksum,
};
use ringdns_engine::verdict::{Reason, Verdict};

fn host() -> Host {
    Host::new(snapshot(&[("example.", "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n")]))
}

fn host_with(change: impl FnOnce(&mut ServerConfig)) -> Host {
    Host::with(host().snapshot, change)
}

fn question() -> Vec<u8> {
    query("ns.example.", types::A)
}

/// A frame with some bytes changed.
fn changed(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// An IPv4 query frame whose header was changed, its checksum made right again.
fn changed_ipv4(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = changed(UdpFrame::ipv4().build(&question()), 14 + at, bytes);
    let header_bytes = usize::from(frame[14] & 0xf) * 4;
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..14 + header_bytes.max(20)]);
    changed(frame, 24, &sum)
}

#[test]
fn queries_are_turned_round_over_ipv4_ipv6_and_vlan() {
    for (vlan, mut host) in [(None, host()), (Some(100), host_with(|config| config.vlan = Some(100)))] {
        for path in [UdpFrame::ipv4(), UdpFrame::ipv6()] {
            let path = UdpFrame { vlan, ..path };
            let (verdict, reply) = host.frame(&path.build(&question()));
            assert_eq!(verdict, Verdict::Reply);
            assert!(reply_message(&reply, &path).ends_with(&[192, 0, 2, 1]));
        }
    }
}

#[test]
fn padding_is_not_part_of_the_message() {
    let path = UdpFrame::ipv4();
    let mut frame = path.build(&question());
    frame.extend([0xaa; 30]);
    let (verdict, reply) = host().frame(&frame);
    assert_eq!(verdict, Verdict::Reply);
    assert!(reply_message(&reply, &path).ends_with(&[192, 0, 2, 1]));
}

#[test]
fn a_missing_checksum_is_allowed_over_ipv4_only() {
    let frame = UdpFrame::ipv4().build(&question());
    assert_eq!(host().frame(&changed(frame, 14 + 20 + 6, &[0, 0])).0, Verdict::Reply);
    let frame = UdpFrame::ipv6().build(&question());
    assert_eq!(host().frame(&changed(frame, 14 + 40 + 6, &[0, 0])).0, Verdict::Drop(Reason::UdpChecksum));
}

/// Asserts that a frame has a verdict, and that it is counted under its reason and nowhere else.
fn expect(frame: &[u8], verdict: Verdict) {
    let mut host = host();
    assert_eq!(host.frame(frame).0, verdict, "{frame:02x?}");
    let (Verdict::Drop(reason) | Verdict::Punt(reason)) = verdict else { panic!() };
    assert_eq!(host.counters.reason(reason), 1, "{reason:?} is counted");
    let all: u64 = Reason::ALL.iter().map(|&reason| host.counters.reason(reason)).sum();
    assert_eq!(all, 1, "nothing else is");
}

#[test]
fn broken_ethernet_has_its_reason() {
    let frame = UdpFrame::ipv4().build(&question());
    for (at, bytes, verdict) in [
        (0, &CLIENT_MAC[..], Verdict::Drop(Reason::OtherStation)),
        (0, &[0xff; 6], Verdict::Drop(Reason::OtherStation)),
        (6, &[0x01], Verdict::Drop(Reason::OtherStation)),
        (12, &[0x88, 0xcc], Verdict::Punt(Reason::OtherEthertype)),
    ] {
        expect(&changed(frame.clone(), at, bytes), verdict);
    }
    let tagged = UdpFrame { vlan: Some(5), ..UdpFrame::ipv4() }.build(&question());
    expect(&tagged, Verdict::Punt(Reason::OtherVlan));
}

#[test]
fn broken_ipv4_has_its_reason() {
    let frame = UdpFrame::ipv4().build(&question());
    for (at, bytes, verdict) in [
        (0, &[0x55][..], Verdict::Drop(Reason::Ipv4Header)),
        (0, &[0x44], Verdict::Drop(Reason::Ipv4Header)),
        (2, &[0xff, 0xff], Verdict::Drop(Reason::IpLength)),
        (2, &[0, 19], Verdict::Drop(Reason::IpLength)),
        (2, &[0, 27], Verdict::Drop(Reason::UdpLength)),
        (6, &[0x20, 0], Verdict::Punt(Reason::Fragment)),
        (6, &[0, 1], Verdict::Punt(Reason::Fragment)),
        (9, &[6], Verdict::Punt(Reason::OtherProtocol)),
        (16, &[192, 0, 2, 99], Verdict::Punt(Reason::OtherAddress)),
    ] {
        expect(&changed_ipv4(at, bytes), verdict);
    }
    expect(&changed(frame.clone(), 24, &[0, 0]), Verdict::Drop(Reason::Ipv4Checksum));
    let mut options = [&ethernet(None, false), &frame[14..34], &[1, 1, 1, 1], &frame[34..]].concat();
    options[14] = 0x46;
    options[17] += 4;
    expect(&options, Verdict::Punt(Reason::Ipv4Options));
}

#[test]
fn broken_ipv6_has_its_reason() {
    let frame = UdpFrame::ipv6().build(&question());
    for (at, bytes, verdict) in [
        (14, &[0x40][..], Verdict::Drop(Reason::Ipv6Header)),
        (18, &[0xff, 0xff], Verdict::Drop(Reason::IpLength)),
        (20, &[44], Verdict::Punt(Reason::Fragment)),
        (20, &[0], Verdict::Punt(Reason::Ipv6Extension)),
        (20, &[60], Verdict::Punt(Reason::Ipv6Extension)),
        (20, &[6], Verdict::Punt(Reason::OtherProtocol)),
        (53, &[0x99], Verdict::Punt(Reason::OtherAddress)),
        (70, &[0x77], Verdict::Drop(Reason::UdpChecksum)),
    ] {
        expect(&changed(frame.clone(), at, bytes), verdict);
    }
}

#[test]
fn broken_udp_has_its_reason() {
    let frame = UdpFrame::ipv4().build(&question());
    for (at, bytes, verdict) in [
        (34, &[0, 0][..], Verdict::Drop(Reason::SourcePort)),
        (34, &[0, 7], Verdict::Drop(Reason::SourcePort)),
        (36, &[0, 54], Verdict::Punt(Reason::OtherPort)),
        (38, &[0, 7], Verdict::Drop(Reason::UdpLength)),
        (38, &[0xff, 0], Verdict::Drop(Reason::UdpLength)),
        (45, &[0x77], Verdict::Drop(Reason::UdpChecksum)),
    ] {
        expect(&changed(frame.clone(), at, bytes), verdict);
    }
}

#[test]
fn sources_that_no_reply_could_reach_are_dropped() {
    for source in
        ["127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "192.0.2.53", "::", "::1", "ff02::1", "2001:db8::53"]
    {
        let mut path = if source.contains(':') { UdpFrame::ipv6() } else { UdpFrame::ipv4() };
        path.addresses.0 = source.parse().unwrap();
        expect(&path.build(&question()), Verdict::Drop(Reason::SourceAddress));
    }
}

#[test]
fn frames_cut_off_at_every_length_are_dropped() {
    let mut host = host();
    for whole in [UdpFrame::ipv4().build(&question()), UdpFrame::ipv6().build(&question())] {
        for length in 0..whole.len() {
            let (verdict, _) = host.frame(&whole[..length]);
            let reason = if length < 14 { Some(Reason::FrameShort) } else { None };
            match (verdict, reason) {
                (Verdict::Drop(found), Some(expected)) => assert_eq!(found, expected),
                (Verdict::Drop(Reason::FrameShort | Reason::IpLength), None) => {}
                other => panic!("{length} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn arp_requests_for_served_addresses_are_answered() {
    let request = [
        &[0xff; 6][..],
        &CLIENT_MAC,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &CLIENT_MAC,
        &[192, 0, 2, 1],
        &[0; 6],
        &[192, 0, 2, 53],
        &[0; 18],
    ]
    .concat();
    let mut host = host();
    let (verdict, reply) = host.frame(&request);
    assert_eq!(verdict, Verdict::Reply);
    let expected = [
        &CLIENT_MAC[..],
        &SERVER_MAC,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
        &SERVER_MAC,
        &[192, 0, 2, 53],
        &CLIENT_MAC,
        &[192, 0, 2, 1],
        &[0; 18],
    ]
    .concat();
    assert_eq!(reply, expected);
    assert_eq!(host.counters.arp_replies.get(), 1);
    assert_eq!(host.frame(&changed(request.clone(), 41, &[54])).0, Verdict::Punt(Reason::OtherArp));
    assert_eq!(host.frame(&changed(request.clone(), 21, &[2])).0, Verdict::Punt(Reason::OtherArp), "a reply");
    assert_eq!(host.frame(&request[..41]).0, Verdict::Drop(Reason::FrameShort));
    let mut punting = host_with(|config| config.answer_local = false);
    assert_eq!(punting.frame(&request).0, Verdict::Punt(Reason::OtherArp));
}

/// A neighbour solicitation for 2001:db8::53.
fn solicitation(source: &str, destination: &str, options: &[u8], hops: u8) -> Vec<u8> {
    let addresses = (source.parse().unwrap(), destination.parse().unwrap());
    let target: std::net::Ipv6Addr = "2001:db8::53".parse().unwrap();
    let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), options].concat();
    let sum = transport_checksum(addresses, 58, &message);
    message[2..4].copy_from_slice(&sum);
    let frame = [ethernet(None, true), ip(addresses, 58, hops, &message)].concat();
    changed(frame, 0, &[0x33, 0x33, 0xff, 0, 0, 0x53])
}

#[test]
fn neighbour_solicitations_are_answered() {
    let option = [&[1, 1][..], &CLIENT_MAC].concat();
    let mut host = host();
    for (source, answered_to, flags) in [("2001:db8::1", "2001:db8::1", 0x60), ("::", "ff02::1", 0x20)] {
        let options = if source == "::" { &[][..] } else { &option };
        let (verdict, reply) = host.frame(&solicitation(source, "ff02::1:ff00:53", options, 255));
        assert_eq!(verdict, Verdict::Reply);
        let to = if source == "::" { [0x33, 0x33, 0, 0, 0, 1] } else { CLIENT_MAC };
        assert_eq!(reply[..14], [&to[..], &SERVER_MAC, &[0x86, 0xdd]].concat());
        let addresses = ("2001:db8::53".parse().unwrap(), answered_to.parse().unwrap());
        let target: std::net::Ipv6Addr = "2001:db8::53".parse().unwrap();
        let mut message = [&[136, 0, 0, 0, flags, 0, 0, 0][..], &target.octets(), &[2, 1], &SERVER_MAC].concat();
        let sum = transport_checksum(addresses, 58, &message);
        message[2..4].copy_from_slice(&sum);
        assert_eq!(reply[14..], ip(addresses, 58, 255, &message));
    }
    assert_eq!(host.counters.neighbour_replies.get(), 2);
    // RFC 4861 section 7.1.1: a hop limit below 255 shows that it was forwarded.
    let forwarded = solicitation("2001:db8::1", "ff02::1:ff00:53", &option, 254);
    assert_eq!(host.frame(&forwarded).0, Verdict::Drop(Reason::IcmpMalformed));
    let empty_option = solicitation("2001:db8::1", "ff02::1:ff00:53", &[1, 0, 0, 0, 0, 0, 0, 0], 255);
    assert_eq!(host.frame(&empty_option).0, Verdict::Drop(Reason::IcmpMalformed));
    let wrong_sum = changed(solicitation("2001:db8::1", "ff02::1:ff00:53", &option, 255), 57, &[0x99]);
    assert_eq!(host.frame(&wrong_sum).0, Verdict::Drop(Reason::IcmpChecksum));
    let other_target = changed(solicitation("2001:db8::1", "ff02::1:ff00:53", &option, 255), 77, &[0x54]);
    assert_eq!(host.frame(&other_target).0, Verdict::Punt(Reason::OtherAddress));
}

#[test]
fn echo_requests_are_answered() {
    let mut host = host();
    for (path, protocol, request, reply_kind) in [(UdpFrame::ipv4(), 1, 8, 0), (UdpFrame::ipv6(), 58, 128, 129)] {
        let (client, server) = path.addresses;
        let echo = |kind: u8, addresses| {
            let mut message = [&[kind, 0, 0, 0, 0x12, 0x34, 0, 1][..], b"some odd data"].concat();
            let sum = if protocol == 1 { checksum(&message) } else { transport_checksum(addresses, 58, &message) };
            message[2..4].copy_from_slice(&sum);
            message
        };
        let is_ipv6 = protocol == 58;
        let request =
            [ethernet(None, is_ipv6), ip((client, server), protocol, 64, &echo(request, (client, server)))].concat();
        let (verdict, reply) = host.frame(&request);
        assert_eq!(verdict, Verdict::Reply);
        assert!(reply.ends_with(&echo(reply_kind, (server, client))), "{reply:02x?}");
        let broken = changed(request.clone(), request.len() - 1, &[0xff]);
        assert_eq!(host.frame(&broken).0, Verdict::Drop(Reason::IcmpChecksum));
    }
    assert_eq!(host.counters.echo_replies.get(), 2);
}

#[test]
fn a_short_echo_request_is_malformed() {
    let path = UdpFrame::ipv4();
    let frame = [ethernet(None, false), ip(path.addresses, 1, 64, &[8, 0, 0, 0])].concat();
    assert_eq!(host().frame(&frame).0, Verdict::Drop(Reason::IcmpMalformed));
}

#[test]
fn frames_in_several_buffers_are_dropped_by_name() {
    use ringdns_engine::frame::FrameBuffer;
    use ringdns_engine::limits::BURST_FRAMES_MAX;
    struct Scattered(Vec<u8>);
    impl FrameBuffer for Scattered {
        fn frame(&self) -> &[u8] {
            &self.0
        }
        fn room(&mut self) -> &mut [u8] {
            &mut self.0
        }
        fn set_len(&mut self, _: usize) {}
        fn is_whole(&self) -> bool {
            false
        }
    }
    let mut host = host();
    let mut frames = [Scattered(UdpFrame::ipv4().build(&question()))];
    let mut verdicts = [Verdict::Reply; BURST_FRAMES_MAX];
    host.server.serve_burst(&mut frames, &mut verdicts, &host.snapshot, &host.counters);
    assert_eq!(verdicts[0], Verdict::Drop(Reason::FrameScattered));
}

#[test]
fn without_room_for_a_reply_the_answer_shrinks_or_the_frame_is_dropped() {
    use ringdns_engine::frame::FrameBuffer;
    use ringdns_engine::limits::BURST_FRAMES_MAX;
    use ringdns_engine::testing::TestFrame;
    let mut host = host();
    let frame = UdpFrame::ipv4().build(&question());
    let mut frames = [TestFrame::with_room(&frame, frame.len() + 4)];
    let mut verdicts = [Verdict::Reply; BURST_FRAMES_MAX];
    host.server.serve_burst(&mut frames, &mut verdicts, &host.snapshot, &host.counters);
    assert_eq!(verdicts[0], Verdict::Reply);
    assert_eq!(reply_message(frames[0].frame(), &UdpFrame::ipv4())[2] & 2, 2, "TC");
    let dad = solicitation("::", "ff02::1:ff00:53", &[], 255);
    let mut frames = [TestFrame::with_room(&dad, dad.len())];
    host.server.serve_burst(&mut frames, &mut verdicts, &host.snapshot, &host.counters);
    assert_eq!(verdicts[0], Verdict::Drop(Reason::ReplyRoom));
}

#[test]
fn every_reason_of_a_message_is_reached() {
    let mut host = host_with(|config| config.edns.cookies = Some(cookies(false)));
    let whole = question();
    let mut bytes = |message: &[u8]| host.ask_bytes(message);
    assert_eq!(bytes(&whole[..11]), Err(Reason::DnsShort));
    assert_eq!(bytes(&changed(whole.clone(), 2, &[0x81])), Err(Reason::DnsResponse));
    let notimp = bytes(&changed(whole.clone(), 2, &[0x29])).unwrap();
    assert_eq!(notimp, [&whole[..2], &[0xa9, 4], &[0; 8]].concat(), "NOTIMP with opcode and RD");
    let long = [&whole[..12], &[&[63; 64][..]; 4].concat(), &[0, 0, 1, 0, 1]].concat();
    for (message, reason) in [
        (changed(whole.clone(), 5, &[2]), Reason::QuestionCount),
        (changed(whole.clone(), 7, &[1]), Reason::SectionCounts),
        (whole[..20].to_vec(), Reason::NameTruncated),
        (changed(whole.clone(), 12, &[0xc0, 0x0c]), Reason::NameCompressed),
        (long, Reason::NameTooLong),
        (whole[..whole.len() - 1].to_vec(), Reason::QuestionTruncated),
        (changed(whole.clone(), 11, &[1]), Reason::AdditionalMalformed),
        ([&changed(whole.clone(), 11, &[1]), &b"\x01a\0\0\x29\x04\xd0\0\0\0\0\0\0"[..]].concat(), Reason::OptMalformed),
        ([&whole[..], &[0]].concat(), Reason::TrailingBytes),
    ] {
        let reply = bytes(&message).unwrap();
        assert_eq!(reply[3] & 0xf, 1, "{reason:?} is answered with FORMERR");
        assert_eq!(reply[4..], [0; 8], "a bare header");
    }
    let reply = bytes(&query_options("ns.example.", types::A, 1232, &[(10, &[1; 9])])).unwrap();
    assert_eq!(reply[3] & 0xf, 1, "{:?} is answered with FORMERR", Reason::CookieMalformed);
    assert_eq!(reply[4..12], [0, 1, 0, 0, 0, 0, 0, 1], "RFC 6891 section 7: an OPT record goes back to one");
    for reason in Reason::ALL.iter().filter(|reason| reason.fate() == ringdns_engine::verdict::Fate::Formerr) {
        assert_eq!(host.counters.reason(*reason), 2, "{reason:?}: once over IPv4 and once over IPv6");
    }
}
