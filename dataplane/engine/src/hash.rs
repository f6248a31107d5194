//! The seeded hash of names.
//!
//! A name in lower-case wire form is cut into blocks of sixteen bytes from its first byte on, zeros behind the last; each
//! block is multiplied with itself under numbers of its own, and the products are summed. So a name of two blocks takes two
//! multiplications that do not wait for each other, and no label has to be found first. Two blocks are always taken: the
//! packet path has no branch for names shorter than that.

use crate::limits::NAME_BYTES_MAX;
use crate::machine::{BLOCK_BYTES, Block};

/// Blocks of the longest name.
const BLOCKS_MAX: usize = NAME_BYTES_MAX.div_ceil(BLOCK_BYTES);

/// Blocks that are taken of every name.
const BLOCKS_MIN: usize = 2;

/// Odd multiplier of the folded multiplication (the golden ratio).
const FOLD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The numbers that blocks are multiplied under, unknown outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed([[u64; 2]; BLOCKS_MAX]);

impl Seed {
    /// A seed that differs from process to process.
    pub fn random() -> Self {
        use core::hash::BuildHasher;
        let state = std::hash::RandomState::new();
        let mut number = 0u64;
        Self(core::array::from_fn(|_| {
            [(); 2].map(|()| {
                number += 1;
                state.hash_one(number)
            })
        }))
    }

    /// What one block adds to the hash of its name. `index` is the block's number in the name.
    #[inline(always)]
    pub(crate) fn block(&self, index: usize, block: Block) -> u64 {
        let [low, high] = self.0.get(index).copied().unwrap_or_default();
        let [first, second] = block.words();
        multiply(first ^ low, second ^ high)
    }

    /// The hash of the name of `length` bytes that starts `padded`: whatever stands behind it does not count, but must be
    /// there up to the end of the last block.
    #[inline]
    pub(crate) fn name(&self, padded: &[u8], length: usize) -> u64 {
        let (blocks, _) = padded.as_chunks::<BLOCK_BYTES>();
        let count = length.div_ceil(BLOCK_BYTES).max(BLOCKS_MIN);
        let blocks = blocks.iter().take(count).enumerate();
        blocks.fold(0, |sum: u64, (index, block)| {
            let begun = length.saturating_sub(index * BLOCK_BYTES).min(BLOCK_BYTES);
            sum.wrapping_add(self.block(index, Block::new(&first_bytes(*block, begun))))
        })
    }

    /// One number of the seed, for other hashes.
    pub(crate) fn number(&self) -> u64 {
        let [[number, _], ..] = self.0;
        number
    }
}

/// The first bytes of a block, zeros in the place of the others.
#[inline]
fn first_bytes(block: [u8; BLOCK_BYTES], count: usize) -> [u8; BLOCK_BYTES] {
    // Sixteen bytes are one number; shifted out are those behind the first.
    let unused_bits = (BLOCK_BYTES - count.min(BLOCK_BYTES)) * 8;
    let mask = u32::try_from(unused_bits).ok().and_then(|bits| u128::MAX.checked_shr(bits)).unwrap_or_default();
    (u128::from_le_bytes(block) & mask).to_le_bytes()
}

/// Multiplies to 128 bits and folds the halves together.
// NOTE: the casts keep the low and the high half, which is the point.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
const fn multiply(one: u64, other: u64) -> u64 {
    let product = (one as u128) * (other as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes a number well.
#[inline]
pub(crate) const fn fold(value: u64) -> u64 {
    multiply(value, FOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that is the same in every run.
    fn seed() -> Seed {
        let mut number = 0;
        Seed(core::array::from_fn(|_| {
            [(); 2].map(|()| {
                number += 1;
                fold(number)
            })
        }))
    }

    #[test]
    fn bytes_behind_the_name_do_not_count() {
        let mut one = [b'x'; 272];
        let mut other = [b'y'; 272];
        for length in 1..=NAME_BYTES_MAX {
            one[length - 1] = b'a';
            other[length - 1] = b'a';
            assert_eq!(seed().name(&one, length), seed().name(&other, length), "{length} bytes");
        }
    }

    #[test]
    fn every_byte_of_the_name_counts() {
        let name: Vec<u8> = (0..=255u8).chain(0..16).collect();
        // All lengths would take miri half an hour.
        for length in (1..=NAME_BYTES_MAX).step_by(if cfg!(miri) { 50 } else { 1 }) {
            let hash = seed().name(&name, length);
            for changed in 0..length {
                let mut other = name.clone();
                other[changed] ^= 1;
                assert_ne!(hash, seed().name(&other, length), "byte {changed} of {length}");
            }
        }
    }

    #[test]
    fn blocks_are_told_apart_by_their_places() {
        let one = [[1; 16], [2; 16]].concat();
        let other = [[2; 16], [1; 16]].concat();
        assert_ne!(seed().name(&one, 32), seed().name(&other, 32));
    }
}
