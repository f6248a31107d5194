//! Rows of metrics as whoever shows some writes them: sources of other crates use these too.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Labels of one row.
pub type Labels = Vec<(&'static str, String)>;

/// Writes a counter; `_total` is added to its name.
pub fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}

/// Writes a gauge.
pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels, f64)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// Writes a histogram.
pub fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels, Histogram)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, found) in rows {
        let (sum, count, buckets) = found.parts();
        metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, buckets, None)?;
    }
    Ok(())
}

/// How long things took: counts by bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Upper bounds, the last infinite, and how many are in each bucket and in none before it.
    buckets: Vec<(f64, u64)>,
    /// Sum of all.
    sum: f64,
    /// Number of all.
    count: u64,
}

impl Histogram {
    /// Empty, with rising bounds; an infinite one is added.
    pub fn new(bounds: &[f64]) -> Self {
        let buckets = bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        Self { buckets, sum: 0.0, count: 0 }
    }

    /// Counts a value.
    pub fn observe(&mut self, value: f64) {
        if let Some((_, count)) = self.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    /// Sum, number and buckets.
    pub fn parts(&self) -> (f64, u64, &[(f64, u64)]) {
        (self.sum, self.count, &self.buckets)
    }

    /// As many values, each nothing.
    pub fn zeroed(&self) -> Self {
        let mut zeroed = Self { sum: 0.0, ..self.clone() };
        for (place, (_, count)) in zeroed.buckets.iter_mut().enumerate() {
            *count = if place == 0 { self.count } else { 0 };
        }
        zeroed
    }
}
