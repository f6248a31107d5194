//! What was asked for, over the API: in total and by name.

use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::tally::NameCount;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::ApiError;
use super::request::{Parameters, Request};
use super::route::Endpoint;
use super::{Context, body};
use crate::config::Permission;
use crate::stats::{TOP_MAX, Totals};

/// Names of a list, unless the request says how many.
const TOP_DEFAULT: usize = 10;

/// Answers what reads statistics.
pub(super) async fn answer(context: &Context, request: &Request<'_>) -> Result<Answer, ApiError> {
    let value = match (request.endpoint, request.parameters.as_slice()) {
        (Endpoint::Stats, _) => totals(context, request)?,
        (Endpoint::TopNames, _) => top(context, request).await?,
        (_, [name]) => one(context, request, name)?,
        _ => return Err(ApiError::route_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// The numbers over all workers and sockets.
fn totals(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    Parameters::parse(request.query, &[])?;
    let Totals { queries, nxdomain, nodata, truncated, .. } = context.stats.totals();
    let counts_names = context.stats.counts_names();
    let nodata = counts_names.then_some(nodata);
    Ok(json!({
        "queries": queries, "nxdomain": nxdomain, "nodata": nodata, "truncated": truncated, "names_counted": counts_names
    }))
}

/// The names that were asked for most, of those that the caller may see.
async fn top(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    let parameters = Parameters::parse(request.query, &["top"])?;
    let count =
        match parameters.get("top") {
            None => TOP_DEFAULT,
            Some(text) => text.parse().ok().filter(|count| (1..=TOP_MAX).contains(count)).ok_or_else(|| {
                ApiError::invalid("top", "out_of_bounds", format!("it is no number from 1 to {TOP_MAX}"))
            })?,
        };
    counted(context)?;
    let stats = Arc::clone(&context.stats);
    let top = tokio::task::spawn_blocking(move || stats.top()).await;
    let top = top.map_err(|error| ApiError::new(500, "internal", error.to_string()))?;
    let seen = top.iter().filter(|count| request.caller.may(Permission::Read, &count.name));
    Ok(json!({ "names": seen.take(count).map(shown).collect::<Vec<_>>() }))
}

/// How often one name was asked for.
fn one(context: &Context, request: &Request<'_>, text: &str) -> Result<Value, ApiError> {
    Parameters::parse(request.query, &[])?;
    let name: WireName = body::apex(text)?.to_lowercase();
    request.caller.check(Permission::Read, &name)?;
    counted(context)?;
    let count = context.stats.name(&name);
    let unknown = || ApiError::new(404, "name_not_counted", format!("no query for {name} is among those counted"));
    Ok(shown(&count.ok_or_else(unknown)?))
}

/// Refuses where names are not counted.
fn counted(context: &Context) -> Result<(), ApiError> {
    if context.stats.counts_names() {
        return Ok(());
    }
    Err(ApiError::new(404, "names_not_counted", "queries are not counted by name")
        .remedy("set stats.names, for example to 100000, and restart"))
}

/// A count as JSON.
fn shown(count: &NameCount) -> Value {
    let milliseconds = |seconds: u32| u64::from(seconds) * 1000;
    json!({
        "name": count.name.to_string(),
        "queries": count.queries,
        "first_ms": milliseconds(count.first_seconds),
        "last_ms": milliseconds(count.last_seconds),
    })
}
