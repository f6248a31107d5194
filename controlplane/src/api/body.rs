//! Request bodies: JSON to writes, each mistake named with its field.

use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::select::VIEW_DEFAULT;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;
use super::selection;
use crate::model::{Rrset, TTL_SECONDS_MAX};
use crate::store::{SoaFields, ZoneFields};
use crate::text::lexer::Token;
use crate::text::name::Origin;
use crate::text::{name, rdata, rtype};
use crate::views::Views;

/// Body of a PUT of an RRset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RrsetBody {
    /// TTL in seconds.
    ttl: Option<Value>,
    /// Rdata in presentation form.
    records: Option<Value>,
    /// How the records are chosen from.
    selection: Option<Value>,
}

/// Body of a POST of an RRset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRrsetBody {
    /// The owner.
    owner: Option<Value>,
    /// The type.
    #[serde(rename = "type")]
    rtype: Option<Value>,
    /// TTL in seconds.
    ttl: Option<Value>,
    /// Rdata in presentation form.
    records: Option<Value>,
    /// How the records are chosen from.
    selection: Option<Value>,
    /// The view.
    view: Option<Value>,
    /// The source, as answers show it: of no account.
    #[serde(rename = "source")]
    _source: Option<Value>,
}

/// Body of a PUT of a zone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ZoneBody {
    /// TTL in seconds of the SOA and NS records.
    ttl: Option<Value>,
    /// Fields of the SOA record.
    soa: Option<SoaBody>,
    /// Name servers.
    ns: Option<Value>,
}

/// Fields of an SOA record.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SoaBody {
    /// Primary name server.
    mname: Option<Value>,
    /// Mailbox of whoever is responsible.
    rname: Option<Value>,
    /// Version of the zone.
    serial: Option<Value>,
    /// Seconds between two looks of a secondary server.
    refresh: Option<Value>,
    /// Seconds after a failed one.
    retry: Option<Value>,
    /// Seconds after which a secondary server gives up.
    expire: Option<Value>,
    /// Negative TTL in seconds.
    minimum: Option<Value>,
}

/// Reads JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| json_error(&error))
}

/// What is wrong with JSON.
pub(super) fn json_error(error: &serde_json::Error) -> ApiError {
    if error.classify() != serde_json::error::Category::Data {
        return ApiError::new(400, "malformed_json", error.to_string()).remedy("send a JSON object");
    }
    // serde names the field between backquotes.
    let field = error.to_string().split('`').nth(1).unwrap_or_default().to_owned();
    let field = Some(field).filter(|_| error.to_string().starts_with("unknown field"));
    let code = if field.is_some() { "unknown_field" } else { "invalid_body" };
    ApiError { field, ..ApiError::new(422, code, error.to_string()) }.remedy("GET /api/v1/openapi.json shows the body")
}

/// Reads a part of JSON that was read before.
pub(super) fn part<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| json_error(&error))
}

/// The RRset that a PUT's body says.
pub fn rrset(body: &[u8], apex: &WireName, owner: WireName, rtype: u16) -> Result<Rrset, ApiError> {
    let RrsetBody { ttl, records, selection } = parse(body)?;
    build(apex, owner, rtype, [ttl, records, selection].each_ref().map(Option::as_ref))
}

/// The RRset that a POST's body says.
pub fn new_rrset(body: &[u8], apex: &WireName, views: &Views) -> Result<Rrset, ApiError> {
    whole_rrset(parse(body)?, apex, views)
}

/// The RRset that a body with all of it says.
pub(super) fn whole_rrset(body: NewRrsetBody, apex: &WireName, views: &Views) -> Result<Rrset, ApiError> {
    let NewRrsetBody { owner, rtype, ttl, records, selection, view, .. } = body;
    let text = |value: &Option<Value>, field: &str| match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ApiError::invalid(field, "invalid_field", "it is no string")),
        None => Err(ApiError::invalid(field, "missing_field", "it is missing")),
    };
    let owner = self::owner(&text(&owner, "owner")?, apex)?;
    let rtype = self::rtype(&text(&rtype, "type")?)?;
    let rrset = build(apex, owner, rtype, [ttl, records, selection].each_ref().map(Option::as_ref))?;
    let view = match view {
        None => None,
        given => self::view(&text(&given, "view")?, views)?,
    };
    Ok(Rrset { view, ..rrset })
}

/// The view of a name; nothing for the default view.
pub(super) fn view(name: &str, views: &Views) -> Result<Option<Arc<str>>, ApiError> {
    match views.configured(name) {
        Some(VIEW_DEFAULT) => Ok(None),
        Some(_) => Ok(Some(Arc::from(name))),
        None => Err(ApiError::invalid("view", "unknown_view", format!("there is no view \"{name}\""))
            .remedy("name one that GET /api/v1/views lists, or leave the view out")),
    }
}

/// An RRset of the default view from TTL, records and selection.
fn build(
    apex: &WireName,
    owner: WireName,
    rtype: u16,
    [ttl, records, selection]: [Option<&Value>; 3],
) -> Result<Rrset, ApiError> {
    let ttl = self::ttl(ttl.ok_or_else(|| ApiError::invalid("ttl", "missing_field", "it is missing"))?)?;
    let missing = || ApiError::invalid("records", "missing_field", "it is missing");
    let Value::Array(records) = records.ok_or_else(missing)? else {
        return Err(ApiError::invalid("records", "invalid_field", "it is no list of strings"));
    };
    let mut rdatas = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let field = format!("records[{index}]");
        let Value::String(text) = record else {
            return Err(ApiError::invalid(field, "invalid_field", "it is no string"));
        };
        rdatas.push(read_rdata(rtype, text, apex, &field)?);
    }
    let selection = selection.map(|value| selection::read(value, rdatas.len())).transpose()?;
    Ok(Rrset { selection: selection.map(Box::new), ..Rrset::new(owner, rtype, ttl, rdatas) })
}

/// Reads one record's rdata. `@` is the apex; other names must be absolute, so that a forgotten dot cannot make
/// `www.example.org.example.org.`
fn read_rdata(rtype: u16, text: &str, apex: &WireName, field: &str) -> Result<Vec<u8>, ApiError> {
    let rdata = rdata::parse_line(rtype, text, Origin::At(apex));
    rdata.map_err(|error| ApiError::invalid(field, "invalid_record", error.to_string()))
}

/// The zone's fields that a PUT's body says; an empty body says nothing.
pub fn zone(body: &[u8]) -> Result<ZoneFields, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(ZoneFields::default());
    }
    zone_fields(parse(body)?)
}

/// The zone's fields that a body says.
pub(super) fn zone_fields(body: ZoneBody) -> Result<ZoneFields, ApiError> {
    let ZoneBody { ttl, soa, ns } = body;
    let soa = soa.unwrap_or_default();
    let number = |value: &Option<Value>, field: &str, max: u32| match value {
        Some(value) => whole(value, field, max).map(Some),
        None => Ok(None),
    };
    let name = |value: &Option<Value>, field: &str| value.as_ref().map(|value| json_name(value, field)).transpose();
    let ns = match &ns {
        None => None,
        Some(Value::Array(names)) if !names.is_empty() => {
            let names = names.iter().enumerate().map(|(index, value)| json_name(value, &format!("ns[{index}]")));
            Some(names.collect::<Result<_, _>>()?)
        }
        Some(_) => return Err(ApiError::invalid("ns", "invalid_field", "it is no list of one name or more")),
    };
    Ok(ZoneFields {
        ttl: ttl.as_ref().map(self::ttl).transpose()?,
        soa: SoaFields {
            mname: name(&soa.mname, "soa.mname")?,
            rname: name(&soa.rname, "soa.rname")?,
            numbers: [
                number(&soa.serial, "soa.serial", u32::MAX)?,
                number(&soa.refresh, "soa.refresh", TTL_SECONDS_MAX)?,
                number(&soa.retry, "soa.retry", TTL_SECONDS_MAX)?,
                number(&soa.expire, "soa.expire", TTL_SECONDS_MAX)?,
                number(&soa.minimum, "soa.minimum", TTL_SECONDS_MAX)?,
            ],
        },
        ns,
    })
}

/// A TTL.
fn ttl(value: &Value) -> Result<u32, ApiError> {
    whole(value, "ttl", TTL_SECONDS_MAX)
}

/// A whole number from 0 to `max`.
pub(super) fn whole(value: &Value, field: &str, max: u32) -> Result<u32, ApiError> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|&number| number <= max);
    let code = if field == "ttl" { "ttl_out_of_bounds" } else { "out_of_bounds" };
    number.ok_or_else(|| ApiError::invalid(field, code, format!("{value} is no whole number from 0 to {max}")))
}

/// An absolute name.
fn json_name(value: &Value, field: &str) -> Result<WireName, ApiError> {
    let Value::String(text) = value else {
        return Err(ApiError::invalid(field, "invalid_field", "it is no string"));
    };
    let token = Token { text: text.as_bytes(), quoted: false };
    name::parse(&token, Origin::None).map_err(|error| ApiError::invalid(field, "invalid_name", error.to_string()))
}

/// The zone of a path. The dot at its end may be missing.
pub fn apex(text: &str) -> Result<WireName, ApiError> {
    if !text.is_ascii() {
        return Err(ApiError::invalid("zone", "invalid_name", format!("\"{text}\" has characters beyond ASCII"))
            .remedy("write its A-label form (xn--...)"));
    }
    let name: Result<WireName, _> = text.parse();
    name.map(|name| name.to_lowercase())
        .map_err(|error| ApiError::invalid("zone", "invalid_name", format!("\"{text}\" is no domain name: {error}")))
}

/// The owner that a text means in a zone: `@` is the apex; with a dot at its end a name is absolute; without, it is
/// absolute where it is the zone's name or ends with it, and relative to the zone otherwise.
pub fn owner(text: &str, apex: &WireName) -> Result<WireName, ApiError> {
    let invalid = |message: String| ApiError::invalid("owner", "invalid_name", message);
    if text == "@" {
        return Ok(apex.clone());
    }
    if !text.is_ascii() {
        return Err(
            invalid(format!("\"{text}\" has characters beyond ASCII")).remedy("write its A-label form (xn--...)")
        );
    }
    let malformed = |error| invalid(format!("\"{text}\" is no domain name: {error}"));
    let written: WireName = text.parse().map_err(malformed)?;
    let owner = if name::ends_in_dot(text) || apex.contains(&written) {
        written
    } else {
        name::join(&written, apex).map_err(malformed)?
    };
    if !apex.contains(&owner) {
        return Err(ApiError::invalid("owner", "out_of_zone", format!("{owner} is not in zone {apex}"))
            .remedy("write a name relative to the zone, or an absolute one that ends with the zone's name"));
    }
    Ok(owner.to_lowercase())
}

/// The type that a text means.
pub fn rtype(text: &str) -> Result<u16, ApiError> {
    rtype::parse(text).ok_or_else(|| {
        ApiError::invalid("type", "unknown_type", format!("\"{text}\" is no record type"))
            .remedy("write a mnemonic such as AAAA, or TYPE65280")
    })
}
