//! Reading the cache for others than workers: whole entries, and walks over the heads of all.

use super::compose::Parts;
use super::desk::{CacheDesk, live_slot};
use super::entry::{CacheKey, EntryHead, LINE_WORDS};
use super::log::Log;
use super::shelf::{CacheShelf, read_head};
use crate::recall::KeptAnswer;

/// Where a walk over the cache is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanPlace {
    /// In the large log.
    large: bool,
    /// The place in the log.
    place: u64,
}

/// An entry that a walk comes by.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The name, in lower case.
    pub name: &'a [u8],
    /// What it says of itself.
    pub head: EntryHead,
    /// How often it was used, up to 15.
    pub uses: u8,
}

impl CacheShelf {
    /// The whole entry for a key, fresh or not. Takes memory: not for workers.
    pub fn read(&self, key: &CacheKey<'_>) -> Option<KeptAnswer> {
        let found = self.find(key)?;
        let log = self.log(found.spot);
        let mut parts = Parts::default();
        // What was torn may have any lengths: they are looked at after the words.
        parts.read(log, found.spot.place, &found.head);
        log.is_intact(found.spot.place).then(|| parts.kept(&found.head))
    }
}

impl CacheDesk {
    /// Goes on with a walk over the heads of the entries, the oldest of each log first, by so many at most. Those that are
    /// `wanted` are read and shown. Returns where to go on; nothing at the end. What comes or moves meanwhile may be missed.
    pub fn scan(
        &self,
        from: ScanPlace,
        heads_max: usize,
        wanted: impl Fn(&EntryHead) -> bool,
        mut show: impl FnMut(&Seen<'_>),
    ) -> Option<ScanPlace> {
        let shelf = self.shelf();
        let (log, end): (&Log, u64) =
            if from.large { (&shelf.large, self.large_head) } else { (&shelf.small, self.small_head) };
        let mut place = from.place.max(log.tail());
        let mut parts = Parts::default();
        for _ in 0..heads_max {
            if place >= end {
                return (!from.large).then_some(ScanPlace { large: true, place: 0 });
            }
            let head = read_head(log, place);
            let at = place;
            place += u64::from(head.words).max(LINE_WORDS as u64);
            if !wanted(&head) {
                continue;
            }
            if let Some((slot, _)) = live_slot(&shelf.index, &head, from.large, at) {
                parts.read(log, at, &head);
                show(&Seen { name: &parts.name, head, uses: shelf.index.uses(slot) });
            }
        }
        Some(ScanPlace { large: from.large, place })
    }

    /// Forgets how often an entry was used, but for one use: it was fetched again for those, and not for ever.
    pub fn forget_uses(&mut self, key: &CacheKey<'_>) {
        let shelf = self.shelf();
        if let Some(found) = shelf.find(key) {
            shelf.index.set_uses(found.slot, u8::from(found.uses() > 1));
        }
    }
}
