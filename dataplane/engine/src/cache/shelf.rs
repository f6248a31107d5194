//! What workers see of the cache: entries are found and copied, never waited for.

use core::fmt;
use core::hint;
use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{CacheKey, EntryHead, HEAD_WORDS, NAME_WORDS_MAX, NAME_WORDS_MIN, quarter, question_word};
use super::index::{Index, Place, Spot};
use super::log::{Log, WORD_BYTES};
use super::put::{
    POINTER_BYTES, Records, Ttls, address_record_bytes, last_word, lower_half, put_addresses, put_ipv4, put_ipv6,
};

/// Where the question's name stands in a message, to which pointers of entries lead.
const QNAME_AT: u16 = 12;

/// The least pointer (RFC 1035 section 4.1.4).
const POINTER_MARK: u16 = 0xc000;

/// Words at the start of an entry that are read without a loop: the head, and the least name.
const FIXED_WORDS: usize = HEAD_WORDS + NAME_WORDS_MIN;

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
    /// Where its uses are noted.
    index: &'a Index,
    /// Its slot.
    pub(super) slot: usize,
    /// Its place.
    pub(super) spot: Spot,
    /// The log that it is in.
    log: &'a Log,
    /// The words behind its name, and more.
    rest: &'a [AtomicU64],
    /// What it says of itself.
    pub head: EntryHead,
}

/// An entry of a single address that was found: the most frequent sort. It may go at any time.
#[derive(Clone, Copy)]
pub(crate) struct FoundAddress<'a> {
    /// The log that it is in.
    log: &'a Log,
    /// Its place in the log.
    place: u64,
    /// When it was fetched, and how long it may be answered, in seconds.
    times: u64,
    /// What begins with the address.
    address: [u64; 2],
}

/// What an entry must be, apart from its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    /// The hash of all of it: [`CacheKey::hash`].
    pub hash: u64,
    /// [`question_word`].
    pub word: u64,
}

impl Sought {
    /// The type.
    #[inline(always)]
    pub(crate) fn qtype(&self) -> u16 {
        quarter(self.word, 2)
    }
}

/// The name of an entry that is sought, as it lies in entries.
#[derive(Clone, Copy)]
pub(crate) struct SoughtName<'a> {
    /// The first words.
    pub first: [u64; NAME_WORDS_MIN],
    /// Those that follow.
    pub more: &'a [u64],
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
        let (first, more) = name.split_first_chunk()?;
        let more = more.get(..key.name.len().div_ceil(WORD_BYTES).saturating_sub(NAME_WORDS_MIN))?;
        let sought = Sought { hash: key.hash(), word: question_word(key.name.len(), key.qtype, key.bits) };
        let name = SoughtName { first: *first, more };
        self.index.candidates(sought.hash).find_map(|place| self.at(place, &sought, name))
    }

    /// Asks the memory for where the entry of a hash is found.
    #[inline(always)]
    pub(crate) fn ask_for_bucket(&self, hash: u64) {
        self.index.ask_for(hash);
    }

    /// Where the entry of a hash probably is; notes a use of it, and asks the memory for it. The bucket was asked for before.
    #[inline(always)]
    pub(crate) fn ask_for_entry(&self, hash: u64) -> Place {
        let place = self.index.use_candidate(hash);
        let spot = place.spot();
        self.log(spot).ask_for(spot.place, spot.is_long);
        place
    }

    /// The entry at a place, if it is the one that is sought.
    #[inline(always)]
    pub(crate) fn at(&self, place: Place, sought: &Sought, name: SoughtName<'_>) -> Option<Found<'_>> {
        let spot = place.spot();
        let log = self.log(spot);
        let (fixed, rest) = log.words_from(spot.place).split_first_chunk::<FIXED_WORDS>()?;
        let [first, times, last, stored @ ..] = fixed.each_ref().map(|word| word.load(Ordering::Relaxed));
        let mut differs = EntryHead::differs(first, sought.word);
        for (word, stored) in name.first.iter().zip(stored) {
            differs |= word ^ stored;
        }
        if differs != 0 {
            return None;
        }
        let (stored, rest) = rest.split_at_checked(name.more.len())?;
        if !name.more.iter().zip(stored).all(|(word, stored)| *word == stored.load(Ordering::Relaxed)) {
            return None;
        }
        let word = |index: usize| rest.get(index).map_or(0, |word| word.load(Ordering::Relaxed));
        let head = EntryHead::from_words([first, times, last], word);
        Some(Found { index: &self.index, slot: place.slot, spot, log, rest, head })
    }

    /// The entry at a place, if it is the one that is sought and has one address. The name has no words but the first.
    #[inline(always)]
    pub(crate) fn address_at<const IPV6: bool>(
        &self,
        place: Place,
        sought: &Sought,
        name: [u64; NAME_WORDS_MIN],
    ) -> Option<FoundAddress<'_>> {
        let spot = place.spot();
        let log = self.log(spot);
        let (line, next) = log.lines(spot.place);
        let [first, times, _, stored @ .., start] = line?.each_ref().map(|word| word.load(Ordering::Relaxed));
        let mut differs = EntryHead::differs_from_address(first, sought.word);
        for (word, stored) in name.iter().zip(stored) {
            differs |= word ^ stored;
        }
        if differs != 0 {
            return None;
        }
        let end = if IPV6 { next?.first()?.load(Ordering::Relaxed) } else { 0 };
        Some(FoundAddress { log, place: spot.place, times, address: [start, end] })
    }

    /// The log that an entry is in.
    #[inline(always)]
    pub(super) fn log(&self, spot: Spot) -> &Log {
        // Whether names were asked for long ago or of late is not for the core to guess.
        hint::select_unpredictable(spot.large, &self.large, &self.small)
    }
}

impl FoundAddress<'_> {
    /// Its TTL at a time in seconds since 1970; nothing where it is not fresh any more.
    #[inline(always)]
    pub(crate) fn fresh_ttl(&self, now_seconds: u32) -> Option<u32> {
        let (fetched, ttl) = (lower_half(self.times), lower_half(self.times >> 32));
        // A clock that was set back makes it fresh, not old.
        let age = now_seconds.saturating_sub(fetched);
        if age >= ttl {
            return None;
        }
        Some(ttl - age)
    }

    /// Writes its record over the whole of `to`, which has room for one of its type, and returns the checksum's sum of it, as
    /// if it began at an even place. Nothing where the entry went away meanwhile; `to` is spoilt then.
    #[inline(always)]
    pub(crate) fn put<const IPV6: bool>(&self, to: &mut [u8], ttl: u32) -> Option<u16> {
        let sum = if IPV6 {
            put_ipv6(self.address, ttl, to.first_chunk_mut()?)
        } else {
            put_ipv4(self.address[0], ttl, to.first_chunk_mut()?)
        };
        if self.log.is_intact(self.place) { Some(sum.fold()) } else { None }
    }
}

impl Found<'_> {
    /// Notes that it was used.
    #[inline(always)]
    pub fn touch(&self) {
        self.index.touch(self.slot);
    }

    /// How often it was used, up to 15.
    #[inline]
    pub fn uses(&self) -> u8 {
        self.index.uses(self.slot)
    }

    /// True for the one caller that is to have it fetched again.
    #[inline]
    pub fn claim_refresh(&self) -> bool {
        self.index.claim_refresh(self.slot)
    }

    /// Writes its records into `to`, which has room for exactly as many bytes as they take, and returns the checksum's sum of
    /// what was written, as if it began at an even place. Nothing where the entry went away meanwhile; `to` is spoilt then.
    #[inline(always)]
    pub fn put(&self, to: &mut [u8], ttls: Ttls) -> Option<u16> {
        if to.len() != usize::from(self.head.body_bytes) {
            return None;
        }
        let sum = if self.head.has_addresses {
            put_addresses(self.rest, &self.head, ttls, to)?
        } else {
            Records::of(self.rest, &self.head)?.put(&self.head, ttls, to)?
        };
        self.is_intact().then_some(sum)
    }

    /// The same behind another name than the question's. `place_of` gives where the byte at an offset of the entry's name
    /// stands in the message. Nothing also where it stands nowhere, or too far into the message for pointers.
    pub fn put_behind(&self, to: &mut [u8], ttls: Ttls, place_of: impl Fn(usize) -> Option<usize>) -> Option<()> {
        self.put(to, ttls)?;
        let lead = |to: &mut [u8], at: usize| {
            let bytes = to.get_mut(at..)?.first_chunk_mut::<POINTER_BYTES>()?;
            // RFC 1035 section 4.1.4: the two highest bits are ones, fourteen are left for the offset.
            let offset = (u16::from_be_bytes(*bytes) & !POINTER_MARK).checked_sub(QNAME_AT)?;
            let place = u16::try_from(place_of(offset.into())?).ok().filter(|place| *place < !POINTER_MARK)?;
            *bytes = (place | POINTER_MARK).to_be_bytes();
            Some(())
        };
        if self.head.has_addresses {
            let size = address_record_bytes(self.head.qtype);
            (0..usize::from(self.head.answers)).try_for_each(|index| lead(to, index * size))?;
        } else {
            Records::of(self.rest, &self.head)?.pointers().try_for_each(|place| lead(to, place))?;
        }
        self.is_intact().then_some(())
    }

    /// True where nothing was written over what was read so far.
    #[inline(always)]
    fn is_intact(&self) -> bool {
        self.log.is_intact(self.spot.place)
    }
}

/// The fixed part of the entry at a place.
pub(super) fn read_head(log: &Log, place: u64) -> EntryHead {
    let words = log.words_from(place);
    let word = |index: usize| words.get(index).map_or(0, |word| word.load(Ordering::Relaxed));
    let first = EntryHead::from_words(core::array::from_fn(word), |_| 0);
    EntryHead::from_words(core::array::from_fn(word), |index| word(HEAD_WORDS + first.name_words() + index))
}
