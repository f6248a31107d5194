//! What is served when sources contradict each other.

mod cuts;
mod health;

use ringdns_engine::rules::Rules;

use super::*;
use crate::text::name::Origin;

/// A merge and its snapshot.
#[derive(Default)]
struct Bench {
    merge: Merge,
    snapshot: Option<Snapshot>,
}

fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// An RRset from `owner type rdata,rdata`; its TTL is 300.
fn rrset(text: &str) -> Rrset {
    let mut words = text.splitn(3, ' ');
    let owner = name(words.next().unwrap());
    let rtype = rtype::parse(words.next().unwrap()).unwrap();
    let rdatas = words.next().unwrap().split(',');
    let rdatas = rdatas.map(|text| crate::text::rdata::parse_line(rtype, text, Origin::None).unwrap()).collect();
    Rrset::new(owner, rtype, 300, rdatas)
}

impl Bench {
    /// Applies changes of a source as one publication; gives the refusals.
    fn apply(&mut self, origin: u8, changes: Vec<Change>) -> Vec<EditError> {
        let base = self.snapshot.take().unwrap_or_else(Snapshot::empty);
        let mut transaction = Transaction::new(&base);
        transaction.set_complete(true, true);
        let mut refusals = Vec::new();
        for change in changes {
            self.merge.apply(origin, change, &mut transaction, &mut refusals);
        }
        self.snapshot = Some(transaction.commit());
        let counted: usize = self.merge.losers.values().flat_map(HashMap::values).map(Vec::len).sum();
        assert_eq!(counted, self.merge.losers());
        refusals.into_iter().map(|refusal| refusal.error).collect()
    }

    fn put(&mut self, origin: u8, text: &str) -> Vec<EditError> {
        self.apply(origin, vec![Change::Put { apex: name("z."), rrset: rrset(text) }])
    }

    fn remove(&mut self, origin: u8, owner: &str, rtype: &str) {
        let rtype = rtype::parse(rtype).unwrap();
        assert!(
            self.apply(origin, vec![Change::Remove { apex: name("z."), owner: name(owner), rtype, view: None }])
                .is_empty()
        );
    }

    fn replace(&mut self, origin: u8, rrsets: &[&str]) -> Vec<EditError> {
        let rrsets = rrsets.iter().map(|text| rrset(text)).collect();
        self.apply(origin, vec![Change::ReplaceZone { apex: name("z."), rrsets }])
    }

    /// What is served in the zone: `origin owner type rdata,rdata`, sorted.
    fn served(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for node in self.snapshot.as_ref().unwrap().nodes(&name("z.")) {
            for rrset in node.rrsets() {
                let rdatas: Vec<String> =
                    rrset.rdatas().map(|rdata| crate::text::rdata::show(rrset.rtype(), rdata)).collect();
                lines.push(format!(
                    "{} {} {} {}",
                    rrset.origin(),
                    node.owner(),
                    rtype::show(rrset.rtype()),
                    rdatas.join(",")
                ));
            }
        }
        lines.sort();
        lines
    }
}

/// Two sources that both have the zone.
fn two_sources() -> Bench {
    let mut bench = Bench::default();
    for origin in [0, 1] {
        bench.apply(origin, vec![Change::AddZone(name("z."))]);
    }
    bench
}

#[test]
fn the_first_source_wins_whoever_comes_first() {
    for order in [[0, 1], [1, 0]] {
        let mut bench = two_sources();
        for origin in order {
            assert!(bench.put(origin, &format!("a.z. A 192.0.2.{origin}")).is_empty());
        }
        assert_eq!(bench.served(), ["0 a.z. A 192.0.2.0"]);
        assert_eq!(bench.merge.losers(), 1);
        bench.remove(0, "a.z.", "A");
        assert_eq!(bench.served(), ["1 a.z. A 192.0.2.1"], "the loser is promoted");
        assert_eq!(bench.merge.losers(), 0);
        bench.remove(1, "a.z.", "A");
        assert!(bench.served().is_empty());
    }
}

#[test]
fn other_types_of_an_owner_are_no_conflict() {
    let mut bench = two_sources();
    bench.put(0, "a.z. A 192.0.2.1");
    bench.put(1, "a.z. AAAA 2001:db8::1");
    assert_eq!(bench.served(), ["0 a.z. A 192.0.2.1", "1 a.z. AAAA 2001:db8::1"]);
    assert_eq!(bench.merge.losers(), 0);
}

#[test]
fn a_loser_can_change_and_go_without_being_seen() {
    let mut bench = two_sources();
    bench.put(0, "a.z. A 192.0.2.1");
    bench.put(1, "a.z. A 192.0.2.2");
    bench.put(1, "a.z. A 192.0.2.3");
    assert_eq!(bench.merge.losers(), 1);
    bench.remove(0, "a.z.", "A");
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.3"]);
    bench.put(0, "a.z. A 192.0.2.4");
    bench.remove(1, "a.z.", "A");
    bench.remove(0, "a.z.", "A");
    assert!(bench.served().is_empty());
}

#[test]
fn a_cname_stands_back_or_pushes_aside_by_priority() {
    for order in [[0, 1], [1, 0]] {
        let mut bench = two_sources();
        let texts = ["a.z. CNAME b.z.", "a.z. A 192.0.2.1"];
        for origin in order {
            assert!(bench.put(origin, texts[usize::from(origin)]).is_empty());
        }
        bench.put(1, "a.z. TXT x");
        assert_eq!(bench.served(), ["0 a.z. CNAME b.z."]);
        bench.remove(0, "a.z.", "CNAME");
        assert_eq!(bench.served(), ["1 a.z. A 192.0.2.1", "1 a.z. TXT \"x\""]);
        bench.put(0, "a.z. MX 0 .");
        bench.remove(1, "a.z.", "A");
        bench.remove(1, "a.z.", "TXT");
        bench.put(1, "a.z. CNAME c.z.");
        assert_eq!(bench.served(), ["0 a.z. MX 0 ."]);
    }
}

#[test]
fn one_source_against_itself_is_refused() {
    let mut bench = two_sources();
    bench.put(1, "a.z. A 192.0.2.1");
    assert_eq!(bench.put(1, "a.z. CNAME b.z."), [EditError::CnameAndOther]);
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.1"]);
    let mut alone = Bench::default();
    alone.replace(0, &["a.z. A 192.0.2.1"]);
    assert_eq!(alone.put(0, "a.z. CNAME b.z."), [EditError::CnameAndOther]);
    assert_eq!(alone.put(0, "a.y. A 192.0.2.1"), [EditError::OutOfZone]);
    assert_eq!(alone.put(1, "a.z. A 192.0.2.1"), [EditError::NoZone], "source 1 does not have the zone");
}

#[test]
fn a_zone_lives_as_long_as_one_source_has_it() {
    let mut bench = two_sources();
    bench.replace(0, &["a.z. A 192.0.2.1", "b.z. A 192.0.2.1"]);
    bench.replace(1, &["a.z. A 192.0.2.2", "c.z. A 192.0.2.2"]);
    assert_eq!(bench.merge.zones()[&name("z.")], [0, 1]);
    bench.apply(0, vec![Change::RemoveZone(name("z."))]);
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.2", "1 c.z. A 192.0.2.2"]);
    assert_eq!(bench.merge.losers(), 0);
    bench.apply(0, vec![Change::RemoveZone(name("z."))]);
    assert_eq!(bench.merge.zones()[&name("z.")], [1], "a source that does not have it takes nothing away");
    bench.apply(1, vec![Change::RemoveZone(name("z."))]);
    assert!(bench.merge.zones().is_empty());
    assert!(bench.snapshot.as_ref().unwrap().zones().is_empty());
}

#[test]
fn losers_go_with_their_source() {
    let mut bench = two_sources();
    bench.replace(0, &["a.z. A 192.0.2.1"]);
    bench.replace(1, &["a.z. A 192.0.2.2", "a.z. TXT x"]);
    bench.apply(1, vec![Change::RemoveZone(name("z."))]);
    assert_eq!((bench.served(), bench.merge.losers()), (vec!["0 a.z. A 192.0.2.1".to_owned()], 0));
}

#[test]
fn a_replaced_zone_has_what_is_named_and_nothing_else() {
    let mut bench = Bench::default();
    bench.replace(1, &["a.z. A 192.0.2.1", "b.z. A 192.0.2.1", "c.z. A 192.0.2.1"]);
    bench.replace(1, &["a.z. A 192.0.2.1", "b.z. CNAME c.z.", "d.z. A 192.0.2.1"]);
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.1", "1 b.z. CNAME c.z.", "1 d.z. A 192.0.2.1"]);
    bench.replace(0, &["a.z. A 192.0.2.9"]);
    bench.replace(1, &["d.z. A 192.0.2.1"]);
    assert_eq!((bench.served().len(), bench.merge.losers()), (2, 0), "a loser that is no longer named is forgotten");
    bench.replace(1, &[]);
    assert_eq!(bench.served(), ["0 a.z. A 192.0.2.9"]);
}

#[test]
fn a_replaced_zone_sees_what_the_same_publication_changed_before() {
    let mut bench = Bench::default();
    let changes = vec![
        Change::ReplaceZone { apex: name("z."), rrsets: vec![rrset("a.z. A 192.0.2.1"), rrset("b.z. A 192.0.2.1")] },
        Change::Put { apex: name("z."), rrset: rrset("c.z. A 192.0.2.1") },
        Change::ReplaceZone { apex: name("z."), rrsets: vec![rrset("b.z. A 192.0.2.1")] },
        Change::Remove { apex: name("z."), owner: name("b.z."), rtype: 1, view: None },
        Change::Put { apex: name("z."), rrset: rrset("b.z. TXT x") },
    ];
    assert!(bench.apply(0, changes).is_empty());
    assert_eq!(bench.served(), ["0 b.z. TXT \"x\""]);
}

#[test]
fn the_order_of_events_never_shows() {
    // Three sources put and remove at two owners in a random order; what is served must be what a fresh merge of the
    // sources' final words gives, taken in order of priority.
    let mut state = 7u32;
    let mut next = move |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % bound
    };
    let kinds = ["A 192.0.2.%", "TXT t%", "CNAME c%.z."];
    for _ in 0..300 {
        let mut bench = two_sources();
        bench.apply(2, vec![Change::AddZone(name("z."))]);
        let mut said: BTreeMap<(u8, String, u16), String> = BTreeMap::new();
        for _ in 0..25 {
            let (origin, owner) = ([0, 1, 2][next(3) as usize], format!("{}.z.", ["a", "b"][next(2) as usize]));
            let kind = kinds[next(3) as usize].replace('%', &next(9).to_string());
            let text = format!("{owner} {kind}");
            let rtype = rrset(&text).rtype;
            if next(3) == 0 {
                bench.remove(origin, &owner, &rtype::show(rtype));
                said.remove(&(origin, owner, rtype));
            } else if bench.put(origin, &text).is_empty() {
                said.insert((origin, owner, rtype), text);
            }
        }
        let mut fresh = two_sources();
        fresh.apply(2, vec![Change::AddZone(name("z."))]);
        for ((origin, ..), text) in &said {
            assert!(fresh.put(*origin, text).is_empty());
        }
        assert_eq!(bench.served(), fresh.served(), "{said:?}");
        assert_eq!(bench.merge.losers() + bench.served().len(), said.len(), "nothing is forgotten");
    }
}

/// [`rrset`] in a view.
fn in_view(view: &str, text: &str) -> Rrset {
    Rrset { view: Some(view.into()), ..rrset(text) }
}

#[test]
fn rrsets_of_different_views_are_no_conflict() {
    let mut bench = two_sources();
    let put = |rrset| vec![Change::Put { apex: name("z."), rrset }];
    bench.put(0, "a.z. A 192.0.2.1");
    assert!(bench.apply(1, put(in_view("lab", "a.z. A 192.0.2.2"))).is_empty());
    assert!(bench.apply(1, put(in_view("office", "a.z. CNAME b.z."))).is_empty());
    assert_eq!(bench.served(), ["0 a.z. A 192.0.2.1", "1 a.z. A 192.0.2.2", "1 a.z. CNAME b.z."]);
    // In one view they are.
    assert!(bench.apply(0, put(in_view("lab", "a.z. CNAME c.z."))).is_empty());
    assert_eq!(bench.served(), ["0 a.z. A 192.0.2.1", "0 a.z. CNAME c.z.", "1 a.z. CNAME b.z."]);
    assert_eq!(bench.merge.losers(), 1);
    assert_eq!(bench.apply(0, put(in_view("lab", "a.z. A 192.0.2.9"))), [EditError::CnameAndOther]);
    let remove = |rtype, view: Option<&str>| {
        vec![Change::Remove { apex: name("z."), owner: name("a.z."), rtype, view: view.map(Into::into) }]
    };
    bench.apply(0, remove(rtype::CNAME, Some("lab")));
    bench.apply(1, remove(rtype::CNAME, Some("nobody's")));
    bench.apply(0, remove(1, None));
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.2", "1 a.z. CNAME b.z."]);
    // What is not named is gone, and what is the same is not touched.
    let rrsets = vec![in_view("lab", "a.z. A 192.0.2.2")];
    assert!(bench.apply(1, vec![Change::ReplaceZone { apex: name("z."), rrsets }]).is_empty());
    assert_eq!(bench.served(), ["1 a.z. A 192.0.2.2"]);
}

#[test]
fn a_change_of_the_selection_alone_is_a_change() {
    use ringdns_engine::select::{Member, Mode, Selection};
    let mut bench = Bench::default();
    for up in [true, false, true] {
        let members = vec![Member { weight: 2, up }, Member::default()];
        let selection = Some(Box::new(Selection { mode: Mode::Sticky, answers_max: 0, members }));
        let rrset = Rrset { selection: selection.clone(), ..rrset("a.z. A 192.0.2.1,192.0.2.2") };
        assert!(bench.apply(0, vec![Change::ReplaceZone { apex: name("z."), rrsets: vec![rrset] }]).is_empty());
        let node = bench.snapshot.as_ref().unwrap().node(&name("z."), &name("a.z.")).unwrap();
        assert_eq!(node.rrset(1).unwrap().selection().map(Box::new), selection);
    }
}

#[test]
fn each_source_says_its_own_clients_of_views_and_the_first_counts() {
    let table = |bench: &Bench| bench.merge.views.clone();
    let clients = |pairs: &[(&str, &str)]| -> ClientsOfViews {
        pairs.iter().map(|(network, view)| (network.parse().unwrap(), Arc::from(*view))).collect()
    };
    let mut bench = Bench::default();
    bench.apply(1, vec![Change::SetViews(clients(&[("198.51.100.0/24", "fra"), ("203.0.113.0/24", "muc")]))]);
    bench.apply(0, vec![Change::SetViews(clients(&[("198.51.100.0/24", "ber")]))]);
    let views = table(&bench);
    assert!(["fra", "muc", "ber"].into_iter().all(|name| views.configured(name).is_some()), "all have been said");
    let of = |bench: &Bench, client: [u8; 4]| views.name(bench.snapshot.as_ref().unwrap().view_of(client.into()));
    assert_eq!(of(&bench, [198, 51, 100, 1]).as_deref(), Some("ber"), "the source of the higher priority");
    assert_eq!(of(&bench, [203, 0, 113, 1]).as_deref(), Some("muc"));
    bench.apply(0, vec![Change::SetViews(Vec::new())]);
    assert_eq!(of(&bench, [198, 51, 100, 1]).as_deref(), Some("fra"), "what the other said has been remembered");
    assert_eq!(views.configured("ber"), None);
}

/// A name of the zone that a source has or has no longer.
fn named(is_added: bool, owner: &str) -> Vec<Change> {
    let (apex, owner) = (name("z."), name(owner));
    vec![if is_added { Change::AddName { apex, owner } } else { Change::RemoveName { apex, owner } }]
}

#[test]
fn a_name_exists_as_long_as_any_source_has_it() {
    let mut bench = two_sources();
    let exists = |bench: &Bench| bench.snapshot.as_ref().unwrap().node(&name("z."), &name("a.z.")).is_some();
    for origin in [0, 1, 1] {
        assert!(bench.apply(origin, named(true, "A.z.")).is_empty());
    }
    bench.apply(1, named(false, "a.z."));
    assert!(exists(&bench));
    bench.apply(1, named(false, "a.z."));
    assert!(exists(&bench), "the other still has it");
    bench.apply(0, named(false, "a.z."));
    assert!(!exists(&bench));
    // What a source says anew of its zone has no names that it had before.
    bench.apply(0, named(true, "a.z."));
    bench.replace(1, &[]);
    assert!(exists(&bench));
    bench.replace(0, &[]);
    assert!(!exists(&bench));
    // So it is with its zone.
    bench.apply(1, named(true, "a.z."));
    bench.apply(1, vec![Change::RemoveZone(name("z."))]);
    assert!(!exists(&bench));
    assert_eq!(bench.apply(1, named(true, "a.z.")), [EditError::NoZone]);
    assert_eq!(bench.apply(0, named(true, "elsewhere.")), [EditError::OutOfZone]);
    bench.apply(0, named(true, "a.z."));
    bench.apply(0, vec![Change::RemoveZone(name("z.")), Change::AddZone(name("z."))]);
    assert!(!exists(&bench), "the zone came back without it");
    bench.apply(0, named(false, "a.z."));
}

#[test]
fn the_last_source_to_tell_rules_is_the_one_that_takes_them_back() {
    let mut bench = two_sources();
    let apex = name("z.");
    let rules = |fallthrough| Rules { fallthrough, bare_ports: true, ..Rules::default() };
    let set = |fallthrough| vec![Change::SetRules { apex: apex.clone(), rules: rules(fallthrough) }];
    let served = |bench: &Bench| bench.snapshot.as_ref().unwrap().rules(&apex).unwrap();
    assert!(bench.apply(0, set(true)).is_empty());
    bench.apply(1, set(false));
    assert_eq!(served(&bench), rules(false));
    bench.apply(0, vec![Change::RemoveZone(apex.clone())]);
    assert_eq!(served(&bench), rules(false), "they are the other's");
    assert_eq!(bench.apply(0, set(true)), [EditError::NoZone]);
    bench.apply(0, vec![Change::AddZone(apex.clone())]);
    bench.apply(1, vec![Change::RemoveZone(apex.clone())]);
    assert_eq!(served(&bench), Rules::default());
}
