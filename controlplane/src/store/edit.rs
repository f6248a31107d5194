//! Edits: several writes that belong together, decided on what the store has at that moment. An edit sees the store as the
//! transaction has it so far, and all of it is kept or nothing.
//!
//! Interfaces that know more of a record than DNS does (who made it, by which label) keep that in notes beside the RRsets.

use std::fmt;

use redb::{ReadableDatabase as _, ReadableTable, WriteTransaction};
use ringdns_engine::name::WireName;

use super::etcd::{Kind, Logged};
use super::schema::{NOTES, RRSETS, VIEWS, ZONES, after, rrset_key, rrset_of};
use super::view::{self, View, existing};
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

    /// The table of views; nothing where there never was one.
    fn view_table(&self) -> Option<&impl ReadableTable<&'static str, &'static str>>;

    /// The views of the store and their networks, in the order of their names.
    fn views(&self) -> Result<Vec<View>, WriteError> {
        self.view_table().map_or(Ok(Vec::new()), view::list)
    }

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
        self.rrset_in(apex, owner, rtype, None)
    }

    /// An RRset of a view; of the default view where none is named.
    fn rrset_in(
        &self,
        apex: &WireName,
        owner: &WireName,
        rtype: u16,
        view: Option<&str>,
    ) -> Result<Option<Rrset>, WriteError> {
        find_rrset(self.rrsets(), apex, owner, rtype, view)
    }
}

/// An RRset of a table.
pub(super) fn find_rrset(
    rrsets: &impl ReadableTable<&'static [u8], &'static [u8]>,
    apex: &WireName,
    owner: &WireName,
    rtype: u16,
    view: Option<&str>,
) -> Result<Option<Rrset>, WriteError> {
    let key = rrset_key(apex, owner, rtype, view);
    let value = rrsets.get(key.as_slice()).stored()?;
    Ok(value.and_then(|value| rrset_of(&key, value.value())).map(|(_, rrset)| rrset))
}

/// Where an edit works.
pub struct Desk<'a, 't> {
    /// The tables of the transaction.
    tables: &'a mut Tables<'t>,
    /// Notes of the transaction.
    notes: Logged<'t, &'static [u8], &'static [u8]>,
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
        Some(&*self.notes)
    }

    fn rrsets(&self) -> &impl ReadableTable<&'static [u8], &'static [u8]> {
        &*self.tables.rrsets
    }

    fn view_table(&self) -> Option<&impl ReadableTable<&'static str, &'static str>> {
        Some(&*self.tables.views)
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

    /// Writes the serial that the changes of a zone so far have made, so that its SOA record stands for all of them.
    pub(super) fn settle(&mut self, apex: &WireName) -> Result<(), WriteError> {
        // NOTE: this is owed to writes that were carried out, so it stands even where the edit refuses itself.
        self.tables.settle_serial(apex, &mut self.changes)
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
    let notes = Logged::open(transaction, NOTES, Kind::Note, tables.log.as_ref())?;
    let mut desk = Desk { tables, notes, changes: Vec::new(), written: false };
    let outcome = edit.edit(&mut desk);
    let Desk { changes, written, .. } = desk;
    Ok(Edited { outcome, changes, written })
}

/// What the store has at one moment, for readers.
pub(crate) struct Reading {
    /// The notes; none were ever written where there is no table.
    notes: Option<redb::ReadOnlyTable<&'static [u8], &'static [u8]>>,
    /// The views; none were ever written where there is no table.
    views: Option<redb::ReadOnlyTable<&'static str, &'static str>>,
    /// The RRsets.
    rrsets: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    /// The zones.
    zones: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Reading {
    /// Opens the tables.
    pub(super) fn open(database: &redb::Database) -> Result<Self, WriteError> {
        let read = database.begin_read().stored()?;
        let notes = existing(read.open_table(NOTES)).stored()?;
        let views = existing(read.open_table(VIEWS)).stored()?;
        Ok(Self { notes, views, rrsets: read.open_table(RRSETS).stored()?, zones: read.open_table(ZONES).stored()? })
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

    fn view_table(&self) -> Option<&impl ReadableTable<&'static str, &'static str>> {
        self.views.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::State;
    use crate::store::{Store, StoreSource, Write};
    use crate::text::rtype;
    use crate::views::Views;

    /// Makes a zone and a note of a name; then fails where it is told to.
    #[derive(Debug)]
    struct Make {
        /// The zone.
        apex: WireName,
        /// Fails at the end.
        fails: bool,
    }

    impl Edit for Make {
        fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
            if desk.has_zone(&self.apex)? {
                return Err(WriteError::Refused("it is there".into()));
            }
            desk.set_note(&name_key(&self.apex), Some(b"note"))?;
            desk.write(Write::PutZone { apex: self.apex.clone(), fields: Box::default() })?;
            if self.fails { Err(WriteError::Refused("too late".into())) } else { Ok(()) }
        }
    }

    /// An order to make a zone.
    fn make(apex: &str, fails: bool) -> Write {
        Write::Edit(Arc::new(Make { apex: apex.parse().unwrap(), fails }))
    }

    #[test]
    fn edits_that_share_a_transaction_are_kept_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("s.redb")).unwrap();
        let database = Arc::clone(&store.database);
        let views = Arc::new(Views::new([]));
        let snapshot = Arc::new(ringdns_engine::snapshot::Snapshot::empty());
        let (source, _handle) = StoreSource::new(store, Arc::new(State::new(snapshot, &["store"], views, Vec::new())));
        let writes = [make("a.", false), make("b.", true), make("a.", false), make("c.", true), make("d.", false)];
        let (answers, changes) = source.commit_all(&writes).unwrap();
        let refused = |words: &str| Err(WriteError::Refused(words.into()));
        let (done, late) = (Ok(Outcome::Replaced), refused("too late"));
        assert_eq!(answers, [done.clone(), late.clone(), refused("it is there"), late, done]);
        let zones = changes.iter().filter(|change| matches!(change, Change::AddZone(_))).count();
        assert_eq!(zones, 2, "nothing of the others is told either: {changes:?}");
        let reading = Reading::open(&database).unwrap();
        for (apex, is_there) in [("a.", true), ("b.", false), ("c.", false), ("d.", true)] {
            let apex: WireName = apex.parse().unwrap();
            assert_eq!(reading.has_zone(&apex).unwrap(), is_there, "{apex}");
            assert_eq!(reading.note(&name_key(&apex)).unwrap().is_some(), is_there, "{apex}");
            assert_eq!(reading.rrset(&apex, &apex, rtype::SOA).unwrap().is_some(), is_there, "{apex}");
        }
    }

    #[test]
    fn a_store_without_notes_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("s.redb")).unwrap();
        let reading = Reading::open(&store.database).unwrap();
        assert_eq!(reading.note(b"x\0").unwrap(), None);
        assert!(reading.notes_below(b"x\0").unwrap().is_empty());
    }
}
