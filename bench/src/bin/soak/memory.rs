//! Whether memory stays flat.

use std::fmt;

use ringdns_bench::Outcome;

/// The part of the warm run's memory that may come on top until the end.
const GROWTH_MAX: f64 = 0.05;
/// What the allocator may need beyond that, in bytes, however small the server is.
const SLACK_BYTES: f64 = 8e6;

/// The resident set over time, sampled evenly.
#[derive(Debug, Default)]
pub struct Memory {
    /// Bytes.
    samples: Vec<u64>,
}

impl Memory {
    /// Notes a sample.
    pub fn note(&mut self, bytes: u64) {
        self.samples.push(bytes);
    }

    /// The most in the second quarter of the time, when all is warm, and in the last.
    fn quarters(&self) -> [f64; 2] {
        let quarter = self.samples.len() / 4;
        let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default() as f64;
        [most(&self.samples[quarter..2 * quarter]), most(&self.samples[3 * quarter..])]
    }

    /// What came of it; an error where it grew.
    pub fn verdict(&self) -> Outcome<String> {
        let [warm, end] = self.quarters();
        let text = format!("resident set {:.1} MiB when warm, {:.1} MiB at the end", mib(warm), mib(end));
        if end > warm * (1.0 + GROWTH_MAX) + SLACK_BYTES {
            return Err(format!("memory grows: {text}").into());
        }
        Ok(text)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resident set {:.1} MiB", mib(self.samples.last().copied().unwrap_or_default() as f64))
    }
}

/// Bytes as MiB.
fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a resident set that is so large after so many samples.
    fn verdict(bytes: impl Fn(u64) -> u64) -> Outcome<String> {
        let mut memory = Memory::default();
        (0..100).for_each(|sample| memory.note(bytes(sample)));
        memory.verdict()
    }

    #[test]
    fn steady_growth_is_seen_and_warming_up_is_not() {
        assert!(verdict(|sample| 100_000_000 + sample.min(20) * 10_000_000).is_ok(), "warming up");
        assert!(verdict(|sample| 100_000_000 + sample * 1_000_000).is_err(), "a leak");
        assert!(verdict(|_| 0).is_ok());
    }
}
