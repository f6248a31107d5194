//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::merge::Bound;
use crate::normalise::Untrue;

/// The first upper bound of the times in seconds; each further one is twice the one before.
const FIRST_SECONDS: f64 = 0.000_25;

/// Upper bounds of the times, those of CoreDNS; what takes longer is beyond them.
const BOUNDS: usize = 16;

/// Response codes that are told apart; the others are one.
const RCODES: usize = 6;

/// Nanoseconds of a second.
const NANOSECONDS: f64 = 1e9;

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// What it came to.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Questions that came.
    pub(crate) questions: Count,
    /// Those that the policy answered.
    pub(crate) ruled: Count,
    /// Those for which nobody is asked.
    pub(crate) unasked: Count,
    /// Those that were answered from the cache after all.
    pub(crate) known: Count,
    /// Those that waited for one that was under way.
    pub(crate) merged: Count,
    /// Questions that upstreams were asked, refreshes among them.
    pub(crate) asked: Count,
    /// Questions asked again before anybody had to wait.
    pub(crate) refreshes: Count,
    /// Questions refused: too many.
    pub(crate) refused_questions: Count,
    /// Questions refused: too many of one client.
    pub(crate) refused_clients: Count,
    /// Questions refused: too many of one client in a second.
    pub(crate) refused_rates: Count,
    /// Times that all upstreams of a zone were down, and it was to be asked all the same.
    pub(crate) all_down: Count,
    /// Questions without an answer.
    pub(crate) failures: Count,
    /// Stale answers that were given here.
    pub(crate) stale: Count,
    /// Second upstreams that were asked beside a slow first.
    pub(crate) hedges: Count,
    /// Those that answered first.
    pub(crate) hedges_won: Count,
    /// Answers that were not kept.
    pub(crate) not_kept: Count,
    /// Records that did not belong to the answer they came in.
    pub(crate) dropped_records: Count,
    /// Entries removed because a zone of ours has their names.
    pub(crate) swept: Count,
    /// Messages that were not used, by reason.
    untrue: [Count; Untrue::ALL.len()],
}

impl Counts {
    /// The count of questions that were one too many by a bound.
    pub(crate) fn refused(&self, bound: Bound) -> &Count {
        match bound {
            Bound::Questions => &self.refused_questions,
            Bound::Client => &self.refused_clients,
            Bound::Rate => &self.refused_rates,
        }
    }

    /// Queries that others were asked for, or that waited for the same question.
    pub(crate) fn forwarded(&self) -> u64 {
        // Nobody has asked for what is asked again by itself.
        (self.merged.get() + self.asked.get()).saturating_sub(self.refreshes.get())
    }

    /// The count of a reason.
    pub(crate) fn untrue(&self, why: Untrue) -> &Count {
        let [malformed, other_question, referral, looped] = &self.untrue;
        match why {
            Untrue::Malformed => malformed,
            Untrue::OtherQuestion => other_question,
            Untrue::Referral => referral,
            Untrue::Loop => looped,
        }
    }

    /// Name, help and count of each that has no labels.
    pub(crate) fn plain(&self) -> [(&'static str, &'static str, &Count); 14] {
        [
            ("questions", "Questions about names of others that the cache had no answer to.", &self.questions),
            ("ruled", "Questions that the policy answered, refused or dropped.", &self.ruled),
            ("unasked", "Questions for which nobody is asked.", &self.unasked),
            ("known", "Questions whose answer had come meanwhile, or was given stale at once.", &self.known),
            ("merged", "Questions that waited for the same one under way.", &self.merged),
            ("asked", "Questions that upstreams were asked, refreshes among them.", &self.asked),
            (
                "refreshes",
                "Questions asked again before their answer's time was over, or while it was given stale.",
                &self.refreshes,
            ),
            ("failures", "Questions to which there was no answer.", &self.failures),
            ("stale", "Stale answers given by the forwarder; those of workers are not among them.", &self.stale),
            ("hedges", "Times that a second upstream was asked because the first was slow.", &self.hedges),
            ("hedges_won", "Times that the second was faster then.", &self.hedges_won),
            ("not_kept", "Answers that were not kept: TTL 0, unproven, or of a zone of ours.", &self.not_kept),
            ("dropped_records", "Records that did not belong to the answer they came in.", &self.dropped_records),
            ("swept_entries", "Entries removed because a zone that is served here came.", &self.swept),
        ]
    }
}

/// How long exchanges with an upstream took, by response code.
#[derive(Debug, Default)]
pub(crate) struct ExchangeTimes([Times; RCODES + 1]);

/// A histogram.
#[derive(Debug, Default)]
struct Times {
    /// Numbers by upper bound.
    buckets: [AtomicU64; BOUNDS + 1],
    /// Their sum.
    nanoseconds: AtomicU64,
}

impl ExchangeTimes {
    /// Notes an exchange.
    pub(crate) fn note(&self, rcode: u16, took: Duration) {
        let Some(times) = self.0.get(usize::from(rcode).min(RCODES)) else { return };
        let bucket = bounds().position(|bound| took.as_secs_f64() <= bound).unwrap_or(BOUNDS);
        if let Some(bucket) = times.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        times.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Response code, sum in seconds, and numbers by upper bound of those that there are.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (String, f64, Vec<(f64, u64)>)> {
        let named = (0u16..).zip(&self.0);
        named.filter_map(|(rcode, times)| {
            let counts = times.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
            let buckets: Vec<(f64, u64)> = bounds().chain([f64::INFINITY]).zip(counts).collect();
            let seconds = times.nanoseconds.load(Ordering::Relaxed) as f64 / NANOSECONDS;
            let name = match rcode {
                0 => "NOERROR",
                1 => "FORMERR",
                2 => "SERVFAIL",
                3 => "NXDOMAIN",
                4 => "NOTIMP",
                5 => "REFUSED",
                _ => "other",
            };
            buckets.iter().any(|(_, count)| *count > 0).then(|| (name.to_owned(), seconds, buckets))
        })
    }
}

/// The finite upper bounds in seconds.
fn bounds() -> impl Iterator<Item = f64> {
    (0..BOUNDS).scan(FIRST_SECONDS, |next, _| {
        let bound = *next;
        *next *= 2.0;
        Some(bound)
    })
}
