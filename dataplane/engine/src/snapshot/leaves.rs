//! Touched leaves: nodes without children and flags, all of whose RRsets are in the default view. Almost all of a zone that
//! is loaded are.
//!
//! They are encoded as they will lie in their shard, one behind the other:
//!
//! ```text
//! key u64, bytes of the node u32, node, zeros up to a multiple of eight bytes
//! ```
//!
//! A name of 27 bytes with one address takes 72 bytes here and 9 to 20 in the table. The uppermost bit of the length says
//! that the node is no longer here: an RRset more makes a new node, behind all others unless the old one is the last. A leaf
//! has few RRsets, and none that was put here is replaced here, so that there are never more than a few copies of it.

use hashbrown::HashTable;

use super::node::NodeView;
use super::overlay::Place;
use super::shard;

/// Most RRsets of a leaf.
pub(super) const LEAF_RRSETS_MAX: usize = 4;

/// Numbers of leaves are below this.
pub(super) const LEAVES_END: u32 = 1 << 31;

/// Bytes of a chunk. What is in a chunk stays where it is: to grow by moving would take twice the memory.
const CHUNK_BYTES: usize = 1 << 20;

/// Nodes are numbered by their places, in units of so many bytes.
const UNIT_BYTES: usize = 8;

/// Units of a chunk.
const CHUNK_UNITS: usize = CHUNK_BYTES / UNIT_BYTES;

/// Bytes before a node.
const ENTRY_HEAD_BYTES: usize = 12;

/// Most bytes of a leaf: what is left over at the end of a chunk stays small.
const LEAF_BYTES_MAX: usize = CHUNK_BYTES / 8;

/// Most chunks: as many as leaves can be numbered in.
const CHUNKS_MAX: usize = LEAVES_END as usize / CHUNK_UNITS;

/// The bit of a length that says that the node is no longer here.
const TAKEN: u32 = 1 << 31;

/// Where a node is. As small as it gets: filling the table is waiting for memory.
struct Slot {
    /// The tag of the key.
    tag: u32,
    /// The number of the node.
    at: u32,
}

/// A node as it is kept.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    /// The key of its name.
    pub key: u64,
    /// The node.
    pub bytes: &'a [u8],
}

impl<'a> Leaf<'a> {
    /// The node that starts `bytes`, and whether it is still here.
    #[inline]
    fn decode(bytes: &'a [u8]) -> Option<(Self, bool)> {
        let (head, rest) = bytes.split_first_chunk::<ENTRY_HEAD_BYTES>()?;
        let &[k1, k2, k3, k4, k5, k6, k7, k8, l1, l2, l3, l4] = head;
        let length = u32::from_le_bytes([l1, l2, l3, l4]);
        let bytes = rest.get(..(length & !TAKEN) as usize)?;
        Some((Self { key: u64::from_le_bytes([k1, k2, k3, k4, k5, k6, k7, k8]), bytes }, length & TAKEN == 0))
    }

    /// Bytes of the node with what stands before and behind it.
    fn entry_bytes(self) -> usize {
        (ENTRY_HEAD_BYTES + self.bytes.len()).next_multiple_of(UNIT_BYTES)
    }

    /// The node as it is read.
    #[inline]
    pub(super) fn view(self) -> Option<NodeView<'a>> {
        NodeView::decode(self.bytes)
    }
}

/// Leaves, found by key and name.
#[derive(Default)]
pub(super) struct Leaves {
    /// Where each of them is.
    table: HashTable<Slot>,
    /// The nodes. The first chunk is as large as it must be, for edits of a few names.
    chunks: Vec<Vec<u8>>,
}

impl Leaves {
    /// The node at a place.
    #[inline]
    pub(super) fn get(&self, place: Place<'_>) -> Option<NodeView<'_>> {
        let Self { table, chunks } = self;
        let slot = table.find(hash(shard::tag(place.key)), |slot| is_at(chunks, slot, place))?;
        leaf(chunks, slot.at)?.view()
    }

    /// Adds a node, in the place of the one that is here where `is_here` says so; false where there is no room for it.
    #[inline]
    pub(super) fn put(&mut self, place: Place<'_>, node: &[u8], is_here: bool) -> bool {
        let entry_bytes = (ENTRY_HEAD_BYTES + node.len()).next_multiple_of(UNIT_BYTES);
        if entry_bytes > LEAF_BYTES_MAX || self.chunks.len() >= CHUNKS_MAX {
            return false;
        }
        if is_here {
            self.discard(place);
        }
        match self.chunks.last() {
            Some(chunk) if chunk.len() + entry_bytes <= CHUNK_BYTES => {}
            Some(_) => self.chunks.push(Vec::with_capacity(CHUNK_BYTES)),
            None => self.chunks.push(Vec::with_capacity(entry_bytes)),
        }
        let first = (self.chunks.len() - 1) * CHUNK_UNITS;
        let Some(chunk) = self.chunks.last_mut() else { return false };
        let start = chunk.len();
        let (Ok(at), Ok(length)) = (u32::try_from(first + start / UNIT_BYTES), u32::try_from(node.len())) else {
            return false;
        };
        let [k1, k2, k3, k4, k5, k6, k7, k8] = place.key.to_le_bytes();
        let [l1, l2, l3, l4] = length.to_le_bytes();
        chunk.extend_from_slice(&[k1, k2, k3, k4, k5, k6, k7, k8, l1, l2, l3, l4]);
        chunk.extend_from_slice(node);
        chunk.resize(start + entry_bytes, 0);
        let tag = shard::tag(place.key);
        self.table.insert_unique(hash(tag), Slot { tag, at }, |slot| hash(slot.tag));
        true
    }

    /// Drops the node at a place. Mostly it came last, because zone files tell what a name has in one place: then its
    /// bytes are free for the next.
    fn discard(&mut self, place: Place<'_>) {
        let Some(at) = self.forget(place) else { return };
        let (number, start) = position(at);
        let is_last = number + 1 == self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(number) else { return };
        let bytes = chunk.get(start..).and_then(Leaf::decode).map_or(0, |(leaf, _)| leaf.entry_bytes());
        if is_last && start + bytes == chunk.len() {
            chunk.truncate(start);
        }
    }

    /// The node at a place, which from now on is not here.
    pub(super) fn take(&mut self, place: Place<'_>) -> Option<NodeView<'_>> {
        let at = self.forget(place)?;
        leaf(&self.chunks, at)?.view()
    }

    /// Marks the node at a place as no longer here; returns its number.
    fn forget(&mut self, place: Place<'_>) -> Option<u32> {
        let Self { table, chunks } = self;
        let entry = table.find_entry(hash(shard::tag(place.key)), |slot| is_at(chunks, slot, place)).ok()?;
        let at = entry.remove().0.at;
        let (chunk, start) = position(at);
        let uppermost = chunks.get_mut(chunk)?.get_mut(start + ENTRY_HEAD_BYTES - 1)?;
        *uppermost |= TAKEN.to_le_bytes()[3];
        Some(at)
    }

    /// The node of a number.
    #[inline]
    pub(super) fn at(&self, at: u32) -> Option<Leaf<'_>> {
        leaf(&self.chunks, at)
    }

    /// The nodes and their numbers, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Leaf<'_>)> {
        let chunks = self.chunks.iter().zip((0u32..).step_by(CHUNK_UNITS));
        let entries = chunks.flat_map(|(chunk, first)| {
            let mut start = 0;
            core::iter::from_fn(move || {
                let (leaf, is_here) = Leaf::decode(chunk.get(start..)?)?;
                let at = first + u32::try_from(start / UNIT_BYTES).ok()?;
                start += leaf.entry_bytes();
                Some((at, leaf, is_here))
            })
        });
        entries.filter_map(|(at, leaf, is_here)| is_here.then_some((at, leaf)))
    }

    /// Frees what is needed for finding nodes by their names only.
    pub(super) fn forget_names(&mut self) {
        self.table = HashTable::new();
    }
}

/// The number that the table spreads its slots by.
#[inline]
fn hash(tag: u32) -> u64 {
    // The table takes the lowest and the uppermost bits.
    u64::from(tag) << 32 | u64::from(tag)
}

/// The chunk of a node, and where in the chunk it starts.
#[inline]
fn position(at: u32) -> (usize, usize) {
    let at = at as usize;
    (at / CHUNK_UNITS, at % CHUNK_UNITS * UNIT_BYTES)
}

/// The node of a number.
#[inline]
fn leaf(chunks: &[Vec<u8>], at: u32) -> Option<Leaf<'_>> {
    let (chunk, start) = position(at);
    Leaf::decode(chunks.get(chunk)?.get(start..)?).map(|(leaf, _)| leaf)
}

/// True where a slot is that of the node at a place.
#[inline]
fn is_at(chunks: &[Vec<u8>], slot: &Slot, place: Place<'_>) -> bool {
    let is_node = |node: NodeView<'_>| node.is(place.name, place.apex_depth);
    slot.tag == shard::tag(place.key) && leaf(chunks, slot.at).and_then(Leaf::view).is_some_and(is_node)
}
