//! What the routes about forwarding show: nothing where nobody forwards, as the original does then too.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use serde::Serialize;

use crate::foreign::ForeignCache;
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

/// What was counted of forwarded queries, by name or by client.
pub(super) fn metrics() -> [(); 0] {
    []
}
