//! RRsets: `list`, `show`, `create record`, `update record`, `delete record`.

use serde_json::{Map, Value, json};

use super::api::{Api, encode};
use super::arguments::{Change, Output, Record, Selection};
use super::failure::{Done, Failure};
use super::table::{cell, table};
use super::{Screen, zones};

/// Where an RRset is.
pub(super) struct Place<'a> {
    /// Its zone.
    pub(super) zone: &'a str,
    /// Its owner.
    pub(super) owner: &'a str,
    /// Its type.
    pub(super) rtype: &'a str,
    /// Its view; none: the default view.
    pub(super) view: Option<&'a str>,
}

impl Place<'_> {
    /// Its path.
    fn path(&self) -> String {
        let path = format!("{}/rrsets/{}/{}", zones::path(self.zone), encode(self.owner), encode(self.rtype));
        self.view.map_or(path.clone(), |view| format!("{path}?view={}", encode(view)))
    }
}

/// An RRset as one line for each record, as in a zone file; what a zone file has no words for stands behind it.
pub(super) fn lines(rrset: &Value) -> Vec<[String; 5]> {
    let selection = &rrset["selection"];
    let view = rrset["view"].as_str().map(|view| format!("view={view}"));
    let of_all = [
        view,
        selection["mode"].as_str().map(|mode| format!("select={mode}")),
        selection["max_answers"].as_u64().filter(|max| *max > 0).map(|max| format!("max={max}")),
    ];
    let of_all: Vec<String> = of_all.into_iter().flatten().collect();
    let records = rrset["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |(index, record): (usize, &Value)| {
        let member = &selection["members"][index];
        let mut words = of_all.clone();
        words.extend(member["weight"].as_u64().filter(|weight| *weight != 1).map(|weight| format!("weight={weight}")));
        words.extend((member["up"] == false).then(|| "down".to_owned()));
        let words = if words.is_empty() { String::new() } else { format!(";@ {}", words.join(" ")) };
        [cell(&rrset["owner"]), cell(&rrset["ttl"]), cell(&rrset["type"]), cell(record), words]
    };
    records.iter().enumerate().map(line).collect()
}

/// Shows RRsets as a table.
fn rows(rrsets: &[Value]) -> String {
    let rows: Vec<_> = rrsets.iter().flat_map(lines).collect();
    table(["OWNER", "TTL", "TYPE", "RECORD", ""], &rows)
}

/// Lists the RRsets of a zone, or of an owner in it.
pub(super) fn list(api: &Api, zone: &str, owner: Option<&str>, screen: &mut Screen<'_, '_>) -> Done {
    let mut path = format!("{}/rrsets", zones::path(zone));
    if let Some(owner) = owner {
        path = format!("{path}?owner={}", encode(owner));
    }
    let mut all = Vec::new();
    let mut found = 0;
    api.pages(&path, "rrsets", |mut page| {
        found += page.len();
        match screen.output {
            Output::Json => {
                all.append(&mut page);
                Ok(())
            }
            // Page by page: a zone may have millions.
            Output::Table if page.is_empty() => Ok(()),
            Output::Table => screen.print(&rows(&page)),
        }
    })?;
    if screen.output == Output::Json {
        screen.print(&format!("{:#}\n", json!({ "zone": zone, "rrsets": all })))?;
    }
    match owner {
        Some(owner) if found == 0 => Err(Failure::NotFound(format!("{owner} has no records in zone {zone}"))),
        _ => Ok(()),
    }
}

/// Shows one RRset.
pub(super) fn show(api: &Api, place: &Place<'_>, screen: &mut Screen<'_, '_>) -> Done {
    let value = api.get(&place.path())?.json()?;
    screen.show(&value, |value| rows(std::slice::from_ref(value)))
}

/// Makes an RRset that is not there.
pub(super) fn create(api: &Api, record: &Record, screen: &mut Screen<'_, '_>) -> Done {
    let members = record.rdata.iter().map(|rdata| (rdata.clone(), Value::Null)).collect();
    let mut body = body(members, record.ttl, &Value::Null, &record.selection)?;
    body.insert("owner".to_owned(), json!(record.owner));
    body.insert("type".to_owned(), json!(record.rtype));
    if let Some(view) = &record.view {
        body.insert("view".to_owned(), json!(view));
    }
    let path = format!("{}/rrsets", zones::path(&record.zone));
    let value = api.put("POST", &path, None, &Value::Object(body))?;
    screen.show(&value, |value| rows(std::slice::from_ref(value)))
}

/// Changes an RRset that is there.
pub(super) fn update(api: &Api, change: &Change, screen: &mut Screen<'_, '_>) -> Done {
    let Change { zone, owner, rtype, view, .. } = change;
    let path = Place { zone, owner, rtype, view: view.as_deref() }.path();
    let answer = api.get(&path)?;
    let etag = answer.etag.clone();
    let old = answer.json()?;
    let ttl = change.ttl.map_or_else(|| old["ttl"].as_u64().unwrap_or_default(), u64::from);
    let ttl = u32::try_from(ttl).unwrap_or(u32::MAX);
    let body = body(members(change, &old)?, ttl, &old["selection"], &change.selection)?;
    let condition = etag.as_deref().map(|etag| ("if-match", etag));
    let value = api.put("PUT", &path, condition, &Value::Object(body))?;
    screen.show(&value, |value| rows(std::slice::from_ref(value)))
}

/// Removes an RRset.
pub(super) fn delete(api: &Api, place: &Place<'_>) -> Done {
    api.delete(&place.path())
}

/// A record, and what the selection says of it.
type Member = (String, Value);

/// The records after a change, each with what the selection said of it.
fn members(change: &Change, old: &Value) -> Done<Vec<Member>> {
    let records = old["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known: Vec<Member> = (records.iter().enumerate())
        .map(|(index, record)| (cell(record), old["selection"]["members"][index].clone()))
        .collect();
    if let Some(missing) = change.remove.iter().find(|rdata| !known.iter().any(|(record, _)| record == *rdata)) {
        return Err(Failure::NotFound(format!("--remove {missing}: the RRset has no such record")));
    }
    let of = |rdata: &String| {
        let same = known.iter().find(|(record, _)| record == rdata);
        (rdata.clone(), same.map(|(_, member)| member.clone()).unwrap_or_default())
    };
    if !change.rdata.is_empty() {
        return Ok(change.rdata.iter().map(of).collect());
    }
    let mut members: Vec<Member> =
        known.iter().filter(|(record, _)| !change.remove.contains(record)).cloned().collect();
    for rdata in &change.add {
        if !members.iter().any(|(record, _)| record == rdata) {
            members.push((rdata.clone(), Value::Null));
        }
    }
    if members.is_empty() {
        let words = "no record would be left; remove the RRset with: ringdns ctl delete record";
        return Err(Failure::Usage(words.to_owned()));
    }
    Ok(members)
}

/// The body of an RRset.
fn body(members: Vec<Member>, ttl: u32, old: &Value, new: &Selection) -> Done<Map<String, Value>> {
    let mut body = Map::new();
    body.insert("ttl".to_owned(), json!(ttl));
    if let Some(selection) = selection(&members, old, new)? {
        body.insert("selection".to_owned(), selection);
    }
    let records: Vec<String> = members.into_iter().map(|(record, _)| record).collect();
    body.insert("records".to_owned(), json!(records));
    Ok(body)
}

/// The selection of an RRset: the old one with what the command line says; nothing where neither has one.
fn selection(members: &[Member], old: &Value, new: &Selection) -> Done<Option<Value>> {
    let says_members = !new.weights.is_empty() || !new.down.is_empty() || !new.up.is_empty();
    if old.is_null() && new.select.is_none() && new.max_answers.is_none() && !says_members {
        return Ok(None);
    }
    if !new.weights.is_empty() && new.weights.len() != members.len() {
        let words = format!("--weights: {} weights for {} records", new.weights.len(), members.len());
        return Err(Failure::Usage(words));
    }
    for (flag, list) in [("--down", &new.down), ("--up", &new.up)] {
        if let Some(unknown) = list.iter().find(|rdata| !members.iter().any(|(record, _)| record == *rdata)) {
            return Err(Failure::Usage(format!("{flag} {unknown}: the RRset has no such record")));
        }
    }
    let shown: Vec<Value> = (members.iter().enumerate())
        .map(|(index, (record, member))| {
            let weight = new.weights.get(index).map_or_else(|| member["weight"].as_u64().unwrap_or(1), |&n| n.into());
            let was_up = member["up"] != false;
            let up = (was_up || new.up.contains(record)) && !new.down.contains(record);
            json!({ "weight": weight, "up": up })
        })
        .collect();
    let mode = new.select.clone().unwrap_or_else(|| old["mode"].as_str().unwrap_or("all").to_owned());
    let max = new.max_answers.map_or_else(|| old["max_answers"].as_u64().unwrap_or(0), u64::from);
    Ok(Some(json!({ "mode": mode, "max_answers": max, "members": shown })))
}
