//! Selections as JSON.
//!
//! ```json
//! { "mode": "weighted", "max_answers": 0, "members": [{ "weight": 3, "up": true }, { "weight": 1, "up": false }] }
//! ```

use ringdns_engine::select::{Member, Mode, Selection};
use serde_json::{Map, Value, json};

use super::body::whole;
use super::error::ApiError;
use crate::text::mode;

/// Reads a selection for `records` records.
pub(super) fn read(value: &Value, records: usize) -> Result<Selection, ApiError> {
    let fields = object(value, "selection", &["mode", "max_answers", "members"])?;
    let mode = match fields.get("mode") {
        None => Mode::default(),
        Some(name) => name.as_str().and_then(mode::parse).ok_or_else(|| {
            ApiError::invalid("selection.mode", "unknown_mode", format!("{name} is no mode"))
                .remedy(format!("write one of {}", mode::names()))
        })?,
    };
    let answers_max = match fields.get("max_answers") {
        None => 0,
        Some(value) => number(value, "selection.max_answers")?,
    };
    let members = match fields.get("members") {
        None => Vec::new(),
        Some(Value::Array(members)) if members.len() == records => {
            let members = members.iter().enumerate();
            members
                .map(|(index, value)| member(value, &format!("selection.members[{index}]")))
                .collect::<Result<_, _>>()?
        }
        Some(Value::Array(members)) => {
            let message = format!("there are {} members for {records} records", members.len());
            return Err(ApiError::invalid("selection.members", "members_mismatch", message)
                .remedy("give one member for each record, in their order, or leave members out"));
        }
        Some(_) => return Err(ApiError::invalid("selection.members", "invalid_field", "it is no list of objects")),
    };
    Ok(Selection { mode, answers_max, members })
}

/// Reads a member.
fn member(value: &Value, field: &str) -> Result<Member, ApiError> {
    let fields = object(value, field, &["weight", "up"])?;
    let weight = match fields.get("weight") {
        None => Member::default().weight,
        Some(value) => number(value, &format!("{field}.weight"))?,
    };
    let up = match fields.get("up") {
        None => true,
        Some(Value::Bool(up)) => *up,
        Some(_) => {
            return Err(ApiError::invalid(format!("{field}.up"), "invalid_field", "it is neither true nor false"));
        }
    };
    Ok(Member { weight, up })
}

/// An object with none but known fields.
fn object<'a>(value: &'a Value, field: &str, known: &[&str]) -> Result<&'a Map<String, Value>, ApiError> {
    let Value::Object(fields) = value else {
        return Err(ApiError::invalid(field, "invalid_field", "it is no object"));
    };
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(fields),
        Some(unknown) => {
            let message = format!("there is no such field; known are {}", known.join(", "));
            Err(ApiError::invalid(format!("{field}.{unknown}"), "unknown_field", message))
        }
    }
}

/// A whole number of 16 bits.
fn number(value: &Value, field: &str) -> Result<u16, ApiError> {
    let number = whole(value, field, u32::from(u16::MAX))?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

/// A selection from as many records as there are, with a member for each.
pub(crate) fn show(selection: Selection, records: usize) -> Value {
    let Selection { mode, answers_max, mut members } = selection;
    members.resize(records, Member::default());
    let members: Vec<Value> =
        members.into_iter().map(|Member { weight, up }| json!({ "weight": weight, "up": up })).collect();
    json!({ "mode": mode::show(mode), "max_answers": answers_max, "members": members })
}
