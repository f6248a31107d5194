//! Whole zones: every record of the snapshot once, between two SOA records.

use std::collections::BTreeSet;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::rcode;
use ringdns_engine::serve::TransferStart;
use ringdns_engine::transfer::{Filled, Shape, Transfer, zone_asked};

use super::*;
use crate::common::name;
use crate::common::select::addresses;

/// Bytes of a buffer that are not of the message: whatever was there before.
const STALE: u8 = 0xee;

/// The beginning of a transfer over TCP.
fn begin(snapshot: &Arc<Snapshot>, message: &[u8], shape: Option<Shape>) -> Result<Transfer, Vec<u8>> {
    let mut server = MessageServer::new(&messages(&generous()), Transport::Tcp);
    server.set_time(0, 0);
    let mut buffer = message.to_vec();
    buffer.resize(STREAM_MESSAGE_BYTES_MAX, STALE);
    let shape = shape.map(|shape| move |_: ringdns_engine::snapshot::RrsetView<'_>| shape);
    let client = "192.0.2.1:40000".parse().unwrap();
    let counters = Counters::default();
    match server.begin_transfer(client, &mut buffer, message.len(), snapshot, shape, &counters).unwrap() {
        TransferStart::Begun(transfer) => Ok(*transfer),
        TransferStart::Answer(bytes, rcode) => {
            assert_eq!(counters.rcodes().find(|(_, number)| *number == 1).map(|(code, _)| code), Some(rcode));
            Err(buffer[..bytes].to_vec())
        }
        TransferStart::Other => Err(Vec::new()),
    }
}

/// All messages of a transfer, each as it is sent, and the most bytes that it held.
fn run(mut transfer: Transfer) -> (Vec<Vec<u8>>, usize) {
    let (mut messages, mut held) = (Vec::new(), 0);
    loop {
        let mut buffer = vec![STALE; STREAM_MESSAGE_BYTES_MAX];
        let filled = transfer.fill(&mut buffer);
        held = held.max(transfer.held_bytes());
        match filled {
            Filled::More(bytes) => messages.push(buffer[..bytes].to_vec()),
            Filled::Last(bytes) => {
                messages.push(buffer[..bytes].to_vec());
                return (messages, held);
            }
            Filled::Nothing => {}
            Filled::Impossible => panic!("a record that no message can hold"),
        }
    }
}

/// The records of a zone as text, the SOA records at both ends taken off.
fn records(snapshot: &Arc<Snapshot>, zone: &str, shape: Shape) -> Vec<String> {
    let message = query_options(zone, types::AXFR, 1232, &[(3, b"")]);
    let (messages, _) = run(begin(snapshot, &message, Some(shape)).unwrap());
    let mut lines = Vec::new();
    for (index, bytes) in messages.iter().enumerate() {
        let message = Message::from_vec(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        assert_eq!((message.metadata.id, message.metadata.authoritative), (0x1234, true));
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        assert_eq!(message.queries[0].query_type(), RecordType::AXFR, "the question is echoed");
        assert_eq!(message.edns.is_some(), index == 0, "EDNS in the first message");
        assert_eq!(bytes.windows(3).any(|bytes| bytes == b"ns1") && index == 0, index == 0, "NSID there");
        assert!(!message.answers.is_empty() && message.authorities.is_empty());
        lines.extend(message.answers.iter().map(ToString::to_string));
    }
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { panic!("no records") };
    assert_eq!(first, last);
    assert!(first.contains(" SOA "), "{first}");
    lines[1..lines.len() - 1].to_vec()
}

/// The records of a snapshot's zone as text, its SOA record left out, by the listing that the API has.
fn listed(snapshot: &Snapshot, zone: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for node in snapshot.nodes(&name(zone)) {
        for rrset in node.rrsets().filter(|rrset| rrset.rtype() != types::SOA) {
            for rdata in rrset.rdatas() {
                let mut bytes = b"\0\0\0\0\0\0\0\x01\0\0\0\0".to_vec();
                bytes.extend_from_slice(node.owner().as_bytes());
                let ([t1, t2], [l1, l2]) =
                    (rrset.rtype().to_be_bytes(), u16::try_from(rdata.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(&[t1, t2, 0, 1]);
                bytes.extend_from_slice(&rrset.ttl().to_be_bytes());
                bytes.extend_from_slice(&[l1, l2]);
                bytes.extend_from_slice(rdata);
                lines.insert(Message::from_vec(&bytes).unwrap().answers[0].to_string());
            }
        }
    }
    lines
}

/// An IXFR question of a client that has a serial.
fn ixfr(zone: &str, serial: u32) -> Vec<u8> {
    let mut message = query(zone, types::IXFR);
    message[9] = 1;
    message.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    message.extend_from_slice(&serial.to_be_bytes());
    message.extend_from_slice(&[0; 16]);
    message
}

/// A zone within a zone, names below its cut in both.
fn nested() -> Arc<Snapshot> {
    let zone =
        "@ SOA ns hostmaster 10 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nsub NS ns.sub\nns.sub A 192.0.2.2\nxsub A 192.0.2.3";
    Arc::new(snapshot(&[("example.", zone), ("sub.example.", ZONE), ("xample.", ZONE)]))
}

#[test]
fn every_record_is_sent_once_and_those_of_other_zones_are_not() {
    let snapshot = nested();
    let mut all = SERVED.clone();
    let editor = &mut Editor::new(&all);
    editor.set_complete(true);
    all = std::mem::replace(editor, Editor::new(&all)).commit();
    for (snapshot, zone) in
        [(&snapshot, "example."), (&snapshot, "sub.example."), (&snapshot, "xample."), (&Arc::new(all), "EXAMPLE.")]
    {
        let sent = records(snapshot, zone, Shape::Zone);
        let once: BTreeSet<String> = sent.iter().map(|line| line.to_lowercase()).collect();
        assert_eq!(once.len(), sent.len(), "{zone}");
        let listed = listed(snapshot, &zone.to_lowercase()).iter().map(|line| line.to_lowercase()).collect();
        assert_eq!(once, listed, "{zone}");
    }
    let sent = records(&snapshot, "example.", Shape::Zone);
    let owners: Vec<&str> = sent.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(owners, ["example.", "ns.example.", "sub.example.", "ns.sub.example.", "xsub.example."], "in order");
}

#[test]
fn a_large_zone_streams_in_bounded_memory() {
    let mut editor = Editor::new(&snapshot(&[("example.", ZONE), ("other.", ZONE)]));
    let zone = name("example.");
    let mut put = |owner: String, rtype: u16, rdatas: Vec<Vec<u8>>| {
        let spec = RrsetSpec { rtype, ttl: 60, rdatas, ..RrsetSpec::default() };
        editor.put_rrset(&zone, &name(&owner), &spec).unwrap();
    };
    // A million records, and more names than are sorted.
    for number in 0..250u32 {
        let rdatas = (0..4000u32).map(|last| (number << 16 | last).to_be_bytes().to_vec()).collect();
        put(format!("r{number}.example."), types::A, rdatas);
    }
    for number in 0..5000u32 {
        put(format!("n{number}.example."), types::A, vec![number.to_be_bytes().to_vec()]);
    }
    // The longest records that can be, each in a message of its own.
    let long = |fill: u8| [&[255; 1][..], &[fill; 255]].concat().repeat(253);
    put("long1.example.".into(), types::TXT, vec![long(b'a')]);
    put("long2.example.".into(), types::TXT, vec![long(b'b')]);
    let snapshot = Arc::new(editor.commit());
    let (messages, held) = run(begin(&snapshot, &query("example.", types::AXFR), Some(Shape::Zone)).unwrap());
    let sent: u64 = messages.iter().map(|bytes| u64::from(u16::from_be_bytes([bytes[6], bytes[7]]))).sum();
    // The other records of the zone, its SOA record once more.
    assert_eq!(sent, 1_005_002 + listed(&self::snapshot(&[("example.", ZONE)]), "example.").len() as u64 + 2);
    assert!(held < 1 << 20, "{held} bytes");
    let small = messages.iter().rev().skip(1).filter(|bytes| bytes.len() < 16 << 10).count();
    assert!(small <= 4, "only those before a record that did not fit: {small} of {}", messages.len());
}

#[test]
fn the_snapshot_of_its_beginning_is_sent() {
    let zone = format!("{ZONE}{}", (0..3000).map(|number| format!("\nn{number} A 192.0.2.1")).collect::<String>());
    let before = Arc::new(snapshot(&[("example.", &zone)]));
    let mut transfer = begin(&before, &query("example.", types::AXFR), Some(Shape::Zone)).unwrap();
    let mut buffer = vec![0; STREAM_MESSAGE_BYTES_MAX];
    while !matches!(transfer.fill(&mut buffer), Filled::More(_)) {}
    let first = u64::from(u16::from_be_bytes([buffer[6], buffer[7]]));
    let mut editor = Editor::new(&before);
    assert!(editor.remove_zone(&name("example.")) > 3000);
    let after = Arc::new(editor.commit());
    drop(before);
    let (messages, _) = run(transfer);
    let rest: u64 = messages.iter().map(|bytes| u64::from(u16::from_be_bytes([bytes[6], bytes[7]]))).sum();
    let records = listed(&self::snapshot(&[("example.", &zone)]), "example.").len() as u64;
    assert_eq!(first + rest, records + 2);
    let error = begin(&after, &query("example.", types::AXFR), Some(Shape::Zone)).err().unwrap();
    assert_eq!(u16::from(error[3] & 0xf), rcode::NOTAUTH);
}

#[test]
fn a_client_that_has_the_serial_gets_the_soa_record_alone() {
    let snapshot = nested();
    // RFC 1982: newer ones are those up to half of all numbers ahead.
    for (serial, is_current) in
        [(10, true), (11, true), (9, false), (0, false), (0x8000_0009, true), (0x8000_000b, false)]
    {
        match begin(&snapshot, &ixfr("example.", serial), Some(Shape::Zone)) {
            Ok(transfer) => {
                assert!(!is_current, "{serial}");
                let (messages, _) = run(transfer);
                let message = Message::from_vec(&messages[0]).unwrap();
                assert_eq!(message.queries[0].query_type(), RecordType::IXFR);
                assert_eq!(message.answers.len(), 7);
            }
            Err(answer) => {
                assert!(is_current, "{serial}");
                let message = Message::from_vec(&answer).unwrap();
                assert!(message.metadata.authoritative && message.answers.len() == 1);
                assert_eq!(message.answers[0].record_type(), RecordType::SOA);
            }
        }
    }
    // Also where no transfer can begin: it costs no more than any answer.
    assert_eq!(begin(&snapshot, &ixfr("example.", 10), None).err().map(|answer| answer[3] & 0xf), Some(0));
}

#[test]
fn what_cannot_be_sent_is_answered_by_one_message() {
    let snapshot = nested();
    let mut editor = Editor::new(&snapshot);
    editor.set_complete(false);
    let loading = Arc::new(editor.commit());
    let mut editor = Editor::new(&snapshot);
    editor.remove_rrset(&name("example."), &name("example."), types::SOA);
    let headless = Arc::new(editor.commit());
    let axfr = query("example.", types::AXFR);
    for (snapshot, message, shape, expected) in [
        (&snapshot, &query("ns.example.", types::AXFR), Some(Shape::Zone), rcode::NOTAUTH),
        (&snapshot, &query("org.", types::AXFR), Some(Shape::Zone), rcode::NOTAUTH),
        (&snapshot, &query(".", types::AXFR), Some(Shape::Zone), rcode::NOTAUTH),
        (&snapshot, &axfr, None, rcode::SERVFAIL),
        (&loading, &axfr, Some(Shape::Zone), rcode::SERVFAIL),
        (&loading, &query("org.", types::AXFR), Some(Shape::Zone), rcode::SERVFAIL),
        (&headless, &axfr, Some(Shape::Zone), rcode::SERVFAIL),
        (&snapshot, &query("example.", types::IXFR), Some(Shape::Zone), rcode::FORMERR),
        (
            &snapshot,
            &query_options("example.", types::AXFR, 1232, &[(10, b"short")]),
            Some(Shape::Zone),
            rcode::FORMERR,
        ),
    ] {
        let answer = begin(snapshot, message, shape).err().unwrap();
        assert_eq!((u16::from(answer[3] & 0xf), answer[7]), (expected, 0), "{message:02x?}");
        assert_eq!(answer[12..message.len().min(20)], message[12..message.len().min(20)], "the question is echoed");
    }
    // Another class, another version of EDNS: as any question.
    let mut chaos = axfr.clone();
    *chaos.last_mut().unwrap() = 3;
    let mut version = query_edns("example.", types::AXFR, 1232, false);
    let at = version.len() - 5;
    version[at] = 1;
    for message in [chaos, version, query("example.", types::A)] {
        assert_eq!(begin(&snapshot, &message, Some(Shape::Zone)).err(), Some(Vec::new()), "{message:02x?}");
    }
}

#[test]
fn over_udp_they_are_refused_in_every_form() {
    let mut udp = Sockets::new((*nested()).clone(), &generous(), Transport::Udp);
    for message in [query("example.", types::AXFR), query("example.", types::IXFR), ixfr("example.", 1)] {
        let answer = udp.ask(&message);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::Refused, 0));
        assert_eq!(answer.queries.len(), 1);
    }
}

#[test]
fn a_client_gets_what_its_view_sees_and_addresses_that_are_up() {
    let mut editor = Editor::new(&snapshot(&[(
        "example.",
        "@ SOA ns h 1 2 3 4 5\n@ NS ns\na A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3",
    )]));
    let zone = name("example.");
    let rrset = |rtype, rdata: &[u8], view| RrsetSpec {
        rtype,
        ttl: 300,
        rdatas: vec![rdata.to_vec()],
        view,
        ..RrsetSpec::default()
    };
    editor.set_views(ViewTable::new([("192.0.2.0/24".parse().unwrap(), 1)]));
    editor.put_rrset(&zone, &name("a.example."), &rrset(types::A, &[10, 0, 0, 1], 1)).unwrap();
    editor.put_rrset(&zone, &name("b.example."), &rrset(types::A, &[10, 0, 0, 2], 2)).unwrap();
    editor.put_rrset(&zone, &name("c.example."), &rrset(types::CNAME, b"\x01a\x07example\0", 1)).unwrap();
    let choices =
        addresses(Mode::Weighted, 1, &[(1, true), (1, false), (5, true)].map(|(weight, up)| Member { weight, up }));
    editor.put_rrset(&zone, &name("d.example."), &choices).unwrap();
    let sent = records(&Arc::new(editor.commit()), "example.", Shape::Zone);
    let mut sent: Vec<String> =
        sent[1..].iter().map(|line| line.replace(" 300 IN", "").replace(" 60 IN", "")).collect();
    let chosen = sent.split_off(3);
    assert_eq!(sent, ["a.example. A 10.0.0.1", "b.example. A 192.0.2.2", "c.example. CNAME a.example."]);
    assert_eq!(chosen.len(), 2, "all that are up: {chosen:?}");
}

#[test]
fn of_a_cluster_services_and_endpoints_are_sent_as_coredns_does() {
    let zone = "@ SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ NS ns.dns\nns.dns A 10.0.0.10\ndns-version TXT 1.1.0\n\
        ip.ns1.svc A 10.0.0.1\nip.ns1.svc SRV 0 50 80 ip.ns1.svc\nip.ns1.svc SRV 0 50 443 ip.ns1.svc\n\
        _http._tcp.ip.ns1.svc SRV 0 50 80 ip.ns1.svc\n_http._tcp.ip.ns1.svc A 10.0.0.1\n1-1-1-1.ip.ns1.svc A 1.1.1.1\n\
        1-1-1-1.ip.ns1.svc SRV 0 100 80 1-1-1-1.ip.ns1.svc\n\
        h.ns1.svc A 1.1.1.2\nh.ns1.svc A 1.1.1.3\nh.ns1.svc AAAA ::1\nh.ns1.svc SRV 0 33 80 a.h.ns1.svc\n\
        a.h.ns1.svc A 1.1.1.2\nb.h.ns1.svc A 1.1.1.3\nc.h.ns1.svc AAAA ::1\na.h.ns1.svc SRV 0 100 80 a.h.ns1.svc\n\
        _x._udp.h.ns1.svc SRV 0 33 80 a.h.ns1.svc\n_x._udp.h.ns1.svc SRV 0 33 80 b.h.ns1.svc\n\
        _x._udp.h.ns1.svc SRV 0 33 80 c.h.ns1.svc\nz1.pin._zone.h.ns1.svc A 1.1.1.2\n*.prefer._zone.h.ns1.svc A 1.1.1.2\n\
        1-1-1-1.ns1.pod A 1.1.1.1\next.ns1.svc CNAME www.example.";
    let snapshot = Arc::new(snapshot(&[("c.l.", &zone.replace("www.example.", "www.example"))]));
    let mut sent: Vec<String> = records(&snapshot, "c.l.", Shape::Cluster)
        .iter()
        .map(|line| line.replace(".c.l.", "").replace(" 300 IN", ""))
        .collect();
    sent.sort();
    let expected = [
        "_http._tcp.ip.ns1.svc SRV 0 100 80 ip.ns1.svc",
        "_x._udp.h.ns1.svc SRV 0 100 80 c.h.ns1.svc",
        "_x._udp.h.ns1.svc SRV 0 50 80 a.h.ns1.svc",
        "_x._udp.h.ns1.svc SRV 0 50 80 b.h.ns1.svc",
        "a.h.ns1.svc A 1.1.1.2",
        "b.h.ns1.svc A 1.1.1.3",
        "c.h.ns1.svc AAAA ::1",
        "c.l. NS ns.dns",
        "ext.ns1.svc CNAME www.example",
        "h.ns1.svc A 1.1.1.2",
        "h.ns1.svc A 1.1.1.3",
        "h.ns1.svc AAAA ::1",
        "ip.ns1.svc A 10.0.0.1",
        "ip.ns1.svc SRV 0 100 443 ip.ns1.svc",
        "ip.ns1.svc SRV 0 100 80 ip.ns1.svc",
        "ns.dns A 10.0.0.10",
    ];
    assert_eq!(sent, expected);
    assert_eq!(records(&snapshot, "c.l.", Shape::Zone).len(), 25, "any other zone as it is");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_no_danger(start in 0usize..5, cut in 0usize..80, changes in prop::collection::vec((0usize..80, any::<u8>()), 0..6)) {
        let questions = [
            query("example.", types::AXFR),
            ixfr("example.", 9),
            query_options("sub.example.", types::AXFR, 1232, &[(3, b""), (10, b"abcdefgh"), (11, b"")]),
            query(".", types::AXFR),
            [ixfr("sub.example.", 9), b"\0\0\x29\x04\xd0\0\0\x80\0\0\0".to_vec()].concat(),
        ];
        let mut message = questions[start].clone();
        message.truncate(message.len().saturating_sub(cut / 8));
        for (place, byte) in changes {
            let length = message.len().max(1);
            if let Some(slot) = message.get_mut(place % length) { *slot = byte }
        }
        let snapshot = nested();
        let asked = zone_asked(&message);
        match begin(&snapshot, &message, Some(Shape::Zone)) {
            Ok(transfer) => {
                let zone: WireName = transfer.zone();
                prop_assert_eq!(asked, Some(zone.clone()));
                let sent: usize = run(transfer).0.iter().map(|bytes| Message::from_vec(bytes).unwrap().answers.len()).sum();
                prop_assert_eq!(sent, listed(&snapshot, &zone.to_string()).len() + 2);
            }
            Err(answer) if answer.is_empty() => {}
            Err(answer) => prop_assert!(answer.len() >= HEADER_BYTES && answer[2] & 0x80 != 0 && asked.is_some()),
        }
    }
}
