//! Names of others over the API: what the cache has, what is to be forgotten, and the upstreams.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringdns_engine::name::WireName;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::ApiError;
use super::read::limit;
use super::request::{Parameters, Request};
use super::route::Endpoint;
use super::{Context, body};
use crate::config::Permission;
use crate::foreign::{CacheEntry, CachedRecord, ForeignCache, Upstream};
use crate::metrics::rcode_name;
use crate::text::{rdata, rtype};

/// Answers what is about names of others.
pub(super) async fn answer(context: &Context, request: &Request<'_>) -> Result<Answer, ApiError> {
    let value = match request.endpoint {
        Endpoint::ListCache => list(context, request).await?,
        Endpoint::FlushCache => flush(context, request).await?,
        Endpoint::ListUpstreams => upstreams(context, request).await?,
        _ => return Err(ApiError::route_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// Who forwards, if anybody does.
fn forwarder(context: &Context) -> Result<Arc<dyn ForeignCache>, ApiError> {
    let not_forwarding = || {
        ApiError::new(404, "not_forwarding", "names of others are not asked for, so there is no cache")
            .remedy("write [forward] with its upstreams into the configuration, and restart")
    };
    context.state.foreign.get().cloned().ok_or_else(not_forwarding)
}

/// Does what may take long where it delays no other request.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::new(500, "internal", error.to_string()))
}

/// The name that is asked for, where the caller may do this at and below it; without one that is all names.
fn below(request: &Request<'_>, parameters: &Parameters, permission: Permission) -> Result<Option<WireName>, ApiError> {
    let in_name = |error: ApiError| ApiError { field: Some("name".to_owned()), ..error };
    let below = parameters.get("name").map(body::apex).transpose().map_err(in_name)?;
    request.caller.check(permission, below.as_ref().unwrap_or(&WireName::root()))?;
    Ok(below)
}

/// A page of the cache.
async fn list(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    let parameters = Parameters::parse(request.query, &["name", "skip", "limit"])?;
    let limit = limit(&parameters)?;
    let skip = match parameters.get("skip") {
        None => 0,
        Some(text) => {
            let error = || ApiError::invalid("skip", "out_of_bounds", format!("\"{text}\" is no number of entries"));
            text.parse::<u32>().map_err(|_| error())? as usize
        }
    };
    let below = below(request, &parameters, Permission::Read)?;
    let forwarder = forwarder(context)?;
    let mut found = beside(move || forwarder.entries(below.as_ref(), skip, limit + 1)).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = has_more.then(|| {
        let name = parameters.get("name").map(|name| format!("&name={}", utf8_percent_encode(name, NON_ALPHANUMERIC)));
        format!("/api/v1/cache?limit={limit}&skip={}{}", skip + limit, name.unwrap_or_default())
    });
    Ok(json!({ "entries": found.iter().map(shown).collect::<Vec<_>>(), "next": next }))
}

/// Forgets entries.
async fn flush(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    let parameters = Parameters::parse(request.query, &["name", "type"])?;
    let below = below(request, &parameters, Permission::Write)?;
    let qtype = parameters.get("type").map(body::rtype).transpose()?;
    let forwarder = forwarder(context)?;
    let (name, token) = (below.as_ref().map(WireName::to_string), request.caller.name().to_owned());
    let removed = beside(move || forwarder.flush(below.as_ref(), qtype)).await?;
    tracing::info!(name, token, removed, "entries of the cache were removed by hand");
    Ok(json!({ "removed": removed }))
}

/// The upstreams of zones that the caller may see.
async fn upstreams(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    Parameters::parse(request.query, &[])?;
    let forwarder = forwarder(context)?;
    let all = beside(move || forwarder.upstreams()).await?;
    let seen = all.iter().filter(|upstream| request.caller.may(Permission::Read, &upstream.zone));
    Ok(json!({ "upstreams": seen.map(upstream).collect::<Vec<_>>() }))
}

/// An entry as JSON.
fn shown(entry: &CacheEntry) -> Value {
    let lines = |records: &[CachedRecord]| records.iter().map(line).collect::<Vec<_>>();
    json!({
        "name": entry.name.to_string(),
        "type": rtype::show(entry.qtype),
        "rcode": rcode_name(entry.rcode),
        "seconds_left": entry.seconds_left,
        "stale_seconds": entry.stale_seconds,
        "uses": entry.uses,
        "dnssec_ok": entry.dnssec_ok,
        "checking_disabled": entry.checking_disabled,
        "records": lines(&entry.records),
        "authority": lines(&entry.authority),
    })
}

/// A record as a zone file has it.
fn line(record: &CachedRecord) -> String {
    let CachedRecord { owner, rtype, ttl, rdata } = record;
    format!("{owner} {ttl} IN {} {}", rtype::show(*rtype), rdata::show(*rtype, rdata))
}

/// An upstream as JSON.
fn upstream(upstream: &Upstream) -> Value {
    let failures: BTreeMap<&str, u64> = upstream.failures.iter().copied().filter(|(_, count)| *count > 0).collect();
    json!({
        "zone": upstream.zone.to_string(),
        "name": upstream.name,
        "address": upstream.address().map(|address| address.to_string()),
        "host": upstream.host.as_ref().map(|(host, _)| host.to_string()),
        "host_error": upstream.host.as_ref().and_then(|(_, error)| error.as_deref()),
        "transport": upstream.transport(),
        "up": upstream.is_up,
        "loop": upstream.is_loop,
        "latency_seconds": upstream.latency.map(|time| time.as_secs_f64()),
        "p95_seconds": upstream.p95.map(|time| time.as_secs_f64()),
        "connections": upstream.connections,
        "asked": upstream.asked,
        "answered": upstream.answered,
        "failures_in_row": upstream.failures_in_row,
        "failed": failures.values().sum::<u64>(),
        "failures": failures,
    })
}
