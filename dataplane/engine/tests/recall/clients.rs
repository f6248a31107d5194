//! Who is told what of names of others.

use super::*;

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
