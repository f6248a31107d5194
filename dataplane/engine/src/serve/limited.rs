//! What is done to a reply where clients are limited; see [`crate::rate`].

use super::others::Stage;
use super::respond::Reply;
use crate::answer::Origin;
use crate::counters::Counters;
use crate::frame::Request;
use crate::query::{FLAG_AA, FLAG_CD, FLAG_RA, FLAG_RD, FLAG_TC, Query};
use crate::rate::{Client, Limiter, Response, Ruling};
use crate::snapshot::Snapshot;
use crate::verdict::{Reason, Verdict};
use crate::writer::{EdnsReply, Writer};

/// What a reply answers.
pub(super) struct Asked<'a> {
    /// The query.
    pub query: &'a Query,
    /// Who sent it.
    pub client: Client,
    /// Most bytes of an answer over UDP.
    pub udp_max: usize,
}

/// Has a reply counted, and gives what is to be sent of it; `message` holds it, and the room behind it.
// Not inlined: where nothing is limited it would only be in the way.
#[inline(never)]
pub(super) fn limit(
    limiter: &mut Limiter,
    message: &mut [u8],
    asked: &Asked<'_>,
    reply: Reply,
    snapshot: &Snapshot,
    counters: &Counters,
) -> Result<Reply, Reason> {
    let query = asked.query;
    // Only the direct way knows the checksum, and only for a name that exists. Not knowing costs a lookup.
    let response = Response::of(query, reply.rcode, message, reply.checksum.is_some(), snapshot);
    match limiter.rule(asked.client, response) {
        Ruling::Send => Ok(reply),
        Ruling::Drop => Err(Reason::RateLimited),
        Ruling::Slip => {
            counters.slipped.add(1);
            Ok(empty(query, message, asked.udp_max, reply.rcode))
        }
    }
}

/// Writes an answer without records and with the TC bit over another one to the same query.
fn empty(query: &Query, room: &mut [u8], udp_max: usize, rcode: u16) -> Reply {
    let flags = room.get(2..4).and_then(<[u8]>::first_chunk).map_or(0, |flags| u16::from_be_bytes(*flags));
    let edns = query.edns.map(|edns| EdnsReply::to(edns, udp_max));
    let limit = room.len();
    let flags = (flags & (FLAG_AA | FLAG_RA | FLAG_RD | FLAG_CD)) | FLAG_TC;
    let length = Writer::new(room, query, limit).finish(flags, rcode, edns);
    Reply { length, rcode, truncated: true, checksum: None, origin: Origin::Ours }
}

/// A request of another protocol. Neighbours that look for our MAC address are not limited: without it none could send.
pub(super) fn admit_local(limiter: Option<&mut Limiter>, frame: &[u8], request: Request) -> Stage {
    if let (Some(limiter), Request::Echo(packet)) = (limiter, request)
        && !limiter.admits(packet.client(frame))
    {
        return Stage::Decided(Verdict::Drop(Reason::PacketLimited));
    }
    Stage::Local(request)
}
