//! Answers to questions about names of others, out of the cache. A name that a zone of ours has is never looked up here: whoever
//! fills the cache keeps such names out of it, and takes them out when a zone comes.

mod clients;
mod foreign;
mod handover;
mod tail;

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use crate::answer::{Origin, Outcome};
use crate::cache::{CacheKey, CacheShelf, EntryBits, Found, Ttls};
use crate::cookie::Client;
use crate::locate::zone_of;
use crate::name::WireName;
use crate::query::{FLAG_AA, FLAG_AD, FLAG_CD, FLAG_RA, FLAG_RD, FLAG_TC, Query, QueryName};
use crate::rtype::{rcode, types};
use crate::rules::is_left_to_others;
use crate::snapshot::Snapshot;
use crate::writer::{QNAME_OFFSET, Writer, place_in_name};

pub use clients::{ClientLists, Denial, LOCAL_NETWORKS, Standing};
pub use foreign::{AskOthers, Done, ForeignQuestion, KeptAnswer};
pub use handover::Handover;
use tail::Tail;

/// The TTL of an answer that is stale and has been waited for, where the configuration has none (RFC 8767 section 5.2).
const STALE_TTL_SECONDS: u32 = 30;

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
    /// Who may ask for names of others; nothing: everybody.
    pub clients: Option<Arc<ClientLists>>,
    /// Whether the shelf is that of a [`Handover`]: what comes from it has been waited for, and does not count as recalled.
    pub is_handover: bool,
}

impl RecallConfig {
    /// The same with the shelf of a [`Handover`] in the place of the cache: for the server that serves those who have waited.
    #[must_use]
    pub fn on_shelf(&self, shelf: &Arc<CacheShelf>) -> Self {
        let stale_ttl_seconds = self.stale_ttl_seconds.or(Some(STALE_TTL_SECONDS));
        Self { shelf: Arc::clone(shelf), stale_ttl_seconds, is_handover: true, ..self.clone() }
    }
}

impl fmt::Debug for RecallConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecallConfig")
            .field("authoritative", &self.authoritative)
            .field("stale_ttl_seconds", &self.stale_ttl_seconds)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

/// Recalls answers for one worker.
pub(crate) struct Recall {
    /// How.
    config: RecallConfig,
    /// The time in seconds since 1970, as it was told last.
    now_seconds: u32,
    /// The flags that every answer has in its header.
    flags: u16,
    /// What an answer goes over that may turn out to be none.
    tail: Tail,
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

/// A name of others that the answer to a query depends on.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The query.
    pub query: &'a Query,
    /// Who sent it.
    pub client: Client,
    /// The type that is shown to nobody, or 0.
    pub hidden: u16,
    /// The name: the question's, or what an alias of ours leads to.
    pub name: &'a QueryName,
    /// Where it stands in the message.
    pub name_at: usize,
}

impl Recall {
    /// With nothing known yet of the time.
    pub(crate) fn new(config: &RecallConfig) -> Self {
        let clients = config.clients.clone().filter(|clients| !clients.is_open());
        let flags = FLAG_RA | if config.authoritative { FLAG_AA } else { 0 };
        Self { config: RecallConfig { clients, ..config.clone() }, now_seconds: 0, flags, tail: Tail::default() }
    }

    /// Tells the time in seconds since 1970.
    pub(crate) fn set_now(&mut self, seconds: u32) {
        self.now_seconds = seconds;
    }

    /// True where a client by IPv4 may ask for names of others.
    #[inline(always)]
    pub(crate) fn permits_ipv4(&self, client: [u8; 4]) -> bool {
        self.config.clients.as_ref().is_none_or(|clients| clients.permits_ipv4(client))
    }

    /// How a client stands that asks for names of others, and what it is told where it may not.
    fn standing(&self, client: Client) -> (Standing, Denial) {
        let Some(clients) = self.config.clients.as_deref() else { return (Standing::Permitted, Denial::default()) };
        let standing = match client {
            Client::Ipv4(client) => clients.standing_ipv4(client),
            Client::Ipv6(client) => clients.standing(IpAddr::from(client)),
        };
        (standing, clients.denial())
    }

    /// True where what comes from the shelf has been waited for.
    #[inline(always)]
    pub(crate) fn is_handover(&self) -> bool {
        self.config.is_handover
    }

    /// The answer for a key, if it may be given; notes the use. `query_flags` are those of the query's header.
    #[inline]
    pub(crate) fn find(&self, key: &CacheKey<'_>, query_flags: u16) -> Option<Recalled<'_>> {
        let recalled = self.judge(self.config.shelf.find(key)?, key.bits, query_flags)?;
        recalled.found.touch();
        Some(recalled)
    }

    /// The flags that every answer has in its header.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u16 {
        self.flags
    }

    /// The time in seconds since 1970, as it was told last.
    #[inline(always)]
    pub(crate) fn now_seconds(&self) -> u32 {
        self.now_seconds
    }

    /// The cache.
    #[inline(always)]
    pub(crate) fn shelf(&self) -> &CacheShelf {
        &self.config.shelf
    }

    /// An entry as an answer, if it may be given.
    #[inline(always)]
    pub(crate) fn judge<'a>(&self, found: Found<'a>, bits: EntryBits, query_flags: u16) -> Option<Recalled<'a>> {
        let head = &found.head;
        let ttls = if head.is_fresh(self.now_seconds) {
            Ttls::Aged(head.age_seconds(self.now_seconds))
        } else {
            let ttl = self.config.stale_ttl_seconds.filter(|_| head.is_stale_but_good(self.now_seconds))?;
            Ttls::Fixed(ttl)
        };
        // RFC 6840 section 5.8: AD is for those who show that they understand it.
        let wants_ad = bits.has(EntryBits::DNSSEC_OK) || query_flags & FLAG_AD != 0;
        let is_authentic = wants_ad && head.bits.has(EntryBits::AUTHENTIC);
        let is_truncated = head.bits.has(EntryBits::TRUNCATED);
        let flags = self.flags | if is_authentic { FLAG_AD } else { 0 } | if is_truncated { FLAG_TC } else { 0 };
        Some(Recalled { found, ttls, flags })
    }

    /// Keeps what a query has behind its question, where an answer from zones may turn out to depend on others; false where that
    /// is too long to be kept, and others are not to be asked.
    #[inline]
    pub(crate) fn keep_tail(&mut self, query: &Query, message: &[u8]) -> bool {
        self.tail.keep(query, message)
    }

    /// Makes the message again what it was.
    pub(crate) fn restore_tail(&self, query: &Query, message: &mut [u8]) {
        self.tail.restore(query, message);
    }

    /// Writes what is known of a name of others behind what has been written already. Where it does not fit, TC is set.
    pub(crate) fn answer(&self, wanted: Wanted<'_>, snapshot: &Snapshot, writer: &mut Writer<'_>) -> Outcome {
        let Wanted { query, client, hidden, name, name_at } = wanted;
        let is_alias = name_at != QNAME_OFFSET;
        let (standing, denial) = self.standing(client);
        if standing == Standing::Denied {
            // A client that gets an alias alone can go on from there by itself.
            return match denial {
                _ if is_alias => Outcome { origin: Origin::Denied, ..Outcome::new(rcode::NOERROR, 0) },
                Denial::Refuse => Outcome { origin: Origin::Denied, ..Outcome::new(rcode::REFUSED, 0) },
                Denial::Drop => Outcome { origin: Origin::Dropped, ..Outcome::default() },
            };
        }
        if hidden != 0 && query.qtype == hidden {
            return Outcome::new(rcode::NOERROR, FLAG_RA);
        }
        let bits = question_bits(query.flags, query.edns.is_some_and(|edns| edns.dnssec_ok));
        let name_hash = name.key(name.depth(), snapshot.seed());
        let key = CacheKey { name_hash, name: name.bytes(), qtype: query.qtype, bits };
        // What is kept is not for a client that is judged; what it has waited for is.
        let is_judged = standing == Standing::Judged && !self.config.is_handover;
        let known = if is_judged { None } else { self.append(&key, query.flags, name_at, writer) };
        let origin = if is_alias { Origin::ForwarderByAlias } else { Origin::Forwarder };
        known.unwrap_or(Outcome { origin, ..Outcome::default() })
    }

    /// Appends the answer for a name that stands at `name_at` of the message.
    fn append(&self, key: &CacheKey<'_>, query_flags: u16, name_at: usize, writer: &mut Writer<'_>) -> Option<Outcome> {
        let Recalled { found, ttls, flags } = self.find(key, query_flags)?;
        let head = found.head;
        let origin = if self.config.is_handover { Origin::Ours } else { Origin::Cache };
        let outcome = |flags| Some(Outcome { origin, ..Outcome::new(head.rcode, flags) });
        let Ok((message, to)) = writer.message_and_room(head.body_bytes.into()) else {
            return outcome(flags | FLAG_TC);
        };
        match name_at {
            QNAME_OFFSET => drop(found.put(to, ttls)?),
            _ => found.put_behind(to, ttls, |offset| place_in_name(message, name_at, offset))?,
        }
        writer.take(head.body_bytes.into(), [head.answers, head.authorities]);
        outcome(flags)
    }
}

/// True for a query whose client wants others to be asked where that is needed (RD, RFC 1035 section 4.1.1), whose type is one
/// of data, or ANY, and that comes when all zones of ours are known.
#[inline]
pub(crate) fn may_be_for_others(query: &Query, snapshot: &Snapshot) -> bool {
    query.flags & FLAG_RD != 0 && !matches!(query.qtype, 0 | types::OPT | 128..=254) && snapshot.knows_zones()
}

/// The hash of a name as everybody has it who looks names up beside a snapshot: [`CacheKey::name_hash`].
pub fn name_hash(snapshot: &Snapshot, name: &WireName) -> u64 {
    let taken = taken(name);
    taken.key(taken.depth(), snapshot.seed())
}

/// True for a name that is one of others: it is in no zone of ours, or all zones that it is in leave it to others because they
/// do not have it. Nobody else's answers for any other name are to be asked for or kept.
pub fn is_foreign(snapshot: &Snapshot, name: &WireName, qtype: u16) -> bool {
    let taken = taken(name);
    is_left_to_others(snapshot, &taken, zone_of(snapshot, &taken, qtype))
}

/// A name taken apart.
fn taken(name: &WireName) -> QueryName {
    let mut taken = QueryName::default();
    // A name is a name: it is taken.
    let _ = taken.take(name.as_bytes());
    taken
}

/// DO and CD of a query.
#[inline(always)]
pub(crate) fn question_bits(flags: u16, dnssec_ok: bool) -> EntryBits {
    EntryBits::DNSSEC_OK.when(dnssec_ok).and(EntryBits::CHECKING_DISABLED.when(flags & FLAG_CD != 0))
}
