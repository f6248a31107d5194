//! A shard: the nodes whose keys share their first 16 bits, in one piece of memory, found by open addressing.
//!
//! ```text
//! slots   a power of two of them, eight bytes each: tag u32, place of the node plus one u32; little-endian
//! nodes   encoded one after the other, see `node`; one that fits a cache line does not begin so that it needs two
//! ```
//!
//! The uppermost bit of a place says that the node is longer than a cache line.
//!
//! Slots and nodes lie together so that a lookup stays within a page or two of memory. How many slots there are is told by
//! the length of it all, so that nothing of the shard has to be read to find the right slot: nodes are followed by as many
//! unused bytes as it takes to make the length, modulo 32, the logarithm of the number of slots.

use std::sync::Arc;

use super::node::NodeView;
use crate::machine::prefetch;

/// Marks a slot without a node.
const FREE: u64 = 0;

/// The bit of a place that says that its node is longer than a cache line.
const LONG: u32 = 1 << 31;

/// Bytes of a cache line on every machine that we know.
pub(super) const CACHE_LINE_BYTES: usize = 64;

/// Bytes of the reference count, which stand before those of a shard. Allocations of more than a few cache lines begin
/// with one; where they do not, lookups take longer and are right all the same.
const COUNTERS_BYTES: usize = 2 * size_of::<usize>();

/// Bytes of a slot.
const SLOT_BYTES: usize = 8;

/// The length of a shard modulo this is the logarithm of its number of slots.
const SLOT_BITS_MODULUS: usize = 32;

/// An immutable part of a snapshot, shared between the generations that it did not change in.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    /// Slots and nodes.
    bytes: Arc<[u8]>,
}

/// A shard as it is read.
#[derive(Clone, Copy)]
pub(super) struct ShardView<'a> {
    /// Slots and nodes.
    bytes: &'a [u8],
}

/// The part of a key that a slot remembers, and that says where probing starts.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the tag is the middle of the key")]
pub(super) const fn tag(key: u64) -> u32 {
    (key >> 16) as u32
}

/// The index of a key's shard: the row of shards, and the place in the row.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each index is one byte of the key")]
pub(super) const fn place(key: u64) -> (u8, u8) {
    ((key >> 56) as u8, (key >> 48) as u8)
}

/// The tag of a slot, and the place of its node plus one.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each half is one number")]
const fn halves(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

impl Shard {
    /// The shard as it is read.
    #[inline(always)]
    pub(super) fn view(&self) -> ShardView<'_> {
        ShardView { bytes: &self.bytes }
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> u64 {
        // The two counters of the reference count come on top.
        (self.bytes.len() + 2 * size_of::<usize>()) as u64
    }
}

impl<'a> ShardView<'a> {
    /// Number of slots less one.
    #[inline(always)]
    fn mask(self) -> usize {
        (1usize << self.slot_bits()) - 1
    }

    /// The logarithm of the number of slots.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it is below the modulus")]
    fn slot_bits(self) -> u32 {
        (self.bytes.len() % SLOT_BITS_MODULUS) as u32
    }

    /// The node of a name (in lower case) in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(super) fn find(&self, key: u64, name: &[u8], apex_depth: u8) -> Option<NodeView<'a>> {
        let tag = tag(key);
        let mut index = tag as usize & self.mask();
        loop {
            let slot = self.slot(index)?;
            if slot == FREE {
                return None;
            }
            if halves(slot).0 == tag {
                let node = NodeView::decode(self.node_bytes(slot)?)?;
                if node.is(name, apex_depth) {
                    return Some(node);
                }
            }
            // There is a free slot: see `ShardBuilder::build`.
            index = (index + 1) & self.mask();
        }
    }

    /// The index of the slot that is read first for a key. Asks the memory for it.
    #[inline(always)]
    pub(super) fn prefetch_slot(self, key: u64) -> u32 {
        let mask = (1u32 << self.slot_bits()) - 1;
        let index = tag(key) & mask;
        if let Some(slot) = self.bytes.get(index as usize * SLOT_BYTES) {
            prefetch(slot);
        }
        index
    }

    /// The bytes from the node on that a tag probably has, by what the slots from `index` on tell without a look at the
    /// node; and whether the node is longer than a cache line.
    #[inline(always)]
    pub(super) fn candidate(self, tag: u32, index: u32) -> Option<(&'a [u8], bool)> {
        let mut slot = self.slot(index as usize)?;
        // A free slot has no place, and so no node.
        if halves(slot).0 != tag {
            slot = self.later_slot(tag, index)?;
        }
        Some((self.node_bytes(slot)?, halves(slot).1 & LONG != 0))
    }

    /// The slot of a tag behind the one at `index`, which has another.
    #[inline(never)]
    fn later_slot(self, tag: u32, index: u32) -> Option<u64> {
        let mut index = index as usize;
        loop {
            match self.slot(index)? {
                FREE => return None,
                slot if halves(slot).0 == tag => return Some(slot),
                _ => index = (index + 1) & self.mask(),
            }
        }
    }

    /// A slot.
    #[inline(always)]
    fn slot(&self, index: usize) -> Option<u64> {
        self.bytes.as_chunks::<SLOT_BYTES>().0.get(index).map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The bytes from a slot's node on.
    #[inline(always)]
    fn node_bytes(&self, slot: u64) -> Option<&'a [u8]> {
        self.bytes.get((halves(slot).1 & !LONG).wrapping_sub(1) as usize..)
    }

    /// The node of a slot, if it has one.
    pub(super) fn node_at(self, index: usize) -> Option<NodeView<'a>> {
        let slot = self.slot(index).filter(|&slot| slot != FREE)?;
        NodeView::decode(self.node_bytes(slot)?)
    }

    /// Number of slots.
    pub(super) fn slots(self) -> usize {
        self.mask() + 1
    }

    /// Every node with its tag and encoded bytes, in no order.
    pub(super) fn entries(self) -> impl Iterator<Item = (u32, NodeView<'a>, &'a [u8])> {
        (0..=self.mask()).filter_map(move |index| {
            let slot = self.slot(index).filter(|&slot| slot != FREE)?;
            let bytes = self.node_bytes(slot)?;
            let node = NodeView::decode(bytes)?;
            Some((halves(slot).0, node, bytes.get(..node.stored_bytes())?))
        })
    }
}

/// A shard has outgrown what its slots can address: two GiB. It would take some ten billion names.
#[derive(Debug)]
pub(super) struct ShardFull;

/// Makes shards, one after the other in the same working memory.
#[derive(Default)]
pub(super) struct ShardBuilder {
    /// Slots and nodes of the shard that is made.
    bytes: Vec<u8>,
}

impl ShardBuilder {
    /// The shard of some nodes, given by tag and bytes; nothing where there are none.
    pub(super) fn build(&mut self, nodes: &[(u32, &[u8])]) -> Result<Option<Shard>, ShardFull> {
        if nodes.is_empty() {
            return Ok(None);
        }
        // At most a third full, so that seven of eight lookups are done with their first slot, and probing meets a free one:
        // at half as many slots the second looks took a tenth of all time, for 17 bytes a name.
        let slots = (3 * nodes.len()).next_power_of_two();
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.resize(slots * SLOT_BYTES, 0);
        for &(tag, node) in nodes {
            bytes.resize(bytes.len() + gap(bytes.len(), node.len()), 0);
            let place = u32::try_from(bytes.len() + 1).ok().filter(|place| place & LONG == 0).ok_or(ShardFull)?;
            let place = if node.len() > CACHE_LINE_BYTES { place | LONG } else { place };
            bytes.extend_from_slice(node);
            let table = bytes.as_chunks_mut::<SLOT_BYTES>().0;
            let mut index = tag as usize & (slots - 1);
            while table.get(index).is_some_and(|&slot| slot != FREE.to_le_bytes()) {
                index = (index + 1) & (slots - 1);
            }
            if let Some(slot) = table.get_mut(index) {
                *slot = (u64::from(tag) << 32 | u64::from(place)).to_le_bytes();
            }
        }
        // Places have 31 bits, so there are less than 2^31 slots, and their logarithm is below the modulus.
        let slot_bits = slots.trailing_zeros() as usize;
        let padding = (slot_bits + SLOT_BITS_MODULUS - bytes.len() % SLOT_BITS_MODULUS) % SLOT_BITS_MODULUS;
        bytes.resize(bytes.len() + padding, 0);
        Ok(Some(Shard { bytes: bytes.as_slice().into() }))
    }
}

/// Bytes to leave out at a place before a node, so that one which fits a cache line needs no more than one.
fn gap(place: usize, node_bytes: usize) -> usize {
    let used = (COUNTERS_BYTES + place) % CACHE_LINE_BYTES;
    let straddles = used + node_bytes > CACHE_LINE_BYTES;
    if straddles && node_bytes <= CACHE_LINE_BYTES { CACHE_LINE_BYTES - used } else { 0 }
}
