//! What workers see of the cache: entries are found and copied, never waited for.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{CacheKey, EntryBits, EntryHead, HEAD_WORDS};
use super::index::{Index, Spot};
use super::log::{Log, WORD_BYTES};
use crate::frame::checksum::Sum;
use crate::limits::NAME_BYTES_MAX;

/// Words of the longest name.
const NAME_WORDS_MAX: usize = NAME_BYTES_MAX.div_ceil(WORD_BYTES);

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

/// Where an entry probably is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its slot.
    slot: usize,
    /// Its place.
    spot: Spot,
}

/// What an entry must be, apart from its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    /// The hash of all of it: [`CacheKey::hash`].
    pub hash: u64,
    /// The type.
    pub qtype: u16,
    /// DO and CD.
    pub bits: EntryBits,
    /// Bytes of the name.
    pub name_bytes: usize,
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
        let mut name = [0; NAME_WORDS_MAX];
        let (whole, rest) = key.name.as_chunks::<WORD_BYTES>();
        for (word, chunk) in name.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*chunk);
        }
        if let Some(word) = name.get_mut(whole.len()) {
            *word = last_word(rest);
        }
        let sought = Sought { hash: key.hash(), qtype: key.qtype, bits: key.bits, name_bytes: key.name.len() };
        self.index.candidates(sought.hash).find_map(|(slot, spot)| self.at(Place { slot, spot }, &sought, &name))
    }

    /// Asks the memory for where the entry of a hash is found.
    #[inline(always)]
    pub(crate) fn ask_for_bucket(&self, hash: u64) {
        self.index.ask_for(hash);
    }

    /// Where the entry of a hash probably is; asks the memory for it. The bucket was asked for before.
    #[inline(always)]
    pub(crate) fn ask_for_entry(&self, hash: u64) -> Option<Place> {
        let (slot, spot) = self.index.candidates(hash).next()?;
        self.log(spot).ask_for(spot.place);
        self.index.ask_for_uses(slot);
        Some(Place { slot, spot })
    }

    /// The entry at a place, if it is the one that is sought. `name` has the words of its name, and perhaps more.
    #[inline(always)]
    pub(crate) fn at(&self, Place { slot, spot }: Place, sought: &Sought, name: &[u64]) -> Option<Found<'_>> {
        let log = self.log(spot);
        let words = log.words(spot.place, HEAD_WORDS + sought.name_bytes.div_ceil(WORD_BYTES));
        let (head, stored) = words.split_first_chunk::<HEAD_WORDS>()?;
        let head = EntryHead::from_words(head.each_ref().map(|word| word.load(Ordering::Relaxed)));
        let mut differs = head.hash ^ sought.hash;
        for (word, stored) in name.iter().zip(stored) {
            differs |= word ^ stored.load(Ordering::Relaxed);
        }
        let is_right = differs == 0
            && head.qtype == sought.qtype
            && head.bits.of_question() == sought.bits.of_question()
            && usize::from(head.name_bytes) == sought.name_bytes
            && stored.len() <= name.len()
            && log.is_intact(spot.place);
        is_right.then_some(Found { shelf: self, slot, spot, head })
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
    #[inline(always)]
    pub fn put(&self, to: &mut [u8], ttls: Ttls) -> Option<u16> {
        let places = self.copy(to)?;
        let mut sum = Sum::default().add_sum(self.head.body_sum, 0);
        for index in 0..usize::from(self.head.ttls) {
            let place = place_at(places, index)?;
            let bytes = to.get_mut(place..)?.first_chunk_mut::<TTL_BYTES>()?;
            let old = *bytes;
            *bytes = ttls.of(old);
            // RFC 1624 section 3: ~m + m', four bytes at a time.
            let changed = u64::from(!u32::from_ne_bytes(old)) + u64::from(u32::from_ne_bytes(*bytes));
            sum = sum.add_sum(Sum::of(changed).fold(), place);
        }
        self.is_intact().then(|| sum.fold())
    }

    /// The same behind another name than the question's. `place_of` gives where the byte at an offset of the entry's name
    /// stands in the message. Nothing also where it stands nowhere, or too far into the message for pointers.
    pub fn put_behind(&self, to: &mut [u8], ttls: Ttls, place_of: impl Fn(usize) -> Option<usize>) -> Option<()> {
        let places = self.copy(to)?;
        let ttls_count = usize::from(self.head.ttls);
        for index in 0..ttls_count {
            let bytes = to.get_mut(place_at(places, index)?..)?.first_chunk_mut::<TTL_BYTES>()?;
            *bytes = ttls.of(*bytes);
        }
        for index in ttls_count..ttls_count + usize::from(self.head.pointers) {
            let bytes = to.get_mut(place_at(places, index)?..)?.first_chunk_mut::<POINTER_BYTES>()?;
            // RFC 1035 section 4.1.4: the two highest bits are ones, fourteen are left for the offset.
            let offset = (u16::from_be_bytes(*bytes) & !POINTER_MARK).checked_sub(QNAME_AT)?;
            let place = u16::try_from(place_of(offset.into())?).ok().filter(|place| *place < !POINTER_MARK)?;
            *bytes = (place | POINTER_MARK).to_be_bytes();
        }
        self.is_intact().then_some(())
    }

    /// Copies the records as they are stored, and gives the words with the places of TTLs, then of pointers, among them.
    #[inline(always)]
    fn copy(&self, to: &mut [u8]) -> Option<&'a [AtomicU64]> {
        let head = &self.head;
        if to.len() != usize::from(head.body_bytes) {
            return None;
        }
        let places_at = HEAD_WORDS + head.name_words();
        let body_at = places_at + head.place_words();
        let words = self.shelf.log(self.spot).words(self.spot.place, body_at + head.body_words());
        let (before, body) = words.split_at_checked(body_at)?;
        copy(body, to);
        before.get(places_at..)
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

/// A place of many: four a word, from the lowest bits on.
#[inline(always)]
fn place_at(words: &[AtomicU64], index: usize) -> Option<usize> {
    let word = words.get(index / 4)?.load(Ordering::Relaxed);
    usize::try_from(word >> (16 * (index % 4)) & 0xffff).ok()
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
