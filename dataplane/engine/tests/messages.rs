//! Messages from sockets get the bytes that frames get; over TCP all of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;
#[path = "messages/transfers.rs"]
mod transfers;

use std::net::SocketAddr;
use std::sync::LazyLock;

use common::{Host, cookies, snapshot};
use hickory_proto::op::{Message, ResponseCode};
use proptest::prelude::*;
use ringdns_engine::counters::Counters;
use ringdns_engine::limits::STREAM_MESSAGE_BYTES_MAX;
use ringdns_engine::query::HEADER_BYTES;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::rtype::types;
use ringdns_engine::select::{Marks, Member, Mode, Selection, ViewTable};
use ringdns_engine::serve::{MessageConfig, MessageServer, ServerConfig, Transport, Unanswered};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{UdpFrame, query, query_edns, query_options, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// Of all kinds: hits, aliases, DNAME, wildcards, cuts, large RRsets, records that are down.
const ZONE: &str = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n@ MX 1 ns\nns A 192.0.2.1\nns AAAA 2001:db8::1\na A 192.0.2.2\n\
                    al CNAME a\nal2 CNAME al\n*.wild A 192.0.2.4\nold DNAME wild\none NS ns.one\nns.one A 192.0.2.5\n\
                    loop CNAME pool\npool CNAME loop\nent.deep A 192.0.2.6\nlost CNAME gone";

/// Labels that questions are made of.
const LABELS: [&str; 17] = [
    "a", "AL", "al2", "wild", "old", "one", "ns", "loop", "deep", "ent", "large", "x", "many", "example", "half",
    "gone", "lost",
];

/// Types that are asked for.
const TYPES: [u16; 12] =
    [types::A, types::AAAA, types::NS, types::MX, types::TXT, types::CNAME, types::DS, types::ANY, 252, 251, 41, 65280];

/// The zone, and RRsets that fit no datagram.
fn zone() -> String {
    let texts = (0..40).map(|number| format!("\nlarge TXT {number}{}", "t".repeat(200)));
    let servers =
        (0..200).map(|number| format!("\nmany NS n{number}.a.long.label.of.some.bytes\nn{number} A 192.0.2.9"));
    ZONE.to_owned() + &texts.collect::<String>() + &servers.collect::<String>()
}

/// It, ready to be served.
static SERVED: LazyLock<Snapshot> = LazyLock::new(|| {
    let mut editor = Editor::new(&snapshot(&[("example.", &zone())]));
    let rdatas = vec![vec![192, 0, 2, 10], vec![192, 0, 2, 11]];
    let spec = RrsetSpec { rtype: types::A, ttl: 60, rdatas, ..RrsetSpec::default() };
    for (owner, down) in [("half.example.", vec![true, false]), ("gone.example.", vec![true, true])] {
        let marks = Marks { down, or_none: true };
        editor.put_marked(&common::name("example."), &common::name(owner), &spec, &marks).unwrap();
    }
    editor.commit()
});

/// The engine for messages of one transport, what it serves, and what it counts.
struct Sockets {
    server: MessageServer,
    snapshot: Snapshot,
    counters: Counters,
}

impl Sockets {
    fn new(snapshot: Snapshot, config: &ServerConfig, transport: Transport) -> Self {
        let mut server = MessageServer::new(&messages(config), transport);
        server.set_time(0, 0);
        Self { server, snapshot, counters: Counters::default() }
    }

    /// The answer to a message of a client.
    fn ask_from(&mut self, client: &str, message: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut buffer = message.to_vec();
        buffer.resize(STREAM_MESSAGE_BYTES_MAX, 0xee);
        let client: SocketAddr = client.parse().unwrap();
        match self.server.answer(client, &mut buffer, message.len(), &self.snapshot, &self.counters) {
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(Unanswered::Dropped(reason)) => Err(reason),
            Err(Unanswered::Foreign) => panic!("nothing is forwarded"),
        }
    }

    /// The same, by the client of [`UdpFrame::ipv4`].
    fn ask_bytes(&mut self, message: &[u8]) -> Result<Vec<u8>, Reason> {
        self.ask_from("192.0.2.1:40000", message)
    }

    fn ask(&mut self, message: &[u8]) -> Message {
        Message::from_vec(&self.ask_bytes(message).unwrap()).unwrap()
    }
}

/// The parts of a port's configuration that messages are answered by.
fn messages(config: &ServerConfig) -> MessageConfig {
    MessageConfig {
        udp_answer_bytes_max: config.udp_answer_bytes_max,
        hides_aaaa: config.hides_aaaa,
        edns: config.edns.clone(),
        chaos: config.chaos.clone(),
        rate_limit: config.rate_limit.clone(),
        recall: None,
    }
}

/// A port that answers all options.
fn generous() -> ServerConfig {
    let mut config = server_config();
    config.edns.nsid = b"ns1".to_vec();
    config.edns.cookies = Some(cookies(false));
    config.chaos.version = b"a version".to_vec();
    config
}

/// The same bytes from a frame and from both kinds of sockets, as far as sizes allow.
fn check(host: &mut Host, udp: &mut Sockets, tcp: &mut Sockets, message: &[u8]) {
    for (path, client) in [(UdpFrame::ipv4(), "192.0.2.1:40000"), (UdpFrame::ipv6(), "[2001:db8::1]:40000")] {
        let (verdict, reply) = host.frame(&path.build(message));
        let expected = match verdict {
            Verdict::Reply => Ok(reply_message(&reply, &path).to_vec()),
            Verdict::Drop(reason) | Verdict::Punt(reason) => Err(reason),
            Verdict::Forward => panic!("nothing is forwarded"),
        };
        assert_eq!(udp.ask_from(client, message), expected, "{message:02x?}");
        let whole = tcp.ask_from(client, message);
        match (&whole, &expected) {
            (Ok(whole), Ok(expected)) if expected[2] & 2 != 0 => {
                assert_eq!(whole[2] & 2, 0, "nothing is cut off over TCP");
                assert!(whole.len() >= expected.len());
            }
            // What was left out of the additional section for want of room stands in the longer one.
            (Ok(whole), Ok(expected)) if whole.len() > expected.len() => assert_eq!(whole[..10], expected[..10]),
            _ => assert_eq!(whole, expected, "{message:02x?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sockets_and_frames_give_the_same_bytes(
        labels in prop::collection::vec(0..LABELS.len(), 0..4),
        rtype in 0..TYPES.len(),
        size in prop::option::of(0u16..1400),
        options in prop::collection::vec(0usize..5, 0..3),
        tail in prop::collection::vec(any::<u8>(), 0..2),
        flags in any::<u8>(),
    ) {
        let served = SERVED.clone();
        let config = generous();
        let mut host = Host::with(served.clone(), |port| *port = config.clone());
        let [mut udp, mut tcp] =
            [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &config, transport));
        let all: [(u16, &[u8]); 5] = [(3, b""), (10, b"abcdefgh"), (10, &[7; 24]), (12, &[0; 9]), (10, b"short")];
        let options: Vec<(u16, &[u8])> = options.into_iter().map(|index| all[index]).collect();
        let labels: String = labels.into_iter().map(|index| format!("{}.", LABELS[index])).collect();
        let qname = labels + "example.";
        let mut message = match size {
            Some(size) => query_options(&qname, TYPES[rtype], size, &options),
            None => query(&qname, TYPES[rtype]),
        };
        // Mostly a query; now and then a response, another opcode, trailing bytes.
        if flags & 0x70 == 0 {
            message[2] ^= flags << 3;
            message.extend(tail);
        }
        check(&mut host, &mut udp, &mut tcp, &message);
    }

    #[test]
    fn any_bytes_are_treated_alike(message in prop::collection::vec(any::<u8>(), 0..60)) {
        let served = SERVED.clone();
        let config = generous();
        let mut host = Host::with(served.clone(), |port| *port = config.clone());
        let [mut udp, mut tcp] =
            [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &config, transport));
        check(&mut host, &mut udp, &mut tcp, &message);
    }
}

#[test]
fn what_is_down_is_left_out_over_udp_and_tcp_alike() {
    let config = server_config();
    let mut host = Host::with(SERVED.clone(), |port| *port = config.clone());
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(SERVED.clone(), &config, transport));
    for (qname, answers, has_soa) in [
        ("half.example.", &["192.0.2.11"][..], false),
        ("gone.example.", &[], true),
        ("lost.example.", &["gone.example."], true),
    ] {
        let message = query(qname, types::A);
        check(&mut host, &mut udp, &mut tcp, &message);
        let answer = tcp.ask(&message);
        let found: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(
            (found, answer.metadata.response_code),
            (answers.iter().map(ToString::to_string).collect(), ResponseCode::NoError)
        );
        assert_eq!(answer.authorities.len(), usize::from(has_soa), "{qname}");
    }
}

#[test]
fn what_fits_no_datagram_is_whole_over_tcp() {
    let mut editor = Editor::new(&SERVED);
    let rdatas = (0..4000u16).map(|number| [[192, 0], number.to_be_bytes()].concat()).collect();
    let spec = RrsetSpec { rtype: types::A, ttl: 60, rdatas, ..RrsetSpec::default() };
    editor.put_rrset(&common::name("example."), &common::name("huge.example."), &spec).unwrap();
    let served = editor.commit();
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &server_config(), transport));
    for (qname, rtype, records) in [("large.example.", types::TXT, 40), ("huge.example.", types::A, 4000)] {
        for message in [query(qname, rtype), query_edns(qname, rtype, 1232, false)] {
            let short = udp.ask(&message);
            assert!(short.metadata.truncation && short.answers.is_empty(), "{qname}");
            let whole = tcp.ask(&message);
            assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, records), "{qname}");
        }
    }
    assert_eq!((udp.counters.truncated.get(), tcp.counters.truncated.get()), (4, 0));
    assert_eq!(tcp.counters.queries_ipv4.get(), 4);
}

#[test]
fn what_fits_no_message_at_all_is_truncated_over_tcp_too() {
    let mut tcp = Sockets::new(SERVED.clone(), &server_config(), Transport::Tcp);
    let message = query("large.example.", types::TXT);
    let mut buffer = message.clone();
    buffer.resize(4000, 0);
    let client = "192.0.2.1:40000".parse().unwrap();
    let length = tcp.server.answer(client, &mut buffer, message.len(), &tcp.snapshot, &tcp.counters).unwrap();
    assert!(Message::from_vec(&buffer[..length]).unwrap().metadata.truncation);
    let mut buffer = message.clone();
    assert_eq!(
        tcp.server.answer(client, &mut buffer, message.len(), &tcp.snapshot, &tcp.counters),
        Ok(message.len()),
        "a buffer without room behind the query holds no more than the question"
    );
}

#[test]
fn transfers_are_refused() {
    let mut tcp = Sockets::new(snapshot(&[("example.", ZONE)]), &server_config(), Transport::Tcp);
    for rtype in [251, 252] {
        let answer = tcp.ask(&query("example.", rtype));
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        assert!(answer.answers.is_empty());
    }
}

#[test]
fn cookies_are_given_and_not_asked_for_over_tcp() {
    let mut config = server_config();
    config.edns.cookies = Some(cookies(true));
    let served = snapshot(&[("example.", ZONE)]);
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &config, transport));
    let without = query("a.example.", types::A);
    let with = query_options("a.example.", types::A, 1232, &[(10, b"abcdefgh")]);
    assert!(udp.ask(&without).metadata.truncation);
    assert_eq!(tcp.ask(&without).answers.len(), 1);
    assert!(udp.ask(&with).answers.is_empty());
    assert_eq!(tcp.ask(&with).answers.len(), 1);
    // The cookie that came over TCP is good for UDP.
    let bytes = tcp.ask_bytes(&with).unwrap();
    let cookie = &bytes[bytes.len() - 24..];
    assert_eq!(&cookie[..8], b"abcdefgh");
    assert_eq!(udp.ask(&query_options("a.example.", types::A, 1232, &[(10, cookie)])).answers.len(), 1);
}

#[test]
fn keepalive_is_answered_over_tcp_alone() {
    let served = snapshot(&[("example.", ZONE)]);
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &server_config(), transport));
    tcp.server.set_keepalive(0x1234);
    let message = query_options("a.example.", types::A, 1232, &[(11, b"")]);
    let plain = query_edns("a.example.", types::A, 1232, false);
    assert!(tcp.ask_bytes(&message).unwrap().ends_with(&[0, 6, 0, 11, 0, 2, 0x12, 0x34]));
    assert_eq!(udp.ask_bytes(&message), udp.ask_bytes(&plain), "RFC 7828 section 3.3.2");
    assert_eq!(tcp.ask_bytes(&plain), udp.ask_bytes(&plain), "who does not ask is not told");
}

#[test]
fn rates_hold_for_messages() {
    let limit = RateLimit { responses_per_second: 20, packets_per_second: 40, slip: 2, ..RateLimit::default() };
    let config = ServerConfig { rate_limit: Some(limit), ..server_config() };
    let served = snapshot(&[("example.", ZONE)]);
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &config, transport));
    let message = query("a.example.", types::A);
    let mut answers: Vec<_> = (0..100).map(|_| udp.ask_bytes(&message)).collect();
    // The burst of packets is the rate and a half: twenty answers, then every second one slips.
    assert!(answers.drain(60..).all(|answer| answer == Err(Reason::PacketLimited)));
    let is_slipped = |answer: &&Result<Vec<u8>, Reason>| answer.as_ref().is_ok_and(|bytes| bytes[2] & 2 != 0);
    assert_eq!(answers.iter().filter(is_slipped).count(), 20);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(Reason::RateLimited)).count(), 20);
    assert_eq!((udp.counters.slipped.get(), udp.counters.reason(Reason::PacketLimited)), (20, 40));
    let answers: Vec<_> = (0..100).map(|_| tcp.ask_bytes(&message)).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 60, "only queries are limited over TCP");
    assert!(!answers.iter().any(|answer| is_slipped(&answer)));
    assert!(tcp.ask_from("198.51.100.1:1024", &message).is_ok(), "other clients do not notice");
    tcp.server.set_time(1000, 0);
    assert!(tcp.ask_bytes(&message).is_ok(), "a second later");
}

#[test]
fn datagrams_of_services_that_answer_back_are_dropped() {
    let served = snapshot(&[("example.", ZONE)]);
    let [mut udp, mut tcp] =
        [Transport::Udp, Transport::Tcp].map(|transport| Sockets::new(served.clone(), &server_config(), transport));
    let message = query("a.example.", types::A);
    assert_eq!(udp.ask_from("192.0.2.1:7", &message), Err(Reason::SourcePort));
    assert!(tcp.ask_from("192.0.2.1:7", &message).is_ok(), "a connection cannot be forged");
    assert_eq!(udp.counters.reason(Reason::SourcePort), 1);
}

#[test]
fn turns_are_taken() {
    let mut editor = Editor::new(&snapshot(&[("example.", ZONE)]));
    let rdatas: Vec<Vec<u8>> = (1..=3).map(|last| vec![203, 0, 113, last]).collect();
    let members = vec![Member::default(); 3];
    let selection = Selection { mode: Mode::RoundRobin, answers_max: 0, members };
    let spec =
        RrsetSpec { rtype: types::A, ttl: 60, rdatas, selection: Some(Box::new(selection)), ..RrsetSpec::default() };
    editor.put_rrset(&common::name("example."), &common::name("turns.example."), &spec).unwrap();
    let served = editor.commit();
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut sockets = Sockets::new(served.clone(), &server_config(), transport);
        let mut seen: Vec<u8> = (0..3)
            .map(|_| {
                let bytes = sockets.ask_bytes(&query("turns.example.", types::A)).unwrap();
                assert_eq!(bytes[6..8], [0, 1]);
                *bytes.last().unwrap()
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
    }
}

#[test]
fn clients_see_their_views() {
    let mut editor = Editor::new(&snapshot(&[("example.", ZONE)]));
    for (view, last) in [(0, 1), (1, 2), (2, 3)] {
        let rdatas = vec![vec![203, 0, 113, last]];
        let spec = RrsetSpec { rtype: types::A, ttl: 60, rdatas, view, ..RrsetSpec::default() };
        editor.put_rrset(&common::name("example."), &common::name("seen.example."), &spec).unwrap();
    }
    editor.set_views(ViewTable::new([("192.0.2.0/24".parse().unwrap(), 1), ("2001:db8::/32".parse().unwrap(), 2)]));
    let served = editor.commit();
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut sockets = Sockets::new(served.clone(), &server_config(), transport);
        for (client, last) in
            [("198.51.100.1:1024", 1), ("192.0.2.9:1024", 2), ("[::ffff:192.0.2.9]:1024", 2), ("[2001:db8::9]:1024", 3)]
        {
            let answer = sockets.ask_from(client, &query("seen.example.", types::A)).unwrap();
            assert_eq!(answer.last(), Some(&last), "{client}");
        }
        assert_eq!((sockets.counters.queries_ipv4.get(), sockets.counters.queries_ipv6.get()), (3, 1));
    }
}

#[test]
fn a_header_alone_is_refused_and_less_is_dropped() {
    let mut tcp = Sockets::new(snapshot(&[("example.", ZONE)]), &server_config(), Transport::Tcp);
    assert_eq!(tcp.ask_bytes(&[0; 11]), Err(Reason::DnsShort));
    let refused = tcp.ask_bytes(&[0; 12]).unwrap();
    assert_eq!((refused.len(), refused[3] & 0xf), (HEADER_BYTES, 1));
    assert_eq!(tcp.counters.reason(Reason::QuestionCount), 1);
}
