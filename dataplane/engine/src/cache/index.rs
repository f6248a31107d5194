//! The index: buckets of seven slots, each the place of an entry and some bits of its hash, and how often each was asked for.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::entry::LINE_WORDS;
use crate::machine::prefetch;

/// Slots of a bucket, which together with their uses are a cache line.
pub(super) const BUCKET_SLOTS: usize = 7;

/// Bytes of a bucket.
pub(super) const BUCKET_BYTES: usize = size_of::<Bucket>();

/// Numbers of slots that a bucket has; the last one is of none.
const BUCKET_NUMBERS: usize = 8;

/// Bits of a place in a slot: a log that takes a gigabyte a second is full after years.
const PLACE_BITS: u32 = 51;

/// The bit of a slot that says which log the place is in.
const LARGE_BIT: u64 = 1 << PLACE_BITS;

/// The bit of a slot that says that the entry is longer than a cache line: places are those of cache lines, and have none there.
const LONG_BIT: u64 = 1;

/// The bits of a slot that are of the hash.
const TAG_MASK: u64 = !(LARGE_BIT | (LARGE_BIT - 1));

/// Where the bits of a hash begin that say which slot of its bucket is looked at first: beside those of the tag.
const FIRST_SHIFT: u32 = 40;

/// The bits of a hash that an entry keeps: those that tell the bucket.
const KEPT_MASK: u64 = 0xffff_ffff;

/// Most uses that are counted.
const USES_MAX: u8 = 15;

/// Set once a worker has asked for an entry to be fetched again.
const REFRESH_BIT: u8 = 0x80;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// True: in the large log.
    pub large: bool,
    /// Whether it is longer than a cache line.
    pub is_long: bool,
    /// The place in its log.
    pub place: u64,
}

impl Spot {
    /// Where an entry of so many words is.
    pub(super) fn new(large: bool, place: u64, words: usize) -> Self {
        Self { large, is_long: words > LINE_WORDS, place }
    }
}

/// Where an entry probably is: a slot, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// What the slot holds.
    value: u64,
    /// The number of the slot.
    pub(super) slot: usize,
}

impl Place {
    /// Where no entry is: one that was written over long ago.
    pub(crate) fn none() -> Self {
        Self { value: 0, slot: 0 }
    }

    /// True where an entry was found.
    #[inline(always)]
    pub(crate) fn is_some(self) -> bool {
        self.value != 0
    }

    /// False where there is no entry for the hash that this was found by.
    #[inline(always)]
    pub(crate) fn may_be_of(self, hash: u64) -> bool {
        // Where an empty slot has the tag the others were not looked at.
        self.value != 0 || has_tag(0, hash)
    }

    /// Where it leads.
    #[inline(always)]
    pub(super) fn spot(self) -> Spot {
        spot(self.value)
    }

    /// True where the entry is longer than a cache line.
    #[inline(always)]
    pub(crate) fn is_long(self) -> bool {
        self.value & LONG_BIT != 0
    }
}

/// A bucket.
#[repr(align(64))]
struct Bucket {
    /// By slot: uses, and whether it is being refreshed.
    uses: [AtomicU8; BUCKET_NUMBERS],
    /// The slots.
    slots: [AtomicU64; BUCKET_SLOTS],
}

/// The index.
pub(super) struct Index {
    /// The buckets; their number is a power of two.
    buckets: Box<[Bucket]>,
}

impl Index {
    /// An index of so many slots at least.
    pub(super) fn new(slots: usize) -> Self {
        let buckets = slots.div_ceil(BUCKET_SLOTS).next_power_of_two();
        let bucket = |_| Bucket {
            uses: core::array::from_fn(|_| AtomicU8::new(0)),
            slots: core::array::from_fn(|_| AtomicU64::new(0)),
        };
        Self { buckets: (0..buckets).map(bucket).collect() }
    }

    /// The number of the bucket for a hash: told by the bits of it that an entry keeps.
    #[inline(always)]
    fn bucket(&self, hash: u64) -> usize {
        // The mask is below the number of buckets.
        usize::try_from(hash & KEPT_MASK).unwrap_or_default() & (self.buckets.len() - 1)
    }

    /// The slots of a hash's bucket: number and value of each.
    #[inline(always)]
    fn slots(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> {
        let number = self.bucket(hash);
        let slots = self.buckets.get(number).into_iter().flat_map(|bucket| &bucket.slots);
        // What was written of an entry before its slot is seen from here on.
        (number * BUCKET_NUMBERS..).zip(slots.map(|slot| slot.load(Ordering::Acquire)))
    }

    /// The entries that a hash may mean.
    #[inline(always)]
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = Place> {
        self.slots(hash)
            .filter(move |&(_, value)| value != 0 && has_tag(value, hash))
            .map(|(slot, value)| Place { value, slot })
    }

    /// The first entry that a hash may mean, as quickly as that is found, and notes a use of it; [`Place::none`] where there is
    /// none.
    #[inline(always)]
    pub(super) fn use_candidate(&self, hash: u64) -> Place {
        let (number, first) = (self.bucket(hash), first_slot(hash));
        if let Some(bucket) = self.buckets.get(number)
            && let (Some(value), Some(uses)) = (bucket.slots.get(first), bucket.uses.get(first))
        {
            let value = value.load(Ordering::Acquire);
            // Where an empty slot has the tag, its place is one that no log holds.
            if has_tag(value, hash) {
                note_use(uses);
                return Place { value, slot: number * BUCKET_NUMBERS + first };
            }
        }
        self.later_candidate(hash)
    }

    /// The same where the slot that is looked at first has another entry.
    #[inline(never)]
    fn later_candidate(&self, hash: u64) -> Place {
        let found = self.candidates(hash).next().unwrap_or(Place::none());
        if found.is_some() {
            self.touch(found.slot);
        }
        found
    }

    /// Asks the memory for the bucket of a hash.
    #[inline(always)]
    pub(super) fn ask_for(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.bucket(hash)) {
            prefetch(bucket);
        }
    }

    /// Notes a use.
    #[inline(always)]
    pub(super) fn touch(&self, slot: usize) {
        if let Some(uses) = self.uses_of(slot) {
            note_use(uses);
        }
    }

    /// Uses that were noted, up to 15.
    #[inline(always)]
    pub(super) fn uses(&self, slot: usize) -> u8 {
        self.uses_of(slot).map_or(0, |uses| uses.load(Ordering::Relaxed) & USES_MAX)
    }

    /// True for the one worker that is to ask for the entry to be fetched again.
    #[inline(always)]
    pub(super) fn claim_refresh(&self, slot: usize) -> bool {
        let Some(uses) = self.uses_of(slot) else { return false };
        uses.load(Ordering::Relaxed) & REFRESH_BIT == 0
            && uses.fetch_or(REFRESH_BIT, Ordering::Relaxed) & REFRESH_BIT == 0
    }

    /// Sets the uses of a slot and lets it be refreshed. For the writer.
    pub(super) fn set_uses(&self, slot: usize, count: u8) {
        if let Some(uses) = self.uses_of(slot) {
            uses.store(count.min(USES_MAX), Ordering::Relaxed);
        }
    }

    /// The slot that leads to an entry, and what is known of the entry's hash. For the writer.
    pub(super) fn slot_of(&self, kept_hash: u32, at: Spot) -> Option<(usize, u64)> {
        let hash = u64::from(kept_hash);
        let (slot, value) = self.slots(hash).find(|&(_, value)| value != 0 && spot(value) == at)?;
        Some((slot, value & TAG_MASK | hash))
    }

    /// A free slot for a hash, the one that is looked at first if it is free; or that of its bucket which was used least, and
    /// newcomers go first. For the writer.
    pub(super) fn slot_for(&self, hash: u64) -> Option<usize> {
        let first = first_slot(hash);
        let rank = |&(slot, value): &(usize, u64)| match value {
            0 => (false, 0, slot % BUCKET_NUMBERS != first),
            value => (value & LARGE_BIT != 0, 1 + self.uses(slot), false),
        };
        self.slots(hash).min_by_key(rank).map(|(slot, _)| slot)
    }

    /// Where a slot leads, if anywhere. For the writer.
    pub(super) fn leads_to(&self, slot: usize) -> Option<Spot> {
        let value = self.slot(slot)?.load(Ordering::Relaxed);
        (value != 0).then(|| spot(value))
    }

    /// Leads a slot to an entry that is written; of its hash it takes what is known of it. For the writer.
    pub(super) fn set(&self, slot: usize, hash: u64, at: Spot) {
        if let Some(value) = self.slot(slot) {
            let (large, long) = (u64::from(at.large) * LARGE_BIT, u64::from(at.is_long) * LONG_BIT);
            value.store(hash & TAG_MASK | large | at.place & (LARGE_BIT - 1) | long, Ordering::Release);
        }
    }

    /// Empties a slot. For the writer.
    pub(super) fn clear(&self, slot: usize) {
        if let Some(value) = self.slot(slot) {
            value.store(0, Ordering::Release);
        }
    }

    /// A slot by its number.
    fn slot(&self, slot: usize) -> Option<&AtomicU64> {
        self.buckets.get(slot / BUCKET_NUMBERS).and_then(|bucket| bucket.slots.get(slot % BUCKET_NUMBERS))
    }

    /// The uses of a slot by its number.
    #[inline(always)]
    fn uses_of(&self, slot: usize) -> Option<&AtomicU8> {
        self.buckets.get(slot / BUCKET_NUMBERS).and_then(|bucket| bucket.uses.get(slot % BUCKET_NUMBERS))
    }
}

/// Notes a use.
#[inline(always)]
fn note_use(uses: &AtomicU8) {
    let value = uses.load(Ordering::Relaxed);
    // Of two workers that note a use at once one may be lost: the count is a hint.
    if value & USES_MAX < USES_MAX {
        uses.store(value + 1, Ordering::Relaxed);
    }
}

/// What identifies a hash among all of its bucket's, as far as it is known of an entry: its tag, and the bits above those that
/// tell the bucket.
pub(super) fn identity(hash: u64) -> u32 {
    // Twelve bits and twenty.
    u32::try_from(hash >> PLACE_BITS >> 1 << 20 | (hash & KEPT_MASK) >> 12).unwrap_or_default()
}

/// The slot of its bucket that is looked at first for a hash, and that it has unless another was there before.
#[inline(always)]
fn first_slot(hash: u64) -> usize {
    // Seven parts of 2^12.
    usize::try_from(((hash >> FIRST_SHIFT & 0xfff) * BUCKET_SLOTS as u64) >> 12).unwrap_or_default()
}

/// True where a slot's value has the tag of a hash.
#[inline(always)]
fn has_tag(value: u64, hash: u64) -> bool {
    (value ^ hash) & TAG_MASK == 0
}

/// Where a slot's value leads.
#[inline(always)]
fn spot(value: u64) -> Spot {
    let place = value & (LARGE_BIT - 1) & !LONG_BIT;
    Spot { large: value & LARGE_BIT != 0, is_long: value & LONG_BIT != 0, place }
}
