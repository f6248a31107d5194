//! The direct way: a query whose answer is one stored RRset, sent as it is stored. Nearly all positive answers are such.
//! Whatever is not goes through [`crate::answer`], which would give the same bytes (`tests/direct.rs` compares them).

use crate::frame::checksum::Sum;
use crate::frame::{Datagram, UDP_BYTES};
use crate::query::{FLAG_AA, FLAG_CD, FLAG_QR, FLAG_RD, Query};
use crate::rtype::{CLASS_IN, types};
use crate::snapshot::{Candidate, RrsetView, Snapshot};
use crate::writer::{EdnsReply, OPT_BYTES, udp_limit};

/// Bytes of one address record.
const A_RECORD_BYTES: usize = 16;

/// An answer that was written over its query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectReply {
    /// Bytes of the message.
    pub length: usize,
    /// The UDP checksum in the order of the wire; nothing where the query had none to start from.
    pub checksum: Option<[u8; 2]>,
}

/// Writes the answer over the query in `frame`, if it is one for the direct way.
#[inline]
pub(crate) fn answer(
    query: &Query,
    snapshot: &Snapshot,
    candidate: Candidate<'_>,
    frame: &mut [u8],
    datagram: Datagram,
    udp_answer_bytes_max: usize,
) -> Option<DirectReply> {
    // A DS record may be for the zone above to answer.
    if query.qclass != CLASS_IN || query.qtype == types::DS || query.edns.is_some_and(|edns| edns.version != 0) {
        return None;
    }
    let rrset = snapshot.confirm(candidate, &query.name)?.rrset(query.qtype).filter(RrsetView::is_verbatim)?;
    let records = rrset.records();
    let (question_end, query_end) = (query.question_end, datagram.end - datagram.message());
    let answer_end = question_end + records.len();
    let message = frame.get_mut(datagram.message()..)?;
    let (limit, opt_bytes) = udp_limit(query, udp_answer_bytes_max, message.len());
    if answer_end > limit {
        return None;
    }
    // What the query has behind its question, before the answer goes over it.
    let old_sum = Sum::default().add(message.get(question_end..query_end)?).fold();
    copy(message.get_mut(question_end..answer_end)?, records);
    let length = answer_end + opt_bytes;
    let mut opt_sum = 0;
    if let Some(edns) = query.edns {
        let opt = EdnsReply::to(edns, udp_answer_bytes_max).record(0);
        *message.get_mut(answer_end..)?.first_chunk_mut::<OPT_BYTES>()? = opt;
        opt_sum = Sum::default().add(&opt).fold();
    }
    let header = message.first_chunk_mut::<12>()?;
    let &mut [i1, i2, f1, f2, _, _, _, _, _, _, a1, a2] = header;
    let flags = FLAG_QR | FLAG_AA | (query.flags & (FLAG_RD | FLAG_CD));
    let (answers, additionals) = (rrset.count(), u16::from(opt_bytes > 0));
    let ([g1, g2], [n1, n2], [b1, b2]) = (flags.to_be_bytes(), answers.to_be_bytes(), additionals.to_be_bytes());
    *header = [i1, i2, g1, g2, 0, 1, n1, n2, 0, 0, b1, b2];

    let old = frame.get(datagram.packet.payload + UDP_BYTES - 2..)?.first_chunk::<2>()?;
    // RFC 768: all zeros say that there is no checksum.
    let checksum = (*old != [0, 0]).then(|| {
        // RFC 1624 section 3: HC' = ~(~HC + ~m + m'). Swapped addresses and ports leave the sum as it is; the UDP length
        // counts twice, once in the pseudo-header.
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let (old_length, new_length) = (short(query_end + UDP_BYTES), short(length + UDP_BYTES));
        let sum = Sum::default().subtract_u16(u16::from_be_bytes(*old));
        let sum = sum.subtract_u16(old_length).subtract_u16(old_length).add_u16(new_length).add_u16(new_length);
        let sum = sum.subtract_u16(u16::from_be_bytes([f1, f2])).add_u16(flags).add_u16(answers);
        let sum = sum.subtract_u16(u16::from_be_bytes([a1, a2])).add_u16(additionals);
        let sum = sum.subtract_sum(old_sum, question_end).add_sum(rrset.sum(), question_end);
        sum.add_sum(opt_sum, answer_end).finish()
    });
    Some(DirectReply { length, checksum })
}

/// Copies records; one address, the most frequent answer, without a call.
#[inline]
fn copy(to: &mut [u8], records: &[u8]) {
    match (to.first_chunk_mut::<A_RECORD_BYTES>(), <&[u8; A_RECORD_BYTES]>::try_from(records)) {
        (Some(to), Ok(record)) => *to = *record,
        _ => to.copy_from_slice(records),
    }
}
