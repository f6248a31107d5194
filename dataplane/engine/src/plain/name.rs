//! The name of a plain query, or a suffix of it, as it stands in the frame.

use super::{NAME_AT, NAME_BYTES, Window, load};
use crate::hash::Seed;
use crate::machine::{BLOCK_BYTES, Block};
use crate::snapshot::{PlainNode, Snapshot};

/// For each length of a name a place in here from which on the name's bytes have ones and all after
/// them zeros.
static MASKS: [u8; 2 * NAME_BYTES] = {
    let mut masks = [0; 2 * NAME_BYTES];
    let (ones, _) = masks.split_at_mut(NAME_BYTES);
    let mut rest = ones;
    while let [first, after @ ..] = rest {
        *first = 0xff;
        rest = after;
    }
    masks
};

/// The masks of the blocks of a name.
pub(super) type Masks = [[u8; BLOCK_BYTES]; NAME_BYTES / BLOCK_BYTES];

/// The masks that leave the first `length` bytes of so many as they are, block by block.
#[inline(always)]
pub(super) fn masks(length: usize) -> Option<&'static Masks> {
    let masks: &[u8; NAME_BYTES] = MASKS.get(NAME_BYTES.wrapping_sub(length)..)?.first_chunk()?;
    masks.as_chunks::<BLOCK_BYTES>().0.first_chunk()
}

/// The mask of a block.
#[inline(always)]
pub(super) fn mask(masks: &Masks, index: usize) -> Block {
    Block::new(masks.get(index).unwrap_or(&[0; BLOCK_BYTES]))
}

/// A name of a frame: all of the question's, or its end.
#[derive(Clone, Copy)]
pub(super) struct Suffix<'a> {
    /// The frame.
    window: &'a Window,
    /// Where it starts in the question's name.
    start: usize,
    /// The masks of its length.
    masks: &'a Masks,
    /// Its length in bytes.
    pub bytes: usize,
}

impl<'a> Suffix<'a> {
    /// The name of so many bytes that starts in the question's name; nothing for lengths that are not taken.
    #[inline(always)]
    pub(super) fn new(window: &'a Window, start: usize, bytes: usize) -> Option<Self> {
        Some(Self { window, start, masks: masks(bytes)?, bytes })
    }

    /// A block of it in lower case, without the bytes that are not the name's.
    #[inline(always)]
    pub(super) fn block(&self, index: usize) -> Block {
        let at = NAME_AT + self.start + index * BLOCK_BYTES;
        Block::new(&load(self.window, at)).lowercase().and(mask(self.masks, index))
    }

    /// What the blocks behind the second add to the key.
    #[inline(never)]
    pub(super) fn later_key(self, seed: &Seed) -> u64 {
        let part = |index| seed.block(index, self.block(index));
        part(2).wrapping_add(if self.bytes > 3 * BLOCK_BYTES { part(3) } else { 0 })
    }

    /// Its key.
    #[inline(always)]
    pub(super) fn key(&self, seed: &Seed) -> u64 {
        let key = seed.block(0, self.block(0)).wrapping_add(seed.block(1, self.block(1)));
        if self.bytes > 2 * BLOCK_BYTES { key.wrapping_add(self.later_key(seed)) } else { key }
    }

    /// Its node in the zone whose apex has `apex_depth` labels, or in any.
    #[inline(always)]
    pub(super) fn node<'b>(&self, snapshot: &'b Snapshot, apex_depth: Option<u8>) -> Option<PlainNode<'b>> {
        let node = PlainNode::decode(snapshot.candidate(self.key(snapshot.seed()))?)?;
        let is_right = apex_depth.is_none_or(|depth| depth == node.apex_depth) && self.is_owner(&node)?;
        is_right.then_some(node)
    }

    /// True where its first two blocks are these.
    #[inline(always)]
    pub(super) fn begins_with(&self, [first, second]: [Block; 2]) -> bool {
        self.block(0).equal(first).and(self.block(1).equal(second)).is_ones()
    }

    /// True where it is the owner of a node; nothing where too few bytes follow that.
    #[inline(always)]
    pub(super) fn is_owner(&self, node: &PlainNode<'_>) -> Option<bool> {
        let equal = |index, stored: &[u8; BLOCK_BYTES]| {
            self.block(index).equal(Block::new(stored).and(mask(self.masks, index)))
        };
        let [one, two] = node.rest.as_chunks::<BLOCK_BYTES>().0.first_chunk()?;
        let begins_so = equal(0, one).and(equal(1, two)).is_ones() && usize::from(node.name_bytes) == self.bytes;
        if self.bytes <= 2 * BLOCK_BYTES || !begins_so {
            return Some(begins_so);
        }
        let [_, _, three, four] = node.rest.as_chunks::<BLOCK_BYTES>().0.first_chunk()?;
        Some(equal(2, three).and(equal(3, four)).is_ones())
    }
}

/// Where the labels of a name start, the root label left out: bit `n` for byte `n`.
#[derive(Clone, Copy)]
pub(super) struct Labels {
    /// The bits.
    starts: u64,
    /// How many there are.
    pub depth: u8,
    /// Bytes of the name.
    name_bytes: usize,
}

impl Labels {
    /// The labels of a question's name, where they end in the root label exactly where the name does.
    #[inline(always)]
    pub(super) fn of(window: &Window, name_bytes: usize) -> Option<Self> {
        let name: &[u8; NAME_BYTES] = window.get(NAME_AT..)?.first_chunk()?;
        let (mut starts, mut depth, mut at) = (0, 0, 0);
        loop {
            let length = usize::from(*name.get(at)?);
            if length == 0 {
                return (at + 1 == name_bytes).then_some(Self { starts, depth, name_bytes });
            }
            // A compression pointer, or another sort of label (RFC 6891 section 5): not here.
            if length >= NAME_BYTES {
                return None;
            }
            starts |= 1 << at;
            depth += 1;
            at += 1 + length;
        }
    }

    /// Where the suffix of so many labels starts; nothing where the name has fewer, or for the root.
    #[inline(always)]
    pub(super) fn start(self, depth: u8) -> Option<usize> {
        let mut starts = self.starts;
        for _ in 0..self.depth.checked_sub(depth)? {
            starts &= starts.wrapping_sub(1);
        }
        (starts != 0).then(|| starts.trailing_zeros() as usize)
    }

    /// The suffix of so many labels, which is not the root.
    #[inline(always)]
    pub(super) fn suffix(self, window: &Window, depth: u8) -> Option<Suffix<'_>> {
        let start = self.start(depth)?;
        Suffix::new(window, start, self.name_bytes - start)
    }
}

#[cfg(test)]
mod tests {
    use super::super::WINDOW_BYTES;
    use super::*;

    #[test]
    fn masks_leave_as_many_bytes_as_they_say() {
        for length in 0..=NAME_BYTES {
            let ones = masks(length).unwrap().as_flattened().iter().take_while(|&&byte| byte == 0xff).count();
            let zeros = masks(length).unwrap().as_flattened().iter().filter(|&&byte| byte == 0).count();
            assert_eq!((ones, zeros), (length, NAME_BYTES - length));
        }
        assert!(masks(NAME_BYTES + 1).is_none() && masks(usize::MAX).is_none());
    }

    #[test]
    fn labels_start_where_they_do() {
        let mut window = [0; WINDOW_BYTES];
        window[NAME_AT..NAME_AT + 13].copy_from_slice(b"\x03www\x07example\0");
        let labels = Labels::of(&window, 13).unwrap();
        assert_eq!((labels.depth, labels.start(2), labels.start(1)), (2, Some(0), Some(4)));
        assert_eq!((labels.start(0), labels.start(3)), (None, None));
        assert!(Labels::of(&window, 12).is_none() && Labels::of(&window, 14).is_none());
        window[NAME_AT] = 0xc0;
        assert!(Labels::of(&window, 13).is_none());
    }
}
