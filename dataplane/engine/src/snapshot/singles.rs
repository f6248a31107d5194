//! Touched nodes with one RRset in the default view, and without flags and children: almost all of a zone that is loaded.
//!
//! They are encoded once, behind each other, as they will lie in their shard:
//!
//! ```text
//! key u64, bytes of the node u32, node, zeros up to a multiple of eight bytes
//! ```
//!
//! A name of 27 bytes with one address takes 72 bytes here and 9 to 20 in the table. The uppermost bit of the length says
//! that the node is no longer here.

use hashbrown::HashTable;

use super::node::{HEAD_BYTES, NodeView, RRSET_HEAD_BYTES};
use super::open::{RrsetHead, encode_single};
use super::overlay::Place;
use super::shard;

/// Numbers of single nodes are below this.
pub(super) const SINGLES_END: u32 = 1 << 31;

/// Bytes of a chunk. What is in a chunk stays where it is: to grow by moving would take twice the memory.
const CHUNK_BYTES: usize = 1 << 20;

/// Nodes are numbered by their places, in units of so many bytes.
const UNIT_BYTES: usize = 8;

/// Units of a chunk.
const CHUNK_UNITS: usize = CHUNK_BYTES / UNIT_BYTES;

/// Bytes before a node.
const ENTRY_HEAD_BYTES: usize = 12;

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
pub(super) struct Single<'a> {
    /// The key of its name.
    pub key: u64,
    /// The node.
    pub bytes: &'a [u8],
}

impl<'a> Single<'a> {
    /// The node that starts `bytes`, and whether it is still here.
    #[inline]
    fn decode(bytes: &'a [u8]) -> Option<(Self, bool)> {
        let (head, rest) = bytes.split_first_chunk::<ENTRY_HEAD_BYTES>()?;
        let &[k1, k2, k3, k4, k5, k6, k7, k8, l1, l2, l3, l4] = head;
        let length = u32::from_le_bytes([l1, l2, l3, l4]);
        let bytes = rest.get(..(length & !TAKEN) as usize)?;
        Some((Self { key: u64::from_le_bytes([k1, k2, k3, k4, k5, k6, k7, k8]), bytes }, length & TAKEN == 0))
    }

    /// The node as it is read.
    #[inline]
    pub(super) fn view(self) -> Option<NodeView<'a>> {
        NodeView::decode(self.bytes)
    }
}

/// Single nodes, found by key and name.
#[derive(Default)]
pub(super) struct Singles {
    /// Where each of them is.
    table: HashTable<Slot>,
    /// The nodes. The first chunk is as large as it must be, for edits of a few names.
    chunks: Vec<Vec<u8>>,
}

impl Singles {
    /// The node at a place.
    #[inline]
    pub(super) fn get(&self, place: Place<'_>) -> Option<NodeView<'_>> {
        let Self { table, chunks } = self;
        let slot = table.find(hash(shard::tag(place.key)), |slot| is_at(chunks, slot, place))?;
        single(chunks, slot.at)?.view()
    }

    /// Adds a node that is not here; false where there is no room left.
    #[inline]
    pub(super) fn add(&mut self, place: Place<'_>, rrset: RrsetHead, records: &[u8]) -> bool {
        let node_bytes = HEAD_BYTES + place.name.len() + RRSET_HEAD_BYTES + records.len();
        let entry_bytes = (ENTRY_HEAD_BYTES + node_bytes).next_multiple_of(UNIT_BYTES);
        match self.chunks.last() {
            Some(chunk) if chunk.len() + entry_bytes <= CHUNK_BYTES => {}
            Some(_) => self.chunks.push(Vec::with_capacity(CHUNK_BYTES)),
            None => self.chunks.push(Vec::with_capacity(entry_bytes)),
        }
        let before = (self.chunks.len() - 1) * CHUNK_UNITS;
        let Some(chunk) = self.chunks.last_mut() else { return false };
        let start = chunk.len();
        let at = u32::try_from(before + start / UNIT_BYTES).ok().filter(|&at| at < SINGLES_END);
        let (Some(at), Ok(length)) = (at, u32::try_from(node_bytes)) else { return false };
        let [k1, k2, k3, k4, k5, k6, k7, k8] = place.key.to_le_bytes();
        let [l1, l2, l3, l4] = length.to_le_bytes();
        chunk.extend_from_slice(&[k1, k2, k3, k4, k5, k6, k7, k8, l1, l2, l3, l4]);
        encode_single(chunk, place, rrset, records);
        chunk.resize(start + entry_bytes, 0);
        let tag = shard::tag(place.key);
        self.table.insert_unique(hash(tag), Slot { tag, at }, |slot| hash(slot.tag));
        true
    }

    /// The node at a place, which from now on is not here.
    pub(super) fn take(&mut self, place: Place<'_>) -> Option<NodeView<'_>> {
        let Self { table, chunks } = self;
        let entry = table.find_entry(hash(shard::tag(place.key)), |slot| is_at(chunks, slot, place)).ok()?;
        let at = entry.remove().0.at;
        let (chunk, start) = position(at);
        let uppermost = chunks.get_mut(chunk)?.get_mut(start + ENTRY_HEAD_BYTES - 1)?;
        *uppermost |= TAKEN.to_le_bytes()[3];
        single(chunks, at)?.view()
    }

    /// The node of a number.
    #[inline]
    pub(super) fn at(&self, at: u32) -> Option<Single<'_>> {
        single(&self.chunks, at)
    }

    /// The nodes and their numbers, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Single<'_>)> {
        let chunks = self.chunks.iter().zip((0u32..).step_by(CHUNK_UNITS));
        let entries = chunks.flat_map(|(chunk, first)| {
            let mut start = 0;
            core::iter::from_fn(move || {
                let (single, is_here) = Single::decode(chunk.get(start..)?)?;
                let at = first + u32::try_from(start / UNIT_BYTES).ok()?;
                start += (ENTRY_HEAD_BYTES + single.bytes.len()).next_multiple_of(UNIT_BYTES);
                Some((at, single, is_here))
            })
        });
        entries.filter_map(|(at, single, is_here)| is_here.then_some((at, single)))
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
fn single(chunks: &[Vec<u8>], at: u32) -> Option<Single<'_>> {
    let (chunk, start) = position(at);
    Single::decode(chunks.get(chunk)?.get(start..)?).map(|(single, _)| single)
}

/// True where a slot is that of the node at a place.
#[inline]
fn is_at(chunks: &[Vec<u8>], slot: &Slot, place: Place<'_>) -> bool {
    let is_node = |node: NodeView<'_>| node.is(place.name, place.apex_depth);
    slot.tag == shard::tag(place.key) && single(chunks, slot.at).and_then(Single::view).is_some_and(is_node)
}
