//! Questions for zone transfers, where they are allowed: over a stream, and to whom the caller says.

use core::net::SocketAddr;
use std::sync::Arc;

use super::message::{MessageServer, address};
use crate::answer::Outcome;
use crate::counters::Counters;
use crate::options;
use crate::query::{FLAG_AA, FLAG_CD, FLAG_RD, Query};
use crate::rate;
use crate::rtype::{CLASS_IN, rcode, types};
use crate::rules::is_for_others;
use crate::snapshot::{RrsetView, Snapshot};
use crate::transfer::{Shape, Terms, Transfer};
use crate::verdict::Reason;
use crate::writer::{self, EdnsReply, Writer};

/// Bytes of an SOA record's rdata from its serial on (RFC 1035 section 3.3.13).
const SOA_NUMBERS_BYTES: usize = 20;

/// What a question for a zone transfer came to.
pub enum TransferStart {
    /// It is none that is answered by one; [`MessageServer::answer`] says why.
    Other,
    /// It is answered by one message of so many bytes, with a response code: an error, or the SOA record of a zone that the
    /// client has already.
    Answer(usize, u16),
    /// It is answered by many.
    Begun(Box<Transfer>),
}

impl MessageServer {
    /// Begins the transfer that the message in the first `length` bytes of a buffer asks for; an answer of one message is
    /// written over it. `shape` is given the zone's SOA record; nothing: no transfer can begin now.
    pub fn begin_transfer(
        &mut self,
        from: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        snapshot: &Arc<Snapshot>,
        shape: Option<impl FnOnce(RrsetView<'_>) -> Shape>,
        counters: &Counters,
    ) -> Result<TransferStart, Reason> {
        let message = buffer.get(..length).unwrap_or_default();
        let is_sound = self.query.parse(message).is_ok() && self.query.qclass == CLASS_IN;
        let is_asked = matches!(self.query.qtype, types::AXFR | types::IXFR);
        if !is_sound || !is_asked || self.query.edns.is_some_and(|edns| edns.version != 0) {
            return Ok(TransferStart::Other);
        }
        let client = from.ip().to_canonical();
        if let Some(limiter) = &mut self.limiter
            && !limiter.admits(rate::Client::from(client))
        {
            counters.count(Reason::PacketLimited);
            return Err(Reason::PacketLimited);
        }
        let family = if client.is_ipv6() { &counters.queries_ipv6 } else { &counters.queries_ipv4 };
        family.add(1);
        let query = &self.query;
        let edns = query.edns.map(|edns| EdnsReply::to(edns, self.responder.udp_answer_bytes_max()));
        let (options, instead) = self.responder.judge(query, address(client), counters);
        let decided = match instead {
            Some(Outcome { rcode, .. }) => Err(rcode),
            None => decide(query, snapshot, shape),
        };
        let (rcode, soa) = match decided {
            Ok(Decided::Send(shape)) => {
                let view = snapshot.view_of(client);
                let terms = Terms { edns, options: options.into(), view, shape };
                if let Some(transfer) = Transfer::new(message, snapshot, terms) {
                    counters.answered(rcode::NOERROR, 1);
                    return Ok(TransferStart::Begun(Box::new(transfer)));
                }
                (rcode::SERVFAIL, None)
            }
            Ok(Decided::Current(soa)) => (rcode::NOERROR, Some(soa)),
            Err(rcode) => (rcode, None),
        };
        counters.answered(rcode, 1);
        let limit = writer::stream_limit(query, options.len(), buffer.len());
        let mut writer = Writer::new(buffer, query, limit);
        if let Some((soa, rdata)) = soa.and_then(|soa| Some((soa, soa.rdatas().next()?))) {
            // Question and SOA record fit any buffer for messages of a stream.
            writer.put_record(query.name.bytes(), soa, rdata).ok();
        }
        let authority = if soa.is_some() { FLAG_AA } else { 0 };
        let length = writer.finish(authority | (query.flags & (FLAG_RD | FLAG_CD)), rcode, edns);
        let length = options::append(options, buffer, length).unwrap_or(length);
        Ok(TransferStart::Answer(length, rcode))
    }
}

/// What a question that may be answered is answered with.
enum Decided<'a> {
    /// The zone.
    Send(Shape),
    /// The SOA record alone.
    Current(RrsetView<'a>),
}

/// Decides on a question; gives a response code where it has no answer.
fn decide<'a>(
    query: &Query,
    snapshot: &'a Snapshot,
    shape: Option<impl FnOnce(RrsetView<'_>) -> Shape>,
) -> Result<Decided<'a>, u16> {
    if query.qtype == types::IXFR && query.held_serial.is_none() {
        // RFC 1995 section 3: the authority section has the client's SOA record.
        return Err(rcode::FORMERR);
    }
    let depth = query.name.depth();
    let apex = u8::try_from(depth)
        .ok()
        .and_then(|short| snapshot.find(&query.name, depth, short))
        .filter(|apex| !is_for_others(*apex));
    let Some(apex) = apex else {
        // RFC 5936 section 2.2.1: "NotAuth" for a zone that is none of ours; until all is loaded it may yet come.
        return Err(if snapshot.is_complete() { rcode::NOTAUTH } else { rcode::SERVFAIL });
    };
    // Half a zone must not be taken for the whole.
    let soa = apex.rrset(types::SOA).filter(|_| snapshot.is_complete()).ok_or(rcode::SERVFAIL)?;
    let numbers = soa.rdatas().next().and_then(<[u8]>::last_chunk::<SOA_NUMBERS_BYTES>).ok_or(rcode::SERVFAIL)?;
    let &[s1, s2, s3, s4, ..] = numbers;
    if query.held_serial.is_some_and(|held| is_current(held, u32::from_be_bytes([s1, s2, s3, s4]))) {
        return Ok(Decided::Current(soa));
    }
    shape.map(|shape| Decided::Send(shape(soa))).ok_or(rcode::SERVFAIL)
}

/// True where a client's serial is the zone's "or newer" (RFC 1995 section 2), as RFC 1982 section 3.2 compares them.
fn is_current(held: u32, serial: u32) -> bool {
    held.wrapping_sub(serial) < 1 << 31
}
