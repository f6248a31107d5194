//! What a plain query is answered with: the RRset that it asks for, and whatever is written over a query.

use super::name::{Suffix, mask, masks};
use super::{HEADER_AT, NAME_AT, PlainQuery, TYPE_BYTES, Window, load};
use crate::frame::checksum::Sum;
use crate::frame::{Station, UDP_BYTES, turn};
use crate::limits::UDP_ANSWER_BYTES_MIN;
use crate::machine::{BLOCK_BYTES, Block};
use crate::query::{Edns, FLAG_AA, FLAG_CD, FLAG_QR, FLAG_RA, FLAG_RD};
use crate::rtype::{CLASS_IN, rcode, types};
use crate::snapshot::{Candidate, PlainNode, Snapshot};
use crate::writer::{EdnsReply, OPT_BYTES};

/// Bytes of the longest reply that is made: a message of what any client takes. Longer answers are for the other ways.
const REPLY_BYTES: usize = HEADER_AT + UDP_ANSWER_BYTES_MIN;
/// Bytes of one address record.
const A_RECORD_BYTES: usize = 16;

/// What the header of a reply says.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// The response code and the flags that it sets, AA among them for names of ours.
    pub flags: u16,
    /// Records in the answer section.
    pub answers: u16,
    /// Records in the authority section.
    pub authorities: u16,
}

/// What answers from zones have set in their headers. RA tells what the server can do, whatever the answer comes from (RFC 1035
/// section 4.1.1).
#[inline(always)]
pub(super) const fn zone_flags(has_others: bool) -> u16 {
    if has_others { FLAG_AA | FLAG_RA } else { FLAG_AA }
}

/// What a reply is made with.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'a> {
    /// The port.
    pub station: &'a Station,
    /// What is served.
    pub snapshot: &'a Snapshot,
    /// Most bytes of an answer over UDP, as clients are told.
    pub udp_answer_bytes_max: usize,
}

impl PlainQuery {
    /// Writes the RRset asked for over the query in the frame that starts `room`, if that is all there is to the answer.
    /// Returns the length of the reply's frame; every such answer is NOERROR.
    #[inline(always)]
    pub(crate) fn answer<const START: usize, const HIDES_AAAA: bool, const HAS_OTHERS: bool>(
        &self,
        maker: Maker<'_>,
        candidate: Candidate<'_>,
        room: &mut [u8],
    ) -> Option<usize> {
        let window: &Window = room.first_chunk()?;
        let node = PlainNode::decode(candidate)?;
        if node.name_bytes != self.name_bytes
            || !maker.snapshot.leads_straight_to(node.apex_depth, node.depth)
            || !self.is_name(window, node.rest)?
        {
            return None;
        }
        let qtype = self.qtype(window)?;
        if HIDES_AAAA && qtype == types::AAAA {
            return None;
        }
        let rrset = node.rrset(qtype)?;
        let flags = zone_flags(HAS_OTHERS) | rcode::NOERROR;
        let (records, head) = (rrset.records(), Head { flags, answers: rrset.count(), authorities: 0 });
        self.reply::<START>(maker, room, head, records.len(), |to| {
            copy(to, records);
            Some(rrset.sum())
        })
    }

    /// The type asked for, in class IN.
    #[inline(always)]
    pub(super) fn qtype(&self, window: &Window) -> Option<u16> {
        let [t1, t2, c1, c2] = load(window, NAME_AT + usize::from(self.name_bytes));
        (u16::from_be_bytes([c1, c2]) == CLASS_IN).then_some(u16::from_be_bytes([t1, t2]))
    }

    /// Writes a reply over the query. `put` writes the `body_bytes` bytes behind the question, and returns the checksum's sum
    /// of them as if they began at an even place.
    #[inline(always)]
    pub(super) fn reply<const START: usize>(
        &self,
        maker: Maker<'_>,
        room: &mut [u8],
        head: Head,
        body_bytes: usize,
        put: impl FnOnce(&mut [u8]) -> Option<u16>,
    ) -> Option<usize> {
        let name_bytes = usize::from(self.name_bytes);
        let body_at = NAME_AT + name_bytes + TYPE_BYTES;
        let mut length = body_at + body_bytes - HEADER_AT;
        let mut opt = None;
        if self.has_opt {
            opt = Some(Opt::new(&load(room.first_chunk::<{ super::WINDOW_BYTES }>()?, body_at), maker));
            length += OPT_BYTES;
        }
        if length > UDP_ANSWER_BYTES_MIN {
            return None;
        }
        let to = room.first_chunk_mut::<REPLY_BYTES>()?.get_mut(body_at..)?;
        let sum = put(to.get_mut(..body_bytes)?)?;
        let mut sum = Sum::default().add_sum(sum, name_bytes);
        if let Some(opt) = opt {
            *to.get_mut(body_bytes..)?.first_chunk_mut()? = opt.record;
            sum = sum.subtract_sum(opt.old_sum, name_bytes);
            sum = sum.add_sum(Sum::default().add(&opt.record).fold(), name_bytes + body_bytes);
        }
        finish::<START>(room.first_chunk_mut()?, maker.station, length, head, sum)?;
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
        let name = Suffix::new(window, 0, usize::from(self.name_bytes))?;
        Some(equal(2, name.block(2), three).and(equal(3, name.block(3), four)).is_ones())
    }
}

/// The OPT record of a reply.
struct Opt {
    /// The record.
    record: [u8; OPT_BYTES],
    /// The checksum's sum of the query's.
    old_sum: u16,
}

impl Opt {
    /// The reply to a plain OPT record.
    #[inline]
    fn new(asked: &[u8; OPT_BYTES], maker: Maker<'_>) -> Self {
        let &[_, _, _, u1, u2, _, _, flags, ..] = asked;
        let edns = Edns { udp_bytes: u16::from_be_bytes([u1, u2]), version: 0, dnssec_ok: flags & 0x80 != 0 };
        // RFC 6891 section 6.1.3: response codes of more than four bits are not given here.
        let record = EdnsReply::to(edns, maker.udp_answer_bytes_max).record(rcode::NOERROR);
        Self { record, old_sum: Sum::default().add(asked).fold() }
    }
}

/// Fills in the headers of a reply over those of its query. `length` is that of the message, `sum` what it has more than
/// the query apart from its header.
#[inline(always)]
fn finish<const START: usize>(
    headers: &mut [u8; NAME_AT],
    station: &Station,
    length: usize,
    head: Head,
    sum: Sum,
) -> Option<()> {
    let (outer, header) = headers.split_first_chunk_mut::<HEADER_AT>()?;
    let fields = header.get_mut(2..)?.first_chunk_mut::<8>()?;
    let [f1, f2, ..] = *fields;
    let old_flags = u16::from_le_bytes([f1, f2]);
    let flags = old_flags & (FLAG_RD | FLAG_CD).swap_bytes() | (FLAG_QR | head.flags).swap_bytes();
    let (answers, authorities) = (head.answers.swap_bytes(), head.authorities.swap_bytes());
    *fields = words([flags, 1u16.swap_bytes(), answers, authorities]);

    // The message has at most 512 bytes.
    let udp_bytes = u16::try_from(UDP_BYTES + length).unwrap_or_default();
    turn::plain::<START>(outer, station, udp_bytes);
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
            + Sum::number(authorities)
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

/// Copies records; one address, the most frequent answer, without a call.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], records: &[u8]) {
    match (<&mut [u8; A_RECORD_BYTES]>::try_from(&mut *to), records.first_chunk()) {
        (Ok(to), Some(record)) => *to = *record,
        _ => to.copy_from_slice(records),
    }
}
