//! A lookup in steps, each of which is taken for all names of a burst before the next begins: so the memory works on all of
//! them at once.

use super::Row;
use super::shard::{self, ShardView};
use crate::prefetch::prefetch;

/// Bytes of a cache line on every machine that we know.
const CACHE_LINE_BYTES: usize = 64;

/// Where a name is to be looked for: the first step.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// The row of the shard that the name is in, if it exists.
    pub(super) row: &'a Row,
    /// The key of the name and its zone.
    pub(super) key: u64,
    /// Number of labels of the apex of the zone.
    pub(super) apex_depth: u8,
}

impl<'a> Spot<'a> {
    /// The second step: finds the shard, and asks the memory for its slot.
    #[inline]
    pub(crate) fn shard(&self) -> Option<ShardSpot<'a>> {
        let shard = self.row.get(shard::place(self.key).1)?;
        shard.prefetch_slot(self.key);
        Some(ShardSpot { shard, key: self.key, apex_depth: self.apex_depth })
    }
}

/// The shard that a name is in, if it exists.
#[derive(Clone, Copy)]
pub(crate) struct ShardSpot<'a> {
    /// The shard.
    shard: ShardView<'a>,
    /// The key of the name and its zone.
    key: u64,
    /// Number of labels of the apex of the zone.
    apex_depth: u8,
}

impl<'a> ShardSpot<'a> {
    /// The third step: where the node of the name probably is, by what the slots tell; nothing where there is none. Asks
    /// the memory for it.
    #[inline]
    pub(crate) fn candidate(&self) -> Option<Candidate<'a>> {
        let bytes = self.shard.candidate(self.key)?;
        for line in [0, CACHE_LINE_BYTES] {
            if let Some(place) = bytes.get(line) {
                prefetch(place);
            }
        }
        Some(Candidate { bytes, apex_depth: self.apex_depth })
    }
}

/// Where the node of a name probably is.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The node and what follows it.
    pub(super) bytes: &'a [u8],
    /// Number of labels of the apex of the zone that it is in.
    pub(super) apex_depth: u8,
}
