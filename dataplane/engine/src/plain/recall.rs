//! Answers of others to plain queries: records out of the cache, copied over the query as those of zones are.

use super::name::Suffix;
use super::reply::{Head, Maker};
use super::{CLIENT_AT, HEADER_AT, NAME_AT, NAME_BYTES, PlainQuery, TYPE_BYTES, Window, load};
use crate::cache::CacheKey;
use crate::machine::BLOCK_BYTES;
use crate::query::{FLAG_CD, FLAG_RD};
use crate::recall::{Recall, question_bits};
use crate::rtype::types;

/// Largest response code that a header holds; others need an OPT record to be whole.
const HEADER_RCODE_MAX: u16 = 15;

impl PlainQuery {
    /// Writes an answer from the cache over the query in the frame that starts `room`, if there is one to be given. Returns the
    /// length of the reply's frame and the response code.
    // Not inlined: zones need the registers.
    #[inline(never)]
    pub(crate) fn recall<const START: usize, const HIDES_AAAA: bool>(
        &self,
        maker: Maker<'_>,
        recall: &Recall,
        room: &mut [u8],
    ) -> Option<(usize, u16)> {
        let window: &Window = room.first_chunk()?;
        let flags = u16::from_be_bytes(load(window, HEADER_AT + 2));
        let qtype = self.qtype(window)?;
        let is_hidden = HIDES_AAAA && qtype == types::AAAA;
        if is_hidden
            || flags & FLAG_RD == 0
            || !maker.snapshot.is_complete()
            || matches!(qtype, 0 | types::OPT | 128..=254)
        {
            return None;
        }
        if !recall.permits_ipv4(load(window, CLIENT_AT)) {
            return None;
        }
        let name_bytes = usize::from(self.name_bytes);
        let dnssec_ok = self.has_opt && load::<1>(window, NAME_AT + name_bytes + TYPE_BYTES + 7) >= [0x80];
        let name = self.lowercase(window)?;
        let bits = question_bits(flags & FLAG_CD, dnssec_ok);
        let key = CacheKey { name_hash: self.key, name: name.get(..name_bytes)?, qtype, bits };
        let recalled = recall.find(&key, flags)?;
        let (found, ttls) = (recalled.found, recalled.ttls);
        let entry = found.head;
        if entry.rcode > HEADER_RCODE_MAX {
            return None;
        }
        let head = Head { flags: recalled.flags | entry.rcode, answers: entry.answers, authorities: entry.authorities };
        let length = self.reply::<START>(maker, room, head, entry.body_bytes.into(), |to| found.put(to, ttls))?;
        Some((length, entry.rcode))
    }

    /// The name in lower case, zeros behind it.
    #[inline(always)]
    fn lowercase(&self, window: &Window) -> Option<[u8; NAME_BYTES]> {
        let mut name = [0; NAME_BYTES];
        let suffix = Suffix::new(window, 0, usize::from(self.name_bytes))?;
        let [first, second] = self.name;
        let (blocks, _) = name.as_chunks_mut::<BLOCK_BYTES>();
        let known = [first, second].into_iter().map(Some).chain([None, None]);
        for (index, (to, known)) in blocks.iter_mut().zip(known).enumerate() {
            let [low, high] = known.unwrap_or_else(|| suffix.block(index)).words();
            let (lower, upper) = to.split_at_mut(8);
            lower.copy_from_slice(&low.to_le_bytes());
            upper.copy_from_slice(&high.to_le_bytes());
        }
        Some(name)
    }
}
