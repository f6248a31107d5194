//! What workers see of the cache: entries are found and copied, never waited for.

use core::fmt;

use super::entry::{CacheKey, EntryHead, HEAD_WORDS};
use super::index::{Index, Spot};
use super::log::{Log, WORD_BYTES};
use crate::frame::checksum::Sum;

/// Bytes of a TTL.
const TTL_BYTES: usize = 4;

/// The cache as it is shared by all who read it.
pub struct CacheShelf {
    /// Where entries are.
    pub(super) index: Index,
    /// Entries that came of late.
    pub(super) small: Log,
    /// Entries that were asked for again.
    pub(super) large: Log,
}

impl fmt::Debug for CacheShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheShelf").finish_non_exhaustive()
    }
}

/// An entry that was found. It may go at any time: what is taken of it is looked at last.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// Where.
    shelf: &'a CacheShelf,
    /// Its slot.
    pub(super) slot: usize,
    /// Its place.
    pub(super) spot: Spot,
    /// What it says of itself.
    pub head: EntryHead,
}

/// What the TTLs of a copy become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttls {
    /// Each is lowered by so many seconds.
    Aged(u32),
    /// All are this.
    Fixed(u32),
}

impl CacheShelf {
    /// The entry for a key, fresh or not.
    #[inline]
    pub fn find(&self, key: &CacheKey<'_>) -> Option<Found<'_>> {
        let hash = key.hash();
        for (slot, spot) in self.index.candidates(hash) {
            let log = self.log(spot);
            let head = read_head(log, spot.place);
            let is_right = head.hash == hash
                && head.qtype == key.qtype
                && head.bits.of_question() == key.bits.of_question()
                && has_name(log, spot.place, &head, key.name)
                && log.is_intact(spot.place);
            if is_right {
                return Some(Found { shelf: self, slot, spot, head });
            }
        }
        None
    }

    /// The log that an entry is in.
    #[inline(always)]
    pub(super) fn log(&self, spot: Spot) -> &Log {
        if spot.large { &self.large } else { &self.small }
    }
}

impl Found<'_> {
    /// Notes that it was used.
    #[inline(always)]
    pub fn touch(&self) {
        self.shelf.index.touch(self.slot);
    }

    /// How often it was used, up to 15.
    #[inline]
    pub fn uses(&self) -> u8 {
        self.shelf.index.uses(self.slot)
    }

    /// True for the one caller that is to have it fetched again.
    #[inline]
    pub fn claim_refresh(&self) -> bool {
        self.shelf.index.claim_refresh(self.slot)
    }

    /// Writes its records into `to`, which has room for exactly as many bytes as they take, and returns the checksum's sum of
    /// what was written, as if it began at an even place. Nothing where the entry went away meanwhile; `to` is spoilt then.
    #[inline]
    pub fn put(&self, to: &mut [u8], ttls: Ttls) -> Option<u16> {
        let head = &self.head;
        if to.len() != usize::from(head.body_bytes) {
            return None;
        }
        let log = self.shelf.log(self.spot);
        let ttls_at = HEAD_WORDS + head.name_words();
        let body_at = ttls_at + head.ttl_words();
        let words = log.words(self.spot.place, body_at + head.body_words());
        copy(words.get(body_at..)?, to);
        let mut sum = Sum::default().add_sum(head.body_sum, 0);
        let mut left = usize::from(head.ttls);
        for word in words.get(ttls_at..body_at)? {
            let places = word.load(core::sync::atomic::Ordering::Relaxed).to_le_bytes();
            for place in places.as_chunks::<2>().0.iter().take(left) {
                let place = usize::from(u16::from_le_bytes(*place));
                let bytes = to.get_mut(place..)?.first_chunk_mut::<TTL_BYTES>()?;
                let old = *bytes;
                let ttl = match ttls {
                    Ttls::Aged(age) => u32::from_be_bytes(old).saturating_sub(age),
                    Ttls::Fixed(ttl) => ttl,
                };
                *bytes = ttl.to_be_bytes();
                sum = sum.subtract_sum(Sum::default().add(&old).fold(), place);
                sum = sum.add_sum(Sum::default().add(bytes).fold(), place);
            }
            left = left.saturating_sub(WORD_BYTES / 2);
        }
        log.is_intact(self.spot.place).then(|| sum.fold())
    }
}

/// The fixed part of the entry at a place.
#[inline(always)]
pub(super) fn read_head(log: &Log, place: u64) -> EntryHead {
    let mut at = place;
    EntryHead::from_words([(); HEAD_WORDS].map(|()| {
        let word = log.word(at);
        at += 1;
        word
    }))
}

/// True where the entry at a place has a name.
#[inline(always)]
fn has_name(log: &Log, place: u64, head: &EntryHead, name: &[u8]) -> bool {
    if usize::from(head.name_bytes) != name.len() {
        return false;
    }
    let (whole, rest) = name.as_chunks::<WORD_BYTES>();
    let mut at = place + HEAD_WORDS as u64;
    for chunk in whole {
        if log.word(at) != u64::from_le_bytes(*chunk) {
            return false;
        }
        at += 1;
    }
    rest.is_empty() || log.word(at) == last_word(rest)
}

/// Fewer than eight bytes as a word, zeros behind them.
#[inline(always)]
pub(super) fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Copies as many bytes as there is room for.
#[inline(always)]
pub(super) fn copy(words: &[core::sync::atomic::AtomicU64], to: &mut [u8]) {
    let (whole, rest) = to.as_chunks_mut::<WORD_BYTES>();
    let mut words = words.iter().map(|word| word.load(core::sync::atomic::Ordering::Relaxed).to_le_bytes());
    for (chunk, word) in whole.iter_mut().zip(&mut words) {
        *chunk = word;
    }
    if let Some(word) = words.next().filter(|_| !rest.is_empty()) {
        for (byte, stored) in rest.iter_mut().zip(word) {
            *byte = stored;
        }
    }
}
