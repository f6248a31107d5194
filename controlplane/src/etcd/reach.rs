//! How far the source has come, for those who have written and wait until it is served.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::state::EtcdState;
use crate::source::{Event, Sink};

/// The first key of each range that is watched, and the revision up to which it was handed to the cycle.
#[derive(Debug)]
pub(crate) struct Reach(watch::Sender<Vec<(Vec<u8>, i64)>>);

impl Default for Reach {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Reach {
    /// Notes that a range was handed over up to a revision.
    pub(super) fn note(&self, first: &[u8], revision: i64) {
        self.0.send_modify(|ranges| match ranges.iter_mut().find(|(range, _)| range == first) {
            Some((_, reached)) => *reached = revision,
            None => ranges.push((first.to_vec(), revision)),
        });
    }

    /// Waits until the range of a key was handed over up to a revision.
    async fn wait(&self, key: &[u8], revision: i64) {
        let is_of =
            |range: &[u8]| key.strip_prefix(range).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        let mut seen = self.0.subscribe();
        // Fails where the sender is gone, which lives as long as this.
        let _ = seen.wait_for(|ranges| ranges.iter().any(|(range, at)| is_of(range) && *at >= revision)).await;
    }
}

/// Waits until what was written to etcd is served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// What the source shows.
    state: Arc<EtcdState>,
    /// The source's number.
    origin: u8,
    /// The cycle's queue; weak, because the cycle ends when nobody holds it any more.
    events: mpsc::WeakSender<Event>,
}

impl Served {
    /// For what a source says to a cycle.
    pub(crate) fn new(state: Arc<EtcdState>, origin: u8, events: mpsc::WeakSender<Event>) -> Self {
        Self { state, origin, events }
    }

    /// Waits until a revision is served in the ranges of keys, for a time. False where that has run out.
    pub(crate) async fn wait(&self, keys: &[Vec<u8>], revision: i64, timeout: Duration) -> bool {
        let wait = async {
            for key in keys {
                self.state.reach.wait(key, revision).await;
            }
            // The source has queued it; the queue keeps its order, so what is queued now is published with it or later.
            let sink = Sink::new(self.origin, self.events.upgrade()?);
            let published = sink.apply_tracked(Vec::new()).await.ok()?;
            drop(sink);
            published.await.ok()
        };
        tokio::time::timeout(timeout, wait).await.is_ok_and(|published| published.is_some())
    }
}
