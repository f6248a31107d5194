//! How an answer of others gets to a client that waits for it: it is put on a shelf that only one server looks at, and the
//! query is served again. So there is one way by which answers are made, and an answer reaches those who wait for it also
//! where it is not kept.

use std::sync::Arc;

use super::{ForeignQuestion, KeptAnswer, name_hash};
use crate::cache::{CacheDesk, CacheKey, CacheShelf};
use crate::rtype::rcode;
use crate::snapshot::Snapshot;

/// Bytes of the shelf: the answer with the most records that a message has room for fits in an entry of it.
const SHELF_BYTES: usize = 6 << 20;

/// A shelf that holds one answer at a time.
pub struct Handover {
    /// Its writer.
    desk: CacheDesk,
}

impl Default for Handover {
    fn default() -> Self {
        Self { desk: CacheDesk::new(SHELF_BYTES) }
    }
}

impl Handover {
    /// The shelf; see [`RecallConfig::on_shelf`](super::RecallConfig::on_shelf).
    pub fn shelf(&self) -> &Arc<CacheShelf> {
        self.desk.shelf()
    }

    /// Has an answer given, while `serve` serves its query again with a server that looks at this shelf, at the given time in
    /// seconds since 1970. What cannot be given is SERVFAIL.
    pub fn give<T>(
        &mut self,
        snapshot: &Snapshot,
        question: &ForeignQuestion,
        answer: &KeptAnswer,
        now_seconds: u32,
        serve: impl FnOnce() -> T,
    ) -> T {
        let name_hash = name_hash(snapshot, &question.name);
        let key = CacheKey { name_hash, name: question.name.as_bytes(), qtype: question.qtype, bits: question.bits };
        let age = now_seconds.saturating_sub(answer.fetched_seconds);
        let is_stale = age >= answer.ttl_seconds && answer.ttl_seconds > 0;
        let is_good = is_stale && age - answer.ttl_seconds < answer.stale_seconds;
        // Whoever has waited gets it also where nobody else does: a TTL of 0 is for those who wait (RFC 1035 section 3.2.1).
        let ttl_seconds = if is_good { answer.ttl_seconds } else { answer.ttl_seconds.max(age.saturating_add(1)) };
        let mut cached = answer.as_cached();
        cached.ttl_seconds = ttl_seconds;
        if self.desk.insert(&key, &cached).is_err() {
            let mut failure = KeptAnswer::empty(rcode::SERVFAIL);
            (failure.fetched_seconds, failure.ttl_seconds) = (now_seconds, 1);
            // Nothing is smaller.
            let _ = self.desk.insert(&key, &failure.as_cached());
        }
        let served = serve();
        self.desk.remove(&key);
        served
    }
}
