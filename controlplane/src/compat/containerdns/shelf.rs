//! Where the interface's records are kept, in notes of the store, and how what is on the wire follows them.
//!
//! A note says what the interface was told; what is served are RRsets as everybody can write them. So that nothing is shown
//! or held against anybody which was since removed otherwise, a record counts as long as it is served.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::select::{Member, Mode, Selection};

use super::monitor;
use super::record::{Kind, Record, WireRecord, kept_name};
use crate::canonical::{push_name, split_name};
use crate::model::Rrset;
use crate::store::{Desk, Look, SoaFields, Write, WriteError, ZoneFields};

/// First byte of the keys of records; `monitor` has the other.
const RECORDS: u8 = b'r';

/// TTL in seconds of a new zone's SOA record, and its negative TTL.
const SOA_TTL_SECONDS: u32 = 60;

/// Refresh, retry and expire of a new zone's SOA record, in seconds: those of the original.
const SOA_SECONDS: [u32; 3] = [14_400, 3600, 604_800];

/// How new RRsets are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    /// TTL in seconds.
    pub(super) ttl_seconds: u32,
    /// How addresses are chosen from.
    pub(super) mode: Mode,
}

/// The key of a name's records.
fn key(apex: &WireName, name: &WireName) -> Vec<u8> {
    let mut key = vec![RECORDS];
    push_name(&mut key, apex);
    push_name(&mut key, name);
    key
}

/// The records of a note, served or not.
fn parse(key: &[u8], value: &[u8]) -> Vec<Record> {
    serde_json::from_slice(value).unwrap_or_else(|error| {
        tracing::error!(?key, "a note of the ContainerDNS interface is damaged, and counts as empty: {error}");
        Vec::new()
    })
}

/// How many of a name's records are services.
fn services(records: &[Record]) -> usize {
    records.iter().filter(|record| record.kind == Kind::Srv).count()
}

/// What records of a name are on the wire.
fn on_wire(apex: &WireName, name: &WireName, records: &[Record]) -> Vec<WireRecord> {
    some_on_wire(apex, name, records, services(records))
}

/// What some records of a name with so many services are on the wire.
fn some_on_wire(apex: &WireName, name: &WireName, records: &[Record], services: usize) -> Vec<WireRecord> {
    records.iter().filter_map(|record| record.on_wire(apex, name, services)).flatten().collect()
}

/// The records of a name, in the order in which they were written.
pub(super) fn records(look: &impl Look, apex: &WireName, name: &WireName) -> Result<Vec<Record>, WriteError> {
    let key = key(apex, name);
    let Some(value) = look.note(&key)? else { return Ok(Vec::new()) };
    served(look, apex, name, parse(&key, &value))
}

/// Those of a name's records that have not been removed otherwise.
fn served(look: &impl Look, apex: &WireName, name: &WireName, records: Vec<Record>) -> Result<Vec<Record>, WriteError> {
    let mut kept = Vec::with_capacity(records.len());
    let mut known: HashMap<(WireName, u16), HashSet<Vec<u8>>> = HashMap::new();
    for record in records {
        let first = record.on_wire(apex, name, 1).and_then(|records| records.into_iter().next());
        let Some(WireRecord { owner, rtype, rdata, .. }) = first else { continue };
        let rdatas = match known.entry((owner, rtype)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let rrset = look.rrset(apex, &unknown.key().0, rtype)?;
                unknown.insert(rrset.into_iter().flat_map(|rrset| rrset.rdatas).collect())
            }
        };
        if rdatas.contains(&rdata) {
            kept.push(record);
        }
    }
    Ok(kept)
}

/// The records of a name and of all below it.
pub(super) fn subtree(
    look: &impl Look,
    apex: &WireName,
    name: &WireName,
) -> Result<Vec<(WireName, Vec<Record>)>, WriteError> {
    // Without the zero byte that ends the name, its key starts those of all names below it.
    let mut prefix = key(apex, name);
    prefix.pop();
    let mut found = Vec::new();
    for (key, value) in look.notes_below(&prefix)? {
        let split = key.get(1..).and_then(|names| split_name(split_name(names)?.1));
        let Some((name, _)) = split else { continue };
        let records = served(look, apex, &name, parse(&key, &value))?;
        if !records.is_empty() {
            found.push((name, records));
        }
    }
    Ok(found)
}

/// Has a name have these records and no others; the RRsets and the table of monitored addresses follow.
pub(super) fn replace(
    desk: &mut Desk<'_, '_>,
    apex: &WireName,
    name: &WireName,
    new: &[Record],
    fresh: Fresh,
) -> Result<(), WriteError> {
    if !desk.has_zone(apex)? {
        let write = Write::PutZone { apex: apex.clone(), fields: Box::new(zone_fields(apex)) };
        desk.write(write)?;
    }
    let key = key(apex, name);
    let noted = desk.note(&key)?.map(|value| parse(&key, &value)).unwrap_or_default();
    let old = served(desk, apex, name, noted.clone())?;
    for ((owner, rtype), change) in differences(desk, apex, name, &old, new)? {
        change_rrset(desk, apex, &owner, rtype, change, fresh)?;
    }
    let value = serde_json::to_vec(new).map_err(|error| WriteError::Storage(error.to_string()))?;
    desk.set_note(&key, Some(value.as_slice()).filter(|_| !new.is_empty()))?;
    monitor::follow(desk, &name.to_string(), &noted, new)
}

/// What changes in an RRset.
#[derive(Debug, Default)]
struct Difference {
    /// Rdata that goes.
    removed: HashSet<Vec<u8>>,
    /// Records that come, in their order.
    added: Vec<WireRecord>,
}

/// What changes on the wire when a name has other records, by owner and type.
fn differences(
    desk: &Desk<'_, '_>,
    apex: &WireName,
    name: &WireName,
    old: &[Record],
    new: &[Record],
) -> Result<BTreeMap<(WireName, u16), Difference>, WriteError> {
    let of_services = (services(old), services(new));
    // Each service's weight follows from their number; all else of a record is its own, and of thousands few are others.
    let (gone, come) = if of_services.0 == of_services.1 { without_ends(old, new) } else { (old, new) };
    let before = some_on_wire(apex, name, gone, of_services.0);
    let after = some_on_wire(apex, name, come, of_services.1);
    let mut differences: BTreeMap<(WireName, u16), Difference> = BTreeMap::new();
    let mut wanted: HashMap<WireName, HashSet<WireRecord>> = HashMap::new();
    // What goes may be wanted by a record that stays.
    let stays = if before.is_empty() { Vec::new() } else { on_wire(apex, name, new) };
    let stays: HashSet<&WireRecord> = stays.iter().collect();
    for record in before.iter().filter(|record| !stays.contains(record)) {
        let wanted = match wanted.entry(record.owner.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(wanted_elsewhere(desk, apex, name, &record.owner)?),
        };
        if !wanted.contains(record) {
            let difference = differences.entry((record.owner.clone(), record.rtype)).or_default();
            difference.removed.insert(record.rdata.clone());
        }
    }
    let was: HashSet<&WireRecord> = before.iter().collect();
    for record in after.iter().filter(|record| !was.contains(record)) {
        differences.entry((record.owner.clone(), record.rtype)).or_default().added.push(record.clone());
    }
    Ok(differences)
}

/// What is left of two lists without what they begin and end with in common.
fn without_ends<'a>(old: &'a [Record], new: &'a [Record]) -> (&'a [Record], &'a [Record]) {
    let common = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(common..).unwrap_or_default(), new.get(common..).unwrap_or_default());
    let common = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let keep = |records: &'a [Record]| records.get(..records.len() - common).unwrap_or_default();
    (keep(old), keep(new))
}

/// What the records of other names than `name` are on the wire at an owner and its neighbours.
fn wanted_elsewhere(
    desk: &Desk<'_, '_>,
    apex: &WireName,
    name: &WireName,
    owner: &WireName,
) -> Result<HashSet<WireRecord>, WriteError> {
    // Who can have something at an owner: itself, an SRV name above it, a name or mail server of that label.
    let mut places: Vec<WireName> = vec![owner.clone()];
    places.extend(owner.parent());
    places.extend([Kind::Ns, Kind::Mx].into_iter().filter_map(|kind| kept_name(apex, owner, kind)));
    if owner == apex {
        for branch in [Kind::Ns, Kind::Mx, Kind::Txt].into_iter().filter_map(|kind| kept_name(apex, apex, kind)) {
            places.extend(subtree(desk, apex, &branch)?.into_iter().map(|(name, _)| name));
        }
    }
    let mut wanted = HashSet::new();
    for place in places.iter().filter(|place| *place != name) {
        wanted.extend(on_wire(apex, place, &records(desk, apex, place)?));
    }
    Ok(wanted)
}

/// Takes records out of an RRset and puts others in; what is neither stays.
fn change_rrset(
    desk: &mut Desk<'_, '_>,
    apex: &WireName,
    owner: &WireName,
    rtype: u16,
    Difference { removed, added }: Difference,
    fresh: Fresh,
) -> Result<(), WriteError> {
    let current = desk.rrset(apex, owner, rtype)?;
    let ttl = added.iter().find_map(|record| record.ttl).unwrap_or(fresh.ttl_seconds);
    let is_new = current.is_none();
    let mut rrset = current.unwrap_or_else(|| Rrset::new(owner.clone(), rtype, ttl, Vec::new()));
    if is_new && matches!(rtype, types::A | types::AAAA) && fresh.mode != Mode::All {
        rrset.selection = Some(Box::new(Selection { mode: fresh.mode, ..Selection::default() }));
    }
    retain(&mut rrset, |rdata| !removed.contains(rdata));
    let mut known: HashSet<Vec<u8>> = rrset.rdatas.iter().cloned().collect();
    for record in added.iter().filter(|record| known.insert(record.rdata.clone())) {
        rrset.rdatas.push(record.rdata.clone());
        if let Some(selection) = rrset.selection.as_mut().filter(|selection| !selection.members.is_empty()) {
            selection.members.push(Member::default());
        }
    }
    if rtype == types::NS && owner == apex {
        let stand_in = name_server(apex).as_bytes().to_vec();
        if rrset.rdatas.is_empty() {
            // NS records at its apex are mandatory in every zone (RFC 2181 section 6.1).
            rrset.rdatas.push(stand_in);
        } else if rrset.rdatas.len() > 1 && !added.is_empty() && !is_told(desk, apex, &added, &stand_in)? {
            retain(&mut rrset, |rdata| rdata != stand_in);
        }
    }
    let write = match rrset.rdatas.is_empty() {
        true if is_new => return Ok(()),
        true => Write::DeleteRrset { apex: apex.clone(), owner: owner.clone(), rtype, view: None },
        false => Write::PutRrset { apex: apex.clone(), rrset, new: false },
    };
    desk.write(write).map(drop)
}

/// True where the name server that a new zone gets was told by somebody too.
fn is_told(desk: &Desk<'_, '_>, apex: &WireName, added: &[WireRecord], stand_in: &[u8]) -> Result<bool, WriteError> {
    let wire = WireRecord { owner: apex.clone(), rtype: types::NS, rdata: stand_in.to_vec(), ttl: None };
    Ok(added.contains(&wire) || wanted_elsewhere(desk, apex, apex, apex)?.contains(&wire))
}

/// Keeps some records of an RRset, each with its member.
fn retain(rrset: &mut Rrset, keeps: impl Fn(&[u8]) -> bool) {
    if let Some(selection) = &mut rrset.selection {
        let mut kept = rrset.rdatas.iter().map(|rdata| keeps(rdata));
        selection.members.retain(|_| kept.next().unwrap_or(true));
    }
    rrset.rdatas.retain(|rdata| keeps(rdata));
}

/// The name server of a zone that none was told for.
fn name_server(apex: &WireName) -> WireName {
    apex.child(b"ns1").unwrap_or_else(|_| apex.clone())
}

/// What a new zone's own records say: what the original answers for its suffixes.
fn zone_fields(apex: &WireName) -> ZoneFields {
    let [refresh, retry, expire] = SOA_SECONDS.map(Some);
    let soa = SoaFields {
        mname: Some(name_server(apex)),
        rname: None,
        numbers: [None, refresh, retry, expire, Some(SOA_TTL_SECONDS)],
    };
    ZoneFields { ttl: Some(SOA_TTL_SECONDS), soa, ns: Some(vec![name_server(apex)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_lists_begin_and_end_with_in_common_is_left_out() {
        let list = |hosts: &str| -> Vec<Record> {
            hosts.chars().map(|host| Record::new(Kind::A, host.to_string(), "")).collect()
        };
        for (old, new, gone, come) in [
            ("abc", "abcd", "", "d"),
            ("abc", "ac", "b", ""),
            ("abc", "axc", "b", "x"),
            ("aa", "a", "a", ""),
            ("ab", "ab", "", ""),
            ("", "a", "", "a"),
            ("ab", "ba", "ab", "ba"),
        ] {
            let (old, new) = (list(old), list(new));
            let left = without_ends(&old, &new);
            assert_eq!((left.0.to_vec(), left.1.to_vec()), (list(gone), list(come)));
        }
    }

    #[test]
    fn the_keys_of_names_below_start_with_that_of_the_name() {
        let name = |text: &str| -> WireName { text.parse().unwrap() };
        let (apex, mut prefix) = (name("c.local."), key(&name("c.local."), &name("a.c.local.")));
        prefix.pop();
        assert!(key(&apex, &name("b.a.c.local.")).starts_with(&prefix));
        assert!(!key(&apex, &name("ab.c.local.")).starts_with(&prefix));
    }
}
