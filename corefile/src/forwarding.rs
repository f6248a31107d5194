//! What a Corefile or a ConfigMap says of names that are asked of others: upstreams, suffixes of their own, the cache.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fault::Place;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Who is asked, by suffix.
    pub rules: Vec<ForwardRule>,
    /// What is kept of the answers.
    pub caches: Vec<CacheRule>,
}

/// Who is asked for names of some zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardRule {
    /// Where it is said.
    pub place: Place,
    /// The zones; "." is all names.
    pub zones: Vec<String>,
    /// Zones in them that are not asked for.
    pub except: Vec<String>,
    /// Who is asked.
    pub upstreams: Vec<Upstream>,
    /// How one of them is picked.
    pub policy: Policy,
    /// How they are asked.
    pub transport: Transport,
    /// Queries under way at most; 0: as many as come.
    pub concurrent_max: u32,
    /// Failures after which an upstream is down; 0: it never is.
    pub fails_max: u32,
    /// Where all are down, SERVFAIL rather than trying one.
    pub fails_fast: bool,
    /// Milliseconds between two health checks.
    pub health_check_ms: u64,
    /// Milliseconds for which an idle connection is kept.
    pub expire_ms: u64,
    /// Response codes for which the next plugin, or the next upstream, is asked.
    pub next_rcodes: Vec<String>,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A server over UDP and TCP.
    Address(SocketAddr),
    /// The name servers of a file in the form of resolv.conf.
    ResolvConf(PathBuf),
    /// A server over TLS, with the name that its certificate must be of.
    Tls(SocketAddr, Option<String>),
    /// A server over HTTPS.
    Https(String),
    /// A server by name and port, over UDP and TCP or with its scheme, or a word that another program was to replace.
    Name(String),
}

/// How one of several upstreams is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// By chance.
    #[default]
    Random,
    /// By turns.
    RoundRobin,
    /// The first that is up.
    Sequential,
}

/// How upstreams are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// As the client asked.
    #[default]
    AsClient,
    /// Over TCP.
    Tcp,
    /// Over UDP first.
    Udp,
}

/// What is kept of answers for names of some zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// Where it is said.
    pub place: Place,
    /// The zones; "." is all names.
    pub zones: Vec<String>,
    /// Answers with records.
    pub success: CacheLimits,
    /// Answers without.
    pub denial: CacheLimits,
    /// Zones whose answers with records are not kept.
    pub no_success: Vec<String>,
    /// Zones whose answers without records are not kept.
    pub no_denial: Vec<String>,
    /// Seconds for which SERVFAIL is kept.
    pub servfail_seconds: u64,
    /// Seconds for which an answer that is over its time is given; 0: it is not.
    pub stale_seconds: u64,
    /// Upstreams are asked before it is given.
    pub stale_verifies: bool,
    /// How often an answer must have been asked for to be fetched again before its time is over; 0: none is.
    pub prefetch: u32,
    /// TTLs are not counted down.
    pub keeps_ttl: bool,
}

/// How much is kept for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Answers.
    pub entries: u64,
    /// Longest time in seconds.
    pub ttl_max: u64,
    /// Shortest time in seconds.
    pub ttl_min: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { entries: 9984, ttl_max: 3600, ttl_min: 5 }
    }
}

impl Forwarding {
    /// True where nothing is said.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.caches.is_empty()
    }
}
