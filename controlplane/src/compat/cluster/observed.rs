//! Times that were measured here, as a histogram, and what failed.

use std::sync::{Mutex, PoisonError};

/// Values by size, and failures. Written by one task, read by anybody.
#[derive(Debug)]
pub(super) struct Observed {
    /// Upper bounds, rising.
    bounds: Vec<f64>,
    /// What was observed.
    values: Mutex<Values>,
}

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    /// Values up to each bound; those above the last come last.
    counts: Vec<u64>,
    /// The sum of all values.
    pub(super) sum: f64,
    /// What failed.
    pub(super) failures: u64,
}

impl Observed {
    /// Nothing yet; bounds from the first on, each so many times the one before.
    pub(super) fn new(first: f64, factor: f64, bounds: usize) -> Self {
        let bounds: Vec<f64> = std::iter::successors(Some(first), |bound| Some(bound * factor)).take(bounds).collect();
        let values = Values { counts: vec![0; bounds.len() + 1], ..Values::default() };
        Self { bounds, values: Mutex::new(values) }
    }

    /// Notes a value.
    pub(super) fn note(&self, value: f64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = values.counts.get_mut(place) {
            *count += 1;
        }
        values.sum += value;
    }

    /// Notes a failure.
    pub(super) fn note_failure(&self) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).failures += 1;
    }

    /// What was observed, and the buckets of it.
    pub(super) fn read(&self) -> (Values, Vec<(f64, u64)>) {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(values.counts.iter().copied()).collect();
        (values, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_failures_are_counted() {
        let observed = Observed::new(0.25, 2.0, 3);
        for value in [0.25, 0.5, 1.0, 1.25] {
            observed.note(value);
        }
        observed.note_failure();
        let (values, buckets) = observed.read();
        assert_eq!(buckets, [(0.25, 1), (0.5, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!((values.failures, values.sum), (1, 3.0));
    }
}
