//! Rate limits: who is limited, by what, what still gets through, and that nobody else notices.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use core::num::NonZeroU32;
use std::collections::HashMap;
use std::net::IpAddr;

use common::{Host, snapshot};
use hickory_proto::op::{Message, ResponseCode};
use proptest::prelude::*;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::rtype::types;
use ringdns_engine::serve::Server;
use ringdns_engine::testing::{UdpFrame, checksum, ethernet, ip, query, query_edns, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// A zone with hosts, a wildcard, a DNAME, an RRset that fits no answer, and two zones cut off.
const ZONE: &str = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\na A 192.0.2.2\nb A 192.0.2.3\n\
                    *.wild A 192.0.2.4\n*.also.wild A 192.0.2.4\nold DNAME wild\none NS ns.one\ntwo NS ns.two\nns.one A 192.0.2.5";

/// A server with limits.
fn host(limit: RateLimit) -> Host {
    let host = Host::new(snapshot(&[("example.", ZONE)]));
    let config = ringdns_engine::serve::ServerConfig { rate_limit: Some(limit), ..server_config() };
    Host { server: Server::new(&config), ..host }
}

/// Twenty responses a second, all that are too many dropped.
fn twenty() -> RateLimit {
    RateLimit { responses_per_second: 20, nxdomains_per_second: 20, slip: 0, ..RateLimit::default() }
}

/// The way from a client to the server.
fn from(client: &str) -> UdpFrame {
    let client: IpAddr = client.parse().unwrap();
    let path = if client.is_ipv6() { UdpFrame::ipv6() } else { UdpFrame::ipv4() };
    UdpFrame { addresses: (client, path.addresses.1), ..path }
}

/// What became of one query of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Slipped,
    Limited(Reason),
}
use Fate::{Answered, Limited, Slipped};

/// Sends a message as a client.
fn send(host: &mut Host, client: &str, message: &[u8]) -> Fate {
    let path = from(client);
    let (verdict, reply) = host.frame(&path.build(message));
    match verdict {
        Verdict::Drop(reason) => Limited(reason),
        Verdict::Punt(reason) => panic!("{reason:?}"),
        Verdict::Reply if reply_message(&reply, &path)[2] & 2 != 0 => Slipped,
        Verdict::Reply => Answered,
        Verdict::Forward => panic!("nothing is forwarded"),
    }
}

/// How many of many identical queries are answered before the first is not.
fn answered(host: &mut Host, client: &str, qname: &str) -> usize {
    let message = query(qname, types::A);
    (0..1000).take_while(|_| send(host, client, &message) == Answered).count()
}

/// Sends a hundred queries at once, so that every account of them is far over its limit.
fn flood(host: &mut Host, client: &str, qname: &str) {
    for _ in 0..100 {
        send(host, client, &query(qname, types::A));
    }
}

#[test]
fn off_is_off() {
    for limit in [None, Some(RateLimit::default())] {
        let config = ringdns_engine::serve::ServerConfig { rate_limit: limit, ..server_config() };
        let server = Server::new(&config);
        assert!(!server.needs_time());
        let mut host = Host { server, ..Host::new(snapshot(&[("example.", ZONE)])) };
        assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 1000);
    }
    assert!(host(twenty()).server.needs_time());
}

#[test]
fn a_second_of_answers_passes_and_the_rest_is_dropped() {
    let mut host = host(twenty());
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 20);
    assert_eq!(host.counters.reason(Reason::RateLimited), 1);
    assert_eq!((host.counters.queries_ipv4.get(), host.counters.slipped.get()), (20, 0));
    assert_eq!(answered(&mut host, "2001:db8:1::1", "a.example."), 20);
}

#[test]
fn a_flood_from_one_prefix_does_not_touch_others() {
    let mut host = host(twenty());
    flood(&mut host, "198.51.100.1", "a.example.");
    flood(&mut host, "2001:db8:1:100::1", "a.example.");
    // Of the same /24 and /56: the same client.
    assert_eq!(answered(&mut host, "198.51.100.254", "a.example."), 0);
    assert_eq!(answered(&mut host, "2001:db8:1:1ff::1", "a.example."), 0);
    for other in ["198.51.101.1", "198.51.99.1", "2001:db8:1:200::1", "2001:db8:2:100::1"] {
        assert_eq!(answered(&mut host, other, "a.example."), 20, "{other}");
    }
}

#[test]
fn prefix_lengths_are_configurable() {
    for (ipv4_prefix, ipv6_prefix, together) in [(32, 128, false), (25, 57, false), (16, 48, true), (0, 0, true)] {
        let mut host = host(RateLimit { ipv4_prefix, ipv6_prefix, ..twenty() });
        for (first, second) in [("198.51.100.1", "198.51.100.129"), ("2001:db8::1", "2001:db8:0:80::1")] {
            flood(&mut host, first, "a.example.");
            assert_eq!(
                answered(&mut host, second, "a.example."),
                if together { 0 } else { 20 },
                "{ipv4_prefix} {second}"
            );
        }
    }
}

#[test]
fn every_kind_of_response_has_its_own_account() {
    let kinds = ["a.example.", "none.example.", "x.wild.example.", "x.one.example.", "example.net."];
    let mut host = host(twenty());
    for kind in kinds {
        assert_eq!(answered(&mut host, "198.51.100.1", kind), 20, "{kind}");
    }
    // NODATA.
    let message = query("a.example.", types::AAAA);
    assert_eq!((0..50).filter(|_| send(&mut host, "198.51.100.1", &message) == Answered).count(), 20);
}

#[test]
fn names_have_accounts_of_their_own_where_that_is_wanted() {
    for (by_name, expected) in [(true, 20), (false, 0)] {
        let mut host = host(RateLimit { by_name, ..twenty() });
        flood(&mut host, "198.51.100.1", "a.example.");
        assert_eq!(answered(&mut host, "198.51.100.1", "A.EXAMPLE."), 0, "case does not make a new name");
        assert_eq!(answered(&mut host, "198.51.100.1", "b.example."), expected);
    }
}

/// Sends queries for as many names; gives how many are answered.
fn answered_of_many(host: &mut Host, names: impl Iterator<Item = String>) -> usize {
    names.filter(|name| send(host, "198.51.100.1", &query(name, types::A)) == Answered).count()
}

#[test]
fn random_names_share_the_account_of_what_answers_them() {
    let mut host = host(twenty());
    // NXDOMAIN, two wildcards, a DNAME, two referrals.
    for below in ["", "wild.", "also.wild.", "old.", "one.", "two."] {
        assert_eq!(answered_of_many(&mut host, (0..200).map(|n| format!("x{n}.{below}example."))), 20, "{below}");
        assert_eq!(answered_of_many(&mut host, (0..200).map(|n| format!("x.y{n}.{below}example."))), 0, "{below}");
    }
}

#[test]
fn nxdomains_have_a_rate_of_their_own() {
    let mut limited = host(RateLimit { nxdomains_per_second: 5, ..twenty() });
    assert_eq!(answered(&mut limited, "198.51.100.1", "none.example."), 5);
    assert_eq!(answered(&mut limited, "198.51.100.1", "a.example."), 20);
    let mut unlimited = host(RateLimit { nxdomains_per_second: 0, ..twenty() });
    assert_eq!(answered(&mut unlimited, "198.51.100.1", "none.example."), 1000);
}

#[test]
fn errors_are_limited_and_never_slip() {
    let mut host = host(RateLimit { slip: 1, ..twenty() });
    let (mut formerr, mut notimp) = (query("a.example.", types::A), query("a.example.", types::A));
    formerr[5] = 2;
    notimp[2] = 0x28;
    let fates: Vec<Fate> = (0..90)
        .map(|n| match n % 3 {
            0 => send(&mut host, "198.51.100.1", &formerr),
            1 => send(&mut host, "198.51.100.1", &notimp),
            _ => send(&mut host, "198.51.100.1", &query("example.net.", types::A)),
        })
        .collect();
    assert_eq!(fates[..20], [Answered; 20]);
    assert_eq!(fates[20..], [Limited(Reason::RateLimited); 70]);
    assert_eq!(host.counters.reason(Reason::QuestionCount), 7, "only what was answered with FORMERR");
    // What gets no answer anyway is not a response.
    assert_eq!(send(&mut host, "198.51.100.1", &formerr[..11]), Limited(Reason::DnsShort));
}

#[test]
fn every_nth_limited_answer_slips() {
    for slip in [1, 2, 3, 7, 10] {
        let mut host = host(RateLimit { slip, ..twenty() });
        for qname in ["a.example.", "none.example.", "x.wild.example.", "x.one.example."] {
            let message = query(qname, types::A);
            let fates: Vec<Fate> = (0..20 + 210).map(|_| send(&mut host, "198.51.100.1", &message)).collect();
            assert_eq!(fates[..20], [Answered; 20]);
            for (number, fate) in (1u32..).zip(&fates[20..]) {
                let expected = if number % slip == 0 { Slipped } else { Limited(Reason::RateLimited) };
                assert_eq!(*fate, expected, "{qname} {number} of slip {slip}");
            }
        }
        assert_eq!(host.counters.slipped.get(), u64::from(4 * 210 / slip));
        assert_eq!(host.counters.truncated.get(), host.counters.slipped.get());
    }
}

#[test]
fn a_slipped_answer_is_empty_and_no_longer_than_its_query() {
    let limit = RateLimit { slip: 1, ..twenty() };
    for (qname, rcode, authoritative) in [
        ("A.example.", ResponseCode::NoError, true),
        ("NONE.example.", ResponseCode::NXDomain, true),
        ("x.Wild.example.", ResponseCode::NoError, true),
        ("x.One.example.", ResponseCode::NoError, false),
    ] {
        for client in ["198.51.100.1", "2001:db8:1::1"] {
            for edns in [false, true] {
                let mut host = host(limit.clone());
                flood(&mut host, client, qname);
                let message = if edns { query_edns(qname, types::A, 1232, true) } else { query(qname, types::A) };
                let path = from(client);
                let (verdict, reply) = host.frame(&path.build(&message));
                assert_eq!(verdict, Verdict::Reply);
                let bytes = reply_message(&reply, &path);
                assert_eq!(bytes.len(), message.len());
                assert_eq!(
                    (&bytes[..2], &bytes[12..12 + qname.len() + 5]),
                    (&message[..2], &message[12..12 + qname.len() + 5])
                );
                let answer = Message::from_vec(bytes).unwrap();
                let metadata = answer.metadata;
                assert_eq!(
                    (metadata.response_code, metadata.truncation, metadata.authoritative, metadata.recursion_desired),
                    (rcode, true, authoritative, true)
                );
                assert!(answer.answers.is_empty() && answer.authorities.is_empty() && answer.additionals.is_empty());
                assert_eq!(
                    answer.edns.map(|edns| (edns.max_payload(), edns.flags().dnssec_ok)),
                    edns.then_some((1232, true))
                );
            }
        }
    }
}

#[test]
fn accounts_fill_again_and_floods_are_forgiven() {
    let mut host = host(twenty());
    host.server.set_time(5_000);
    flood(&mut host, "198.51.100.1", "a.example.");
    // 80 too many are four seconds' worth.
    host.server.set_time(5_000 + 4_000);
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 0);
    host.server.set_time(5_000 + 4_000 + 100);
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 1);
    for _ in 0..100 {
        flood(&mut host, "198.51.100.1", "a.example.");
    }
    host.server.set_time(9_100 + 15_000);
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 0);
    host.server.set_time(9_100 + 15_000 + 1_050);
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 20, "never longer than the window, and then in full");
}

#[test]
fn without_a_window_the_rate_passes_during_a_flood() {
    let mut host = host(RateLimit { window_seconds: 0, ..twenty() });
    let mut passed = 0;
    for now in 0..10_000 {
        host.server.set_time(now);
        let message = query("a.example.", types::A);
        passed += (0..3).filter(|_| send(&mut host, "198.51.100.1", &message) == Answered).count();
    }
    assert_eq!(passed, 20 + 199);
}

#[test]
fn exempt_networks_are_not_limited() {
    let exempt = ["198.51.100.128/25", "2001:db8:1::/48"].map(|network| network.parse().unwrap()).to_vec();
    let mut host = host(RateLimit { exempt, packets_per_second: 100, ..twenty() });
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 20);
    for client in ["198.51.100.129", "2001:db8:1::1"] {
        assert_eq!(answered(&mut host, client, "a.example."), 1000, "{client}");
    }
    assert_eq!(answered(&mut host, "2001:db8:2::1", "a.example."), 20);
}

#[test]
fn packets_are_limited_before_they_are_looked_at() {
    let mut host = host(RateLimit { packets_per_second: 20, ..RateLimit::default() });
    let mut response = query("a.example.", types::A);
    response[2] = 0x81;
    for _ in 0..30 {
        assert_eq!(send(&mut host, "198.51.100.1", &response), Limited(Reason::DnsResponse));
    }
    assert_eq!(send(&mut host, "198.51.100.1", &response), Limited(Reason::PacketLimited), "half a second's burst");
    assert_eq!(send(&mut host, "198.51.100.2", &query("a.example.", types::A)), Limited(Reason::PacketLimited));
    assert_eq!(host.counters.reason(Reason::PacketLimited), 2);
    assert_eq!(host.counters.reason(Reason::DnsResponse), 30);
    assert_eq!(answered(&mut host, "198.51.101.1", "a.example."), 30);
    // What was refused costs nothing: the rate comes back at once.
    host.server.set_time(1_000);
    assert_eq!(answered(&mut host, "198.51.100.1", "a.example."), 20);
}

#[test]
fn echo_requests_are_packets_and_neighbours_are_not() {
    let mut host = host(RateLimit { packets_per_second: 20, ..RateLimit::default() });
    let mut echo = b"\x08\0\0\0\0\x01\0\x01 and some bytes".to_vec();
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum);
    let frame = [ethernet(None, false), ip(UdpFrame::ipv4().addresses, 1, 64, &echo)].concat();
    let verdicts: Vec<Verdict> = (0..40).map(|_| host.frame(&frame).0).collect();
    assert_eq!(verdicts[..30], [Verdict::Reply; 30]);
    assert_eq!(verdicts[30..], [Verdict::Drop(Reason::PacketLimited); 10]);
    let mut arp = ethernet(None, false);
    arp[12..14].copy_from_slice(&[8, 6]);
    arp.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend_from_slice(&[2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 53]);
    for _ in 0..100 {
        assert_eq!(host.frame(&arp).0, Verdict::Reply);
    }
}

#[test]
fn workers_share_the_rate() {
    let limit = RateLimit { workers: NonZeroU32::new(4).unwrap(), window_seconds: 0, ..twenty() };
    let mut workers: Vec<Host> = (0..4).map(|_| host(limit.clone())).collect();
    let mut passed = 0;
    for now in 0..20_000 {
        for worker in &mut workers {
            worker.server.set_time(now);
            passed += usize::from(send(worker, "198.51.100.1", &query("a.example.", types::A)) == Answered);
        }
    }
    // Twenty a second in all, and each worker's burst.
    assert!((400..=480).contains(&passed), "{passed}");
}

#[test]
fn more_clients_than_accounts_are_still_answered() {
    let mut host = host(RateLimit { table_entries: 64, ..twenty() });
    for _ in 0..10 {
        flood(&mut host, "203.0.113.1", "a.example.");
    }
    let message = query("a.example.", types::A);
    for client in 0..20_000u32 {
        host.server.set_time(u64::from(client / 100));
        let [.., high, low] = client.to_be_bytes();
        assert_eq!(send(&mut host, &format!("10.{high}.{low}.1"), &message), Answered);
    }
    assert_eq!(answered(&mut host, "203.0.113.1", "a.example."), 0, "the flood is still known");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The server against tokens in a map: integers a thousandth of a token each.
    #[test]
    fn decides_as_a_naive_model(
        per_second in 1..50u32,
        window in 0..5u32,
        slip in 0..4u32,
        queries in proptest::collection::vec((0..4u8, 0..3usize, 0..80u64), 1..400),
    ) {
        // A rate that divides a thousand keeps the model's thousandths whole.
        let per_second = [1, 2, 4, 5, 8, 10, 20, 25, 40, 50][per_second as usize % 10];
        let limit = RateLimit { window_seconds: window, slip, responses_per_second: per_second,
                                nxdomains_per_second: per_second, ..RateLimit::default() };
        let mut host = host(limit);
        let mut accounts: HashMap<(u8, usize), (i64, u64, u32)> = HashMap::new();
        let (mut now, rate) = (0, i64::from(per_second));
        for (client, name, pause) in queries {
            now += pause;
            host.server.set_time(now);
            let (tokens, last, refused) = accounts.entry((client, name)).or_insert((rate * 1000, now, 0));
            *tokens = (rate * 1000).min(*tokens + i64::try_from(now - *last).unwrap() * rate);
            *last = now;
            let expected = if *tokens >= 1000 {
                *tokens -= 1000;
                Answered
            } else {
                if window > 0 {
                    *tokens = (*tokens - 1000).max(-i64::from(window) * rate * 1000);
                }
                *refused += 1;
                if slip != 0 && *refused % slip == 0 { Slipped } else { Limited(Reason::RateLimited) }
            };
            let qname = ["a.example.", "b.example.", "none.example."][name];
            let found = send(&mut host, &format!("198.51.{client}.{}", now % 256), &query(qname, types::A));
            prop_assert_eq!(found, expected, "{} from {} at {}", qname, client, now);
        }
    }
}
