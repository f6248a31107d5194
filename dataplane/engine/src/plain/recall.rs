//! Answers of others to plain queries: records out of the cache, copied over the query as those of zones are.

use super::name::Suffix;
use super::reply::{Head, Maker};
use super::{CLIENT_AT, HEADER_AT, NAME_AT, PlainQuery, TYPE_BYTES, Window, load};
use crate::cache::{A_BYTES, AAAA_BYTES, Place, Sought, SoughtName, key_hash, question_word};
use crate::limits::BURST_FRAMES_MAX;
use crate::machine::{BLOCK_BYTES, Block};
use crate::query::{FLAG_CD, FLAG_RD};
use crate::recall::{Recall, question_bits};
use crate::rtype::{rcode, types};

/// Largest response code that a header holds; others need an OPT record to be whole.
const HEADER_RCODE_MAX: u16 = 15;

/// Bytes of the words that a block has.
const WORD_BYTES: usize = BLOCK_BYTES / 2;

/// A question for the cache, and where its answer probably is: what is found out while the memory brings other names.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// What the entry must be.
    sought: Sought,
    /// Where it probably is.
    place: Place,
    /// The place of the query in its burst.
    index: u8,
}

impl Ahead {
    /// No question.
    pub(crate) fn none() -> Self {
        let sought = Sought { hash: 0, word: 0 };
        Self { sought, place: Place::none(), index: 0 }
    }

    /// Is a question of the query at a place of its burst from now on.
    #[inline(always)]
    pub(crate) fn begin(&mut self, sought: Sought, index: u8) {
        (self.sought, self.index) = (sought, index);
    }

    /// The place of the query in its burst.
    #[inline(always)]
    pub(crate) fn index(&self) -> usize {
        // No place is beyond; said so that nobody looks again.
        usize::from(self.index) % BURST_FRAMES_MAX
    }

    /// Finds out where the entry probably is, notes a use of it, and asks the memory for it. Its bucket was asked for before. False where there
    /// is probably none.
    #[inline(always)]
    pub(crate) fn look(&mut self, recall: &Recall) -> bool {
        self.place = recall.shelf().ask_for_entry(self.sought.hash);
        self.place.is_some()
    }

    /// False where the cache has nothing for the question.
    #[inline(always)]
    pub(super) fn may_be_there(&self) -> bool {
        self.place.may_be_of(self.sought.hash)
    }
}

impl PlainQuery {
    /// What the cache is asked for the query in the frame that starts `room`. Nothing where it is not the cache's to answer. Asks
    /// the memory for the bucket.
    #[inline(always)]
    pub(crate) fn sought<const HIDES_AAAA: bool>(&self, recall: &Recall, room: &[u8]) -> Option<Sought> {
        let window: &Window = room.first_chunk()?;
        let flags = u16::from_be_bytes(load(window, HEADER_AT + 2));
        let qtype = self.qtype(window)?;
        let is_hidden = HIDES_AAAA && qtype == types::AAAA;
        if is_hidden || flags & FLAG_RD == 0 || is_no_data(qtype) {
            return None;
        }
        let name_bytes = usize::from(self.name_bytes);
        let dnssec_ok = self.has_opt && load::<1>(window, NAME_AT + name_bytes + TYPE_BYTES + 7) >= [0x80];
        let bits = question_bits(flags & FLAG_CD, dnssec_ok);
        let sought = Sought { hash: key_hash(self.key, qtype, bits), word: question_word(name_bytes, qtype, bits) };
        recall.shelf().ask_for_bucket(sought.hash);
        Some(sought)
    }

    /// Writes an answer from the cache over the query in the frame that starts `room`, if there is one to be given and it is one
    /// address: what differs from answer to answer elsewhere is known here. Returns the length of the reply's frame; it is
    /// NOERROR.
    #[inline(always)]
    pub(crate) fn recall_address<const START: usize, const IPV6: bool>(
        &self,
        maker: Maker<'_>,
        recall: &Recall,
        ahead: &Ahead,
        room: &mut [u8],
    ) -> Option<usize> {
        let window: &Window = room.first_chunk()?;
        let qtype = if IPV6 { types::AAAA } else { types::A };
        // Where an IPv4 address's entry is long there are more of them.
        let is_sought = ahead.sought.qtype() == qtype
            && usize::from(self.name_bytes) <= 2 * BLOCK_BYTES
            && (IPV6 || !ahead.place.is_long());
        if !is_sought || !recall.permits_ipv4(load(window, CLIENT_AT)) {
            return None;
        }
        let found = recall.shelf().address_at::<IPV6>(ahead.place, &ahead.sought, self.first_words())?;
        let ttl = found.fresh_ttl(recall.now_seconds())?;
        let head = Head { flags: recall.flags() | rcode::NOERROR, answers: 1, authorities: 0 };
        let bytes = if IPV6 { AAAA_BYTES } else { A_BYTES };
        self.reply::<START>(maker, room, head, bytes, |to| found.put::<IPV6>(to, ttl))
    }

    /// The same for any answer. Returns also the response code.
    #[inline(always)]
    pub(crate) fn recall<const START: usize>(
        &self,
        maker: Maker<'_>,
        recall: &Recall,
        ahead: &Ahead,
        room: &mut [u8],
    ) -> Option<(usize, u16)> {
        if !recall.permits_ipv4(load(room.first_chunk()?, CLIENT_AT)) {
            return None;
        }
        let name_bytes = usize::from(self.name_bytes);
        let later;
        let mut more = [].as_slice();
        if name_bytes > 2 * BLOCK_BYTES {
            later = later_words(room.first_chunk()?, name_bytes)?;
            more = later.get(..(name_bytes - 2 * BLOCK_BYTES).div_ceil(WORD_BYTES))?;
        }
        // Of two entries whose hashes begin alike the other one may have been found: the general way looks at all.
        let found = recall.shelf().at(ahead.place, &ahead.sought, SoughtName { first: self.first_words(), more })?;
        let flags = u16::from_be_bytes(load(room.first_chunk::<{ size_of::<Window>() }>()?, HEADER_AT + 2));
        let recalled = recall.judge(found, found.head.bits, flags)?;
        let (found, ttls) = (recalled.found, recalled.ttls);
        let entry = found.head;
        if entry.rcode > HEADER_RCODE_MAX {
            return None;
        }
        let head = Head { flags: recalled.flags | entry.rcode, answers: entry.answers, authorities: entry.authorities };
        let length = self.reply::<START>(maker, room, head, entry.body_bytes.into(), |to| found.put(to, ttls))?;
        Some((length, entry.rcode))
    }

    /// The words of the first two blocks of the name.
    #[inline(always)]
    fn first_words(&self) -> [u64; 4] {
        let [[w1, w2], [w3, w4]] = self.name.map(Block::words);
        [w1, w2, w3, w4]
    }
}

/// True for types that are not data's (RFC 6895 section 3.1), but ANY.
#[inline(always)]
fn is_no_data(qtype: u16) -> bool {
    // The address types first: nearly all are.
    !matches!(qtype, types::A | types::AAAA) && matches!(qtype, 0 | types::OPT | 128..=254)
}

/// The words of a name behind its first two blocks.
#[inline(never)]
fn later_words(window: &Window, name_bytes: usize) -> Option<[u64; 4]> {
    let name = Suffix::new(window, 0, name_bytes)?;
    let [[w5, w6], [w7, w8]] = [2, 3].map(|index| name.block(index).words());
    Some([w5, w6, w7, w8])
}
