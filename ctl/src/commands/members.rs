//! `members`: addresses whose health is known.

use serde_json::{Value, json};

use super::Screen;
use super::api::{Api, encode};
use super::arguments::{MemberState, Members};
use super::failure::{Done, Failure};
use super::table::{cell, fields, table};

/// Shows one address, those of a name, or all of them.
pub(super) fn members(api: &Api, asked: &Members, screen: &mut Screen<'_, '_>) -> Done {
    if let Some(address) = asked.of.as_ref().filter(|of| of.parse::<std::net::IpAddr>().is_ok()) {
        if asked.state.is_some() {
            return Err(Failure::Refused("one address is shown however it is: leave --state out".to_owned()));
        }
        let value = api.get(&format!("/api/v1/members/{}", encode(address)))?.json()?;
        return screen.show(&value, fields);
    }
    let mut parameters = Vec::new();
    parameters.extend(asked.state.map(|state| format!("state={}", word(state))));
    parameters.extend(asked.of.as_ref().map(|name| format!("name={}", encode(name))));
    let mark = if parameters.is_empty() { "" } else { "?" };
    let path = format!("/api/v1/members{mark}{}", parameters.join("&"));
    let mut found: Vec<Value> = Vec::new();
    api.pages(&path, "members", |page| {
        found.extend(page);
        Ok(())
    })?;
    screen.show(&json!({ "members": found }), rows)
}

/// A state in a request.
fn word(state: MemberState) -> &'static str {
    match state {
        MemberState::Up => "up",
        MemberState::Down => "down",
        MemberState::Unknown => "unknown",
    }
}

/// Members as a table.
fn rows(value: &Value) -> String {
    let members = value["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["target", "state", "since", "by", "last_error"];
    let rows: Vec<_> = members.iter().map(|member| columns.map(|column| cell(&member[column]))).collect();
    table(["ADDRESS", "STATE", "SINCE", "BY", "LAST ERROR"], &rows)
}
