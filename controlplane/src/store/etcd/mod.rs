//! The store on etcd: many servers write the same zones, and each keeps a replica of them in its file.
//!
//! ```text
//! write -> transaction of the file -> what it touched -> one transaction of etcd, on the condition that `head` is the one
//!          that the file has seen -> the file's transaction is committed -> served
//! etcd  -> watch -> the file -> served                      (what others write)
//! ```
//!
//! A write is decided on the replica exactly as without etcd. Where another server was faster, the condition fails, nothing
//! is written, and the write is decided again once the other's is in the replica; so no write is lost, and no decision is
//! made on what is not so any more. What is answered is committed in etcd. The replica is what is served, also while etcd is away
//! and after a start without it; only writes need etcd.
//!
//! Nothing is ever merged: a file with zones of its own is no replica, and an etcd without `head` is not one that a replica was made
//! of. Both are refused, and say what to do.

mod codec;
mod replica;
mod rows;
mod send;
mod state;
mod touched;

use redb::{ReadableDatabase as _, ReadableTableMetadata as _};

use super::schema::{META, NOTES, RRSETS, VIEWS, ZONES};
use super::{OpenError, Store};

pub(in crate::store) use replica::Replica;
pub(in crate::store) use send::Sent;
pub(crate) use state::ReplicaState;
pub(in crate::store) use touched::{Kind, Log, Logged};

/// In the facts about the file: of which prefix it is a replica.
const MARK: &str = "etcd_prefix";

/// In the facts about the file: the etcd that it is a replica of had a head.
const HEAD_SEEN: &str = "etcd_head";

/// In the facts about the file: under which number it writes to etcd.
const WRITER: &str = "etcd_writer";

/// What stands for a prefix: FNV-1a over 64 bits.
fn mark_of(prefix: &str) -> u64 {
    let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    prefix.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// What a file is to an etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    /// True where it is a replica of the prefix.
    is_replica: bool,
    /// True where there is nothing in it.
    is_empty: bool,
    /// True where the etcd had a head.
    head_seen: bool,
}

impl Standing {
    /// Of a file, to a prefix.
    fn of(database: &redb::Database, prefix: &str) -> Result<Self, redb::Error> {
        let read = database.begin_read()?;
        let meta = read.open_table(META)?;
        let fact = |key: &str| meta.get(key).map(|value| value.map(|value| value.value()));
        let rows = |table| match read.open_table(table) {
            Ok(table) => table.len().map_err(redb::Error::from),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            Err(error) => Err(error.into()),
        };
        let views = match read.open_table(VIEWS) {
            Ok(table) => table.len()?,
            Err(redb::TableError::TableDoesNotExist(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        let count = rows(ZONES)? + rows(RRSETS)? + rows(NOTES)? + views;
        Ok(Self {
            is_replica: fact(MARK)? == Some(mark_of(prefix)),
            is_empty: count == 0,
            head_seen: fact(HEAD_SEEN)?.is_some(),
        })
    }
}

impl Store {
    /// Says whether the file is to be a replica of etcd. One with zones of its own cannot become one, unless they are to be
    /// put into etcd; one that was a replica is on its own from here on where it is not to be one.
    pub fn attach(&self, etcd: Option<&crate::config::StoreEtcdConfig>) -> Result<(), OpenError> {
        let damaged = |error: redb::Error| OpenError::Damaged { path: self.path.clone(), error: error.to_string() };
        let Some(config) = etcd else { return self.detach().map_err(damaged) };
        let standing = Standing::of(&self.database, &config.prefix).map_err(damaged)?;
        if !standing.is_replica && !standing.is_empty && !config.import {
            return Err(OpenError::NoReplica { path: self.path.clone(), prefix: config.prefix.clone() });
        }
        Ok(())
    }

    /// Forgets that the file was a replica.
    fn detach(&self) -> Result<(), redb::Error> {
        let is_replica = self.database.begin_read()?.open_table(META)?.get(MARK)?.is_some();
        if is_replica {
            tracing::info!("the store was a replica of etcd, and is on its own from here on");
            let write = self.database.begin_write()?;
            {
                let mut meta = write.open_table(META)?;
                meta.remove(MARK)?;
                meta.remove(HEAD_SEEN)?;
            }
            write.commit()?;
        }
        Ok(())
    }
}
