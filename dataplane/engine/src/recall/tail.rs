//! What an answer goes over that may turn out to be none: a query that is for the forwarder after all must be as it came.

use crate::query::Query;

/// Most bytes behind a question that are kept: an OPT record with cookies, client subnet and padding (RFC 8467: up to 128)
/// has some two hundred.
const TAIL_BYTES_MAX: usize = 512;

/// The end of one query, from behind its question on.
pub(super) struct Tail {
    /// Its bytes, and stale ones.
    bytes: [u8; TAIL_BYTES_MAX],
}

impl Default for Tail {
    fn default() -> Self {
        Self { bytes: [0; TAIL_BYTES_MAX] }
    }
}

impl Tail {
    /// Keeps that of a query; false where it is too long.
    #[inline]
    pub(super) fn keep(&mut self, query: &Query, message: &[u8]) -> bool {
        let Some(tail) = message.get(query.question_end..query.message_end) else { return false };
        let Some(to) = self.bytes.get_mut(..tail.len()) else { return false };
        to.copy_from_slice(tail);
        true
    }

    /// Puts back that of the query that it was kept of.
    pub(super) fn restore(&self, query: &Query, message: &mut [u8]) {
        let Some(to) = message.get_mut(query.question_end..query.message_end) else { return };
        if let Some(tail) = self.bytes.get(..to.len()) {
            to.copy_from_slice(tail);
        }
    }
}
