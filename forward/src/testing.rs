//! What fuzz targets reach of the cache's file.

use std::path::Path;
use std::sync::Arc;

use ringdns_engine::cache::CACHE_BYTES_MIN;
use ringdns_engine::snapshot::Snapshot;

use crate::forwarder::Entry;
use crate::keep::Keeper;
use crate::persist;

/// The entries of a small cache after a file was read into it.
pub fn load_cache(path: &Path, now_seconds: u32) -> Vec<Entry> {
    let keeper = Keeper::new(CACHE_BYTES_MIN, Arc::new(|| Arc::new(Snapshot::empty())));
    persist::load(path, &keeper, now_seconds, &|_, _| true);
    keeper.entries(None, 0, usize::MAX)
}
