//! The store by itself.

use std::collections::BTreeMap;

use redb::ReadableDatabase as _;
use redb::ReadableTable as _;
use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Mode, Selection};
use ringdns_engine::snapshot::edit::EditError;

use super::schema::{META, RRSETS, rrset_of};
use super::write::Tables;
use super::*;
use crate::model::{Change, Rrset, RrsetError};
use crate::text::name::Origin;
use crate::text::{rdata, rtype};

fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

fn rrset(owner: &str, rtype: &str, rdatas: &[&str]) -> Rrset {
    let rtype = rtype::parse(rtype).unwrap();
    let rdatas = rdatas.iter().map(|text| rdata::parse_line(rtype, text, Origin::None).unwrap()).collect();
    Rrset::new(name(owner), rtype, 300, rdatas)
}

fn put(owner: &str, rtype: &str, rdatas: &[&str]) -> Write {
    Write::PutRrset { apex: name("z."), rrset: rrset(owner, rtype, rdatas), new: false }
}

fn put_zone(apex: &str) -> Write {
    Write::PutZone { apex: name(apex), fields: Box::default() }
}

fn delete(owner: &str, rtype: &str) -> Write {
    Write::DeleteRrset { apex: name("z."), owner: name(owner), rtype: rtype::parse(rtype).unwrap(), view: None }
}

/// A store in a directory of its own.
fn fresh() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("s.redb")).unwrap();
    (directory, store)
}

impl Store {
    /// One write in a transaction of its own.
    fn write(&self, write: Write) -> Result<(Outcome, Vec<Change>), WriteError> {
        let (mut outcomes, changes) = self.write_all([write]);
        outcomes.pop().unwrap().map(|outcome| (outcome, changes))
    }

    /// Several writes in one transaction.
    fn write_all(&self, writes: impl IntoIterator<Item = Write>) -> (Vec<Result<Outcome, WriteError>>, Vec<Change>) {
        let transaction = self.database.begin_write().unwrap();
        let (mut outcomes, mut changes) = (Vec::new(), Vec::new());
        {
            let mut tables = Tables::open(&transaction, None).unwrap();
            for write in writes {
                outcomes.push(tables.apply(write).map(|(outcome, more)| {
                    changes.extend(more);
                    outcome
                }));
            }
            changes.extend(tables.finish().unwrap());
        }
        transaction.commit().unwrap();
        (outcomes, changes)
    }

    /// The outcome alone.
    fn outcome(&self, write: Write) -> Result<Outcome, WriteError> {
        self.write(write).map(|(outcome, _)| outcome)
    }

    /// All RRsets: `owner type` to `rdata,rdata`.
    fn contents(&self) -> BTreeMap<String, String> {
        let read = self.database.begin_read().unwrap();
        let table = read.open_table(RRSETS).unwrap();
        let mut contents = BTreeMap::new();
        for entry in table.iter().unwrap() {
            let (key, value) = entry.unwrap();
            let (_, Rrset { owner, rtype, rdatas, .. }) = rrset_of(key.value(), value.value()).unwrap();
            let rdatas: Vec<String> = rdatas.iter().map(|bytes| rdata::show(rtype, bytes)).collect();
            contents.insert(format!("{owner} {}", rtype::show(rtype)), rdatas.join(","));
        }
        contents
    }

    /// The serial of zone z.
    fn serial(&self) -> u32 {
        self.contents()["z. SOA"].split(' ').nth(2).unwrap().parse().unwrap()
    }
}

#[test]
fn a_new_zone_has_defaults_and_an_old_one_keeps_what_is_not_given() {
    let (_directory, store) = fresh();
    assert_eq!(store.outcome(put_zone("z.")), Ok(Outcome::Created));
    let contents = store.contents();
    assert_eq!(contents["z. SOA"], "ns.z. hostmaster.z. 1 3600 600 604800 60");
    assert_eq!(contents["z. NS"], "ns.z.");
    let (outcome, changes) = store.write(put_zone("z.")).unwrap();
    assert_eq!((outcome, changes), (Outcome::Replaced, vec![]), "nothing changed, nothing to publish");

    let ns = Some(vec![name("a.example."), name("b.example.")]);
    let fields = Box::new(ZoneFields { ns, ..ZoneFields::default() });
    store.write(Write::PutZone { apex: name("z."), fields }).unwrap();
    assert_eq!(store.contents()["z. NS"], "a.example.,b.example.");
    assert_eq!(store.contents()["z. SOA"], "ns.z. hostmaster.z. 2 3600 600 604800 60");

    let soa = SoaFields { mname: Some(name("m.")), rname: None, numbers: [Some(77), None, None, None, Some(5)] };
    let fields = Box::new(ZoneFields { soa, ttl: Some(9), ns: None });
    store.write(Write::PutZone { apex: name("z."), fields }).unwrap();
    assert_eq!(store.contents()["z. SOA"], "m. hostmaster.z. 77 3600 600 604800 5", "a serial that is given stands");
}

#[test]
fn the_serial_rises_with_each_change_and_wraps() {
    let (_directory, store) = fresh();
    store.write(put_zone("z.")).unwrap();
    let (_, changes) = store.write(put("a.z.", "A", &["192.0.2.1"])).unwrap();
    assert_eq!((changes.len(), store.serial()), (2, 2), "the RRset and the SOA");
    assert!(store.write(put("a.z.", "A", &["192.0.2.1"])).unwrap().1.is_empty());
    assert_eq!(store.serial(), 2, "what is the same is no change");
    store.write(delete("a.z.", "A")).unwrap();
    assert_eq!(store.serial(), 3);
    store.write(put("z.", "SOA", &["a. b. 4294967295 1 2 3 4"])).unwrap();
    assert_eq!(store.serial(), u32::MAX, "a write of the SOA sets the serial itself");
    store.write(put("a.z.", "A", &["192.0.2.1"])).unwrap();
    assert_eq!(store.serial(), 0, "RFC 1982: it wraps");
}

/// The version of the schema that a store's file says it has.
fn format(store: &Store) -> u64 {
    store.database.begin_read().unwrap().open_table(META).unwrap().get("format").unwrap().unwrap().value()
}

#[test]
fn rows_of_the_first_version_are_read_and_the_file_stays_so_until_it_must_not() {
    let (_directory, store) = fresh();
    store.write(put_zone("z.")).unwrap();
    // As the first version wrote them: apex, owner, type; TTL, length, rdata.
    let (key, value) = (b"z\0\0z\0a\0\0\0\x01", b"\0\0\x01\x2c\0\x04\xc0\0\x02\x01\0\x04\xc0\0\x02\x02");
    assert_eq!(rrset_of(key, value), Some((name("z."), rrset("a.z.", "A", &["192.0.2.1", "192.0.2.2"]))));
    store.write(put("a.z.", "A", &["192.0.2.1", "192.0.2.2"])).unwrap();
    let read = store.database.begin_read().unwrap().open_table(RRSETS).unwrap();
    assert_eq!(read.get(key.as_slice()).unwrap().unwrap().value(), value, "and are written so");
    assert_eq!(format(&store), 1);

    let member = |weight, up| Member { weight, up };
    let selection =
        Selection { mode: Mode::Sticky, answers_max: 3, members: vec![member(700, true), member(0, false)] };
    let selected = Rrset { selection: Some(Box::new(selection)), ..rrset("a.z.", "A", &["192.0.2.1", "192.0.2.2"]) };
    let viewed = Rrset { view: Some("office".into()), ..selected.clone() };
    for rrset in [&selected, &viewed] {
        store.write(Write::PutRrset { apex: name("z."), rrset: rrset.clone(), new: false }).unwrap();
        assert_eq!(format(&store), 2);
    }
    let read = store.database.begin_read().unwrap().open_table(RRSETS).unwrap();
    let found =
        read.iter().unwrap().map(|entry| entry.unwrap()).map(|(key, value)| rrset_of(key.value(), value.value()));
    let found: Vec<Rrset> = found.map(|entry| entry.unwrap().1).filter(|rrset| rrset.owner == name("a.z.")).collect();
    assert_eq!(found, [selected, viewed]);
    for damaged in [&b"\x80\0\0\x01"[..], b"\x80\0\0\x01\x09\0\0\0\0\0\x01x", b"\x80\0\0\x01\x01\0\0\0\x02\0\x01x"] {
        assert_eq!(rrset_of(key, damaged), None, "{damaged:?}");
    }
}

#[test]
fn writes_of_one_transaction_raise_the_serial_by_their_number_and_write_the_soa_once() {
    let (_directory, store) = fresh();
    let address = |owner: &str| put(owner, "A", &["192.0.2.1"]);
    let (_, changes) = store.write_all([put_zone("z."), address("a.z."), address("b.z."), delete("a.z.", "A")]);
    // The zone, its SOA and NS records, three changes and the SOA.
    assert_eq!((changes.len(), store.serial()), (7, 4));
    let soa = put("z.", "SOA", &["a. b. 77 1 2 3 4"]);
    let (_, changes) = store.write_all([address("c.z."), address("d.z."), soa, address("e.z.")]);
    // What was written of the SOA in between stands, and counts from there.
    assert_eq!((changes.len(), store.serial()), (6, 78));
    let recreated = [address("f.z."), Write::DeleteZone { apex: name("z.") }, put_zone("z."), address("g.z.")];
    assert!(store.write_all(recreated).0.iter().all(Result::is_ok));
    assert_eq!(store.serial(), 2, "a zone made anew starts anew");
    assert!(store.contents().contains_key("g.z. A") && !store.contents().contains_key("f.z. A"));
}

#[test]
fn wrong_writes_are_refused_and_change_nothing() {
    let (_directory, store) = fresh();
    assert_eq!(store.outcome(put("a.z.", "A", &["192.0.2.1"])), Err(WriteError::ZoneNotFound));
    assert_eq!(store.outcome(delete("a.z.", "A")), Err(WriteError::ZoneNotFound));
    assert_eq!(store.outcome(Write::DeleteZone { apex: name("z.") }), Err(WriteError::ZoneNotFound));
    store.write(put_zone("z.")).unwrap();
    store.write(put("a.z.", "A", &["192.0.2.1"])).unwrap();
    store.write(put("c.z.", "CNAME", &["a.z."])).unwrap();
    let before = store.contents();
    for (write, error) in [
        (put("a.y.", "A", &["192.0.2.1"]), WriteError::OutOfZone),
        (put("a.z.", "CNAME", &["b."]), WriteError::CnameAndOther),
        (put("c.z.", "A", &["192.0.2.1"]), WriteError::CnameAndOther),
        (put("z.", "CNAME", &["b."]), WriteError::CnameAndOther),
        (put("d.z.", "CNAME", &["b.", "c."]), WriteError::Rrset(RrsetError::Several)),
        (put("d.z.", "A", &[]), WriteError::Rrset(RrsetError::Empty)),
        (put("d.z.", "SOA", &["a. b. 1 2 3 4 5"]), WriteError::Rrset(RrsetError::SoaBelowApex)),
        (put("d.z.", "TYPE255", &["\\# 0"]), WriteError::Rrset(RrsetError::NoData)),
        (put("d.z.", "TYPE14", &["\\# 1 ff"]), WriteError::Unservable(EditError::RdataMalformed)),
        (delete("z.", "SOA"), WriteError::ApexNeeded),
        (delete("z.", "NS"), WriteError::ApexNeeded),
        (delete("b.z.", "A"), WriteError::RrsetNotFound),
        (delete("a.z.", "AAAA"), WriteError::RrsetNotFound),
    ] {
        assert_eq!(store.outcome(write.clone()), Err(error), "{write:?}");
    }
    let new = Write::PutRrset { apex: name("z."), rrset: rrset("a.z.", "A", &["192.0.2.2"]), new: true };
    assert_eq!(store.outcome(new), Err(WriteError::Exists));
    assert_eq!(store.contents(), before);
}

#[test]
fn a_deleted_zone_takes_its_rrsets_and_no_others() {
    let (_directory, store) = fresh();
    for apex in ["z.", "sub.z.", "y.", "zz."] {
        store.write(put_zone(apex)).unwrap();
    }
    store.write(put("sub.z.", "A", &["192.0.2.1"])).unwrap();
    assert_eq!(store.outcome(Write::DeleteZone { apex: name("z.") }), Ok(Outcome::Deleted));
    let left: Vec<String> = store.contents().into_keys().collect();
    assert_eq!(left, ["sub.z. NS", "sub.z. SOA", "y. NS", "y. SOA", "zz. NS", "zz. SOA"]);
}

#[test]
fn what_is_no_store_is_refused_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.redb");
    for garbage in [&b"x"[..], &[0; 4096], &[0xff; 1 << 16], b"redb\x1A\x0A\xA9\x0D\x0Axxxxxxxxxxxxxxxxxxxxxxxx"] {
        std::fs::write(&path, garbage).unwrap();
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(error.contains("is damaged or no store") && error.contains("put a backup in its place"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), garbage, "what is no store is not touched");
    }
}

#[test]
fn a_damaged_store_is_told_and_never_panics() {
    let (directory, store) = fresh();
    store.write(put_zone("z.")).unwrap();
    for host in 0..200 {
        store.write(put(&format!("h{host}.z."), "A", &["192.0.2.1"])).unwrap();
    }
    let contents = store.contents();
    drop(store);
    let path = directory.path().join("s.redb");
    let good = std::fs::read(&path).unwrap();
    for position in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        for byte in bad.iter_mut().skip(position).take(64) {
            *byte = !*byte;
        }
        std::fs::write(&path, &bad).unwrap();
        match Store::open(&path) {
            Ok(store) => assert_eq!(store.contents(), contents, "damage at {position} was in no page that is used"),
            Err(error) => assert!(error.to_string().contains("is damaged"), "{error}"),
        }
    }
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(Store::open(&path).unwrap_err().to_string().contains("is damaged"));
}

#[test]
fn a_store_in_use_a_newer_one_and_one_out_of_reach_are_told_apart() {
    let (directory, store) = fresh();
    let path = directory.path().join("s.redb");
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("in use by another process; stop the other RingDNS"), "{error}");
    let write = store.database.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    write.commit().unwrap();
    drop(store);
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("has format 3") && error.contains("install the newer RingDNS"), "{error}");
    let error = Store::open(&path.join("below/a/file")).unwrap_err().to_string();
    assert!(error.contains("cannot be created") && error.contains("create it"), "{error}");
    Store::open(&directory.path().join("made/on/the/way/s.redb")).unwrap();
}
