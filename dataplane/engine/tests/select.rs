//! Selection: which records of an RRset a client is given.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    clippy::cast_possible_truncation,
    reason = "tests state what they expect by failing"
)]

mod common;

use std::net::IpAddr;

use common::select::{Numbers, address, addresses, answer, answers, given, given_one, host, put, weighted, zone};
use common::{Host, name, text};
use ringdns_engine::rtype::types;
use ringdns_engine::select::{Marks, Member, Mode, SELECTION_MEMBERS_MAX, Selection};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};

const UP: Member = Member { weight: 1, up: true };
const DOWN: Member = Member { weight: 1, up: false };

/// How often each of `members` is given to `queries` clients.
fn counts(host: &mut Host, members: usize, queries: usize) -> Vec<usize> {
    let mut numbers = Numbers(7);
    let mut counts = vec![0; members];
    for query in 0..queries {
        let client = numbers.client(query % 2 == 0);
        counts[given_one(host, client)] += 1;
    }
    counts
}

/// Fails where counts are off their shares by more than chance explains: chi-square, bounded at some eight deviations.
fn assert_shares(counts: &[usize], weights: &[u16]) {
    let (queries, total) = (counts.iter().sum::<usize>() as f64, weights.iter().map(|&w| f64::from(w)).sum::<f64>());
    let mut sum = 0.0;
    let mut freedoms = -1.0f64;
    for (&count, &weight) in counts.iter().zip(weights) {
        let expected = queries * f64::from(weight) / total;
        if weight == 0 {
            assert_eq!(count, 0, "weight 0 among others");
            continue;
        }
        sum += (count as f64 - expected).powi(2) / expected;
        freedoms += 1.0;
    }
    assert!(sum < freedoms + 8.0 * (2.0 * freedoms).sqrt() + 8.0, "{counts:?} for {weights:?}: chi-square {sum}");
}

/// The members that may be given: what the rules of weights and of members that are down say, plainly.
fn eligible(members: &[Member]) -> Vec<usize> {
    let all: Vec<usize> = (0..members.len()).collect();
    let up: Vec<usize> = all.iter().copied().filter(|&index| members[index].up).collect();
    let alive = if up.is_empty() { all } else { up };
    let heavy: Vec<usize> = alive.iter().copied().filter(|&index| members[index].weight > 0).collect();
    if heavy.is_empty() { alive } else { heavy }
}

#[test]
fn every_answer_is_what_the_rules_allow() {
    let mut numbers = Numbers(1);
    for round in 0..300 {
        let mut draw =
            || Member { weight: [0, 1, 1, 5, u16::MAX][numbers.below(5) as usize], up: numbers.below(3) > 0 };
        let mut members = vec![draw()];
        members.extend((0..round % 12).map(|_| draw()));
        let eligible = eligible(&members);
        let answers_max = numbers.below(5) as u16;
        for mode in Mode::ALL {
            let mut host = host(&addresses(mode, answers_max, &members));
            let mut of_mode = if matches!(mode, Mode::All | Mode::Rotate) { eligible.len() } else { 1 };
            if answers_max > 0 {
                of_mode = of_mode.min(usize::from(answers_max));
            }
            for _ in 0..6 {
                let client = numbers.client(round % 2 == 0);
                let given = given(&mut host, client);
                assert_eq!(given.len(), of_mode, "{mode:?} {members:?} at most {answers_max}");
                // A piece of the eligible ones taken round: in their order, each once.
                let start = eligible.iter().position(|&index| index == given[0]);
                let start = start.unwrap_or_else(|| panic!("{mode:?} gave {given:?} of {eligible:?}"));
                let expected = eligible.iter().cycle().skip(start).take(of_mode).copied();
                assert_eq!(given, expected.collect::<Vec<_>>(), "{mode:?} {members:?}");
            }
        }
    }
}

#[test]
fn all_is_the_stored_order_without_those_that_are_down() {
    let client = "198.51.100.1".parse().unwrap();
    for (members, answers_max, expected) in [
        (vec![UP; 4], 0, vec![0, 1, 2, 3]),
        (vec![UP; 4], 3, vec![0, 1, 2]),
        (vec![UP, DOWN, UP, DOWN], 0, vec![0, 2]),
        (vec![DOWN; 3], 0, vec![0, 1, 2]),
        (vec![DOWN; 3], 2, vec![0, 1]),
        (weighted(&[0, 3, 0]), 0, vec![1]),
        (weighted(&[0, 0, 0]), 0, vec![0, 1, 2]),
        (vec![Member { weight: 0, up: true }, DOWN], 0, vec![0]),
        (vec![Member { weight: 0, up: false }, DOWN], 0, vec![1]),
    ] {
        let mut host = host(&addresses(Mode::All, answers_max, &members));
        assert_eq!(given(&mut host, client), expected, "{members:?}");
    }
}

#[test]
fn rotation_gives_each_member_the_first_place_in_turn() {
    let mut host = host(&addresses(Mode::Rotate, 3, &[UP; 5]));
    let mut numbers = Numbers(2);
    let firsts: Vec<usize> = (0..500).map(|_| given(&mut host, numbers.client(false))[0]).collect();
    for pair in firsts.windows(2) {
        assert_eq!(pair[1], (pair[0] + 1) % 5);
    }
}

#[test]
fn round_robin_counts_are_exact_for_each_rrset_whatever_is_asked_between() {
    let ipv6 = RrsetSpec {
        rtype: types::AAAA,
        rdatas: (0..4u8).map(|last| [[0xfd; 15].as_slice(), &[last]].concat()).collect(),
        ..addresses(Mode::RoundRobin, 0, &[UP; 4])
    };
    let snapshot = zone("", |editor| {
        put(editor, "www.example.", &addresses(Mode::RoundRobin, 0, &[UP, DOWN, UP, UP, UP]));
        put(editor, "www.example.", &ipv6);
    });
    let mut host = Host::new(snapshot);
    let mut counts = [0; 5];
    let mut counts_ipv6 = [0; 4];
    let client = "198.51.100.1".parse().unwrap();
    for _ in 0..400 {
        // A client that always asks for both.
        counts[given_one(&mut host, client)] += 1;
        let given = answers(&mut host, client, "www.example.", types::AAAA);
        counts_ipv6[usize::from(given[0].parse::<std::net::Ipv6Addr>().unwrap().octets()[15])] += 1;
    }
    assert_eq!((counts, counts_ipv6), ([100, 0, 100, 100, 100], [100; 4]));
}

#[test]
fn workers_begin_their_turns_apart() {
    let first = |_| given_one(&mut host(&addresses(Mode::RoundRobin, 0, &[UP; 8])), "198.51.100.1".parse().unwrap());
    let firsts: Vec<usize> = (0..64).map(first).collect();
    assert!(firsts.iter().any(|&member| member != firsts[0]), "what is asked for once would always be {}", firsts[0]);
}

#[test]
fn chance_is_even_or_follows_the_weights() {
    let weights = [1, 2, 0, 5, 10, 82];
    assert_shares(&counts(&mut host(&addresses(Mode::Weighted, 0, &weighted(&weights))), 6, 15_000), &weights);
    let weights = [u16::MAX, u16::MAX, 20_000];
    assert_shares(&counts(&mut host(&addresses(Mode::Weighted, 0, &weighted(&weights))), 3, 20_000), &weights);
    // Weights do not count here, but for 0.
    let members = weighted(&[9, 1, 1, 0, 1]);
    assert_shares(&counts(&mut host(&addresses(Mode::Random, 0, &members)), 5, 20_000), &[1, 1, 1, 0, 1]);
}

#[test]
fn source_hash_is_the_address_modulo_the_members() {
    let mut three = host(&addresses(Mode::SourceHash, 0, &[UP; 3]));
    // The example of kdns: 192.168.0.1 read as little-endian is 16820416.
    assert_eq!(given_one(&mut three, "192.168.0.1".parse().unwrap()), 1);
    let mut some_down = host(&addresses(Mode::SourceHash, 0, &[DOWN, UP, UP, DOWN, UP]));
    let mut numbers = Numbers(3);
    for query in 0..500 {
        let client = numbers.client(query % 2 == 0);
        let modulo = match client {
            IpAddr::V4(address) => u128::from(u32::from_le_bytes(address.octets())) % 3,
            IpAddr::V6(address) => u128::from_le_bytes(address.octets()) % 3,
        };
        let modulo = usize::try_from(modulo).unwrap();
        assert_eq!(given_one(&mut three, client), modulo, "{client}");
        assert_eq!(given_one(&mut some_down, client), [1, 2, 4][modulo], "{client}");
    }
}

#[test]
fn sticky_clients_keep_their_member_on_every_server_and_in_every_process() {
    let members = weighted(&[1, 1, 4, 1, 2]);
    // Hashes of names grow from another seed in each; the second has the same members elsewhere, among other names.
    let mut hosts = [
        host(&addresses(Mode::Sticky, 0, &members)),
        host(&addresses(Mode::Sticky, 0, &members)),
        Host::new(zone("a A 192.0.2.1", |editor| {
            put(editor, "*.other.example.", &addresses(Mode::Sticky, 0, &members));
            put(editor, "www.example.", &addresses(Mode::Sticky, 1, &members));
        })),
    ];
    let mut numbers = Numbers(4);
    let mut moved = 0;
    let mut last = None;
    for query in 0..2000 {
        let client = numbers.client(query % 2 == 0);
        let given: Vec<usize> = hosts.iter_mut().flat_map(|host| [given_one(host, client); 2]).collect();
        assert!(given.windows(2).all(|pair| pair[0] == pair[1]), "{client}: {given:?}");
        let elsewhere = answers(&mut hosts[2], client, "x.other.example.", 1);
        assert_eq!(elsewhere, [address(given[0]).to_string()], "the same members under another name");
        moved += usize::from(last.replace(given[0]) != Some(given[0]));
    }
    assert!(moved > 1000, "neighbours in time are no neighbours in place");
}

#[test]
fn sticky_does_not_change_with_the_version() {
    // Who upgrades one of two replicas must not move its clients.
    let mut host = host(&addresses(Mode::Sticky, 0, &weighted(&[1, 2, 3, 4, 5, 6, 7])));
    let clients = ["198.51.100.1", "198.51.100.2", "203.0.113.9", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"];
    let given = clients.map(|client| given_one(&mut host, client.parse().unwrap()));
    assert_eq!(given, PINNED, "computed apart, see the comment of the constant");
}

/// By floating-point arithmetic in another language: the largest `log(u) / weight`, with `u` from the hashes of
/// `select::rendezvous`.
const PINNED: [usize; 6] = [2, 0, 3, 4, 5, 6];

#[test]
fn sticky_shares_follow_the_weights() {
    for weights in [&[1, 1, 1, 1, 1][..], &[1, 2, 3, 0, 10], &[100, 1], &[u16::MAX, 1000, 20_000]] {
        let mut host = host(&addresses(Mode::Sticky, 0, &weighted(weights)));
        assert_shares(&counts(&mut host, weights.len(), 15_000), weights);
    }
}

#[test]
fn sticky_clients_in_a_row_are_spread() {
    // Clients of one network, and those that differ in their first octet only.
    for step in [1, 1 << 24] {
        let mut host = host(&addresses(Mode::Sticky, 0, &[UP; 3]));
        let mut counts = [0; 3];
        for number in 0..120u32 {
            let client = std::net::Ipv4Addr::from_bits(0x0101_0107 + (number % 120) * step);
            if client.octets()[0] != 127 {
                counts[given_one(&mut host, client.into())] += 1;
            }
        }
        assert!(counts.iter().all(|&count| count > 20), "{counts:?}");
    }
}

#[test]
fn the_fall_of_a_sticky_member_moves_its_own_clients_only_and_they_come_back() {
    let mut numbers = Numbers(5);
    for round in 0..8 {
        let count = 2 + round;
        let weights: Vec<u16> = (0..count).map(|_| 1 + numbers.below(9) as u16).collect();
        let clients: Vec<IpAddr> = (0..300).map(|query| numbers.client(query % 2 == 0)).collect();
        let apex = name("example.");
        let base = zone("", |editor| put(editor, "www.example.", &addresses(Mode::Sticky, 0, &weighted(&weights))));
        let homes: Vec<usize> = homes(base.clone(), &clients);
        for fallen in 0..count {
            let mut members = weighted(&weights);
            members[fallen].up = false;
            let mut editor = Editor::new(&base);
            editor.put_rrset(&apex, &name("www.example."), &addresses(Mode::Sticky, 0, &members)).unwrap();
            let without = editor.commit();
            for (now, &home) in self::homes(without.clone(), &clients).into_iter().zip(&homes) {
                assert_ne!(now, fallen);
                assert!(now == home || home == fallen, "a client of {home} moved to {now} when {fallen} fell");
            }
            // Its weight taken away does the same.
            members[fallen] = Member { weight: 0, up: true };
            let mut editor = Editor::new(&base);
            editor.put_rrset(&apex, &name("www.example."), &addresses(Mode::Sticky, 0, &members)).unwrap();
            assert_eq!(self::homes(editor.commit(), &clients), self::homes(without.clone(), &clients));
            let mut editor = Editor::new(&without);
            editor.put_rrset(&apex, &name("www.example."), &addresses(Mode::Sticky, 0, &weighted(&weights))).unwrap();
            assert_eq!(self::homes(editor.commit(), &clients), homes, "{fallen} is back");
        }
    }
}

/// The member of each client.
fn homes(snapshot: Snapshot, clients: &[IpAddr]) -> Vec<usize> {
    let mut host = Host::new(snapshot);
    clients.iter().map(|&client| given_one(&mut host, client)).collect()
}

#[test]
fn chains_wildcards_and_additional_addresses_end_in_selections() {
    let one = addresses(Mode::Sticky, 0, &[UP; 6]);
    let snapshot = zone("alias CNAME www\n@ MX 5 www\nsrv SRV 1 2 3 www\nany.srv SRV 1 2 3 x.wild", |editor| {
        put(editor, "www.example.", &one);
        put(editor, "*.wild.example.", &one);
    });
    let mut host = Host::new(snapshot);
    let mut numbers = Numbers(6);
    for query in 0..50 {
        let client = numbers.client(query % 2 == 0);
        let member = given_one(&mut host, client);
        let line = format!("www.example. 60 IN A {}", address(member));
        let chain = answer(&mut host, client, "alias.example.", types::A);
        assert_eq!(text(&chain.answers), ["alias.example. 300 IN CNAME www.example.".to_owned(), line.clone()]);
        let wildcard = answers(&mut host, client, "a.b.wild.example.", types::A);
        assert_eq!(wildcard, [address(member).to_string()]);
        for (qname, qtype) in [("example.", types::MX), ("srv.example.", types::SRV)] {
            assert_eq!(text(&answer(&mut host, client, qname, qtype).additionals), [line.as_str()], "{qname}");
        }
        let through = answer(&mut host, client, "any.srv.example.", types::SRV);
        assert_eq!(text(&through.additionals), [format!("x.wild.example. 60 IN A {}", address(member))]);
    }
}

#[test]
fn only_the_targets_that_were_chosen_get_addresses() {
    let target = |number: u8| [&[0, 1, 0, 1, 0, 80, 2, b't', b'0' + number][..], b"\x07example\0"].concat();
    let selection = Selection { mode: Mode::RoundRobin, answers_max: 0, members: Vec::new() };
    let service = RrsetSpec {
        rtype: types::SRV,
        ttl: 60,
        rdatas: (0..3).map(target).collect(),
        selection: Some(Box::new(selection)),
        ..RrsetSpec::default()
    };
    let hosts = "t0 A 192.0.2.10\nt1 A 192.0.2.11\nt2 A 192.0.2.12";
    let mut host = Host::new(zone(hosts, |editor| put(editor, "service.example.", &service)));
    for _ in 0..9 {
        let message = answer(&mut host, "198.51.100.1".parse().unwrap(), "service.example.", types::SRV);
        let [answer] = message.answers.as_slice() else { panic!("{message}") };
        let target = answer.data.to_string().rsplit(' ').next().unwrap().to_owned();
        let [glue] = message.additionals.as_slice() else { panic!("{message}") };
        assert_eq!(glue.name.to_string(), target);
    }
}

#[test]
fn what_was_put_is_given_back_and_plain_again_when_put_plain() {
    let spec = addresses(Mode::Weighted, 2, &[UP, DOWN, Member { weight: 700, up: true }]);
    let twice = RrsetSpec {
        rdatas: [&spec.rdatas[..1], &spec.rdatas[..]].concat(),
        selection: Some(Box::new(Selection {
            members: vec![UP, DOWN, DOWN, Member { weight: 700, up: true }],
            ..*spec.selection.clone().unwrap()
        })),
        ..spec.clone()
    };
    let (apex, owner) = (name("example."), name("www.example."));
    let mut editor = Editor::new(&zone("", |editor| put(editor, "www.example.", &twice)));
    assert_eq!(editor.rrset(&apex, &owner, 1), Some(spec.clone()), "equal records once, with the first one's member");
    // Another RRset of the node is touched: this one is encoded again.
    let text = RrsetSpec { rtype: 16, ttl: 1, rdatas: vec![b"\x01x".to_vec()], ..RrsetSpec::default() };
    editor.put_rrset(&apex, &owner, &text).unwrap();
    assert_eq!(editor.rrset(&apex, &owner, 1), Some(spec.clone()), "pending");
    let mut editor = Editor::new(&editor.commit());
    assert_eq!(editor.rrset(&apex, &owner, 1), Some(spec.clone()), "committed");
    let plain = RrsetSpec { selection: None, ..spec };
    editor.put_rrset(&apex, &owner, &plain).unwrap();
    let mut editor = Editor::new(&editor.commit());
    assert_eq!(editor.rrset(&apex, &owner, 1), Some(plain));
}

#[test]
fn selections_that_cannot_be_served_are_refused() {
    let mut editor = Editor::new(&zone("", |_| {}));
    let mut put = |rrset: &RrsetSpec| editor.put_rrset(&name("example."), &name("www.example."), rrset);
    let mut short = addresses(Mode::Rotate, 0, &[UP; 3]);
    short.rdatas.pop();
    assert_eq!(put(&short), Err(EditError::MembersMismatch));
    assert_eq!(put(&addresses(Mode::Sticky, 0, &[UP; SELECTION_MEMBERS_MAX + 1])), Err(EditError::TooLarge));
    assert_eq!(put(&addresses(Mode::Sticky, 0, &[UP; SELECTION_MEMBERS_MAX])), Ok(()));
    let mut host = Host::new(editor.commit());
    let mut numbers = Numbers(8);
    let places: Vec<usize> = (0..50).map(|_| given_one(&mut host, numbers.client(false))).collect();
    assert!(places.iter().any(|&place| place > 512) && places.iter().any(|&place| place < 512), "{places:?}");
}

/// The members that are given of `www.example.` with marks, and whether it is put with a selection.
fn given_marked(down: [bool; 3], or_none: bool, selection: Option<Selection>) -> Vec<usize> {
    let mut spec = addresses(Mode::All, 0, &[UP; 3]);
    spec.selection = selection.map(Box::new);
    let marks = Marks { down: down.to_vec(), or_none };
    let (apex, owner) = (name("example."), name("www.example."));
    let snapshot = zone("", |editor| editor.put_marked(&apex, &owner, &spec, &marks).unwrap());
    assert_eq!(Editor::new(&snapshot).rrset(&apex, &owner, 1), Some(spec), "marks are not given back");
    given(&mut Host::new(snapshot), "198.51.100.1".parse().unwrap())
}

#[test]
fn marked_records_are_left_out_and_all_of_them_answered_or_none() {
    let own = |up: [bool; 3]| {
        let members = up.map(|up| Member { weight: 1, up }).to_vec();
        Some(Selection { members, ..Selection::default() })
    };
    for or_none in [false, true] {
        assert_eq!(given_marked([false; 3], or_none, None), [0, 1, 2]);
        assert_eq!(given_marked([true, false, true], or_none, None), [1]);
        assert_eq!(given_marked([true, false, false], or_none, own([true, true, false])), [1]);
    }
    assert_eq!(given_marked([true; 3], false, None), [0, 1, 2]);
    assert_eq!(given_marked([true; 3], true, None), [0usize; 0]);
    assert_eq!(given_marked([true, false, true], false, own([true, false, true])), [0, 1, 2]);
    assert_eq!(given_marked([true, false, true], true, own([true, false, true])), [0usize; 0]);
    assert_eq!(given_marked([false; 3], true, own([false; 3])), [0usize; 0]);
}

#[test]
fn what_is_withheld_is_as_if_its_type_were_not_there() {
    let addresses = addresses(Mode::All, 0, &[UP]);
    let marks = Marks { down: vec![true], or_none: true };
    let text = "www TXT t\nmail MX 1 www\nsub NS ns.sub\n";
    let mut host = Host::new(zone(text, |editor| {
        for owner in ["www.example.", "ns.sub.example."] {
            let spec = RrsetSpec { selection: None, ..addresses.clone() };
            editor.put_marked(&name("example."), &name(owner), &spec, &marks).unwrap();
        }
    }));
    let client = "198.51.100.1".parse().unwrap();
    assert_eq!(answers(&mut host, client, "www.example.", types::ANY), ["t"], "another type is one of any");
    assert!(answer(&mut host, client, "mail.example.", types::MX).additionals.is_empty());
    let referral = answer(&mut host, client, "a.sub.example.", types::A);
    let glue: Vec<String> = referral.additionals.iter().map(|record| record.data.to_string()).collect();
    assert_eq!(glue, ["10.0.0.0"], "a zone is not lost with its server");
    let mismatch = Marks { down: vec![true; 2], or_none: false };
    let mut editor = Editor::new(&zone("", |_| {}));
    let put = editor.put_marked(&name("example."), &name("www.example."), &addresses, &mismatch);
    assert_eq!(put, Err(EditError::MembersMismatch));
}
