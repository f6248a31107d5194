//! The plain way: a query as nearly all are, whose answer is one RRset sent as it is stored. Untagged IPv4, one question with
//! a name of at most 64 bytes, nothing behind it but an OPT record without options. All that is read of it lies at fixed
//! places of the frame, so it is neither taken apart nor checked label by label: where its name equals one that is served
//! it is well-formed. Whatever comes to no such answer goes the other ways, which give the same bytes (`tests/direct.rs`
//! compares).
//!
//! ```text
//! Ethernet 14 | IPv4 20 | UDP 8 | DNS header 12 | name | type 2, class 2 | OPT record 11, or nothing
//! ```

use crate::frame::checksum::Sum;
use crate::frame::plain::{PLAIN_HEADERS_BYTES, PlainHeaders};
use crate::frame::{Station, UDP_BYTES, turn};
use crate::hash::Seed;
use crate::limits::UDP_ANSWER_BYTES_MIN;
use crate::machine::{BLOCK_BYTES, Block};
use crate::query::{Edns, FLAG_AA, FLAG_CD, FLAG_QR, FLAG_RD, HEADER_BYTES, OPCODE_MASK};
use crate::rtype::{CLASS_IN, rcode};
use crate::snapshot::{Candidate, PlainNode, Snapshot};
use crate::writer::{EdnsReply, OPT_BYTES};

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
/// Bytes of the longest reply that is made.
const REPLY_BYTES: usize = HEADER_AT + UDP_ANSWER_BYTES_MIN;
/// Bytes of one address record.
const A_RECORD_BYTES: usize = 16;

/// The counts of a DNS header with one question.
const QUESTION_ALONE: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
/// The counts of a DNS header with one question and one additional record.
const QUESTION_AND_OPT: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];

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
type Masks = [[u8; BLOCK_BYTES]; NAME_BYTES / BLOCK_BYTES];
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

    /// Takes the query in a frame of `length` bytes that starts a buffer, if it is a plain one; else nothing is left.
    #[inline(always)]
    pub(crate) fn take(&mut self, station: &Station, room: &[u8], length: usize, seed: &Seed) -> Option<()> {
        self.clear();
        let window: &Window = room.first_chunk()?;
        let PlainHeaders { udp_bytes, pseudo_sum, .. } = station.plain_headers(window.first_chunk()?, length)?;
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
        let masks = masks(name_bytes)?;
        let [first, second] = [name_block(window, masks, 0), name_block(window, masks, 1)];
        self.name = [first, second];
        self.key = seed.block(0, first).wrapping_add(seed.block(1, second));
        // At most NAME_BYTES.
        self.name_bytes = u8::try_from(name_bytes).unwrap_or_default();
        self.has_opt = has_opt;
        if name_bytes > 2 * BLOCK_BYTES {
            self.key = self.key.wrapping_add(later_key(window, name_bytes, seed));
        }
        Some(())
    }

    /// True where a name of this many bytes is the one whose key was taken.
    #[inline(always)]
    pub(crate) fn has_name_of(&self, name_bytes: usize) -> bool {
        usize::from(self.name_bytes) == name_bytes
    }

    /// Writes the answer over the query in the frame that starts `room`, if it is one for the plain way. Returns the
    /// length of the reply's frame; every answer is NOERROR.
    #[inline(always)]
    pub(crate) fn answer(
        &self,
        station: &Station,
        snapshot: &Snapshot,
        candidate: Candidate<'_>,
        room: &mut [u8],
        udp_answer_bytes_max: usize,
    ) -> Option<usize> {
        let name_bytes = usize::from(self.name_bytes);
        let window: &Window = room.first_chunk()?;
        let node = PlainNode::decode(candidate)?;
        if node.name_bytes != self.name_bytes
            || !snapshot.leads_straight_to(node.apex_depth, node.depth)
            || !self.is_name(window, node.rest)?
        {
            return None;
        }
        let [t1, t2, c1, c2] = load(window, NAME_AT + name_bytes);
        if u16::from_be_bytes([c1, c2]) != CLASS_IN {
            return None;
        }
        let rrset = node.rrset(u16::from_be_bytes([t1, t2]))?;
        let records = rrset.records();

        let end = NAME_AT + name_bytes + TYPE_BYTES + records.len();
        let mut length = end - HEADER_AT;
        let mut opt_sum = 0;
        let mut opt = [0; OPT_BYTES];
        if self.has_opt {
            let asked: [u8; OPT_BYTES] = load(window, NAME_AT + name_bytes + TYPE_BYTES);
            opt = answer_opt(&asked, udp_answer_bytes_max);
            length += OPT_BYTES;
            let old = Sum::default().add(&asked).fold();
            opt_sum = Sum::default()
                .subtract_sum(old, name_bytes)
                .add_sum(Sum::default().add(&opt).fold(), name_bytes + records.len())
                .fold();
        }
        // What any client takes; longer answers are for the other ways.
        if length > UDP_ANSWER_BYTES_MIN {
            return None;
        }
        let to = room.first_chunk_mut::<REPLY_BYTES>()?.get_mut(NAME_AT + name_bytes + TYPE_BYTES..)?;
        copy(to.get_mut(..records.len())?, records);
        if self.has_opt {
            *to.get_mut(records.len()..)?.first_chunk_mut()? = opt;
        }
        let sum = Sum::default().add_sum(rrset.sum(), name_bytes).add_word(u64::from(opt_sum));
        finish(room.first_chunk_mut()?, station, length, rrset.count(), sum)?;
        Some(HEADER_AT + length)
    }

    /// True where the name is the one that starts `stored`; nothing where too few bytes follow that.
    #[inline(always)]
    fn is_name(&self, window: &Window, stored: &[u8]) -> Option<bool> {
        let masks = masks(usize::from(self.name_bytes))?;
        let equal =
            |index, block: Block, stored: &[u8; BLOCK_BYTES]| block.equal(Block::new(stored).and(mask(masks, index)));
        let ([one, two], [first, second]) = (stored.as_chunks::<BLOCK_BYTES>().0.first_chunk()?, self.name);
        let begins_so = equal(0, first, one).and(equal(1, second, two)).is_ones();
        if usize::from(self.name_bytes) <= 2 * BLOCK_BYTES || !begins_so {
            return Some(begins_so);
        }
        let [_, _, three, four] = stored.as_chunks::<BLOCK_BYTES>().0.first_chunk()?;
        let block = |index| name_block(window, masks, index);
        Some(equal(2, block(2), three).and(equal(3, block(3), four)).is_ones())
    }
}

/// Fills in the headers of a reply over those of its query. `length` is that of the message, `sum` what it has more than
/// the query apart from its header.
#[inline(always)]
fn finish(headers: &mut [u8; NAME_AT], station: &Station, length: usize, answers: u16, sum: Sum) -> Option<()> {
    let (outer, header) = headers.split_first_chunk_mut::<HEADER_AT>()?;
    let fields = header.get_mut(2..)?.first_chunk_mut::<8>()?;
    let [f1, f2, ..] = *fields;
    let old_flags = u16::from_le_bytes([f1, f2]);
    let flags = old_flags & (FLAG_RD | FLAG_CD).swap_bytes() | (FLAG_QR | FLAG_AA | rcode::NOERROR).swap_bytes();
    let answers = answers.swap_bytes();
    *fields = words([flags, 1u16.swap_bytes(), answers, 0]);

    // The message has at most 512 bytes.
    let udp_bytes = u16::try_from(UDP_BYTES + length).unwrap_or_default();
    turn::plain(outer, station, udp_bytes);
    let udp = outer.last_chunk_mut::<UDP_BYTES>()?;
    let [s1, s2, d1, d2, l1, l2, c1, c2] = *udp;
    // RFC 1624 section 3: HC' = ~(~HC + ~m + m'). Swapped addresses and ports leave the sum as it is; the UDP length
    // counts twice, once in the pseudo-header.
    let udp_bytes = udp_bytes.swap_bytes();
    let lengths = Sum::number(udp_bytes) + Sum::number(!u16::from_le_bytes([l1, l2]));
    let sum = sum.add_word(
        Sum::number(!u16::from_le_bytes([c1, c2]))
            + Sum::number(!old_flags)
            + Sum::number(flags)
            + Sum::number(answers)
            + 2 * lengths,
    );
    let sum = u16::from_le_bytes(sum.finish());
    let (ports, rest) = udp.split_first_chunk_mut::<4>()?;
    *ports = u32::from_le_bytes([s1, s2, d1, d2]).rotate_left(16).to_le_bytes();
    let (length, rest) = rest.split_first_chunk_mut::<2>()?;
    *length = udp_bytes.to_le_bytes();
    // RFC 768: a computed checksum of zero is sent as all ones.
    *rest.first_chunk_mut()? = if sum == 0 { u16::MAX } else { sum }.to_le_bytes();
    Some(())
}

/// Four numbers in their order, the bytes of each in the order of the wire. Stored as one: the compiler would store them
/// byte by byte.
#[inline(always)]
fn words(numbers: [u16; 4]) -> [u8; 8] {
    let [first, second, third, fourth] = numbers.map(u64::from);
    (first | second << 16 | third << 32 | fourth << 48).to_le_bytes()
}

/// What the blocks of a name behind the second add to its key.
#[inline(never)]
fn later_key(window: &Window, name_bytes: usize, seed: &Seed) -> u64 {
    let Some(masks) = masks(name_bytes) else { return 0 };
    let part = |index| seed.block(index, name_block(window, masks, index));
    part(2).wrapping_add(if name_bytes > 3 * BLOCK_BYTES { part(3) } else { 0 })
}

/// True for an OPT record of version 0 without options.
#[inline(always)]
fn is_plain_opt(record: &[u8; OPT_BYTES]) -> bool {
    matches!(record, [0, 0, 41, _, _, _, 0, _, _, 0, 0])
}

/// The OPT record of the reply to a plain one.
#[inline(always)]
fn answer_opt(&[_, _, _, u1, u2, _, _, flags, ..]: &[u8; OPT_BYTES], udp_answer_bytes_max: usize) -> [u8; OPT_BYTES] {
    let edns = Edns { udp_bytes: u16::from_be_bytes([u1, u2]), version: 0, dnssec_ok: flags & 0x80 != 0 };
    EdnsReply::to(edns, udp_answer_bytes_max).record(rcode::NOERROR)
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

/// The masks that leave the first `length` bytes of so many as they are, block by block.
#[inline(always)]
fn masks(length: usize) -> Option<&'static Masks> {
    let masks: &[u8; NAME_BYTES] = MASKS.get(NAME_BYTES.wrapping_sub(length)..)?.first_chunk()?;
    masks.as_chunks::<BLOCK_BYTES>().0.first_chunk()
}

/// A block of the query's name in lower case, without the bytes that are not the name's.
#[inline(always)]
fn name_block(window: &Window, masks: &Masks, index: usize) -> Block {
    Block::new(&load(window, NAME_AT + index * BLOCK_BYTES)).lowercase().and(mask(masks, index))
}

/// The mask of a block.
#[inline(always)]
fn mask(masks: &Masks, index: usize) -> Block {
    Block::new(masks.get(index).unwrap_or(&[0; BLOCK_BYTES]))
}

/// Some bytes of the window.
#[inline(always)]
fn load<const N: usize>(window: &Window, at: usize) -> [u8; N] {
    window.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// Copies records; one address, the most frequent answer, without a call.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], records: &[u8]) {
    match (<&mut [u8; A_RECORD_BYTES]>::try_from(&mut *to), records.first_chunk()) {
        (Ok(to), Some(record)) => *to = *record,
        _ => to.copy_from_slice(records),
    }
}

#[cfg(test)]
mod tests {
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
}
