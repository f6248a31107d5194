//! Types whose text form is left to hickory-proto: SVCB, HTTPS (RFC 9460), CERT and CSYNC.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable as _, Restrict};
use ringdns_engine::name::WireName;

use super::lexer::Token;
use super::name::Origin;
use super::rdata::RdataError;
use super::{name, unescape};

/// Service binding.
const SVCB: u16 = 64;
/// Service binding of web sites.
const HTTPS: u16 = 65;
/// Certificate.
const CERT: u16 = 37;
/// Child-to-parent synchronisation.
const CSYNC: u16 = 62;

/// Reads rdata.
pub(super) fn parse(rtype: u16, tokens: &[Token<'_>], origin: Origin<'_>) -> Result<Vec<u8>, RdataError> {
    match (rtype, tokens) {
        (SVCB | HTTPS, [priority, target, parameters @ ..]) => {
            let priority = parse_priority(priority)?;
            let target = name::parse(target, origin)?;
            let mut list = parameters.iter().map(parse_parameter).collect::<Result<Vec<_>, _>>()?;
            // RFC 9460 section 2.2: "SvcParamKeys SHALL appear in increasing numeric order".
            list.sort_unstable();
            if list.windows(2).any(|pair| matches!(pair, [first, second] if first.get(..2) == second.get(..2))) {
                return Err(RdataError::Other("a service parameter is given twice".to_owned()));
            }
            Ok([&priority[..], target.as_bytes(), &list.concat()].concat())
        }
        (SVCB | HTTPS, _) => Err(RdataError::Missing("priority and target")),
        (CERT | CSYNC, _) => encode(RecordType::from(rtype), tokens),
        _ => Err(RdataError::NoTextForm),
    }
}

/// Reads the priority.
fn parse_priority(token: &Token<'_>) -> Result<[u8; 2], RdataError> {
    let number = str::from_utf8(token.text).ok().and_then(|text| text.parse::<u16>().ok());
    let bad = || RdataError::Field { text: token.shown(), expected: "number from 0 to 65535" };
    number.map(u16::to_be_bytes).ok_or_else(bad)
}

/// Reads one service parameter: key, length, value.
///
/// NOTE: hickory gets one parameter at a time, with the root as target: it wants them in order, puts targets through IDNA
/// rules, and keeps escapes as they are written. Values with escapes are therefore read here, in generic form only.
fn parse_parameter(token: &Token<'_>) -> Result<Vec<u8>, RdataError> {
    let generic = token.text.strip_prefix(b"key").filter(|rest| rest.first().is_some_and(u8::is_ascii_digit));
    if let Some(rest) = generic {
        return parse_generic(rest).ok_or_else(|| RdataError::Field {
            text: token.shown(),
            expected: "service parameter such as key667=\"value\"",
        });
    }
    if token.text.contains(&b'\\') {
        let message = format!("{} has an escape; write this parameter in the form key1=\"value\"", token.shown());
        return Err(RdataError::Other(message));
    }
    let stand_in = [Token { text: b"1", quoted: false }, Token { text: b".", quoted: false }, *token];
    let rdata = encode(RecordType::SVCB, &stand_in)?;
    Ok(rdata.get(3..).ok_or(RdataError::GenericForm)?.to_vec())
}

/// Reads `<number>` or `<number>=<value>`.
fn parse_generic(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let key: u16 = str::from_utf8(number).ok()?.parse().ok().filter(|&key| key != u16::MAX)?;
    let value = match rest {
        [] => Vec::new(),
        [b'=', b'"', value @ .., b'"'] | [b'=', value @ ..] => unescape(value)?,
        _ => return None,
    };
    let length = u16::try_from(value.len()).ok()?;
    Some([&key.to_be_bytes()[..], &length.to_be_bytes(), &value].concat())
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

/// Presentation form, where there is one that reads back as the same bytes.
pub(super) fn show(rtype: u16, rdata: &[u8]) -> Option<String> {
    // NOTE: hickory ends lists of parameters with a comma, which no other reader takes.
    let text = match rtype {
        SVCB | HTTPS => show_service_binding(rdata)?,
        CERT | CSYNC => decode(rtype, rdata)?.to_string(),
        _ => return None,
    };
    (super::rdata::parse_line(rtype, &text, Origin::None).ok()? == rdata).then_some(text)
}

/// Priority, target and parameters.
fn show_service_binding(rdata: &[u8]) -> Option<String> {
    let (&priority, rest) = rdata.split_first_chunk()?;
    let (target, parameters) = WireName::split_wire(rest).ok()?;
    let mut text = format!("{} {target}", u16::from_be_bytes(priority));
    for (key, bytes) in split_parameters(parameters)? {
        text.push(' ');
        text.push_str(&show_parameter(key, bytes.get(4..)?)?);
    }
    Some(text)
}

/// One service parameter (RFC 9460 section 14.3.2).
fn show_parameter(key: u16, value: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\;(),".contains(byte);
    let word = |bytes: &[u8]| bytes.iter().all(plain).then(|| String::from_utf8_lossy(bytes).into_owned());
    Some(match key {
        0 => format!("mandatory={}", join(value.chunks(2), |key| key_name(u16::from_be_bytes(key.try_into().ok()?)))?),
        1 => format!("alpn={}", join(split_strings(value)?.into_iter(), word)?),
        2 => "no-default-alpn".to_owned(),
        3 => format!("port={}", u16::from_be_bytes(value.try_into().ok()?)),
        4 => format!("ipv4hint={}", join(value.chunks(4), |hint| Some(ipv4(hint)?.to_string()))?),
        5 => format!("ech={}", data_encoding::BASE64.encode(value)),
        6 => format!("ipv6hint={}", join(value.chunks(16), |hint| Some(ipv6(hint)?.to_string()))?),
        _ if value.is_empty() => format!("key{key}"),
        _ => {
            let mut text = format!("key{key}=");
            super::rdata::quote(value, &mut text);
            text
        }
    })
}

/// The name of a parameter's key.
fn key_name(key: u16) -> Option<String> {
    let names = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];
    Some(names.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_owned()))
}

/// Items between commas.
fn join<'a>(items: impl Iterator<Item = &'a [u8]>, show: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
    Some(items.map(show).collect::<Option<Vec<_>>>()?.join(","))
}

/// An IPv4 address.
fn ipv4(bytes: &[u8]) -> Option<std::net::Ipv4Addr> {
    Some(<[u8; 4]>::try_from(bytes).ok()?.into())
}

/// An IPv6 address.
fn ipv6(bytes: &[u8]) -> Option<std::net::Ipv6Addr> {
    Some(<[u8; 16]>::try_from(bytes).ok()?.into())
}

/// Strings with their length before them.
fn split_strings(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let Some((&length, tail)) = rest.split_first() {
        let (string, tail) = tail.split_at_checked(usize::from(length))?;
        strings.push(string);
        rest = tail;
    }
    Some(strings)
}
