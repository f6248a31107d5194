//! Types whose text form is left to hickory-proto: SVCB, HTTPS (RFC 9460), CERT and CSYNC.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable as _, Restrict};
use ringdns_engine::name::WireName;

use super::lexer::Token;
use super::name;
use super::rdata::RdataError;

/// Service binding.
const SVCB: u16 = 64;
/// Service binding of web sites.
const HTTPS: u16 = 65;
/// Certificate.
const CERT: u16 = 37;
/// Child-to-parent synchronisation.
const CSYNC: u16 = 62;

/// Reads rdata.
pub(super) fn parse(rtype: u16, tokens: &[Token<'_>], origin: Option<&WireName>) -> Result<Vec<u8>, RdataError> {
    match (rtype, tokens) {
        (SVCB | HTTPS, [priority, target, parameters @ ..]) => {
            // NOTE: hickory puts names through IDNA rules and knows no origin: it gets the root, and the wire form gets
            // the target in its place.
            let target = name::parse(target, origin)?;
            let root = Token { text: b".", quoted: false };
            let stand_in: Vec<Token<'_>> = [*priority, root].iter().chain(parameters).copied().collect();
            let rdata = encode(RecordType::SVCB, &stand_in)?;
            let (head, tail) = rdata.split_first_chunk::<2>().ok_or(RdataError::GenericForm)?;
            let parameters = tail.strip_prefix(&[0]).ok_or(RdataError::GenericForm)?;
            Ok([&head[..], target.as_bytes(), &sorted(parameters)?].concat())
        }
        (SVCB | HTTPS, _) => Err(RdataError::Missing("priority and target")),
        (CERT | CSYNC, _) => encode(RecordType::from(rtype), tokens),
        _ => Err(RdataError::NoTextForm),
    }
}

/// Has hickory read tokens.
fn encode(rtype: RecordType, tokens: &[Token<'_>]) -> Result<Vec<u8>, RdataError> {
    let mut text = String::new();
    for token in tokens {
        let part = str::from_utf8(token.text)
            .map_err(|_| RdataError::Field { text: token.shown(), expected: "text in UTF-8" })?;
        let quote = if token.quoted { "\"" } else { "" };
        text.push_str(&[" ", quote, part, quote].concat());
    }
    let other = |error: String| RdataError::Other(error);
    let rdata = RData::try_from_str(rtype, text.trim_start()).map_err(|error| other(error.to_string()))?;
    rdata.to_bytes().map_err(|error| other(error.to_string()))
}

/// Puts service parameters in the order that the wire form demands (RFC 9460 section 2.2) and refuses repeated keys.
fn sorted(parameters: &[u8]) -> Result<Vec<u8>, RdataError> {
    let mut list = split_parameters(parameters).ok_or(RdataError::GenericForm)?;
    list.sort_unstable();
    let repeated = list.windows(2).any(|pair| matches!(pair, [first, second] if first.0 == second.0));
    if repeated {
        return Err(RdataError::Other("a service parameter is given twice".to_owned()));
    }
    Ok(list.into_iter().flat_map(|(_, bytes)| bytes).copied().collect())
}

/// Key and bytes, key and length included, of each parameter.
fn split_parameters(mut rest: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut list = Vec::new();
    while let Some((&[a, b, c, d], value)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let tail = value.get(length..)?;
        list.push((u16::from_be_bytes([a, b]), rest.get(..4 + length)?));
        rest = tail;
    }
    rest.is_empty().then_some(list)
}

/// True where bytes can be rdata of a type.
pub(super) fn is_well_formed(rtype: u16, rdata: &[u8]) -> bool {
    match rtype {
        SVCB | HTTPS => is_service_binding(rdata),
        CERT | CSYNC => decode(rtype, rdata).is_some(),
        _ => true,
    }
}

/// Priority, target and parameters in strictly rising order.
fn is_service_binding(rdata: &[u8]) -> bool {
    let Some((_, rest)) = rdata.split_first_chunk::<2>() else { return false };
    let Ok((_, parameters)) = WireName::split_wire(rest) else { return false };
    let Some(list) = split_parameters(parameters) else { return false };
    list.windows(2).all(|pair| matches!(pair, [first, second] if first.0 < second.0))
}

/// Has hickory read wire form.
fn decode(rtype: u16, rdata: &[u8]) -> Option<RData> {
    let length = Restrict::new(u16::try_from(rdata.len()).ok()?);
    RData::read(&mut BinDecoder::new(rdata), RecordType::from(rtype), length).ok()
}

/// Presentation form, where hickory has one that reads back as the same bytes.
pub(super) fn show(rtype: u16, rdata: &[u8]) -> Option<String> {
    if !matches!(rtype, SVCB | HTTPS | CERT | CSYNC) {
        return None;
    }
    let text = decode(rtype, rdata)?.to_string();
    (super::rdata::parse_line(rtype, &text, None).ok()? == rdata).then_some(text)
}
