//! Malformed DNS messages in correct frames.

use std::time::Duration;

use harness::link::addresses::{SERVED4, SERVED6};
use harness::message::{Answer, Question, name_to_wire};
use harness::server::Server;
use harness::{Setup, turn, udp, wait_for};

use crate::zone_text;

/// Longest wait for an answer that may not come.
const SILENCE: Duration = Duration::from_millis(300);

/// Longest until a frame that was sent shows in the counters.
pub const COUNT_TIME_MAX: Duration = Duration::from_secs(5);

/// A server with one zone.
pub fn start(setup: &mut Setup) -> Server {
    setup.write_zone("example.org.", &zone_text("example.org.", 1, "www IN A 203.0.113.1\n"));
    setup.start()
}

/// A question that has an answer.
pub fn question() -> Question {
    Question { owner: "www.example.org.".to_owned(), rtype: 1, edns_bytes: Some(1232) }
}

/// Valid traffic is answered over both families.
pub fn assert_answers() {
    for address in [SERVED4, SERVED6] {
        let answer = udp::ask((address, 53).into(), &question().to_wire(9));
        assert_eq!(Answer::parse(&answer).expect("a message").answer.len(), 1);
    }
}

/// A header with these flags and counts.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut header = vec![0x12, 0x34];
    header.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| header.extend(count.to_be_bytes()));
    header
}

/// A question for a name's bytes.
fn asked(name: &[u8]) -> Vec<u8> {
    [name, &[0, 1, 0, 1]].concat()
}

/// A malformed message with a description and the reason that it must be counted under.
type Case = (&'static str, Vec<u8>, &'static str);

/// Names that break the rules.
fn name_cases() -> Vec<Case> {
    let ask = |name: &[u8]| [header(0, [1, 0, 0, 0]), asked(name)].concat();
    let long_name = name_to_wire(&format!("{}example.org.", "a.".repeat(125)));
    vec![
        ("pointer to itself", ask(&[0xc0, 12]), "name_compressed"),
        ("pointers in a circle", ask(&[1, b'a', 0xc0, 12]), "name_compressed"),
        ("pointer forward", ask(&[0xc0, 0x40]), "name_compressed"),
        ("pointer into the header", ask(&[0xc0, 0]), "name_compressed"),
        ("unknown label type", ask(&[0x41, b'a', 0]), "name_compressed"),
        ("name of 263 bytes", ask(&long_name), "name_too_long"),
    ]
}

/// Counts that lie, and messages that are no queries.
fn count_cases() -> Vec<Case> {
    let www = asked(&name_to_wire("www.example.org."));
    let counting = |counts, more: &[u8]| [header(0, counts).as_slice(), &www, more].concat();
    let response = [header(0x8000, [1, 0, 0, 0]), www.clone()].concat();
    vec![
        ("no question counted", counting([0, 0, 0, 0], &[]), "question_count"),
        ("two questions", counting([2, 0, 0, 0], &www), "question_count"),
        ("65,535 questions", counting([0xffff, 0, 0, 0], &[]), "question_count"),
        ("an answer in a query", counting([1, 1, 0, 0], &[]), "section_counts"),
        ("an authority record in a query", counting([1, 0, 1, 0], &[]), "section_counts"),
        ("a record that is not there", counting([1, 0, 0, 1], &[]), "additional_malformed"),
        ("bytes after the end", counting([1, 0, 0, 0], &[0]), "trailing_bytes"),
        ("a response", response, "dns_response"),
    ]
}

/// OPT records that lie.
fn opt_cases() -> Vec<Case> {
    let www = asked(&name_to_wire("www.example.org."));
    let with = |records: u16, bytes: &[u8]| [header(0, [1, 0, 0, records]).as_slice(), &www, bytes].concat();
    // Root owner, type 41, UDP size, extended rcode, version, flags; then the length of the options.
    let opt = |tail: &[u8]| [&[0, 0, 41, 4, 208, 0, 0, 0, 0], tail].concat();
    let owned = [&[1, b'a'], opt(&[0, 0]).as_slice()].concat();
    vec![
        ("OPT owned by a name", with(1, &owned), "opt_malformed"),
        ("two OPT records", with(2, &opt(&[0, 0]).repeat(2)), "opt_malformed"),
        ("OPT longer than the message", with(1, &opt(&[0, 9])), "additional_malformed"),
        ("an option longer than OPT", with(1, &opt(&[0, 4, 0, 3, 0, 9])), "opt_malformed"),
    ]
}

#[test]
fn malformed_messages_are_each_counted_under_their_reason() {
    let _turn = turn();
    let mut setup = Setup::new();
    let server = start(&mut setup);
    assert_answers();
    for address in [SERVED4, SERVED6] {
        let socket = udp::socket(address);
        for (what, message, reason) in [name_cases(), count_cases(), opt_cases()].concat() {
            let before = server.metrics();
            let answer = udp::exchange(&socket, &message, SILENCE);
            if let Some(answer) = answer {
                let rcode = answer.get(3).map(|flags| flags & 15);
                assert_eq!((answer.get(..2), rcode), (Some(&[0x12, 0x34][..]), Some(1)), "{what}: FORMERR or nothing");
            }
            wait_for(&format!("{what} to be counted as {reason}"), COUNT_TIME_MAX, || {
                (server.metrics().reason(reason) == before.reason(reason) + 1).then_some(())
            });
        }
    }
    assert_answers();
}

#[test]
fn a_query_cut_at_every_length_is_counted_and_harms_nothing() {
    let _turn = turn();
    let mut setup = Setup::new();
    let server = start(&mut setup);
    assert_answers();
    let query = question().to_wire(7);
    // Which part the cut is in decides: header 12 bytes, name 17, type and class 4, OPT 11.
    let reason = |bytes: usize| match bytes {
        0..12 => "dns_short",
        12..29 => "name_truncated",
        29..33 => "question_truncated",
        _ => "additional_malformed",
    };
    for address in [SERVED4, SERVED6] {
        let socket = udp::socket(address);
        let before = server.metrics();
        for bytes in 0..query.len() {
            let answer =
                udp::exchange(&socket, &query[..bytes], if bytes < 12 { Duration::from_millis(1) } else { SILENCE });
            assert_eq!(answer.is_some(), bytes >= 12, "cut to {bytes} bytes");
        }
        for part in [0, 12, 29, 33] {
            let expected = (0..query.len()).filter(|&bytes| reason(bytes) == reason(part)).count();
            wait_for(&format!("all cuts counted as {}", reason(part)), COUNT_TIME_MAX, || {
                let grown = server.metrics().reason(reason(part)) - before.reason(reason(part));
                (grown == expected as u64).then_some(())
            });
        }
    }
    assert_answers();
}
