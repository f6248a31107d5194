//! Answers to questions about names of others, out of the cache. A name that a zone of ours has is never looked up here: whoever
//! fills the cache keeps such names out of it, and takes them out when a zone comes.

mod clients;
mod foreign;

use core::fmt;
use std::sync::Arc;

use crate::answer::Outcome;
use crate::cache::{CacheKey, CacheShelf, EntryBits, Found, Ttls};
use crate::name::WireName;
use crate::query::{FLAG_AA, FLAG_AD, FLAG_CD, FLAG_RA, FLAG_TC, Query, QueryName};
use crate::snapshot::Snapshot;
use crate::writer::{QNAME_OFFSET, Writer};

pub use clients::{ClientLists, Denial, LOCAL_NETWORKS};
pub use foreign::{AskOthers, Done, ForeignQuestion, KeptAnswer};

/// How names of others are answered.
#[derive(Clone)]
pub struct RecallConfig {
    /// The cache.
    pub shelf: Arc<CacheShelf>,
    /// Whether cached answers have AA set, as CoreDNS has it for the sake of old clients.
    pub authoritative: bool,
    /// The TTL in seconds with which an answer that is stale is given at once (RFC 8767 section 4); nothing: it is asked for anew,
    /// and the forwarder decides.
    pub stale_ttl_seconds: Option<u32>,
}

impl fmt::Debug for RecallConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecallConfig").field("authoritative", &self.authoritative).finish_non_exhaustive()
    }
}

/// Recalls answers for one worker.
pub(crate) struct Recall {
    /// How.
    config: RecallConfig,
    /// The time in seconds since 1970, as it was told last.
    now_seconds: u32,
}

/// An answer that can be given.
#[derive(Clone, Copy)]
pub(crate) struct Recalled<'a> {
    /// The entry.
    pub found: Found<'a>,
    /// What its TTLs become.
    pub ttls: Ttls,
    /// Flags of the header.
    pub flags: u16,
}

impl Recall {
    /// With nothing known yet of the time.
    pub(crate) fn new(config: &RecallConfig) -> Self {
        Self { config: config.clone(), now_seconds: 0 }
    }

    /// Tells the time in seconds since 1970.
    pub(crate) fn set_now(&mut self, seconds: u32) {
        self.now_seconds = seconds;
    }

    /// The answer for a key, if it may be given; notes the use. `query_flags` are those of the query's header.
    #[inline]
    pub(crate) fn find(&self, key: &CacheKey<'_>, query_flags: u16) -> Option<Recalled<'_>> {
        let found = self.config.shelf.find(key)?;
        let head = &found.head;
        let ttls = if head.is_fresh(self.now_seconds) {
            Ttls::Aged(head.age_seconds(self.now_seconds))
        } else {
            let ttl = self.config.stale_ttl_seconds.filter(|_| head.is_stale_but_good(self.now_seconds))?;
            Ttls::Fixed(ttl)
        };
        found.touch();
        // RFC 6840 section 5.8: AD is for those who show that they understand it.
        let wants_ad = key.bits.has(EntryBits::DNSSEC_OK) || query_flags & FLAG_AD != 0;
        let is_authentic = wants_ad && head.bits.has(EntryBits::AUTHENTIC);
        let flags = [(true, FLAG_RA), (self.config.authoritative, FLAG_AA), (is_authentic, FLAG_AD)];
        let flags = flags.iter().filter(|(holds, _)| *holds).fold(0, |all, (_, flag)| all | flag);
        Some(Recalled { found, ttls, flags })
    }

    /// Writes the answer to a query, if there is one to be given.
    pub(crate) fn answer(&self, query: &Query, snapshot: &Snapshot, writer: &mut Writer<'_>) -> Option<Outcome> {
        let name = &query.name;
        let bits = question_bits(query.flags, query.edns.is_some_and(|edns| edns.dnssec_ok));
        let name_hash = name.key(name.depth(), snapshot.seed());
        let key = CacheKey { name_hash, name: name.bytes(), qtype: query.qtype, bits };
        self.append(&key, query.flags, QNAME_OFFSET, writer)
    }

    /// Appends the answer for a name that stands whole at `name_at` of the message. Where it does not fit, TC is set.
    pub(crate) fn append(
        &self,
        key: &CacheKey<'_>,
        query_flags: u16,
        name_at: usize,
        writer: &mut Writer<'_>,
    ) -> Option<Outcome> {
        let Recalled { found, ttls, flags } = self.find(key, query_flags)?;
        let head = found.head;
        let Ok(to) = writer.room(head.body_bytes.into()) else {
            return Some(Outcome::new(head.rcode, flags | FLAG_TC));
        };
        match name_at {
            QNAME_OFFSET => drop(found.put(to, ttls)?),
            _ => found.put_behind(to, ttls, name_at)?,
        }
        writer.take(head.body_bytes.into(), [head.answers, head.authorities]);
        Some(Outcome::new(head.rcode, flags))
    }
}

/// The hash of a name as everybody has it who looks names up beside a snapshot: [`CacheKey::name_hash`].
pub fn name_hash(snapshot: &Snapshot, name: &WireName) -> u64 {
    let mut taken = QueryName::default();
    // A name is a name: it is taken.
    let _ = taken.take(name.as_bytes());
    taken.key(taken.depth(), snapshot.seed())
}

/// DO and CD of a query.
#[inline(always)]
pub(crate) fn question_bits(flags: u16, dnssec_ok: bool) -> EntryBits {
    EntryBits::DNSSEC_OK.when(dnssec_ok).and(EntryBits::CHECKING_DISABLED.when(flags & FLAG_CD != 0))
}
