//! Rows of the file as keys and values of etcd, for people to read and to write.
//!
//! | key, below the prefix | value |
//! |---|---|
//! | `head` | who made the last transaction: every transaction changes it |
//! | `writers/<server>` | the number of the server's last transaction |
//! | `zones/<zone>` | `{}` |
//! | `rrsets/<zone>/<owner>/<TYPE>[/<view>]` | the RRset as the REST interface has it |
//! | `views/<name>` | `{"prefixes":["192.0.2.0/24"]}` |
//! | `notes/<key>` | as the interface wrote it that keeps the note |
//!
//! Names are absolute and in lower case. A slash, a blank, a percent sign and whatever is not ASCII is percent-encoded; in the keys
//! of notes, which are names in canonical order, a slash stands for the end of a label.

use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use serde_json::{Map, Value, json};

use super::super::schema::{rrset_key, rrset_of, rrset_value, split_rrset_key};
use super::touched::Kind;
use crate::api::{body, selection};
use crate::canonical::{name_key, split_name};
use crate::model::Rrset;
use crate::text::{rdata, rtype};
use crate::views;

/// What cannot stand in a part of a key.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b' ');

/// Longest value that is looked at, in bytes: more than the largest RRset with every byte escaped.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// Why a key says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl Fault {
    /// With a reason.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// The table.
    pub(super) kind: Kind,
    /// The key.
    pub(super) key: Vec<u8>,
}

/// What a key of etcd is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Changed by every transaction.
    Head,
    /// Of one server.
    Writer,
    /// A row.
    Row(Row),
}

/// Keys and values below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Codec {
    /// What all keys begin with; a slash is the last of it.
    prefix: String,
}

impl Codec {
    /// Below a prefix without a slash at its end.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}/") }
    }

    /// What all keys begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key that every transaction changes.
    pub(super) fn head(&self) -> Vec<u8> {
        format!("{}head", self.prefix).into_bytes()
    }

    /// The key of a server's transactions.
    pub(super) fn writer(&self, id: u64) -> Vec<u8> {
        format!("{}writers/{id:016x}", self.prefix).into_bytes()
    }

    /// What the keys of a zone's RRsets begin with.
    pub(super) fn rrsets_of(&self, apex: &WireName) -> String {
        format!("{}rrsets/{}/", self.prefix, part(&apex.to_string()))
    }

    /// The key of a row; nothing where the row is damaged.
    pub(super) fn key(&self, row: &Row) -> Option<Vec<u8>> {
        let text = match row.kind {
            Kind::Zone => format!("{}zones/{}", self.prefix, part(&name_of(&row.key)?.to_string())),
            Kind::Rrset => {
                let (apex, owner, rtype, view) = split_rrset_key(&row.key)?;
                let view = view.map(|view| format!("/{}", part(&view))).unwrap_or_default();
                format!("{}{}/{}{view}", self.rrsets_of(&apex), part(&owner.to_string()), rtype::show(rtype))
            }
            Kind::Note => format!("{}notes/{}", self.prefix, note_part(&row.key)),
            Kind::View => format!("{}views/{}", self.prefix, part(std::str::from_utf8(&row.key).ok()?)),
        };
        Some(text.into_bytes())
    }

    /// What a key is.
    pub(super) fn place(&self, key: &[u8]) -> Result<Place, Fault> {
        let unknown = || Fault::new("there is no such key; known are zones/, rrsets/, views/ and notes/");
        let rest = key.strip_prefix(self.prefix.as_bytes()).ok_or_else(unknown)?;
        let rest = std::str::from_utf8(rest).map_err(|_| unknown())?;
        let row = |kind, key| Ok(Place::Row(Row { kind, key }));
        let (table, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match table {
            "head" => Ok(Place::Head),
            "writers" => Ok(Place::Writer),
            "zones" => row(Kind::Zone, name_key(&name(rest)?)),
            "rrsets" => row(Kind::Rrset, rrset_parts(rest)?),
            "views" => row(Kind::View, decoded(rest)?.into_bytes()),
            "notes" => row(Kind::Note, note_key(rest).ok_or_else(unknown)?),
            _ => Err(unknown()),
        }
    }

    /// What a key is, where it is written as this program writes it: otherwise two keys could be one row.
    pub(super) fn parse(&self, key: &[u8]) -> Result<Place, Fault> {
        let place = self.place(key)?;
        match &place {
            Place::Row(row) => match self.key(row) {
                Some(expected) if expected == key => Ok(place),
                Some(expected) => {
                    Err(Fault::new(format!("the key has to be written {}", String::from_utf8_lossy(&expected))))
                }
                None => Err(Fault::new("the key cannot be read")),
            },
            _ => Ok(place),
        }
    }
}

/// The value that etcd has for a row's.
pub(super) fn to_etcd(row: &Row, value: &[u8]) -> Option<Vec<u8>> {
    let value = match row.kind {
        Kind::Zone => json!({}),
        Kind::Note => return Some(value.to_vec()),
        Kind::View => {
            let prefixes: Vec<&str> = std::str::from_utf8(value).ok()?.lines().collect();
            json!({ "prefixes": prefixes })
        }
        Kind::Rrset => {
            let (_, rrset) = rrset_of(&row.key, value)?;
            let records: Vec<String> = rrset.rdatas.iter().map(|rdata| rdata::show(rrset.rtype, rdata)).collect();
            let mut json = json!({
                "owner": rrset.owner.to_string(), "type": rtype::show(rrset.rtype), "ttl": rrset.ttl, "records": records,
            });
            if let Some(selection) = rrset.selection {
                json["selection"] = selection::show(*selection, records.len());
            }
            if let Some(view) = rrset.view {
                json["view"] = json!(&*view);
            }
            json
        }
    };
    Some(value.to_string().into_bytes())
}

/// The value that a row has for etcd's.
pub(super) fn to_row(row: &Row, value: &[u8]) -> Result<Vec<u8>, Fault> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Fault::new(format!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    match row.kind {
        Kind::Note => Ok(value.to_vec()),
        Kind::Zone => members(value).map(|_| Vec::new()),
        Kind::View => view_value(row, &members(value)?),
        Kind::Rrset => rrset(row, members(value)?).map(|rrset| rrset_value(&rrset)),
    }
}

/// The members of an object.
fn members(value: &[u8]) -> Result<Map<String, Value>, Fault> {
    serde_json::from_slice(value).map_err(|error| Fault::new(format!("the value is no JSON object: {error}")))
}

/// The RRset of a value. Owner, type and view are said by the key; where the value says them too, it has to say the same.
fn rrset(row: &Row, mut members: Map<String, Value>) -> Result<Rrset, Fault> {
    let (apex, owner, of_type, view) = split_rrset_key(&row.key).ok_or_else(|| Fault::new("the key cannot be read"))?;
    let said = [
        ("owner", Some(owner.to_string())),
        ("type", Some(rtype::show(of_type).into_owned())),
        ("view", view.as_deref().map(str::to_owned)),
    ];
    for (member, expected) in said {
        let given = members.remove(member);
        if given.is_some_and(|given| given.as_str() != expected.as_deref()) {
            return Err(Fault::new(format!("{member} is not what the key says")));
        }
    }
    let text = Value::Object(members).to_string();
    let read = body::rrset(text.as_bytes(), &apex, owner, of_type);
    let read = read.map_err(|error| match error.field {
        Some(field) => Fault::new(format!("{field}: {}", error.message)),
        None => Fault::new(error.message),
    })?;
    let mut rrset = Rrset { view: view.as_deref().map(Arc::from), ..read };
    rrset.normalise(&apex).map_err(|error| Fault::new(error.to_string()))?;
    Ok(rrset)
}

/// The value of a view's row.
fn view_value(row: &Row, members: &Map<String, Value>) -> Result<Vec<u8>, Fault> {
    if !std::str::from_utf8(&row.key).is_ok_and(views::is_name) {
        return Err(Fault::new("the key has no name that a view can have"));
    }
    let Some(Value::Array(prefixes)) = members.get("prefixes") else {
        return Err(Fault::new("prefixes is no list of networks"));
    };
    let mut lines = Vec::new();
    for prefix in prefixes {
        let network = prefix.as_str().and_then(|text| text.parse::<Network>().ok());
        let network = network.ok_or_else(|| Fault::new(format!("prefixes: {prefix} is no network")))?;
        lines.push(network.to_string());
    }
    Ok(lines.join("\n").into_bytes())
}

/// The name that is a whole key.
fn name_of(key: &[u8]) -> Option<WireName> {
    split_name(key).filter(|(_, rest)| rest.is_empty()).map(|(name, _)| name)
}

/// Text as a part of a key.
fn part(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The text of a part.
fn decoded(part: &str) -> Result<String, Fault> {
    let text = percent_decode_str(part).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| Fault::new("the key is not UTF-8 where it is decoded"))
}

/// The name of a part.
fn name(part: &str) -> Result<WireName, Fault> {
    let text = decoded(part)?;
    let name =
        text.parse::<WireName>().map_err(|error| Fault::new(format!("\"{text}\" is no domain name: {error}")))?;
    Ok(name.to_lowercase())
}

/// The key of an RRset's row from zone, owner, type and view.
fn rrset_parts(rest: &str) -> Result<Vec<u8>, Fault> {
    let parts: Vec<&str> = rest.split('/').collect();
    let (zone, owner, of_type, view) = match parts[..] {
        [zone, owner, of_type] => (zone, owner, of_type, None),
        [zone, owner, of_type, view] => (zone, owner, of_type, Some(decoded(view)?)),
        _ => {
            return Err(Fault::new(
                "the key is not rrsets/<zone>/<owner>/<TYPE> or rrsets/<zone>/<owner>/<TYPE>/<view>",
            ));
        }
    };
    let (apex, owner) = (name(zone)?, name(owner)?);
    if !apex.contains(&owner) {
        return Err(Fault::new(format!("{owner} is not in zone {apex}")));
    }
    let rtype = rtype::parse(of_type).ok_or_else(|| Fault::new(format!("\"{of_type}\" is no record type")))?;
    if view.as_deref().is_some_and(|view| !views::is_name(view)) {
        return Err(Fault::new("the key has no name that a view can have"));
    }
    Ok(rrset_key(&apex, &owner, rtype, view.as_deref()))
}

/// The key of a note as text.
fn note_part(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for &byte in key {
        match byte {
            0 => text.push('/'),
            byte if byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%') => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// The key of a note from its text.
fn note_key(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('/', "%00");
    Some(percent_decode_str(&text).collect()).filter(|key: &Vec<u8>| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str) -> Row {
        match Codec::new("/r").parse(key.as_bytes()).unwrap() {
            Place::Row(row) => row,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let codec = Codec::new("/r");
        for (key, value) in [
            ("/r/zones/example.org.", "{}"),
            (
                "/r/rrsets/example.org./*.example.org./A",
                r#"{"owner":"*.example.org.","records":["192.0.2.1"],"ttl":60,"type":"A"}"#,
            ),
            (
                "/r/rrsets/example.org./a%2Fb.example.org./TXT/office",
                r#"{"owner":"a/b.example.org.","records":["\"x\""],"ttl":60,"type":"TXT","view":"office"}"#,
            ),
            (
                "/r/rrsets/a./a./A",
                r#"{"owner":"a.","records":["192.0.2.1"],"selection":{"max_answers":0,"members":[{"up":true,"weight":7}],"mode":"weighted"},"ttl":1,"type":"A"}"#,
            ),
            ("/r/views/office", r#"{"prefixes":["192.0.2.0/24","2001:db8::/32"]}"#),
            ("/r/notes/rlocal/c//local/c/%C3%A4//", "any bytes"),
        ] {
            let row = row(key);
            let stored = to_row(&row, value.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(to_etcd(&row, &stored).unwrap()).unwrap(), value, "{key}");
            assert_eq!(codec.key(&row).unwrap(), key.as_bytes());
        }
        assert_eq!(codec.parse(&codec.head()), Ok(Place::Head));
        assert_eq!(codec.parse(&codec.writer(7)), Ok(Place::Writer));
    }

    #[test]
    fn each_mistake_is_named() {
        let codec = Codec::new("/r");
        for (key, expected) in [
            ("/r/zone/a.", "there is no such key"),
            ("/r/zones/A.", "the key has to be written /r/zones/a."),
            ("/r/zones/a..b", "is no domain name"),
            ("/r/rrsets/a./A", "the key is not rrsets/<zone>/<owner>/<TYPE>"),
            ("/r/rrsets/a./b./A", "b. is not in zone a."),
            ("/r/rrsets/a./a./NONE", "\"NONE\" is no record type"),
        ] {
            let fault = codec.parse(key.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains(expected), "{key}: {fault}");
        }
        for (key, value, expected) in [
            ("/r/rrsets/a./a./A", "{", "the value is no JSON object"),
            ("/r/rrsets/a./a./A", r#"{"ttl":1,"records":["x"]}"#, "records[0]: "),
            ("/r/rrsets/a./a./A", r#"{"records":["192.0.2.1"]}"#, "ttl: it is missing"),
            (
                "/r/rrsets/a./a./A",
                r#"{"ttl":1,"records":["192.0.2.1"],"owner":"b."}"#,
                "owner is not what the key says",
            ),
            ("/r/rrsets/a./b.a./SOA", r#"{"ttl":1,"records":["a. a. 1 1 1 1 1"]}"#, "SOA"),
            ("/r/views/office", r#"{"prefixes":["x"]}"#, "is no network"),
        ] {
            let fault = to_row(&row(key), value.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains(expected), "{key}: {fault}");
        }
    }
}
