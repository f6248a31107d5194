//! Zones: `list`, `show`, `create zone`, `update zone`, `delete zone`.

use serde_json::{Map, Value, json};

use super::Screen;
use super::api::{Api, encode};
use super::arguments::Zone;
use super::failure::{Done, Failure};
use super::table::{cell, fields, table};

/// The path of a zone.
pub(super) fn path(zone: &str) -> String {
    format!("/api/v1/zones/{}", encode(zone))
}

/// Lists the zones.
pub(super) fn list(api: &Api, screen: &mut Screen<'_, '_>) -> Done {
    let mut zones = Vec::new();
    api.pages("/api/v1/zones", "zones", |mut page| {
        zones.append(&mut page);
        Ok(())
    })?;
    screen.show(&json!({ "zones": zones }), |_| {
        let rows: Vec<_> = zones.iter().map(row).collect();
        table(["ZONE", "SERIAL", "SOURCES", "WRITABLE"], &rows)
    })
}

/// A zone's row.
fn row(zone: &Value) -> [String; 4] {
    let writable = if zone["read_only"] == true { "no" } else { "yes" };
    [cell(&zone["name"]), cell(&zone["serial"]), cell(&zone["sources"]), writable.to_owned()]
}

/// Shows a zone.
pub(super) fn show(api: &Api, zone: &str, screen: &mut Screen<'_, '_>) -> Done {
    let value = api.get(&path(zone))?.json()?;
    screen.show(&value, fields)
}

/// Makes a zone that is not there.
pub(super) fn create(api: &Api, zone: &Zone, screen: &mut Screen<'_, '_>) -> Done {
    let path = path(&zone.zone);
    match api.get(&path) {
        Ok(_) => {
            let words = format!("zone {} is there already; change it with: ringdns ctl update zone", zone.zone);
            return Err(Failure::Refused(words));
        }
        Err(Failure::NotFound(_)) => {}
        Err(failure) => return Err(failure),
    }
    // Also where somebody makes it between the two requests.
    let value = api.put("PUT", &path, Some(("if-none-match", "*")), &body(zone))?;
    screen.show(&value, fields)
}

/// Changes a zone that is there.
pub(super) fn update(api: &Api, zone: &Zone, screen: &mut Screen<'_, '_>) -> Done {
    let path = path(&zone.zone);
    let found = api.get(&path)?;
    let condition = found.etag.as_deref().map(|etag| ("if-match", etag));
    let value = api.put("PUT", &path, condition, &body(zone))?;
    screen.show(&value, fields)
}

/// Removes a zone.
pub(super) fn delete(api: &Api, zone: &str, yes: bool) -> Done {
    if !yes {
        let words = format!("zone {zone} would go with all its records; say --yes if that is meant");
        return Err(Failure::Usage(words));
    }
    api.delete(&path(zone))
}

/// What the command line says of a zone.
fn body(zone: &Zone) -> Value {
    let mut soa = Map::new();
    for (key, value) in [("mname", &zone.mname), ("rname", &zone.rname)] {
        if let Some(value) = value {
            soa.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(minimum) = zone.minimum {
        soa.insert("minimum".to_owned(), json!(minimum));
    }
    let mut body = Map::new();
    if let Some(ttl) = zone.ttl {
        body.insert("ttl".to_owned(), json!(ttl));
    }
    if !soa.is_empty() {
        body.insert("soa".to_owned(), Value::Object(soa));
    }
    if !zone.ns.is_empty() {
        body.insert("ns".to_owned(), json!(zone.ns));
    }
    Value::Object(body)
}
