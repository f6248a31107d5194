//! How far the records of an answer may go, and its OPT record.

use crate::limits::{STREAM_MESSAGE_BYTES_MAX, UDP_ANSWER_BYTES_MIN};
use crate::query::{Edns, Query};
use crate::rtype::types;

/// Bytes of an OPT record without options.
pub(crate) const OPT_BYTES: usize = 11;

/// Room for an answer over UDP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpRoom {
    /// Most bytes of an answer, if the client takes as many.
    pub answer_bytes_max: usize,
    /// Bytes of options that will be appended to the OPT record.
    pub options_bytes: usize,
}

/// Where the records of an answer over UDP must end, in bytes from the start of the message, and the bytes that its OPT
/// record without options takes after that.
#[inline]
pub(crate) fn udp_limit(query: &Query, room: UdpRoom, buffer_bytes: usize) -> (usize, usize) {
    // RFC 6891 section 6.2.3: less than 512 is taken for 512.
    let (limit, opt_bytes) = match query.edns {
        None => (UDP_ANSWER_BYTES_MIN, 0),
        Some(edns) => (usize::from(edns.udp_bytes).clamp(UDP_ANSWER_BYTES_MIN, room.answer_bytes_max), OPT_BYTES),
    };
    (limit.min(buffer_bytes).saturating_sub(opt_bytes + room.options_bytes), opt_bytes)
}

/// Where the records of an answer over a stream must end: RFC 1035 section 4.2.2 gives its length two bytes.
pub(crate) fn stream_limit(query: &Query, options_bytes: usize, buffer_bytes: usize) -> usize {
    let opt_bytes = if query.edns.is_some() { OPT_BYTES + options_bytes } else { 0 };
    buffer_bytes.min(STREAM_MESSAGE_BYTES_MAX).saturating_sub(opt_bytes)
}

/// What the OPT record of an answer says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdnsReply {
    /// Bytes that we take over UDP.
    pub udp_bytes: u16,
    /// The DO bit of the query (RFC 3225 section 3: "MUST be copied").
    pub dnssec_ok: bool,
}

impl EdnsReply {
    /// The reply to a query's OPT record.
    pub(crate) fn to(edns: Edns, udp_bytes_max: usize) -> Self {
        Self { udp_bytes: u16::try_from(udp_bytes_max).unwrap_or(u16::MAX), dnssec_ok: edns.dnssec_ok }
    }

    /// The record: root owner, type, payload size, extended response code, version 0, flags, no options yet.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "response codes have twelve bits, of which the upper eight go here"
    )]
    #[inline]
    pub(crate) fn record(self, rcode: u16) -> [u8; OPT_BYTES] {
        let [s1, s2] = self.udp_bytes.to_be_bytes();
        let flags = if self.dnssec_ok { 0x80 } else { 0 };
        [0, 0, types::OPT as u8, s1, s2, (rcode >> 4) as u8, 0, flags, 0, 0, 0]
    }
}
