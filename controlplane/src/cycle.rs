//! The cycle: takes what the sources say, merges it, compiles a snapshot and publishes it. One thread owns the publisher
//! and the merge; everything that waits is taken in one go, so a burst of writes costs one publication.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringdns_engine::publish::Publisher;
use tokio::sync::{mpsc, oneshot};

use crate::feed::diff::Touched;
use crate::health::owners::{self, Owners};
use crate::merge::{ClientsOfViews, Merge, Refusal, Transaction};
use crate::source::{Batch, Event, Published};
use crate::state::{Served, State};

/// Most changes that one publication takes: bounds how long the first waits for the last. A zone counts as one.
const CHANGES_PER_CYCLE_MAX: usize = 10_000;

/// How often retired snapshots are looked at while nothing changes.
pub(crate) const RECLAIM_INTERVAL: Duration = Duration::from_millis(500);

/// Refusals that are logged one by one in a publication; the rest is counted.
const REFUSALS_LOGGED_MAX: usize = 10;

/// The cycle's own state.
pub(crate) struct Cycle {
    /// Where snapshots go.
    publisher: Publisher,
    /// What the sources say.
    events: mpsc::Receiver<Event>,
    /// The same queue, for who finds the owners of members.
    walkers: mpsc::WeakSender<Event>,
    /// What is known beyond the snapshot.
    merge: Merge,
    /// Sources that have said which zones they have.
    zones_known: BTreeSet<u8>,
    /// What others see.
    state: Arc<State>,
}

/// Who is told when a publication is out.
struct Waiting {
    /// Told when.
    done: oneshot::Sender<Published>,
    /// What could not be taken of its batch.
    refusals: Vec<Refusal>,
}

impl Cycle {
    /// A cycle that has not published anything. `clients` is what the publisher's snapshot knows of views, and says which
    /// source it is from.
    pub(crate) fn new(
        publisher: Publisher,
        (walkers, events): (mpsc::WeakSender<Event>, mpsc::Receiver<Event>),
        state: Arc<State>,
        (origin, clients): (u8, ClientsOfViews),
        owners: Owners,
    ) -> Self {
        let merge = Merge::new(Arc::clone(&state.views), origin, clients, owners);
        Self { publisher, events, walkers, merge, zones_known: BTreeSet::new(), state }
    }

    /// Runs on a thread of its own until every source is gone; gives the publisher back.
    ///
    /// Compiling is processor work that can take seconds: a task would hold up the others of its runtime thread.
    pub(crate) fn run(mut self) -> Publisher {
        while let Some(event) = self.events.blocking_recv() {
            match event {
                Event::Tick if !self.state.suffixes.are_new() => drop(self.publisher.reclaim()),
                event => self.turn(event),
            }
            self.walk();
        }
        self.publisher
    }

    /// Has the owners of new members found, in what is published.
    fn walk(&mut self) {
        let Some(wanted) = self.merge.start_walk() else { return };
        let (snapshot, walkers) = (Arc::clone(self.publisher.current()), self.walkers.clone());
        let look = move || {
            let found = owners::find(&snapshot, wanted);
            drop(snapshot);
            if let Some(events) = walkers.upgrade() {
                // Where the cycle has ended, nobody is waiting.
                let _ = events.blocking_send(Event::Found(found));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("ringdns-owners".to_owned()).spawn(look) {
            tracing::error!("the owners of members cannot be found: {error}; raise the limit of processes (ulimit -u)");
        }
    }

    /// One publication: an event and what waits behind it.
    fn turn(&mut self, first: Event) {
        let started = Instant::now();
        let (before, zones_before) = (Arc::clone(self.publisher.current()), self.merge.zones());
        // Until all is loaded everybody would be told everything.
        let mut touched = self.state.is_synced().then(Touched::default);
        let mut transaction = Transaction::new(self.publisher.current());
        let mut waiting = Vec::new();
        let mut synced = Vec::new();
        let mut changes = 0;
        let mut next = Some(first);
        while let Some(event) = next.take() {
            match event {
                Event::Batch(batch) => {
                    changes += batch.changes.len();
                    if let Some(touched) = &mut touched {
                        batch.changes.iter().for_each(|change| touched.note(change));
                    }
                    self.take(batch, &mut transaction, &mut waiting);
                }
                Event::Synced { origin } => synced.push(origin),
                Event::ZonesKnown { origin } => drop(self.zones_known.insert(origin)),
                Event::Found(found) => {
                    let mut refusals = Vec::new();
                    self.merge.end_walk(found, &mut transaction, &mut refusals);
                    self.tell_refusals("health", &refusals);
                }
                // Publishing looks at retired snapshots as well.
                Event::Tick => {}
            }
            if changes < CHANGES_PER_CYCLE_MAX {
                next = self.events.try_recv().ok();
            }
        }
        self.settle(&mut transaction, &synced);
        self.publisher.publish(transaction.commit());
        self.tell(started.elapsed(), changes, &synced, waiting);
        let (after, zones_after) = (self.publisher.current(), self.merge.zones());
        let generation = after.generation();
        let events =
            touched.and_then(|touched| touched.events(generation, (&before, &zones_before), (after, &zones_after)));
        self.state.feed.note(generation, events);
    }

    /// Says what follows from all that was said.
    fn settle(&mut self, transaction: &mut Transaction, synced: &[u8]) {
        if let Some(suffixes) = self.state.suffixes.take_new() {
            self.merge.leave(suffixes);
        }
        self.merge.place_cuts(transaction);
        let sources = || (0u8..).zip(&self.state.sources);
        let is_synced =
            |(origin, source): &(u8, &crate::state::SourceState)| source.is_synced() || synced.contains(origin);
        let knows_zones = sources().all(|source| is_synced(&source) || self.zones_known.contains(&source.0));
        transaction.set_complete(sources().all(|source| is_synced(&source)), knows_zones);
    }

    /// Merges one batch.
    fn take(&mut self, batch: Batch, transaction: &mut Transaction, waiting: &mut Vec<Waiting>) {
        let mut refusals = Vec::new();
        for change in batch.changes {
            self.merge.apply(batch.origin, change, transaction, &mut refusals);
        }
        let source = self.state.sources.get(usize::from(batch.origin));
        if let Some(source) = source {
            source.note_batch();
        }
        self.tell_refusals(source.map_or("health", |source| source.name), &refusals);
        if let Some(done) = batch.done {
            waiting.push(Waiting { done, refusals });
        }
    }

    /// Tells what could not be taken.
    fn tell_refusals(&self, source: &'static str, refusals: &[Refusal]) {
        for refusal in refusals.iter().take(REFUSALS_LOGGED_MAX) {
            tracing::error!(source, "not served: {refusal}");
        }
        if let Some(rest) = refusals.len().checked_sub(REFUSALS_LOGGED_MAX).filter(|&rest| rest > 0) {
            tracing::error!(source, "{rest} more RRsets are not served");
        }
        self.state.refusals.fetch_add(refusals.len() as u64, Ordering::Relaxed);
    }

    /// Tells everybody of a publication.
    fn tell(&self, took: Duration, changes: usize, synced: &[u8], waiting: Vec<Waiting>) {
        let snapshot = Arc::clone(self.publisher.current());
        let generation = snapshot.generation();
        let (names, rrsets) = (snapshot.names(), snapshot.rrsets());
        self.state.note_served(Served { snapshot, zones: self.merge.zones() }, took);
        self.state.losers.store(self.merge.losers() as u64, Ordering::Relaxed);
        for &origin in synced {
            if let Some(source) = self.state.sources.get(usize::from(origin)) {
                source.note_synced();
                tracing::info!(source = source.name, names, rrsets, "source is synced");
            }
        }
        tracing::debug!(generation, changes, names, rrsets, took_us = took.as_micros(), "published");
        for Waiting { done, refusals } in waiting {
            // A writer that no longer waits has been answered otherwise.
            let _ = done.send(Published { generation, refusals });
        }
    }
}
