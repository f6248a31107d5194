//! Members over the API: addresses whose health is known, and how they are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringdns_engine::name::WireName;
use serde_json::{Value, json};

use super::access::Caller;
use super::answer::Answer;
use super::error::ApiError;
use super::read::{limit, next_link};
use super::request::{Parameters, Request};
use super::{Context, body};
use crate::config::Permission;
use crate::health::Status;
use crate::health::owners::address;
use crate::health::table::Known;

/// Which members are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All.
    Any,
    /// Those that are up or down.
    Known(Status),
    /// Those of which nothing is known; they have a name at least.
    Unknown,
}

impl State {
    /// The state of a parameter.
    fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text.map(str::to_ascii_lowercase).as_deref() {
            None => Ok(Self::Any),
            Some("up") => Ok(Self::Known(Status::Up)),
            Some("down") => Ok(Self::Known(Status::Down)),
            Some("unknown") => Ok(Self::Unknown),
            Some(other) => {
                let error = ApiError::invalid("state", "invalid_field", format!("\"{other}\" is no state"));
                Err(error.remedy("write \"up\", \"down\" or \"unknown\""))
            }
        }
    }

    /// True for a member that is asked for.
    fn has(self, known: Option<&Known>) -> bool {
        match (self, known) {
            (Self::Any, _) | (Self::Unknown, None) => true,
            (Self::Known(status), Some(known)) => known.status == status,
            (Self::Unknown, Some(_)) | (Self::Known(_), None) => false,
        }
    }
}

/// Answers what reads members.
pub(super) fn answer(context: &Context, request: &Request<'_>) -> Result<Answer, ApiError> {
    let value = match request.parameters.as_slice() {
        [] => list(context, request)?,
        [target] => {
            Parameters::parse(request.query, &[])?;
            let address: Option<IpAddr> = target.parse().ok();
            let known = address.and_then(|address| Some((address, context.state.members.get(address)?)));
            let (address, known) = known.ok_or_else(not_found)?;
            shown(address, Some(&known))
        }
        _ => return Err(ApiError::route_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// No such member.
fn not_found() -> ApiError {
    ApiError::new(404, "member_not_found", "nothing is known of such an address")
        .remedy("see /api/v1/members for those whose health is known")
}

/// A page of members, or those of one name.
fn list(context: &Context, request: &Request<'_>) -> Result<Value, ApiError> {
    let parameters = Parameters::parse(request.query, &["limit", "after", "state", "name"])?;
    let (limit, state) = (limit(&parameters)?, State::parse(parameters.get("state"))?);
    let after = match parameters.get("after") {
        None => None,
        Some(text) => {
            let error = || ApiError::invalid("after", "invalid_token", "it is no place in this list");
            Some(text.parse::<IpAddr>().map_err(|_| error())?)
        }
    };
    if let Some(name) = parameters.get("name") {
        let members: Vec<Value> = of_name(context, &request.caller, name)?
            .into_iter()
            .filter(|address| after.is_none_or(|after| *address > after))
            .map(|address| (address, context.state.members.get(address)))
            .filter(|(_, known)| state.has(known.as_ref()))
            .map(|(address, known)| shown(address, known.as_ref()))
            .collect();
        // A name has fewer addresses than a page can have.
        return Ok(json!({ "members": members, "next": null }));
    }
    let mut page = context.state.members.page(after, limit + 1, |known| state.has(Some(known)));
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| has_more).map(|(address, _)| {
        let link = next_link("/api/v1/members", limit, &address.to_string());
        match parameters.get("state") {
            Some(state) => format!("{link}&state={state}"),
            None => link,
        }
    });
    let members: Vec<Value> = page.iter().map(|(address, known)| shown(*address, Some(known))).collect();
    Ok(json!({ "members": members, "next": next }))
}

/// The addresses that a name has in any view, where the caller may read its zone.
fn of_name(context: &Context, caller: &Caller, name: &str) -> Result<BTreeSet<IpAddr>, ApiError> {
    let served = context.state.served();
    let name = body::apex(name)?;
    let mut above = std::iter::successors(Some(name.clone()), WireName::parent);
    let apex = above.find(|apex| served.zones.contains_key(apex)).ok_or_else(|| ApiError::zone_not_found(&name))?;
    caller.check(Permission::Read, &apex)?;
    let node = served.snapshot.node(&apex, &name).ok_or_else(ApiError::rrset_not_found)?;
    let rrsets = node.rrsets().map(|rrset| (rrset, rrset.rtype()));
    Ok(rrsets.flat_map(|(rrset, rtype)| rrset.rdatas().filter_map(move |rdata| address(rtype, rdata))).collect())
}

/// One member. The words are those of the roles' own lists.
fn shown(address: IpAddr, known: Option<&Known>) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "target": address.to_string(),
        "state": known.map_or("UNKNOWN", |known| known.status.word()),
        "since": known.map(|known| known.since.clone()),
        "last_error": known.and_then(|known| text(&known.error)),
        "by": known.and_then(|known| text(&known.by)),
    })
}
