//! What has happened, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Failure;
use super::check::Bad;

/// Why a question was asked over TCP that could have been asked over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The answer was truncated.
    Truncated,
    /// Too many bad packets came: somebody guesses.
    Attack,
    /// A packet had the right id and question, and something else was wrong with it.
    Doubt,
    /// Two cookies in a row were not good enough.
    Cookie,
}

impl Turn {
    /// All of them.
    pub(super) const ALL: [Turn; 4] = [Turn::Truncated, Turn::Attack, Turn::Doubt, Turn::Cookie];

    /// The metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Turn::Truncated => "truncated",
            Turn::Attack => "attack",
            Turn::Doubt => "doubt",
            Turn::Cookie => "cookie",
        }
    }
}

/// The counters of an upstream; they only grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Exchanges begun.
    pub(super) asked: AtomicU64,
    /// And ended with an answer.
    pub(super) answered: AtomicU64,
    /// Probes sent.
    pub(super) probes: AtomicU64,
    /// And ended without an answer.
    pub(super) probes_failed: AtomicU64,
    /// Questions for which there was a connection.
    pub(super) connections_reused: AtomicU64,
    /// Connections that were begun.
    pub(super) connections_begun: AtomicU64,
    /// By [`Failure::ALL`].
    failures: [AtomicU64; Failure::ALL.len()],
    /// By [`Bad::ALL`].
    bad: [AtomicU64; Bad::ALL.len()],
    /// By [`Turn::ALL`].
    turns: [AtomicU64; Turn::ALL.len()],
}

impl Counts {
    /// One more.
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A failure.
    pub(super) fn failure(&self, failure: Failure) {
        count(&Failure::ALL, &self.failures, failure);
    }

    /// A bad packet.
    pub(super) fn bad(&self, bad: Bad) {
        count(&Bad::ALL, &self.bad, bad);
    }

    /// A turn to TCP.
    pub(super) fn turn(&self, turn: Turn) {
        count(&Turn::ALL, &self.turns, turn);
    }

    /// All failures by label.
    pub(super) fn failures(&self) -> Vec<(&'static str, u64)> {
        labelled(&Failure::ALL, &self.failures, Failure::label)
    }

    /// All bad packets by label.
    pub(super) fn bad_packets(&self) -> Vec<(&'static str, u64)> {
        labelled(&Bad::ALL, &self.bad, Bad::label)
    }

    /// All turns to TCP by label.
    pub(super) fn turns(&self) -> Vec<(&'static str, u64)> {
        labelled(&Turn::ALL, &self.turns, Turn::label)
    }
}

/// Counts one of several kinds.
fn count<K: Copy + PartialEq>(kinds: &[K], counters: &[AtomicU64], kind: K) {
    if let Some((_, counter)) = kinds.iter().zip(counters).find(|(each, _)| **each == kind) {
        Counts::add(counter);
    }
}

/// Counters with their labels.
fn labelled<K: Copy>(
    kinds: &[K],
    counters: &[AtomicU64],
    label: impl Fn(K) -> &'static str,
) -> Vec<(&'static str, u64)> {
    kinds.iter().zip(counters).map(|(kind, counter)| (label(*kind), counter.load(Ordering::Relaxed))).collect()
}
