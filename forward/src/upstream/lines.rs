//! The connections to one upstream: kept while they are used, begun when none has room.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Gate;
use tokio::time::{Instant, timeout_at};

use super::Failure;
use super::counts::Counts;
use super::dial::Dialer;
use super::habits::Habits;
use super::line::{Line, Place};
use super::query::Query;

/// Questions under way on one connection: a server that reads on while it answers takes more, and one that does not delays the
/// last by all the others.
const QUESTIONS_MAX: usize = 128;

/// Connections to one upstream (RFC 7766 section 6.2.2 asks for few).
const LINES_MAX: usize = 16;

/// The same of an upstream that takes one question on each.
const SINGLE_LINES_MAX: usize = 128;

/// The connections.
pub(super) struct Lines {
    /// Begins them.
    dialer: Dialer,
    /// Those that are open, the newest last.
    open: Mutex<Vec<Arc<Line>>>,
    /// One is begun at a time: a thousand questions that come at once need few connections. With when and how the last failed.
    gate: Gate<Option<(Instant, Failure)>>,
    /// One without a question for so long is closed.
    idle_after: Duration,
    /// The upstream's counters.
    counts: Arc<Counts>,
    /// The upstream's habits.
    habits: Arc<Habits>,
}

impl Lines {
    /// None are open yet.
    pub(super) fn new(dialer: Dialer, idle_after: Duration, counts: &Arc<Counts>, habits: &Arc<Habits>) -> Self {
        let (counts, habits) = (Arc::clone(counts), Arc::clone(habits));
        Self { dialer, open: Mutex::new(Vec::new()), gate: Gate::new(None), idle_after, counts, habits }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| !line.is_closed()).count()
    }

    /// Asks over one of them, and once again over a new one where a kept one had gone. Gives the id with the answer, which
    /// answers the question; the rest is not checked.
    pub(super) async fn ask(&self, query: &Query, until: Instant) -> Result<(u16, Vec<u8>), Failure> {
        let place = self.place(until).await?;
        let was_kept = place.line().is_used();
        let first = timeout_at(until, place.line().ask(query)).await.unwrap_or(Err(Failure::Timeout));
        if !was_kept || first != Err(Failure::Closed) {
            return first;
        }
        drop(place);
        let place = self.place(until).await?;
        timeout_at(until, place.line().ask(query)).await.unwrap_or(Err(Failure::Timeout))
    }

    /// A place on a connection with room, or on a new one.
    async fn place(&self, until: Instant) -> Result<Place, Failure> {
        let come = Instant::now();
        if let Some(place) = self.free_place() {
            Counts::add(&self.counts.connections_reused);
            return Ok(place);
        }
        let mut last_failure = timeout_at(until, self.gate.lock()).await.map_err(|_| Failure::Timeout)?;
        // Whoever was before us may have begun one, or found out that none can be.
        if let Some(place) = self.free_place() {
            Counts::add(&self.counts.connections_reused);
            return Ok(place);
        }
        match *last_failure {
            Some((at, failure)) if at >= come => return Err(failure),
            _ => {}
        }
        if self.count() >= if self.keeps() { LINES_MAX } else { SINGLE_LINES_MAX } {
            return Err(Failure::Local);
        }
        match self.dialer.dial(until).await {
            Ok(stream) => {
                Counts::add(&self.counts.connections_begun);
                let line = Line::start(stream, self.idle_after, &self.counts, &self.habits);
                let place = line.place(QUESTIONS_MAX).ok_or(Failure::Closed)?;
                self.open.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                Ok(place)
            }
            Err(failure) => {
                *last_failure = Some((Instant::now(), failure));
                Err(failure)
            }
        }
    }

    /// True where a connection takes several questions.
    fn keeps(&self) -> bool {
        self.habits.manners(Instant::now()).keeps_connections
    }

    /// A place on a connection with room.
    fn free_place(&self) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|line| !line.is_closed());
        let keeps = self.keeps();
        let questions_max = if keeps { QUESTIONS_MAX } else { 1 };
        // The newest first, so that the older ones become idle where few are needed. One that served its one question, for a
        // server that closes then, is not waited for to be closed.
        open.iter().rev().filter(|line| keeps || !line.is_used()).find_map(|line| line.place(questions_max))
    }
}
