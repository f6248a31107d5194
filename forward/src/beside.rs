//! Answers that are not for everybody: for clients in a subnet (RFC 7871), for those whom the policy lets pass, or changed by the
//! policy for what is in them. They are kept beside the cache, where workers do not look.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_engine::recall::KeptAnswer;

use crate::question::Key;

/// The part of the cache's bytes that they may take besides: one of eight.
const SHARE: usize = 8;

/// What maps and queues take for an entry, besides what is in it.
const OVERHEAD_BYTES: usize = 160;

/// The answers.
pub(crate) struct Beside {
    /// Behind a lock: it is held for a few steps.
    state: Mutex<State>,
    /// How many there are: most forwarders have none, and do not look.
    count: AtomicUsize,
    /// Most bytes of all.
    bytes_max: usize,
}

/// What is behind the lock.
#[derive(Default)]
struct State {
    /// By question and whose it is.
    answers: HashMap<Arc<Key>, Arc<KeptAnswer>>,
    /// The same, the oldest first.
    order: VecDeque<Arc<Key>>,
    /// Bytes of all.
    bytes: usize,
}

/// Bytes that an answer takes.
fn bytes_of(key: &Key, answer: &KeptAnswer) -> usize {
    let places = answer.ttl_places.len() + answer.pointer_places.len();
    let held = key.name.as_bytes().len() + answer.body.len() + size_of::<u16>() * places;
    held + size_of::<Key>() + size_of::<KeptAnswer>() + OVERHEAD_BYTES
}

impl Beside {
    /// None, beside a cache of so many bytes.
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self { state: Mutex::default(), count: AtomicUsize::new(0), bytes_max: cache_bytes / SHARE }
    }

    /// The answer to a question, if its time is not over.
    pub(crate) fn find(&self, key: &Key, now_seconds: u32) -> Option<Arc<KeptAnswer>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let state = self.lock();
        let answer = state.answers.get(key)?;
        let age = now_seconds.saturating_sub(answer.fetched_seconds);
        (age < answer.ttl_seconds).then(|| Arc::clone(answer))
    }

    /// Keeps an answer if that is still wanted once it is looked at under the lock; the oldest go where there is no room.
    pub(crate) fn keep(&self, key: &Key, answer: &KeptAnswer, is_wanted: impl FnOnce() -> bool) -> bool {
        let bytes = bytes_of(key, answer);
        let mut state = self.lock();
        if answer.ttl_seconds == 0 || bytes > self.bytes_max || !is_wanted() {
            return false;
        }
        let answer = Arc::new(answer.clone());
        if let Some(place) = state.answers.get_mut(key) {
            let before = bytes_of(key, place);
            *place = answer;
            state.bytes = state.bytes + bytes - before;
        } else {
            let key = Arc::new(key.clone());
            state.answers.insert(Arc::clone(&key), answer);
            state.order.push_back(key);
            state.bytes += bytes;
        }
        while state.bytes > self.bytes_max {
            let Some(oldest) = state.order.pop_front() else { break };
            if let Some(gone) = state.answers.remove(&oldest) {
                state.bytes -= bytes_of(&oldest, &gone);
            }
        }
        self.count.store(state.answers.len(), Ordering::Relaxed);
        true
    }

    /// Removes all; gives their number.
    pub(crate) fn clear(&self) -> usize {
        let mut state = self.lock();
        let removed = state.answers.len();
        *state = State::default();
        self.count.store(0, Ordering::Relaxed);
        removed
    }

    /// Removes those of questions for which a function says so; gives their number.
    pub(crate) fn clear_where(&self, goes: impl Fn(&Key) -> bool) -> usize {
        let mut state = self.lock();
        let State { answers, order, bytes } = &mut *state;
        let before = answers.len();
        answers.retain(|key, answer| {
            let goes = goes(key);
            *bytes -= if goes { bytes_of(key, answer) } else { 0 };
            !goes
        });
        order.retain(|key| answers.contains_key(key));
        self.count.store(answers.len(), Ordering::Relaxed);
        before - answers.len()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What is behind the lock. Nobody leaves it in between.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Whose;

    /// A question of a subnet.
    fn key(number: u8) -> Key {
        let whose = Whose { subnet: Some(([10, 0, number, 0].into(), 24)), ..Whose::default() };
        let name = Arc::new("a.test.".parse().unwrap());
        Key { name, qtype: 1, dnssec_ok: false, checking_disabled: false, whose }
    }

    /// An answer of so many bytes.
    fn answer(bytes: usize) -> KeptAnswer {
        KeptAnswer { body: vec![0; bytes], fetched_seconds: 100, ttl_seconds: 10, ..KeptAnswer::default() }
    }

    #[test]
    fn the_oldest_go_and_bytes_are_bounded() {
        let one = bytes_of(&key(0), &answer(1000));
        let beside = Beside::new(3 * one * SHARE);
        for number in 0..5 {
            assert!(beside.keep(&key(number), &answer(1000), || true));
        }
        assert_eq!(beside.len(), 3);
        let found = [1, 2, 3, 4].map(|number| beside.find(&key(number), 109).is_some());
        assert_eq!((found, beside.find(&key(4), 110)), ([false, true, true, true], None));
        assert!(beside.keep(&key(3), &answer(100), || true) && beside.keep(&key(9), &answer(100), || true));
        assert_eq!(beside.len(), 4, "what takes less place leaves some");
        assert!(!beside.keep(&key(8), &answer(3 * one), || true), "more than there is room for at all");
        assert!(!beside.keep(&key(8), &answer(1), || false) && !beside.keep(&key(8), &KeptAnswer::empty(0), || true));
        assert_eq!((beside.clear_where(|asked| *asked == key(3)), beside.len()), (1, 3));
        assert!(beside.keep(&key(7), &answer(300), || true), "whose room is free");
        assert_eq!((beside.len(), beside.clear(), beside.len()), (4, 4, 0));
        assert_eq!(beside.lock().bytes, 0);
    }
}
