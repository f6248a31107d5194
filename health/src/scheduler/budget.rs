//! How much can be written: a rate, and at once what a quarter of a second of it comes to.

use std::time::{Duration, Instant};

/// For how long unused writes are kept.
const BURST: Duration = Duration::from_millis(250);

/// A bucket of writes.
#[derive(Debug)]
pub struct Budget {
    /// Writes a second.
    per_second: f64,
    /// Writes that can be made at once.
    burst: f64,
    /// What was left at that time; below zero: what was lent.
    left: f64,
    /// When.
    at: Instant,
}

impl Budget {
    /// A full one.
    pub fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        let burst = (per_second * BURST.as_secs_f64()).max(1.0);
        Self { per_second, burst, left: burst, at: now }
    }

    /// Writes that can be made now.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small, and no less than nothing")]
    pub fn left(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = self.per_second.mul_add(passed, self.left).min(self.burst);
        self.at = now;
        self.left.max(0.0) as usize
    }

    /// Takes writes, also more than are left: what follows waits the longer.
    pub fn take(&mut self, writes: usize) {
        self.left -= writes as f64;
    }

    /// After how long there is one.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.left) / self.per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_written_than_the_rate() {
        let start = Instant::now();
        let mut budget = Budget::new(100, start);
        let mut written = 0;
        for millisecond in 0..2000 {
            let left = budget.left(start + Duration::from_millis(millisecond));
            budget.take(left);
            written += left;
        }
        assert!((224..=226).contains(&written), "{written}");
        assert!(budget.wait() <= Duration::from_millis(11));
    }

    #[test]
    fn what_is_taken_in_advance_is_waited_for() {
        let start = Instant::now();
        let mut budget = Budget::new(4, start);
        assert_eq!(budget.left(start), 1);
        budget.take(5);
        assert_eq!(budget.left(start + Duration::from_millis(900)), 0);
        assert_eq!(budget.left(start + Duration::from_millis(1300)), 1);
        assert_eq!(Budget::new(1, start).left(start + Duration::from_secs(9)), 1);
    }
}
