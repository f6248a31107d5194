//! The seeded hash of names.
//!
//! The hash of a name grows label by label from the root, so one pass over a name gives the hashes of all its suffixes:
//! what is needed to find its zone, its zone cuts and its closest encloser.

/// Odd multiplier of the folded multiplication (the golden ratio).
const FOLD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Tells zones apart in the key of a node.
const DEPTH: u64 = 0xd6e8_feb8_6659_fd93;

/// The hash of the root, unknown outside, from which all others grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub(crate) u64);

impl Seed {
    /// A seed that differs from process to process.
    pub fn random() -> Self {
        use core::hash::BuildHasher;
        Self(std::hash::RandomState::new().hash_one(0u64))
    }
}

/// Multiplies to 128 bits and folds the halves together.
#[inline]
pub(crate) const fn fold(value: u64) -> u64 {
    // NOTE: the casts keep the low and the high half, which is the point.
    #[allow(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
    {
        let product = (value as u128) * (FOLD as u128);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// Extends the hash of a suffix by one label on its left. `label` is in lower case and starts with its length octet,
/// so that different cuts of the same bytes differ; `padded` holds the label and at least seven more bytes.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a label has at most 64 bytes with its length")]
pub(crate) fn extend(mut suffix: u64, mut padded: &[u8], mut label_bytes: usize) -> u64 {
    while let Some((chunk, rest)) = padded.split_first_chunk::<8>() {
        let value = u64::from_le_bytes(*chunk);
        if label_bytes <= 8 {
            // Bytes beyond the label are other labels, or nothing: they must not count. A label has a byte at least.
            let unused_bits = 64u32.wrapping_sub((label_bytes as u32).wrapping_mul(8)) & 63;
            return fold(suffix ^ ((value << unused_bits) >> unused_bits));
        }
        suffix = fold(suffix ^ value);
        label_bytes -= 8;
        padded = rest;
    }
    suffix
}

/// The key of a name in a zone: the hash of the name, and the number of labels of the zone's apex.
#[inline]
pub(crate) fn key(name: u64, apex_depth: u8) -> u64 {
    // The hash is mixed well already; this only tells the zones apart.
    name ^ DEPTH.wrapping_mul(u64::from(apex_depth) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_label_do_not_count() {
        let first = extend(1, b"\x03www\x07example\0 and more", 4);
        let second = extend(1, b"\x03www\x02xy\0 and still more", 4);
        assert_eq!(first, second);
        assert_ne!(first, extend(1, b"\x03wwx\x07example\0 and more", 4));
        assert_ne!(first, extend(2, b"\x03www\x07example\0 and more", 4));
    }

    #[test]
    fn long_labels_count_whole() {
        let label: Vec<u8> = (0..72u8).collect();
        for changed in 0..64 {
            let mut other = label.clone();
            other[changed] ^= 1;
            assert_ne!(extend(1, &label, 64), extend(1, &other, 64), "byte {changed}");
        }
        let mut other = label.clone();
        other[64] ^= 1;
        assert_eq!(extend(1, &label, 64), extend(1, &other, 64));
    }
}
