//! What fuzz targets reach of the cache's file.

use std::path::Path;
use std::sync::Arc;

use ringdns_engine::cache::CACHE_BYTES_MIN;
use ringdns_engine::snapshot::Snapshot;

use crate::forwarder::Entry;
use crate::keep::Keeper;
use crate::persist;

/// Reads files into a small cache.
pub struct CacheFiles(Keeper);

impl Default for CacheFiles {
    fn default() -> Self {
        let snapshot = Arc::new(Snapshot::empty());
        Self(Keeper::new(CACHE_BYTES_MIN, Arc::new(move || Arc::clone(&snapshot))))
    }
}

impl CacheFiles {
    /// What a file holds that can be given at a time in seconds since 1970.
    pub fn read(&self, path: &Path, now_seconds: u32) -> Vec<Entry> {
        persist::load(path, &self.0, now_seconds, &|_, _| true);
        let entries = self.0.entries(None, 0, usize::MAX);
        self.0.flush(None, None);
        entries
    }
}
