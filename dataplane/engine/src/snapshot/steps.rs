//! A lookup in steps, each of which asks the memory for what the next one reads. The steps of all names of a burst overlap:
//! so the memory works on many of them at once.

use super::shard::ShardView;
use crate::machine::prefetch;

/// Bytes of a cache line on every machine that we know.
const CACHE_LINE_BYTES: usize = 64;

/// The shard that a name is in, if it exists: the first step.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// The shard.
    shard: ShardView<'a>,
    /// The key of the name.
    key: u64,
}

impl<'a> Spot<'a> {
    /// Asks the memory for the key's slot.
    #[inline(always)]
    pub(super) fn new(shard: ShardView<'a>, key: u64) -> Self {
        shard.prefetch_slot(key);
        Self { shard, key }
    }

    /// The second step: where the node of the name probably is, by what the slots tell; nothing where there is none. Asks
    /// the memory for it.
    #[inline(always)]
    pub(crate) fn candidate(self) -> Option<Candidate<'a>> {
        let bytes = self.shard.candidate(self.key)?;
        prefetch(bytes.first()?);
        if let Some(second_line) = bytes.get(CACHE_LINE_BYTES) {
            prefetch(second_line);
        }
        Some(Candidate { bytes })
    }
}

/// Where the node of a name probably is.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The node and what follows it.
    pub(crate) bytes: &'a [u8],
}
