//! Frames that nobody well-meaning would send: nothing panics, every frame is counted, valid queries are still answered.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, snapshot};
use proptest::prelude::*;
use ringdns_engine::counters::Counters;
use ringdns_engine::rtype::types;
use ringdns_engine::testing::{UdpFrame, query, query_edns};
use ringdns_engine::verdict::Reason;

const ZONE: &str = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.w CNAME ns\nd DNAME w\nsub NS ns.sub\nns.sub A 192.0.2.2\n";

fn host() -> Host {
    Host::new(snapshot(&[("example.", ZONE)]))
}

/// Answers, local replies and frames under a reason that leads to no answer.
fn counted(counters: &Counters) -> u64 {
    let answers: u64 = counters.rcodes().map(|(_, number)| number).sum();
    let local = counters.arp_replies.get() + counters.neighbour_replies.get() + counters.echo_replies.get();
    let silent = Reason::ALL.iter().filter(|reason| reason.fate() != ringdns_engine::verdict::Fate::Formerr);
    answers + local + silent.map(|&reason| counters.reason(reason)).sum::<u64>()
}

fn still_answers(host: &mut Host) {
    let reply = host.ask_bytes(&query("ns.example.", types::A)).unwrap();
    assert!(reply.ends_with(&[192, 0, 2, 1]));
}

#[test]
fn messages_cut_off_at_every_length() {
    let mut host = host();
    for whole in [query("www.ns.example.", 1), query_edns("x.d.example.", 28, 4096, true)] {
        for length in 0..whole.len() {
            match host.ask_bytes(&whole[..length]) {
                Err(reason) => assert!(length < 12 && reason == Reason::DnsShort, "{length}: {reason:?}"),
                Ok(reply) => assert_eq!(reply[3] & 0xf, 1, "{length} bytes are FORMERR"),
            }
        }
    }
    still_answers(&mut host);
}

#[test]
fn pointer_loops_are_refused() {
    let mut host = host();
    for name in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\x00", b"\xff\xff", b"\x01a\xc0\x0e\xc0\x0c"] {
        let message = [b"\x12\x34\0\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat();
        assert_eq!(host.ask_bytes(&message).unwrap()[3] & 0xf, 1, "{name:?}");
    }
    assert_eq!(host.counters.reason(Reason::NameCompressed), 10);
}

#[test]
fn the_longest_names_cost_few_probes_and_are_answered() {
    let mut host = host();
    let deep = format!("{}example.", "a.".repeat(123));
    assert_eq!(host.ask_bytes(&query(&deep, 1)).unwrap()[3] & 0xf, 3);
    let below_wildcard = format!("{}w.example.", "b.".repeat(122));
    assert_eq!(host.ask_bytes(&query(&below_wildcard, 1)).unwrap()[7], 2, "CNAME and address");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn random_bytes_in_a_datagram(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut host = host();
        host.ask_bytes(&message).ok();
        prop_assert_eq!(counted(&host.counters), 2);
        still_answers(&mut host);
    }

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn queries_with_changed_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        edns in any::<bool>(),
    ) {
        let mut host = host();
        let mut message = if edns { query_edns("x.d.example.", 1, 1232, true) } else { query("a.w.example.", 1) };
        for (index, byte) in changes {
            let at = index.index(message.len());
            message[at] = byte;
        }
        host.ask_bytes(&message).ok();
        prop_assert_eq!(counted(&host.counters), 2);
    }

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn frames_with_changed_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ipv6 in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut host = host();
        let path = if ipv6 { UdpFrame::ipv6() } else { UdpFrame::ipv4() };
        let mut frame = path.build(&query_edns("a.w.example.", 1, 1232, false));
        for (index, byte) in changes {
            let at = index.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(cut.index(frame.len() * 2).max(1));
        let (verdict, _) = host.frame(&frame);
        prop_assert_eq!(counted(&host.counters), 1, "{:?}", verdict);
    }
}
