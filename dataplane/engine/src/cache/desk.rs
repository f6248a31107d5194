//! Who writes the cache: one thread puts answers in and makes room for them.

use std::sync::Arc;

use super::compose::{Parts, compose};
use super::counts::CacheCounts;
use super::entry::{CacheKey, EntryBits, EntryHead, LINE_WORDS};
use super::index::{BUCKET_BYTES, BUCKET_SLOTS, Index, Spot, identity};
use super::log::{FIRST_PLACE, Log, WORD_BYTES};
use super::shelf::{CacheShelf, read_head};

/// The part of the memory that newcomers have, against that of the others: one to eight.
const LARGE_TO_SMALL: usize = 8;

/// Bytes that an entry has on the average, by which the index is made: a name, one or two addresses, or an SOA record.
const ENTRY_BYTES: usize = 160;

/// Uses beyond which an entry stays no longer for having more of them.
const USES_KEPT_MAX: u8 = 3;

/// Fewest bytes of a cache.
pub const CACHE_BYTES_MIN: usize = 1 << 20;

/// An answer to be kept.
#[derive(Clone, Copy, Debug)]
pub struct CachedAnswer<'a> {
    /// What is true of it; DO and CD are the question's.
    pub bits: EntryBits,
    /// The response code.
    pub rcode: u16,
    /// Records of the answer and the authority section. There are no others.
    pub counts: [u16; 2],
    /// The records as they stand behind the question, whose name begins at the twelfth byte of the message. Pointers in them
    /// lead to places in that name only.
    pub body: &'a [u8],
    /// Where their TTLs stand in `body`.
    pub ttl_places: &'a [u16],
    /// Where pointers stand in `body`.
    pub pointer_places: &'a [u16],
    /// When it was fetched, in seconds since 1970.
    pub fetched_seconds: u32,
    /// How long from then on it may be answered: no TTL in it is less.
    pub ttl_seconds: u32,
    /// For how long it may be answered stale after that.
    pub stale_seconds: u32,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// It is larger than an entry, or than a quarter of the room for newcomers.
    TooLarge,
    /// No name, one that is too long, or a TTL or a pointer that stands outside of the records.
    Malformed,
}

/// The writer of a cache.
pub struct CacheDesk {
    /// What workers see.
    shelf: Arc<CacheShelf>,
    /// Where the small log goes on.
    pub(super) small_head: u64,
    /// Where the large one does.
    pub(super) large_head: u64,
    /// Hashes of entries that left the small log without being asked for again: by hash, the upper half of it.
    ghosts: Box<[u32]>,
    /// An entry being made or moved: working memory that is reused.
    words: Vec<u64>,
    /// The time in seconds since 1970, as it was told last.
    now_seconds: u32,
    /// What happened.
    counts: CacheCounts,
}

impl CacheDesk {
    /// A cache that takes so many bytes at most, all of them now. Its logs are powers of two.
    pub fn new(bytes: usize) -> Self {
        // Two slots for an entry, so that buckets do not overflow, and a ghost of four bytes.
        let beside = 2 * BUCKET_BYTES.div_ceil(BUCKET_SLOTS) + 4;
        let words = bytes.max(CACHE_BYTES_MIN) / (WORD_BYTES + WORD_BYTES * beside / ENTRY_BYTES);
        let large = 1 << (words * LARGE_TO_SMALL / (LARGE_TO_SMALL + 1)).ilog2();
        let small = large / LARGE_TO_SMALL;
        let entries = (large + small) * WORD_BYTES / ENTRY_BYTES;
        let shelf = CacheShelf { index: Index::new(2 * entries), small: Log::new(small), large: Log::new(large) };
        Self {
            shelf: Arc::new(shelf),
            small_head: FIRST_PLACE,
            large_head: FIRST_PLACE,
            ghosts: vec![0; entries.next_power_of_two()].into(),
            words: Vec::with_capacity(usize::from(u16::MAX)),
            now_seconds: 0,
            counts: CacheCounts::default(),
        }
    }

    /// What workers see.
    pub fn shelf(&self) -> &Arc<CacheShelf> {
        &self.shelf
    }

    /// What happened so far.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// Keeps an answer, in place of an older one. The time of fetching is the time by which room is made.
    pub fn insert(&mut self, key: &CacheKey<'_>, answer: &CachedAnswer<'_>) -> Result<(), InsertError> {
        self.now_seconds = self.now_seconds.max(answer.fetched_seconds);
        let hash = key.hash();
        compose(&mut self.words, key, answer)?;
        if self.words.len() as u64 > self.shelf.small.capacity() / 4 {
            return Err(InsertError::TooLarge);
        }
        let old = self.shelf.find(key).map(|found| (found.slot, found.spot));
        // What was asked for shortly after it had gone belongs to those that are asked for.
        let large = match old {
            Some((_, spot)) => spot.large,
            None => self.take_ghost(hash),
        };
        let words = core::mem::take(&mut self.words);
        let place = if large { self.append_large(&words) } else { self.append_small(&words) };
        let spot = place.map(|place| Spot::new(large, place, words.len()));
        self.words = words;
        let spot = spot.ok_or(InsertError::TooLarge)?;
        // Making room may have moved or removed the old one.
        match self.shelf.find(key).map(|found| (found.slot, found.head.bits)) {
            Some((slot, bits)) => {
                self.counts.replaced += 1;
                self.counts.gone(bits);
                self.shelf.index.set(slot, hash, spot);
                let uses = self.shelf.index.uses(slot);
                self.shelf.index.set_uses(slot, uses);
            }
            None => self.place_new(hash, spot),
        }
        self.counts.come(answer.bits);
        self.counts.inserted += 1;
        Ok(())
    }

    /// Removes an answer; false where there is none.
    pub fn remove(&mut self, key: &CacheKey<'_>) -> bool {
        let Some(found) = self.shelf.find(key) else { return false };
        let bits = found.head.bits;
        self.shelf.index.clear(found.slot);
        self.counts.gone(bits);
        self.counts.removed += 1;
        true
    }

    /// Looks at every entry, the oldest of each log first, and removes those for which `keep` says no. `keep` is given the
    /// name, the entry's head and its records as they were fetched.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &EntryHead, &CachedAnswer<'_>) -> bool) {
        let shelf = Arc::clone(&self.shelf);
        let mut parts = Parts::default();
        for (large, log, end) in [(false, &shelf.small, self.small_head), (true, &shelf.large, self.large_head)] {
            let mut place = log.tail();
            while place < end {
                let head = read_head(log, place);
                let at = place;
                place += u64::from(head.words).max(LINE_WORDS as u64);
                let Some((slot, _)) = live_slot(&shelf.index, &head, large, at) else { continue };
                parts.read(log, at, &head);
                if !keep(&parts.name, &head, &parts.answer(&head)) {
                    shelf.index.clear(slot);
                    self.counts.gone(head.bits);
                    self.counts.removed += 1;
                }
            }
        }
    }

    /// Leads a slot to a new entry; another entry goes where all are taken.
    fn place_new(&mut self, hash: u64, spot: Spot) {
        let Some(slot) = self.shelf.index.slot_for(hash) else { return };
        if let Some(spot) = self.shelf.index.leads_to(slot) {
            let bits = read_head(self.shelf.log(spot), spot.place).bits;
            self.counts.gone(bits);
            self.counts.evict(bits);
        }
        self.shelf.index.set_uses(slot, 0);
        self.shelf.index.set(slot, hash, spot);
    }

    /// Writes an entry into the small log; its oldest go, those that were used into the large one.
    fn append_small(&mut self, words: &[u64]) -> Option<u64> {
        let shelf = Arc::clone(&self.shelf);
        let log = &shelf.small;
        while !has_room(log, self.small_head, words.len()) {
            let (place, head) = oldest(log, self.small_head)?;
            let live = live_slot(&shelf.index, &head, false, place);
            let is_wanted = live.is_some_and(|(slot, _)| shelf.index.uses(slot) > 0) && self.can_be_answered(&head);
            if let Some((slot, hash)) = live {
                // Written into the other log before its place here is given up: nobody misses it.
                let moved = is_wanted.then(|| words_of(log, place, &head)).and_then(|moved| self.append_large(&moved));
                match moved {
                    Some(place) => {
                        shelf.index.set(slot, hash, Spot::new(true, place, head.words.into()));
                        shelf.index.set_uses(slot, 0);
                    }
                    None => self.drop_entry(slot, &head, Some(hash)),
                }
            }
            log.forget(place + u64::from(head.words).max(LINE_WORDS as u64));
        }
        Some(write(log, &mut self.small_head, words))
    }

    /// Writes an entry into the large log; its oldest go round once more for each use, and else away.
    fn append_large(&mut self, words: &[u64]) -> Option<u64> {
        let shelf = Arc::clone(&self.shelf);
        let log = &shelf.large;
        while !has_room(log, self.large_head, words.len()) {
            let (place, head) = oldest(log, self.large_head)?;
            let live = live_slot(&shelf.index, &head, true, place);
            let again = live.filter(|&(slot, _)| shelf.index.uses(slot) > 0 && self.can_be_answered(&head));
            let moved = again.map(|_| words_of(log, place, &head));
            log.forget(place + u64::from(head.words).max(LINE_WORDS as u64));
            match (live, moved) {
                // What was forgotten just now has room for it, but where the ring's end lies in between.
                (Some((slot, hash)), Some(moved)) if has_room(log, self.large_head, moved.len()) => {
                    let uses = shelf.index.uses(slot).min(USES_KEPT_MAX);
                    let place = write(log, &mut self.large_head, &moved);
                    shelf.index.set(slot, hash, Spot::new(true, place, moved.len()));
                    shelf.index.set_uses(slot, uses - 1);
                }
                (Some((slot, _)), _) => self.drop_entry(slot, &head, None),
                (None, _) => {}
            }
        }
        Some(write(log, &mut self.large_head, words))
    }

    /// Lets an entry go. What is known of its hash is remembered for a while of one that did not get old.
    fn drop_entry(&mut self, slot: usize, head: &EntryHead, young_hash: Option<u64>) {
        self.shelf.index.clear(slot);
        self.counts.gone(head.bits);
        if self.can_be_answered(head) {
            self.counts.evict(head.bits);
            if let Some(hash) = young_hash {
                let (at, ghost) = self.ghost(hash);
                if let Some(place) = self.ghosts.get_mut(at) {
                    *place = ghost;
                }
            }
        }
    }

    /// True where an entry is fresh or may be answered stale.
    fn can_be_answered(&self, head: &EntryHead) -> bool {
        head.is_fresh(self.now_seconds) || head.is_stale_but_good(self.now_seconds)
    }

    /// True where an entry with a hash left the small log not long ago; that is forgotten.
    fn take_ghost(&mut self, hash: u64) -> bool {
        let (at, ghost) = self.ghost(hash);
        self.ghosts.get_mut(at).is_some_and(|place| core::mem::take(&mut *place) == ghost)
    }

    /// Where the ghost of a hash is kept, and what is kept.
    fn ghost(&self, hash: u64) -> (usize, u32) {
        let at = usize::try_from(hash).unwrap_or_default() & (self.ghosts.len() - 1);
        // The lower bit is set, so that none is 0.
        (at, identity(hash) | 1)
    }
}

/// True where so many words can be written in one piece at a log's head.
fn has_room(log: &Log, head: u64, words: usize) -> bool {
    let (words, to_end) = (words as u64, log.words_to_end(head));
    let needed = if words <= to_end { words } else { to_end + words };
    head + needed - log.tail() <= log.capacity()
}

/// Writes an entry for which there is room, behind a filler where the ring begins anew. Returns its place.
fn write(log: &Log, head: &mut u64, words: &[u64]) -> u64 {
    let to_end = log.words_to_end(*head);
    if words.len() as u64 > to_end {
        // A filler is shorter than an entry; it has room for a head, because entries are whole cache lines.
        let filler = EntryHead { words: u16::try_from(to_end).unwrap_or_default(), ..EntryHead::default() };
        log.write(*head, &filler.to_words());
        *head += to_end;
    }
    let place = *head;
    log.write(place, words);
    *head += words.len() as u64;
    place
}

/// The oldest entry of a log, which may be a filler; nothing where it is empty.
fn oldest(log: &Log, head: u64) -> Option<(u64, EntryHead)> {
    let place = log.tail();
    (place < head).then(|| (place, read_head(log, place)))
}

/// The slot of an entry that is not replaced or removed, and what is known of its hash.
pub(super) fn live_slot(index: &Index, head: &EntryHead, large: bool, place: u64) -> Option<(usize, u64)> {
    if head.name_bytes == 0 { None } else { index.slot_of(head.hash, Spot::new(large, place, head.words.into())) }
}

/// The words of an entry.
fn words_of(log: &Log, place: u64, head: &EntryHead) -> Vec<u64> {
    let words = log.words(place, usize::from(head.words));
    words.iter().map(|word| word.load(core::sync::atomic::Ordering::Relaxed)).collect()
}
