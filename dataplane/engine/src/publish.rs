//! Publication: one pointer swap makes a new [`Snapshot`] visible to every worker, all names at once.
//!
//! A worker ([`Reader`]) asks once a burst whether there is a newer generation: one Acquire load of a number that hardly
//! ever changes. Only when it has changed does the worker exchange its own reference for the published one. It never
//! waits: where the publisher holds the slot at that very moment, the worker keeps its snapshot for one more burst. It
//! never frees: the [`Publisher`] keeps a reference of its own to every generation until it is the only one left.
//!
//! ```text
//! publisher:  slot = new        generation += 1 (Release)     old -> retired; drop those that nobody else holds
//! reader:     generation (Acquire) == mine?  -> use mine      else try the slot: take the new, give the old back
//! ```
//!
//! Checked with loom (`make loom`): see the tests below.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::TryLockError;
#[cfg(not(loom))]
use std::sync::{Arc, Mutex};

#[cfg(loom)]
use loom::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::snapshot::Snapshot;

/// What publisher and readers share.
#[derive(Debug)]
struct Shared<T> {
    /// Counts publications. Written by the publisher alone, after the slot.
    generation: AtomicU64,
    /// The newest snapshot. Held for the length of one clone; taken by `try_lock` on both sides, so that neither ever
    /// sleeps in the kernel for the other.
    slot: Mutex<Arc<T>>,
}

/// The one writer of a publication.
#[derive(Debug)]
pub struct Publisher<T = Snapshot> {
    /// Where readers look.
    shared: Arc<Shared<T>>,
    /// The published snapshot.
    current: Arc<T>,
    /// Older generations that a reader may still hold.
    ///
    /// Invariant `publisher-frees`: every snapshot that was ever published is referenced from here or from `current`
    /// until this is the last reference; so the drop of a reader's reference never frees memory.
    retired: Vec<Arc<T>>,
}

impl<T> Publisher<T> {
    /// Starts a publication with its first snapshot.
    pub fn new(first: T) -> Self {
        let current = Arc::new(first);
        let shared = Shared { generation: AtomicU64::new(1), slot: Mutex::new(Arc::clone(&current)) };
        Self { shared: Arc::new(shared), current, retired: Vec::new() }
    }

    /// The published snapshot.
    pub fn current(&self) -> &Arc<T> {
        &self.current
    }

    /// A new reader. It starts on the published snapshot.
    pub fn reader(&self) -> Reader<T> {
        // NOTE: no publication can come between the two loads: publishing needs `&mut self`.
        let generation = self.shared.generation.load(Ordering::Acquire);
        Reader { shared: Arc::clone(&self.shared), mine: Arc::clone(&self.current), generation }
    }

    /// A view of the publication for whoever looks at it now and then.
    pub fn newest(&self) -> Newest<T> {
        Newest { shared: Arc::clone(&self.shared) }
    }

    /// Makes a snapshot the one that readers see from their next burst on, and frees what nobody holds any more.
    pub fn publish(&mut self, next: T) {
        let next = Arc::new(next);
        self.swap_slot(Arc::clone(&next));
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.retired.push(core::mem::replace(&mut self.current, next));
        self.reclaim();
    }

    /// Frees retired generations that no reader holds; returns how many are still held.
    pub fn reclaim(&mut self) -> usize {
        // A count of one cannot grow again: the slot holds a newer snapshot, and only holders can clone.
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired.len()
    }

    /// Puts a snapshot into the slot, spinning while a reader clones from it.
    fn swap_slot(&self, mut next: Arc<T>) {
        loop {
            match self.shared.slot.try_lock() {
                Ok(mut slot) => {
                    core::mem::swap(&mut *slot, &mut next);
                    return;
                }
                Err(TryLockError::Poisoned(poisoned)) => {
                    core::mem::swap(&mut *poisoned.into_inner(), &mut next);
                    return;
                }
                Err(TryLockError::WouldBlock) => pause(),
            }
        }
    }
}

/// The newest snapshot for those who are no workers: between two looks it keeps none alive.
#[derive(Debug)]
pub struct Newest<T = Snapshot> {
    /// Where the publisher puts new snapshots.
    shared: Arc<Shared<T>>,
}

impl<T> Newest<T> {
    /// The newest snapshot. Spins for the length of one clone where the publisher or a reader has the slot.
    pub fn get(&self) -> Arc<T> {
        loop {
            match self.shared.slot.try_lock() {
                Ok(slot) => return Arc::clone(&slot),
                Err(TryLockError::Poisoned(poisoned)) => return Arc::clone(&poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => pause(),
            }
        }
    }
}

/// One worker's view of a publication.
#[derive(Debug)]
pub struct Reader<T = Snapshot> {
    /// Where the publisher puts new snapshots.
    shared: Arc<Shared<T>>,
    /// The snapshot in use.
    mine: Arc<T>,
    /// The generation that `mine` is at least as new as.
    generation: u64,
}

impl<T> Reader<T> {
    /// The newest snapshot that can be had without waiting; called once a burst.
    #[inline]
    pub fn pin(&mut self) -> &T {
        let published = self.shared.generation.load(Ordering::Acquire);
        if published != self.generation {
            self.refresh(published);
        }
        &self.mine
    }

    /// Exchanges the snapshot in use for the published one, unless the slot is being written.
    #[cold]
    fn refresh(&mut self, published: u64) {
        if let Ok(slot) = self.shared.slot.try_lock() {
            // The old reference is dropped here; by `publisher-frees` it is not the last one.
            self.mine = Arc::clone(&slot);
            self.generation = published;
        }
    }
}

/// Lets the other side go on.
fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    core::hint::spin_loop();
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Publisher;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    /// A snapshot of two names that must always change together, and that tells who freed it.
    struct Pair {
        first: u64,
        second: u64,
        foreign_drops: Arc<AtomicUsize>,
        publisher: loom::thread::ThreadId,
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            if loom::thread::current().id() != self.publisher {
                self.foreign_drops.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn pair(value: u64, foreign_drops: &Arc<AtomicUsize>) -> Pair {
        Pair {
            first: value,
            second: value,
            foreign_drops: Arc::clone(foreign_drops),
            publisher: loom::thread::current().id(),
        }
    }

    #[test]
    fn readers_see_whole_generations_in_order_and_free_none() {
        loom::model(|| {
            let foreign_drops = Arc::new(AtomicUsize::new(0));
            let mut publisher = Publisher::new(pair(0, &foreign_drops));
            let mut reader = publisher.reader();
            let worker = loom::thread::spawn(move || {
                let mut last = 0;
                for _ in 0..2 {
                    let seen = reader.pin();
                    assert_eq!(seen.first, seen.second);
                    assert!(seen.first >= last);
                    last = seen.first;
                }
                reader
            });
            publisher.publish(pair(1, &foreign_drops));
            publisher.publish(pair(2, &foreign_drops));
            let mut reader = worker.join().unwrap();
            assert_eq!(reader.pin().first, 2, "a published snapshot is seen by the next burst");
            assert_eq!(publisher.reclaim(), 0);
            assert_eq!(foreign_drops.load(Ordering::Relaxed), 0, "a reader freed a snapshot");
        });
    }

    #[test]
    fn readers_in_each_other_s_way_catch_up_with_their_next_burst() {
        loom::model(|| {
            let mut publisher = Publisher::new(0u64);
            let workers = [publisher.reader(), publisher.reader()].map(|mut reader| {
                loom::thread::spawn(move || {
                    let _ = *reader.pin();
                    reader
                })
            });
            publisher.publish(1);
            for mut reader in workers.map(|worker| worker.join().unwrap()) {
                assert_eq!(*reader.pin(), 1);
            }
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Publisher;

    #[test]
    fn the_next_pin_sees_a_publication() {
        let mut publisher = Publisher::new(1);
        let mut reader = publisher.reader();
        assert_eq!(*reader.pin(), 1);
        publisher.publish(2);
        assert_eq!(*reader.pin(), 2);
    }

    #[test]
    fn a_held_generation_is_kept_until_its_reader_moves_on() {
        let mut publisher = Publisher::new(1);
        let mut idle = publisher.reader();
        publisher.publish(2);
        publisher.publish(3);
        assert_eq!(publisher.reclaim(), 1, "generation 1 is held by the idle reader, 2 by nobody");
        assert_eq!(*idle.pin(), 3);
        assert_eq!(publisher.reclaim(), 0);
    }

    #[test]
    fn readers_on_other_threads_follow() {
        let mut publisher = Publisher::new((0u64, 0u64));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let mut reader = publisher.reader();
                std::thread::spawn(move || {
                    while reader.pin().0 < 1000 {
                        let seen = reader.pin();
                        assert_eq!(seen.0, seen.1);
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        for value in 1..=1000 {
            publisher.publish((value, value));
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(publisher.reclaim(), 0);
    }
}
