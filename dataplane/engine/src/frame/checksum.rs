//! The Internet checksum (RFC 1071).

/// A sum of 16-bit words in the order of the machine, as wide as it takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The sum of numbers in the order of the machine, each of whole 16-bit words, that were added without a carry.
    #[inline(always)]
    pub(crate) fn of(sum: u64) -> Self {
        Self(sum)
    }

    /// Adds bytes; an odd one at the end counts as if a zero followed. Only the last call may have an odd number.
    #[inline]
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        // NOTE: RFC 1071 section 2(B) and (C): the sum may be taken in any byte order and in words of any width, so it is
        // taken in the machine's order, eight bytes at a time, carries coming in at the other end.
        let (words, tail) = bytes.as_chunks::<8>();
        let mut sum = self;
        for word in words {
            sum = sum.add_word(u64::from_ne_bytes(*word));
        }
        if tail.is_empty() { sum } else { sum.add_word(last_word(tail)) }
    }

    /// What a 16-bit number adds whose bytes were read in the order little-endian machines read them.
    #[inline(always)]
    pub(crate) fn number(number: u16) -> u64 {
        u64::from(number.to_le())
    }

    /// Adds eight bytes.
    #[inline(always)]
    pub(crate) fn add_word(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum + u64::from(carry))
    }

    /// Adds a sum of 16-bit words that were read as little-endian numbers.
    #[inline(always)]
    pub(crate) fn add_little_endian(self, sum: u32) -> Self {
        // RFC 1071 section 2(B): bytes swapped, the sum is that of the swapped words.
        let folded = Self(u64::from(sum)).fold();
        self.add_word(if cfg!(target_endian = "little") { u64::from(sum) } else { u64::from(folded.swap_bytes()) })
    }

    /// Adds a 16-bit number.
    #[inline]
    pub(crate) fn add_u16(self, number: u16) -> Self {
        self.add_word(u64::from(number.to_be()))
    }

    /// Takes a 16-bit number that was added before out again (RFC 1624 section 3).
    #[inline]
    pub(crate) fn subtract_u16(self, number: u16) -> Self {
        self.add_word(u64::from(!number.to_be()))
    }

    /// Adds by how much a 16-bit number has changed, as a wrapped difference.
    #[inline]
    pub(crate) fn add_difference(self, difference: u16) -> Self {
        // A negative difference wraps at 2^16, the sum at 2^16 - 1.
        if difference < 0x8000 { self.add_u16(difference) } else { self.subtract_u16(difference.wrapping_neg()) }
    }

    /// Adds the folded sum of bytes that begin at an even or odd place (RFC 1071 section 2(B)).
    #[inline(always)]
    pub(crate) fn add_sum(self, sum: u16, place: usize) -> Self {
        self.add_word(u64::from(if place.is_multiple_of(2) { sum } else { sum.swap_bytes() }))
    }

    /// Takes the folded sum of such bytes out again.
    #[inline(always)]
    pub(crate) fn subtract_sum(self, sum: u16, place: usize) -> Self {
        self.add_sum(!sum, place)
    }

    /// The checksum of all that was added, as it goes on the wire.
    #[inline(always)]
    pub(crate) fn finish(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// The sum in sixteen bits, in the order of the machine.
    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "halves are added with their carries until sixteen bits are left"
    )]
    pub(crate) fn fold(self) -> u16 {
        let (sum, carry) = ((self.0 >> 32) as u32).overflowing_add(self.0 as u32);
        let sum = sum + u32::from(carry);
        let (sum, carry) = ((sum >> 16) as u16).overflowing_add(sum as u16);
        sum + u16::from(carry)
    }

    /// True where what was added includes a right checksum.
    #[inline(always)]
    pub(crate) fn is_right(self) -> bool {
        // Folding keeps the remainder by 2^16 - 1; the complement of a sum that is a multiple of it is zero. The sum zero
        // itself is one of nothing but zeros, which no header is.
        self.0 != 0 && is_multiple(self.0)
    }
}

/// True for multiples of 2^16 - 1, which the product with its inverse brings to the least of all numbers.
#[inline(always)]
fn is_multiple(sum: u64) -> bool {
    const ONES: u64 = 0xffff;
    const INVERSE: u64 = 0xfffe_fffe_fffe_ffff;
    const { assert!(ONES.wrapping_mul(INVERSE) == 1) };
    sum.wrapping_mul(INVERSE) <= u64::MAX / ONES
}

/// Less than eight bytes as a word with zeros behind them.
#[inline]
fn last_word(tail: &[u8]) -> u64 {
    let mut word = 0;
    let mut rest = tail;
    let mut shift = 0;
    if let Some((four, after)) = rest.split_first_chunk::<4>() {
        (word, rest, shift) = (u64::from(u32::from_le_bytes(*four)), after, 32);
    }
    if let Some((two, after)) = rest.split_first_chunk::<2>() {
        word |= u64::from(u16::from_le_bytes(*two)) << shift;
        (rest, shift) = (after, shift + 16);
    }
    if let Some(&byte) = rest.first() {
        word |= u64::from(byte) << shift;
    }
    u64::from_ne_bytes(word.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word, as RFC 1071 section 4.1 does it.
    fn reference(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!u16::try_from(sum).unwrap()).to_be_bytes()
    }

    #[test]
    fn equals_the_word_by_word_sum_at_every_length() {
        let bytes: Vec<u8> = (0..1500u32).map(|n| u8::try_from(n * 97 % 256).unwrap()).collect();
        for length in 0..bytes.len() {
            assert_eq!(Sum::default().add(&bytes[..length]).finish(), reference(&bytes[..length]), "{length}");
        }
        assert_eq!(Sum::default().add(&[0xff; 4000]).finish(), [0, 0]);
    }

    #[test]
    fn parts_and_numbers_add_up() {
        let whole = Sum::default().add(&[1, 2, 3, 4, 5, 6, 7]).finish();
        assert_eq!(Sum::default().add(&[1, 2]).add_u16(0x0304).add(&[5, 6, 7]).finish(), whole);
    }

    #[test]
    fn a_right_checksum_is_seen() {
        let mut header = *b"\x45\x00\x00\x73\x00\x00\x40\x00\x40\x11\x00\x00\xc0\xa8\x00\x01\xc0\xa8\x00\xc7";
        let sum = Sum::default().add(&header).finish();
        assert_eq!(sum, [0xb8, 0x61]);
        header[10..12].copy_from_slice(&sum);
        assert!(Sum::default().add(&header).is_right());
        header[3] ^= 1;
        assert!(!Sum::default().add(&header).is_right());
    }
}
