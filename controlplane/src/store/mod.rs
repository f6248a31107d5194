//! The embedded store: one redb file with zones and RRsets, the source that needs nothing else on the machine.
//!
//! A write is acknowledged when it is on disk (fsync) and served. Writes that wait at the same time share one transaction
//! and one publication.

mod apex;
mod commit;
mod edit;
mod etcd;
mod handle;
mod import;
mod schema;
pub mod source;
mod tag;
mod transaction;
mod view;
mod write;

#[cfg(test)]
mod kill;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use apex::split_soa;
pub use edit::{Desk, Edit};
pub(crate) use edit::{Look, Reading};
pub(crate) use etcd::ReplicaState;
pub(crate) use handle::{StoreHandle, Wait, Written};
pub(crate) use import::{Counts, Import};
pub use schema::FORMAT_VERSION;
pub(crate) use source::StoreSource;
pub(crate) use tag::{Condition, Tag, Tags};
pub(crate) use transaction::{Operation, Transaction};
pub use write::{Outcome, SoaFields, Write, WriteError, ZoneFields};

/// Memory for pages of the file, in bytes. Reads happen at start only, so little is enough.
const CACHE_BYTES: usize = 64 << 20;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is missing and cannot be made.
    #[error("store.path: directory {} cannot be created: {error}; create it, and give it to the user that runs RingDNS", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process has the file open.
    #[error("store.path: {} is in use by another process; stop the other RingDNS, or set store.path to another file", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be opened.
    #[error("store.path: {} cannot be opened: {error}; check its owner and permissions, and the disk", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// The file is damaged or something else.
    #[error("store.path: {} is damaged or no store of RingDNS ({error}); put a backup in its place, or move it away to start with an empty store", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// The file has zones of its own, and is to be a replica of etcd.
    #[error("store.path: {} has zones of its own and is no replica of etcd at {prefix}; to put them into an etcd that has nothing there, set store.etcd_import = true; to begin with what etcd has, set store.path to a new file", path.display())]
    NoReplica {
        /// The file.
        path: PathBuf,
        /// What etcd's keys begin with.
        prefix: String,
    },
    /// The file was written by a newer RingDNS.
    #[error("store.path: {} has format {found}, and this RingDNS knows formats up to {FORMAT_VERSION}; install the newer RingDNS again, or set store.path to another file", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    /// The file; none in memory.
    path: PathBuf,
    /// The open database. Only who works on the file holds it for long, so that the file is closed with the store.
    database: Arc<redb::Database>,
}

impl Store {
    /// Opens a store, or makes an empty one where there is none. Blocks.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory {
            std::fs::create_dir_all(directory)
                .map_err(|error| OpenError::Directory { path: directory.to_path_buf(), error })?;
        }
        let database = open_file(path)?;
        Ok(Self { path: path.to_path_buf(), database: Arc::new(database) })
    }

    /// Makes an empty store that is gone with the process.
    pub fn in_memory() -> Result<Self, OpenError> {
        let path = PathBuf::new();
        let made = || {
            let database = redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new())?;
            schema::prepare(&database)?;
            Ok::<_, redb::Error>(database)
        };
        let database = made().map_err(|error| open_error(&path, error))?;
        Ok(Self { path, database: Arc::new(database) })
    }

    /// Opens the file anew after it could not be read or written: redb touches it no more after the first failure.
    pub(crate) fn reopen(&mut self) -> Result<(), OpenError> {
        // Memory does not fail.
        if self.path.as_os_str().is_empty() {
            return Ok(());
        }
        // NOTE: the file is locked as long as a database has it open, so the old one has to go first. What stands in for it is
        // in memory and takes no writes: whoever works on the store waits until this has gone well.
        if let Ok(nothing) = redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()) {
            self.database = Arc::new(nothing);
        }
        self.database = Arc::new(open_file(&self.path)?);
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the file, or makes it.
fn open_file(path: &Path) -> Result<redb::Database, OpenError> {
    // NOTE: redb asserts some of what it reads; a damaged file is to end in a message all the same.
    let opened = std::panic::catch_unwind(|| {
        let mut builder = redb::Database::builder();
        // All of the file is read at start anyway; damage is to be found then, not when it is served.
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create(path)?;
        let version = schema::prepare(&database)?;
        Ok::<_, redb::Error>((database, version))
    });
    let damaged = |error: String| OpenError::Damaged { path: path.to_path_buf(), error };
    match opened {
        Ok(Ok((_, found))) if found > FORMAT_VERSION => Err(OpenError::TooNew { path: path.to_path_buf(), found }),
        Ok(Ok((database, _))) => Ok(database),
        Ok(Err(error)) => Err(open_error(path, error)),
        Err(_) => Err(damaged("its structure breaks the database's rules".to_owned())),
    }
}

/// Tells apart what an operator would act on differently.
fn open_error(path: &Path, error: redb::Error) -> OpenError {
    use std::io::ErrorKind;
    let path = path.to_path_buf();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => OpenError::Locked { path },
        redb::Error::Io(io) if !matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            OpenError::Unreadable { path, error: io.to_string() }
        }
        error => OpenError::Damaged { path, error: error.to_string() },
    }
}
