//! The text form of Prometheus, version 0.0.4, as the servers write it whose ports these are. The admin API writes OpenMetrics,
//! which not everything that reads here knows; [`from_open_metrics`] says the same in the older form.

use std::fmt::{Display, Write as _};

/// Type of the body.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels of one row.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Text that grows.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// What is written.
    text: String,
    /// The family that rows are of.
    family: String,
}

impl Exposition {
    /// Begins a family: `counter`, `gauge` or `histogram`.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        name.clone_into(&mut self.family);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Writes a row.
    pub(super) fn row(&mut self, labels: Labels<'_>, value: impl Display) {
        self.suffixed("", labels, None, value);
    }

    /// Writes a histogram: upper bounds, rising, and the values of each; the last bound counts as infinite.
    pub(super) fn histogram(
        &mut self,
        labels: Labels<'_>,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: impl Display,
    ) {
        let mut buckets = buckets.into_iter().peekable();
        let mut count = 0;
        while let Some((bound, values)) = buckets.next() {
            count += values;
            let bound = if buckets.peek().is_some() { bound.to_string() } else { "+Inf".to_owned() };
            self.suffixed("_bucket", labels, Some(&bound), count);
        }
        self.suffixed("_sum", labels, None, sum);
        self.suffixed("_count", labels, None, count);
    }

    /// A row whose name goes on.
    fn suffixed(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.text.push_str(&self.family);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut open = '{';
        for (name, value) in labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{open}{name}=\"{value}\"");
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// The same metrics in the older form: there a counter is called what its rows are called, and facts are gauges.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            let _ = writeln!(plain, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            plain.push_str(line);
            plain.push('\n');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_and_escaped() {
        let mut text = Exposition::default();
        text.family("a_total", "counter", "Help.");
        text.row(&[], 1);
        text.row(&[("b", "c\"\\\n"), ("d", "")], 2.5);
        text.family("h", "histogram", "More.");
        text.histogram(&[("z", "y")], [(0.5, 1), (1.0, 0), (2.0, 3)], 7);
        let expected = "# HELP a_total Help.\n# TYPE a_total counter\na_total 1\na_total{b=\"c\\\"\\\\\\n\",d=\"\"} 2.5\n\
                        # HELP h More.\n# TYPE h histogram\nh_bucket{z=\"y\",le=\"0.5\"} 1\nh_bucket{z=\"y\",le=\"1\"} 1\n\
                        h_bucket{z=\"y\",le=\"+Inf\"} 4\nh_sum{z=\"y\"} 7\nh_count{z=\"y\"} 4\n";
        assert_eq!(text.into_text(), expected);
    }

    #[test]
    fn open_metrics_become_plain() {
        let open = "# HELP q Queries.\n# TYPE q counter\n# UNIT q bytes\nq_total{a=\"1\"} 3\n# HELP b Build.\n# TYPE b info\n\
                    b_info{v=\"1\"} 1\n# HELP g Gauge.\n# TYPE g gauge\ng 1.0\n# EOF\n";
        let plain = "# HELP q_total Queries.\n# TYPE q_total counter\nq_total{a=\"1\"} 3\n# HELP b_info Build.\n\
                     # TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP g Gauge.\n# TYPE g gauge\ng 1.0\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
