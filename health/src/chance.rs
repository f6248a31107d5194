//! A little chance, to spread checks and to number requests. Nothing secret comes of it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Sixty-four bits.
pub(crate) fn bits() -> u64 {
    // Each state has other keys.
    RandomState::new().hash_one(0)
}

/// A time below a bound.
pub(crate) fn below(bound: Duration) -> Duration {
    let nanoseconds = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(bits().checked_rem(nanoseconds).unwrap_or_default())
}

/// A time, moved by up to some percent to either side.
pub(crate) fn around(time: Duration, percent: u32) -> Duration {
    let part = time.saturating_mul(percent) / 100;
    time.saturating_sub(part) + below(part * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_differ_and_stay_within_their_bounds() {
        let second = Duration::from_secs(1);
        let times: Vec<Duration> = (0..200).map(|_| around(second, 10)).collect();
        assert!(times.iter().all(|time| (900..=1100).contains(&time.as_millis())), "{times:?}");
        assert!(times.iter().any(|time| *time < second) && times.iter().any(|time| *time > second));
        assert_eq!((around(second, 0), below(Duration::ZERO)), (second, Duration::ZERO));
    }
}
