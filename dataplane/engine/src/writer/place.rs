//! Where the parts of a name stand in a message.

use crate::limits::LABELS_MAX;

/// The two bits that tell a pointer from a label's length (RFC 1035 section 4.1.4).
const POINTER_BITS: u8 = 0xc0;

/// The bits of a pointer that are the offset.
const OFFSET_MASK: u16 = 0x3fff;

/// Where the label that begins `offset` bytes into a name stands in a message, which has the name at `name_at`, whole or
/// compressed. Nothing where no label begins there.
pub(crate) fn place_in_name(message: &[u8], name_at: usize, offset: usize) -> Option<usize> {
    let (mut at, mut passed) = (name_at, 0);
    // NOTE: each label may stand behind a pointer; what goes on for longer is no name.
    for _ in 0..2 * LABELS_MAX + 2 {
        let octet = *message.get(at)?;
        if octet >= POINTER_BITS {
            let pointer = message.get(at..)?.first_chunk::<2>()?;
            at = usize::from(u16::from_be_bytes(*pointer) & OFFSET_MASK);
        } else if passed == offset {
            return Some(at);
        } else if octet == 0 || passed > offset {
            return None;
        } else {
            (at, passed) = (at + 1 + usize::from(octet), passed + 1 + usize::from(octet));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_behind_pointers() {
        let message = b"....\x01a\x03org\0\x02bb\xc0\x06\x01c\xc0\x0b";
        let place = |offset| place_in_name(message, 16, offset);
        // c.bb.org.
        assert_eq!([0, 2, 5, 9].map(place), [Some(16), Some(11), Some(6), Some(10)]);
        assert_eq!([1, 3, 6, 10, 100].map(place), [None; 5]);
        assert_eq!(place_in_name(b"\xc0\x00", 0, 0), None, "a loop");
        assert_eq!(place_in_name(b"\x05ab", 0, 6), None, "cut off");
    }
}
