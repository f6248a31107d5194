//! Questions under way: each is asked once at a time, whoever waits for it, and not without bound.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_engine::recall::{Done, KeptAnswer};

use crate::question::{Key, client_prefix};

/// Waiters for each question under way, on the average: they cost memory, but nobody is asked for them.
const WAITERS_PER_QUESTION_MAX: usize = 4;

/// One part of the room is for who waits; refreshes have the other.
const REFRESHES_SHARE: usize = 2;

/// Somebody who waits for an answer.
pub(crate) struct Waiter {
    /// Who.
    pub(crate) client: IpAddr,
    /// Is told.
    pub(crate) done: Done,
}

/// What became of who wanted to know.
pub(crate) enum Entered {
    /// It waits for a question that is under way.
    Waits,
    /// It waits, and the question is to be asked: the caller flies it.
    Leads,
    /// It is answered at once, for which nobody waits.
    Known(Waiter, Arc<KeptAnswer>),
    /// The same, and the question is to be asked besides.
    KnownAndLeads(Waiter, Arc<KeptAnswer>),
    /// It is one too many.
    Refused(Waiter, Bound),
}

/// What is known of a question that nobody is asking.
pub(crate) enum Known {
    /// Nothing: it is to be asked.
    Nothing,
    /// The answer.
    Fresh(Arc<KeptAnswer>),
    /// An answer whose time is over; whether the question is to be asked besides.
    Stale(Arc<KeptAnswer>, bool),
}

/// A bound that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Of all questions.
    Questions,
    /// Of those of a client.
    Client,
    /// Of those of a client in a second.
    Rate,
}

/// How many questions may be under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Questions.
    pub(crate) questions_max: usize,
    /// Waiters of one client.
    pub(crate) per_client_max: usize,
}

/// Questions under way.
#[derive(Default)]
pub(crate) struct Flights {
    /// Behind one lock: it is held for a few steps.
    state: Mutex<State>,
}

/// What is behind the lock.
#[derive(Default)]
struct State {
    /// By question.
    flights: HashMap<Arc<Key>, Flight>,
    /// All who wait.
    waiters: usize,
    /// Who waits of each client.
    clients: HashMap<IpAddr, usize>,
    /// Nothing is begun any more.
    is_closed: bool,
}

/// A question under way.
#[derive(Default)]
struct Flight {
    /// Who waits for it.
    waiters: Vec<Waiter>,
    /// What who comes is told at once: the upstreams have had their time.
    stale: Option<Arc<KeptAnswer>>,
}

impl Flights {
    /// Has somebody wait for a question. `known` says what is known of it, where nobody is asking it.
    pub(crate) fn enter(
        &self,
        key: &Arc<Key>,
        waiter: Waiter,
        bounds: Bounds,
        known: impl FnOnce() -> Known,
    ) -> Entered {
        let mut state = self.lock();
        if state.is_closed {
            return Entered::Refused(waiter, Bound::Questions);
        }
        if let Some(flight) = state.flights.get(key) {
            if let Some(stale) = &flight.stale {
                let stale = Arc::clone(stale);
                return Entered::Known(waiter, stale);
            }
            return match state.bound(waiter.client, bounds) {
                Some(bound) => Entered::Refused(waiter, bound),
                None => {
                    state.push(key, waiter);
                    Entered::Waits
                }
            };
        }
        let is_full = state.flights.len() >= bounds.questions_max;
        match known() {
            Known::Fresh(answer) => Entered::Known(waiter, answer),
            Known::Stale(answer, asks) => {
                if asks && !is_full {
                    let flight = Flight { waiters: Vec::new(), stale: Some(Arc::clone(&answer)) };
                    state.flights.insert(Arc::clone(key), flight);
                    return Entered::KnownAndLeads(waiter, answer);
                }
                Entered::Known(waiter, answer)
            }
            Known::Nothing if is_full => Entered::Refused(waiter, Bound::Questions),
            Known::Nothing => match state.bound(waiter.client, bounds) {
                Some(bound) => Entered::Refused(waiter, bound),
                None => {
                    state.flights.insert(Arc::clone(key), Flight::default());
                    state.push(key, waiter);
                    Entered::Leads
                }
            },
        }
    }

    /// Begins a question for which nobody waits; false where it is under way, or where there is no room for such.
    pub(crate) fn begin(&self, key: &Arc<Key>, bounds: Bounds) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.flights.len() >= bounds.questions_max / REFRESHES_SHARE {
            return false;
        }
        match state.flights.entry(Arc::clone(key)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Flight::default());
                true
            }
        }
    }

    /// Who waits for a question, which goes on; who comes from now on is told the stale answer.
    pub(crate) fn release(&self, key: &Arc<Key>, stale: &Arc<KeptAnswer>) -> Vec<Waiter> {
        let mut state = self.lock();
        let Some(flight) = state.flights.get_mut(key) else { return Vec::new() };
        flight.stale = Some(Arc::clone(stale));
        let waiters = std::mem::take(&mut flight.waiters);
        state.forget(&waiters);
        waiters
    }

    /// Ends a question; gives who waits for it.
    pub(crate) fn end(&self, key: &Arc<Key>) -> Vec<Waiter> {
        let mut state = self.lock();
        let waiters = state.flights.remove(key).map(|flight| flight.waiters).unwrap_or_default();
        state.forget(&waiters);
        waiters
    }

    /// Begins nothing any more; gives all who wait.
    pub(crate) fn close(&self) -> Vec<Waiter> {
        let mut state = self.lock();
        state.is_closed = true;
        let waiters: Vec<Waiter> = state.flights.drain().flat_map(|(_, flight)| flight.waiters).collect();
        state.forget(&waiters);
        waiters
    }

    /// Questions under way, who waits for them, and clients among these.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let state = self.lock();
        [state.flights.len(), state.waiters, state.clients.len()]
    }

    /// What is behind the lock. Nobody leaves it in between.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The bound that one more waiter would be beyond.
    fn bound(&self, client: IpAddr, bounds: Bounds) -> Option<Bound> {
        if self.waiters >= bounds.questions_max.saturating_mul(WAITERS_PER_QUESTION_MAX) {
            return Some(Bound::Questions);
        }
        let of_client = self.clients.get(&client_prefix(client)).copied().unwrap_or(0);
        (of_client >= bounds.per_client_max).then_some(Bound::Client)
    }

    /// Has somebody wait for a question under way.
    fn push(&mut self, key: &Arc<Key>, waiter: Waiter) {
        self.waiters += 1;
        *self.clients.entry(client_prefix(waiter.client)).or_default() += 1;
        if let Some(flight) = self.flights.get_mut(key) {
            flight.waiters.push(waiter);
        }
    }

    /// Forgets who waited.
    fn forget(&mut self, waiters: &[Waiter]) {
        self.waiters = self.waiters.saturating_sub(waiters.len());
        for waiter in waiters {
            if let Entry::Occupied(mut count) = self.clients.entry(client_prefix(waiter.client)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}
