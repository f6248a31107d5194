//! What the cache holds, and what became of what it held: counted by its writer, so that who reads it pays nothing.

use super::entry::EntryBits;

/// What the cache holds, and what became of what it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Entries that are held.
    pub entries: u64,
    /// Those of them that say that there is nothing, or that no answer could be had.
    pub denials: u64,
    /// Entries that were put in.
    pub inserted: u64,
    /// Entries that took the place of an older one of the same key.
    pub replaced: u64,
    /// Entries that went to make room though they could still be answered.
    pub evicted: u64,
    /// Those of them that were denials.
    pub evicted_denials: u64,
    /// Entries that were removed because somebody said so.
    pub removed: u64,
}

impl CacheCounts {
    /// An entry is held from now on.
    pub(super) fn come(&mut self, bits: EntryBits) {
        self.entries += 1;
        self.denials += u64::from(bits.is_denial());
    }

    /// An entry is held no longer.
    pub(super) fn gone(&mut self, bits: EntryBits) {
        self.entries -= 1;
        self.denials -= u64::from(bits.is_denial());
    }

    /// An entry that is held no longer has made room.
    pub(super) fn evict(&mut self, bits: EntryBits) {
        self.evicted += 1;
        self.evicted_denials += u64::from(bits.is_denial());
    }
}
