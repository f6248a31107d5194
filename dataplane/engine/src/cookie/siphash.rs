//! SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that who does not know the key cannot guess.
//!
//! Our own, because it is one page: the standard library's `SipHasher` is deprecated, and a crate would bring hashers that
//! are fed piece by piece, which a cookie does not need.

/// The key.
#[derive(Clone, Copy)]
pub(super) struct Key([u64; 2]);

impl Key {
    /// The key in sixteen bytes.
    pub(super) fn new(bytes: &[u8; 16]) -> Self {
        let number = u128::from_le_bytes(*bytes);
        #[allow(clippy::cast_possible_truncation, reason = "the halves of the key are wanted")]
        Self([number as u64, (number >> 64) as u64])
    }

    /// The hash of some bytes.
    #[inline]
    pub(super) fn hash(self, bytes: &[u8]) -> u64 {
        let Self([k0, k1]) = self;
        let mut state = State {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        };
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        // The last word has what is left of the bytes, and their number in its upper eight bits.
        let mut last = (bytes.len() as u64) << 56;
        for (byte, shift) in tail.iter().zip((0u32..).step_by(8)) {
            last |= u64::from(*byte) << shift;
        }
        state.take(last);
        state.v2 ^= 0xff;
        for _ in 0..4 {
            state.round();
        }
        state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }
}

/// What is between two words.
struct State {
    /// First quarter.
    v0: u64,
    /// Second quarter.
    v1: u64,
    /// Third quarter.
    v2: u64,
    /// Fourth quarter.
    v3: u64,
}

impl State {
    /// Takes eight bytes in: two rounds.
    #[inline]
    fn take(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    /// One round.
    #[inline]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the paper: 0 to 15.
    fn key() -> Key {
        Key::new(&core::array::from_fn(|index| u8::try_from(index).unwrap()))
    }

    #[test]
    fn the_example_of_the_paper() {
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(key().hash(&bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    #[allow(deprecated, reason = "the standard library's is the same function, and independent of ours")]
    fn equals_the_standard_library_at_every_length() {
        use core::hash::{Hasher as _, SipHasher};
        let bytes: Vec<u8> = (0..64u8).map(|byte| byte.wrapping_mul(151)).collect();
        for length in 0..bytes.len() {
            let mut hasher = SipHasher::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
            hasher.write(&bytes[..length]);
            assert_eq!(key().hash(&bytes[..length]), hasher.finish(), "{length} bytes");
        }
    }
}
