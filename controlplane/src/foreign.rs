//! Names of others as people see them: what is kept of answers, and who is asked. Others forward; this is what they show of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::RecallConfig;

use crate::config::forward::UpstreamConfig;
use crate::suffixes::StubZones;

/// Shows the cache of names of others, and empties it. Calls may take as long as it takes to walk over all entries.
pub trait ForeignCache: fmt::Debug + Send + Sync {
    /// Entries of names at and below one, the oldest first: those behind the first `skipped`, `count` at most.
    fn entries(&self, below: Option<&WireName>, skipped: usize, count: usize) -> Vec<CacheEntry>;

    /// Removes entries: of names at and below one, of one type. Gives their number.
    fn flush(&self, below: Option<&WireName>, qtype: Option<u16>) -> usize;

    /// The upstreams of all zones of others, in the order of the zones.
    fn upstreams(&self) -> Vec<Upstream>;

    /// Has others asked for stub zones: for these, and for none beside them.
    fn set_stub_zones(&self, zones: &StubZones);

    /// Removes all entries of one name, but not of those below it. Gives their number.
    fn forget(&self, name: &WireName) -> usize;

    /// What was counted so far. Takes no walk.
    fn totals(&self) -> ForeignTotals;

    /// How answers are given from the cache; nothing where there is none that could be looked into.
    fn recall(&self) -> Option<RecallConfig>;

    /// The longest TTL in seconds with which answers are kept from now on.
    fn ttl_seconds_max(&self) -> u32;

    /// Sets it, until the configuration is read again.
    fn set_ttl_seconds_max(&self, seconds: u32);

    /// Has questions counted by name and by client from now on: nobody pays for that unless it is shown.
    fn count_askers(&self);

    /// What was counted so, as it was last looked at: see [`Asked`].
    fn askers(&self) -> Asked;
}

/// What came of questions that the cache could not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignTotals {
    /// Entries of the cache.
    pub entries: u64,
    /// Queries for which others were asked, those that waited for the same question among them.
    pub forwarded: u64,
}

/// Queries of ports that wait for others, as who keeps them counts them.
pub trait Waits: fmt::Debug + Send + Sync {
    /// The answers that were sent to them.
    fn served(&self) -> &Counters;

    /// Those of them that were to get no answer, or for which there was no room.
    fn lost(&self) -> u64;
}

/// Questions by name, and by name and client. They are looked at every ten minutes: what is shown is from then, and nothing before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// By name.
    pub names: Vec<AskedName>,
    /// By name and client.
    pub clients: Vec<AskedClient>,
}

/// How often something was asked, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedTimes {
    /// How often.
    pub queries: u64,
    /// The first time, in microseconds since 1970.
    pub first_us: u64,
    /// The last time.
    pub last_us: u64,
}

/// Questions for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedName {
    /// The name, in lower case.
    pub name: WireName,
    /// How often it was asked for.
    pub times: AskedTimes,
    /// How long answers took since the look before.
    pub took: Took,
}

/// Questions of a client for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedClient {
    /// The name, in lower case.
    pub name: WireName,
    /// The client.
    pub client: IpAddr,
    /// How often it asked.
    pub times: AskedTimes,
}

/// How long something took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// The shortest time; 0 where there is none.
    pub min_us: u64,
    /// The longest.
    pub max_us: u64,
    /// All of them together.
    pub sum_us: u64,
    /// How many took up to [`TOOK_BOUNDS_US`], and how many longer.
    pub buckets: [u64; 4],
}

/// Upper bounds of what is counted apart, in microseconds, as kdns has them.
pub const TOOK_BOUNDS_US: [u64; 3] = [10, 100, 1000];

/// An entry of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The name, in lower case.
    pub name: WireName,
    /// The type that was asked for.
    pub qtype: u16,
    /// It is for queries with DO, which get signatures too.
    pub dnssec_ok: bool,
    /// It is for queries with CD.
    pub checking_disabled: bool,
    /// The response code.
    pub rcode: u16,
    /// Seconds since 1970 until which it is answered.
    pub ends_seconds: i64,
    /// Seconds that it may still be answered; less than 0 where its time is over.
    pub seconds_left: i64,
    /// For how long it may be answered stale after that.
    pub stale_seconds: u32,
    /// How often it was used of late, up to 15.
    pub uses: u8,
    /// The records of the answer section.
    pub records: Vec<CachedRecord>,
    /// The records of the authority section: denials have theirs there.
    pub authority: Vec<CachedRecord>,
}

/// A record of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedRecord {
    /// Its owner.
    pub owner: WireName,
    /// Its type.
    pub rtype: u16,
    /// What is left of its TTL in seconds.
    pub ttl: u32,
    /// Its rdata.
    pub rdata: Vec<u8>,
}

/// An upstream of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The zone that it is asked for.
    pub zone: WireName,
    /// As it is written in the configuration.
    pub name: String,
    /// Where it is; at no address where that is not known.
    pub config: UpstreamConfig,
    /// The name that its address was asked for, where it was, and why it is not known.
    pub host: Option<(WireName, Option<String>)>,
    /// It is used.
    pub is_up: bool,
    /// It leads back to this server.
    pub is_loop: bool,
    /// How long it takes to answer, by and large; nothing before its first answer.
    pub latency: Option<Duration>,
    /// The time in which it gives 95 of 100 answers.
    pub p95: Option<Duration>,
    /// Connections that are open.
    pub connections: usize,
    /// Exchanges that were begun.
    pub asked: u64,
    /// Those of them that had an answer.
    pub answered: u64,
    /// Failures since the last answer.
    pub failures_in_row: u32,
    /// Exchanges that had no answer, by reason.
    pub failures: Vec<(&'static str, u64)>,
}

impl Upstream {
    /// Its address, if that is known.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(self.config.address()).filter(|address| !address.ip().is_unspecified())
    }

    /// How it is spoken to.
    pub fn transport(&self) -> &'static str {
        match &self.config {
            UpstreamConfig::Plain(_) => "udp",
            UpstreamConfig::Tls { .. } => "tls",
            UpstreamConfig::Https { .. } => "https",
        }
    }
}
