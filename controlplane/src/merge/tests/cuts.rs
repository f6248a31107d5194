//! Suffixes within zones whose names are left to others.

use std::collections::BTreeSet;

use ringdns_engine::recall::is_foreign;
use ringdns_engine::rtype::types;

use super::*;

impl Bench {
    /// Applies changes, and places suffixes: these, where they are others from now on.
    fn place(&mut self, changes: Vec<Change>, suffixes: Option<&[&str]>) {
        if let Some(suffixes) = suffixes {
            self.merge.leave(suffixes.iter().map(|suffix| name(suffix)).collect::<BTreeSet<_>>());
        }
        let base = self.snapshot.take().unwrap_or_else(Snapshot::empty);
        let (mut transaction, mut refusals) = (Transaction::new(&base), Vec::new());
        transaction.set_complete(true, true);
        changes.into_iter().for_each(|change| self.merge.apply(0, change, &mut transaction, &mut refusals));
        self.merge.place_cuts(&mut transaction);
        self.snapshot = Some(transaction.commit());
        assert!(refusals.is_empty(), "{refusals:?}");
    }

    /// Which of some names are those of others.
    fn foreign(&self, names: &[&'static str]) -> Vec<&'static str> {
        let snapshot = self.snapshot.as_ref().unwrap();
        names.iter().filter(|text| is_foreign(snapshot, &name(text), types::A)).copied().collect()
    }

    /// The zones that packets find.
    fn zones(&self) -> Vec<String> {
        self.snapshot.as_ref().unwrap().zones().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn suffixes_are_cut_out_of_the_zones_that_they_are_in() {
    let mut bench = Bench::default();
    let names = ["x.sub.z.", "sub.z.", "x.z.", "x.other.", "x.own.sub.z."];
    bench.place(vec![Change::AddZone(name("z."))], Some(&["sub.z.", "other.", "z."]));
    assert_eq!(bench.foreign(&names), ["x.sub.z.", "sub.z.", "x.other.", "x.own.sub.z."]);
    assert_eq!(bench.zones(), ["z.", "sub.z."], "outside of zones nothing has to be cut");
    assert_eq!(bench.merge.zones().len(), 1, "nobody is shown a zone");
    // A zone within the suffix is ours, and so is one of its own name.
    bench.place(vec![Change::AddZone(name("own.sub.z."))], None);
    assert_eq!(bench.foreign(&names), ["x.sub.z.", "sub.z.", "x.other."]);
    let rrset = Rrset::new(name("sub.z."), rtype::SOA, 60, vec![[b"\0\0".as_slice(), &[0; 20]].concat()]);
    bench.place(vec![Change::AddZone(name("Sub.z.")), Change::Put { apex: name("sub.z."), rrset }], None);
    assert_eq!(bench.foreign(&names), ["x.other."]);
    assert_eq!(bench.merge.zones().len(), 3);
    bench.place(vec![Change::RemoveZone(name("sub.z."))], None);
    assert_eq!(bench.foreign(&names), ["x.sub.z.", "sub.z.", "x.other."], "it is cut out again");
    bench.place(Vec::new(), Some(&[]));
    assert_eq!(bench.foreign(&names), ["x.other."]);
    bench.place(Vec::new(), Some(&["sub.z."]));
    bench.place(vec![Change::RemoveZone(name("z."))], None);
    assert_eq!(bench.zones(), ["own.sub.z."], "without a zone above it there is nothing to cut");
}

#[test]
fn a_zone_that_leaves_names_to_others_is_asked_first() {
    let mut bench = Bench::default();
    let set = |fallthrough| {
        let rules = Rules { fallthrough, ..Rules::default() };
        vec![Change::SetRules { apex: name("z."), rules }]
    };
    let owned =
        vec![Change::AddZone(name("z.")), Change::Put { apex: name("z."), rrset: rrset("a.sub.z. A 192.0.2.1") }];
    bench.place([owned, set(true)].concat(), Some(&["sub.z."]));
    assert_eq!(bench.foreign(&["a.sub.z.", "b.sub.z."]), ["b.sub.z."]);
    bench.place(set(false), None);
    assert_eq!(bench.foreign(&["a.sub.z.", "b.sub.z."]), ["a.sub.z.", "b.sub.z."]);
}
