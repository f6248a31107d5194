//! Hands a new value to a worker that is in its loop, and takes the old one back.
//!
//! The worker looks at one flag and never waits; what it replaces is left in the same place, so that it is freed by the thread
//! that made the new one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Where a value waits for its worker.
#[derive(Debug)]
struct Place<T> {
    /// True while a value waits.
    is_new: AtomicBool,
    /// The value that waits, or the one that was replaced.
    value: Mutex<Option<T>>,
}

/// The end of whoever makes values.
#[derive(Debug)]
pub struct Sender<T>(Arc<Place<T>>);

/// The worker's end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Place<T>>);

/// Both ends of a place for one value.
pub fn exchange<T>() -> (Sender<T>, Receiver<T>) {
    let place = Arc::new(Place { is_new: AtomicBool::new(false), value: Mutex::new(None) });
    (Sender(Arc::clone(&place)), Receiver(place))
}

impl<T> Sender<T> {
    /// Leaves a value for the worker, which takes it before its next burst. One that waits still is dropped: only the
    /// newest counts.
    pub fn send(&self, value: T) {
        let former = {
            let mut place = lock(&self.0);
            let former = place.replace(value);
            self.0.is_new.store(true, Ordering::Release);
            former
        };
        // Outside the lock: it may take a while.
        drop(former);
    }

    /// Drops what the worker has given back; false where it has not taken the new value yet.
    pub fn settle(&self) -> bool {
        if self.0.is_new.load(Ordering::Acquire) {
            return false;
        }
        let former = lock(&self.0).take();
        drop(former);
        true
    }
}

impl<T> Receiver<T> {
    /// Swaps a value that waits with the worker's; true where it did. Never waits: where the place is in use at this moment,
    /// the next call will do it.
    #[inline]
    pub fn swap(&self, value: &mut T) -> bool {
        self.0.is_new.load(Ordering::Relaxed) && self.swap_new(value)
    }

    /// See [`Receiver::swap`]. Seldom.
    #[cold]
    fn swap_new(&self, value: &mut T) -> bool {
        let mut place = match self.0.value.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(new) = place.as_mut() else { return false };
        core::mem::swap(new, value);
        self.0.is_new.store(false, Ordering::Release);
        true
    }
}

/// The place's value. A thread that panicked did not leave half of one.
fn lock<T>(place: &Place<T>) -> MutexGuard<'_, Option<T>> {
    place.value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_taken_once_and_the_old_one_goes_back() {
        let (sender, receiver) = exchange();
        let mut value = Arc::new(0);
        assert!(!receiver.swap(&mut value));
        assert!(sender.settle(), "nothing waits");
        let first = Arc::clone(&value);
        sender.send(Arc::new(1));
        sender.send(Arc::new(2));
        assert!(!sender.settle());
        assert!(receiver.swap(&mut value));
        assert!(!receiver.swap(&mut value));
        assert_eq!((*value, Arc::strong_count(&first)), (2, 2), "the old one waits to be freed");
        assert!(sender.settle());
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_place_in_use_is_passed_by() {
        let (sender, receiver) = exchange();
        sender.send(1);
        let mut value = 0;
        {
            let _held = lock(&sender.0);
            assert!(!receiver.swap(&mut value));
        }
        assert!(receiver.swap(&mut value));
    }
}
