//! What is kept of answers. The cache has one writer at a time, behind a lock that nobody waits under.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk, CacheKey, CacheShelf, EntryBits, EntryHead, ScanPlace, Seen};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{KeptAnswer, name_hash};
use ringdns_engine::snapshot::Snapshot;

use crate::beside::Beside;
use crate::forwarder::{Entry, Snapshots};
use crate::ours;
use crate::pick::chance;
use crate::question::Key;

/// How many heads are looked at under the lock where people look at the cache.
const HEADS_AT_ONCE_MAX: usize = 4096;

/// For how long a failure is kept at most (RFC 9520 section 3.2).
const FAILURE_SECONDS_MAX: u32 = 300;

/// The cache's writer, and what it needs to know.
pub(crate) struct Keeper {
    /// The writer.
    desk: Mutex<CacheDesk>,
    /// What everybody reads.
    shelf: Arc<CacheShelf>,
    /// The cache's memory in bytes.
    bytes: usize,
    /// What is not for everybody.
    beside: Beside,
    /// Which names are ours.
    snapshots: Snapshots,
    /// Raised when entries are removed by hand: what was asked for before is not kept.
    epoch: AtomicU64,
    /// The zones of which nothing is kept, as they were looked at last.
    swept: Mutex<Arc<Vec<WireName>>>,
}

impl Keeper {
    /// An empty cache that takes so many bytes.
    pub(crate) fn new(bytes: usize, snapshots: Snapshots) -> Self {
        let desk = CacheDesk::new(bytes);
        let shelf = Arc::clone(desk.shelf());
        Self {
            desk: Mutex::new(desk),
            shelf,
            bytes: bytes.max(CACHE_BYTES_MIN),
            beside: Beside::new(bytes),
            snapshots,
            epoch: AtomicU64::new(0),
            swept: Mutex::default(),
        }
    }

    /// What everybody reads.
    pub(crate) fn shelf(&self) -> &Arc<CacheShelf> {
        &self.shelf
    }

    /// The cache's memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        (self.snapshots)()
    }

    /// Has the writer. It must not be held across anything that waits.
    pub(crate) fn desk(&self) -> MutexGuard<'_, CacheDesk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number by which it is seen whether entries were removed by hand since.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What is kept for a question: what is not for everybody while it is fresh, else the entry of the cache, however old.
    pub(crate) fn find(&self, key: &Key, now_seconds: u32) -> Option<KeptAnswer> {
        if let Some(answer) = self.beside.find(key, now_seconds) {
            return Some(KeptAnswer::clone(&answer));
        }
        // What is for everybody else is not for those who are asked for apart.
        if key.whose.apart.is_some() { None } else { self.shelf.read(&key.in_cache(&self.snapshot())) }
    }

    /// Answers that are not for everybody.
    pub(crate) fn beside(&self) -> usize {
        self.beside.len()
    }

    /// Keeps an answer that was asked for in an epoch for those alone whose it is; false where it is not kept.
    pub(crate) fn keep_beside(&self, key: &Key, answer: &KeptAnswer, epoch: u64) -> bool {
        let snapshot = self.snapshot();
        // NOTE: who removes entries raises the epoch first, and takes what is here after that.
        let is_wanted = || self.epoch() == epoch && !ours::is_served(&snapshot, &key.name);
        self.beside.keep(key, answer, is_wanted)
    }

    /// Removes what everybody is told about a question.
    pub(crate) fn remove(&self, key: &Key) {
        self.desk().remove(&key.in_cache(&self.snapshot()));
    }

    /// Keeps an answer that was asked for in an epoch; false where it is not kept.
    ///
    /// NOTE: a zone comes into the snapshot first, and [`Self::sweep`] looks at the entries after that. Here the snapshot is read
    /// under the lock: either the zone is seen here, or the entry is there when the sweep comes. Workers look at zones first, and
    /// never here for names of a zone that they know: so the order of publication and removal is seen by nobody.
    pub(crate) fn keep(&self, key: &Key, answer: &KeptAnswer, epoch: u64) -> bool {
        if answer.ttl_seconds == 0 {
            return false;
        }
        if key.whose.apart.is_some() {
            return self.keep_beside(key, answer, epoch);
        }
        let mut desk = self.desk();
        let snapshot = self.snapshot();
        if self.epoch() != epoch || ours::is_served(&snapshot, &key.name) {
            return false;
        }
        let place = key.in_cache(&snapshot);
        let is_kept = desk.insert(&place, &answer.as_cached()).is_ok();
        desk.forget_uses(&place);
        is_kept
    }

    /// Removes entries of names at and below one, and of one type; gives their number.
    pub(crate) fn flush(&self, below: Option<&WireName>, qtype: Option<u16>) -> usize {
        let mut removed = 0;
        let mut desk = self.desk();
        self.epoch.fetch_add(1, Ordering::AcqRel);
        desk.retain(|name, head, _| {
            let goes = qtype.is_none_or(|qtype| head.qtype == qtype) && below.is_none_or(|below| is_below(name, below));
            removed += usize::from(goes);
            !goes
        });
        drop(desk);
        let goes =
            |key: &Key| qtype.is_none_or(|qtype| key.qtype == qtype) && below.is_none_or(|it| it.contains(&key.name));
        removed + self.beside.clear_where(goes)
    }

    /// Removes entries for which a function says so, and all that is not for everybody; gives the number of the former. It takes
    /// as long as reading the cache does, and nobody waits for it: the lock is held for a part at a time.
    pub(crate) fn flush_where(&self, goes: &dyn Fn(&Entry) -> bool) -> usize {
        // Answers under way are not kept from now on. What is kept from now on was asked for after whatever the caller changed, and
        // may go or stay.
        drop((self.desk(), self.epoch.fetch_add(1, Ordering::AcqRel)));
        self.beside.clear();
        let mut removed = 0;
        let snapshot = self.snapshot();
        self.walk(
            |_| true,
            |entries| {
                let going: Vec<Entry> = entries.into_iter().filter(|entry| goes(entry)).collect();
                let mut desk = self.desk();
                for Entry { name, qtype, answer, .. } in &going {
                    let (name_hash, bits) = (name_hash(&snapshot, name), answer.bits);
                    let key = CacheKey { name_hash, name: name.as_bytes(), qtype: *qtype, bits };
                    removed += usize::from(desk.remove(&key));
                }
                true
            },
        );
        removed
    }

    /// Goes over all entries that are `wanted`, the oldest first, and shows them part by part until that says that it is enough.
    /// The lock is held while heads are looked at and names are read: who keeps an answer waits for some tenths of a millisecond.
    pub(crate) fn walk(&self, wanted: impl Fn(&EntryHead) -> bool, mut show: impl FnMut(Vec<Entry>) -> bool) {
        let snapshot = self.snapshot();
        let mut place = Some(ScanPlace::default());
        while let Some(from) = place {
            let mut found = Vec::new();
            let note =
                |seen: &Seen<'_>| found.extend(WireName::from_wire(seen.name).map(|name| (name, seen.head, seen.uses)));
            place = self.desk().scan(from, HEADS_AT_ONCE_MAX, &wanted, note);
            // Read when the lock is free again: what has gone in between is none.
            let read = |(name, head, uses)| Entry::read(&self.shelf, &snapshot, name, &head, uses);
            if !show(found.into_iter().filter_map(read).collect()) {
                return;
            }
        }
    }

    /// Removes what is of zones that came since the last call; or that went, where a zone above them has their names now.
    pub(crate) fn sweep(&self) -> usize {
        let snapshot = self.snapshot();
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let zones = snapshot.shared_zones();
        if Arc::ptr_eq(&swept, zones) {
            return 0;
        }
        let came = zones.iter().filter(|zone| swept.binary_search(zone).is_err());
        let went = swept.iter().filter(|zone| zones.binary_search(zone).is_err());
        let mut others: Vec<&WireName> = came.chain(went).collect();
        others.sort();
        let mut removed = 0;
        if !others.is_empty() {
            self.beside.clear_where(|key| is_below_any(&key.name, &others, &snapshot));
            self.desk().retain(|name, _, _| {
                let stays = WireName::from_wire(name).is_ok_and(|name| !is_below_any(&name, &others, &snapshot));
                removed += usize::from(!stays);
                stays
            });
        }
        *swept = Arc::clone(zones);
        removed
    }

    /// Entries, the oldest first.
    pub(crate) fn entries(&self, below: Option<&WireName>, skipped: usize, count: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut passed = 0;
        let snapshot = self.snapshot();
        let mut place = Some(ScanPlace::default());
        while let Some(from) = place.filter(|_| entries.len() < count) {
            let mut found = Vec::new();
            let show = |seen: &Seen<'_>| {
                if below.is_none_or(|below| is_below(seen.name, below)) {
                    passed += 1;
                    if passed > skipped {
                        found.extend(WireName::from_wire(seen.name).map(|name| (name, seen.head, seen.uses)));
                    }
                }
            };
            place = self.desk().scan(from, HEADS_AT_ONCE_MAX, |_| true, show);
            // Read when the lock is free again: who keeps an answer waits for it.
            let read = |(name, head, uses)| Entry::read(&self.shelf, &snapshot, name, &head, uses);
            let missing = count - entries.len();
            entries.extend(found.into_iter().filter_map(read).take(missing));
        }
        entries
    }
}

/// How long a failure is kept: as long as is configured, and each time twice as long as before while failures go on (RFC 9520
/// section 3.2); a little more by chance, so that what failed together is not asked for again together.
pub(crate) fn failure_seconds(before: Option<&KeptAnswer>, now_seconds: u32, least: u32) -> u32 {
    let least = least.clamp(1, FAILURE_SECONDS_MAX);
    let goes_on = |before: &&KeptAnswer| {
        let age = now_seconds.saturating_sub(before.fetched_seconds);
        before.bits.has(EntryBits::FAILURE) && age <= before.ttl_seconds.saturating_mul(2).saturating_add(1)
    };
    let base = before.filter(goes_on).map_or(least, |before| before.ttl_seconds.saturating_mul(2));
    let more = chance() % u64::from(base / 4 + 1);
    base.saturating_add(u32::try_from(more).unwrap_or(0)).min(FAILURE_SECONDS_MAX)
}

/// True for a name in wire form at or below another.
fn is_below(name: &[u8], above: &WireName) -> bool {
    WireName::from_wire(name).is_ok_and(|name| above.contains(&name))
}

/// True for names at or below zones that came or went, where they are answered here.
fn is_below_any(name: &WireName, zones: &[&WireName], snapshot: &Snapshot) -> bool {
    let mut above = Some(name.clone());
    while let Some(zone) = above {
        if zones.binary_search(&&zone).is_ok() {
            return ours::is_served(snapshot, name);
        }
        above = zone.parent();
    }
    false
}
