//! Names of others: answered from the cache the plain way, the general way and over sockets, with the same bytes; to the
//! forwarder where nothing is known of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

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
fn an_alias_of_ours_goes_on_at_a_name_of_others() {
    let mut scene = Scene::new(|_| {});
    scene.put_kept("www.others.test.", &chained());
    for (qname, aliases) in [("out.example.", 1), ("far.example.", 2), ("FAR.Example.", 2)] {
        for message in
            [query(qname, types::A), query_edns(qname, types::A, 1232, true), query_edns(qname, types::A, 1232, false)]
        {
            let is_do = message[11] == 1 && message[message.len() - 4] == 0x80;
            if is_do {
                assert!(scene.ask(FETCHED + 10, &message).is_none(), "DO has answers of its own");
                continue;
            }
            let bytes = scene.ask(FETCHED + 10, &message).unwrap();
            assert_eq!(bytes[2..4], [0x85, 0x80], "AA for the alias, RA, and no AD");
            let answer = Message::from_vec(&bytes).unwrap();
            let records = common::text(&answer.answers);
            assert_eq!(records.len(), aliases + 2, "{records:?}");
            assert!(records.contains(&"www.others.test. 50 IN CNAME edge.others.test.".to_owned()), "{records:?}");
            assert!(records.contains(&"edge.others.test. 40 IN A 198.51.100.9".to_owned()), "{records:?}");
        }
    }
    assert!(scene.host.counters.recalled.get() > 0);
    let failure = KeptAnswer { ttl_seconds: 9, fetched_seconds: FETCHED, ..KeptAnswer::empty(3) };
    scene.put_kept("www.others.test.", &failure);
    let answer = scene.ask(FETCHED, &query("out.example.", types::A)).unwrap();
    assert_eq!((answer[2..4].to_vec(), answer[7]), (vec![0x85, 0x83], 1), "the last name's response code (RFC 6604)");
    let failure = KeptAnswer { rcode: 2, ..failure };
    scene.put_kept("www.others.test.", &failure);
    assert_eq!(scene.ask(FETCHED, &query("out.example.", types::A)).unwrap()[2..4], [0x81, 0x82], "no AA");
}

#[test]
fn what_an_alias_leads_to_is_asked_for_and_the_query_stays_whole() {
    let mut scene = Scene::new(|config| config.edns.cookies = Some(cookies(false)));
    let cookie = query_options("far.example.", types::A, 1232, &[(10, &[7; 8]), (12, &[0; 100])]);
    for message in [query("out.example.", types::A), query_edns("FAR.example.", types::A, 1232, true), cookie] {
        // `ask` compares the frame and the message with what they were.
        assert!(scene.ask(FETCHED, &message).is_none());
        let question = scene.question(&message);
        assert_eq!((question.name, question.qtype), (name("www.others.test."), types::A));
        assert_eq!(question.client, UdpFrame::ipv4().addresses.0);
    }
    let question = scene.question(&query_edns("Others.TEST.", types::AAAA, 1232, true));
    assert_eq!((question.name.as_bytes(), question.qtype), (&b"\x06others\x04test\0"[..], types::AAAA));
    assert!(question.bits.has(EntryBits::DNSSEC_OK));
    let mut unwanted = query("out.example.", types::A);
    unwanted[2] = 0;
    let answer = scene.ask(FETCHED, &unwanted).unwrap();
    assert_eq!((answer[3] & 15, answer[7]), (0, 1), "RD is not set: the alias alone");
    let padded = query_options("out.example.", types::A, 1232, &[(12, &[0; 600])]);
    let answer = scene.ask(FETCHED, &padded).unwrap();
    assert_eq!((answer[3] & 15, answer[7]), (0, 1), "too long to be kept: the alias alone");
}

#[test]
fn a_zone_may_leave_names_to_others() {
    let mut scene = Scene::new(|_| {});
    scene.put("no.left.test.", EntryBits::default(), 1..2, 0);
    assert_eq!(records(&scene.ask(FETCHED, &query("no.left.test.", types::A)).unwrap())[0].0, "198.51.100.1");
    assert_eq!(scene.ask(FETCHED, &query("no.left.test.", types::A)).unwrap()[2] & 4, 0, "no AA");
    assert_eq!(records(&scene.ask(FETCHED, &query("in.left.test.", types::A)).unwrap())[0].0, "192.0.2.7");
    assert_eq!(scene.question(&query("none.left.test.", types::A)).name, name("none.left.test."));
    for (qname, expected) in [
        ("no.left.test.", true),
        ("in.left.test.", false),
        ("left.test.", false),
        ("a.example.", false),
        ("test.", true),
    ] {
        assert_eq!(is_foreign(&scene.host.snapshot, &name(qname), types::A), expected, "{qname}");
    }
}

#[test]
fn once_all_zones_are_known_others_are_asked_for_what_is_in_none() {
    let mut scene = Scene::new(|_| {});
    scene.put("kept.test.", EntryBits::default(), 1..2, 0);
    scene.put("no.left.test.", EntryBits::default(), 1..2, 0);
    for zones_known in [false, true] {
        let mut editor = Editor::new(&scene.host.snapshot);
        editor.set_complete(false);
        editor.set_zones_known(zones_known);
        scene.host.snapshot = editor.commit();
        let before = |scene: &mut Scene, qname: &str| scene.ask(FETCHED, &query(qname, types::A)).unwrap()[3] & 15;
        for (qname, rcode) in [("none.example.", 2), ("ns.example.", 0), ("no.left.test.", 2), ("in.left.test.", 0)] {
            assert_eq!(before(&mut scene, qname), rcode, "{qname}: a zone that is loading may yet have it");
        }
        assert!(!is_foreign(&scene.host.snapshot, &name("no.left.test."), types::A));
        if !zones_known {
            assert_eq!(before(&mut scene, "none.test."), 2);
            assert_eq!(before(&mut scene, "kept.test."), 2);
            assert_eq!(before(&mut scene, "out.example."), 2, "what the alias leads to may yet be in a zone");
            continue;
        }
        assert_eq!(scene.question(&query("none.test.", types::A)).name, name("none.test."));
        assert_eq!(scene.question(&query("out.example.", types::A)).name, name("www.others.test."));
        assert_eq!(records(&scene.ask(FETCHED, &query("kept.test.", types::A)).unwrap())[0].0, "198.51.100.1");
        let mut unwanted = query("none.test.", types::A);
        unwanted[2] = 0;
        assert_eq!(scene.ask(FETCHED, &unwanted).unwrap()[3] & 15, 5, "REFUSED: it will not come");
    }
}

#[test]
fn a_suffix_within_a_zone_may_be_left_to_others() {
    let mut scene = Scene::new(|_| {});
    let put = |editor: &mut Editor, owner: &str, address: [u8; 4]| {
        let rrset = RrsetSpec { rtype: types::A, ttl: 60, rdatas: vec![address.to_vec()], ..RrsetSpec::default() };
        editor.put_rrset(&name("example."), &name(owner), &rrset).unwrap();
    };
    let before = scene.host.snapshot.clone();
    let mut editor = Editor::new(&before);
    put(&mut editor, "a.sub.example.", [192, 0, 2, 8]);
    put(&mut editor, "deep.a.other.example.", [192, 0, 2, 9]);
    let alias = RrsetSpec {
        rtype: types::CNAME,
        ttl: 60,
        rdatas: vec![name("b.sub.example.").as_bytes().to_vec()],
        ..RrsetSpec::default()
    };
    editor.put_rrset(&name("example."), &name("to.example."), &alias).unwrap();
    editor.leave_to_others(&name("Sub.example."));
    scene.host.snapshot = editor.commit();
    for qname in ["a.sub.example.", "none.sub.example.", "sub.example.", "x.y.sub.example."] {
        assert_eq!(scene.question(&query(qname, types::A)).name, name(qname), "although the zone has one of them");
        assert!(is_foreign(&scene.host.snapshot, &name(qname), types::A));
    }
    assert_eq!(scene.question(&query("to.example.", types::A)).name, name("b.sub.example."), "an alias leads there");
    scene.put("a.sub.example.", EntryBits::default(), 1..2, 0);
    assert_eq!(records(&scene.ask(FETCHED, &query("a.sub.example.", types::A)).unwrap())[0].0, "198.51.100.1");
    for (qname, qtype, rcode, count) in [
        ("ns.example.", types::A, 0, 1),
        ("deep.a.other.example.", types::A, 0, 1),
        ("none.example.", types::A, 3, 0),
        ("none.a.other.example.", types::A, 3, 0),
        ("sub.example.", types::DS, 0, 0),
    ] {
        let answer = scene.ask(FETCHED, &query(qname, qtype)).unwrap();
        assert_eq!((answer[3] & 15, answer[7]), (rcode, count), "{qname}: the rest of the zone is as it was");
    }
    let mut unwanted = query("a.sub.example.", types::A);
    unwanted[2] = 0;
    assert_eq!(scene.ask(FETCHED, &unwanted).unwrap()[3] & 15, 5);

    let mut editor = Editor::new(&scene.host.snapshot);
    editor.take_back(&name("sub.example."));
    editor.take_back(&name("example."));
    scene.host.snapshot = editor.commit();
    assert_eq!(scene.host.snapshot.zones(), before.zones(), "what is a zone is not taken back");
    assert_eq!(records(&scene.ask(FETCHED, &query("deep.a.other.example.", types::A)).unwrap())[0].0, "192.0.2.9");
    assert!(!is_foreign(&scene.host.snapshot, &name("none.sub.example."), types::A));
    assert_eq!(scene.ask(FETCHED, &query("none.sub.example.", types::A)).unwrap()[3] & 15, 3);
}

#[test]
fn clients_that_may_not_ask_are_refused_or_get_nothing() {
    for denial in [Denial::Refuse, Denial::Drop] {
        let paths = [UdpFrame::ipv4(), UdpFrame::ipv6()];
        let deny = [UdpFrame::ipv4(), UdpFrame::ipv6()].map(|path| path.addresses.0.to_string().parse().unwrap());
        let mut scene = Scene::new(|config| {
            let clients = Some(Arc::new(ClientLists::new(&[], &deny, denial)));
            config.recall = config.recall.take().map(|recall| RecallConfig { clients, ..recall });
        });
        scene.put("www.others.test.", EntryBits::default(), 1..2, 0);
        scene.host.server.set_now(FETCHED);
        for path in paths {
            for message in [query("www.others.test.", types::A), query_edns("new.others.test.", types::A, 1232, false)]
            {
                match (denial, scene.host.frame(&path.build(&message))) {
                    (Denial::Refuse, (Verdict::Reply, reply)) => {
                        assert_eq!(reply_message(&reply, &path)[2..4], [0x81, 0x05], "no RA");
                    }
                    (Denial::Drop, (verdict, _)) => assert_eq!(verdict, Verdict::Drop(Reason::ClientDenied)),
                    (_, (verdict, _)) => panic!("{verdict:?}"),
                }
            }
            let (_, reply) = scene.host.frame(&path.build(&query("out.example.", types::A)));
            let answer = reply_message(&reply, &path);
            assert_eq!((answer[3] & 15, answer[7]), (0, 1), "the alias alone");
            let (_, reply) = scene.host.frame(&path.build(&query("ns.example.", types::A)));
            assert_eq!(reply_message(&reply, &path)[7], 1, "zones are for all");
        }
        let denied = scene.host.counters.clients_denied.get();
        let dropped = scene.host.counters.reason(Reason::ClientDenied);
        assert_eq!([denied, dropped], if denial == Denial::Refuse { [6, 0] } else { [2, 4] });
    }
}

#[test]
fn clients_that_are_judged_are_told_what_they_have_waited_for_and_not_what_is_kept() {
    let paths = [UdpFrame::ipv4(), UdpFrame::ipv6()];
    let judged = [UdpFrame::ipv4(), UdpFrame::ipv6()].map(|path| path.addresses.0.to_string().parse().unwrap());
    let clients = Some(Arc::new(ClientLists::with_judged(&[], &[], &judged, Denial::Refuse)));
    let mut scene = Scene::new(|config| {
        config.recall = config.recall.take().map(|recall| RecallConfig { clients: clients.clone(), ..recall });
    });
    scene.put("www.others.test.", EntryBits::default(), 1..2, 0);
    scene.host.server.set_now(FETCHED);
    for path in &paths {
        for message in [query("www.others.test.", types::A), query_edns("www.others.test.", types::A, 1232, false)] {
            assert_eq!(scene.host.frame(&path.build(&message)).0, Verdict::Forward);
        }
    }
    let mut handover = Handover::default();
    let recall = scene.config.recall.as_ref().map(|recall| recall.on_shelf(handover.shelf()));
    let mut waited = Server::new(&ServerConfig { recall, ..scene.config.clone() });
    waited.set_now(FETCHED);
    let client = [192, 0, 2, 9].into();
    let (name, bits) = (name("www.others.test."), EntryBits::default());
    let question = ForeignQuestion { name, qtype: types::A, bits, client, is_stream: false };
    let answer = KeptAnswer { fetched_seconds: FETCHED, ..KeptAnswer::empty(3) };
    for path in &paths {
        let mut frames = [TestFrame::new(&path.build(&query("www.others.test.", types::A)))];
        let mut verdicts = [Verdict::Forward; BURST_FRAMES_MAX];
        let Host { snapshot, counters, .. } = &scene.host;
        let serve = || waited.serve_burst(&mut frames, &mut verdicts, snapshot, counters);
        handover.give(snapshot, &question, &answer, FETCHED, serve);
        assert_eq!((verdicts[0], reply_message(frames[0].frame(), path)[3] & 15), (Verdict::Reply, 3));
    }
}

#[test]
fn hidden_addresses_are_hidden_of_others_too_and_every_answer_offers_recursion() {
    let mut scene = Scene::new(|config| config.hides_aaaa = true);
    for qname in ["www.others.test.", "out.example."] {
        let answer = scene.ask(FETCHED, &query(qname, types::AAAA)).unwrap();
        assert_eq!((answer[3], answer[7], answer[9]), (0x80, u8::from(qname.starts_with("out")), 0), "{qname}");
    }
    for (qname, qtype, rcode) in [
        ("ns.example.", types::A, 0x80),
        ("ns.example.", types::AAAA, 0x80),
        ("none.example.", types::A, 0x83),
        ("example.", types::NS, 0x80),
        ("example.", types::AXFR, 0x85),
    ] {
        let answer = scene.ask(FETCHED, &query(qname, qtype)).unwrap();
        assert_eq!((answer[2] & 4 != 0, answer[3]), (rcode != 0x85, rcode), "{qname} {qtype}");
    }
}

#[test]
fn who_has_waited_gets_what_came_once() {
    let scene = Scene::new(|_| {});
    let mut handover = Handover::default();
    let config = ServerConfig {
        recall: scene.config.recall.as_ref().map(|recall| recall.on_shelf(handover.shelf())),
        ..scene.config.clone()
    };
    let message = query_edns("out.example.", types::A, 4096, false);
    let served = &scene.host.snapshot;
    let question = ForeignQuestion {
        name: name("www.others.test."),
        qtype: types::A,
        bits: EntryBits::default(),
        client: [192, 0, 2, 9].into(),
        is_stream: false,
    };
    let now = FETCHED + 1000;
    let mut give = |answer: &KeptAnswer| {
        handover.give(served, &question, answer, now, || over_sockets(&config, served, now, &message)).unwrap()
    };
    let fresh = KeptAnswer { fetched_seconds: now, ..chained() };
    let ttls = |answer: &[u8]| records(answer).iter().map(|(_, ttl)| *ttl).collect::<Vec<_>>();
    assert_eq!(ttls(&give(&fresh)), [300, 60, 50]);
    assert_eq!(ttls(&give(&KeptAnswer { ttl_seconds: 0, ..fresh.clone() })), [300, 60, 50], "not to be kept");
    assert_eq!(ttls(&give(&KeptAnswer { fetched_seconds: now - 20, ..fresh.clone() })), [300, 40, 30]);
    assert_eq!(ttls(&give(&KeptAnswer { stale_seconds: 5000, ..chained() })), [300, 30, 30], "stale");
    assert_eq!(ttls(&give(&chained())), [300, 0, 0], "older than it may be, and all that there is");
    let large: Vec<u8> = (0..4000).flat_map(|_| [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 1]).collect();
    let places = |first: u16| (0..4000).map(|number| first + 16 * number).collect::<Vec<u16>>();
    let large =
        KeptAnswer { counts: [4000, 0], body: large, ttl_places: places(6), pointer_places: places(0), ..fresh };
    assert_eq!(give(&large)[2] & 2, 2, "as large as answers can be: cut");
    let broken = KeptAnswer { ttl_places: vec![u16::MAX], ..chained() };
    assert_eq!(give(&broken)[3] & 15, 2);
    assert!(over_sockets(&config, served, now, &message).is_none(), "nothing is left on the shelf");
}

/// Messages of all sorts for names that no zone has, and for some that one has.
fn odd_messages() -> Vec<Vec<u8>> {
    let long = format!("{}.{}.test.", "a".repeat(30), "b".repeat(20));
    let names = [
        "new.others.test.",
        "NEW.Others.Test.",
        "www.others.test.",
        "test.",
        "others.",
        ".",
        "none.example.",
        "a.none.example.",
        "ns.example.",
        "example.",
        "out.example.",
        "in.left.test.",
        "new.left.test.",
        "left.test.",
        "deep.er.out.example.",
        &long,
    ];
    let qtypes = [types::A, types::AAAA, types::DS, types::SOA, 0, types::OPT, 128, types::AXFR, 255, 256];
    let mut messages = Vec::new();
    for qname in names {
        for qtype in qtypes {
            messages.extend([query(qname, qtype), query_edns(qname, qtype, 1232, true)]);
        }
        let plain = query(qname, types::A);
        // Without RD, with CD, of class CH, a response, another opcode, and a label that is none.
        for (place, value) in [(2, 0), (3, 0x10), (plain.len() - 1, 3), (2, 0x81), (2, 0x29), (12, 0xc0), (12, 0x45)] {
            let mut changed = plain.clone();
            changed[place] = value;
            messages.push(changed);
        }
    }
    messages
}

#[test]
fn queries_that_are_not_taken_apart_go_the_same_way() {
    for apexes in [&["example."][..], &["example.", "others.test."], &["example.", "."], &["in-addr.arpa.", "a.test."]]
    {
        let mut scene = Scene::new(|_| {});
        scene.put("www.others.test.", EntryBits::default(), 1..3, 0);
        let records = "@ SOA ns.example. h.example. 1 2 3 4 5\n@ NS ns.example.\nwww A 192.0.2.8\n";
        let zones: Vec<(&str, &str)> = apexes.iter().map(|&apex| (apex, records)).collect();
        // Where each client has its limits nothing goes the plain way.
        let rate_limit = RateLimit { packets_per_second: 100_000_000, ..RateLimit::default() };
        let hosts = [None, Some(rate_limit)].map(|rate_limit| {
            let served = scene.host.snapshot.clone();
            let served = if apexes == ["example."] { served } else { snapshot(&zones) };
            let recall = scene.config.recall.clone();
            let mut host = Host::with(served, |config| (config.recall, config.rate_limit) = (recall, rate_limit));
            host.server.set_now(FETCHED);
            host
        });
        let [mut whole, mut apart] = hosts;
        let (path, mut foreign) = (UdpFrame::ipv4(), 0);
        let frames: Vec<_> = odd_messages().iter().map(|message| path.build(message)).collect();
        let mut alone = Vec::new();
        for frame in &frames {
            let (got, expected) = (whole.frame(frame), apart.frame(frame));
            assert_eq!(got, expected, "{apexes:?} {frame:02x?}");
            if got.0 == Verdict::Forward {
                let questions =
                    [&mut whole, &mut apart].map(|host| host.server.foreign_question(&TestFrame::new(frame)));
                assert!(questions[0].is_some() && questions[0] == questions[1], "{apexes:?} {questions:?}");
                foreign += 1;
            }
            alone.push(got);
        }
        assert_eq!((whole.counters.forwarded.get(), apart.counters.forwarded.get()), (foreign, foreign));
        assert_eq!(foreign > 0, !apexes.contains(&"."), "the root has every name");
        for (frames, alone) in frames.chunks(BURST_FRAMES_MAX).zip(alone.chunks(BURST_FRAMES_MAX)) {
            let mut burst: Vec<_> = frames.iter().map(|frame| TestFrame::new(frame)).collect();
            let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
            whole.server.serve_burst(&mut burst, &mut verdicts, &whole.snapshot, &whole.counters);
            for ((frame, verdict), alone) in burst.iter().zip(verdicts).zip(alone) {
                assert_eq!((verdict, frame.frame()), (alone.0, &alone.1[..]), "{apexes:?}");
            }
        }
    }
}
