//! Answers whose time is over (RFC 8767).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ringdns_controlplane::config::forward::StaleConfig;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::KeptAnswer;

use crate::question::Key;

/// Most questions of which it is known that they failed a short while ago: beyond that they are asked again.
const RECHECKS_MAX: usize = 10_000;

/// Bytes of a TTL.
const TTL_BYTES: usize = 4;
/// Bytes of a record's type and class, between its owner and its TTL.
const TYPE_AND_CLASS_BYTES: usize = 4;
/// Bytes of the length of its rdata, behind the TTL.
const LENGTH_BYTES: usize = 2;

/// How an answer stands to the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It may be given as it is.
    Fresh,
    /// Its time is over, and it may be given.
    Stale,
    /// It may not be given.
    Over,
}

/// How old an answer is. A failure is never given once its time is over.
pub(crate) fn age(answer: &KeptAnswer, now_seconds: u32, config: &StaleConfig) -> Age {
    let age = now_seconds.saturating_sub(answer.fetched_seconds);
    match age.checked_sub(answer.ttl_seconds) {
        None => Age::Fresh,
        Some(since) if since < config.seconds && !answer.bits.has(EntryBits::FAILURE) => Age::Stale,
        Some(_) => Age::Over,
    }
}

/// A stale answer for those who wait: all TTLs are what is configured (RFC 8767 section 5.2), and it is not kept.
pub(crate) fn stale_answer(mut answer: KeptAnswer, now_seconds: u32, config: &StaleConfig) -> Arc<KeptAnswer> {
    if answer.ttl_places.is_empty() {
        // It was kept so that its TTLs stay as they are, which is for the time in which they hold.
        answer.ttl_places = ttl_places(&answer.body);
    }
    for &place in &answer.ttl_places {
        let ttl = answer.body.get_mut(place.into()..).and_then(<[u8]>::first_chunk_mut::<TTL_BYTES>);
        if let Some(ttl) = ttl {
            *ttl = config.ttl_seconds.to_be_bytes();
        }
    }
    Arc::new(KeptAnswer { fetched_seconds: now_seconds, ttl_seconds: 0, stale_seconds: 0, ..answer })
}

/// Where the TTLs stand in records as they are kept.
fn ttl_places(body: &[u8]) -> Vec<u16> {
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some((ttl_at, end)) = record(body, at) {
        places.extend(u16::try_from(ttl_at));
        at = end;
    }
    places
}

/// Where the TTL of a record stands, and where the record ends.
fn record(body: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let end = loop {
        match *body.get(at)? {
            0 => break at + 1,
            // RFC 1035 section 4.1.4: a pointer ends a name.
            0xc0.. => break at + 2,
            length => at += 1 + usize::from(length),
        }
    };
    let ttl_at = end + TYPE_AND_CLASS_BYTES;
    let rdata_at = ttl_at + TTL_BYTES + LENGTH_BYTES;
    let length = body.get(rdata_at - LENGTH_BYTES..rdata_at)?.first_chunk()?;
    Some((ttl_at, rdata_at + usize::from(u16::from_be_bytes(*length))))
}

/// An answer that is fresh, for those who wait: its TTLs are what is left of them.
pub(crate) fn aged_answer(mut answer: KeptAnswer, now_seconds: u32) -> Arc<KeptAnswer> {
    let age = now_seconds.saturating_sub(answer.fetched_seconds);
    for &place in &answer.ttl_places {
        let ttl = answer.body.get_mut(place.into()..).and_then(<[u8]>::first_chunk_mut::<TTL_BYTES>);
        if let Some(ttl) = ttl {
            *ttl = u32::from_be_bytes(*ttl).saturating_sub(age).to_be_bytes();
        }
    }
    let ttl_seconds = answer.ttl_seconds.saturating_sub(age);
    Arc::new(KeptAnswer { fetched_seconds: now_seconds, ttl_seconds, ..answer })
}

/// Questions that failed, and are not asked again for a while: there is a stale answer to them (RFC 8767 section 5, failure
/// recheck timer).
#[derive(Default)]
pub(crate) struct Rechecks(Mutex<HashMap<Arc<Key>, u32>>);

impl Rechecks {
    /// Has a question not asked again until a time in seconds since 1970.
    pub(crate) fn note(&self, key: &Arc<Key>, now_seconds: u32, until_seconds: u32) {
        let mut rechecks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rechecks.len() >= RECHECKS_MAX {
            rechecks.retain(|_, until| *until > now_seconds);
        }
        if rechecks.len() < RECHECKS_MAX {
            rechecks.insert(Arc::clone(key), until_seconds);
        }
    }

    /// True where a question is not to be asked yet.
    pub(crate) fn is_too_early(&self, key: &Key, now_seconds: u32) -> bool {
        let rechecks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not silence a question for ever: what is far ahead does not count.
        rechecks
            .get(key)
            .is_some_and(|until| (now_seconds..now_seconds.saturating_add(86_400)).contains(&until.saturating_sub(1)))
    }

    /// Lets a question be asked again.
    pub(crate) fn clear(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
