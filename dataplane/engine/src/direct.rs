//! The direct way: a query whose answer is one stored RRset sent as it is stored, or the absence of one. Nearly all queries
//! are such. Whatever is not goes through [`crate::answer`], which would give the same bytes (`tests/direct.rs` compares).

use crate::frame::checksum::Sum;
use crate::frame::{Datagram, UDP_BYTES};
use crate::locate::closest_encloser;
use crate::plain::copy;
use crate::query::{FLAG_CD, FLAG_QR, FLAG_RD, HEADER_BYTES, Query};
use crate::rtype::{CLASS_IN, rcode, types};
use crate::rules::Denial;
use crate::snapshot::{Candidate, Negative, NodeView, RULED, RrsetView, Snapshot, WILDCARD_CHILD};
use crate::writer::{EdnsReply, OPT_BYTES, UdpRoom, pointer, udp_limit};

/// An answer that was written over its query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectReply {
    /// Bytes of the message.
    pub length: usize,
    /// The response code.
    pub rcode: u16,
    /// The UDP checksum in the order of the wire; nothing where the query had none to start from.
    pub checksum: Option<[u8; 2]>,
}

/// The one thing that an answer has behind its question.
enum Body<'a> {
    /// An RRset in the answer section.
    Rrset(RrsetView<'a>),
    /// The SOA record of a negative answer in the authority section.
    Negative {
        /// The record.
        negative: Negative<'a>,
        /// A pointer to the apex in the question.
        apex: [u8; 2],
        /// NXDOMAIN or NOERROR.
        rcode: u16,
    },
}

/// What is asked of what.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The query.
    pub query: &'a Query,
    /// What is served.
    pub snapshot: &'a Snapshot,
    /// The type that is shown to nobody, or 0.
    pub hidden: u16,
    /// What the answer has set in its header.
    pub flags: u16,
}

/// Writes the answer over the query in `frame`, if it is one for the direct way.
#[inline]
pub(crate) fn answer(
    asked: Asked<'_>,
    candidate: Option<Candidate<'_>>,
    frame: &mut [u8],
    datagram: Datagram,
    room: UdpRoom,
) -> Option<DirectReply> {
    let query = asked.query;
    if query.qclass != CLASS_IN || query.edns.is_some_and(|edns| edns.version != 0) {
        return None;
    }
    let body = find(asked, candidate)?;
    let (body_bytes, answers, authorities, rcode): (_, u16, u16, _) = match &body {
        Body::Rrset(rrset) => (rrset.records().len(), rrset.count(), 0, rcode::NOERROR),
        Body::Negative { negative, rcode, .. } => (negative.len(), 0, 1, *rcode),
    };
    let (question_end, query_end) = (query.question_end, datagram.end - datagram.message());
    let body_end = question_end + body_bytes;
    let message = frame.get_mut(datagram.message()..)?;
    let (limit, opt_bytes) = udp_limit(query, room, message.len());
    if body_end > limit {
        return None;
    }
    // What the query has behind its question, before the answer goes over it.
    let old_sum = Sum::default().add(message.get(question_end..query_end)?).fold();
    let to = message.get_mut(question_end..body_end)?;
    let body_sum = match body {
        Body::Rrset(rrset) => {
            copy(to, rrset.records());
            rrset.sum()
        }
        Body::Negative { negative, apex, .. } => negative.write(to, apex)?,
    };
    let length = body_end + opt_bytes;
    let mut opt_sum = 0;
    if let Some(edns) = query.edns {
        let opt = EdnsReply::to(edns, room.answer_bytes_max).record(rcode);
        *message.get_mut(body_end..)?.first_chunk_mut::<OPT_BYTES>()? = opt;
        opt_sum = Sum::default().add(&opt).fold();
    }
    let header = message.first_chunk_mut::<HEADER_BYTES>()?;
    let &mut [i1, i2, f1, f2, _, _, _, _, _, _, a1, a2] = header;
    let flags = FLAG_QR | asked.flags | (query.flags & (FLAG_RD | FLAG_CD)) | rcode;
    let additionals = u16::from(opt_bytes > 0);
    let ([g1, g2], [n1, n2], [u1, u2]) = (flags.to_be_bytes(), answers.to_be_bytes(), authorities.to_be_bytes());
    let [b1, b2] = additionals.to_be_bytes();
    *header = [i1, i2, g1, g2, 0, 1, n1, n2, u1, u2, b1, b2];

    let old = *frame.get(datagram.packet.payload + UDP_BYTES - 2..)?.first_chunk::<2>()?;
    // RFC 768: all zeros say that there is no checksum.
    let checksum = if old == [0, 0] {
        None
    } else {
        // RFC 1624 section 3: HC' = ~(~HC + ~m + m'). Swapped addresses and ports leave the sum as it is; the UDP length
        // counts twice, once in the pseudo-header. Messages are shorter than 64 KiB.
        let longer =
            u16::try_from(length).unwrap_or(u16::MAX).wrapping_sub(u16::try_from(query_end).unwrap_or_default());
        let sum = Sum::default().subtract_u16(u16::from_be_bytes(old)).add_difference(longer).add_difference(longer);
        let sum = sum.subtract_u16(u16::from_be_bytes([f1, f2])).subtract_u16(u16::from_be_bytes([a1, a2]));
        let sum = sum.add_u16(flags).add_u16(answers.wrapping_add(authorities).wrapping_add(additionals));
        let sum = sum.subtract_sum(old_sum, question_end).add_sum(body_sum, question_end);
        Some(sum.add_sum(opt_sum, body_end).finish())
    };
    Some(DirectReply { length, rcode, checksum })
}

/// What answers a query, where that is one thing.
#[inline]
fn find<'a>(asked: Asked<'a>, candidate: Option<Candidate<'a>>) -> Option<Body<'a>> {
    let Asked { query, snapshot, hidden, .. } = asked;
    // A DS record may be for the zone above to answer; types from 128 to 255 and OPT are not types of data (RFC 6895
    // section 3.1).
    if matches!(query.qtype, types::DS | types::OPT | 0 | 128..=255) {
        return None;
    }
    let Some(candidate) = candidate else { return absent(query, snapshot) };
    let node = snapshot.confirm(candidate, &query.name)?;
    match node.rrset(query.qtype) {
        Some(rrset) if query.qtype != hidden => rrset.is_verbatim().then_some(Body::Rrset(rrset)),
        _ => without_type(query, snapshot, candidate),
    }
}

/// NODATA for the name's node, which is known to lack the type, where there is neither an alias nor a rule for it.
// Not inlined, and not given what was read of the node: positive answers are more, and need the registers.
#[inline(never)]
fn without_type<'a>(query: &Query, snapshot: &'a Snapshot, candidate: Candidate<'a>) -> Option<Body<'a>> {
    let node = candidate.node()?;
    if node.cname().is_some() {
        return None;
    }
    let depth = node.apex_depth();
    let apex = snapshot.find(&query.name, usize::from(depth), depth)?;
    if apex.has(RULED) && !apex.rules()?.leave_existing(node) {
        return None;
    }
    negative(query, snapshot, apex, rcode::NOERROR)
}

/// NXDOMAIN for a name that has no node in the deepest zone that could have it, where that zone is served and has neither a
/// wildcard that stands for it nor a rule for it.
#[inline(never)]
fn absent<'a>(query: &Query, snapshot: &'a Snapshot) -> Option<Body<'a>> {
    let apex = snapshot.zone_without_turns(&query.name)?;
    let encloser = closest_encloser(snapshot, &query.name, apex.apex_depth())?;
    if encloser.node.has(WILDCARD_CHILD) {
        return None;
    }
    if apex.has(RULED) {
        let depth = usize::from(apex.apex_depth());
        let denial = Denial::of(&query.name, depth, encloser.depth);
        if !apex.rules()?.leave_missing_name(&query.name, query.qtype, depth, denial) {
            return None;
        }
    }
    negative(query, snapshot, apex, rcode::NXDOMAIN)
}

/// The negative answer of a zone.
#[inline]
fn negative<'a>(query: &Query, snapshot: &Snapshot, apex: NodeView<'a>, rcode: u16) -> Option<Body<'a>> {
    if !snapshot.is_complete() {
        return None;
    }
    let offset = HEADER_BYTES + query.name.start(usize::from(apex.apex_depth()));
    Some(Body::Negative { negative: apex.negative()?, apex: pointer(offset), rcode })
}
