//! What is written over the API. An answer goes out when the write is on disk and served.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringdns_engine::name::WireName;

use super::error::ApiError;
use super::route::{Endpoint, Matched};
use super::{Answer, Context, body, read, views};
use crate::model::Rrset;
use crate::store::{Outcome, Write, WriteError};
use crate::text::rtype;

/// Answers a request that writes.
pub(super) async fn answer(
    context: &Context,
    matched: &Matched,
    query: &str,
    bytes: &[u8],
) -> Result<Answer, ApiError> {
    let parameters: Vec<&str> = matched.parameters.iter().map(String::as_str).collect();
    match (matched.endpoint, parameters.as_slice()) {
        (Endpoint::PutZone, [zone]) => put_zone(context, body::apex(zone)?, bytes).await,
        (Endpoint::DeleteZone, [zone]) => delete_zone(context, body::apex(zone)?).await,
        (Endpoint::PostRrset, [zone]) => {
            let apex = writable(context, body::apex(zone)?)?;
            let rrset = body::new_rrset(bytes, &apex, &context.state.views)?;
            put_rrset(context, apex, rrset, true).await
        }
        (Endpoint::PutRrset, [zone, owner, rtype]) => {
            let apex = writable(context, body::apex(zone)?)?;
            let rrset = body::rrset(bytes, &apex, body::owner(owner, &apex)?, body::rtype(rtype)?)?;
            let view = read::view_name(query)?;
            let view = view.map_or(Ok(None), |name| body::view(&name, &context.state.views))?;
            put_rrset(context, apex, Rrset { view, ..rrset }, false).await
        }
        (Endpoint::DeleteRrset, [zone, owner, rtype]) => {
            let apex = writable(context, body::apex(zone)?)?;
            let owner = body::owner(owner, &apex)?;
            // Also one that the configuration does not name any more.
            let view = read::view_name(query)?.map(Arc::from);
            context.store.write(Write::DeleteRrset { apex, owner, rtype: body::rtype(rtype)?, view }).await?;
            Ok(Answer::empty(204))
        }
        (Endpoint::PutView, [name]) => views::put(context, name, bytes).await,
        (Endpoint::DeleteView, [name]) => views::delete(context, name).await,
        _ => Err(ApiError::route_not_found()),
    }
}

/// The zone, unless a zone file serves it or nobody does.
fn writable(context: &Context, apex: WireName) -> Result<WireName, ApiError> {
    if let Some(file) = context.zone_file(&apex) {
        return Err(ApiError::zone_read_only(&apex, file.display()));
    }
    if !context.state.served().zones.contains_key(&apex) {
        return Err(ApiError::zone_not_found(&apex));
    }
    Ok(apex)
}

/// Makes or changes a zone.
async fn put_zone(context: &Context, apex: WireName, bytes: &[u8]) -> Result<Answer, ApiError> {
    if let Some(file) = context.zone_file(&apex) {
        return Err(ApiError::zone_read_only(&apex, file.display()));
    }
    let fields = Box::new(body::zone(bytes)?);
    let outcome = context.store.write(Write::PutZone { apex: apex.clone(), fields }).await?;
    let location = format!("/api/v1/zones/{}", encode(&apex));
    Ok(written(outcome, &read::zone(context, &apex)?, location))
}

/// Removes a zone. Also one that a zone file serves, where the store has it too: its data come from the file from then on.
async fn delete_zone(context: &Context, apex: WireName) -> Result<Answer, ApiError> {
    match (context.store.write(Write::DeleteZone { apex: apex.clone() }).await, context.zone_file(&apex)) {
        (Ok(_), _) => Ok(Answer::empty(204)),
        (Err(WriteError::ZoneNotFound), Some(file)) => Err(ApiError::zone_read_only(&apex, file.display())),
        (Err(WriteError::ZoneNotFound), None) => Err(ApiError::zone_not_found(&apex)),
        (Err(error), _) => Err(error.into()),
    }
}

/// Makes or replaces an RRset.
async fn put_rrset(context: &Context, apex: WireName, rrset: Rrset, new: bool) -> Result<Answer, ApiError> {
    let (owner, rtype, view) = (rrset.owner.clone(), rrset.rtype, rrset.view.clone());
    let outcome = context.store.write(Write::PutRrset { apex: apex.clone(), rrset, new }).await?;
    let mut location = format!("/api/v1/zones/{}/rrsets/{}/{}", encode(&apex), encode(&owner), rtype::show(rtype));
    if let Some(view) = &view {
        location = format!("{location}?view={view}");
    }
    Ok(written(outcome, &read::rrset(context, &apex, &owner, rtype, view.as_deref())?, location))
}

/// 201 with the place of what is new, or 200.
fn written(outcome: Outcome, value: &serde_json::Value, location: String) -> Answer {
    match outcome {
        Outcome::Created => Answer { header: Some(Box::new(("location", location))), ..Answer::json(201, value) },
        Outcome::Replaced | Outcome::Deleted => Answer::json(200, value),
    }
}

/// A name in a path.
fn encode(name: &WireName) -> String {
    utf8_percent_encode(&name.to_string(), NON_ALPHANUMERIC).to_string()
}
