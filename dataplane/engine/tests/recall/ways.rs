//! The ways of queries that nothing is known of: the same questions are asked on all of them.

use super::*;

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
