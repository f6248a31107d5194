//! The index: buckets of eight slots, each the place of an entry and some bits of its hash, and how often each was asked for.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::machine::prefetch;

/// Slots of a bucket: one cache line.
pub(super) const BUCKET_SLOTS: usize = 8;

/// Bits of a place in a slot: a log that takes a gigabyte a second is full after years.
const PLACE_BITS: u32 = 51;

/// The bit of a slot that says which log the place is in.
const LARGE_BIT: u64 = 1 << PLACE_BITS;

/// The bits of a slot that are of the hash.
const TAG_MASK: u64 = !(LARGE_BIT | (LARGE_BIT - 1));

/// Most uses that are counted.
const USES_MAX: u8 = 15;

/// Set once a worker has asked for an entry to be fetched again.
const REFRESH_BIT: u8 = 0x80;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// True: in the large log.
    pub large: bool,
    /// The place in its log.
    pub place: u64,
}

/// A bucket.
#[repr(align(64))]
struct Bucket([AtomicU64; BUCKET_SLOTS]);

/// The index.
pub(super) struct Index {
    /// The buckets; their number is a power of two.
    buckets: Box<[Bucket]>,
    /// By slot: uses, and whether it is being refreshed.
    uses: Box<[AtomicU8]>,
}

impl Index {
    /// An index with room for so many entries at least.
    pub(super) fn new(entries: usize) -> Self {
        let buckets = entries.div_ceil(BUCKET_SLOTS).next_power_of_two();
        Self {
            buckets: (0..buckets).map(|_| Bucket(core::array::from_fn(|_| AtomicU64::new(0)))).collect(),
            uses: (0..buckets * BUCKET_SLOTS).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// The number of the bucket for a hash.
    #[inline(always)]
    pub(super) fn bucket(&self, hash: u64) -> usize {
        // The mask is below the number of buckets.
        usize::try_from(hash).unwrap_or_default() & (self.buckets.len() - 1)
    }

    /// The slots of a bucket: number and value of each.
    #[inline(always)]
    fn slots(&self, bucket: usize) -> impl Iterator<Item = (usize, &AtomicU64)> {
        let first = bucket * BUCKET_SLOTS;
        self.buckets.get(bucket).into_iter().flat_map(move |Bucket(slots)| (first..).zip(slots))
    }

    /// The entries that a hash may mean: number of the slot, and where it leads.
    #[inline(always)]
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = (usize, Spot)> {
        self.slots(self.bucket(hash)).filter_map(move |(slot, value)| {
            // What was written of the entry before its slot is seen from here on.
            let value = value.load(Ordering::Acquire);
            (value != 0 && (value ^ hash) & TAG_MASK == 0).then(|| (slot, spot(value)))
        })
    }

    /// Asks the memory for the bucket of a hash.
    #[inline(always)]
    pub(super) fn ask_for(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.bucket(hash)) {
            prefetch(bucket);
        }
    }

    /// Asks the memory for the uses of a slot.
    #[inline(always)]
    pub(super) fn ask_for_uses(&self, slot: usize) {
        if let Some(uses) = self.uses.get(slot) {
            prefetch(uses);
        }
    }

    /// Notes a use.
    #[inline(always)]
    pub(super) fn touch(&self, slot: usize) {
        let Some(uses) = self.uses.get(slot) else { return };
        let value = uses.load(Ordering::Relaxed);
        // Of two workers that note a use at once one may be lost: the count is a hint.
        if value & USES_MAX < USES_MAX {
            uses.store(value + 1, Ordering::Relaxed);
        }
    }

    /// Uses that were noted, up to 15.
    #[inline(always)]
    pub(super) fn uses(&self, slot: usize) -> u8 {
        self.uses.get(slot).map_or(0, |uses| uses.load(Ordering::Relaxed) & USES_MAX)
    }

    /// True for the one worker that is to ask for the entry to be fetched again.
    #[inline(always)]
    pub(super) fn claim_refresh(&self, slot: usize) -> bool {
        let Some(uses) = self.uses.get(slot) else { return false };
        uses.load(Ordering::Relaxed) & REFRESH_BIT == 0
            && uses.fetch_or(REFRESH_BIT, Ordering::Relaxed) & REFRESH_BIT == 0
    }

    /// Sets the uses of a slot and lets it be refreshed. For the writer.
    pub(super) fn set_uses(&self, slot: usize, count: u8) {
        if let Some(uses) = self.uses.get(slot) {
            uses.store(count.min(USES_MAX), Ordering::Relaxed);
        }
    }

    /// The slot that leads to an entry. For the writer.
    pub(super) fn slot_of(&self, hash: u64, spot: Spot) -> Option<usize> {
        self.candidates(hash).find(|&(_, found)| found == spot).map(|(slot, _)| slot)
    }

    /// A free slot for a hash, or the one of its bucket that was used least; newcomers go first. For the writer.
    pub(super) fn slot_for(&self, hash: u64) -> Option<usize> {
        let rank = |&(slot, value): &(usize, &AtomicU64)| match value.load(Ordering::Relaxed) {
            0 => (false, 0),
            value => (value & LARGE_BIT != 0, 1 + self.uses(slot)),
        };
        self.slots(self.bucket(hash)).min_by_key(rank).map(|(slot, _)| slot)
    }

    /// Where a slot leads, if anywhere. For the writer.
    pub(super) fn leads_to(&self, slot: usize) -> Option<Spot> {
        let value = self.slot(slot)?.load(Ordering::Relaxed);
        (value != 0).then(|| spot(value))
    }

    /// Leads a slot to an entry that is written. For the writer.
    pub(super) fn set(&self, slot: usize, hash: u64, at: Spot) {
        if let Some(value) = self.slot(slot) {
            let large = if at.large { LARGE_BIT } else { 0 };
            value.store(hash & TAG_MASK | large | at.place & (LARGE_BIT - 1), Ordering::Release);
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
        self.buckets.get(slot / BUCKET_SLOTS).and_then(|Bucket(slots)| slots.get(slot % BUCKET_SLOTS))
    }
}

/// Where a slot's value leads.
#[inline(always)]
fn spot(value: u64) -> Spot {
    Spot { large: value & LARGE_BIT != 0, place: value & (LARGE_BIT - 1) }
}
