//! What a server tells of itself: `status`, `stats`, `views`.

use serde_json::{Value, json};

use super::Screen;
use super::api::{Api, encode};
use super::arguments::Views;
use super::failure::Done;
use super::table::{cell, fields, table};

/// Shows what the server is and serves.
pub(super) fn status(api: &Api, screen: &mut Screen<'_, '_>) -> Done {
    let value = api.get("/api/v1/status")?.json()?;
    screen.show(&value, fields)
}

/// Shows what the server counts.
pub(super) fn stats(api: &Api, name: Option<&str>, top: Option<u32>, screen: &mut Screen<'_, '_>) -> Done {
    match (name, top) {
        (Some(name), _) => {
            let value = api.get(&format!("/api/v1/stats/names/{}", encode(name)))?.json()?;
            screen.show(&value, fields)
        }
        (None, Some(top)) => {
            let value = api.get(&format!("/api/v1/stats/names?top={top}"))?.json()?;
            screen.show(&value, names)
        }
        (None, None) => {
            let value = api.get("/api/v1/stats")?.json()?;
            screen.show(&value, fields)
        }
    }
}

/// Names and how often they were asked for.
fn names(value: &Value) -> String {
    let names = value["names"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = names.iter().map(|name| [cell(&name["queries"]), cell(&name["name"])]).collect();
    table(["QUERIES", "NAME"], &rows)
}

/// A view's row.
fn row(view: &Value) -> [String; 4] {
    let writable = if view["read_only"] == true { "no" } else { "yes" };
    [cell(&view["name"]), cell(&view["source"]), writable.to_owned(), cell(&view["prefixes"])]
}

/// Shows or changes views.
pub(super) fn views(api: &Api, action: Option<&Views>, screen: &mut Screen<'_, '_>) -> Done {
    match action {
        None | Some(Views::List) => {
            let value = api.get("/api/v1/views")?.json()?;
            screen.show(&value, |value| {
                let views = value["views"].as_array().map(Vec::as_slice).unwrap_or_default();
                let rows: Vec<_> = views.iter().map(row).collect();
                table(["VIEW", "SOURCE", "WRITABLE", "NETWORKS"], &rows)
            })
        }
        Some(Views::Set { name, prefixes }) => {
            let path = format!("/api/v1/views/{}", encode(name));
            let value = api.put("PUT", &path, None, &json!({ "prefixes": prefixes }))?;
            screen.show(&value, fields)
        }
        Some(Views::Delete { name }) => api.delete(&format!("/api/v1/views/{}", encode(name))),
    }
}
