//! A token bucket in one number: the moment at which it would be full again (the generic cell rate algorithm, ITU-T I.371).
//!
//! Taking a token moves that moment on by the time that one token needs to flow in. A bucket whose moment has passed is full,
//! which is also what is true of a client that was never seen: such an account can be forgotten without loss.

use core::num::NonZeroU32;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// How often something may happen. The same type serves responses, packets and whatever else is counted by client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds in which one token flows in.
    interval: u64,
    /// Nanoseconds in which an empty bucket fills.
    depth: u64,
    /// Nanoseconds from now up to which refused events move the moment on; 0: they cost nothing.
    reach: u64,
}

impl Limit {
    /// A limit of `per_second` events on average and `burst` at once, split between `workers` that each see a share of the
    /// events. What is refused costs nothing.
    ///
    /// The rate is divided, the burst is not: what all workers let through together stays within the rate whichever of
    /// them a sender's packets reach, while a share that is uneven for a moment does not hurt a client that keeps to it.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32, workers: NonZeroU32) -> Self {
        // At most 2^32 * 10^9: no overflow. At least 1, so that a bucket always fills.
        let interval = (SECOND * u64::from(workers.get()) / u64::from(per_second.get())).max(1);
        Self { interval, depth: interval.saturating_mul(u64::from(burst.get())), reach: 0 }
    }

    /// Charges what is refused as well, for so many seconds of being over the limit at most: an account comes back only
    /// once its sender has kept to the limit, and at the latest so many seconds after it fell silent.
    #[must_use]
    pub fn with_window(self, seconds: u32) -> Self {
        let reach = if seconds == 0 { 0 } else { self.depth.saturating_add(SECOND * u64::from(seconds)) };
        Self { reach, ..self }
    }

    /// Counts an event at `now`, in nanoseconds; false where it is over the limit. `full_at` is the state of the account:
    /// 0 for a new one.
    #[inline]
    pub(super) fn take(&self, full_at: &mut u64, now: u64) -> bool {
        let after = (*full_at).max(now).saturating_add(self.interval);
        let within = after <= now.saturating_add(self.depth);
        let bound = if within { after } else { after.min(now.saturating_add(self.reach)) };
        // Only ever later: refused events that cost nothing leave it as it is.
        *full_at = bound.max(*full_at);
        within
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    /// The same by the book: tokens that flow in with time, counted in nanoseconds' worth.
    struct Naive {
        tokens: i128,
        last: i128,
    }

    impl Naive {
        fn take(&mut self, limit: &Limit, window: u32, now: u64) -> bool {
            let (cost, capacity) = (i128::from(limit.interval), i128::from(limit.depth));
            self.tokens = capacity.min(self.tokens + i128::from(now) - self.last);
            self.last = i128::from(now);
            let within = self.tokens >= cost;
            if within {
                self.tokens -= cost;
            } else if window > 0 {
                self.tokens = self.tokens.min((self.tokens - cost).max(-i128::from(window) * i128::from(SECOND)));
            }
            within
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
        fn equals_a_bucket_with_tokens(
            per_second in 1..5000u32,
            burst in 1..50u32,
            workers in 1..64u32,
            window in prop_oneof![Just(0), 1..20u32],
            pauses in proptest::collection::vec(prop_oneof![Just(0), 0..3u64, 0..2000u64, 0..60_000u64], 1..300),
        ) {
            let limit = Limit::new(number(per_second), number(burst), number(workers)).with_window(window);
            let mut naive = Naive { tokens: i128::from(limit.depth), last: 0 };
            let (mut full_at, mut now) = (0, 0);
            for pause in pauses {
                now += pause * 1_000_000;
                prop_assert_eq!(limit.take(&mut full_at, now), naive.take(&limit, window, now));
            }
        }
    }

    /// What passes of `rate` events a second for some seconds.
    fn passed(limit: &Limit, full_at: &mut u64, rate: u64, seconds: core::ops::Range<u64>) -> u64 {
        let moments = (seconds.start * rate..seconds.end * rate).map(|event| event * SECOND / rate);
        moments.map(|now| u64::from(limit.take(full_at, now))).sum()
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million additions, and no memory that miri could judge")]
    fn the_rate_passes_and_a_flood_is_cut_to_it() {
        let limit = Limit::new(number(20), number(20), number(1));
        let mut account = 0;
        assert_eq!(passed(&limit, &mut account, 20, 0..100), 2000);
        assert_eq!(passed(&limit, &mut account, 10_000, 100..200), 2000 + 19);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million additions, and no memory that miri could judge")]
    fn with_a_window_a_flood_is_cut_off_and_forgiven_in_time() {
        let limit = Limit::new(number(20), number(20), number(1)).with_window(15);
        let mut account = 0;
        assert_eq!(passed(&limit, &mut account, 10_000, 0..100), 20);
        assert!(account <= 100 * SECOND + 16 * SECOND, "at most the window and the burst ahead");
        assert!(!limit.take(&mut account.clone(), 114 * SECOND));
        assert!(limit.take(&mut account, 116 * SECOND));
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million additions, and no memory that miri could judge")]
    fn workers_together_pass_the_rate() {
        for workers in [2, 7, 64] {
            let limit = Limit::new(number(20), number(20), number(workers));
            let mut accounts = vec![0u64; workers as usize];
            let all: u64 = accounts.iter_mut().map(|account| passed(&limit, account, 1000, 0..200)).sum();
            assert!((3900..=4000 + 20 * u64::from(workers)).contains(&all), "{workers} workers passed {all}");
        }
    }

    #[test]
    fn the_ends_of_all_ranges_hold() {
        let most = number(u32::MAX);
        let limit = Limit::new(most, most, number(1)).with_window(u32::MAX);
        let mut account = 0;
        assert!(limit.take(&mut account, 0));
        assert!(!limit.take(&mut u64::MAX.clone(), 0));
        let slow = Limit::new(number(1), most, most).with_window(u32::MAX);
        for now in [0, u64::MAX / 2, u64::MAX] {
            slow.take(&mut account, now);
        }
    }
}
