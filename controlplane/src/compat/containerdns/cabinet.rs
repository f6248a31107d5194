//! Where records are kept: what requests are decided on, whether that is the store or etcd.

use ringdns_engine::name::WireName;

use super::record::Record;
use super::shelf::{self, Fresh};
use crate::store::{Desk, WriteError};

/// Names and their records.
pub(super) type Names = Vec<(WireName, Vec<Record>)>;

/// Reads records.
pub(super) trait Cabinet {
    /// The records of a name, in the order in which they were written.
    fn records(&self, apex: &WireName, name: &WireName) -> Result<Vec<Record>, WriteError>;

    /// The records of a name and of all below it.
    fn subtree(&self, apex: &WireName, name: &WireName) -> Result<Names, WriteError>;
}

/// Writes records.
pub(super) trait OpenCabinet: Cabinet {
    /// Has a name have these records and no others.
    fn replace(&mut self, apex: &WireName, name: &WireName, records: &[Record]) -> Result<(), WriteError>;
}

/// The store, in a transaction of it.
#[derive(Debug)]
pub(super) struct OnDesk<'d, 'a, 't> {
    /// The transaction.
    pub(super) desk: &'d mut Desk<'a, 't>,
    /// How new RRsets are made.
    pub(super) fresh: Fresh,
}

impl Cabinet for OnDesk<'_, '_, '_> {
    fn records(&self, apex: &WireName, name: &WireName) -> Result<Vec<Record>, WriteError> {
        shelf::records(self.desk, apex, name)
    }

    fn subtree(&self, apex: &WireName, name: &WireName) -> Result<Names, WriteError> {
        shelf::subtree(self.desk, apex, name)
    }
}

impl OpenCabinet for OnDesk<'_, '_, '_> {
    fn replace(&mut self, apex: &WireName, name: &WireName, records: &[Record]) -> Result<(), WriteError> {
        shelf::replace(self.desk, apex, name, records, self.fresh)
    }
}
