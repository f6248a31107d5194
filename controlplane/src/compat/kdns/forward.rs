//! What the routes about forwarding show: nothing where nobody forwards, as the original does then too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use serde::Serialize;

use crate::foreign::{Asked, AskedClient, AskedName, ForeignCache};
use crate::stats::rfc3339;

/// Entries that are asked for at once: they come with their records, which are not shown here.
const PAGE_ENTRIES: usize = 10_000;

/// An answer that is kept from a forwarded query.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cached {
    /// The name that was asked for, in lower case, with its dot.
    domain: String,
    /// The type that was asked for.
    #[serde(rename = "Type")]
    rtype: u16,
    /// Until when it is given again, as `YYYY-mm-dd HH:MM:SS` in UTC.
    expired_time: String,
}

/// Every answer that is kept. The original has one for a name and a type; where there are more here, for clients that want
/// signatures too, that which lasts longest is shown.
pub(super) async fn cached(cache: Option<&Arc<dyn ForeignCache>>) -> Vec<Cached> {
    let Some(cache) = cache.cloned() else { return Vec::new() };
    tokio::task::spawn_blocking(move || all(&*cache)).await.unwrap_or_default()
}

/// See [`cached`].
fn all(cache: &dyn ForeignCache) -> Vec<Cached> {
    let mut ends: BTreeMap<(WireName, u16), i64> = BTreeMap::new();
    let mut skipped = 0;
    loop {
        let page = cache.entries(None, skipped, PAGE_ENTRIES);
        skipped += page.len();
        let is_last = page.len() < PAGE_ENTRIES;
        for entry in page {
            let end = ends.entry((entry.name, entry.qtype)).or_insert(entry.ends_seconds);
            *end = entry.ends_seconds.max(*end);
        }
        if is_last {
            break;
        }
    }
    let shown = |((name, rtype), end): ((WireName, u16), i64)| Cached {
        domain: name.to_string(),
        rtype,
        expired_time: rfc3339(u64::try_from(end).unwrap_or(0)).replace('T', " ").replace('Z', ""),
    };
    ends.into_iter().map(shown).collect()
}

/// Forgets all of them.
pub(super) async fn forget(cache: Option<&Arc<dyn ForeignCache>>) {
    if let Some(cache) = cache.cloned() {
        // It has failed only where the program ends, and the cache with it.
        let _ = tokio::task::spawn_blocking(move || cache.flush(None, None)).await;
    }
}

/// Questions for a name of others. Numbers are reals, as in the original.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfName {
    /// The name, in lower case, with its dot.
    domain: String,
    /// How often it was asked for.
    query_num: f64,
    /// The first time, in microseconds since 1970.
    first_query_time: f64,
    /// The last time.
    last_query_time: f64,
    /// The shortest time that an answer took, in microseconds, in the ten minutes before.
    min_time: f64,
    /// The longest.
    max_time: f64,
    /// All of them.
    sum_time: f64,
    /// How many took up to 10, 100 and 1000 microseconds, and how many longer.
    #[serde(flatten)]
    metrics: Metrics,
}

/// How many answers took how long.
#[derive(Debug, PartialEq, Serialize)]
struct Metrics {
    /// Up to 10 microseconds.
    metrics1: f64,
    /// Up to 100.
    metrics2: f64,
    /// Up to 1000.
    metrics3: f64,
    /// Longer.
    metrics4: f64,
}

/// Questions of a client for a name of others.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfClient {
    /// The name, in lower case, with its dot.
    domain: String,
    /// This server.
    host: String,
    /// How often the client asked.
    query_num: f64,
    /// The first time, in microseconds since 1970.
    first_query_time: f64,
    /// The last time.
    last_query_time: f64,
    /// The client's address as it lies in memory, read as a number with a sign; 0 for IPv6, which the original does not have.
    #[serde(rename = "SourceIP")]
    source_ip: i32,
    /// The address of a client by IPv6.
    #[serde(rename = "SourceIPv6", skip_serializing_if = "Option::is_none")]
    source_ipv6: Option<Ipv6Addr>,
}

/// What was counted when it was last looked at. It is copied: many names are a matter of milliseconds.
async fn asked(cache: Option<&Arc<dyn ForeignCache>>) -> Asked {
    let Some(cache) = cache.cloned() else { return Asked::default() };
    tokio::task::spawn_blocking(move || cache.askers()).await.unwrap_or_default()
}

/// Questions by name.
pub(super) async fn names(cache: Option<&Arc<dyn ForeignCache>>) -> Vec<OfName> {
    let mut names = asked(cache).await.names;
    names.sort_by(|one, other| one.name.cmp(&other.name));
    names.into_iter().map(OfName::from).collect()
}

/// Questions by name and client.
pub(super) async fn clients(cache: Option<&Arc<dyn ForeignCache>>, host: &str) -> Vec<OfClient> {
    let mut clients = asked(cache).await.clients;
    clients.sort_by(|one, other| (&one.name, one.client).cmp(&(&other.name, other.client)));
    clients.into_iter().map(|asked| OfClient::new(asked, host)).collect()
}

/// A number as the original writes it; beyond 2^53 the last digits are lost, as there.
fn real(number: u64) -> f64 {
    number as f64
}

impl From<AskedName> for OfName {
    fn from(AskedName { name, times, took }: AskedName) -> Self {
        let [metrics1, metrics2, metrics3, metrics4] = took.buckets.map(real);
        Self {
            domain: name.to_string(),
            query_num: real(times.queries),
            first_query_time: real(times.first_us),
            last_query_time: real(times.last_us),
            min_time: real(took.min_us),
            max_time: real(took.max_us),
            sum_time: real(took.sum_us),
            metrics: Metrics { metrics1, metrics2, metrics3, metrics4 },
        }
    }
}

impl OfClient {
    /// As it is shown.
    fn new(AskedClient { name, client, times }: AskedClient, host: &str) -> Self {
        let (source_ip, source_ipv6) = match client.to_canonical() {
            // On the machines of the original the first byte is the lowest.
            IpAddr::V4(client) => (i32::from_le_bytes(client.octets()), None),
            IpAddr::V6(client) => (0, Some(client)),
        };
        Self {
            domain: name.to_string(),
            host: host.to_owned(),
            query_num: real(times.queries),
            first_query_time: real(times.first_us),
            last_query_time: real(times.last_us),
            source_ip,
            source_ipv6,
        }
    }
}
