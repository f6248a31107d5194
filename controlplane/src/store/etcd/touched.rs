//! What a transaction of the file has touched, so that etcd can be told the same.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::rc::Rc;

use redb::{AccessGuard, Key, StorageError, Table, TableDefinition, Value, WriteTransaction};

use super::super::schema::after;
use super::super::write::Stored as _;
use crate::store::WriteError;

/// A table whose rows etcd has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Kind {
    /// The zones.
    Zone,
    /// The RRsets.
    Rrset,
    /// The notes.
    Note,
    /// The views.
    View,
}

/// Rows that a transaction has touched.
#[derive(Debug, Default)]
pub(in crate::store) struct Touched {
    /// The rows, by table and key.
    pub(in crate::store) rows: BTreeSet<(Kind, Vec<u8>)>,
    /// What the keys of RRsets start with that were all removed at once.
    pub(in crate::store) cleared: BTreeSet<Vec<u8>>,
}

/// Where touched rows are noted; shared by the tables of a transaction.
pub(in crate::store) type Log = Rc<RefCell<Touched>>;

/// A table that notes what is written to it, where there is anything to note it in.
pub(in crate::store) struct Logged<'t, K: Key + 'static, V: Value + 'static> {
    /// The table.
    table: Table<'t, K, V>,
    /// Which it is.
    kind: Kind,
    /// Where it is noted.
    log: Option<Log>,
}

/// Reads go to the table.
impl<'t, K: Key + 'static, V: Value + 'static> Deref for Logged<'t, K, V> {
    type Target = Table<'t, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl<'t, K: Key + 'static, V: Value + 'static> Logged<'t, K, V> {
    /// Opens a table.
    pub(in crate::store) fn open(
        transaction: &'t WriteTransaction,
        definition: TableDefinition<'_, K, V>,
        kind: Kind,
        log: Option<&Log>,
    ) -> Result<Self, WriteError> {
        Ok(Self { table: transaction.open_table(definition).stored()?, kind, log: log.cloned() })
    }

    /// Notes a key.
    fn note(&self, key: &[u8]) {
        if let Some(log) = &self.log {
            log.borrow_mut().rows.insert((self.kind, key.to_vec()));
        }
    }

    /// Writes a row.
    pub(in crate::store) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.note(K::as_bytes(key.borrow()).as_ref());
        self.table.insert(key, value)
    }

    /// Removes a row.
    pub(in crate::store) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.note(K::as_bytes(key.borrow()).as_ref());
        self.table.remove(key)
    }
}

impl Logged<'_, &'static [u8], &'static [u8]> {
    /// Removes all rows whose keys start with `prefix`, which ends in a zero byte.
    pub(in crate::store) fn clear_below(&mut self, prefix: &[u8]) -> Result<(), StorageError> {
        if let Some(log) = &self.log {
            log.borrow_mut().cleared.insert(prefix.to_vec());
        }
        let (log, kind) = (self.log.clone(), self.kind);
        self.table.retain_in(prefix..after(prefix).as_slice(), |key, _| {
            if let Some(log) = &log {
                log.borrow_mut().rows.insert((kind, key.to_vec()));
            }
            false
        })
    }
}
