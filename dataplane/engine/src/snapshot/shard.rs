//! A shard: the nodes whose keys share their first 16 bits, in one arena, found by open addressing.

use super::node::NodeView;

/// Marks a slot without a node.
const FREE: u64 = 0;

/// An immutable part of a snapshot, shared between the generations that it did not change in.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Open-addressing table, a power of two long, never full: tag in the upper half, the node's place in the arena
    /// plus one in the lower half.
    slots: Box<[u64]>,
    /// The nodes, encoded one after the other.
    arena: Box<[u8]>,
}

/// The part of a key that a slot remembers, and that says where probing starts.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the tag is the middle of the key")]
pub(super) const fn tag(key: u64) -> u32 {
    (key >> 16) as u32
}

/// The index of a key's shard: the row of shards, and the place in the row.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "each index is one byte of the key")]
pub(super) const fn place(key: u64) -> (u8, u8) {
    ((key >> 56) as u8, (key >> 48) as u8)
}

impl Shard {
    /// The node of a name (in lower case) in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(super) fn find(&self, key: u64, name: &[u8], apex_depth: u8) -> Option<NodeView<'_>> {
        let tag = tag(key);
        let mask = self.slots.len().checked_sub(1)?;
        let mut index = tag as usize & mask;
        loop {
            let slot = *self.slots.get(index)?;
            if slot == FREE {
                return None;
            }
            if (slot >> 32) == u64::from(tag) {
                let (node, _) = self.node(slot)?;
                if node.is(name, apex_depth) {
                    return Some(node);
                }
            }
            // There is a free slot: see `ShardBuilder::build`.
            index = (index + 1) & mask;
        }
    }

    /// Where the node of a key probably is: what the table tells without a look at the node.
    #[inline]
    pub(super) fn candidate(&self, key: u64) -> Option<&[u8]> {
        let tag = tag(key);
        let mask = self.slots.len().checked_sub(1)?;
        let mut index = tag as usize & mask;
        loop {
            let slot = *self.slots.get(index)?;
            if (slot >> 32) == u64::from(tag) && slot != FREE {
                #[allow(clippy::cast_possible_truncation, reason = "the lower half of the slot is the place")]
                return self.arena.get((slot as u32).checked_sub(1)? as usize..);
            }
            if slot == FREE {
                return None;
            }
            index = (index + 1) & mask;
        }
    }

    /// The node that a slot points to, and its encoded bytes.
    #[inline]
    fn node(&self, slot: u64) -> Option<(NodeView<'_>, &[u8])> {
        #[allow(clippy::cast_possible_truncation, reason = "the lower half of the slot is the place")]
        let start = (slot as u32).checked_sub(1)? as usize;
        let bytes = self.arena.get(start..)?;
        let (node, length) = NodeView::decode(bytes)?;
        Some((node, bytes.get(..length)?))
    }

    /// Every node with its tag and encoded bytes, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, NodeView<'_>, &[u8])> {
        self.slots.iter().filter(|&&slot| slot != FREE).filter_map(|&slot| {
            let (node, bytes) = self.node(slot)?;
            #[allow(clippy::cast_possible_truncation, reason = "the upper half of the slot is the tag")]
            let tag = (slot >> 32) as u32;
            Some((tag, node, bytes))
        })
    }

    /// Bytes on the heap, this structure included.
    pub(super) fn memory_bytes(&self) -> u64 {
        (size_of::<Self>() + self.slots.len() * size_of::<u64>() + self.arena.len()) as u64
    }
}

/// Collects the nodes of a new shard.
#[derive(Default)]
pub(super) struct ShardBuilder {
    /// Tag and place of each node.
    places: Vec<(u32, u32)>,
    /// The nodes encoded so far.
    pub(super) arena: Vec<u8>,
}

/// A shard has outgrown what its slots can address: four GiB. It would take some ten billion names.
#[derive(Debug)]
pub(super) struct ShardFull;

impl ShardBuilder {
    /// Adds a node that `encode` appends to the arena.
    pub(super) fn add(&mut self, tag: u32, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), ShardFull> {
        let start = u32::try_from(self.arena.len()).map_err(|_| ShardFull)?;
        encode(&mut self.arena);
        self.places.push((tag, start));
        Ok(())
    }

    /// The shard with all nodes added; nothing where there are none.
    pub(super) fn build(self) -> Option<Shard> {
        if self.places.is_empty() {
            return None;
        }
        // At most two thirds full, so that probing stays short and always meets a free slot.
        let slots = (self.places.len() + self.places.len() / 2 + 1).next_power_of_two();
        let mut table = vec![FREE; slots].into_boxed_slice();
        for (tag, start) in self.places {
            let mut index = tag as usize & (slots - 1);
            while table.get(index).is_some_and(|&slot| slot != FREE) {
                index = (index + 1) & (slots - 1);
            }
            if let Some(slot) = table.get_mut(index) {
                *slot = (u64::from(tag) << 32) | (u64::from(start) + 1);
            }
        }
        Some(Shard { slots: table, arena: self.arena.into_boxed_slice() })
    }
}
