//! `[forward]`, `[[forward.zone]]`, `[cache]`, `[policy]`: who is asked for names that are not served here, what is kept of the
//! answers, and what is decided before anybody is asked.

mod cache;
mod change;
mod keep;
mod named;
mod own;
mod policy;
mod read;
pub mod resolv_conf;
pub mod spec;
#[cfg(test)]
mod tests;
mod upstream;
mod words;
mod zone;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ringdns_engine::name::WireName;

pub use named::NamedUpstream;
pub(super) use policy::policy;
pub use policy::{BlockAnswer, BlockFile, BlockFormat, HostsEntry, NAME_RECORDS_MAX, PolicyConfig};
pub(super) use read::{Tables, forward};

/// How names of others are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardConfig {
    /// Who is asked for which names: the longest zone that a name is in decides. The root's, if any, is the default.
    pub zones: Vec<ForwardZone>,
    /// How those are asked for that come while RingDNS runs, which bring their own names and upstreams.
    pub common: ForwardZone,
    /// From the query's arrival to its answer at most; below what clients wait for.
    pub deadline: Duration,
    /// Questions under way at most.
    pub questions_max: usize,
    /// Questions under way of one client's prefix at most.
    pub questions_per_client_max: usize,
    /// Questions of one client's prefix in a second at most; 0: as many as come.
    pub questions_per_client_per_second: u32,
    /// What who comes on top of that is told.
    pub overload: Overload,
    /// A second upstream is asked where the first has not answered after the time in which it answers most questions, but not
    /// before this; nothing: only after a failure.
    pub hedge_after_min: Option<Duration>,
    /// Where the server itself answers: these are no upstreams.
    pub own: Vec<SocketAddr>,
    /// The client's subnet is told to upstreams (RFC 7871): prefix bits of IPv4 and IPv6; nothing: it is not.
    pub client_subnet: Option<(u8, u8)>,
    /// Names with fewer labels are not asked for (SkyDNS's `ndots`): SERVFAIL.
    pub labels_min: u8,
    /// What is kept.
    pub cache: CacheConfig,
}

/// What a client is told whose question is one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overload {
    /// REFUSED, as CoreDNS has it: the client asks another server.
    #[default]
    Refused,
    /// SERVFAIL.
    Servfail,
    /// Nothing.
    Drop,
}

/// Who is asked for the names of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardZone {
    /// The zone; the root's is for all names.
    pub zone: WireName,
    /// Zones below it that are not asked for: REFUSED.
    pub except: Vec<WireName>,
    /// Whether and how it is asked.
    pub mode: ForwardMode,
    /// Who is asked, at least one but where the mode is `Disable`, or where `named` or `resolv_conf` says it.
    pub upstreams: Vec<UpstreamConfig>,
    /// Those among them whose addresses have to be asked for.
    pub named: Vec<NamedUpstream>,
    /// A file in the form of resolv.conf whose name servers are asked, read again when it changes.
    pub resolv_conf: Option<PathBuf>,
    /// Who of them comes first.
    pub policy: ForwardPolicy,
    /// UDP first and TCP where the answer is cut off, or TCP only.
    pub tcp_only: bool,
    /// One try's time at most.
    pub try_time: Duration,
    /// Failures in a row after which an upstream is down; 0: it never is.
    pub failures_max: u32,
    /// Where all are down: SERVFAIL (or what is stale) at once, rather than trying one.
    pub fail_fast: bool,
    /// Between two probes of an upstream that is down.
    pub probe_interval: Duration,
    /// Response codes for which the next upstream is asked.
    pub next_rcodes: Vec<u16>,
    /// AD of these upstreams is believed.
    pub trusts_ad: bool,
    /// What is kept of their answers, where it is other than for all names.
    pub keep: KeepConfig,
}

/// Whether names of a zone are asked for (kdns's `fwd-mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardMode {
    /// Not at all: REFUSED.
    Disable,
    /// Each time.
    Direct,
    /// And kept.
    #[default]
    Cache,
}

/// Who of several upstreams is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardPolicy {
    /// The one that answers fastest, now and then another, so that this is known.
    #[default]
    Fastest,
    /// The first that is up.
    Sequential,
    /// By turns.
    RoundRobin,
    /// By chance.
    Random,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamConfig {
    /// Over UDP and TCP.
    Plain(SocketAddr),
    /// Over TLS (RFC 7858): whose certificate must be for the name, or for the address where none is given.
    Tls {
        /// Where; port 853 by default.
        address: SocketAddr,
        /// The name of its certificate.
        name: Option<String>,
        /// A file of the certificates (PEM) that its certificate must come from; nothing: the system's.
        ca_file: Option<PathBuf>,
    },
    /// Over HTTPS (RFC 8484).
    Https {
        /// Where; port 443 by default.
        address: SocketAddr,
        /// The host of the URL and of the certificate.
        name: String,
        /// The path of the URL.
        path: String,
        /// As for TLS.
        ca_file: Option<PathBuf>,
    },
}

/// The cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes in all; allocated at the start.
    pub bytes: usize,
    /// What is kept for how long, where a zone does not say otherwise.
    pub keep: KeepConfig,
    /// For how long SERVFAIL and no answer are kept (RFC 9520 section 3.2: 1 s to 5 min); it grows while failures go on.
    pub failure_ttl: Duration,
    /// Answers have AA set, as CoreDNS has it.
    pub authoritative: bool,
    /// Written now and then and at the end, and read at the start; nothing: a restart begins with an empty cache.
    pub file: Option<PathBuf>,
    /// Between two times that it is written; 0: at the end only.
    pub file_interval: Duration,
}

/// What is kept of answers, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepConfig {
    /// Shortest and longest TTL of answers with records, in seconds.
    pub positive_ttl: (u32, u32),
    /// The same of NXDOMAIN and NODATA; (0, 0): they are not kept.
    pub negative_ttl: (u32, u32),
    /// TTLs are shown as they were fetched.
    pub keeps_ttl: bool,
    /// Whether and how answers are given whose time is over.
    pub stale: StaleConfig,
    /// Answers that were used so often are fetched again when less than a part of their time is left; 0: none.
    pub prefetch_uses: u8,
    /// That part, in percent.
    pub prefetch_percent: u8,
}

/// Answers whose time is over (RFC 8767).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleConfig {
    /// For how long they are given; 0: never.
    pub seconds: u32,
    /// Their TTL (RFC 8767 section 5.2: 30).
    pub ttl_seconds: u32,
    /// When they are given.
    pub when: StaleWhen,
    /// A positive answer whose time is over beats a negative one, or a failure, that is fresh.
    pub prefers_positive: bool,
    /// After a failure upstreams are not asked again for so long.
    pub recheck: Duration,
}

/// When stale answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleWhen {
    /// At once, while the answer is fetched again (CoreDNS's `immediate`).
    AtOnce,
    /// When nothing has come after so long, or the upstreams have failed (RFC 8767 section 5: 1.8 s).
    After(Duration),
}
