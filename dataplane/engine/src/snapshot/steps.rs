//! A lookup in steps, each of which asks the memory for what the next one reads. Each step is taken for all names of a burst
//! before the next begins: so the memory works on many of them at once.

use super::node::NodeView;
use super::shard::{self, CACHE_LINE_BYTES, Shard, ShardView};
use crate::machine::prefetch;

/// The place of the shard that a name is in, if it exists: the first step.
#[derive(Clone, Copy)]
pub(crate) struct Lead<'a> {
    /// The place in the row.
    place: &'a Option<Shard>,
    /// The key of the name.
    key: u64,
}

impl<'a> Lead<'a> {
    /// Asks the memory for the place.
    #[inline(always)]
    pub(super) fn new(place: &'a Option<Shard>, key: u64) -> Self {
        prefetch(place);
        Self { place, key }
    }

    /// The second step: asks the memory for the slot that the shard has for the key.
    #[inline(always)]
    pub(crate) fn spot(self) -> Option<Spot<'a>> {
        let shard = self.place.as_ref()?.view();
        Some(Spot { shard, tag: shard::tag(self.key), index: shard.prefetch_slot(self.key) })
    }
}

/// Where a name is looked for: the second step.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// The shard that the name is in, if it exists.
    shard: ShardView<'a>,
    /// What a slot remembers of the name's key.
    tag: u32,
    /// The slot that is read first.
    index: u32,
}

impl<'a> Spot<'a> {
    /// The third step: where the node of the name probably is, by what the slots tell; nothing where there is none. Asks
    /// the memory for it.
    #[inline(always)]
    pub(crate) fn candidate(self) -> Option<Candidate<'a>> {
        let (bytes, is_long) = self.shard.candidate(self.tag, self.index)?;
        prefetch(bytes.first()?);
        if is_long && let Some(second_line) = bytes.get(CACHE_LINE_BYTES) {
            prefetch(second_line);
        }
        Some(Candidate { bytes })
    }
}

/// Where the node of a name probably is.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The node and what follows it.
    pub(super) bytes: &'a [u8],
}

impl<'a> Candidate<'a> {
    /// The node, for whoever knows that it is the right one.
    pub(crate) fn node(self) -> Option<NodeView<'a>> {
        NodeView::decode(self.bytes)
    }
}
