//! Whether an upstream answers, and how fast.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Parts that the time up to a double of it is divided into.
const STEPS_PER_DOUBLING: usize = 4;

/// The first step ends here; what is faster is not told apart.
const FIRST_STEP: Duration = Duration::from_micros(64);

/// Steps of the histogram: 17 doublings of 64 µs are 8 s, more than a try takes.
const STEPS: usize = 17 * STEPS_PER_DOUBLING;

/// Answers after which all that is known counts half: the last few hundred are what the percentile is of.
const HALVED_AFTER: u32 = 256;

/// Answers before which there is no percentile: of fewer than this one in twenty says nothing.
const SAMPLES_MIN: u32 = 20;

/// The last answer counts one part in so many (as RFC 6298 has it for TCP).
const LATENCY_PARTS: u32 = 8;

/// What is known.
#[derive(Debug)]
pub(super) struct Health(Mutex<Known>);

/// Behind the lock.
#[derive(Debug)]
struct Known {
    /// Failures since the last answer.
    failures_in_row: u32,
    /// By and large.
    latency: Option<Duration>,
    /// How many answers took how long.
    histogram: [u32; STEPS],
    /// Their sum.
    samples: u32,
}

impl Default for Health {
    fn default() -> Self {
        let known = Known { failures_in_row: 0, latency: None, histogram: [0; STEPS], samples: 0 };
        Self(Mutex::new(known))
    }
}

impl Health {
    /// An answer came, of whatever kind; true where there had been failures.
    pub(super) fn answered(&self, after: Duration) -> bool {
        self.with(|known| {
            known.latency =
                Some(known.latency.map_or(after, |usual| (usual * (LATENCY_PARTS - 1) + after) / LATENCY_PARTS));
            known.sample(after);
            std::mem::take(&mut known.failures_in_row) > 0
        })
    }

    /// Who asked has not waited to the end. What it would have taken is more than this: without it the percentile would be one
    /// of fast answers only, and become shorter each time somebody asks elsewhere because of it.
    pub(super) fn given_up(&self, after: Duration) {
        self.with(|known| known.sample(after));
    }

    /// No answer came; gives how many times in a row.
    pub(super) fn failed(&self) -> u32 {
        self.with(|known| {
            known.failures_in_row = known.failures_in_row.saturating_add(1);
            known.failures_in_row
        })
    }

    /// Failures since the last answer.
    pub(super) fn failures_in_row(&self) -> u32 {
        self.with(|known| known.failures_in_row)
    }

    /// How long an answer takes by and large.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.with(|known| known.latency)
    }

    /// The time in which 95 of 100 answers come: the end of the step in which the 95th is, at most a fifth too long.
    pub(super) fn p95(&self) -> Option<Duration> {
        self.with(|known| {
            if known.samples < SAMPLES_MIN {
                return None;
            }
            let wanted = known.samples.saturating_mul(95).div_ceil(100);
            let mut sum = 0;
            let step = known.histogram.iter().position(|count| {
                sum += count;
                sum >= wanted
            });
            Some(step_end(step.unwrap_or(STEPS - 1)))
        })
    }

    /// Does something with what is known; nothing in there waits.
    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// Puts a time into the histogram.
    fn sample(&mut self, time: Duration) {
        let step = (0..STEPS).find(|step| time <= step_end(*step)).unwrap_or(STEPS - 1);
        if self.samples >= HALVED_AFTER {
            for count in &mut self.histogram {
                *count /= 2;
            }
            self.samples = self.histogram.iter().sum();
        }
        if let Some(count) = self.histogram.get_mut(step) {
            *count += 1;
            self.samples += 1;
        }
    }
}

/// Where a step ends.
fn step_end(step: usize) -> Duration {
    let (doublings, part) = (step / STEPS_PER_DOUBLING, step % STEPS_PER_DOUBLING);
    let start = FIRST_STEP * (1 << doublings);
    start + start * u32::try_from(part).unwrap_or(0) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds.
    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_percentile_is_where_one_in_twenty_is_slower() {
        let health = Health::default();
        for _ in 0..19 {
            health.answered(ms(10));
        }
        assert_eq!(health.p95(), None);
        health.answered(ms(1000));
        let of_twenty = health.p95().unwrap();
        assert!((ms(10)..ms(13)).contains(&of_twenty), "{of_twenty:?}");
        for _ in 0..2 {
            health.answered(ms(1000));
        }
        let of_slow = health.p95().unwrap();
        assert!((ms(1000)..ms(1250)).contains(&of_slow), "{of_slow:?}");
    }

    #[test]
    fn what_was_long_ago_counts_less_and_less() {
        let health = Health::default();
        for _ in 0..10_000 {
            health.answered(ms(500));
        }
        for _ in 0..1500 {
            health.answered(ms(5));
        }
        let now = health.p95().unwrap();
        assert!((ms(5)..ms(7)).contains(&now), "{now:?}");
        assert!(health.latency().unwrap() < ms(6));
    }

    #[test]
    fn who_gives_up_at_the_percentile_does_not_shorten_it() {
        let health = Health::default();
        for round in 0..2000u64 {
            // Answers take from 1 to 100 ms; whoever asks gives up at the percentile.
            let would_take = ms(1 + round * 37 % 100);
            match health.p95() {
                Some(limit) if limit < would_take => health.given_up(limit),
                _ => drop(health.answered(would_take)),
            }
        }
        let now = health.p95().unwrap();
        assert!((ms(90)..ms(130)).contains(&now), "{now:?}");
    }

    #[test]
    fn failures_count_until_an_answer_comes() {
        let health = Health::default();
        assert_eq!([health.failed(), health.failed()], [1, 2]);
        assert!(health.answered(ms(1)));
        assert!(!health.answered(ms(1)));
        assert_eq!(health.failures_in_row(), 0);
    }

    #[test]
    fn steps_grow_and_the_last_is_longer_than_a_try() {
        for step in 1..STEPS {
            assert!(step_end(step) > step_end(step - 1), "{step}");
        }
        assert!(step_end(STEPS - 1) > Duration::from_secs(7));
    }
}
