//! Prometheus text as numbers, for comparing before and after.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape: series (name and labels as written) to value.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Every sample.
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text form.
    pub fn parse(text: &str) -> Metrics {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Metrics { samples: samples.collect() }
    }

    /// Sum of all series of a name that carry all of the labels (`rcode="NOERROR"`).
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let matching = self.samples.iter().filter(|(series, _)| {
            let (series_name, series_labels) = series.split_once('{').unwrap_or((series, ""));
            series_name == name
                && labels.iter().all(|label| series_labels.trim_end_matches('}').split(',').any(|l| l == *label))
        });
        let sum: f64 = matching.map(|(_, value)| value).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counters are whole and not negative"
        )]
        return sum as u64;
    }

    /// How often a worker counted a reason, whether it led to a drop, to the kernel path or to FORMERR.
    pub fn reason(&self, reason: &str) -> u64 {
        let label = format!("reason=\"{reason}\"");
        let names: BTreeSet<&str> =
            self.reason_series().map(|series| series.split('{').next().unwrap_or(series)).collect();
        names.iter().map(|name| self.sum(name, &[&label])).sum()
    }

    /// The series that carry a reason, whatever their name.
    fn reason_series(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str).filter(|series| series.contains("reason=\""))
    }

    /// Answers with a response code.
    pub fn answers(&self, rcode: &str) -> u64 {
        self.sum("ringdns_responses_total", &[&format!("rcode=\"{rcode}\"")])
    }

    /// All reasons whose count grew since, with by how much.
    pub fn grown_reasons(&self, before: &Metrics) -> BTreeMap<String, u64> {
        let mut grown = BTreeMap::new();
        for series in self.reason_series() {
            let Some(reason) = series.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            let growth = self.reason(reason) - before.reason(reason);
            if growth > 0 {
                grown.insert(reason.to_owned(), growth);
            }
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_workers_and_chosen_by_label() {
        let text = "# TYPE a counter\nringdns_drops_total{worker=\"0\",reason=\"x\"} 1\nringdns_drops_total{worker=\"1\",reason=\"x\"} 2\nringdns_drops_total{worker=\"1\",reason=\"xy\"} 4\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.reason("x"), 3);
        assert_eq!(metrics.sum("ringdns_drops_total", &["worker=\"1\""]), 6);
        assert_eq!(metrics.grown_reasons(&Metrics::default()).len(), 2);
    }
}
