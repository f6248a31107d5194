//! The tree that the original keeps its records in: keys and values in etcd, byte for byte.
//!
//! ```text
//! /containerdns/local/containerdns/cctv2/4af19cb2/   {"host":"192.168.10.1","type":"A","ttl":30,"user":"u1"}
//! /containerdns/local/containerdns/tv1/              {"host":"cctv2.containerdns.local.","type":"CNAME","ttl":30,"user":"u1"}
//! /containerdns/monitor/status/192.168.10.1          {"status":"UP","domains":["cctv2.containerdns.local."]}
//! ```
//!
//! Addresses and services have one label more than their name, the hash of their address; all others have not.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringdns_engine::name::WireName;
use serde::{Deserialize, Serialize};

use super::cabinet::{Cabinet, Names, OpenCabinet};
use super::record::{Kind, Record, label_of};
use super::{read, reply};
use crate::config::EtcdPlaces;
use crate::etcd::kv::{Entry, Span};
use crate::store::WriteError;

/// Priority and weight of services, as the original writes them.
const SERVICE_NUMBERS: i64 = 10;

/// A value, its members in the order of the original. Members that are not known here are of records that stay as they are.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Value {
    /// An address or a name.
    #[serde(skip_serializing_if = "String::is_empty")]
    host: String,
    /// The type.
    #[serde(rename = "type")]
    rtype: String,
    /// The TTL in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    /// True for mail servers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mail: bool,
    /// Text.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// Port of a service.
    #[serde(skip_serializing_if = "is_zero")]
    port: i64,
    /// Priority of a service, preference of a mail server.
    #[serde(skip_serializing_if = "is_zero")]
    priority: i64,
    /// Weight of a service.
    #[serde(skip_serializing_if = "is_zero")]
    weight: i64,
    /// Who made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
}

/// For serde: what is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Value {
    /// The value of a record.
    fn of(record: &Record, ttl_seconds: u32) -> Self {
        let is_ipv6 = record.host.parse::<IpAddr>().is_ok_and(|host| host.is_ipv6());
        let rtype = match record.kind {
            Kind::A if is_ipv6 => "AAAA",
            Kind::A => "A",
            Kind::Srv => "SRV",
            Kind::Cname => "CNAME",
            Kind::Ns => "NS",
            Kind::Mx => "MX",
            Kind::Txt => "TXT",
        };
        let is_service = record.kind == Kind::Srv;
        let numbers = if is_service { SERVICE_NUMBERS } else { 0 };
        Self {
            host: record.host.clone(),
            rtype: rtype.to_owned(),
            // The original stores these two without one.
            ttl: (!matches!(record.kind, Kind::Mx | Kind::Txt)).then_some(i64::from(ttl_seconds)),
            mail: record.kind == Kind::Mx,
            text: record.text.clone(),
            port: i64::from(record.port),
            priority: if is_service { numbers } else { i64::from(record.priority) },
            weight: numbers,
            user: record.user.clone(),
        }
    }

    /// The record of a value; nothing where it is of no type that the interface has.
    fn record(self) -> Option<Record> {
        let kind = Kind::parse(&self.rtype.to_ascii_uppercase())?;
        let priority = if kind == Kind::Mx { u16::try_from(self.priority).unwrap_or_default() } else { 0 };
        let port = u16::try_from(self.port).unwrap_or_default();
        Some(Record { port, priority, text: self.text, ..Record::new(kind, self.host, &self.user) })
    }
}

/// A key, and what it says; nothing where it says nothing that the interface knows.
#[derive(Debug)]
struct Filed {
    /// The key as it was read.
    entry: Entry,
    /// The name that its record is kept under, and the record.
    record: Option<(WireName, Record)>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Keys that come, and their values.
    pub(super) puts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys that go, and the revision that changed them last.
    pub(super) deletes: BTreeMap<Vec<u8>, i64>,
    /// Names whose addresses change: before and after.
    pub(super) followed: Vec<(String, Vec<Record>, Vec<Record>)>,
}

/// Some of the tree as it was at one moment, and what is to become of it.
#[derive(Debug)]
pub(super) struct Branches<'a> {
    /// Where the suffixes are.
    places: &'a EtcdPlaces,
    /// TTL in seconds of new records.
    ttl_seconds: u32,
    /// The keys.
    filed: Vec<Filed>,
    /// What is to be written.
    pub(super) plan: Plan,
}

/// The keys that hold a name and all below it; a few of its neighbours are among them.
pub(super) fn span(places: &EtcdPlaces, apex: &WireName, name: &WireName) -> Option<Span> {
    let first = places.tree(apex)?.path(name);
    let mut end = first.clone();
    end.push(b'/' + 1);
    Some(Span { first, end })
}

impl<'a> Branches<'a> {
    /// What was read of suffixes.
    pub(super) fn new(places: &'a EtcdPlaces, ttl_seconds: u32, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut seen = BTreeSet::new();
        let entries = entries.into_iter().filter(|entry| seen.insert(entry.key.clone()));
        let mut filed: Vec<Filed> = entries
            .map(|entry| {
                let record = record(places, &entry);
                Filed { entry, record }
            })
            .collect();
        filed.sort_by(by_age);
        Self { places, ttl_seconds, filed, plan: Plan::default() }
    }

    /// The records of a name and their keys.
    fn of<'b>(&'b self, name: &'b WireName) -> impl Iterator<Item = (&'b Entry, &'b Record)> {
        self.filed.iter().filter_map(move |Filed { entry, record }| match record {
            Some((of, record)) if of == name => Some((entry, record)),
            _ => None,
        })
    }

    /// The names that have an address.
    pub(super) fn names_of(&self, address: &str) -> Vec<String> {
        let of = |filed: &Filed| match &filed.record {
            Some((name, record)) if record.kind.is_address() && record.host == address => Some(name.to_string()),
            _ => None,
        };
        let names: BTreeSet<String> = self.filed.iter().filter_map(of).collect();
        names.into_iter().collect()
    }

    /// The key of a record.
    fn key(&self, apex: &WireName, name: &WireName, record: &Record) -> Option<Vec<u8>> {
        let label = label_of(&record.host);
        let name = if record.kind.is_address() { &name.child(label.as_bytes()).ok()? } else { name };
        let mut key = self.places.tree(apex)?.path(name);
        key.push(b'/');
        Some(key)
    }
}

/// In the order in which they were made; what was made at once by address, which is how people count them.
fn by_age(first: &Filed, second: &Filed) -> Ordering {
    let rank = |filed: &Filed| {
        let host = filed.record.as_ref().and_then(|(_, record)| record.host.parse::<IpAddr>().ok());
        (filed.entry.created, host)
    };
    rank(first).cmp(&rank(second)).then_with(|| first.entry.key.cmp(&second.entry.key))
}

/// What a key says.
fn record(places: &EtcdPlaces, entry: &Entry) -> Option<(WireName, Record)> {
    let name = places.name(&entry.key)?;
    let record = serde_json::from_slice::<Value>(&entry.value).ok()?.record()?;
    // The last label is the record's own.
    let name = if record.kind.is_address() { name.parent()? } else { name };
    Some((name, record))
}

impl Cabinet for Branches<'_> {
    fn records(&self, _apex: &WireName, name: &WireName) -> Result<Vec<Record>, WriteError> {
        Ok(self.of(name).map(|(_, record)| record.clone()).collect())
    }

    fn subtree(&self, _apex: &WireName, name: &WireName) -> Result<Names, WriteError> {
        let mut names: BTreeMap<String, (WireName, Vec<Record>)> = BTreeMap::new();
        let records = self.filed.iter().filter_map(|filed| filed.record.as_ref());
        for (of, record) in records.filter(|(of, _)| name.contains(of)) {
            let (_, records) = names.entry(of.to_string()).or_insert_with(|| (of.clone(), Vec::new()));
            records.push(record.clone());
        }
        Ok(names.into_values().collect())
    }
}

impl OpenCabinet for Branches<'_> {
    fn replace(&mut self, apex: &WireName, name: &WireName, new: &[Record]) -> Result<(), WriteError> {
        let refuse = || WriteError::Refused(reply::NOT_SET.to_owned());
        let mut old: Vec<(Entry, Record)> =
            self.of(name).map(|(entry, record)| (entry.clone(), record.clone())).collect();
        let before = old.iter().map(|(_, record)| record.clone()).collect();
        let mut fresh = Vec::new();
        for record in new {
            // A record that stays keeps its key and whatever else its value says.
            match old.iter().position(|(_, known)| known == record) {
                Some(place) => drop(old.swap_remove(place)),
                None => fresh.push(record),
            }
        }
        self.plan.deletes.extend(old.into_iter().map(|(entry, _)| (entry.key, entry.modified)));
        for record in fresh {
            // The servers of a suffix are known by their addresses.
            if record.kind == Kind::Ns && record.host.parse::<IpAddr>().is_err() {
                return Err(refuse());
            }
            let key = self.key(apex, name, record).ok_or_else(refuse)?;
            let is_taken = self.filed.iter().any(|filed| filed.entry.key == key);
            if is_taken && !self.plan.deletes.contains_key(&key) {
                return Err(refuse());
            }
            self.plan.deletes.remove(&key);
            let value = read::json(&Value::of(record, self.ttl_seconds)).into_bytes();
            if self.plan.puts.insert(key, value).is_some() {
                return Err(refuse());
            }
        }
        self.plan.followed.push((name.to_string(), before, new.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of one suffix.
    fn places() -> EtcdPlaces {
        EtcdPlaces::of("/containerdns", &["containerdns.local."])
    }

    fn entry(key: &str, value: &str, created: i64) -> Entry {
        Entry { key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec(), created, modified: created }
    }

    fn name(text: &str) -> WireName {
        text.parse().unwrap()
    }

    #[test]
    fn values_are_those_of_the_original() {
        let places = places();
        let apex = name("containerdns.local.");
        for (kept, record, key, value) in [
            (
                "cctv2.containerdns.local.",
                Record::new(Kind::A, "192.168.10.1", "u1"),
                "/containerdns/local/containerdns/cctv2/4af19cb2/",
                r#"{"host":"192.168.10.1","type":"A","ttl":30,"user":"u1"}"#,
            ),
            (
                "tv1.containerdns.local.",
                Record::new(Kind::Cname, "cctv2.containerdns.local.", "u1"),
                "/containerdns/local/containerdns/tv1/",
                r#"{"host":"cctv2.containerdns.local.","type":"CNAME","ttl":30,"user":"u1"}"#,
            ),
            (
                "n1.ns.dns.containerdns.local.",
                Record::new(Kind::Ns, "10.0.0.2", "u1"),
                "/containerdns/local/containerdns/dns/ns/n1/",
                r#"{"host":"10.0.0.2","type":"NS","ttl":30,"user":"u1"}"#,
            ),
            (
                "m1.mail.containerdns.local.",
                Record { priority: 10, ..Record::new(Kind::Mx, "mx.containerdns.local", "u1") },
                "/containerdns/local/containerdns/mail/m1/",
                r#"{"host":"mx.containerdns.local","type":"MX","mail":true,"priority":10,"user":"u1"}"#,
            ),
            (
                "t1.txt.containerdns.local.",
                Record { text: "v=spf1 <-all>".into(), ..Record::new(Kind::Txt, "", "") },
                "/containerdns/local/containerdns/txt/t1/",
                r#"{"type":"TXT","text":"v=spf1 \u003c-all\u003e"}"#,
            ),
            (
                "_http._tcp.web.containerdns.local.",
                Record { port: 80, ..Record::new(Kind::Srv, "192.168.10.2", "u1") },
                "/containerdns/local/containerdns/web/_tcp/_http/49f19b1f/",
                r#"{"host":"192.168.10.2","type":"SRV","ttl":30,"port":80,"priority":10,"weight":10,"user":"u1"}"#,
            ),
        ] {
            let mut branches = Branches::new(&places, 30, []);
            branches.replace(&apex, &name(kept), std::slice::from_ref(&record)).unwrap();
            let (written, text) = branches.plan.puts.pop_first().unwrap();
            assert_eq!((std::str::from_utf8(&written).unwrap(), std::str::from_utf8(&text).unwrap()), (key, value));
            let again = Branches::new(&places, 30, [entry(key, value, 1)]);
            assert_eq!(again.records(&apex, &name(kept)).unwrap(), [record], "it is read as it was written");
        }
    }

    #[test]
    fn what_stays_keeps_its_key_and_its_value() {
        let places = places();
        let (apex, of) = (name("containerdns.local."), name("a.containerdns.local."));
        let by_hand = r#"{"type":"A","host":"10.0.0.1","ttl":5,"cluster":"c"}"#;
        let entries = [
            entry("/containerdns/local/containerdns/a/mine/", by_hand, 5),
            entry("/containerdns/local/containerdns/a/x", "no JSON", 2),
            entry("/containerdns/local/containerdns/a-b/x/", by_hand, 2),
            entry("/containerdns/local/containerdns/a/y/", r#"{"type":"A","host":"10.0.0.2"}"#, 4),
        ];
        let mut branches = Branches::new(&places, 30, entries);
        let mut records = branches.records(&apex, &of).unwrap();
        let hosts: Vec<&str> = records.iter().map(|record| record.host.as_str()).collect();
        assert_eq!(hosts, ["10.0.0.2", "10.0.0.1"], "in the order in which they were made");
        records.remove(0);
        records.push(Record::new(Kind::A, "10.0.0.3", ""));
        branches.replace(&apex, &of, &records).unwrap();
        let gone: Vec<&[u8]> = branches.plan.deletes.keys().map(Vec::as_slice).collect();
        assert_eq!(gone, [b"/containerdns/local/containerdns/a/y/"]);
        assert_eq!(branches.plan.puts.len(), 1);
        assert_eq!(branches.names_of("10.0.0.1"), ["a-b.containerdns.local.", "a.containerdns.local."]);
    }
}
