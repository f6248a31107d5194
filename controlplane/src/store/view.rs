//! Views that the store keeps beside those of the configuration: which clients see which, changed while the server runs.

use std::collections::HashSet;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, TableError};
use ringdns_engine::rate::Network;

use super::schema::VIEWS;
use super::write::{Stored as _, Tables};
use super::{Outcome, WriteError};
use crate::merge::ClientsOfViews;
use crate::model::Change;

/// Most views of the store: as many as the configuration can have.
pub(super) const VIEWS_MAX: u64 = 4096;

/// Name and networks of a view.
pub(crate) type View = (String, Vec<Network>);

/// A table, or nothing where it was never made.
pub(super) fn existing<T>(opened: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every view of a table.
pub(super) fn list(table: &impl ReadableTable<&'static str, &'static str>) -> Result<Vec<View>, WriteError> {
    let mut views = Vec::new();
    for entry in table.iter().stored()? {
        let (name, value) = entry.stored()?;
        views.push((name.value().to_owned(), networks(name.value(), value.value())));
    }
    Ok(views)
}

/// The networks of a value.
fn networks(name: &str, value: &str) -> Vec<Network> {
    let parse = |line: &str| match line.parse() {
        Ok(network) => Some(network),
        Err(error) => {
            tracing::error!(view = name, "the store has a network that is damaged; it is left out: {line}: {error}");
            None
        }
    };
    value.lines().filter_map(parse).collect()
}

/// Which clients see which view.
fn clients(views: &[View]) -> ClientsOfViews {
    let of = |(name, networks): &View| {
        let name: Arc<str> = name.as_str().into();
        networks.iter().map(move |&network| (network, Arc::clone(&name))).collect::<Vec<_>>()
    };
    views.iter().flat_map(of).collect()
}

/// What the cycle has to know of the views when the file is read; nothing where it has none.
pub(super) fn load(read: &ReadTransaction) -> Result<Option<Change>, redb::Error> {
    let Some(table) = existing(read.open_table(VIEWS))? else { return Ok(None) };
    let mut views = Vec::new();
    for entry in table.iter()? {
        let (name, value) = entry?;
        views.push((name.value().to_owned(), networks(name.value(), value.value())));
    }
    Ok((!views.is_empty()).then(|| Change::SetViews(clients(&views))))
}

impl Tables<'_> {
    /// Which clients see which view.
    pub(super) fn clients(&self) -> Result<ClientsOfViews, WriteError> {
        Ok(clients(&list(&*self.views)?))
    }

    /// See [`Write::PutView`](super::Write::PutView).
    pub(super) fn put_view(&mut self, name: &str, networks: &[Network]) -> Result<Outcome, WriteError> {
        let mut seen = HashSet::new();
        let networks: Vec<Network> = networks.iter().copied().filter(|&network| seen.insert(network)).collect();
        let views = list(&*self.views)?;
        let mut exists = false;
        for (other, theirs) in &views {
            if other == name {
                exists = true;
                if *theirs == networks {
                    return Ok(Outcome::Replaced);
                }
            } else if let Some(&network) = theirs.iter().find(|&network| seen.contains(network)) {
                return Err(WriteError::NetworkTaken { network, view: other.clone() });
            }
        }
        if !exists && views.len() as u64 >= VIEWS_MAX {
            return Err(WriteError::TooManyViews);
        }
        let lines: Vec<String> = networks.iter().map(ToString::to_string).collect();
        self.views.insert(name, lines.join("\n").as_str()).stored()?;
        self.views_changed = true;
        Ok(if exists { Outcome::Replaced } else { Outcome::Created })
    }

    /// See [`Write::DeleteView`](super::Write::DeleteView).
    pub(super) fn delete_view(&mut self, name: &str) -> Result<Outcome, WriteError> {
        if self.views.remove(name).stored()?.is_none() {
            return Err(WriteError::ViewNotFound);
        }
        self.views_changed = true;
        Ok(Outcome::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use crate::store::{Store, StoreSource, Write};
    use crate::views::Views;

    /// An order for a view.
    fn put(name: &str, networks: &[&str]) -> Write {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Write::PutView { name: name.to_owned(), networks }
    }

    #[test]
    fn views_are_told_whole_once_a_transaction_and_a_network_has_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("s.redb")).unwrap();
        let database = Arc::clone(&store.database);
        assert_eq!(load(&redb::ReadableDatabase::begin_read(&*database).unwrap()).unwrap(), None);
        let snapshot = Arc::new(ringdns_engine::snapshot::Snapshot::empty());
        let state = State::new(snapshot, &["store"], Arc::new(Views::new([])), Vec::new());
        let (source, _handle) = StoreSource::new(store, Arc::new(state));
        let delete = |name: &str| Write::DeleteView { name: name.to_owned() };
        let (answers, changes) = source
            .commit_all(&[
                put("b", &["10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8"]),
                put("a", &["10.0.0.0/8"]),
                put("a", &["10.1.0.0/16"]),
                put("c", &["10.2.0.0/16"]),
                delete("c"),
                delete("d"),
            ])
            .unwrap();
        let taken = WriteError::NetworkTaken { network: "10.0.0.0/8".parse().unwrap(), view: "b".into() };
        let (made, missing) = (Ok(Outcome::Created), Err(WriteError::ViewNotFound));
        assert_eq!(answers, [made.clone(), Err(taken), made.clone(), made, Ok(Outcome::Deleted), missing]);
        let told = [("10.1.0.0/16", "a"), ("10.0.0.0/8", "b"), ("2001:db8::/32", "b")];
        let told = told.map(|(network, name)| (network.parse().unwrap(), Arc::from(name))).to_vec();
        assert_eq!(changes, [Change::SetViews(told.clone())]);
        let loaded = load(&redb::ReadableDatabase::begin_read(&*database).unwrap()).unwrap();
        assert_eq!(loaded, Some(Change::SetViews(told)), "the same after a restart");
        let (answers, changes) = source.commit_all(&[put("a", &["10.1.0.0/16"])]).unwrap();
        assert_eq!((answers, changes), (vec![Ok(Outcome::Replaced)], vec![]), "no change is none");
    }
}
