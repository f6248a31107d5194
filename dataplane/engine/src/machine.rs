//! What the machine can do and the language has no safe word for: vector registers, and asking the memory for a cache line
//! before it is needed. The one file of the engine with `unsafe` in it.
//!
//! What prefetching earned when it was introduced (`cargo run --release -p ringdns-bench --bin engine`, hits, nanoseconds a query, medians of five runs of
//! each kind in turns on one shared machine; "reads" are plain volatile reads of the same bytes at the same places):
//!
//! | names | nothing | reads | prefetches |
//! |---|---|---|---|
//! | 1,000 | 97 | 97 | 94 |
//! | 100,000 | 228 | 139 | 122 |
//! | 1,000,000 | 309 | 174 | 173 |
//!
//! A read occupies the core's window until its line is there, so that only a few can wait at once; a prefetch does not.
//!
//! What blocks in registers earn: 1,039 instructions a query with arrays of bytes, which the compiler takes apart again, 628
//! with blocks, and 450 after the rest of the plain way was made to fit. AVX2 and BMI saved 20 of 531.

#![allow(unsafe_code, reason = "there is no safe prefetch and no safe call of a vector instruction in stable Rust")]

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 16;

/// Sixteen bytes: a vector register where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Block(lanes::Bytes);

impl Block {
    /// The block with these bytes.
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; BLOCK_BYTES]) -> Self {
        Self(lanes::load(bytes))
    }

    /// The block with its ASCII letters in lower case, and all other bytes as they are.
    #[inline(always)]
    #[must_use]
    pub(crate) fn lowercase(self) -> Self {
        Self(lanes::lowercase(self.0))
    }

    /// The block with zeros where the other has them.
    #[inline(always)]
    #[must_use]
    pub(crate) fn and(self, mask: Self) -> Self {
        Self(lanes::and(self.0, mask.0))
    }

    /// Ones where the bytes are those of the other block.
    #[inline(always)]
    #[must_use]
    pub(crate) fn equal(self, other: Self) -> Self {
        Self(lanes::equal(self.0, other.0))
    }

    /// True where all bytes are ones.
    #[inline(always)]
    pub(crate) fn is_ones(self) -> bool {
        lanes::is_ones(self.0)
    }

    /// The bytes as two numbers, little-endian.
    #[inline(always)]
    pub(crate) fn words(self) -> [u64; 2] {
        lanes::words(self.0)
    }

    /// The sum of all the 16-bit numbers, little-endian, that some blocks are made of.
    #[inline(always)]
    pub(crate) fn sum<const N: usize>(blocks: [Self; N]) -> u32 {
        lanes::sum(blocks.map(|block| block.0))
    }
}

/// Whether a stage is compiled for what the newer of today's machines have: AVX2 and BMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// All of it is there.
    is_wide: bool,
}

impl Machine {
    /// The machine that this runs on.
    pub(crate) fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        let is_wide = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("movbe");
        #[cfg(not(target_arch = "x86_64"))]
        let is_wide = false;
        Self { is_wide }
    }

    /// Any machine, whatever this one has.
    #[cfg(test)]
    pub(crate) fn any() -> Self {
        Self { is_wide: false }
    }

    /// Runs a stage, compiled for what the machine has.
    #[inline]
    pub(crate) fn run<R>(self, stage: impl FnOnce() -> R) -> R {
        #[cfg(target_arch = "x86_64")]
        if self.is_wide {
            // SAFETY: what `wide` is compiled for was found to be there.
            return unsafe { wide(stage) };
        }
        narrow(stage)
    }
}

/// A stage for machines that have it all.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe")]
#[inline(never)]
fn wide<R>(stage: impl FnOnce() -> R) -> R {
    stage()
}

/// A stage for any machine.
#[inline(never)]
fn narrow<R>(stage: impl FnOnce() -> R) -> R {
    stage()
}

/// Asks for the cache line in which a value begins.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads and writes nothing that the program could see, whatever the address; and this one is that
    // of a live value.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(core::ptr::from_ref(place).cast());
    }
    // Elsewhere lookups wait for memory one after the other, and are right all the same.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Blocks in vector registers: SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod lanes {
    use core::arch::x86_64 as sse;

    use super::BLOCK_BYTES;

    /// Sixteen bytes.
    pub(super) type Bytes = sse::__m128i;

    /// The bytes in a register.
    #[inline(always)]
    pub(super) fn load(bytes: &[u8; BLOCK_BYTES]) -> Bytes {
        // SAFETY: sixteen bytes are there, and they need not be aligned. Every x86-64 has SSE2.
        unsafe { sse::_mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// ASCII letters in lower case.
    #[inline(always)]
    pub(super) fn lowercase(bytes: Bytes) -> Bytes {
        #[inline]
        #[target_feature(enable = "sse2")]
        fn lowercase(bytes: Bytes) -> Bytes {
            // 'A' to 'Z' become the 26 least of all signed bytes.
            let shifted = sse::_mm_add_epi8(bytes, sse::_mm_set1_epi8(i8::MIN.wrapping_sub(b'A'.cast_signed())));
            let is_upper = sse::_mm_cmplt_epi8(shifted, sse::_mm_set1_epi8(i8::MIN + 26));
            sse::_mm_or_si128(bytes, sse::_mm_and_si128(is_upper, sse::_mm_set1_epi8(0x20)))
        }
        // SAFETY: every x86-64 has SSE2.
        unsafe { lowercase(bytes) }
    }

    /// Bits that are in both.
    #[inline(always)]
    pub(super) fn and(one: Bytes, other: Bytes) -> Bytes {
        // SAFETY: every x86-64 has SSE2.
        unsafe { sse::_mm_and_si128(one, other) }
    }

    /// Ones where bytes are equal.
    #[inline(always)]
    pub(super) fn equal(one: Bytes, other: Bytes) -> Bytes {
        // SAFETY: every x86-64 has SSE2.
        unsafe { sse::_mm_cmpeq_epi8(one, other) }
    }

    /// True where all bytes are ones.
    #[inline(always)]
    pub(super) fn is_ones(bytes: Bytes) -> bool {
        // SAFETY: every x86-64 has SSE2.
        unsafe { sse::_mm_movemask_epi8(bytes) == 0xffff }
    }

    /// The two halves as little-endian numbers.
    #[inline(always)]
    pub(super) fn words(bytes: Bytes) -> [u64; 2] {
        #[inline]
        #[target_feature(enable = "sse2")]
        fn words(bytes: Bytes) -> [u64; 2] {
            let upper = sse::_mm_unpackhi_epi64(bytes, bytes);
            [sse::_mm_cvtsi128_si64(bytes).cast_unsigned(), sse::_mm_cvtsi128_si64(upper).cast_unsigned()]
        }
        // SAFETY: every x86-64 has SSE2.
        unsafe { words(bytes) }
    }

    /// The sum of all 16-bit numbers, little-endian.
    #[inline(always)]
    pub(super) fn sum<const N: usize>(blocks: [Bytes; N]) -> u32 {
        #[inline]
        #[target_feature(enable = "sse2")]
        fn sum<const N: usize>(blocks: [Bytes; N]) -> u32 {
            // Numbers are multiplied as signed ones, so that 2^15 is taken from each, and put back in the end.
            let mut sums = sse::_mm_setzero_si128();
            for block in blocks {
                let signed = sse::_mm_xor_si128(block, sse::_mm_set1_epi16(i16::MIN));
                sums = sse::_mm_add_epi32(sums, sse::_mm_madd_epi16(signed, sse::_mm_set1_epi16(1)));
            }
            let halves = sse::_mm_add_epi32(sums, sse::_mm_shuffle_epi32::<0b00_00_11_10>(sums));
            let whole = sse::_mm_add_epi32(halves, sse::_mm_shuffle_epi32::<0b00_00_00_01>(halves));
            // At most a few hundred blocks.
            let taken = u32::try_from(N).unwrap_or_default() << 18;
            sse::_mm_cvtsi128_si32(whole).cast_unsigned().wrapping_add(taken)
        }
        // SAFETY: every x86-64 has SSE2.
        unsafe { sum(blocks) }
    }
}

/// Blocks without vector registers.
#[cfg(not(target_arch = "x86_64"))]
mod lanes {
    use super::BLOCK_BYTES;

    /// Sixteen bytes.
    pub(super) type Bytes = [u8; BLOCK_BYTES];

    /// The bytes in a register.
    #[inline(always)]
    pub(super) fn load(bytes: &[u8; BLOCK_BYTES]) -> Bytes {
        *bytes
    }

    /// ASCII letters in lower case.
    #[inline(always)]
    pub(super) fn lowercase(bytes: Bytes) -> Bytes {
        bytes.map(|byte| byte.to_ascii_lowercase())
    }

    /// Bits that are in both.
    #[inline(always)]
    pub(super) fn and(one: Bytes, other: Bytes) -> Bytes {
        (u128::from_le_bytes(one) & u128::from_le_bytes(other)).to_le_bytes()
    }

    /// Ones where bytes are equal.
    #[inline(always)]
    pub(super) fn equal(one: Bytes, other: Bytes) -> Bytes {
        let mut equal = one;
        for (byte, other) in equal.iter_mut().zip(other) {
            *byte = if *byte == other { 0xff } else { 0 };
        }
        equal
    }

    /// True where all bytes are ones.
    #[inline(always)]
    pub(super) fn is_ones(bytes: Bytes) -> bool {
        bytes == [0xff; BLOCK_BYTES]
    }

    /// The two halves as little-endian numbers.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "each half is taken")]
    pub(super) fn words(bytes: Bytes) -> [u64; 2] {
        let number = u128::from_le_bytes(bytes);
        [number as u64, (number >> 64) as u64]
    }

    /// The sum of all 16-bit numbers, little-endian.
    #[inline(always)]
    pub(super) fn sum<const N: usize>(blocks: [Bytes; N]) -> u32 {
        let numbers = blocks.iter().flat_map(|block| block.as_chunks::<2>().0);
        numbers.map(|&number| u32::from(u16::from_le_bytes(number))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a block.
    fn bytes(block: Block) -> [u8; BLOCK_BYTES] {
        let [low, high] = block.words();
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }

    #[test]
    fn every_byte_is_made_lower_case() {
        for first in (0..=255u8).step_by(16) {
            let all: [u8; BLOCK_BYTES] = core::array::from_fn(|index| first + u8::try_from(index).unwrap());
            assert_eq!(bytes(Block::new(&all).lowercase()), all.map(|byte| byte.to_ascii_lowercase()));
        }
    }

    #[test]
    fn one_byte_that_differs_is_seen() {
        let block = Block::new(b"sixteen of bytes");
        assert!(block.equal(Block::new(b"sixteen of bytes")).is_ones());
        for index in 0..BLOCK_BYTES {
            let mut other = *b"sixteen of bytes";
            other[index] ^= 0x80;
            assert!(!block.equal(Block::new(&other)).is_ones());
        }
    }

    #[test]
    fn numbers_of_any_sign_are_summed() {
        for (one, other) in [(0x00, 0x00), (0xff, 0xff), (0x80, 0x7f), (0x01, 0x80)] {
            let blocks = [[one; BLOCK_BYTES], [other; BLOCK_BYTES]];
            let expected: u32 = [one, other].map(|byte| 8 * u32::from(u16::from_le_bytes([byte; 2]))).iter().sum();
            assert_eq!(Block::sum(blocks.map(|block| Block::new(&block))), expected);
        }
    }
}
