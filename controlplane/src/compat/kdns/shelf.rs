//! Where records of kdns are kept, in notes of the store, and how the RRsets on the wire follow them.
//!
//! A note has the records of one name as they were written. A record counts as long as it is served, so that other
//! interfaces may change the same names; records that only others made are neither shown nor touched.
//!
//! | key | value |
//! |---|---|
//! | `k` `r`, apex, owner | records of the name |
//! | `k` `v` 0, network as it was written | name of its view |

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ringdns_engine::limits::RRSET_BYTES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Mode, SELECTION_MEMBERS_MAX, Selection};

use super::record::{Kind, Record};
use super::refusal::{Reason, Refused};
use crate::canonical::{push_name, split_name};
use crate::model::{Rrset, TTL_SECONDS_MAX};
use crate::store::{Desk, Look, SoaFields, Write, WriteError, ZoneFields};
use crate::views;

/// What the keys of records start with.
const RECORDS: [u8; 2] = *b"kr";

/// What the keys of networks start with.
pub(super) const NETWORKS: [u8; 3] = *b"kv\0";

/// TTL in seconds of a new zone's SOA and NS records: the original's is 0, which has every resolver ask again for each name that
/// is not there.
const ZONE_TTL_SECONDS: u32 = 60;

/// Serial, refresh, retry, expire and minimum of a new zone's SOA record: those of the original, which never change there.
const SOA_NUMBERS: [u32; 5] = [2_017_070_809, 3600, 900, 1_209_600, 1800];

/// Bytes of a record beside its rdata: compressed owner, type, class, TTL, length.
const RECORD_HEAD_BYTES: usize = 12;

/// Type and view: what tells the RRsets of a name apart.
type Place = (Kind, Option<Arc<str>>);

/// The RRset that a record belongs to.
fn place(record: &Record) -> Place {
    (record.kind, record.view_name())
}

/// What the keys of a zone's records start with.
fn zone_prefix(apex: &WireName) -> Vec<u8> {
    let mut key = RECORDS.to_vec();
    push_name(&mut key, apex);
    key
}

/// The key of a name's records.
pub(super) fn key(apex: &WireName, owner: &WireName) -> Vec<u8> {
    let mut key = zone_prefix(apex);
    push_name(&mut key, owner);
    key
}

/// The records of a note, served or not.
fn parse(key: &[u8], value: &[u8]) -> Vec<Record> {
    serde_json::from_slice(value).unwrap_or_else(|error| {
        tracing::error!(?key, "a note of the kdns interface is damaged, and counts as empty: {error}");
        Vec::new()
    })
}

/// Those of a name's records that have not been removed otherwise.
fn served(
    look: &impl Look,
    apex: &WireName,
    owner: &WireName,
    records: Vec<Record>,
) -> Result<Vec<Record>, WriteError> {
    let mut known: Vec<(Place, HashSet<Vec<u8>>)> = Vec::new();
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        let (kind, view) = place(&record);
        let found = known.iter().position(|(place, _)| *place == (kind, view.clone()));
        let index = match found {
            Some(index) => index,
            None => {
                let rrset = look.rrset_in(apex, owner, kind.rtype(), view.as_deref())?;
                known.push(((kind, view), rrset.into_iter().flat_map(|rrset| rrset.rdatas).collect()));
                known.len() - 1
            }
        };
        let is_served = |rdata| known.get(index).is_some_and(|(_, rdatas)| rdatas.contains(&rdata));
        if record.rdata().is_some_and(is_served) {
            kept.push(record);
        }
    }
    Ok(kept)
}

/// The records of a name, in the order in which they were written.
pub(super) fn records(look: &impl Look, apex: &WireName, owner: &WireName) -> Result<Vec<Record>, WriteError> {
    let key = key(apex, owner);
    let Some(value) = look.note(&key)? else { return Ok(Vec::new()) };
    served(look, apex, owner, parse(&key, &value))
}

/// All records of a zone.
pub(super) fn of_zone(look: &impl Look, apex: &WireName) -> Result<Vec<Record>, WriteError> {
    let mut found = Vec::new();
    for (key, value) in look.notes_below(&zone_prefix(apex))? {
        let names = key.get(RECORDS.len()..).and_then(|names| split_name(split_name(names)?.1));
        let Some((owner, _)) = names else { continue };
        found.extend(served(look, apex, &owner, parse(&key, &value))?);
    }
    Ok(found)
}

/// Makes a zone as the original has it, where there is none.
pub(super) fn ensure_zone(desk: &mut Desk<'_, '_>, apex: &WireName) -> Result<(), WriteError> {
    if desk.has_zone(apex)? {
        return Ok(());
    }
    let name = |label: &[u8]| apex.child(label).unwrap_or_else(|_| apex.clone());
    let soa = SoaFields { mname: Some(name(b"ns1")), rname: Some(name(b"mail")), numbers: SOA_NUMBERS.map(Some) };
    let fields = ZoneFields { ttl: Some(ZONE_TTL_SECONDS), soa, ns: Some(vec![name(b"ns1")]) };
    desk.write(Write::PutZone { apex: apex.clone(), fields: Box::new(fields) }).map(drop)
}

/// What is being done to one name.
pub(super) struct Bench<'d, 'a, 't> {
    /// The store.
    pub(super) desk: &'d mut Desk<'a, 't>,
    /// The zone.
    pub(super) apex: &'d WireName,
    /// The name.
    pub(super) owner: &'d WireName,
    /// What could not be taken.
    pub(super) refused: &'d mut Vec<Refused>,
}

/// The records of one RRset being changed.
struct Change {
    /// The records of this interface.
    own: Vec<Record>,
    /// The RRset, with what others have put into it.
    rrset: Rrset,
    /// The rdata of all.
    known: HashSet<Vec<u8>>,
    /// The rdata of those of this interface.
    own_known: HashSet<Vec<u8>>,
}

impl Bench<'_, '_, '_> {
    /// Notes what cannot be taken.
    fn refuse(&mut self, record: &Record, reason: Reason) {
        self.refused.push(Refused { what: describe(record), reason });
    }

    /// What is there of an RRset.
    fn change(&self, own: &[Record], (kind, view): &Place, ttl: u32) -> Result<Change, WriteError> {
        let own: Vec<Record> = own.iter().filter(|record| place(record) == (*kind, view.clone())).cloned().collect();
        let own_known = own.iter().filter_map(Record::rdata).collect();
        let rrset = self.desk.rrset_in(self.apex, self.owner, kind.rtype(), view.as_deref())?;
        let fresh = || Rrset { view: view.clone(), ..Rrset::new(self.owner.clone(), kind.rtype(), ttl, Vec::new()) };
        let rrset = rrset.unwrap_or_else(fresh);
        let known = rrset.rdatas.iter().cloned().collect();
        Ok(Change { own, rrset, known, own_known })
    }

    /// Adds records to the name, all of one call to an RRset at once.
    pub(super) fn add(&mut self, records: &[Record]) -> Result<(), WriteError> {
        let key = key(self.apex, self.owner);
        let noted = self.desk.note(&key)?.map(|value| parse(&key, &value)).unwrap_or_default();
        let mut kept = served(self.desk, self.apex, self.owner, noted.clone())?;
        for (place, records) in by_place(records) {
            let Some(ttl) = records.first().and_then(|record| ttl(record)) else { continue };
            let before = self.change(&kept, &place, ttl)?;
            let added = self.add_to(before, &records)?;
            kept.extend(added);
        }
        self.note(&key, &noted, &kept)
    }

    /// Adds records to an RRset; gives those that were taken.
    fn add_to(&mut self, mut change: Change, records: &[&Record]) -> Result<Vec<Record>, WriteError> {
        let (mut added, mut is_other) = (Vec::new(), false);
        for &record in records {
            let Some(rdata) = record.rdata() else { continue };
            match change.objection(added.first(), record, &rdata) {
                Some(reason) => self.refuse(record, reason),
                // What is there already is no mistake: agents push everything again.
                None if !change.own_known.insert(rdata.clone()) => {}
                None => {
                    if change.known.insert(rdata.clone()) {
                        change.rrset.rdatas.push(rdata);
                        is_other = true;
                    }
                    added.push(record.clone());
                }
            }
        }
        if !is_other {
            return Ok(added);
        }
        let own: Vec<Record> = change.own.iter().chain(&added).cloned().collect();
        change.rrset.selection = selection(&own, &change.rrset);
        match self.desk.write(Write::PutRrset { apex: self.apex.clone(), rrset: change.rrset, new: false }) {
            Ok(_) => Ok(added),
            Err(error) => {
                let reason = Reason::of_error(&error).ok_or(error)?;
                added.iter().for_each(|record| self.refuse(record, reason));
                Ok(Vec::new())
            }
        }
    }

    /// Removes records of the name. What is not there is no mistake.
    pub(super) fn remove(&mut self, records: &[Record]) -> Result<(), WriteError> {
        let key = key(self.apex, self.owner);
        let Some(value) = self.desk.note(&key)? else { return Ok(()) };
        let noted = parse(&key, &value);
        let mut kept = served(self.desk, self.apex, self.owner, noted.clone())?;
        for (place_of, records) in by_place(records) {
            let gone: HashSet<Vec<u8>> = records.iter().filter_map(|record| record.rdata()).collect();
            let stays = |record: &Record| record.rdata().is_none_or(|rdata| !gone.contains(&rdata));
            let Change { own, mut rrset, .. } = self.change(&kept, &place_of, 0)?;
            let (stay, go): (Vec<Record>, Vec<Record>) = own.into_iter().partition(stays);
            if go.is_empty() {
                continue;
            }
            let go: HashSet<Vec<u8>> = go.iter().filter_map(Record::rdata).collect();
            let mut places = rrset.rdatas.iter().map(|rdata| !go.contains(rdata));
            if let Some(selection) = &mut rrset.selection {
                selection.members.retain(|_| places.next().unwrap_or(true));
            }
            rrset.rdatas.retain(|rdata| !go.contains(rdata));
            let apex = self.apex.clone();
            let write = if rrset.rdatas.is_empty() {
                let (owner, view) = (self.owner.clone(), rrset.view);
                Write::DeleteRrset { apex, owner, rtype: rrset.rtype, view }
            } else {
                if !stay.is_empty() {
                    rrset.selection = selection(&stay, &rrset);
                }
                Write::PutRrset { apex, rrset, new: false }
            };
            self.desk.write(write)?;
            kept.retain(|record| place(record) != place_of || stays(record));
        }
        self.note(&key, &noted, &kept)
    }

    /// Writes the note of the name, where it has changed.
    fn note(&mut self, key: &[u8], before: &[Record], now: &[Record]) -> Result<(), WriteError> {
        if before == now {
            return Ok(());
        }
        let value = serde_json::to_vec(now).map_err(|error| WriteError::Storage(error.to_string()))?;
        self.desk.set_note(key, Some(value.as_slice()).filter(|_| !now.is_empty()))
    }
}

impl Change {
    /// Why a record cannot join; `first` is the first of those that have joined just now.
    fn objection(&self, first: Option<&Record>, record: &Record, rdata: &[u8]) -> Option<Reason> {
        let is_empty = self.rrset.rdatas.is_empty();
        match self.own.first().or(first) {
            Some(own) if own.ttl != record.ttl => return Some(Reason::OtherTtl),
            Some(own) if own.lb_mode != record.lb_mode => return Some(Reason::OtherMode),
            // What others made: its TTL is that of all (RFC 2181 section 5.2).
            None if !is_empty && ttl(record) != Some(self.rrset.ttl) => return Some(Reason::OtherTtl),
            _ => {}
        }
        if self.known.contains(rdata) {
            return None;
        }
        if record.kind == Kind::Cname && !is_empty {
            return Some(Reason::SecondCname);
        }
        let leader = self.own.first().or(first).unwrap_or(record);
        // Where all are given in any case, what takes part in no selection can be served too.
        let is_chosen = leader.mode() != Some(Mode::Rotate) || leader.answers_max() != 0;
        let most = if is_chosen { SELECTION_MEMBERS_MAX } else { RRSET_BYTES_MAX / (rdata.len() + RECORD_HEAD_BYTES) };
        (self.rrset.rdatas.len() >= most).then_some(Reason::TooMany)
    }
}

/// How the records of an RRset are chosen from; nothing where there is no choice, so that it goes the short way.
fn selection(own: &[Record], rrset: &Rrset) -> Option<Box<Selection>> {
    let first = own.first()?;
    let mode = first.mode()?;
    let answers_max = if mode == Mode::Rotate { first.answers_max() } else { 0 };
    if rrset.rdatas.len() < 2 || (rrset.rdatas.len() > SELECTION_MEMBERS_MAX && answers_max == 0) {
        return None;
    }
    let weights: HashMap<Vec<u8>, u16> = match mode {
        Mode::Weighted => own.iter().filter_map(|record| Some((record.rdata()?, record.weight()))).collect(),
        _ => HashMap::new(),
    };
    // Which are down is said by others, and stays; the new ones stand behind.
    let before = rrset.selection.as_ref().map_or(&[][..], |selection| &selection.members);
    let of = |(index, rdata): (usize, &Vec<u8>)| Member {
        weight: weights.get(rdata).copied().unwrap_or(1),
        up: before.get(index).is_none_or(|member| member.up),
    };
    let members = rrset.rdatas.iter().enumerate().map(of).collect();
    Some(Box::new(Selection { mode, answers_max, members }))
}

/// Records by RRset, in the order in which they come.
fn by_place(records: &[Record]) -> Vec<(Place, Vec<&Record>)> {
    let mut groups: Vec<(Place, Vec<&Record>)> = Vec::new();
    for record in records {
        let place = place(record);
        match groups.iter_mut().find(|(known, _)| *known == place) {
            Some((_, group)) => group.push(record),
            None => groups.push((place, vec![record])),
        }
    }
    groups
}

/// The TTL in seconds; nothing where it is none.
fn ttl(record: &Record) -> Option<u32> {
    u32::try_from(record.ttl).ok().filter(|&ttl| ttl <= TTL_SECONDS_MAX)
}

/// What a record cannot be taken for, whatever else is there.
pub(super) fn fault(record: &Record) -> Option<Reason> {
    if ttl(record).is_none() {
        return Some(Reason::Ttl);
    }
    if record.mode().is_none() {
        return Some(Reason::Mode);
    }
    record.view_name().is_some_and(|view| !views::is_name(&view)).then_some(Reason::ViewName)
}

/// A record in a line of the log.
pub(super) fn describe(record: &Record) -> String {
    let Record { kind, zone, domain, host, view, ttl, lb_mode, .. } = record;
    format!("{domain} {kind:?} {host} (zone {zone}, view {view}, ttl {ttl}, lbMode {lb_mode})")
}
