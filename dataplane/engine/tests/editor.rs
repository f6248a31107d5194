//! Editing against a naive model: after any sequence of edits the snapshot holds what the model holds, and a query sees
//! which names exist.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use common::{Host, name, snapshot};
use proptest::prelude::*;
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::select::{Mode, Selection};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};
use ringdns_engine::testing::query;

const SOA: &[u8] = b"\x01a\0\x01b\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";

fn rrset(rtype: u16, rdatas: &[&[u8]]) -> RrsetSpec {
    let rdatas = rdatas.iter().map(|rdata| rdata.to_vec()).collect();
    RrsetSpec { rtype, ttl: 60, origin: 3, rdatas, ..RrsetSpec::default() }
}

fn address(last: u8) -> RrsetSpec {
    rrset(types::A, &[&[192, 0, 2, last]])
}

/// One edit, or the end of a transaction.
#[derive(Clone, Debug)]
enum Edit {
    Put(usize, WireName, u8),
    Remove(usize, WireName),
    AddZone(usize),
    RemoveZone(usize),
    Commit,
}

/// Zones that are nested in each other.
const APEXES: [&str; 3] = ["example.", "sub.example.", "other."];

/// Names of few labels, so that they often meet.
fn owner() -> impl Strategy<Value = (usize, WireName)> {
    let labels = prop::collection::vec(prop::sample::select(vec!["a", "b", "B", "*", "sub"]), 0..4);
    (0..APEXES.len(), labels).prop_map(|(zone, labels)| {
        let text: String = labels.iter().map(|label| format!("{label}.")).collect();
        (zone, name(&(text + APEXES[zone])))
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (owner(), any::<u8>()).prop_map(|((zone, owner), last)| Edit::Put(zone, owner, last)),
        6 => owner().prop_map(|(zone, owner)| Edit::Remove(zone, owner)),
        1 => (0..APEXES.len()).prop_map(Edit::AddZone),
        1 => (0..APEXES.len()).prop_map(Edit::RemoveZone),
        2 => Just(Edit::Commit),
    ]
}

/// Types that decide on the form in which a node is edited, in all ways: common ones, more than a leaf has, and those that
/// set flags.
const QTYPES: [u16; 9] =
    [types::A, types::AAAA, types::CNAME, types::NS, types::DNAME, types::MX, types::TXT, types::NSEC, 99];

/// A change of one owner's RRset in the first zone: its type and view, and what is put; nothing: it is removed.
fn change() -> impl Strategy<Value = (WireName, (u16, u16), Option<RrsetSpec>)> {
    let labels = prop::collection::vec(prop::sample::select(vec!["a", "b", "B", "*"]), 0..3);
    let kind = (prop::sample::select(QTYPES.to_vec()), prop::sample::select(vec![0, 0, 0, 5]));
    (labels, kind, any::<u8>(), 0..4).prop_map(|(labels, key, last, how)| {
        let text: String = labels.iter().map(|label| format!("{label}.")).collect();
        let rdata = match key.0 {
            types::A => vec![192, 0, 2, last],
            types::AAAA => vec![last; 16],
            types::MX => [&[0, last], SOA.get(..3).unwrap()].concat(),
            types::CNAME | types::NS | types::DNAME => b"\x01a\0".to_vec(),
            _ => vec![1, last],
        };
        let selection = (last % 5 == 0).then(|| Box::new(Selection { mode: Mode::Sticky, ..Selection::default() }));
        let spec = RrsetSpec { rtype: key.0, view: key.1, ttl: 60, origin: last, rdatas: vec![rdata], selection };
        (name(&(text + APEXES[0])), key, (how > 0).then_some(spec))
    })
}

/// What the editor should come to: zones, and the address of each owner.
type Model = BTreeMap<usize, BTreeMap<WireName, u8>>;

/// All names that exist in a zone of the model: owners, and what lies between them and the apex.
fn existing(model: &Model, zone: usize) -> BTreeSet<WireName> {
    let apex = name(APEXES[zone]);
    let mut names = BTreeSet::from([apex.clone()]);
    for owner in model[&zone].keys() {
        let mut owner = owner.clone();
        while owner != apex {
            names.insert(owner.clone());
            owner = owner.parent().unwrap();
        }
    }
    names
}

fn compare(snapshot: &Snapshot, model: &Model) {
    let apexes: BTreeSet<WireName> = model.keys().map(|&zone| name(APEXES[zone])).collect();
    assert_eq!(snapshot.zones().into_iter().collect::<BTreeSet<_>>(), apexes);
    let mut names = 0;
    let mut rrsets = 0;
    for (&zone, owners) in model {
        let apex = name(APEXES[zone]);
        let expected = existing(model, zone);
        let found: BTreeSet<WireName> = snapshot.nodes(&apex).map(|node| node.owner()).collect();
        assert_eq!(found, expected, "names of {apex}");
        names += expected.len() as u64;
        rrsets += owners.len() as u64 + 1;
        for owner in &expected {
            let node = snapshot.node(&apex, owner).unwrap();
            let address = node.rrset(types::A).map(|rrset| rrset.rdatas().next().unwrap()[3]);
            assert_eq!(address, owners.get(owner).copied(), "{owner}");
        }
    }
    assert_eq!((snapshot.names(), snapshot.rrsets()), (names, rrsets));
}

fn add_zone(editor: &mut Editor, model: &mut Model, zone: usize) {
    editor.add_zone(&name(APEXES[zone]));
    editor.put_rrset(&name(APEXES[zone]), &name(APEXES[zone]), &rrset(types::SOA, &[SOA])).unwrap();
    model.entry(zone).or_default();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn any_edits_come_to_what_the_model_comes_to(edits in prop::collection::vec(edit(), 1..60)) {
        let mut model = Model::new();
        let mut editor = Editor::new(&snapshot(&[]));
        add_zone(&mut editor, &mut model, 0);
        for edit in edits {
            match edit {
                Edit::Put(zone, owner, last) => {
                    let put = editor.put_rrset(&name(APEXES[zone]), &owner, &address(last));
                    match model.get_mut(&zone) {
                        Some(owners) => {
                            prop_assert_eq!(put, Ok(()));
                            owners.insert(owner, last);
                        }
                        None => prop_assert_eq!(put, Err(EditError::NoZone)),
                    }
                }
                Edit::Remove(zone, owner) => {
                    let removed = editor.remove_rrset(&name(APEXES[zone]), &owner, types::A);
                    let expected = model.get_mut(&zone).is_some_and(|owners| owners.remove(&owner).is_some());
                    prop_assert_eq!(removed, expected);
                }
                Edit::AddZone(zone) => add_zone(&mut editor, &mut model, zone),
                Edit::RemoveZone(zone) => {
                    let removed = editor.remove_zone(&name(APEXES[zone]));
                    let expected = model.remove(&zone).map_or(0, |owners| owners.len() as u64 + 1);
                    prop_assert_eq!(removed, expected);
                }
                Edit::Commit => {
                    let next = editor.commit();
                    compare(&next, &model);
                    editor = Editor::new(&next);
                }
            }
        }
        compare(&editor.commit(), &model);
    }

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn one_transaction_comes_to_what_many_come_to(changes in prop::collection::vec(change(), 1..30)) {
        let apex = name(APEXES[0]);
        let base = snapshot(&[("example.", "@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1\nb TXT b")]);
        let mut one = Editor::new(&base);
        let mut many = base.clone();
        for (owner, key, put) in &changes {
            let mut editor = Editor::new(&many);
            match put {
                Some(spec) => {
                    let put = one.put_rrset(&apex, owner, spec);
                    prop_assert_eq!(put, editor.put_rrset(&apex, owner, spec), "{}", owner);
                }
                None => {
                    let removed = one.remove_rrset_in(&apex, owner, key.0, key.1);
                    prop_assert_eq!(removed, editor.remove_rrset_in(&apex, owner, key.0, key.1), "{}", owner);
                }
            }
            many = editor.commit();
            prop_assert_eq!(one.rrsets(&apex, owner), Editor::new(&many).rrsets(&apex, owner), "pending at {}", owner);
        }
        let one = one.commit();
        prop_assert_eq!((one.names(), one.rrsets()), (many.names(), many.rrsets()));
        let owners = |snapshot: &Snapshot| {
            let mut owners: Vec<WireName> = snapshot.nodes(&apex).map(|node| node.owner()).collect();
            owners.sort();
            owners
        };
        prop_assert_eq!(owners(&one), owners(&many));
        let (mut one, mut many) = (Host::new(one), Host::new(many));
        for (owner, ..) in &changes {
            for qtype in QTYPES {
                let asked = query(&owner.to_string(), qtype);
                prop_assert_eq!(one.ask_bytes(&asked), many.ask_bytes(&asked), "{} {}", owner, qtype);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn queries_see_which_names_exist(owners in prop::collection::btree_set(owner(), 0..12)) {
        let mut model = Model::new();
        let mut editor = Editor::new(&snapshot(&[]));
        add_zone(&mut editor, &mut model, 0);
        for (zone, owner) in owners.iter().filter(|(zone, _)| *zone == 0) {
            editor.put_rrset(&name(APEXES[0]), owner, &address(7)).unwrap();
            model.get_mut(zone).unwrap().insert(owner.clone(), 7);
        }
        let names = existing(&model, 0);
        let mut host = Host::new(editor.commit());
        for first in ["a", "b", "c", "*"] {
            for second in ["a", "b", "c", "*", "sub"] {
                for question in [format!("{first}.example."), format!("{first}.{second}.example."), format!("c.{first}.{second}.example.")] {
                    let asked = name(&question);
                    let mut encloser = asked.clone();
                    while !names.contains(&encloser) {
                        encloser = encloser.parent().unwrap();
                    }
                    let source = if encloser == asked { asked } else { encloser.child(b"*").unwrap() };
                    let (rcode, records) = match (names.contains(&source), model[&0].contains_key(&source)) {
                        (true, true) => (0, 1),
                        (true, false) => (0, 0),
                        _ => (3, 0),
                    };
                    let reply = host.ask_bytes(&query(&question, types::A)).unwrap();
                    prop_assert_eq!((reply[3] & 0xf, reply[7]), (rcode, records), "{} in {:?}", question, names);
                }
            }
        }
    }
}

#[test]
fn refused_edits_change_nothing() {
    let mut editor =
        Editor::new(&snapshot(&[("example.", "@ SOA a b 1 2 3 4 5\n@ NS a\nalias CNAME a\na A 192.0.2.1")]));
    let before = (
        editor.rrsets(&name("example."), &name("alias.example.")),
        editor.rrset(&name("example."), &name("a.example."), 1),
    );
    let too_many: Vec<Vec<u8>> = (0..6000u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for (owner, rrset, error) in [
        ("a.other.", address(1), EditError::OutOfZone),
        ("alias.example.", address(1), EditError::CnameAndOther),
        ("a.example.", rrset(types::CNAME, &[b"\0"]), EditError::CnameAndOther),
        ("new.example.", rrset(types::CNAME, &[b"\0", b"\x01a\0"]), EditError::SeveralAliases),
        ("new.example.", rrset(types::A, &[]), EditError::Empty),
        ("new.example.", rrset(types::A, &[b"\x01\x02\x03"]), EditError::RdataMalformed),
        ("new.example.", rrset(types::AAAA, &[&[0; 4]]), EditError::RdataMalformed),
        ("new.example.", rrset(types::NS, &[b"\x01a"]), EditError::RdataMalformed),
        ("new.example.", rrset(types::NS, &[b"\x01a\0\0"]), EditError::RdataMalformed),
        ("new.example.", rrset(types::MX, &[b"\0"]), EditError::RdataMalformed),
        ("new.example.", rrset(types::SOA, &[b"\0\0\0"]), EditError::RdataMalformed),
        ("new.example.", RrsetSpec { rdatas: too_many, ..address(1) }, EditError::TooLarge),
        ("new.example.", rrset(16, &[&vec![0; 65536]]), EditError::TooLarge),
    ] {
        assert_eq!(editor.put_rrset(&name("example."), &name(owner), &rrset), Err(error), "{owner} {}", rrset.rtype);
    }
    let after = (
        editor.rrsets(&name("example."), &name("alias.example.")),
        editor.rrset(&name("example."), &name("a.example."), 1),
    );
    assert_eq!(before, after);
    let snapshot = editor.commit();
    assert!(snapshot.node(&name("example."), &name("new.example.")).is_none());
    assert_eq!((snapshot.names(), snapshot.rrsets()), (3, 4));
}

#[test]
fn what_was_put_is_given_back() {
    let mut editor = Editor::new(&snapshot(&[("example.", "@ SOA a b 1 2 3 4 5\n@ NS a")]));
    let apex = name("example.");
    let spec = rrset(16, &[b"\x01x", b"\x01y"]);
    let doubled = RrsetSpec { rdatas: [spec.rdatas.clone(), spec.rdatas.clone()].concat(), ..spec.clone() };
    editor.put_rrset(&apex, &name("T.example."), &doubled).unwrap();
    assert_eq!(editor.rrset(&apex, &name("t.example."), 16), Some(spec.clone()), "pending, equal records once");
    let mut editor = Editor::new(&editor.commit());
    assert_eq!(editor.rrset(&apex, &name("t.EXAMPLE."), 16), Some(spec), "committed");
}

#[test]
fn an_old_snapshot_stays_as_it_was() {
    let old = snapshot(&[("example.", "@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1")]);
    let mut editor = Editor::new(&old);
    editor.put_rrset(&name("example."), &name("a.example."), &address(2)).unwrap();
    editor.remove_rrset(&name("example."), &name("example."), types::NS);
    let new = editor.commit();
    assert_eq!(new.generation(), old.generation() + 1);
    let last = |snapshot: Snapshot| Host::new(snapshot).ask_bytes(&query("a.example.", types::A)).unwrap().pop();
    assert_eq!((last(old.clone()), last(new)), (Some(1), Some(2)));
    assert_eq!(old.rrsets(), 3);
}

#[test]
fn many_names_keep_their_addresses_through_changes() {
    let mut editor = Editor::new(&snapshot(&[("example.", "@ SOA a b 1 2 3 4 5\n@ NS a")]));
    let owner = |number: u32| name(&format!("host-{number}.example."));
    let spec = |number: u32| rrset(types::A, &[&Ipv4Addr::from(number).octets()]);
    for number in 0..20_000 {
        editor.put_rrset(&name("example."), &owner(number), &spec(number)).unwrap();
    }
    let first = editor.commit();
    let mut editor = Editor::new(&first);
    for number in (0..20_000).step_by(3) {
        assert!(editor.remove_rrset(&name("example."), &owner(number), types::A));
    }
    let second = editor.commit();
    let mut host = Host::new(second);
    for number in 0..20_000u32 {
        let reply = host.ask_bytes(&query(&format!("HOST-{number}.example."), types::A)).unwrap();
        if number % 3 == 0 {
            assert_eq!(reply[3] & 0xf, 3);
        } else {
            assert!(reply.ends_with(&Ipv4Addr::from(number).octets()), "{number}");
        }
    }
    assert_eq!(first.names(), 20_001);
    assert!(first.memory_bytes() > host.snapshot.memory_bytes());
}
