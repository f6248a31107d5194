//! EDNS(0), sizes and truncation.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, snapshot};
use ringdns_engine::rtype::types;
use ringdns_engine::testing::{query, query_edns};

/// A zone whose names answer with 1, 2, 3... addresses: `nN` has N.
fn zone() -> String {
    let mut zone = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    for count in (1..=100).step_by(3) {
        for host in 0..count {
            zone += &format!("n{count} A 198.51.100.{host}\n");
        }
    }
    for host in 0..40 {
        zone += &format!("sub NS ns{host}.sub\nns{host}.sub A 203.0.113.{host}\n");
        zone += &format!("@ MX {host} mail{host}\nmail{host} A 203.0.113.{host}\n");
    }
    zone
}

#[test]
fn an_answer_that_does_not_fit_is_truncated_by_whole_rrsets() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    for count in (1..=100usize).step_by(3) {
        for size in [0, 100, 512, 600, 1232, 4096, 65535] {
            let qname = format!("n{count}.example.");
            let message = if size == 0 { query(&qname, 1) } else { query_edns(&qname, 1, size, false) };
            let allowed = usize::from(size).clamp(512, 1232);
            let whole = message.len() + count * 16;
            let reply = host.ask_bytes(&message).unwrap();
            assert!(reply.len() <= allowed, "{qname} {size}: {} bytes", reply.len());
            let truncated = reply[2] & 2 != 0;
            assert_eq!(truncated, whole > allowed, "{qname} with {size} bytes");
            assert_eq!(usize::from(reply[7]), if truncated { 0 } else { count }, "whole RRsets only");
            assert_eq!(reply[11], u8::from(size != 0), "the OPT record always comes back");
            assert_eq!(reply[3] & 0xf, 0);
        }
    }
    assert!(host.counters.truncated.get() > 0);
}

#[test]
fn glue_that_does_not_fit_sets_tc_and_other_addresses_do_not() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    let reply = host.ask(&query_edns("www.sub.example.", 1, 1232, false));
    assert_eq!(reply.authorities.len(), 40);
    assert!(reply.additionals.len() < 40);
    assert!(reply.metadata.truncation, "RFC 9471 section 3.1: missing glue is told");
    let reply = host.ask(&query_edns("example.", types::MX, 1232, false));
    assert_eq!(reply.answers.len(), 40);
    assert!(reply.additionals.len() < 40);
    assert!(!reply.metadata.truncation, "RFC 2181 section 9: TC is for what is required");
}

#[test]
fn the_opt_record_says_what_we_take() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    for (dnssec_ok, flags) in [(true, 0x80), (false, 0)] {
        let reply = host.ask_bytes(&query_edns("ns.example.", 1, 4096, dnssec_ok)).unwrap();
        assert_eq!(reply[reply.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, flags, 0, 0, 0]);
    }
    let reply = host.ask_bytes(&query("ns.example.", 1)).unwrap();
    assert_eq!(reply[10..12], [0, 0], "RFC 6891 section 6.1.1: none without one in the query");
}

#[test]
fn an_unknown_version_is_badvers() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    let mut message = query_edns("ns.example.", 1, 1232, false);
    let version = message.len() - 5;
    message[version] = 1;
    let reply = host.ask_bytes(&message).unwrap();
    assert_eq!(reply[3] & 0xf, 0);
    assert_eq!(reply[reply.len() - 11..], [0, 0, 41, 0x04, 0xd0, 1, 0, 0, 0, 0, 0], "extended code 16, version 0");
    assert_eq!(reply[6..10], [0; 4], "no records");
    assert_eq!(host.counters.rcodes().find(|(code, _)| *code == 16), Some((16, 2)));
}

#[test]
fn flags_are_copied_or_cleared() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    let mut message = query("ns.example.", 1);
    // RD, and every bit that means nothing in a query: AA, TC, RA, Z, AD, CD, response code.
    (message[2], message[3]) = (0x07, 0xff);
    let reply = host.ask_bytes(&message).unwrap();
    assert_eq!(reply[2..4], [0x85, 0x10], "QR, AA, RD; CD");
    (message[2], message[3]) = (0x00, 0x00);
    assert_eq!(host.ask_bytes(&message).unwrap()[2..4], [0x84, 0x00], "QR, AA");
}

#[test]
fn names_in_answers_are_compressed() {
    let mut host = Host::new(snapshot(&[("example.", &zone())]));
    let reply = host.ask_bytes(&query("sub.example.", types::NS)).unwrap();
    let name_at_question = reply.windows(8).filter(|bytes| bytes == b"\x07example").count();
    assert_eq!(name_at_question, 1, "the zone's name is written once");
    let soa = host.ask_bytes(&query("missing.EXAMPLE.", types::A)).unwrap();
    assert_eq!(soa[soa.len() - 20 - 2..][..2], [0xc0, 20], "rname ends in a pointer into the question");
}
