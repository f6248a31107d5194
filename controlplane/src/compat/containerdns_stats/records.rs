//! The records of a name as the original keeps them: one object each, what is empty or 0 left out.

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::snapshot::RrsetView;
use serde_json::Value;

use crate::state::Served;
use crate::text::{rdata, rtype};

/// What is served at a name, and the source of the first of it; nothing where nothing is.
pub(super) fn show(name: &WireName, served: &Served) -> Option<(String, u8)> {
    let zones = served.zones.keys().filter(|zone| zone.contains(name));
    let apex = zones.max_by_key(|zone| zone.label_count())?;
    let node = served.snapshot.node(apex, name)?;
    let mut origin = None;
    let mut shown = Vec::new();
    for rrset in node.rrsets().filter(|rrset| rrset.rtype() != types::SOA) {
        origin.get_or_insert(rrset.origin());
        shown.extend(rrset.rdatas().map(|rdata| record(&rrset, rdata)));
    }
    Some((shown.join(","), origin?))
}

/// A record.
pub(in crate::compat) fn record(rrset: &RrsetView<'_>, bytes: &[u8]) -> String {
    let text = rdata::show(rrset.rtype(), bytes);
    let words: Vec<&str> = text.split(' ').collect();
    let mut members = vec![("type", Value::from(rtype::show(rrset.rtype())))];
    let ttl = ("ttl", Value::from(rrset.ttl()));
    let number = |word: &&str| Value::from(word.parse::<u32>().unwrap_or_default());
    match (rrset.rtype(), words.as_slice()) {
        (types::SRV, [priority, weight, port, target]) => {
            members.extend([("host", Value::from(*target)), ttl, ("port", number(port))]);
            members.extend([("priority", number(priority)), ("weight", number(weight))]);
        }
        (types::MX, [preference, host]) => {
            members.extend([("host", Value::from(*host)), ttl, ("priority", number(preference))]);
            members.push(("mail", Value::from(true)));
        }
        (types::TXT, _) => {
            members.extend([ttl, ("text", Value::from(strings(bytes)))]);
        }
        _ => members.extend([("host", Value::from(text)), ttl]),
    }
    let shown = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
}

/// The strings of a TXT record as one text.
fn strings(mut bytes: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(length)).unwrap_or((rest, &[]));
        text.extend_from_slice(string);
        bytes = rest;
    }
    String::from_utf8_lossy(&text).into_owned()
}
