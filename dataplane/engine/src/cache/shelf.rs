//! What workers see of the cache: entries are found and copied, never waited for.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{CacheKey, EntryHead, HEAD_WORDS};
use super::index::{Index, Spot};
use super::log::{Log, WORD_BYTES};
use crate::frame::checksum::Sum;

/// Bytes of a TTL.
pub(super) const TTL_BYTES: usize = 4;

/// Bytes of a pointer.
pub(super) const POINTER_BYTES: usize = 2;

/// Where the question's name stands in a message, to which pointers of entries lead.
const QNAME_AT: u16 = 12;

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

impl<'a> Found<'a> {
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
        let mut places = self.copy(to)?;
        let mut sum = Sum::default().add_sum(self.head.body_sum, 0);
        for place in places.by_ref().take(usize::from(self.head.ttls)) {
            let bytes = to.get_mut(place..)?.first_chunk_mut::<TTL_BYTES>()?;
            let old = *bytes;
            *bytes = ttls.of(old);
            sum = sum.subtract_sum(Sum::default().add(&old).fold(), place);
            sum = sum.add_sum(Sum::default().add(bytes).fold(), place);
        }
        self.is_intact().then(|| sum.fold())
    }

    /// The same behind another name than the question's. `place_of` gives where the byte at an offset of the entry's name
    /// stands in the message. Nothing also where it stands nowhere, or too far into the message for pointers.
    pub fn put_behind(&self, to: &mut [u8], ttls: Ttls, place_of: impl Fn(usize) -> Option<usize>) -> Option<()> {
        let mut places = self.copy(to)?;
        for place in places.by_ref().take(usize::from(self.head.ttls)) {
            let bytes = to.get_mut(place..)?.first_chunk_mut::<TTL_BYTES>()?;
            *bytes = ttls.of(*bytes);
        }
        for place in places.take(usize::from(self.head.pointers)) {
            let bytes = to.get_mut(place..)?.first_chunk_mut::<POINTER_BYTES>()?;
            // RFC 1035 section 4.1.4: the two highest bits are ones, fourteen are left for the offset.
            let offset = (u16::from_be_bytes(*bytes) & !POINTER_MARK).checked_sub(QNAME_AT)?;
            let place = u16::try_from(place_of(offset.into())?).ok().filter(|place| *place < !POINTER_MARK)?;
            *bytes = (place | POINTER_MARK).to_be_bytes();
        }
        self.is_intact().then_some(())
    }

    /// Copies the records as they are stored, and gives the places of TTLs, then of pointers, among them.
    #[inline(always)]
    fn copy(&self, to: &mut [u8]) -> Option<impl Iterator<Item = usize> + use<'a>> {
        let head = &self.head;
        if to.len() != usize::from(head.body_bytes) {
            return None;
        }
        let places_at = HEAD_WORDS + head.name_words();
        let body_at = places_at + head.place_words();
        let words = self.shelf.log(self.spot).words(self.spot.place, body_at + head.body_words());
        copy(words.get(body_at..)?, to);
        let places = words.get(places_at..body_at)?.iter().flat_map(|word| {
            let [p1, p2, p3, p4, p5, p6, p7, p8] = word.load(Ordering::Relaxed).to_le_bytes();
            [[p1, p2], [p3, p4], [p5, p6], [p7, p8]].map(|place| usize::from(u16::from_le_bytes(place)))
        });
        Some(places)
    }

    /// True where nothing was written over what was read so far.
    #[inline(always)]
    fn is_intact(&self) -> bool {
        self.shelf.log(self.spot).is_intact(self.spot.place)
    }
}

/// The least pointer (RFC 1035 section 4.1.4).
const POINTER_MARK: u16 = 0xc000;

impl Ttls {
    /// What a TTL becomes.
    #[inline(always)]
    fn of(self, stored: [u8; TTL_BYTES]) -> [u8; TTL_BYTES] {
        let ttl = match self {
            Self::Aged(age) => u32::from_be_bytes(stored).saturating_sub(age),
            Self::Fixed(ttl) => ttl,
        };
        ttl.to_be_bytes()
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
pub(super) fn copy(words: &[AtomicU64], to: &mut [u8]) {
    let (whole, rest) = to.as_chunks_mut::<WORD_BYTES>();
    let mut words = words.iter().map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    for (chunk, word) in whole.iter_mut().zip(&mut words) {
        *chunk = word;
    }
    if let Some(word) = words.next().filter(|_| !rest.is_empty()) {
        for (byte, stored) in rest.iter_mut().zip(word) {
            *byte = stored;
        }
    }
}
