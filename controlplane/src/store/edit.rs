//! Edits: several writes that belong together, decided on what the store has at that moment. An edit sees the store as the
//! transaction has it so far, and all of it is kept or nothing.
//!
//! Interfaces that know more of a record than DNS does (who made it, by which label) keep that in notes beside the RRsets.

use std::fmt;

use redb::{ReadableDatabase as _, ReadableTable, WriteTransaction};
use ringdns_engine::name::WireName;

use super::schema::{NOTES, RRSETS, ZONES, after, rrset_key, rrset_of};
use super::write::{Stored as _, Tables};
use super::{Outcome, Write, WriteError};
use crate::canonical::name_key;
use crate::model::{Change, Rrset};

/// Key and value of a note.
pub(crate) type Note = (Vec<u8>, Vec<u8>);

/// Several writes that belong together.
pub trait Edit: fmt::Debug + Send + Sync {
    /// Looks and writes. May be called again after it has failed, in another transaction: what it wants must not change by
    /// being asked.
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError>;
}

/// Reads what the store has.
pub(crate) trait Look {
    /// The table of notes; nothing where there never was one.
    fn notes(&self) -> Option<&impl ReadableTable<&'static [u8], &'static [u8]>>;

    /// The table of RRsets.
    fn rrsets(&self) -> &impl ReadableTable<&'static [u8], &'static [u8]>;

    /// A note.
    fn note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, WriteError> {
        let Some(notes) = self.notes() else { return Ok(None) };
        Ok(notes.get(key).stored()?.map(|value| value.value().to_vec()))
    }

    /// The notes whose keys start with `prefix`, which ends in a zero byte.
    fn notes_below(&self, prefix: &[u8]) -> Result<Vec<Note>, WriteError> {
        let Some(notes) = self.notes() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in notes.range(prefix..after(prefix).as_slice()).stored()? {
            let (key, value) = entry.stored()?;
            found.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(found)
    }

    /// An RRset of the default view.
    fn rrset(&self, apex: &WireName, owner: &WireName, rtype: u16) -> Result<Option<Rrset>, WriteError> {
        let key = rrset_key(apex, owner, rtype, None);
        let value = self.rrsets().get(key.as_slice()).stored()?;
        Ok(value.and_then(|value| rrset_of(&key, value.value())).map(|(_, rrset)| rrset))
    }
}

/// Where an edit works.
pub struct Desk<'a, 't> {
    /// The tables of the transaction.
    tables: &'a mut Tables<'t>,
    /// Notes of the transaction.
    notes: redb::Table<'t, &'static [u8], &'static [u8]>,
    /// What the cycle has to know.
    changes: Vec<Change>,
    /// True once anything was written.
    written: bool,
}

impl fmt::Debug for Desk<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("changes", &self.changes).field("written", &self.written).finish_non_exhaustive()
    }
}

impl Look for Desk<'_, '_> {
    fn notes(&self) -> Option<&impl ReadableTable<&'static [u8], &'static [u8]>> {
        Some(&self.notes)
    }

    fn rrsets(&self) -> &impl ReadableTable<&'static [u8], &'static [u8]> {
        &self.tables.rrsets
    }
}

impl Desk<'_, '_> {
    /// True where the store has a zone.
    pub(crate) fn has_zone(&self, apex: &WireName) -> Result<bool, WriteError> {
        Ok(self.tables.zones.get(name_key(apex).as_slice()).stored()?.is_some())
    }

    /// Writes a note, or removes it.
    pub(crate) fn set_note(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), WriteError> {
        self.written = true;
        match value {
            Some(value) => drop(self.notes.insert(key, value).stored()?),
            None => drop(self.notes.remove(key).stored()?),
        }
        Ok(())
    }

    /// One of the plain writes.
    pub(crate) fn write(&mut self, write: Write) -> Result<Outcome, WriteError> {
        // Until it has gone well, half of it may be there.
        let written = std::mem::replace(&mut self.written, true);
        let (outcome, changes) = self.tables.apply(write)?;
        self.written = written || !changes.is_empty();
        self.changes.extend(changes);
        Ok(outcome)
    }
}

/// What became of an edit.
pub(super) struct Edited {
    /// Its outcome.
    pub(super) outcome: Result<(), WriteError>,
    /// What the cycle has to know.
    pub(super) changes: Vec<Change>,
    /// True where something is in the transaction.
    pub(super) written: bool,
}

/// Carries an edit out. Where it fails after something was written, the transaction is spoilt.
pub(super) fn carry_out<'t>(
    edit: &dyn Edit,
    tables: &mut Tables<'t>,
    transaction: &'t WriteTransaction,
) -> Result<Edited, WriteError> {
    let notes = transaction.open_table(NOTES).stored()?;
    let mut desk = Desk { tables, notes, changes: Vec::new(), written: false };
    let outcome = edit.edit(&mut desk);
    let Desk { changes, written, .. } = desk;
    Ok(Edited { outcome, changes, written })
}

/// What the store has at one moment, for readers.
pub(crate) struct Reading {
    /// The notes; none were ever written where there is no table.
    notes: Option<redb::ReadOnlyTable<&'static [u8], &'static [u8]>>,
    /// The RRsets.
    rrsets: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    /// The zones.
    zones: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Reading {
    /// Opens the tables.
    pub(super) fn open(database: &redb::Database) -> Result<Self, WriteError> {
        let read = database.begin_read().stored()?;
        let notes = match read.open_table(NOTES) {
            Ok(notes) => Some(notes),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(WriteError::Storage(error.to_string())),
        };
        Ok(Self { notes, rrsets: read.open_table(RRSETS).stored()?, zones: read.open_table(ZONES).stored()? })
    }

    /// True where the store has a zone.
    pub(crate) fn has_zone(&self, apex: &WireName) -> Result<bool, WriteError> {
        Ok(self.zones.get(name_key(apex).as_slice()).stored()?.is_some())
    }
}

impl Look for Reading {
    fn notes(&self) -> Option<&impl ReadableTable<&'static [u8], &'static [u8]>> {
        self.notes.as_ref()
    }

    fn rrsets(&self) -> &impl ReadableTable<&'static [u8], &'static [u8]> {
        &self.rrsets
    }
}
