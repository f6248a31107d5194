//! Questions that only others can answer, and what came of them: the seam between those who serve and those who ask.

use core::net::IpAddr;
use std::sync::Arc;

use crate::cache::{CachedAnswer, EntryBits};
use crate::name::WireName;

/// A question for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignQuestion {
    /// The name, in lower case.
    pub name: WireName,
    /// The type; the class is IN.
    pub qtype: u16,
    /// DO and CD of the query.
    pub bits: EntryBits,
    /// Who asked.
    pub client: IpAddr,
    /// It came by a stream: its client is where it says, and an answer of any length reaches it.
    pub is_stream: bool,
}

/// An answer of others, as it is kept: see [`CachedAnswer`], which borrows what this owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAnswer {
    /// What is true of it.
    pub bits: EntryBits,
    /// The response code.
    pub rcode: u16,
    /// Records of the answer and the authority section.
    pub counts: [u16; 2],
    /// The records as they stand behind the question.
    pub body: Vec<u8>,
    /// Where their TTLs stand in `body`.
    pub ttl_places: Vec<u16>,
    /// Where pointers stand in `body`.
    pub pointer_places: Vec<u16>,
    /// When it was fetched, in seconds since 1970.
    pub fetched_seconds: u32,
    /// How long from then on it may be answered; 0: it is for those who wait for it now, and not kept.
    pub ttl_seconds: u32,
    /// For how long it may be answered stale after that.
    pub stale_seconds: u32,
}

impl KeptAnswer {
    /// An answer without records, for those who wait for it now.
    pub fn empty(rcode: u16) -> Self {
        Self { rcode, ..Self::default() }
    }

    /// As the cache takes it.
    pub fn as_cached(&self) -> CachedAnswer<'_> {
        CachedAnswer {
            bits: self.bits,
            rcode: self.rcode,
            counts: self.counts,
            body: &self.body,
            ttl_places: &self.ttl_places,
            pointer_places: &self.pointer_places,
            fetched_seconds: self.fetched_seconds,
            ttl_seconds: self.ttl_seconds,
            stale_seconds: self.stale_seconds,
        }
    }
}

/// Who asks others.
pub trait AskOthers: Send + Sync {
    /// Has a question asked and returns at once. `done` is called exactly once, from any thread and at the latest when the
    /// forwarder's own deadline is over: with the answer, a failure (SERVFAIL) or a refusal among them; with nothing where
    /// the client is to get none. It must not wait.
    fn ask(&self, question: ForeignQuestion, done: Done);
}

/// Is told what came of a question.
pub type Done = Box<dyn FnOnce(Option<Arc<KeptAnswer>>) + Send>;
