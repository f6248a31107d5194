//! Letters of names: a name of the question's zone is written as it is stored, up to the apex, and from there on as the
//! question has it. Only for questions that have a capital letter at all: nobody sees a difference in others.

use super::{QNAME_OFFSET, Writer};
use crate::query::QueryName;
use crate::rtype;

/// Where the question has its zone's apex.
#[derive(Clone, Copy)]
pub(super) struct ZoneCase {
    /// In bytes from the start of the message.
    start: usize,
    /// Bytes of the apex.
    length: usize,
}

impl Writer<'_> {
    /// Writes the names of the zone whose apex is the suffix of so many labels of the question's name in this way. To be told
    /// before the first record is written.
    pub(crate) fn keep_zone_case(&mut self, name: &QueryName, apex_depth: usize) {
        let end = QNAME_OFFSET + name.bytes().len();
        let written = self.message.get(QNAME_OFFSET..end).unwrap_or_default();
        if !written.iter().any(u8::is_ascii_uppercase) {
            return;
        }
        let start = QNAME_OFFSET + name.start(apex_depth);
        self.zone_case = Some(ZoneCase { start, length: end - start });
        // What is left of the apex is not to be pointed to.
        self.names_count = 0;
        for depth in (1..=apex_depth).rev() {
            self.remember(QNAME_OFFSET + name.start(depth));
        }
    }

    /// Gives the rdata that was written last the question's letters, where it ends in a name of the zone that is not compressed.
    pub(super) fn fit_rdata(&mut self, rtype: u16) {
        let Some(ZoneCase { start, length }) = self.zone_case else { return };
        let Some(from) = self.position.checked_sub(length).filter(|&from| from >= self.last_rdata) else { return };
        if rtype::rdata_names(rtype).is_none_or(|layout| layout.suffix_bytes > 0) || start + length > from {
            return;
        }
        let (before, after) = self.message.split_at_mut(from);
        let (Some(apex), Some(end)) = (before.get(start..start + length), after.get_mut(..length)) else { return };
        // Length octets are no letters: where these bytes are equal up to case, so are the labels.
        if end.eq_ignore_ascii_case(apex) {
            end.copy_from_slice(apex);
        }
    }
}
