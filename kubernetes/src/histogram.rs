//! Counts of how long things took, by bucket.

/// A histogram.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// Upper bounds, the last infinite, and how many are in each bucket and in none before it.
    buckets: Vec<(f64, u64)>,
    /// Sum of all.
    sum: f64,
    /// Number of all.
    count: u64,
}

impl Histogram {
    /// Empty, with rising bounds; an infinite one is added.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let buckets = bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        Self { buckets, sum: 0.0, count: 0 }
    }

    /// Counts a value.
    pub(crate) fn observe(&mut self, value: f64) {
        if let Some((_, count)) = self.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    /// Sum, number and buckets.
    pub(crate) fn parts(&self) -> (f64, u64, &[(f64, u64)]) {
        (self.sum, self.count, &self.buckets)
    }

    /// As many values, each nothing.
    pub(crate) fn zeroed(&self) -> Self {
        let mut zeroed = Self { sum: 0.0, ..self.clone() };
        for (place, (_, count)) in zeroed.buckets.iter_mut().enumerate() {
            *count = if place == 0 { self.count } else { 0 };
        }
        zeroed
    }
}
