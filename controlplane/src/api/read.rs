//! What is read over the API: zones and RRsets of the served snapshot, which is what goes out on the wire.

use std::collections::BinaryHeap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::{RrsetView, Snapshot};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Context, body, route, selection};
use crate::canonical::{rrset_key, split_name};
use crate::state::Served;
use crate::store::split_soa;
use crate::text::{rdata, rtype};
use crate::views::{DEFAULT_NAME, Views};

/// Items of a page where the request does not say.
const PAGE_ITEMS_DEFAULT: usize = 1000;

/// Most items of a page.
const PAGE_ITEMS_MAX: usize = 10_000;

/// Which page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Most items.
    pub(super) limit: usize,
    /// The last item of the page before.
    after: Option<String>,
    /// Only this owner.
    pub(super) owner: Option<String>,
}

impl Page {
    /// Reads a query string; `owner` is known only to the list of RRsets.
    pub(super) fn parse(query: &str, with_owner: bool) -> Result<Self, ApiError> {
        let mut page = Page { limit: PAGE_ITEMS_DEFAULT, after: None, owner: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = route::decode(value)?;
            match key {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
                    let message = format!("\"{value}\" is no number from 1 to {PAGE_ITEMS_MAX}");
                    page.limit = limit.ok_or_else(|| ApiError::invalid("limit", "out_of_bounds", message))?;
                }
                "after" => page.after = Some(value),
                "owner" if with_owner => page.owner = Some(value),
                _ => {
                    let message = format!("there is no parameter \"{key}\"");
                    return Err(ApiError::new(400, "unknown_parameter", message));
                }
            }
        }
        Ok(page)
    }
}

/// The view that a query string names, and nothing else is in it; nothing for the default view.
pub(super) fn view_name(query: &str) -> Result<Option<String>, ApiError> {
    let mut name = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("view", value)) => name = Some(route::decode(value)?).filter(|name| name != DEFAULT_NAME),
            _ => {
                let message = format!("there is no parameter \"{pair}\"");
                return Err(ApiError::new(400, "unknown_parameter", message));
            }
        }
    }
    Ok(name)
}

/// A link to the page after this one.
fn next_link(path: &str, limit: usize, after: &str) -> String {
    format!("{path}?limit={limit}&after={}", utf8_percent_encode(after, NON_ALPHANUMERIC))
}

/// The list of zones.
pub(super) fn zones(context: &Context, page: &Page) -> Result<Value, ApiError> {
    let served = context.state.served();
    let after = page.after.as_deref().map(body::apex).transpose()?;
    let mut apexes = served.zones.keys().filter(|&apex| after.as_ref().is_none_or(|after| apex > after));
    let zones: Vec<Value> = apexes.by_ref().take(page.limit).map(|apex| zone_summary(context, &served, apex)).collect();
    let last = zones.last().and_then(|zone| zone["name"].as_str()).unwrap_or_default();
    let next = apexes.next().map(|_| next_link("/api/v1/zones", page.limit, last));
    Ok(json!({ "zones": zones, "next": next }))
}

/// Name, serial and sources of a zone.
fn zone_summary(context: &Context, served: &Served, apex: &WireName) -> Value {
    let soa = served.snapshot.node(apex, apex).and_then(|node| node.rrset(rtype::SOA));
    let serial = soa.and_then(|soa| split_soa(soa.rdatas().next()?)).map(|(_, _, numbers)| numbers[0]);
    let origins = served.zones.get(apex).map(Vec::as_slice).unwrap_or_default();
    let sources: Vec<&str> = origins.iter().map(|&origin| context.source_name(origin)).collect();
    json!({
        "name": apex.to_string(),
        "serial": serial,
        "sources": sources,
        "read_only": context.zone_file(apex).is_some(),
    })
}

/// One zone.
pub(super) fn zone(context: &Context, apex: &WireName) -> Result<Value, ApiError> {
    let served = context.state.served();
    if !served.zones.contains_key(apex) {
        return Err(ApiError::zone_not_found(apex));
    }
    let mut zone = zone_summary(context, &served, apex);
    let node = served.snapshot.node(apex, apex);
    let soa = node.and_then(|node| node.rrset(rtype::SOA));
    let ns: Vec<String> = (node.and_then(|node| node.rrset(rtype::NS)))
        .map(|ns| ns.rdatas().map(|name| rdata::show(rtype::NS, name)).collect())
        .unwrap_or_default();
    zone["ttl"] = json!(soa.map(|soa| soa.ttl()));
    zone["soa"] = soa.and_then(|soa| soa_fields(&soa)).unwrap_or(Value::Null);
    zone["ns"] = json!(ns);
    if let Some(file) = context.state.zone_files().into_iter().find(|file| file.zone == *apex) {
        zone["zone_file"] = json!({ "path": file.path, "records": file.records, "error": file.error });
    }
    Ok(zone)
}

/// The fields of an SOA record.
fn soa_fields(soa: &RrsetView<'_>) -> Option<Value> {
    let (mname, rname, [serial, refresh, retry, expire, minimum]) = split_soa(soa.rdatas().next()?)?;
    Some(json!({
        "mname": mname.to_string(), "rname": rname.to_string(), "serial": serial, "refresh": refresh,
        "retry": retry, "expire": expire, "minimum": minimum,
    }))
}

/// One RRset.
pub(super) fn rrset(
    context: &Context,
    apex: &WireName,
    owner: &WireName,
    rtype: u16,
    view: Option<&str>,
) -> Result<Value, ApiError> {
    let served = context.state.served();
    if !served.zones.contains_key(apex) {
        return Err(ApiError::zone_not_found(apex));
    }
    let node = served.snapshot.node(apex, owner).ok_or_else(ApiError::rrset_not_found)?;
    let number = context.state.views.known(view).ok_or_else(ApiError::rrset_not_found)?;
    let rrset = node.rrset_in(rtype, number).ok_or_else(ApiError::rrset_not_found)?;
    Ok(rrset_json(context, owner, &rrset))
}

/// An RRset as JSON.
fn rrset_json(context: &Context, owner: &WireName, rrset: &RrsetView<'_>) -> Value {
    let records: Vec<String> = rrset.rdatas().map(|rdata| rdata::show(rrset.rtype(), rdata)).collect();
    let mut value = json!({
        "owner": owner.to_string(),
        "type": rtype::show(rrset.rtype()),
        "ttl": rrset.ttl(),
        "records": records,
        "source": context.source_name(rrset.origin()),
    });
    if let Some(selection) = rrset.selection() {
        value["selection"] = selection::show(selection, usize::from(rrset.count()));
    }
    if let Some(view) = context.state.views.name(rrset.view()) {
        value["view"] = json!(view);
    }
    value
}

/// The list of a zone's RRsets, in canonical order. Goes through the whole snapshot: for a thread that may block.
pub(super) fn rrsets(context: &Context, apex: &WireName, page: &Page) -> Result<Value, ApiError> {
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
        found.push(rrset_json(context, &owner, &rrset));
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
fn split_key(key: &[u8]) -> Option<(WireName, u16, u16)> {
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
fn smallest_keys(snapshot: &Snapshot, apex: &WireName, after: Option<&[u8]>, count: usize) -> Vec<Vec<u8>> {
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
