//! Brings what etcd says into the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableTable as _, WriteTransaction};

use super::super::schema::{NOTES, after, mark_format, rrset_of, split_rrset_key};
use super::super::write::{Stored as _, Tables};
use super::codec::{Codec, Fault, Place, Row, to_etcd, to_row};
use super::touched::{Kind, Logged};
use crate::canonical::{name_key, split_name};
use crate::model::Change;
use crate::store::WriteError;

/// A key of etcd and its value; nothing where it is gone.
pub(super) type Update = (Vec<u8>, Option<Vec<u8>>);

/// Keys of etcd that say nothing, with their values: malformed ones, and RRsets without a zone.
pub(super) type Strays = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keys that say nothing since now, and why.
pub(super) type Faults = Vec<(Vec<u8>, Fault)>;

/// The tables of a transaction that takes what etcd says.
pub(super) struct Rows<'t, 's> {
    /// All but the notes.
    tables: Tables<'t>,
    /// The notes.
    notes: Logged<'t, &'static [u8], &'static [u8]>,
    /// How keys are read.
    codec: &'s Codec,
    /// Keys that say nothing.
    strays: &'s mut Strays,
    /// Keys that say nothing since now, and why.
    faults: Faults,
    /// What the cycle has to know.
    changes: Vec<Change>,
}

impl<'t, 's> Rows<'t, 's> {
    /// Opens the tables.
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        codec: &'s Codec,
        strays: &'s mut Strays,
    ) -> Result<Self, WriteError> {
        let notes = Logged::open(transaction, NOTES, Kind::Note, None)?;
        let tables = Tables::open(transaction, None)?;
        Ok(Self { tables, notes, codec, strays, faults: Vec::new(), changes: Vec::new() })
    }

    /// What the cycle has to know.
    pub(super) fn finish(mut self) -> Result<(Vec<Change>, Faults), WriteError> {
        self.changes.extend(self.tables.finish()?);
        Ok((self.changes, self.faults))
    }

    /// Takes updates that were made at once.
    pub(super) fn take(&mut self, updates: Vec<Update>) -> Result<(), WriteError> {
        let mut updates: Vec<_> = updates
            .into_iter()
            .map(|(key, value)| (self.codec.parse(&key), key, value))
            .filter(|(place, ..)| !matches!(place, Ok(Place::Head | Place::Writer)))
            .collect();
        // A zone comes before what is in it, and goes after that.
        updates.sort_by_key(|(place, _, value)| match place {
            Ok(Place::Row(row)) if row.kind == Kind::Zone => {
                if value.is_some() {
                    0
                } else {
                    2
                }
            }
            _ => 1,
        });
        for (place, key, value) in updates {
            match place {
                Ok(Place::Row(row)) => self.set(&row, key, value)?,
                Ok(_) => {}
                Err(fault) => self.stray(key, value.map(|value| (value, fault))),
            }
        }
        Ok(())
    }

    /// Takes the strays of a zone again, which is there now.
    pub(super) fn adopt(&mut self, zone: &Row) -> Result<(), WriteError> {
        let Some((apex, _)) = split_name(&zone.key) else { return Ok(()) };
        let prefix = self.codec.rrsets_of(&apex).into_bytes();
        let of_zone: Vec<Update> = (self.strays.range(prefix.clone()..))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect();
        if of_zone.is_empty() { Ok(()) } else { self.take(of_zone) }
    }

    /// Notes a key that says nothing, or that it is gone.
    fn stray(&mut self, key: Vec<u8>, value: Option<(Vec<u8>, Fault)>) {
        match value {
            None => drop(self.strays.remove(&key)),
            Some((value, fault)) => {
                if self.strays.insert(key.clone(), value.clone()).is_none_or(|before| before != value) {
                    self.faults.push((key, fault));
                }
            }
        }
    }

    /// Gives a row what etcd says.
    fn set(&mut self, row: &Row, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), WriteError> {
        let Some(value) = value else {
            self.stray(key, None);
            return self.remove(row);
        };
        match to_row(row, &value) {
            Err(fault) => {
                self.stray(key, Some((value, fault)));
                self.remove(row)
            }
            Ok(stored) => {
                if !self.has_zone_of(row)? {
                    let fault = Fault::new("its zone has no key in zones/");
                    self.stray(key, Some((value, fault)));
                    return Ok(());
                }
                self.stray(key, None);
                self.insert(row, &stored)
            }
        }
    }

    /// True where the zone of an RRset is there, and for all other rows.
    fn has_zone_of(&self, row: &Row) -> Result<bool, WriteError> {
        if row.kind != Kind::Rrset {
            return Ok(true);
        }
        let Some((apex, ..)) = split_rrset_key(&row.key) else { return Ok(false) };
        Ok(self.tables.zones.get(name_key(&apex).as_slice()).stored()?.is_some())
    }

    /// Writes a row.
    fn insert(&mut self, row: &Row, value: &[u8]) -> Result<(), WriteError> {
        let key = row.key.as_slice();
        match row.kind {
            Kind::Zone => {
                if self.tables.zones.insert(key, value).stored()?.is_none() {
                    self.changes.extend(split_name(key).map(|(apex, _)| Change::AddZone(apex)));
                }
                self.adopt(row)?;
            }
            Kind::Rrset => {
                let before = self.tables.rrsets.insert(key, value).stored()?;
                if before.is_some_and(|before| before.value() == value) {
                    return Ok(());
                }
                let Some((apex, rrset)) = rrset_of(key, value) else { return Ok(()) };
                if rrset.selection.is_some() || rrset.view.is_some() {
                    mark_format(&mut self.tables.meta).stored()?;
                }
                self.changes.push(Change::Put { apex, rrset });
            }
            Kind::Note => drop(self.notes.insert(key, value).stored()?),
            Kind::View => {
                let (Ok(name), Ok(lines)) = (std::str::from_utf8(key), std::str::from_utf8(value)) else {
                    return Ok(());
                };
                let before = self.tables.views.insert(name, lines).stored()?;
                let is_same = before.is_some_and(|before| before.value() == lines);
                self.tables.views_changed |= !is_same;
            }
        }
        Ok(())
    }

    /// Removes a row.
    fn remove(&mut self, row: &Row) -> Result<(), WriteError> {
        let key = row.key.as_slice();
        match row.kind {
            Kind::Zone => {
                if self.tables.zones.remove(key).stored()?.is_some() {
                    self.orphan(key)?;
                    self.changes.extend(split_name(key).map(|(apex, _)| Change::RemoveZone(apex)));
                }
            }
            Kind::Rrset => {
                if self.tables.rrsets.remove(key).stored()?.is_some()
                    && let Some((apex, owner, rtype, view)) = split_rrset_key(key)
                {
                    let view = view.map(|view| Arc::from(&*view));
                    self.changes.push(Change::Remove { apex, owner, rtype, view });
                }
            }
            Kind::Note => drop(self.notes.remove(key).stored()?),
            Kind::View => {
                if let Ok(name) = std::str::from_utf8(key) {
                    self.tables.views_changed |= self.tables.views.remove(name).stored()?.is_some();
                }
            }
        }
        Ok(())
    }

    /// Takes the RRsets of a zone out of the file that etcd still has, though the zone is gone.
    fn orphan(&mut self, apex: &[u8]) -> Result<(), WriteError> {
        let mut left = Vec::new();
        for entry in self.tables.rrsets.range(apex..after(apex).as_slice()).stored()? {
            let (key, value) = entry.stored()?;
            let row = Row { kind: Kind::Rrset, key: key.value().to_vec() };
            left.push((self.codec.key(&row), to_etcd(&row, value.value())));
        }
        for (key, value) in left {
            if let (Some(key), Some(value)) = (key, value) {
                self.stray(key, Some((value, Fault::new("its zone has no key in zones/"))));
            }
        }
        self.tables.rrsets.clear_below(apex).stored()
    }
}
