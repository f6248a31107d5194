//! Zones of ours beside names of others: aliases that lead there, zones that leave names to others, and zones that are loading.

use super::*;

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
