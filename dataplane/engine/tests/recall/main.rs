//! Names of others: answered from the cache the plain way, the general way and over sockets, with the same bytes; to the
//! forwarder where nothing is known of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod ways;
mod zones;

use std::sync::Arc;

use common::{Host, cookies, name, snapshot};
use hickory_proto::op::{Message, ResponseCode};
use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk, CacheKey, CachedAnswer, EntryBits};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer as _;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::recall::{
    ClientLists, Denial, ForeignQuestion, Handover, KeptAnswer, RecallConfig, is_foreign, name_hash,
};
use ringdns_engine::rtype::types;
use ringdns_engine::rules::Rules;
use ringdns_engine::serve::{MessageConfig, MessageServer, Server, ServerConfig, Transport, Unanswered};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{TestFrame, UdpFrame, query, query_edns, query_options, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// When the answers were fetched.
const FETCHED: u32 = 1_000_000;
/// Where the question's name stands, as a pointer.
const QNAME: &[u8] = &[0xc0, 12];

/// A zone of ours, a cache, and a host that knows both.
struct Scene {
    desk: CacheDesk,
    host: Host,
    config: ServerConfig,
}

impl Scene {
    fn new(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let desk = CacheDesk::new(CACHE_BYTES_MIN);
        let recall = recall(&desk);
        let records =
            "@ SOA ns.test. hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nout CNAME www.others.test.\nfar CNAME out\n";
        let served = snapshot(&[
            ("example.", records),
            ("left.test.", "@ SOA ns.example. h.example. 1 2 3 4 5\nin A 192.0.2.7\n"),
        ]);
        let mut editor = Editor::new(&served);
        editor.set_rules(&name("left.test."), &Rules { fallthrough: true, ..Rules::default() }).unwrap();
        let mut config = ServerConfig { recall: Some(recall), ..server_config() };
        change(&mut config);
        let host = Host::with(editor.commit(), |default| *default = config.clone());
        Self { desk, host, config }
    }

    /// Puts in addresses, the last octets of which are given.
    fn put(&mut self, qname: &str, bits: EntryBits, octets: std::ops::Range<u8>, stale_seconds: u32) {
        let (mut body, mut ttl_places) = (Vec::new(), Vec::new());
        for octet in octets.clone() {
            body.extend_from_slice(QNAME);
            body.extend_from_slice(&[0, 1, 0, 1]);
            ttl_places.push(u16::try_from(body.len()).unwrap());
            body.extend_from_slice(&[0, 0, 0, 100 + octet, 0, 4, 198, 51, 100, octet]);
        }
        let answer = CachedAnswer {
            bits,
            rcode: 0,
            counts: [octets.len().try_into().unwrap(), 0],
            body: &body,
            ttl_places: &ttl_places,
            pointer_places: &[],
            fetched_seconds: FETCHED,
            ttl_seconds: 100,
            stale_seconds,
        };
        let qname = name(qname);
        let key = CacheKey {
            name_hash: name_hash(&self.host.snapshot, &qname),
            name: qname.as_bytes(),
            qtype: types::A,
            bits,
        };
        self.desk.insert(&key, &answer).unwrap();
    }

    /// Puts in any answer to a question for A.
    fn put_kept(&mut self, qname: &str, answer: &KeptAnswer) {
        let qname = name(qname);
        let name_hash = name_hash(&self.host.snapshot, &qname);
        let key = CacheKey { name_hash, name: qname.as_bytes(), qtype: types::A, bits: answer.bits };
        self.desk.insert(&key, &answer.as_cached()).unwrap();
    }

    /// What others are to be asked for a message.
    fn question(&mut self, message: &[u8]) -> ForeignQuestion {
        let path = UdpFrame::ipv4();
        let mut frames = [TestFrame::new(&path.build(message))];
        let mut verdicts = [Verdict::Reply; BURST_FRAMES_MAX];
        let Host { server, snapshot, counters } = &mut self.host;
        server.serve_burst(&mut frames, &mut verdicts, snapshot, counters);
        assert_eq!(verdicts[0], Verdict::Forward);
        let question = server.foreign_question(&frames[0]).unwrap();
        let mut messages = message_server(&self.config);
        let mut buffer = [message, &[0; 600]].concat();
        let client = "192.0.2.9:4444".parse().unwrap();
        let answered = messages.answer(client, &mut buffer, message.len(), snapshot, &Counters::default());
        assert_eq!(answered, Err(Unanswered::Foreign));
        let other = messages.foreign_question(client).unwrap();
        assert_eq!(ForeignQuestion { client: question.client, ..other }, question);
        question
    }

    /// The answers to a message: in a plain frame, over IPv6, and over sockets. The first two are the same bytes as the third.
    fn ask(&mut self, now: u32, message: &[u8]) -> Option<Vec<u8>> {
        self.host.server.set_now(now);
        let framed = [UdpFrame::ipv4(), UdpFrame::ipv6()].map(|path| {
            let frame = path.build(message);
            match self.host.frame(&frame) {
                (Verdict::Reply, reply) => Some(reply_message(&reply, &path).to_vec()),
                (Verdict::Forward, after) => {
                    assert_eq!(after, frame, "it goes on as it came");
                    None
                }
                (verdict, _) => panic!("{verdict:?}"),
            }
        });
        let message = over_sockets(&self.config, &self.host.snapshot, now, message);
        assert_eq!(framed, [message.clone(), message.clone()]);
        message
    }
}

fn recall(desk: &CacheDesk) -> RecallConfig {
    RecallConfig {
        shelf: Arc::clone(desk.shelf()),
        authoritative: false,
        stale_ttl_seconds: Some(30),
        clients: None,
        is_handover: false,
    }
}

/// The answer that a socket gets.
fn over_sockets(config: &ServerConfig, snapshot: &Snapshot, now: u32, message: &[u8]) -> Option<Vec<u8>> {
    let mut server = message_server(config);
    server.set_time(0, now);
    let mut buffer = message.to_vec();
    buffer.resize(4096, 0);
    match server.answer("192.0.2.9:4444".parse().unwrap(), &mut buffer, message.len(), snapshot, &Counters::default()) {
        Ok(length) => Some(buffer[..length].to_vec()),
        Err(Unanswered::Foreign) => {
            assert_eq!(&buffer[..message.len()], message);
            None
        }
        Err(unanswered) => panic!("{unanswered:?}"),
    }
}

/// The engine of sockets, set up as a port is.
fn message_server(config: &ServerConfig) -> MessageServer {
    let ServerConfig { udp_answer_bytes_max, hides_aaaa, edns, chaos, rate_limit, recall, .. } = config.clone();
    let config = MessageConfig { udp_answer_bytes_max, hides_aaaa, edns, chaos, rate_limit, recall };
    MessageServer::new(&config, Transport::Udp)
}

/// Addresses and TTLs of an answer.
fn records(message: &[u8]) -> Vec<(String, u32)> {
    let message = Message::from_vec(message).unwrap();
    message.answers.iter().map(|record| (record.data.to_string(), record.ttl)).collect()
}

/// The owner that pointers lead to, an alias whose target ends in a part of it, and an address of that target.
fn chained() -> KeptAnswer {
    // www.others.test. CNAME edge.others.test.; edge.others.test. A 198.51.100.9
    let body = [
        &[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7][..],
        b"\x04edge\xc0\x10",
        b"\x04edge\xc0\x10\0\x01\0\x01\0\0\0\x32\0\x04",
        &[198, 51, 100, 9],
    ];
    KeptAnswer {
        counts: [2, 0],
        body: body.concat(),
        ttl_places: vec![6, 30],
        pointer_places: vec![0, 17, 24],
        fetched_seconds: FETCHED,
        ttl_seconds: 50,
        ..KeptAnswer::default()
    }
}

#[test]
fn what_is_known_is_answered_and_ages() {
    let mut scene = Scene::new(|_| {});
    scene.put("www.others.test.", EntryBits::default(), 1..3, 0);
    for (qname, edns) in [("www.others.test.", false), ("WWW.Others.Test.", false), ("www.others.test.", true)] {
        let message = if edns { query_edns(qname, types::A, 1232, false) } else { query(qname, types::A) };
        let answer = scene.ask(FETCHED + 40, &message).unwrap();
        assert_eq!(records(&answer), [("198.51.100.1".to_owned(), 61), ("198.51.100.2".to_owned(), 62)]);
        let flags = u16::from_be_bytes([answer[2], answer[3]]);
        assert_eq!(flags, 0x8180, "QR, RD, RA; not AA");
        assert_eq!(answer[12..12 + qname.len() + 1], message[12..12 + qname.len() + 1], "the client's own letters");
    }
    assert!(scene.ask(FETCHED + 100, &query("www.others.test.", types::A)).is_none(), "its time is over");
    assert!(scene.ask(FETCHED, &query("www.others.test.", types::AAAA)).is_none());
    assert!(scene.ask(FETCHED, &query("other.test.", types::A)).is_none());
    let counters = &scene.host.counters;
    assert_eq!((counters.recalled.get() > 0, counters.forwarded.get()), (true, 6));
}

#[test]
fn addresses_are_answered_for_names_of_every_length() {
    let mut scene = Scene::new(|_| {});
    for (length, count) in (1..=60usize).flat_map(|length| [(length, 1u8), (length, 3)]) {
        let qname = format!("{}.test.", "n".repeat(length));
        let record = |octet| [QNAME, &[0, 1, 0, 1, 0, 0, 0, 100, 0, 4, 198, 51, 100, octet]].concat();
        let (counts, body) = ([count.into(), 0], (0..count).flat_map(record).collect());
        let ttl_places = (0..u16::from(count)).map(|index| 16 * index + 6).collect();
        let answer = KeptAnswer { counts, body, ttl_places, fetched_seconds: FETCHED, ..KeptAnswer::default() };
        scene.put_kept(&qname, &KeptAnswer { ttl_seconds: 100, stale_seconds: 10, ..answer });
        let expected = |ttl| (0..count).map(|octet| (format!("198.51.100.{octet}"), ttl)).collect::<Vec<_>>();
        for (age, ttl) in [(0, 100), (99, 1), (100, 30), (109, 30)] {
            let answers =
                [query(&qname.to_uppercase(), types::A), query_edns(&qname, types::A, 1232, false)].map(|message| {
                    let answer = scene.ask(FETCHED + age, &message).unwrap();
                    records(&answer)
                });
            assert_eq!(answers, [expected(ttl), expected(ttl)], "{length} {count} {age}");
        }
        assert!(scene.ask(FETCHED + 110, &query(&qname, types::A)).is_none());
        assert!(scene.ask(FETCHED, &query(&format!("m{qname}"), types::A)).is_none());
    }
}

#[test]
fn names_of_ours_are_not_looked_up_there() {
    let mut scene = Scene::new(|_| {});
    let refused = |message: &[u8]| Message::from_vec(message).unwrap().metadata.response_code;
    let answer = scene.ask(FETCHED, &query("none.example.", types::A)).unwrap();
    assert_eq!(refused(&answer), ResponseCode::NXDomain);
    assert!(!records(&scene.ask(FETCHED, &query("ns.example.", types::A)).unwrap()).is_empty());
    let mut unwanted = query("www.others.test.", types::A);
    unwanted[2] = 0;
    assert_eq!(refused(&scene.ask(FETCHED, &unwanted).unwrap()), ResponseCode::Refused, "RD is not set");
    assert_eq!(refused(&scene.ask(FETCHED, &query("others.test.", types::AXFR)).unwrap()), ResponseCode::Refused);
}

#[test]
fn what_is_stale_is_answered_with_a_ttl_of_its_own() {
    let mut scene = Scene::new(|_| {});
    scene.put("www.others.test.", EntryBits::default(), 1..2, 1000);
    let message = query("www.others.test.", types::A);
    assert_eq!(records(&scene.ask(FETCHED + 500, &message).unwrap()), [("198.51.100.1".to_owned(), 30)]);
    assert!(scene.ask(FETCHED + 1100, &message).is_none(), "too old");
}

#[test]
fn do_and_cd_have_answers_of_their_own_and_ad_is_for_those_who_know_it() {
    let mut scene = Scene::new(|_| {});
    let authentic = EntryBits::AUTHENTIC.and(EntryBits::DNSSEC_OK);
    scene.put("signed.test.", authentic, 1..2, 0);
    scene.put("signed.test.", EntryBits::AUTHENTIC, 2..3, 0);
    let ad = |message: &[u8]| message[3] & 0x20 != 0;
    let answer = scene.ask(FETCHED, &query_edns("signed.test.", types::A, 1232, true)).unwrap();
    assert_eq!((ad(&answer), records(&answer)[0].0.as_str()), (true, "198.51.100.1"));
    let mut message = query("signed.test.", types::A);
    let answer = scene.ask(FETCHED, &message).unwrap();
    assert_eq!((ad(&answer), records(&answer)[0].0.as_str()), (false, "198.51.100.2"));
    message[3] |= 0x20;
    assert!(ad(&scene.ask(FETCHED, &message).unwrap()));
    message[3] = 0x10;
    assert!(scene.ask(FETCHED, &message).is_none(), "CD");
}

#[test]
fn what_others_had_no_room_for_is_said_to_be_missing() {
    let mut scene = Scene::new(|_| {});
    scene.put("whole.test.", EntryBits::default(), 1..2, 0);
    scene.put("cut.test.", EntryBits::TRUNCATED, 1..2, 0);
    for (qname, is_cut) in [("whole.test.", false), ("cut.test.", true)] {
        let answer = scene.ask(FETCHED, &query(qname, types::A)).unwrap();
        assert_eq!((answer[2] & 2 != 0, records(&answer).len()), (is_cut, 1), "{qname}");
    }
}

#[test]
fn what_does_not_fit_is_cut() {
    let mut scene = Scene::new(|config| config.edns.cookies = Some(cookies(false)));
    scene.put("many.test.", EntryBits::default(), 0..100, 0);
    scene.host.server.set_now(FETCHED);
    let path = UdpFrame::ipv4();
    for (message, expected) in [
        (query("many.test.", types::A), (true, 0)),
        (query_edns("many.test.", types::A, 1232, false), (true, 0)),
        (query_edns("many.test.", types::A, 600, false), (true, 0)),
    ] {
        let (_, reply) = scene.host.frame(&path.build(&message));
        let answer = reply_message(&reply, &path);
        assert_eq!((answer[2] & 2 != 0, records(answer).len()), expected);
    }
    scene.put("some.test.", EntryBits::default(), 0..60, 0);
    let (_, reply) = scene.host.frame(&path.build(&query_edns("some.test.", types::A, 1232, false)));
    assert_eq!(records(reply_message(&reply, &path)).len(), 60, "beyond what goes the plain way");
}
