//! Views: which RRset a client sees, by the longest prefix that its address has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    clippy::cast_possible_truncation,
    reason = "tests state what they expect by failing"
)]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::select::{Numbers, addresses, answer, answers, can_ask, put, zone};
use common::{Host, name, text};
use hickory_proto::op::ResponseCode;
use ringdns_engine::rate::Network;
use ringdns_engine::rtype::types;
use ringdns_engine::select::{Member, Mode, ViewTable};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};

/// An RRset of one address in a view.
fn in_view(view: u16, address: [u8; 4]) -> RrsetSpec {
    RrsetSpec { rtype: types::A, ttl: 60, rdatas: vec![address.to_vec()], view, ..RrsetSpec::default() }
}

/// A zone whose `www.example.` has an address in each of `views` views, which tells the view's number.
fn telling_zone(views: u16, table: ViewTable) -> Snapshot {
    zone("", |editor| {
        for view in (0..views).rev() {
            let [high, low] = view.to_be_bytes();
            put(editor, "www.example.", &in_view(view, [10, 0, high, low]));
        }
        editor.set_views(table);
    })
}

/// The view that a client is in, as `www.example.` of a [`telling_zone`] shows it.
fn view_of(host: &mut Host, client: IpAddr) -> u16 {
    let answers = answers(host, client, "www.example.", types::A);
    let [answer] = answers.as_slice() else { panic!("{client}: {answers:?}") };
    let octets = answer.parse::<Ipv4Addr>().unwrap().octets();
    u16::from_be_bytes([octets[2], octets[3]])
}

/// The view of the longest prefix that a client has: gone through one by one, the first of equal ones counting.
fn naive(prefixes: &[(IpAddr, u8, u16)], client: IpAddr) -> u16 {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mut best: Option<(u8, u16)> = None;
    for &(address, length, view) in prefixes {
        let differing = (bits(address) ^ bits(client)).leading_zeros();
        let holds = address.is_ipv6() == client.is_ipv6() && differing >= u32::from(length);
        if holds && best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, view));
        }
    }
    best.map_or(0, |(_, view)| view)
}

/// The table of prefixes.
fn table(prefixes: &[(IpAddr, u8, u16)]) -> ViewTable {
    ViewTable::new(prefixes.iter().map(|&(address, length, view)| (Network::new(address, length).unwrap(), view)))
}

/// An address with one bit changed, where there is such a bit.
fn flip(address: IpAddr, bit: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits() ^ 1u32.checked_shl(31 - u32::from(bit)).unwrap_or(0)).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() ^ 1u128 << (127 - bit)).into(),
    }
}

/// True for clients that the server answers.
fn answered(client: IpAddr) -> bool {
    match client {
        IpAddr::V4(address) => can_ask(address),
        IpAddr::V6(address) => !address.is_multicast() && address.to_bits() > 1 && client != server(),
    }
}

/// The server's IPv6 address.
fn server() -> IpAddr {
    "2001:db8::53".parse().unwrap()
}

#[test]
fn every_mask_length_counts() {
    for (deepest, bits) in [("100.117.33.231", 32u8), ("2b01:5d5:7531:9aa5:1234:8765:fedc:abc7", 128)] {
        let deepest: IpAddr = deepest.parse().unwrap();
        // One prefix within the other, the view telling the length; and the whole Internet in none.
        let prefixes: Vec<_> = (1..=bits).map(|length| (deepest, length, u16::from(length))).collect();
        let mut host = Host::new(telling_zone(129, table(&prefixes)));
        assert_eq!(view_of(&mut host, deepest), u16::from(bits));
        let mut asked = 0;
        for bit in 0..bits {
            // The first bit that differs is behind as many that are the same.
            let client = flip(deepest, bit);
            if answered(client) {
                assert_eq!(view_of(&mut host, client), u16::from(bit), "{client}");
                asked += 1;
            }
        }
        assert!(asked >= bits - 3, "{asked} of {bits}");
        // Alone, from a prefix of no length at all on.
        for length in 0..=bits {
            let mut host = Host::new(telling_zone(2, table(&[(deepest, length, 1)])));
            for bit in 0..bits {
                let client = flip(deepest, bit);
                if answered(client) {
                    assert_eq!(view_of(&mut host, client), u16::from(bit >= length), "{client} in /{length}");
                }
            }
        }
    }
}

#[test]
fn random_tables_are_what_the_naive_search_finds() {
    let mut numbers = Numbers(11);
    for round in 0..60 {
        let mut prefixes: Vec<(IpAddr, u8, u16)> = Vec::new();
        for _ in 0..=numbers.below(40) {
            // Half of them near an earlier one, so that they are within each other, or equal.
            let (kind, place) = (numbers.below(4), numbers.below(1 + prefixes.len() as u64) as usize);
            let address = match prefixes.get(place) {
                Some(&(address, ..)) if kind > 1 => address,
                _ => numbers.client(kind % 2 == 0),
            };
            let lengths = if address.is_ipv6() { 129 } else { 33 };
            let length = u8::try_from(numbers.below(lengths)).unwrap();
            prefixes.push((address, length, numbers.below(6) as u16));
        }
        let mut host = Host::new(telling_zone(6, table(&prefixes)));
        let mut clients: Vec<IpAddr> = (0..30).map(|query| numbers.client(query % 2 == 0)).collect();
        for &(address, length, _) in &prefixes {
            let bits = if address.is_ipv6() { 128 } else { 32 };
            // On both sides of both edges, as far as that takes.
            clients.push(address);
            clients.extend([length.saturating_sub(1), length.min(bits - 1), bits - 1].map(|bit| flip(address, bit)));
        }
        for client in clients.into_iter().filter(|&client| answered(client)) {
            assert_eq!(view_of(&mut host, client), naive(&prefixes, client), "{round}: {client} {prefixes:?}");
        }
    }
}

#[test]
fn a_change_of_prefixes_is_one_publication_and_leaves_the_old_one() {
    let client: IpAddr = "198.51.100.7".parse().unwrap();
    let old = telling_zone(3, table(&[(client, 24, 1)]));
    let mut editor = Editor::new(&old);
    editor.set_views(table(&[(client, 24, 1), (client, 32, 2)]));
    let new = editor.commit();
    assert_eq!(new.generation(), old.generation() + 1);
    assert_eq!((view_of(&mut Host::new(old), client), view_of(&mut Host::new(new.clone()), client)), (1, 2));
    // A change of records keeps them.
    let mut editor = Editor::new(&new);
    put(&mut editor, "other.example.", &in_view(0, [1, 2, 3, 4]));
    assert_eq!(view_of(&mut Host::new(editor.commit()), client), 2);
}

/// A client of view 1, one of view 2, one of none.
fn clients() -> [IpAddr; 3] {
    ["198.51.100.1", "2001:db8:2::1", "203.0.113.1"].map(|client| client.parse().unwrap())
}

/// A host of a zone in which [`clients`] are in their views.
fn viewed(text: &str, change: impl FnOnce(&mut Editor)) -> Host {
    let [first, second, _] = clients();
    Host::new(zone(text, |editor| {
        editor.set_views(table(&[(first, 24, 1), (second, 48, 2)]));
        change(editor);
    }))
}

/// A name of one label and `example.` as rdata.
fn target(label: &str) -> Vec<u8> {
    name(&format!("{label}.example.")).as_bytes().to_vec()
}

#[test]
fn a_view_without_the_rrset_sees_the_default_views() {
    let mut host = viewed("www A 192.0.2.1\nwww TXT everybody\n*.w A 192.0.2.1", |editor| {
        put(editor, "www.example.", &in_view(1, [10, 0, 0, 1]));
        put(editor, "*.w.example.", &in_view(2, [10, 0, 0, 2]));
    });
    let expected = [("10.0.0.1", "192.0.2.1"), ("192.0.2.1", "10.0.0.2"), ("192.0.2.1", "192.0.2.1")];
    for (client, (www, wildcard)) in clients().into_iter().zip(expected) {
        assert_eq!(answers(&mut host, client, "www.example.", types::A), [www], "{client}");
        assert_eq!(answers(&mut host, client, "www.example.", 16), ["everybody"], "{client}");
        assert_eq!(answers(&mut host, client, "x.w.example.", types::A), [wildcard], "{client}");
    }
}

#[test]
fn a_name_of_another_view_exists_for_everybody() {
    let mut host = viewed("", |editor| put(editor, "www.example.", &in_view(1, [10, 0, 0, 1])));
    for (client, sees) in clients().into_iter().zip([true, false, false]) {
        for qtype in [types::A, types::ANY, types::AAAA] {
            let message = answer(&mut host, client, "www.example.", qtype);
            assert_eq!(message.metadata.response_code, ResponseCode::NoError);
            if sees && qtype != types::AAAA {
                assert_eq!(text(&message.answers), ["www.example. 60 IN A 10.0.0.1"]);
            } else {
                assert_eq!((message.answers.len(), message.authorities.len()), (0, 1), "{client} {qtype}");
            }
        }
        let below = answer(&mut host, client, "x.www.example.", types::A);
        assert_eq!(below.metadata.response_code, ResponseCode::NXDomain);
    }
}

#[test]
fn aliases_and_addresses_of_two_views_are_not_mixed() {
    let cname = |view, label| RrsetSpec {
        rtype: types::CNAME,
        ttl: 60,
        rdatas: vec![target(label)],
        view,
        ..RrsetSpec::default()
    };
    let mut host = viewed(
        "a A 192.0.2.1\na AAAA 2001:db8::a\nb A 192.0.2.2\nforth CNAME a\nback A 192.0.2.9\nback AAAA 2001:db8::9",
        |editor| {
            // An alias for everybody, which view 1 has addresses in place of.
            put(editor, "forth.example.", &in_view(1, [10, 0, 0, 1]));
            // Addresses for everybody, which view 1 has an alias in place of.
            put(editor, "back.example.", &cname(1, "b"));
            // An alias of its own for each.
            put(editor, "each.example.", &cname(0, "a"));
            put(editor, "each.example.", &cname(2, "b"));
        },
    );
    let [first, second, nobody] = clients();
    for (client, qname, qtype, expected) in [
        (first, "forth", types::A, vec!["10.0.0.1"]),
        (first, "forth", types::AAAA, vec![]),
        (first, "forth", types::CNAME, vec![]),
        (second, "forth", types::A, vec!["a.example.", "192.0.2.1"]),
        (nobody, "forth", types::AAAA, vec!["a.example.", "2001:db8::a"]),
        (first, "back", types::A, vec!["b.example.", "192.0.2.2"]),
        (first, "back", types::AAAA, vec!["b.example."]),
        (first, "back", types::ANY, vec!["b.example."]),
        (second, "back", types::A, vec!["192.0.2.9"]),
        (nobody, "back", types::CNAME, vec![]),
        (first, "each", types::A, vec!["a.example.", "192.0.2.1"]),
        (second, "each", types::A, vec!["b.example.", "192.0.2.2"]),
        (nobody, "each", types::CNAME, vec!["a.example."]),
    ] {
        let answers = answers(&mut host, client, &format!("{qname}.example."), qtype);
        assert_eq!(answers, expected, "{client} {qname} TYPE{qtype}");
    }
}

#[test]
fn chains_and_additional_addresses_are_those_of_the_view() {
    let mut host = viewed("alias CNAME www\nsrv SRV 1 2 3 www\nwww A 192.0.2.1", |editor| {
        put(editor, "www.example.", &in_view(1, [10, 0, 0, 1]));
    });
    for (client, address) in clients().into_iter().zip(["10.0.0.1", "192.0.2.1", "192.0.2.1"]) {
        assert_eq!(answers(&mut host, client, "alias.example.", types::A), ["www.example.", address]);
        let service = answer(&mut host, client, "srv.example.", types::SRV);
        let [glue] = service.additionals.as_slice() else { panic!("{service}") };
        assert_eq!(glue.data.to_string(), address);
    }
}

#[test]
fn each_view_has_a_selection_of_its_own() {
    let mut host = viewed("", |editor| {
        put(editor, "www.example.", &addresses(Mode::All, 0, &[Member::default(); 3]));
        put(editor, "www.example.", &RrsetSpec { view: 1, ..addresses(Mode::RoundRobin, 0, &[Member::default(); 2]) });
    });
    let [first, _, nobody] = clients();
    let mut seen: Vec<_> = (0..2).flat_map(|_| answers(&mut host, first, "www.example.", types::A)).collect();
    seen.sort();
    assert_eq!(seen, ["10.0.0.0", "10.0.0.1"]);
    assert_eq!(answers(&mut host, nobody, "www.example.", types::A).len(), 3);
}

#[test]
fn variants_are_put_and_removed_one_by_one() {
    let (apex, owner) = (name("example."), name("www.example."));
    let mut editor = Editor::new(&zone("", |editor| {
        for view in [2, 0, 1] {
            put(editor, "www.example.", &in_view(view, [10, 0, 0, view as u8]));
        }
    }));
    let views = |editor: &mut Editor| editor.rrsets(&apex, &owner).iter().map(|rrset| rrset.view).collect::<Vec<_>>();
    assert_eq!(views(&mut editor), [0, 1, 2]);
    put(&mut editor, "www.example.", &in_view(1, [10, 9, 9, 9]));
    assert!(!editor.remove_rrset_in(&apex, &owner, types::A, 3));
    assert!(editor.remove_rrset_in(&apex, &owner, types::A, 2));
    let snapshot = editor.commit();
    assert_eq!(snapshot.rrsets(), 4, "SOA, NS, two views");
    let node = snapshot.node(&apex, &owner).unwrap();
    let stored: Vec<_> = node.rrsets().map(|rrset| (rrset.view(), rrset.rdatas().next().unwrap()[1])).collect();
    assert_eq!(stored, [(0, 0), (1, 9)]);
    let mut editor = Editor::new(&snapshot);
    assert!(editor.remove_rrset(&apex, &owner, types::A), "that of the default view");
    assert_eq!((views(&mut editor), editor.rrset(&apex, &owner, types::A)), (vec![1], None));
    assert!(editor.remove_rrset_in(&apex, &owner, types::A, 1));
    assert!(editor.commit().node(&apex, &owner).is_none(), "nothing is left of the name");
}

#[test]
fn what_shapes_the_zones_is_in_no_view() {
    let mut editor = Editor::new(&zone("www A 192.0.2.1", |_| {}));
    let rdata =
        |rtype| if rtype == types::SOA { [&target("ns")[..], &target("ns"), &[0; 20]].concat() } else { target("a") };
    for (owner, rtype, error) in [
        ("example.", types::SOA, EditError::NoViewType),
        ("cut.example.", types::NS, EditError::NoViewType),
        ("d.example.", types::DNAME, EditError::NoViewType),
    ] {
        let rrset = RrsetSpec { rtype, rdatas: vec![rdata(rtype)], view: 1, ..RrsetSpec::default() };
        assert_eq!(editor.put_rrset(&name("example."), &name(owner), &rrset), Err(error));
    }
    put(&mut editor, "www.example.", &in_view(1, [10, 0, 0, 1]));
    let cname = |view| RrsetSpec { rtype: types::CNAME, rdatas: vec![target("a")], view, ..RrsetSpec::default() };
    let mut put = |view| editor.put_rrset(&name("example."), &name("www.example."), &cname(view));
    assert_eq!(put(1), Err(EditError::CnameAndOther), "beside an address of the same view");
    assert_eq!(put(2), Ok(()));
}
