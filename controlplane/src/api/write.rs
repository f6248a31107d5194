//! What is written over the API. An answer goes out when the write is on disk and, unless the client does not wait for that,
//! served.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringdns_engine::name::WireName;
use serde_json::json;

use super::answer::Answer;
use super::error::ApiError;
use super::request::{Parameters, Request};
use super::route::Endpoint;
use super::show::{Apex, Shown};
use super::{Context, body, read, views};
use crate::config::Permission;
use crate::model::Rrset;
use crate::store::{Look as _, Operation, Outcome, Transaction, Wait, Write, WriteError, Written};
use crate::text::rtype;

/// Answers a request that writes.
pub(super) async fn answer(context: &Context, request: &Request<'_>, bytes: &[u8]) -> Result<Answer, ApiError> {
    let zone = |text: &str| request.caller.zone(Permission::Write, text);
    match (request.endpoint, request.parameters.as_slice()) {
        (Endpoint::PutZone, [name]) => put_zone(context, request, zone(name)?, bytes).await,
        (Endpoint::DeleteZone, [name]) => delete_zone(context, request, zone(name)?).await,
        (Endpoint::PostRrset, [name]) => {
            let wait = Parameters::parse(request.query, &["wait"])?.wait()?;
            let apex = writable(context, zone(name)?)?;
            let rrset = body::new_rrset(bytes, &apex, &context.state.views)?;
            put_rrset(context, request, apex, rrset, true, wait).await
        }
        (Endpoint::PutRrset, [name, owner, rtype]) => {
            let parameters = Parameters::parse(request.query, &["wait", "view"])?;
            let apex = writable(context, zone(name)?)?;
            let rrset = body::rrset(bytes, &apex, body::owner(owner, &apex)?, body::rtype(rtype)?)?;
            let view = read::view_name(&parameters);
            let view = view.map_or(Ok(None), |name| body::view(name, &context.state.views))?;
            put_rrset(context, request, apex, Rrset { view, ..rrset }, false, parameters.wait()?).await
        }
        (Endpoint::DeleteRrset, [name, owner, rtype]) => {
            let parameters = Parameters::parse(request.query, &["wait", "view"])?;
            let apex = writable(context, zone(name)?)?;
            let (owner, rtype) = (body::owner(owner, &apex)?, body::rtype(rtype)?);
            // Also one that the configuration does not name any more.
            let view = read::view_name(&parameters).map(Arc::from);
            let write = Write::DeleteRrset { apex, owner, rtype, view };
            write_one(context, request, write, parameters.wait()?).await?;
            Ok(Answer::empty(204))
        }
        (Endpoint::PutView, [name]) => views::put(context, request, name, bytes).await,
        (Endpoint::DeleteView, [name]) => views::delete(context, request, name).await,
        _ => Err(ApiError::route_not_found()),
    }
}

/// The zone, unless a zone file serves it or nobody does.
pub(super) fn writable(context: &Context, apex: WireName) -> Result<WireName, ApiError> {
    let apex = of_no_file(context, apex)?;
    if !context.state.served().zones.contains_key(&apex) {
        return Err(ApiError::zone_not_found(&apex));
    }
    Ok(apex)
}

/// The zone, unless a zone file serves it.
pub(super) fn of_no_file(context: &Context, apex: WireName) -> Result<WireName, ApiError> {
    match context.zone_file(&apex) {
        Some(file) => Err(ApiError::zone_read_only(&apex, file.display())),
        None => Ok(apex),
    }
}

/// Has one write carried out, under the condition that the request's headers name.
async fn write_one(
    context: &Context,
    request: &Request<'_>,
    write: Write,
    wait: Wait,
) -> Result<Written, WriteRefused> {
    let condition = request.condition().map_err(WriteRefused::Request)?;
    if !condition.is_some() {
        return context.store.write_until(write, wait).await.map_err(WriteRefused::Store);
    }
    let transaction = Transaction::new(vec![Operation { write, condition }]);
    let edit = Write::Edit(Arc::clone(&transaction) as _);
    let written = context.store.write_until(edit, wait).await.map_err(WriteRefused::Store)?;
    let outcome = transaction.report().outcomes.first().copied();
    Ok(Written { outcome: outcome.unwrap_or(written.outcome), ..written })
}

/// Why a write was not carried out.
enum WriteRefused {
    /// The request.
    Request(ApiError),
    /// The store, which knows no words of the API.
    Store(WriteError),
}

impl From<WriteRefused> for ApiError {
    fn from(refused: WriteRefused) -> Self {
        match refused {
            WriteRefused::Request(error) => error,
            WriteRefused::Store(error) => error.into(),
        }
    }
}

/// Makes or changes a zone.
async fn put_zone(context: &Context, request: &Request<'_>, apex: WireName, bytes: &[u8]) -> Result<Answer, ApiError> {
    let wait = Parameters::parse(request.query, &["wait"])?.wait()?;
    let apex = of_no_file(context, apex)?;
    let fields = Box::new(body::zone(bytes)?);
    let written = write_one(context, request, Write::PutZone { apex: apex.clone(), fields }, wait).await?;
    let (value, tag) = match wait {
        Wait::Published => read::zone(context, &apex)?,
        Wait::Stored => stored_zone(context, &apex).await?,
    };
    let answer = answer_of(written.outcome, &value, format!("/api/v1/zones/{}", encode(&apex)));
    Ok(match tag {
        Some(tag) => answer.header("etag", tag.to_string()),
        None => answer,
    })
}

/// A zone as the store has it, served or not.
async fn stored_zone(
    context: &Context,
    apex: &WireName,
) -> Result<(serde_json::Value, Option<crate::store::Tag>), ApiError> {
    let name = apex.clone();
    let read = context
        .store
        .read(move |reading| Ok((reading.rrset(&name, &name, rtype::SOA)?, reading.rrset(&name, &name, rtype::NS)?)));
    let (soa, ns) = read.await?;
    if soa.is_none() {
        return Err(ApiError::zone_not_found(apex));
    }
    let records = Apex {
        soa: soa.as_ref().map(|soa| Shown::stored(context, soa)),
        ns: ns.as_ref().map(|ns| Shown::stored(context, ns)),
    };
    let mut value = json!({
        "name": apex.to_string(), "serial": records.serial(), "sources": [context.source_name(0)], "read_only": false,
    });
    records.add_to(&mut value);
    Ok((value, records.tag()))
}

/// Removes a zone. Also one that a zone file serves, where the store has it too: its data come from the file from then on.
async fn delete_zone(context: &Context, request: &Request<'_>, apex: WireName) -> Result<Answer, ApiError> {
    let wait = Parameters::parse(request.query, &["wait"])?.wait()?;
    match write_one(context, request, Write::DeleteZone { apex: apex.clone() }, wait).await {
        Ok(_) => Ok(Answer::empty(204)),
        Err(WriteRefused::Store(WriteError::ZoneNotFound)) => Err(match context.zone_file(&apex) {
            Some(file) => ApiError::zone_read_only(&apex, file.display()),
            None => ApiError::zone_not_found(&apex),
        }),
        Err(refused) => Err(refused.into()),
    }
}

/// Makes or replaces an RRset.
async fn put_rrset(
    context: &Context,
    request: &Request<'_>,
    apex: WireName,
    rrset: Rrset,
    new: bool,
    wait: Wait,
) -> Result<Answer, ApiError> {
    // What is answered is what this request wrote, whatever others have written since: its tag is good for the next write
    // only where nobody has.
    let mut result = rrset.clone();
    let written = write_one(context, request, Write::PutRrset { apex: apex.clone(), rrset, new }, wait).await?;
    result.normalise(&apex).map_err(|error| ApiError::from(WriteError::from(error)))?;
    let mut location =
        format!("/api/v1/zones/{}/rrsets/{}/{}", encode(&apex), encode(&result.owner), rtype::show(result.rtype));
    if let Some(view) = &result.view {
        location = format!("{location}?view={view}");
    }
    let shown = Shown::stored(context, &result);
    let tag = shown.tag().to_string();
    Ok(answer_of(written.outcome, &shown.json(), location).header("etag", tag))
}

/// 201 with the place of what is new, or 200.
fn answer_of(outcome: Outcome, value: &serde_json::Value, location: String) -> Answer {
    match outcome {
        Outcome::Created => Answer::json(201, value).header("location", location),
        Outcome::Replaced | Outcome::Deleted => Answer::json(200, value),
    }
}

/// A name in a path.
fn encode(name: &WireName) -> String {
    utf8_percent_encode(&name.to_string(), NON_ALPHANUMERIC).to_string()
}
