//! `diff`: a zone file or JSON beside what is served.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::api::Api;
use super::arguments::Output;
use super::failure::{Done, Failure};
use super::records::lines;
use super::{Screen, zones};

/// RRsets by owner, type and view.
type Rrsets = BTreeMap<(String, String, String), Value>;

/// Compares, and prints what differs.
pub(super) fn diff(
    api: &Api,
    zone: &str,
    file: &Path,
    read_zone: &dyn Fn(&str, &Path) -> Result<Value, String>,
    screen: &mut Screen<'_, '_>,
) -> Done {
    let mut served = Vec::new();
    api.pages(&format!("{}/rrsets", zones::path(zone)), "rrsets", |mut page| {
        served.append(&mut page);
        Ok(())
    })?;
    let served = index(&served, zone);
    let wanted = index(&read(zone, file, read_zone)?, zone);
    let mut keys: Vec<_> = served.keys().chain(wanted.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut differences = Vec::new();
    for key in keys {
        let (old, new) = (served.get(key), wanted.get(key));
        if old.map(comparable) != new.map(comparable) {
            differences.push((old, new));
        }
    }
    match screen.output {
        Output::Json => {
            let list: Vec<Value> = differences.iter().map(|(old, new)| json!({ "served": old, "file": new })).collect();
            screen.print(&format!("{:#}\n", json!({ "zone": zone, "differences": list })))?;
        }
        Output::Table => {
            for (old, new) in &differences {
                screen.print(&show(*old, *new))?;
            }
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(Failure::Differs) }
}

/// The RRsets of a file.
fn read(zone: &str, file: &Path, read_zone: &dyn Fn(&str, &Path) -> Result<Value, String>) -> Done<Vec<Value>> {
    let wrong = |fault: String| Failure::Refused(format!("{}: {fault}", file.display()));
    let value = if file.extension().is_some_and(|extension| extension == "json") {
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let mut value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if value.is_object() { value["rrsets"].take() } else { value }
    } else {
        read_zone(zone, file).map_err(Failure::Refused)?
    };
    match value {
        Value::Array(rrsets) => Ok(rrsets),
        _ => Err(wrong("no list of RRsets; ringdns ctl export --format json shows the form".to_owned())),
    }
}

/// Orders RRsets by what tells them apart, their owners written in full.
fn index(rrsets: &[Value], zone: &str) -> Rrsets {
    let text = |rrset: &Value, member: &str| rrset[member].as_str().unwrap_or_default().to_owned();
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let mut index = Rrsets::new();
    for rrset in rrsets {
        let owner = text(rrset, "owner").to_ascii_lowercase();
        let owner = match owner.as_str() {
            "@" | "" => format!("{zone}."),
            whole if whole.ends_with('.') => whole.to_owned(),
            relative => format!("{relative}.{zone}."),
        };
        let key = (owner.clone(), text(rrset, "type").to_ascii_uppercase(), text(rrset, "view"));
        let mut rrset = rrset.clone();
        rrset["owner"] = json!(owner);
        index.insert(key, rrset);
    }
    index
}

/// What of an RRset is compared: not its source, not the order of its records, and of an SOA record not its serial, which each
/// change of a zone raises.
fn comparable(rrset: &Value) -> (String, Vec<(String, String)>) {
    let is_soa = rrset["type"] == "SOA";
    let selection = &rrset["selection"];
    let records = rrset["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut members: Vec<(String, String)> = (records.iter().enumerate())
        .map(|(index, record)| {
            let mut words: Vec<&str> = record.as_str().unwrap_or_default().split_whitespace().collect();
            if is_soa && words.len() > 2 {
                words.remove(2);
            }
            let member = &selection["members"][index];
            let (weight, up) = (member["weight"].as_u64().unwrap_or(1), member["up"] != false);
            (words.join(" "), format!("{weight} {up}"))
        })
        .collect();
    members.sort();
    let mode = selection["mode"].as_str().unwrap_or("all");
    let max = selection["max_answers"].as_u64().unwrap_or_default();
    (format!("{} {mode} {max}", rrset["ttl"]), members)
}

/// What differs in an RRset: the lines that one side has and the other has not.
fn show(old: Option<&Value>, new: Option<&Value>) -> String {
    let rows = |rrset: Option<&Value>| -> Vec<String> {
        rrset.map(lines).unwrap_or_default().iter().map(|cells| cells.join(" ").trim_end().to_owned()).collect()
    };
    let (old, new) = (rows(old), rows(new));
    let mut text = String::new();
    for line in old.iter().filter(|line| !new.contains(line)) {
        text += &format!("- {line}\n");
    }
    for line in new.iter().filter(|line| !old.contains(line)) {
        text += &format!("+ {line}\n");
    }
    text
}
