//! The table of monitored addresses: which addresses are to be looked after, and for which names. The records' routes keep
//! it, and whoever checks addresses reads it.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::Record;
use crate::store::{Desk, Look, WriteError};

/// What the keys of the table start with; the address follows as text.
const PREFIX: [u8; 2] = [b'i', 0];

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Monitored {
    /// `UP` or `DOWN`.
    pub(super) status: String,
    /// Ports that are tried; none: the checker's own choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<String>,
    /// Names that have the address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) domains: Vec<String>,
    /// What others have written beside them.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Monitored {
    /// The entry of a value; an empty one where it is none.
    pub(super) fn parse(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    /// An entry with a name more, and with the port of its service; nothing where it has both already.
    pub(super) fn with(known: Option<Self>, name: &str, port: Option<u16>) -> Option<Self> {
        let mut monitored = known.unwrap_or_default();
        if monitored.status.is_empty() {
            "UP".clone_into(&mut monitored.status);
        }
        let port = port.map(|port| port.to_string()).filter(|port| !monitored.ports.contains(port));
        // Compared whole: a name that merely contains this one is another.
        let is_new = !monitored.domains.iter().any(|domain| domain == name);
        if is_new {
            monitored.domains.push(name.to_owned());
        }
        let changes = is_new || port.is_some();
        monitored.ports.extend(port);
        changes.then_some(monitored)
    }
}

/// The key of an address.
fn key(address: &str) -> Vec<u8> {
    [&PREFIX, address.as_bytes()].concat()
}

/// What is known of an address; nothing where it is not monitored.
pub(super) fn of(look: &impl Look, address: &str) -> Result<Option<Monitored>, WriteError> {
    let value = look.note(&key(address))?;
    Ok(value.map(|value| Monitored::parse(&value)))
}

/// Every monitored address with what is known of it, in the order of their texts.
pub(super) fn all(look: &impl Look) -> Result<Vec<(String, Monitored)>, WriteError> {
    let notes = look.notes_below(&PREFIX)?.into_iter();
    let entry = |(key, value): (Vec<u8>, Vec<u8>)| {
        let address = key.get(PREFIX.len()..).unwrap_or_default();
        (String::from_utf8_lossy(address).into_owned(), Monitored::parse(&value))
    };
    Ok(notes.map(entry).collect())
}

/// Brings the table up to date with the records of a name.
pub(super) fn follow(desk: &mut Desk<'_, '_>, name: &str, old: &[Record], new: &[Record]) -> Result<(), WriteError> {
    let addresses = |records: &[Record]| -> Vec<String> {
        let addresses = records.iter().filter(|record| record.kind.is_address());
        addresses.map(|record| record.host.clone()).collect()
    };
    let (before, after) = (addresses(old), addresses(new));
    let stays: HashSet<&String> = after.iter().collect();
    for gone in before.iter().filter(|address| !stays.contains(address)) {
        let Some(mut monitored) = of(desk, gone)? else { continue };
        monitored.domains.retain(|domain| domain != name);
        let keeps = !monitored.domains.is_empty();
        set(desk, gone, keeps.then_some(&monitored))?;
    }
    // What the name had before is in the table: of thousands only the new ones are looked at.
    let had: HashSet<&String> = before.iter().collect();
    for address in after.iter().filter(|address| !had.contains(address)) {
        if let Some(monitored) = Monitored::with(of(desk, address)?, name, None) {
            set(desk, address, Some(&monitored))?;
        }
    }
    Ok(())
}

/// Writes or removes an entry.
fn set(desk: &mut Desk<'_, '_>, address: &str, monitored: Option<&Monitored>) -> Result<(), WriteError> {
    let value = monitored.map(serde_json::to_vec).transpose();
    let value = value.map_err(|error| WriteError::Storage(error.to_string()))?;
    desk.set_note(&key(address), value.as_deref())
}
