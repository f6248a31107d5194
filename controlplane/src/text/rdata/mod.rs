//! Rdata: presentation form to wire form and back, by one table of field lists.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use ringdns_engine::name::WireName;

use super::lexer::{Lexer, Token};
use super::name::{NameTextError, Origin};
use super::{name, seconds, svcb, unescape};

/// One field of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A domain name.
    Name,
    /// A number of one byte.
    U8,
    /// A number of two bytes.
    U16,
    /// A number of four bytes.
    U32,
    /// Seconds in four bytes, units allowed.
    Seconds,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// One character-string with its length before it.
    Text,
    /// One character-string or more, to the end.
    Texts,
    /// A character-string without quotes: letters and digits, with its length before it (RFC 8659 section 4.1).
    Tag,
    /// Text without a length, to the end.
    Rest,
    /// Hexadecimal digits, to the end.
    Hex,
    /// Base64, to the end.
    Base64,
}

use Field::{Base64, Hex, Ipv4, Ipv6, Name, Rest, Seconds, Tag, Text, Texts, U8, U16, U32};

/// A type whose rdata is a plain list of fields.
#[derive(Debug)]
pub struct Format {
    /// The type's name.
    pub mnemonic: &'static str,
    /// The type's number.
    pub rtype: u16,
    /// The fields in order.
    pub fields: &'static [Field],
}

/// Builds a [`Format`].
const fn format(mnemonic: &'static str, rtype: u16, fields: &'static [Field]) -> Format {
    Format { mnemonic, rtype, fields }
}

/// One line a type.
pub const FORMATS: &[Format] = &[
    format("A", 1, &[Ipv4]),
    format("AAAA", 28, &[Ipv6]),
    format("NS", 2, &[Name]),
    format("CNAME", 5, &[Name]),
    format("SOA", 6, &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds]),
    format("PTR", 12, &[Name]),
    format("MX", 15, &[U16, Name]),
    format("TXT", 16, &[Texts]),
    format("SRV", 33, &[U16, U16, U16, Name]),
    format("CAA", 257, &[U8, Tag, Rest]),
    format("DNAME", 39, &[Name]),
    format("NAPTR", 35, &[U16, U16, Text, Text, Text, Name]),
    format("TLSA", 52, &[U8, U8, U8, Hex]),
    format("SMIMEA", 53, &[U8, U8, U8, Hex]),
    format("SSHFP", 44, &[U8, U8, Hex]),
    format("DS", 43, &[U16, U8, U8, Hex]),
    format("CDS", 59, &[U16, U8, U8, Hex]),
    format("DNSKEY", 48, &[U16, U8, U8, Base64]),
    format("CDNSKEY", 60, &[U16, U8, U8, Base64]),
    format("OPENPGPKEY", 61, &[Base64]),
    format("DHCID", 49, &[Base64]),
    format("URI", 256, &[U16, U16, Rest]),
    format("HINFO", 13, &[Text, Text]),
    format("RP", 17, &[Name, Name]),
    format("AFSDB", 18, &[U16, Name]),
    format("KX", 36, &[U16, Name]),
    format("SPF", 99, &[Texts]),
];

/// Why text is no rdata of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// Too few fields.
    #[error("a field is missing: {0}")]
    Missing(&'static str),
    /// Too many fields.
    #[error("\"{0}\" follows the last field")]
    Surplus(String),
    /// A field that does not read as what it should be.
    #[error("\"{text}\" is no {expected}")]
    Field {
        /// What was written.
        text: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A field that is no name.
    #[error(transparent)]
    Name(#[from] NameTextError),
    /// Generic rdata whose length is not that of its digits.
    #[error("the length after \\# is {announced}, and {found} bytes follow")]
    GenericLength {
        /// What the text says.
        announced: usize,
        /// What the text has.
        found: usize,
    },
    /// Generic rdata of a known type that is none of that type.
    #[error("these bytes are no rdata of this type")]
    GenericForm,
    /// A type without text form here.
    #[error("records of this type are written in generic form: \\# <length> <hexadecimal digits>")]
    NoTextForm,
    /// What hickory-proto says.
    #[error("{0}")]
    Other(String),
    /// Longer than a record can be.
    #[error("the rdata is longer than 65535 bytes")]
    TooLong,
}

/// The field list of a type, where it has one.
fn fields(rtype: u16) -> Option<&'static [Field]> {
    FORMATS.iter().find(|format| format.rtype == rtype).map(|format| format.fields)
}

/// Reads rdata; the origin says what names in it that are not absolute mean.
pub fn parse(rtype: u16, tokens: &[Token<'_>], origin: Origin<'_>) -> Result<Vec<u8>, RdataError> {
    let rdata = match (tokens, fields(rtype)) {
        ([first, rest @ ..], _) if first.is("\\#") => parse_generic(rtype, rest)?,
        (_, Some(fields)) => parse_fields(fields, tokens, origin)?,
        (_, None) => svcb::parse(rtype, tokens, origin)?,
    };
    if rdata.len() > usize::from(u16::MAX) { Err(RdataError::TooLong) } else { Ok(rdata) }
}

/// Reads rdata from one line of text.
pub fn parse_line(rtype: u16, text: &str, origin: Origin<'_>) -> Result<Vec<u8>, RdataError> {
    let mut lexer = Lexer::new(text.as_bytes());
    let mut tokens = Vec::new();
    lexer.next_entry(&mut tokens).map_err(|(_, error)| RdataError::Other(error.to_string()))?;
    let rdata = parse(rtype, &tokens, origin)?;
    match lexer.next_entry(&mut tokens) {
        Ok(None) => Ok(rdata),
        _ => Err(RdataError::Other("one record takes one line".to_owned())),
    }
}

/// Reads `\# <length> <hexadecimal digits>` (RFC 3597 section 5) after its `\#`.
fn parse_generic(rtype: u16, tokens: &[Token<'_>]) -> Result<Vec<u8>, RdataError> {
    let (length, digits) = tokens.split_first().ok_or(RdataError::Missing("length"))?;
    let announced: u16 = number(length, "length from 0 to 65535")?;
    let rdata = decode(digits, &HEXLOWER_PERMISSIVE, "even number of hexadecimal digits")?;
    let announced = usize::from(announced);
    if announced != rdata.len() {
        return Err(RdataError::GenericLength { announced, found: rdata.len() });
    }
    if is_well_formed(rtype, &rdata) { Ok(rdata) } else { Err(RdataError::GenericForm) }
}

/// Reads fields one by one.
fn parse_fields(fields: &[Field], tokens: &[Token<'_>], origin: Origin<'_>) -> Result<Vec<u8>, RdataError> {
    let mut rdata = Vec::new();
    let mut rest = tokens;
    for &field in fields {
        let tail = parse_field(field, rest, origin, &mut rdata)?;
        rest = tail;
    }
    match rest {
        [] => Ok(rdata),
        [surplus, ..] => Err(RdataError::Surplus(surplus.shown())),
    }
}

/// Reads one field and gives the tokens after it.
fn parse_field<'t, 'a>(
    field: Field,
    tokens: &'t [Token<'a>],
    origin: Origin<'_>,
    rdata: &mut Vec<u8>,
) -> Result<&'t [Token<'a>], RdataError> {
    let (first, rest) = tokens.split_first().ok_or(RdataError::Missing(expected(field)))?;
    let bad = || RdataError::Field { text: first.shown(), expected: expected(field) };
    match field {
        Name => rdata.extend_from_slice(name::parse(first, origin)?.as_bytes()),
        U8 => rdata.push(number(first, expected(field))?),
        U16 => rdata.extend_from_slice(&number::<u16>(first, expected(field))?.to_be_bytes()),
        U32 => rdata.extend_from_slice(&number::<u32>(first, expected(field))?.to_be_bytes()),
        Seconds => rdata.extend_from_slice(&seconds(first).ok_or_else(bad)?.to_be_bytes()),
        Ipv4 => rdata.extend_from_slice(&number::<Ipv4Addr>(first, expected(field))?.octets()),
        Ipv6 => rdata.extend_from_slice(&number::<Ipv6Addr>(first, expected(field))?.octets()),
        Text => push_text(first, rdata)?,
        Tag if !is_tag(first.text) => return Err(bad()),
        Tag => push_text(first, rdata)?,
        Rest => rdata.extend_from_slice(&unescape(first.text).ok_or_else(bad)?),
        Texts => tokens.iter().try_for_each(|token| push_text(token, rdata))?,
        Hex => rdata.extend_from_slice(&decode(tokens, &HEXLOWER_PERMISSIVE, expected(field))?),
        Base64 => rdata.extend_from_slice(&decode(tokens, &BASE64, expected(field))?),
    }
    Ok(if matches!(field, Texts | Hex | Base64) { &[] } else { rest })
}

/// What a field should look like, for messages.
fn expected(field: Field) -> &'static str {
    match field {
        Name => "domain name",
        U8 => "number from 0 to 255",
        U16 => "number from 0 to 65535",
        U32 => "number from 0 to 4294967295",
        Seconds => "time in seconds",
        Ipv4 => "IPv4 address",
        Ipv6 => "IPv6 address",
        Text | Texts => "string of at most 255 bytes",
        Tag => "tag of letters and digits",
        Rest => "text",
        Hex => "even number of hexadecimal digits",
        Base64 => "base64",
    }
}

/// Reads a number or an address.
fn number<T: std::str::FromStr>(token: &Token<'_>, expected: &'static str) -> Result<T, RdataError> {
    let text = str::from_utf8(token.text).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| RdataError::Field { text: token.shown(), expected })
}

/// Writes a character-string.
fn push_text(token: &Token<'_>, rdata: &mut Vec<u8>) -> Result<(), RdataError> {
    let bad = || RdataError::Field { text: token.shown(), expected: "string of at most 255 bytes" };
    let bytes = unescape(token.text).ok_or_else(bad)?;
    rdata.push(u8::try_from(bytes.len()).map_err(|_| bad())?);
    rdata.extend_from_slice(&bytes);
    Ok(())
}

/// True for a property tag of CAA.
fn is_tag(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
}

/// Decodes digits that may be spread over tokens.
fn decode(
    tokens: &[Token<'_>],
    encoding: &data_encoding::Encoding,
    expected: &'static str,
) -> Result<Vec<u8>, RdataError> {
    let digits: Vec<u8> = tokens.iter().flat_map(|token| token.text).copied().collect();
    let bad = |_| RdataError::Field { text: String::from_utf8_lossy(&digits).into_owned(), expected };
    encoding.decode(&digits).map_err(bad)
}

/// True where bytes can be rdata of a type; bytes of an unknown type always can.
pub fn is_well_formed(rtype: u16, rdata: &[u8]) -> bool {
    match fields(rtype) {
        Some(fields) => show_fields(fields, rdata).is_some(),
        None => svcb::is_well_formed(rtype, rdata),
    }
}

/// Presentation form that reads back as the same bytes.
pub fn show(rtype: u16, rdata: &[u8]) -> String {
    let text = match fields(rtype) {
        Some(fields) => show_fields(fields, rdata),
        None => svcb::show(rtype, rdata),
    };
    text.unwrap_or_else(|| show_generic(rdata))
}

/// `\# <length> <hexadecimal digits>`
pub fn show_generic(rdata: &[u8]) -> String {
    match rdata {
        [] => "\\# 0".to_owned(),
        _ => format!("\\# {} {}", rdata.len(), HEXLOWER.encode(rdata)),
    }
}

/// Presentation form of a field list; nothing where the bytes do not fit it.
fn show_fields(fields: &[Field], rdata: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = rdata;
    for &field in fields {
        if !text.is_empty() {
            text.push(' ');
        }
        rest = show_field(field, rest, &mut text)?;
    }
    rest.is_empty().then_some(text)
}

/// Shows one field and gives the bytes after it.
fn show_field<'a>(field: Field, rdata: &'a [u8], text: &mut String) -> Option<&'a [u8]> {
    match field {
        Name => {
            let (name, rest) = WireName::split_wire(rdata).ok()?;
            write!(text, "{name}").ok()?;
            Some(rest)
        }
        U8 => show_fixed(rdata, text, |[byte]: [u8; 1]| byte),
        U16 => show_fixed(rdata, text, u16::from_be_bytes),
        U32 | Seconds => show_fixed(rdata, text, u32::from_be_bytes),
        Ipv4 => show_fixed(rdata, text, |bytes: [u8; 4]| Ipv4Addr::from(bytes)),
        Ipv6 => show_fixed(rdata, text, |bytes: [u8; 16]| Ipv6Addr::from(bytes)),
        Text => show_text(rdata, text),
        Texts => {
            let mut rest = show_text(rdata, text)?;
            while !rest.is_empty() {
                text.push(' ');
                rest = show_text(rest, text)?;
            }
            Some(rest)
        }
        Tag => {
            let (&length, rest) = rdata.split_first()?;
            let (tag, rest) = rest.split_at_checked(usize::from(length)).filter(|(tag, _)| is_tag(tag))?;
            text.push_str(str::from_utf8(tag).ok()?);
            Some(rest)
        }
        Rest => {
            quote(rdata, text);
            Some(&[])
        }
        Hex | Base64 if rdata.is_empty() => None,
        Hex => {
            text.push_str(&HEXLOWER.encode(rdata));
            Some(&[])
        }
        Base64 => {
            text.push_str(&BASE64.encode(rdata));
            Some(&[])
        }
    }
}

/// Shows a field of a fixed number of bytes.
fn show_fixed<'a, const BYTES: usize, T: std::fmt::Display>(
    rdata: &'a [u8],
    text: &mut String,
    read: impl FnOnce([u8; BYTES]) -> T,
) -> Option<&'a [u8]> {
    let (&bytes, rest) = rdata.split_first_chunk()?;
    write!(text, "{}", read(bytes)).ok()?;
    Some(rest)
}

/// Shows one character-string.
fn show_text<'a>(rdata: &'a [u8], text: &mut String) -> Option<&'a [u8]> {
    let (&length, rest) = rdata.split_first()?;
    let (bytes, rest) = rest.split_at_checked(usize::from(length))?;
    quote(bytes, text);
    Some(rest)
}

/// Writes bytes between quotes, those beyond printable ASCII as `\DDD`.
pub(super) fn quote(bytes: &[u8], text: &mut String) {
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:03}");
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests;
