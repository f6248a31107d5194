//! The plain way: a query as nearly all are, whose answer is one RRset sent as it is stored, or the absence of one.
//! IPv4, untagged or with the port's VLAN tag, one question with a name of at most 64 bytes, nothing behind it but an OPT
//! record without options. All that is read of it lies at fixed places of the frame, so it is neither taken apart nor checked
//! label by label: where its name equals one that is served it is well-formed. Whatever comes to no such answer goes the other
//! ways, which give the same bytes (`tests/direct.rs` compares).
//!
//! ```text
//! Ethernet 14 | IPv4 20 | UDP 8 | DNS header 12 | name | type 2, class 2 | OPT record 11, or nothing
//! ```

mod deny;
mod foreign;
mod name;
mod recall;
mod reply;

use crate::frame::checksum::Sum;
use crate::frame::plain::{PLAIN_HEADERS_BYTES, PlainHeaders};
use crate::frame::{Station, UDP_BYTES};
use crate::hash::Seed;
use crate::machine::{BLOCK_BYTES, Block};
use crate::query::{FLAG_QR, HEADER_BYTES, OPCODE_MASK};
use crate::writer::OPT_BYTES;
use name::{Suffix, mask, masks};
pub(crate) use recall::Ahead;
pub(crate) use reply::{Maker, copy};

/// Where the client's address stands.
const CLIENT_AT: usize = 26;
/// Where the DNS header stands.
const HEADER_AT: usize = PLAIN_HEADERS_BYTES;
/// Where the name stands.
const NAME_AT: usize = HEADER_AT + HEADER_BYTES;
/// Bytes of the longest name that is taken.
const NAME_BYTES: usize = 4 * BLOCK_BYTES;
/// Bytes of type and class.
const TYPE_BYTES: usize = 4;
/// Blocks that a datagram has at most.
const BLOCKS: usize = (UDP_BYTES + HEADER_BYTES + NAME_BYTES + TYPE_BYTES + OPT_BYTES).div_ceil(BLOCK_BYTES);
/// Where the UDP header stands.
const UDP_AT: usize = HEADER_AT - UDP_BYTES;
/// Bytes of a buffer that are looked at, whatever the length of the frame in it.
const WINDOW_BYTES: usize = UDP_AT + BLOCKS * BLOCK_BYTES;

/// The counts of a DNS header with one question.
const QUESTION_ALONE: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
/// The counts of a DNS header with one question and one additional record.
const QUESTION_AND_OPT: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];

/// What is looked at of a buffer.
type Window = [u8; WINDOW_BYTES];

/// A plain query between the stages. Everything else is still in its frame.
#[derive(Clone)]
pub(crate) struct PlainQuery {
    /// The first blocks of the name in lower case, zeros behind it.
    name: [Block; 2],
    /// The key of the name.
    pub key: u64,
    /// Bytes of the name; 0: there is no query here.
    name_bytes: u8,
    /// Whether it ends in an OPT record.
    has_opt: bool,
}

impl PlainQuery {
    /// No query.
    pub(crate) fn none() -> Self {
        let zeros = Block::new(&[0; BLOCK_BYTES]);
        Self { name: [zeros; 2], key: 0, name_bytes: 0, has_opt: false }
    }

    /// Forgets the query.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.name_bytes = 0;
    }

    /// True where there is a query.
    #[inline(always)]
    pub(crate) fn is_some(&self) -> bool {
        self.name_bytes != 0
    }

    /// Takes the query in a frame that starts a buffer, if it is a plain one; else nothing is left. The frame is looked at from
    /// `START` on, and is `length` bytes long from there.
    #[inline(always)]
    pub(crate) fn take<const START: usize>(
        &mut self,
        station: &Station,
        room: &[u8],
        length: usize,
        seed: &Seed,
    ) -> Option<()> {
        self.clear();
        let window: &Window = station.plain_part::<START>(room)?.first_chunk()?;
        let PlainHeaders { udp_bytes, pseudo_sum, .. } =
            station.plain_headers::<START>(window.first_chunk()?, length)?;
        let [f1, _] = load(window, HEADER_AT + 2);
        if u16::from_be_bytes([f1, 0]) & (FLAG_QR | OPCODE_MASK) != 0 {
            return None;
        }
        let has_opt = match load(window, HEADER_AT + 4) {
            QUESTION_ALONE => false,
            QUESTION_AND_OPT => true,
            _ => return None,
        };
        let around = UDP_BYTES + HEADER_BYTES + TYPE_BYTES + if has_opt { OPT_BYTES } else { 0 };
        let name_bytes = udp_bytes.wrapping_sub(around);
        if !(1..=NAME_BYTES).contains(&name_bytes)
            || !has_right_sum(window, udp_bytes, pseudo_sum)
            || (has_opt && !is_plain_opt(&load(window, NAME_AT + name_bytes + TYPE_BYTES)))
        {
            return None;
        }
        let name = Suffix::new(window, 0, name_bytes)?;
        let [first, second] = [name.block(0), name.block(1)];
        self.name = [first, second];
        self.key = seed.block(0, first).wrapping_add(seed.block(1, second));
        // At most NAME_BYTES.
        self.name_bytes = u8::try_from(name_bytes).unwrap_or_default();
        self.has_opt = has_opt;
        if name_bytes > 2 * BLOCK_BYTES {
            self.key = self.key.wrapping_add(name.later_key(seed));
        }
        Some(())
    }

    /// True where a name of this many bytes is the one whose key was taken.
    #[inline(always)]
    pub(crate) fn has_name_of(&self, name_bytes: usize) -> bool {
        usize::from(self.name_bytes) == name_bytes
    }
}

/// True for an OPT record of version 0 without options.
#[inline(always)]
fn is_plain_opt(record: &[u8; OPT_BYTES]) -> bool {
    matches!(record, [0, 0, 41, _, _, _, 0, _, _, 0, 0])
}

/// Checks the UDP checksum of a datagram whose length is known to be within the window.
#[inline(always)]
fn has_right_sum(window: &Window, udp_bytes: usize, pseudo_sum: Sum) -> bool {
    let Some(masks) = masks(udp_bytes) else { return has_right_sum_long(window, udp_bytes, pseudo_sum) };
    let block = |index| Block::new(&load(window, UDP_AT + index * BLOCK_BYTES)).and(mask(masks, index));
    let sum = Block::sum([block(0), block(1), block(2), block(3)]);
    pseudo_sum.add_little_endian(sum).is_right()
}

/// The same for datagrams of more bytes than there are masks for.
#[inline(never)]
fn has_right_sum_long(window: &Window, udp_bytes: usize, pseudo_sum: Sum) -> bool {
    let datagram = window.get(UDP_AT..UDP_AT + udp_bytes);
    datagram.is_some_and(|datagram| pseudo_sum.add(datagram).is_right())
}

/// Some bytes of the window.
#[inline(always)]
fn load<const N: usize>(window: &Window, at: usize) -> [u8; N] {
    window.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}
