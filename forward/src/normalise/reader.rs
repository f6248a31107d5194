//! Takes a message apart: every step is checked, none is believed.

use ringdns_engine::name::WireName;

/// Most pointers that one name may have: a name has at most 127 labels, and a pointer that leads to a pointer serves nobody.
const POINTERS_MAX: usize = 127;

/// Most bytes of a name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// Reads on from a place in a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// The whole message, into which pointers lead.
    message: &'a [u8],
    /// Where it goes on.
    at: usize,
}

impl<'a> Reader<'a> {
    /// From a place on.
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// The next number of two bytes.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The next number of four bytes.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The next name, whole.
    pub(super) fn name(&mut self) -> Option<WireName> {
        let mut whole = Vec::with_capacity(64);
        let (mut at, mut end, mut pointers) = (self.at, None, 0);
        loop {
            let length = *self.message.get(at)?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.message.get(at..at + 1 + usize::from(length))?;
                    whole.extend_from_slice(label);
                    at += label.len();
                }
                // RFC 1035 section 4.1.4: a pointer leads to a prior occurrence. One that leads on or to itself never ends.
                0xc0.. => {
                    let low = *self.message.get(at + 1)?;
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    end.get_or_insert(at + 2);
                    pointers += 1;
                    if to >= at || pointers > POINTERS_MAX {
                        return None;
                    }
                    at = to;
                }
                _ => return None,
            }
            if whole.len() >= NAME_BYTES_MAX {
                return None;
            }
        }
        whole.push(0);
        self.at = end.unwrap_or(at + 1);
        WireName::from_wire(&whole).ok()
    }
}
