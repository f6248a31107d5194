//! What the scanner counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that many tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// One less, of a number that comes and goes.
    pub(super) fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// At least so much.
    pub(super) fn raise(&self, least: u64) {
        self.0.fetch_max(least, Ordering::Relaxed);
    }

    /// Exactly so much.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All numbers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Checks that found a target up.
    pub(super) up: Count,
    /// Checks that found one down.
    pub(super) down: Count,
    /// Checks that could not be made.
    pub(super) faults: Count,
    /// Targets that came back.
    pub(super) turned_up: Count,
    /// Targets that fell.
    pub(super) turned_down: Count,
    /// Checks that are under way.
    pub(super) running: Count,
    /// The most that ever were.
    pub(super) running_peak: Count,
    /// Checks that are due and wait for others to end.
    pub(super) waiting: Count,
    /// Microseconds that checks have waited, in all.
    pub(super) late_us: Count,
    /// Microseconds that one check has waited at most.
    pub(super) late_us_max: Count,
    /// Writes that were made.
    pub(super) written: Count,
    /// Writes that were refused because something had changed.
    pub(super) refused: Count,
    /// Writes that failed.
    pub(super) failed: Count,
    /// Our lease; 0: we have none.
    pub(super) lease: Count,
    /// Leases that were lost.
    pub(super) leases_lost: Count,
}

impl Counts {
    /// A check began, so late.
    pub(super) fn began(&self, late: Duration) {
        self.running.add(1);
        self.running_peak.raise(self.running.get());
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.late_us.add(late);
        self.late_us_max.raise(late);
    }
}
