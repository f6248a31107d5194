//! The SOA record of negative answers, made ready when a zone is published (RFC 2308).
//!
//! Its names end in pointers to the apex, which stands somewhere in every question that the zone answers: where, only the
//! question tells. So the record is stored with places to put that pointer, under a type that no record has:
//!
//! ```text
//! places u8 x 3 (0: none), a zero byte, then: pointer, SOA, IN, negative TTL, length, MNAME, RNAME, five numbers
//! ```

use crate::frame::checksum::Sum;
use crate::writer::split_name;

/// The type under which an apex has its negative answer; reserved, so no record has it (RFC 6895 section 3.1).
pub(crate) const NEGATIVE: u16 = 0;

/// Bytes before the record.
const HEAD_BYTES: usize = 4;

/// A negative answer's record with the places of its pointers.
#[derive(Clone, Copy)]
pub(crate) struct Negative<'a> {
    /// Where pointers to the apex go, in bytes from the start of the record; 0 behind the first says that there is none.
    places: [u8; 3],
    /// The record, zeros in the places of its pointers.
    record: &'a [u8],
    /// The checksum's sum of it.
    sum: u16,
}

impl<'a> Negative<'a> {
    /// The negative answer in what an apex stores.
    #[inline(always)]
    pub(crate) fn decode(stored: &'a [u8], sum: u16) -> Option<Self> {
        let (&[first, second, third, _], record) = stored.split_first_chunk::<HEAD_BYTES>()?;
        Some(Self { places: [first, second, third], record, sum })
    }

    /// Bytes of the record.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.record.len()
    }

    /// Writes the record and the pointers to the apex in it. Returns its checksum's sum as if it began at an even place;
    /// nothing where there is no room.
    #[inline(always)]
    pub(crate) fn write(&self, to: &mut [u8], pointer: [u8; 2]) -> Option<u16> {
        to.get_mut(..self.record.len())?.copy_from_slice(self.record);
        let [first, second, third] = self.places.map(usize::from);
        let mut sum = Sum::default().add_sum(self.sum, 0);
        sum = put_pointer(to, sum, first, pointer)?;
        if second != 0 {
            sum = put_pointer(to, sum, second, pointer)?;
        }
        if third != 0 {
            sum = put_pointer(to, sum, third, pointer)?;
        }
        Some(sum.fold())
    }
}

/// Puts a pointer into a record, and adds it to the sum.
#[inline(always)]
fn put_pointer(to: &mut [u8], sum: Sum, place: usize, pointer: [u8; 2]) -> Option<Sum> {
    *to.get_mut(place..)?.first_chunk_mut::<2>()? = pointer;
    Some(sum.add_sum(u16::from_ne_bytes(pointer), place))
}

/// What an apex stores for its negative answers, made from its SOA record's rdata and TTL. Nothing where that takes a form
/// which is left to the long way: at the root, where there is no suffix to point to, or with very long names.
pub(super) fn encode(apex: &[u8], rdata: &[u8], ttl: u32) -> Option<Vec<u8>> {
    if apex.len() < 2 {
        return None;
    }
    let (mname, rest) = split_name(rdata)?;
    let (rname, numbers) = split_name(rest)?;
    let minimum = u32::from_be_bytes(*numbers.last_chunk::<4>()?);
    let mut stored = vec![0; HEAD_BYTES];
    // Pointer, type SOA, class IN, the smaller of TTL and MINIMUM (RFC 2308 section 3), the rdata's length.
    stored.extend_from_slice(&[0, 0, 0, 6, 0, 1]);
    stored.extend_from_slice(&ttl.min(minimum).to_be_bytes());
    let length_at = stored.len();
    stored.extend_from_slice(&[0, 0]);
    for (index, name) in [mname, rname].into_iter().enumerate() {
        match prefix_of(name, apex) {
            None => stored.extend_from_slice(name),
            Some(prefix) => {
                stored.extend_from_slice(prefix);
                *stored.get_mut(index + 1)? = u8::try_from(stored.len() - HEAD_BYTES).ok()?;
                stored.extend_from_slice(&[0, 0]);
            }
        }
    }
    stored.extend_from_slice(numbers);
    let length = u16::try_from(stored.len() - length_at - 2).ok()?;
    stored.get_mut(length_at..length_at + 2)?.copy_from_slice(&length.to_be_bytes());
    Some(stored)
}

/// The checksum's sum of what [`encode`] made, its head left out.
pub(super) fn sum(stored: &[u8]) -> u16 {
    Sum::default().add(stored.get(HEAD_BYTES..).unwrap_or_default()).fold()
}

/// The labels of a name before those of its ancestor.
fn prefix_of<'a>(name: &'a [u8], ancestor: &[u8]) -> Option<&'a [u8]> {
    let mut at = 0;
    while let Some(&length) = name.get(at) {
        if name.get(at..)?.eq_ignore_ascii_case(ancestor) {
            return name.get(..at);
        }
        at += 1 + usize::from(length);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: &[u8] = b"\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x3c";

    #[test]
    fn names_within_the_zone_end_in_pointers() {
        let rdata = [b"\x02ns\x07EXAMPLE\0".as_slice(), b"\x04host\x05other\0", NUMBERS].concat();
        let stored = encode(b"\x07example\0", &rdata, 300).unwrap();
        let negative = Negative::decode(&stored, sum(&stored)).unwrap();
        let mut written = vec![0xee; 100];
        let sum = negative.write(&mut written, [0xc0, 0x10]).unwrap();
        let expected =
            [b"\xc0\x10\0\x06\0\x01\0\0\0\x3c\0\x25\x02ns\xc0\x10\x04host\x05other\0".as_slice(), NUMBERS].concat();
        assert_eq!(written[..negative.len()], expected);
        assert_eq!(sum, Sum::default().add(&expected).fold());
    }

    #[test]
    fn a_name_that_is_the_apex_is_a_pointer_alone() {
        let rdata = [b"\x07example\0".as_slice(), b"\x07example\0", NUMBERS].concat();
        let stored = encode(b"\x07example\0", &rdata, 30).unwrap();
        let mut written = vec![0; 60];
        Negative::decode(&stored, sum(&stored)).unwrap().write(&mut written, [0xc0, 0x0c]).unwrap();
        assert_eq!(written[..16], *b"\xc0\x0c\0\x06\0\x01\0\0\0\x1e\0\x18\xc0\x0c\xc0\x0c");
    }
}
