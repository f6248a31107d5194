//! Views over the API: those of the configuration and of etcd are shown, those of the store can be made and changed too.

use ringdns_engine::rate::{Network, NetworkError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::ApiError;
use super::request::{Parameters, Request};
use super::route::Endpoint;
use super::{Context, body};
use crate::control::{STORE, ZONE_FILES};
use crate::store::{Outcome, Write};
use crate::views::{NAME_BYTES_MAX, is_name};

/// Body of a PUT of a view.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewBody {
    /// Networks of its clients.
    prefixes: Option<Value>,
}

/// A view as one source has it.
fn view_json(context: &Context, origin: u8, name: &str, networks: &[Network]) -> Value {
    // The configuration speaks through the source of zone files.
    let source = if origin == ZONE_FILES { "configuration" } else { context.source_name(origin) };
    let prefixes: Vec<String> = networks.iter().map(ToString::to_string).collect();
    json!({ "name": name, "prefixes": prefixes, "source": source, "read_only": origin != STORE })
}

/// Answers what reads views.
pub(super) fn answer(context: &Context, request: &Request<'_>) -> Result<Answer, ApiError> {
    Parameters::parse(request.query, &[])?;
    let value = match (request.endpoint, request.parameters.as_slice()) {
        (Endpoint::ListViews, _) => list(context),
        (_, [name]) => one(context, name)?,
        _ => return Err(ApiError::route_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// The list of views. A view that several sources have is listed for each of them.
fn list(context: &Context) -> Value {
    let views = context.state.views.of_sources().into_iter();
    let views: Vec<Value> =
        views.map(|(origin, name, networks)| view_json(context, origin, &name, &networks)).collect();
    json!({ "views": views })
}

/// One view, as the first source has it: the store's can be changed.
fn one(context: &Context, name: &str) -> Result<Value, ApiError> {
    let found = context.state.views.of_sources().into_iter().find(|(_, known, _)| known == name);
    let (origin, name, networks) = found.ok_or_else(ApiError::view_not_found)?;
    Ok(view_json(context, origin, &name, &networks))
}

/// Makes or changes a view of the store.
pub(super) async fn put(
    context: &Context,
    request: &Request<'_>,
    name: &str,
    bytes: &[u8],
) -> Result<Answer, ApiError> {
    Parameters::parse(request.query, &[])?;
    if !is_name(name) {
        let message = format!("\"{name}\" cannot be the name of a view");
        let remedy =
            format!("write at most {NAME_BYTES_MAX} letters, digits, \"-\", \"_\" or \".\", and not \"default\"");
        return Err(ApiError::invalid("name", "invalid_name", message).remedy(remedy));
    }
    check_writable(context, name)?;
    let ViewBody { prefixes } = body::parse(bytes)?;
    let networks = networks(prefixes)?;
    let outcome = context.store.write(Write::PutView { name: name.to_owned(), networks }).await?;
    let value = one(context, name)?;
    Ok(match outcome {
        Outcome::Created => Answer::json(201, &value).header("location", format!("/api/v1/views/{name}")),
        Outcome::Replaced | Outcome::Deleted => Answer::json(200, &value),
    })
}

/// Removes a view of the store, also one that the configuration has too.
pub(super) async fn delete(context: &Context, request: &Request<'_>, name: &str) -> Result<Answer, ApiError> {
    Parameters::parse(request.query, &[])?;
    if !context.state.views.of_sources().iter().any(|(origin, known, _)| *origin == STORE && known == name) {
        check_writable(context, name)?;
    }
    context.store.write(Write::DeleteView { name: name.to_owned() }).await?;
    Ok(Answer::empty(204))
}

/// Refuses a view of the configuration: what is written of it would be two halves of one view.
fn check_writable(context: &Context, name: &str) -> Result<(), ApiError> {
    let is_read_only = |(origin, known, _): &(u8, String, _)| *origin == ZONE_FILES && known == name;
    if context.state.views.of_sources().iter().any(is_read_only) {
        let message = format!("view {name} is a [[view]] of the configuration");
        return Err(ApiError::new(409, "view_read_only", message)
            .remedy("change its [[view]] and reload, or choose another name"));
    }
    Ok(())
}

/// The networks of a body.
fn networks(prefixes: Option<Value>) -> Result<Vec<Network>, ApiError> {
    let missing = || ApiError::invalid("prefixes", "missing_field", "it is missing");
    let list = match prefixes.ok_or_else(missing)? {
        Value::Array(list) if !list.is_empty() => list,
        _ => return Err(ApiError::invalid("prefixes", "invalid_field", "it is no list of one network or more")),
    };
    let network = |(index, value): (usize, &Value)| {
        let field = format!("prefixes[{index}]");
        let Value::String(text) = value else {
            return Err(ApiError::invalid(field, "invalid_field", "it is no string"));
        };
        text.parse().map_err(|error| {
            let remedy = match error {
                NetworkError::HostBits(network) => format!("write \"{network}\""),
                _ => "write an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned(),
            };
            ApiError::invalid(field, "invalid_network", format!("\"{text}\" is no network: {error}")).remedy(remedy)
        })
    };
    list.iter().enumerate().map(network).collect()
}
