//! What is read over the API: zones and RRsets of the served snapshot, which is what goes out on the wire.

use std::collections::BinaryHeap;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::Snapshot;
use serde_json::{Value, json};

use super::access::Caller;
use super::answer::Answer;
use super::error::ApiError;
use super::request::{Parameters, Request};
use super::route::Endpoint;
use super::show::{Apex, Shown};
use super::{Context, body};
use crate::canonical::{rrset_key, split_name};
use crate::config::Permission;
use crate::state::Served;
use crate::store::{Condition, Tag};
use crate::text::rtype;
use crate::views::{DEFAULT_NAME, Views};

/// Items of a page where the request does not say.
const PAGE_ITEMS_DEFAULT: usize = 1000;

/// Most items of a page.
const PAGE_ITEMS_MAX: usize = 10_000;

/// Which page of a list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// Most items.
    limit: usize,
    /// The last item of the page before.
    after: Option<String>,
    /// Only this owner.
    owner: Option<String>,
}

impl Page {
    /// Reads a query string; `owner` is known only to the list of RRsets.
    fn parse(query: &str, with_owner: bool) -> Result<Self, ApiError> {
        let known: &[&str] = if with_owner { &["limit", "after", "owner"] } else { &["limit", "after"] };
        let parameters = Parameters::parse(query, known)?;
        let text = |key| parameters.get(key).map(str::to_owned);
        Ok(Self { limit: limit(&parameters)?, after: text("after"), owner: text("owner") })
    }
}

/// Answers what reads zones and RRsets.
pub(super) async fn answer(context: &Arc<Context>, request: &Request<'_>) -> Result<Answer, ApiError> {
    let zone = |text: &str| request.caller.zone(Permission::Read, text);
    match (request.endpoint, request.parameters.as_slice()) {
        (Endpoint::ListZones, _) => {
            let page = Page::parse(request.query, false)?;
            Ok(Answer::json(200, &zones(context, &page, &request.caller)?))
        }
        (Endpoint::GetZone, [name]) => {
            Parameters::parse(request.query, &[])?;
            let (value, tag) = self::zone(context, &zone(name)?)?;
            conditional(&value, tag, &request.condition()?)
        }
        (Endpoint::GetRrset, [name, owner, rtype]) => {
            let parameters = Parameters::parse(request.query, &["view"])?;
            let apex = zone(name)?;
            let (owner, rtype) = (body::owner(owner, &apex)?, body::rtype(rtype)?);
            let (value, tag) = rrset(context, &apex, &owner, rtype, view_name(&parameters))?;
            conditional(&value, Some(tag), &request.condition()?)
        }
        (Endpoint::ListRrsets, [name]) => {
            let (apex, page) = (zone(name)?, Page::parse(request.query, true)?);
            let _leave = context.bounds.lists.acquire().await;
            let context = Arc::clone(context);
            let list = tokio::task::spawn_blocking(move || rrsets(&context, &apex, &page)).await;
            let list = list.map_err(|error| ApiError::new(500, "internal", error.to_string()))??;
            Ok(Answer::json(200, &list))
        }
        _ => Err(ApiError::route_not_found()),
    }
}

/// What was asked for, unless the client has it already or expects another.
fn conditional(value: &Value, tag: Option<Tag>, condition: &Condition) -> Result<Answer, ApiError> {
    // RFC 9110 section 13.2.2: If-Match comes first.
    if condition.only.as_ref().is_some_and(|tags| !tags.include(tag)) {
        return Err(ApiError::precondition_failed());
    }
    let is_known = condition.not.as_ref().is_some_and(|tags| tags.include(tag));
    let answer = if is_known { Answer::empty(304) } else { Answer::json(200, value) };
    Ok(match tag {
        Some(tag) => answer.header("etag", tag.to_string()),
        None => answer,
    })
}

/// The view that a request names; nothing for the default view.
pub(super) fn view_name(parameters: &Parameters) -> Option<&str> {
    parameters.get("view").filter(|name| *name != DEFAULT_NAME)
}

/// Most items of a page.
pub(super) fn limit(parameters: &Parameters) -> Result<usize, ApiError> {
    let Some(text) = parameters.get("limit") else { return Ok(PAGE_ITEMS_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
    let message = format!("\"{text}\" is no number from 1 to {PAGE_ITEMS_MAX}");
    limit.ok_or_else(|| ApiError::invalid("limit", "out_of_bounds", message))
}

/// A link to the page after this one.
pub(super) fn next_link(path: &str, limit: usize, after: &str) -> String {
    format!("{path}?limit={limit}&after={}", utf8_percent_encode(after, NON_ALPHANUMERIC))
}

/// The list of the zones that a caller may read.
fn zones(context: &Context, page: &Page, caller: &Caller) -> Result<Value, ApiError> {
    let served = context.state.served();
    let after = page.after.as_deref().map(body::apex).transpose()?;
    let is_shown =
        |apex: &WireName| after.as_ref().is_none_or(|after| apex > after) && caller.may(Permission::Read, apex);
    let mut apexes = served.zones.keys().filter(|apex| is_shown(apex));
    let zones: Vec<Value> = apexes.by_ref().take(page.limit).map(|apex| zone_summary(context, &served, apex)).collect();
    let last = zones.last().and_then(|zone| zone["name"].as_str()).unwrap_or_default();
    let next = apexes.next().map(|_| next_link("/api/v1/zones", page.limit, last));
    Ok(json!({ "zones": zones, "next": next }))
}

/// Name, serial and sources of a zone.
fn zone_summary(context: &Context, served: &Served, apex: &WireName) -> Value {
    let node = served.snapshot.node(apex, apex);
    let origins = served.zones.get(apex).map(Vec::as_slice).unwrap_or_default();
    let sources: Vec<&str> = origins.iter().map(|&origin| context.source_name(origin)).collect();
    json!({
        "name": apex.to_string(),
        "serial": Apex::served(context, apex, node.as_ref()).serial(),
        "sources": sources,
        "read_only": context.zone_file(apex).is_some(),
    })
}

/// One zone, and its tag where it has its SOA and NS records.
pub(super) fn zone(context: &Context, apex: &WireName) -> Result<(Value, Option<Tag>), ApiError> {
    let served = context.state.served();
    if !served.zones.contains_key(apex) {
        return Err(ApiError::zone_not_found(apex));
    }
    let mut zone = zone_summary(context, &served, apex);
    let node = served.snapshot.node(apex, apex);
    let records = Apex::served(context, apex, node.as_ref());
    records.add_to(&mut zone);
    if let Some(file) = context.state.zone_files().into_iter().find(|file| file.zone == *apex) {
        zone["zone_file"] = json!({ "path": file.path, "records": file.records, "error": file.error });
    }
    Ok((zone, records.tag()))
}

/// One RRset and its tag.
fn rrset(
    context: &Context,
    apex: &WireName,
    owner: &WireName,
    rtype: u16,
    view: Option<&str>,
) -> Result<(Value, Tag), ApiError> {
    let served = context.state.served();
    if !served.zones.contains_key(apex) {
        return Err(ApiError::zone_not_found(apex));
    }
    let node = served.snapshot.node(apex, owner).ok_or_else(ApiError::rrset_not_found)?;
    let number = context.state.views.known(view).ok_or_else(ApiError::rrset_not_found)?;
    let rrset = node.rrset_in(rtype, number).ok_or_else(ApiError::rrset_not_found)?;
    let shown = Shown::served(context, owner, &rrset);
    let tag = shown.tag();
    Ok((shown.json(), tag))
}

/// The list of a zone's RRsets, in canonical order. Goes through the whole snapshot: for a thread that may block.
fn rrsets(context: &Context, apex: &WireName, page: &Page) -> Result<Value, ApiError> {
    let served = context.state.served();
    if !served.zones.contains_key(apex) {
        return Err(ApiError::zone_not_found(apex));
    }
    let views = &context.state.views;
    let after = page.after.as_deref().map(|after| after_key(after, apex, views)).transpose()?;
    let keys = match &page.owner {
        Some(owner) => keys_of_owner(&served.snapshot, apex, &body::owner(owner, apex)?, after.as_deref()),
        None => smallest_keys(&served.snapshot, apex, after.as_deref(), page.limit + 1),
    };
    let mut found = Vec::new();
    let mut last = String::new();
    for key in keys.iter().take(page.limit) {
        let Some((owner, rtype, view)) = split_key(key) else { continue };
        let node = served.snapshot.node(apex, &owner);
        let Some(rrset) = node.and_then(|node| node.rrset_in(rtype, view)) else { continue };
        found.push(Shown::served(context, &owner, &rrset).json());
        last = format!("{}:{}:{owner}", rtype::show(rtype), views.name(view).unwrap_or_default());
    }
    let path = format!("/api/v1/zones/{}/rrsets", utf8_percent_encode(&apex.to_string(), NON_ALPHANUMERIC));
    let next = (keys.len() > page.limit).then(|| {
        let link = next_link(&path, page.limit, &last);
        match &page.owner {
            Some(owner) => format!("{link}&owner={}", utf8_percent_encode(owner, NON_ALPHANUMERIC)),
            None => link,
        }
    });
    Ok(json!({ "zone": apex.to_string(), "rrsets": found, "next": next }))
}

/// The key that a page starts after, from `type:view:owner`.
fn after_key(after: &str, apex: &WireName, views: &Views) -> Result<Vec<u8>, ApiError> {
    let invalid = || ApiError::invalid("after", "invalid_token", "it is no place in this list");
    let (rtype, rest) = after.split_once(':').ok_or_else(invalid)?;
    let (view, owner) = rest.split_once(':').ok_or_else(invalid)?;
    let view = views.known(Some(view).filter(|view| !view.is_empty())).ok_or_else(invalid)?;
    let owner = body::owner(owner, apex).map_err(|_| invalid())?;
    Ok(rrset_key(&owner, rtype::parse(rtype).ok_or_else(invalid)?, view))
}

/// Owner, type and view of a key.
pub(super) fn split_key(key: &[u8]) -> Option<(WireName, u16, u16)> {
    let (owner, rest) = split_name(key)?;
    let &[t1, t2, v1, v2] = rest.first_chunk()?;
    Some((owner, u16::from_be_bytes([t1, t2]), u16::from_be_bytes([v1, v2])))
}

/// The keys of one owner's RRsets after a key, in order.
fn keys_of_owner(snapshot: &Snapshot, apex: &WireName, owner: &WireName, after: Option<&[u8]>) -> Vec<Vec<u8>> {
    let node = snapshot.node(apex, owner);
    let rrsets = node.into_iter().flat_map(|node| node.rrsets());
    let mut keys: Vec<Vec<u8>> = rrsets.map(|rrset| rrset_key(owner, rrset.rtype(), rrset.view())).collect();
    keys.retain(|key| after.is_none_or(|after| key.as_slice() > after));
    keys.sort_unstable();
    keys
}

/// The smallest keys of a zone's RRsets after a key, in order. A heap of as many keys as are asked for is all the memory
/// that this takes, however large the zone is.
pub(super) fn smallest_keys(snapshot: &Snapshot, apex: &WireName, after: Option<&[u8]>, count: usize) -> Vec<Vec<u8>> {
    let mut heap: BinaryHeap<Vec<u8>> = BinaryHeap::new();
    for node in snapshot.nodes(apex) {
        let owner = node.owner();
        for rrset in node.rrsets() {
            let key = rrset_key(&owner, rrset.rtype(), rrset.view());
            let too_large = heap.len() >= count && heap.peek().is_some_and(|largest| key >= *largest);
            if too_large || after.is_some_and(|after| key.as_slice() <= after) {
                continue;
            }
            heap.push(key);
            if heap.len() > count {
                heap.pop();
            }
        }
    }
    heap.into_sorted_vec()
}
