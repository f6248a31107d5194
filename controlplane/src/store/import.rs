//! Imports: a whole zone, or a part of one, in one edit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableTable as _;
use ringdns_engine::name::WireName;

use super::edit::{Desk, Edit, Look as _};
use super::schema::{after, rrset_key, split_rrset_key};
use super::tag::stored;
use super::write::Stored as _;
use super::{Outcome, Write, WriteError, split_soa};
use crate::canonical::name_key;
use crate::model::Rrset;
use crate::text::rtype;

/// What an import refuses itself with where nothing is to be written.
const DRY_RUN: &str = "this was a dry run";

/// RRsets that a zone is to have.
#[derive(Debug)]
pub(crate) struct Import {
    /// The zone.
    pub(crate) apex: WireName,
    /// Its RRsets, each normalised, none twice.
    pub(crate) rrsets: Vec<Rrset>,
    /// True: what is not among them goes, except for the SOA and NS records of the apex; and the zone is made where there
    /// is none.
    pub(crate) replaces: bool,
    /// True: only what would be done is found out.
    pub(crate) is_dry_run: bool,
    /// RRsets that are done with, while it is carried out.
    done: AtomicU64,
    /// What became of it, the last time that it was carried out.
    report: Mutex<Report>,
}

/// What became of an import.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// How many RRsets were changed, and how.
    pub(crate) counts: Counts,
    /// Which of the RRsets was refused.
    pub(crate) refused: Option<usize>,
    /// True where all went well, also in a dry run.
    pub(crate) is_whole: bool,
}

/// RRsets by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Were not there before.
    pub(crate) created: u64,
    /// Were other ones before.
    pub(crate) replaced: u64,
    /// Are there no longer.
    pub(crate) deleted: u64,
    /// Were there before.
    pub(crate) unchanged: u64,
}

impl Import {
    /// Nothing of it is done yet.
    pub(crate) fn new(apex: WireName, rrsets: Vec<Rrset>, replaces: bool, is_dry_run: bool) -> Arc<Self> {
        Arc::new(Self { apex, rrsets, replaces, is_dry_run, done: AtomicU64::new(0), report: Mutex::default() })
    }

    /// RRsets that are done with, while it is carried out.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// What became of it.
    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Carries it out.
    fn carry_out(&self, desk: &mut Desk<'_, '_>, report: &mut Report) -> Result<(), WriteError> {
        let is_new = !desk.has_zone(&self.apex)?;
        if is_new && !self.replaces {
            return Err(WriteError::ZoneNotFound);
        }
        if is_new {
            desk.write(Write::PutZone { apex: self.apex.clone(), fields: Box::default() })?;
        } else if self.replaces {
            self.delete_others(desk, report)?;
        }
        desk.settle(&self.apex)?;
        let soa = self.rrsets.iter().position(|rrset| rrset.rtype == rtype::SOA && rrset.owner == self.apex);
        // A serial that is given is the zone's serial in the end; an old one has to rise by what else is changed.
        let is_serial_given = match soa.and_then(|index| self.rrsets.get(index)) {
            Some(given) => {
                let before = stored(desk, &self.apex, &self.apex, (rtype::SOA, None))?;
                is_new || before.as_ref().and_then(serial) != serial(given)
            }
            None => false,
        };
        let others = (0..self.rrsets.len()).filter(|index| Some(*index) != soa);
        let (first, last) = if is_serial_given { (None, soa) } else { (soa, None) };
        self.done.store(0, Ordering::Relaxed);
        for index in first.into_iter().chain(others).chain(last) {
            self.done.fetch_add(1, Ordering::Relaxed);
            let Some(rrset) = self.rrsets.get(index) else { continue };
            report.refused = Some(index);
            self.put(desk, rrset, is_new, &mut report.counts)?;
        }
        report.refused = None;
        Ok(())
    }

    /// Deletes what the zone has and the import has not.
    fn delete_others(&self, desk: &mut Desk<'_, '_>, report: &mut Report) -> Result<(), WriteError> {
        let key = |rrset: &Rrset| rrset_key(&self.apex, &rrset.owner, rrset.rtype, rrset.view.as_deref());
        let wanted: HashSet<Vec<u8>> = self.rrsets.iter().map(key).collect();
        let prefix = name_key(&self.apex);
        let mut others = Vec::new();
        for entry in desk.rrsets().range(prefix.as_slice()..after(&prefix).as_slice()).stored()? {
            let (key, _) = entry.stored()?;
            if !wanted.contains(key.value()) {
                others.extend(split_rrset_key(key.value()));
            }
        }
        for (apex, owner, rtype, view) in others {
            let is_needed = owner == apex && view.is_none() && matches!(rtype, rtype::SOA | rtype::NS);
            if !is_needed {
                desk.write(Write::DeleteRrset { apex, owner, rtype, view })?;
                report.counts.deleted += 1;
            }
        }
        Ok(())
    }

    /// Writes one RRset, unless it is there.
    fn put(&self, desk: &mut Desk<'_, '_>, rrset: &Rrset, is_new: bool, counts: &mut Counts) -> Result<(), WriteError> {
        let before = stored(desk, &self.apex, &rrset.owner, (rrset.rtype, rrset.view.as_deref()))?;
        let is_same = before.as_ref() == Some(rrset);
        if is_same && !is_new {
            counts.unchanged += 1;
            return Ok(());
        }
        if is_same {
            counts.created += 1;
            return Ok(());
        }
        let outcome = desk.write(Write::PutRrset { apex: self.apex.clone(), rrset: rrset.clone(), new: false })?;
        // In a new zone the SOA and NS records that it was made with are not worth a word.
        match outcome {
            Outcome::Replaced if !is_new => counts.replaced += 1,
            _ => counts.created += 1,
        }
        Ok(())
    }
}

impl Edit for Import {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        let mut report = Report::default();
        let carried_out = self.carry_out(desk, &mut report);
        report.is_whole = carried_out.is_ok();
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        carried_out?;
        if self.is_dry_run { Err(WriteError::Refused(DRY_RUN.to_owned())) } else { Ok(()) }
    }
}

/// The serial of an SOA RRset.
fn serial(soa: &Rrset) -> Option<u32> {
    soa.rdatas.first().and_then(|rdata| split_soa(rdata)).map(|(_, _, numbers)| numbers[0])
}
