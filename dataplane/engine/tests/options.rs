//! NSID, cookies and class CH: what is answered beside the zones, and what it does to sizes and to the direct way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, cookies, snapshot};
use hickory_proto::op::Message;
use proptest::prelude::*;
use ringdns_engine::cookie::CookieSecret;
use ringdns_engine::limits::NSID_BYTES_MAX;
use ringdns_engine::rtype::types;
use ringdns_engine::serve::ServerConfig;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::{UdpFrame, query, query_edns, query_options, reply_message};
use ringdns_engine::verdict::{Reason, Verdict};

const NSID: u16 = 3;
const COOKIE: u16 = 10;
const CLIENT: [u8; 8] = *b"\x24\x64\xc4\xab\xcf\x10\xc9\x57";
const NOW: u32 = 1_559_731_985;

/// A zone with RRsets of many sizes: `nN` has N addresses.
fn zone() -> Snapshot {
    zone_of(1..=80)
}

/// Such a zone with some of these names.
fn zone_of(counts: impl IntoIterator<Item = u8>) -> Snapshot {
    let mut zone = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    for count in counts {
        for host in 0..count {
            zone += &format!("n{count} A 198.51.100.{host}\n");
        }
    }
    snapshot(&[("example.", &zone)])
}

fn host(change: impl FnOnce(&mut ServerConfig)) -> Host {
    host_of(zone(), change)
}

fn host_of(snapshot: Snapshot, change: impl FnOnce(&mut ServerConfig)) -> Host {
    let mut host = Host::with(snapshot, change);
    host.server.set_now(NOW);
    host
}

fn with_cookies(enforce: bool) -> Host {
    host(|config| config.edns.cookies = Some(cookies(enforce)))
}

/// A reply taken apart where tests look.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    rcode: u16,
    truncated: bool,
    answers: u8,
    options: Vec<(u16, Vec<u8>)>,
    bytes: Vec<u8>,
}

/// Sends a message on one way; `reply_message` checks all lengths and checksums.
fn ask_from(host: &mut Host, path: &UdpFrame, message: &[u8]) -> Reply {
    let (verdict, frame) = host.frame(&path.build(message));
    assert_eq!(verdict, Verdict::Reply);
    let bytes = reply_message(&frame, path).to_vec();
    assert!(Message::from_vec(&bytes).is_ok(), "{bytes:02x?}");
    let (extended, options) = opt_record(&bytes);
    Reply {
        rcode: u16::from(extended) << 4 | u16::from(bytes[3] & 0xf),
        truncated: bytes[2] & 2 != 0,
        answers: bytes[7],
        options,
        bytes,
    }
}

fn ask(host: &mut Host, message: &[u8]) -> Reply {
    ask_from(host, &UdpFrame::ipv4(), message)
}

/// Upper bits of the response code, and options, of the OPT record, which must end the message.
fn opt_record(bytes: &[u8]) -> (u8, Vec<(u16, Vec<u8>)>) {
    if bytes[11] == 0 {
        return (0, Vec::new());
    }
    // Data never holds these bytes here.
    let start = bytes.windows(5).rposition(|window| window == [0, 0, 41, 4, 0xd0]).unwrap();
    let mut rest = &bytes[start + 11..];
    assert_eq!(usize::from(u16::from_be_bytes([bytes[start + 9], bytes[start + 10]])), rest.len(), "rdata length");
    let mut options = Vec::new();
    while let [c1, c2, l1, l2, after @ ..] = rest {
        let (data, after) = after.split_at(usize::from(u16::from_be_bytes([*l1, *l2])));
        options.push((u16::from_be_bytes([*c1, *c2]), data.to_vec()));
        rest = after;
    }
    assert!(rest.is_empty());
    (bytes[start + 5], options)
}

fn cookie_query(data: &[u8]) -> Vec<u8> {
    query_options("ns.example.", types::A, 1232, &[(COOKIE, data)])
}

/// Asks with a client cookie alone; gives both cookies of the answer.
fn learn(host: &mut Host) -> Vec<u8> {
    let reply = ask(host, &cookie_query(&CLIENT));
    let [(COOKIE, cookies)] = reply.options.as_slice() else { panic!("{reply:?}") };
    assert_eq!((cookies.len(), &cookies[..8]), (24, &CLIENT[..]));
    cookies.clone()
}

#[test]
fn the_query_that_dig_sends_gets_a_cookie() {
    let mut host = with_cookies(false);
    // `dig ns.example.` of BIND 9.18: RD and AD, 1,232 bytes, a client cookie.
    let dig = b"\x8f\x3a\x01\x20\0\x01\0\0\0\0\0\x01\x02ns\x07example\0\0\x01\0\x01\
        \0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08\x24\x64\xc4\xab\xcf\x10\xc9\x57";
    for path in [UdpFrame::ipv4(), UdpFrame::ipv6()] {
        let reply = ask_from(&mut host, &path, dig);
        assert_eq!((reply.rcode, reply.answers), (0, 1));
        assert_eq!(reply.bytes.len(), 12 + 16 + 16 + 11 + 4 + 24);
        let [(COOKIE, cookies)] = reply.options.as_slice() else { panic!("{reply:?}") };
        assert_eq!(cookies[8..16], [&[1, 0, 0, 0][..], &NOW.to_be_bytes()].concat());
        // It is good from there, and stays the same.
        let again = ask_from(&mut host, &path, &cookie_query(cookies));
        assert_eq!(again.options, reply.options);
    }
    assert_eq!((host.counters.cookies_absent.get(), host.counters.cookies_valid.get()), (2, 2));
}

#[test]
fn a_wrong_server_cookie_is_answered_with_a_fresh_one() {
    let mut host = with_cookies(false);
    let cookies = learn(&mut host);
    let mut wrong = cookies.clone();
    wrong[23] ^= 1;
    for data in [&wrong[..], &[&CLIENT[..], &[9; 8]].concat(), &[&CLIENT[..], &[9; 32]].concat()] {
        let reply = ask(&mut host, &cookie_query(data));
        assert_eq!((reply.rcode, reply.answers, reply.truncated), (0, 1, false));
        assert_eq!(reply.options, [(COOKIE, cookies.clone())]);
    }
    assert_eq!(host.counters.cookies_invalid.get(), 3);
}

#[test]
fn a_cookie_ages_by_the_time_that_was_told() {
    let mut host = with_cookies(false);
    let cookies = learn(&mut host);
    for (age, valid, renewed) in [(1800, 1, false), (1801, 2, true), (3600, 3, true), (3601, 3, true)] {
        host.server.set_now(NOW + age);
        let reply = ask(&mut host, &cookie_query(&cookies));
        assert_eq!(host.counters.cookies_valid.get(), valid, "{age}");
        assert_eq!(reply.options[0].1 != cookies, renewed, "{age}");
    }
    assert_eq!(host.counters.cookies_invalid.get(), 1);
    assert!(host.server.wants_now() && !Host::new(zone()).server.wants_now());
}

#[test]
fn replicas_with_the_same_secret_agree_and_others_do_not() {
    let cookies_of_first = learn(&mut with_cookies(false));
    let mut second = with_cookies(true);
    assert_eq!(ask(&mut second, &cookie_query(&cookies_of_first)).rcode, 0);
    let mut changed = host(|config| {
        let config = config.edns.cookies.insert(cookies(true));
        (config.other_secret, config.secret) = (Some(config.secret), CookieSecret([1; 16]));
    });
    let reply = ask(&mut changed, &cookie_query(&cookies_of_first));
    assert_eq!((reply.rcode, reply.answers), (0, 1), "the previous secret's is taken");
    assert_ne!(reply.options[0].1, cookies_of_first, "and replaced");
    let mut stranger = host(|config| {
        config.edns.cookies.insert(cookies(true)).secret = CookieSecret([1; 16]);
    });
    assert_eq!(ask(&mut stranger, &cookie_query(&cookies_of_first)).rcode, 23);
}

#[test]
fn enforced_cookies_are_needed() {
    let mut host = with_cookies(true);
    for message in [
        query("ns.example.", types::A),
        query_edns("ns.example.", types::A, 1232, true),
        query_options("n40.example.", types::A, 1232, &[(NSID, b"")]),
    ] {
        let reply = ask(&mut host, &message);
        assert_eq!((reply.rcode, reply.truncated, reply.answers), (0, true, 0), "who sends none is to use TCP");
        assert_eq!(reply.bytes[11], message[11]);
    }
    let reply = ask(&mut host, &cookie_query(&CLIENT));
    assert_eq!((reply.rcode, reply.truncated, reply.answers), (23, false, 0), "BADCOOKIE");
    let cookies = reply.options[0].1.clone();
    assert_eq!(ask(&mut host, &cookie_query(&[9; 24])).rcode, 23);
    let reply = ask(&mut host, &cookie_query(&cookies));
    assert_eq!((reply.rcode, reply.answers), (0, 1));
    assert_eq!(host.counters.rcodes().find(|(code, _)| *code == 23), Some((23, 2)));
    assert_eq!(host.counters.truncated.get(), 3);
}

#[test]
fn cookies_are_ignored_where_they_are_off() {
    let mut host = host(|_| {});
    let plain = ask(&mut host, &query_edns("ns.example.", types::A, 1232, false));
    for data in [&CLIENT[..], &[1; 24], &[1; 9]] {
        assert_eq!(ask(&mut host, &cookie_query(data)), plain);
    }
    assert_eq!(host.counters.reason(Reason::CookieMalformed), 0);
}

#[test]
fn a_cookie_may_come_without_question() {
    let alone = |data: &[u8]| {
        let mut message = b"\x12\x34\0\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0\0\x0a\0\0".to_vec();
        (message[22], message[26]) = (u8::try_from(data.len() + 4).unwrap(), u8::try_from(data.len()).unwrap());
        [&message, data].concat()
    };
    let mut host = with_cookies(false);
    let reply = ask(&mut host, &alone(&CLIENT));
    assert_eq!((reply.rcode, &reply.bytes[4..12]), (0, &[0, 0, 0, 0, 0, 0, 0, 1][..]));
    let cookies = reply.options[0].1.clone();
    assert_eq!(ask(&mut host, &alone(&cookies)).rcode, 0);
    assert_eq!(ask(&mut host, &alone(&[3; 24])).rcode, 23, "RFC 7873 section 5.4");
    assert_eq!(ask(&mut host, &alone(&[3; 10])).rcode, 1);
    assert_eq!(host.counters.reason(Reason::CookieMalformed), 1);
    // What follows the OPT record makes it none: the reply has no room for options then.
    let malformed = [alone(&CLIENT), b"more".to_vec()].concat();
    assert_eq!(host.ask_bytes(&malformed).unwrap(), b"\x12\x34\x80\x01\0\0\0\0\0\0\0\0");
    let mut off = Host::new(zone());
    assert_eq!(ask(&mut off, &alone(&CLIENT)).rcode, 1);
    assert_eq!(off.counters.reason(Reason::QuestionCount), 1);
}

#[test]
fn nsid_is_answered_where_it_is_asked_for_and_set() {
    let mut named = host(|config| config.edns.nsid = b"ns1.fra".to_vec());
    let message = query_options("ns.example.", types::A, 1232, &[(NSID, b"")]);
    assert_eq!(ask(&mut named, &message).options, [(NSID, b"ns1.fra".to_vec())]);
    assert_eq!(ask(&mut named, &query_edns("ns.example.", types::A, 1232, false)).options, []);
    assert_eq!(ask(&mut Host::new(zone()), &message).options, []);
    // Client subnet and padding are ignored.
    let message = query_options("ns.example.", types::A, 1232, &[(8, b"\0\x01\x18\0\xc0\0\x02"), (12, &[0; 100])]);
    assert_eq!(ask(&mut named, &message).options, []);
    let mut both = host(|config| {
        config.edns.nsid = vec![b'n'; NSID_BYTES_MAX + 9];
        config.edns.cookies = Some(cookies(false));
    });
    let message = query_options("ns.example.", types::A, 1232, &[(COOKIE, &CLIENT), (NSID, b""), (COOKIE, b"x")]);
    let codes: Vec<(u16, usize)> =
        ask(&mut both, &message).options.iter().map(|(code, data)| (*code, data.len())).collect();
    assert_eq!(codes, [(NSID, NSID_BYTES_MAX), (COOKIE, 24)]);
}

#[test]
fn an_unknown_version_is_badvers_whatever_the_options() {
    for enforce in [false, true] {
        let mut host = with_cookies(enforce);
        let mut message = cookie_query(&[1; 9]);
        let version = message.len() - 9 - 4 - 5;
        message[version] = 1;
        let reply = ask(&mut host, &message);
        assert_eq!((reply.rcode, reply.options), (16, vec![]));
    }
}

#[test]
fn options_count_in_the_size_of_an_answer() {
    let mut host = host(|config| {
        config.edns.nsid = vec![b'n'; NSID_BYTES_MAX];
        config.edns.cookies = Some(cookies(false));
    });
    for count in 1..=80usize {
        for (size, options) in [512usize, 700, 1232].into_iter().flat_map(|size| [(size, 0), (size, 28), (size, 96)]) {
            let all: [(u16, &[u8]); 2] = [(COOKIE, &CLIENT), (NSID, b"")];
            let asked = &all[..[0, 28, 96].iter().position(|&bytes| bytes == options).unwrap()];
            let message = query_options(&format!("n{count}.example."), 1, u16::try_from(size).unwrap(), asked);
            let question_end = query(&format!("n{count}.example."), 1).len();
            let whole = question_end + count * 16 + 11 + options;
            let reply = ask(&mut host, &message);
            assert_eq!(reply.truncated, whole > size, "{count} records, {size} bytes, {options} of options");
            assert_eq!(reply.bytes.len(), if whole > size { question_end + 11 + options } else { whole });
        }
    }
}

#[test]
fn class_chaos_tells_what_is_configured() {
    let mut host = host(|config| {
        config.chaos.version = b"RingDNS".to_vec();
        config.chaos.identity = vec![b'i'; 255];
    });
    let chaos = |qname: &str, qtype: u16| {
        let mut message = query(qname, qtype);
        let class = message.len() - 1;
        message[class] = 3;
        message
    };
    for (qname, text) in [
        ("version.bind.", &b"RingDNS"[..]),
        ("VERSION.server.", b"RingDNS"),
        ("id.server.", &[b'i'; 255]),
        ("Hostname.Bind.", &[b'i'; 255]),
    ] {
        for qtype in [types::TXT, types::ANY] {
            let message = chaos(qname, qtype);
            let reply = ask(&mut host, &message);
            let length = u8::try_from(text.len()).unwrap();
            let [l1, l2] = (u16::from(length) + 1).to_be_bytes();
            let record = [&[0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, l1, l2, length], text].concat();
            assert_eq!(reply.bytes[2..12], [0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
            assert_eq!(reply.bytes[12..], [&message[12..], &record].concat());
        }
    }
    for message in [
        chaos("version.bind.", types::A),
        chaos("authors.bind.", types::TXT),
        chaos("x.version.bind.", types::TXT),
        chaos("ns.example.", types::A),
    ] {
        assert_eq!(ask(&mut host, &message).rcode, 5);
    }
    let mut silent = Host::new(zone());
    for qname in ["version.bind.", "version.server.", "id.server.", "hostname.bind."] {
        assert_eq!(ask(&mut silent, &chaos(qname, types::TXT)).rcode, 5);
    }
    for class in [0, 2, 4, 254, 255] {
        let mut message = query("version.bind.", types::TXT);
        let at = message.len() - 1;
        message[at] = class;
        assert_eq!(ask(&mut host, &message).rcode, 5, "class {class}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_options_are_survived(
        rdata in prop::collection::vec(any::<u8>(), 0..120),
        enforce in any::<bool>(),
    ) {
        let mut host = host_of(zone_of([30]), |config| config.edns.cookies = Some(cookies(enforce)));
        let mut message = query_edns("n30.example.", types::A, 1232, false);
        let length = message.len();
        message[length - 1] = u8::try_from(rdata.len()).unwrap();
        message.extend_from_slice(&rdata);
        // Checks lengths and checksums on the way.
        for path in [UdpFrame::ipv4(), UdpFrame::ipv6()] {
            let (verdict, frame) = host.frame(&path.build(&message));
            prop_assert_eq!(verdict, Verdict::Reply);
            prop_assert!(reply_message(&frame, &path).len() <= 1232);
        }
    }

    #[test]
    fn whole_options_of_any_kind_get_what_they_ask_for(
        options in prop::collection::vec((0u16..16, prop::collection::vec(any::<u8>(), 0..45)), 0..6),
    ) {
        let mut host = host_of(zone_of([7]), |config| {
            config.edns.nsid = b"n".to_vec();
            config.edns.cookies = Some(cookies(false));
        });
        let borrowed: Vec<(u16, &[u8])> = options.iter().map(|(code, data)| (*code, &data[..])).collect();
        let reply = ask(&mut host, &query_options("n7.example.", types::A, 4096, &borrowed));
        let cookie = options.iter().find(|(code, _)| *code == COOKIE).map(|(_, data)| data.len());
        let malformed = cookie.is_some_and(|bytes| bytes != 8 && !(16..=40).contains(&bytes));
        prop_assert_eq!((reply.rcode, reply.answers), if malformed { (1, 0) } else { (0, 7) });
        let codes: Vec<u16> = reply.options.iter().map(|(code, _)| *code).collect();
        let nsid = options.iter().any(|(code, _)| *code == NSID).then_some(NSID);
        let expected: Vec<u16> = nsid.into_iter().chain(cookie.filter(|_| !malformed).map(|_| COOKIE)).collect();
        prop_assert_eq!(codes, expected);
    }
}
