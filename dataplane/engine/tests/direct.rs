//! The direct way gives the same bytes as the long way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, cookies, snapshot};
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::rtype::types;
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::serve::ServerConfig;
use ringdns_engine::snapshot::edit::Editor;
use ringdns_engine::testing::{TestFrame, UdpFrame, query, query_edns, query_options, reply_message};
use ringdns_engine::verdict::Verdict;

/// Names and RRsets are of sizes below this one; under miri, which takes a thousand times as long, of few.
fn numbers_end() -> usize {
    if cfg!(miri) { 5 } else { 40 }
}

/// A zone with RRsets of odd and even sizes, one to many records, at names of odd and even lengths.
fn zone() -> String {
    let mut zone =
        "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n@ MX 1 ns\nal CNAME ns\n*.w TXT w\n".to_owned();
    for number in 1..numbers_end() {
        let name = "n".repeat(number);
        for record in 0..number {
            zone += &format!("{name} A 198.51.100.{record}\n{name} AAAA 2001:db8::{record}\n");
        }
        zone += &format!("{name} TXT \"{}\"\n", "t".repeat(number));
        zone += &format!("{name}.deeper A 203.0.113.{number}\n");
    }
    zone
}

/// A host whose queries go the direct way, and one whose do not: zone cuts at the depths of all its names keep them off it.
fn hosts() -> [Host; 2] {
    hosts_with(|_| {})
}

/// Such hosts with their ports set up otherwise.
fn hosts_with(change: impl Fn(&mut ServerConfig)) -> [Host; 2] {
    let cuts = "cut NS ns\ncut.deeper NS ns\ncut.a.b NS ns\ncut.a.b.c NS ns\n";
    [snapshot(&[("example.", &zone())]), snapshot(&[("example.", &(zone() + cuts))])]
        .map(|snapshot| Host::with(snapshot, &change))
}

#[test]
fn both_ways_give_the_same_bytes() {
    let [mut direct, mut long] = hosts();
    for number in 1..numbers_end() {
        for qname in [
            format!("{}.example.", "N".repeat(number)),
            format!("{}.deeper.example.", "n".repeat(number)),
            format!("{}.w.example.", "x".repeat(number)),
            format!("{}.gone.example.", "x".repeat(number)),
        ] {
            for qtype in [types::A, types::AAAA, 16, types::CNAME, types::DS, types::ANY, types::NS] {
                for message in
                    [query(&qname, qtype), query_edns(&qname, qtype, 512, true), query_edns(&qname, qtype, 4096, false)]
                {
                    assert_eq!(direct.ask_bytes(&message), long.ask_bytes(&message), "{qname} TYPE{qtype}");
                }
            }
        }
    }
}

/// A host whose zone has rules that are for none of its names, so that they are left to the ways that know of none.
fn ruled_host() -> Host {
    let [direct, _] = hosts();
    let apex = "example.".parse().unwrap();
    let rules = Rules {
        empty_depth_max: Some(5),
        soa_below_apex: true,
        pods: Some(PodRule::default()),
        deep_pods: true,
        bare_ports: true,
        no_dangling_cname: true,
        cname_for_addresses_only: true,
        zone_case: true,
        search: Some(Search::default()),
        ..Rules::default()
    };
    let mut editor = Editor::new(&direct.snapshot);
    for name in ["ns.svc.example.", "ns.pod.example."] {
        editor.add_name(&apex, &name.parse().unwrap()).unwrap();
    }
    editor.set_rules(&apex, &rules).unwrap();
    Host::new(editor.commit())
}

#[test]
fn rules_leave_what_they_are_not_for() {
    let ([mut direct, _], mut ruled) = (hosts(), ruled_host());
    for number in 1..numbers_end() {
        for qname in [
            format!("{}.example.", "n".repeat(number)),
            format!("{}.deeper.example.", "n".repeat(number)),
            format!("{}.w.example.", "x".repeat(number)),
            format!("{}.gone.example.", "x".repeat(number)),
            format!("{}.nnn.deeper.example.", "x".repeat(number)),
            format!("a.b.c.{}.nnn.deeper.example.", "x".repeat(number)),
        ] {
            for qtype in [types::A, types::AAAA, 16, types::CNAME, types::DS, types::ANY, types::NS] {
                for message in [query(&qname, qtype), query_edns(&qname, qtype, 512, true)] {
                    assert_eq!(ruled.ask_bytes(&message), direct.ask_bytes(&message), "{qname} TYPE{qtype}");
                }
            }
        }
    }
}

#[test]
fn a_checksum_is_made_where_the_query_had_none() {
    for mut host in hosts() {
        let path = UdpFrame::ipv4();
        let mut frame = path.build(&query("nnn.example.", types::A));
        frame[14 + 20 + 6..14 + 20 + 8].fill(0);
        let (verdict, reply) = host.frame(&frame);
        assert_eq!(verdict, Verdict::Reply);
        assert_eq!(reply_message(&reply, &path)[7], 3);
    }
}

#[test]
fn what_follows_the_question_in_the_query_leaves_the_checksum() {
    let [mut direct, mut long] = hosts();
    // An additional record of odd length before the OPT record, and options in it.
    for filler in 0..20u8 {
        let mut message = query("nn.example.", types::A);
        message[11] = 2;
        message.extend_from_slice(&[0, 0, 16, 0, 1, 0, 0, 0, 0, 0, filler]);
        message.extend((0..filler).map(|byte| byte.wrapping_mul(37)));
        message.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 4 + filler, 0xfd, 0xe9, 0, filler]);
        message.extend((0..filler).map(|byte| byte.wrapping_mul(91)));
        assert_eq!(direct.ask_bytes(&message), long.ask_bytes(&message), "{filler}");
    }
}

#[test]
fn both_ways_answer_options_alike() {
    let [mut direct, mut long] = hosts_with(|config| {
        config.edns.nsid = b"ns1".to_vec();
        config.edns.cookies = Some(cookies(false));
    });
    let all: [(u16, &[u8]); 4] = [(3, b""), (10, b"abcdefgh"), (12, &[0; 7]), (10, &[7; 24])];
    for number in 1..numbers_end() {
        for qname in [format!("{}.example.", "N".repeat(number)), format!("{}.gone.example.", "x".repeat(number))] {
            for (qtype, size) in [(types::A, 512), (types::A, 1232), (16, 600), (types::DS, 512)] {
                for asked in [&all[..1], &all[..2], &all[..3], &all[1..3], &all[2..3], &all[3..]] {
                    let message = query_options(&qname, qtype, size, asked);
                    for path in [UdpFrame::ipv4(), UdpFrame::ipv6()] {
                        let [one, other] = [&mut direct, &mut long].map(|host| host.frame(&path.build(&message)));
                        assert_eq!(one, other, "{qname} TYPE{qtype} {asked:?}");
                        assert!(reply_message(&one.1, &path).len() <= usize::from(size));
                    }
                }
            }
        }
    }
}

/// Hosts in a VLAN or outside: one that takes plain queries the plain way, and one that takes none so, because it counts
/// what its clients have.
fn plain_and_limited(vlan: Option<u16>) -> [Host; 2] {
    let most = 1_000_000;
    let limit = RateLimit { responses_per_second: most, nxdomains_per_second: most, ..RateLimit::default() };
    [None, Some(limit)].map(|rate_limit| {
        Host::with(snapshot(&[("example.", &zone())]), |config| {
            (config.vlan, config.rate_limit) = (vlan, rate_limit);
        })
    })
}

#[test]
fn tagged_and_untagged_queries_are_answered_alike() {
    let [mut untagged, _] = plain_and_limited(None);
    let [mut plain, mut limited] = plain_and_limited(Some(100));
    for number in 1..numbers_end() {
        for qname in [format!("{}.example.", "N".repeat(number)), format!("{}.gone.example.", "x".repeat(number))] {
            for qtype in [types::A, types::AAAA, 16] {
                for message in [query(&qname, qtype), query_edns(&qname, qtype, 1232, true)] {
                    let ask = |vlan| UdpFrame { vlan, ..UdpFrame::ipv4() }.build(&message);
                    let mut tagged = ask(Some(100));
                    // Priority and drop eligibility are not the VLAN, and go back as they came.
                    tagged[14] |= 0xb0;
                    let (verdict, reply) = untagged.frame(&ask(None));
                    let expected = [&reply[..12], &[0x81, 0, 0xb0, 100], &reply[12..]].concat();
                    assert_eq!(plain.frame(&tagged), (verdict, expected.clone()), "{qname} TYPE{qtype}");
                    assert_eq!(limited.frame(&tagged), (verdict, expected), "{qname} TYPE{qtype}");
                }
            }
        }
    }
}

#[test]
fn whatever_is_wrong_with_a_frame_is_so_on_every_way() {
    for vlan in [None, Some(100)] {
        let [mut plain, mut limited] = plain_and_limited(vlan);
        let frame = UdpFrame { vlan, ..UdpFrame::ipv4() }.build(&query_edns("nnn.example.", types::A, 1232, false));
        assert_eq!(plain.frame(&frame).0, Verdict::Reply);
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut changed = frame.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(plain.frame(&changed), limited.frame(&changed), "{vlan:?}: bit {bit} of byte {at}");
            }
            let cut = &frame[..at];
            assert_eq!(plain.frame(cut), limited.frame(cut), "{vlan:?}: cut at {at}");
        }
        for other in [None, Some(0), Some(100), Some(101), Some(356)] {
            let frame = UdpFrame { vlan: other, ..UdpFrame::ipv4() }.build(&query("nnn.example.", types::A));
            assert_eq!(plain.frame(&frame), limited.frame(&frame), "{other:?} at {vlan:?}");
        }
    }
}

#[test]
fn a_frame_too_short_for_a_tag_is_not_what_the_buffer_held_before() {
    let [mut plain, _] = plain_and_limited(Some(100));
    let frame = UdpFrame { vlan: Some(100), ..UdpFrame::ipv4() }.build(&query("nnn.example.", types::A));
    for length in 0..frame.len() {
        let mut buffer = TestFrame::new(&frame);
        buffer.set_len(length);
        let mut verdicts = [Verdict::Reply; BURST_FRAMES_MAX];
        let Host { server, snapshot, counters } = &mut plain;
        server.serve_burst(core::slice::from_mut(&mut buffer), &mut verdicts, snapshot, counters);
        assert!(matches!(verdicts, [Verdict::Drop(_), ..]), "{length}");
    }
}
