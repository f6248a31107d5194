//! Answers of others to plain queries: records out of the cache, copied over the query as those of zones are.

use super::name::Suffix;
use super::reply::{Head, Maker};
use super::{CLIENT_AT, HEADER_AT, NAME_AT, PlainQuery, TYPE_BYTES, Window, load};
use crate::cache::{Place, Sought, key_hash};
use crate::machine::{BLOCK_BYTES, Block};
use crate::query::{FLAG_CD, FLAG_RD};
use crate::recall::{Recall, question_bits};
use crate::rtype::types;
use crate::snapshot::Snapshot;

/// Largest response code that a header holds; others need an OPT record to be whole.
const HEADER_RCODE_MAX: u16 = 15;

/// A question for the cache, and where its answer probably is: what is found out while the memory brings other names.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// What the entry must be.
    sought: Sought,
    /// The flags of the query's header.
    flags: u16,
    /// Where it probably is.
    place: Option<Place>,
}

impl Ahead {
    /// Finds out where the entry probably is, and asks the memory for it. Its bucket was asked for before.
    #[inline(always)]
    pub(crate) fn look(&mut self, recall: &Recall) {
        self.place = recall.shelf().ask_for_entry(self.sought.hash);
    }

    /// False where the cache has nothing for the question.
    #[inline(always)]
    pub(super) fn may_be_there(&self) -> bool {
        self.place.is_some()
    }
}

impl PlainQuery {
    /// What the cache is asked for the query in the frame that starts `room`; nothing where it is not the cache's to answer. Asks
    /// the memory for the bucket.
    #[inline(always)]
    pub(crate) fn ahead<const HIDES_AAAA: bool>(
        &self,
        snapshot: &Snapshot,
        recall: &Recall,
        room: &[u8],
    ) -> Option<Ahead> {
        let window: &Window = room.first_chunk()?;
        let flags = u16::from_be_bytes(load(window, HEADER_AT + 2));
        let qtype = self.qtype(window)?;
        let is_hidden = HIDES_AAAA && qtype == types::AAAA;
        if is_hidden || flags & FLAG_RD == 0 || !snapshot.is_complete() || matches!(qtype, 0 | types::OPT | 128..=254) {
            return None;
        }
        let name_bytes = usize::from(self.name_bytes);
        let dnssec_ok = self.has_opt && load::<1>(window, NAME_AT + name_bytes + TYPE_BYTES + 7) >= [0x80];
        let bits = question_bits(flags & FLAG_CD, dnssec_ok);
        let sought = Sought { hash: key_hash(self.key, qtype, bits), qtype, bits, name_bytes };
        recall.shelf().ask_for_bucket(sought.hash);
        Some(Ahead { sought, flags, place: None })
    }

    /// Writes an answer from the cache over the query in the frame that starts `room`, if there is one to be given. Returns the
    /// length of the reply's frame and the response code.
    // Not inlined: zones need the registers.
    #[inline(never)]
    pub(crate) fn recall<const START: usize>(
        &self,
        maker: Maker<'_>,
        recall: &Recall,
        ahead: &Ahead,
        room: &mut [u8],
    ) -> Option<(usize, u16)> {
        let window: &Window = room.first_chunk()?;
        // Of two entries whose hashes begin alike the other one may have been found: the general way looks at all.
        let (sought, place) = (&ahead.sought, ahead.place?);
        if !recall.permits_ipv4(load(window, CLIENT_AT)) {
            return None;
        }
        let [[w1, w2], [w3, w4]] = self.name.map(Block::words);
        let mut name = [w1, w2, w3, w4, 0, 0, 0, 0];
        if sought.name_bytes > 2 * BLOCK_BYTES {
            let rest = Suffix::new(window, 0, sought.name_bytes)?;
            let [[w5, w6], [w7, w8]] = [2, 3].map(|index| rest.block(index).words());
            name = [w1, w2, w3, w4, w5, w6, w7, w8];
        }
        let found = recall.shelf().at(place, sought, &name)?;
        let recalled = recall.judge(found, sought.bits, ahead.flags)?;
        let (found, ttls) = (recalled.found, recalled.ttls);
        let entry = found.head;
        if entry.rcode > HEADER_RCODE_MAX {
            return None;
        }
        let head = Head { flags: recalled.flags | entry.rcode, answers: entry.answers, authorities: entry.authorities };
        let length = self.reply::<START>(maker, room, head, entry.body_bytes.into(), |to| found.put(to, ttls))?;
        Some((length, entry.rcode))
    }
}
