//! What is read: the records of names as JSON.

use std::collections::BTreeMap;

use ringdns_engine::name::WireName;
use serde::Serialize;

use super::cabinet::{Cabinet, Names};
use super::monitor::Monitored;
use super::record::{Kind, Record};
use super::{Asker, Site, monitor, reply, shelf};
use crate::health::Table;
use crate::store::{Reading, WriteError};

/// The records of a name, as they are shown. The order of the members is that of the original.
#[derive(Debug, Default, Serialize)]
struct Shown {
    /// Target of an alias.
    #[serde(rename = "alias-domain", skip_serializing_if = "String::is_empty")]
    alias_domain: String,
    /// What they are.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// Addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<String>,
    /// Ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<u16>,
    /// Name server.
    #[serde(rename = "nsHost", skip_serializing_if = "String::is_empty")]
    ns_host: String,
    /// Mail server.
    #[serde(rename = "mailHost", skip_serializing_if = "String::is_empty")]
    mail_host: String,
    /// Its preference.
    #[serde(rename = "mailPriority", skip_serializing_if = "Option::is_none")]
    mail_priority: Option<u16>,
    /// Text.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// Whose they are.
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
}

impl Shown {
    /// Adds a record.
    fn add(&mut self, record: &Record, asker: &Asker) {
        if self.kind.is_none() {
            self.kind = Some(record.kind);
            self.user.clone_from(&record.user);
        }
        match record.kind {
            Kind::A => self.ips.push(record.host.clone()),
            Kind::Srv => {
                self.ips.push(record.host.clone());
                self.ports.push(record.port);
            }
            Kind::Cname => self.alias_domain = asker.show(&record.host),
            Kind::Ns => self.ns_host.clone_from(&record.host),
            Kind::Mx => {
                self.mail_host.clone_from(&record.host);
                self.mail_priority = Some(record.priority).filter(|&priority| priority != 0);
            }
            Kind::Txt => self.text.clone_from(&record.text),
        }
    }
}

/// What a type in a request leads to: the branch of the tree that is looked at. As in the original it starts below the name
/// that is asked for, so that NS, MX and TXT records are found by their suffix.
pub(super) fn branch(name: &WireName, rtype: &str) -> Option<WireName> {
    // Whatever has no branch of its own is looked for at the name.
    let kind = Kind::parse(&rtype.to_ascii_uppercase()).unwrap_or(Kind::A);
    kind.branch().iter().rev().try_fold(name.clone(), |name, label| name.child(label.as_bytes()).ok())
}

/// Everything below every suffix.
pub(super) fn all(site: &Site, reading: &impl Cabinet, rtype: &str, asker: &Asker) -> Result<String, WriteError> {
    let mut shown = BTreeMap::new();
    for apex in &site.suffixes {
        let Some(name) = branch(apex, rtype) else { continue };
        collect(reading, apex, &name, asker, &mut shown)?;
    }
    Ok(json(&shown))
}

/// A name and everything below it.
pub(super) fn one(
    reading: &impl Cabinet,
    apex: &WireName,
    name: &WireName,
    rtype: &str,
    asker: &Asker,
) -> Result<String, WriteError> {
    if name == apex && rtype.is_empty() {
        return Err(WriteError::Refused(reply::TYPE_NEEDED.to_owned()));
    }
    let mut shown = BTreeMap::new();
    if let Some(name) = branch(name, rtype) {
        collect(reading, apex, &name, asker, &mut shown)?;
    }
    if shown.is_empty() {
        return Err(WriteError::Refused(reply::NOT_FOUND.to_owned()));
    }
    Ok(json(&shown))
}

/// Adds a name and everything below it that the asker may see.
fn collect(
    reading: &impl Cabinet,
    apex: &WireName,
    name: &WireName,
    asker: &Asker,
    shown: &mut BTreeMap<String, Shown>,
) -> Result<(), WriteError> {
    for (name, records) in reading.subtree(apex, name)? {
        for record in records.iter().filter(|record| asker.sees(record)) {
            shown.entry(asker.show(&name.to_string())).or_default().add(record, asker);
        }
    }
    Ok(())
}

impl Cabinet for Reading {
    fn records(&self, apex: &WireName, name: &WireName) -> Result<Vec<Record>, WriteError> {
        if self.has_zone(apex)? { shelf::records(self, apex, name) } else { Ok(Vec::new()) }
    }

    fn subtree(&self, apex: &WireName, name: &WireName) -> Result<Names, WriteError> {
        if self.has_zone(apex)? { shelf::subtree(self, apex, name) } else { Ok(Names::new()) }
    }
}

/// What is known of one monitored address, or of all of them.
pub(super) fn monitored(reading: &Reading, address: &str, members: &Table) -> Result<Option<String>, WriteError> {
    let with_status = |address: &str, mut monitored: Monitored| {
        if let Some(known) = address.parse().ok().and_then(|address| members.get(address)) {
            known.status.word().clone_into(&mut monitored.status);
        }
        monitored
    };
    if address.is_empty() {
        let all = monitor::all(reading)?.into_iter();
        let all: BTreeMap<String, Monitored> =
            all.map(|(address, monitored)| (address.clone(), with_status(&address, monitored))).collect();
        return Ok(Some(json(&all)));
    }
    Ok(monitor::of(reading, address)?.map(|monitored| json(&with_status(address, monitored))))
}

/// JSON as the original's library writes it: what HTML would take for its own is escaped.
pub(super) fn json(value: &impl Serialize) -> String {
    // Strings and numbers in maps: nothing that JSON could refuse.
    let text = serde_json::to_string(value).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
