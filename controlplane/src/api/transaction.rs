//! `POST /api/v1/transactions`: several writes, of any zones, that are carried out together or not at all.

use std::sync::Arc;

use ringdns_engine::name::WireName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::error::ApiError;
use super::request::{self, Parameters, Request};
use super::{Context, body, write};
use crate::config::Permission;
use crate::store::{Condition, Operation, Outcome, Transaction, Write, WriteError};
use crate::views::DEFAULT_NAME;

/// Most operations of a transaction: they share one commit and one publication, which others wait for.
const OPERATIONS_MAX: usize = 10_000;

/// Body of a transaction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionBody {
    /// The operations.
    operations: Option<Value>,
}

/// What a removal of an RRset says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    /// The owner.
    owner: Option<Value>,
    /// The type.
    #[serde(rename = "type")]
    rtype: Option<Value>,
    /// The view.
    view: Option<Value>,
}

/// What a removal of a zone says beside its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingElse {}

/// Answers a transaction.
pub(super) async fn answer(context: &Context, request: &Request<'_>, bytes: &[u8]) -> Result<Answer, ApiError> {
    let wait = Parameters::parse(request.query, &["wait"])?.wait()?;
    let body: TransactionBody = serde_json::from_slice(bytes).map_err(|error| body::json_error(&error))?;
    let missing = || ApiError::invalid("operations", "missing_field", "it is missing");
    let Value::Array(list) = body.operations.ok_or_else(missing)? else {
        return Err(ApiError::invalid("operations", "invalid_field", "it is no list of objects"));
    };
    if list.is_empty() || list.len() > OPERATIONS_MAX {
        let message = format!("there are {} operations, and may be 1 to {OPERATIONS_MAX}", list.len());
        return Err(ApiError::invalid("operations", "out_of_bounds", message).remedy("divide the transaction"));
    }
    let mut operations = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let read = operation(context, request, value);
        operations.push(read.map_err(|error| error.within(&place(index)))?);
    }
    let transaction = Transaction::new(operations);
    let edit = Write::Edit(Arc::clone(&transaction) as _);
    let written = context.store.write_until(edit, wait).await;
    let outcomes = transaction.report().outcomes;
    let written = written.map_err(|error| {
        let is_of_all = error.is_of_file() || matches!(error, WriteError::Unavailable | WriteError::NotServed(_));
        let error = ApiError::from(error);
        if is_of_all { error } else { error.within(&place(outcomes.len())) }
    })?;
    let results: Vec<Value> = outcomes.into_iter().map(|outcome| json!({ "outcome": word(outcome) })).collect();
    Ok(Answer::json(200, &json!({ "generation": written.generation, "results": results })))
}

/// What an outcome is called.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Replaced => "replaced",
        Outcome::Deleted => "deleted",
    }
}

/// Where an operation stands.
fn place(index: usize) -> String {
    format!("operations[{index}]")
}

/// Takes a string out of an object.
fn take_text(fields: &mut Map<String, Value>, field: &str) -> Result<Option<String>, ApiError> {
    match fields.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::invalid(field, "invalid_field", "it is no string")),
    }
}

/// A string that must be there.
fn text(value: Option<Value>, field: &str) -> Result<String, ApiError> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ApiError::invalid(field, "invalid_field", "it is no string")),
        None => Err(ApiError::invalid(field, "missing_field", "it is missing")),
    }
}

/// Reads one operation.
fn operation(context: &Context, request: &Request<'_>, value: Value) -> Result<Operation, ApiError> {
    let Value::Object(mut fields) = value else {
        return Err(ApiError::new(422, "invalid_field", "it is no object"));
    };
    let missing = |field: &str| ApiError::invalid(field, "missing_field", "it is missing");
    let word = take_text(&mut fields, "op")?.ok_or_else(|| missing("op"))?;
    let zone = take_text(&mut fields, "zone")?.ok_or_else(|| missing("zone"))?;
    let only = take_text(&mut fields, "if_match")?.map(|list| {
        let error = || ApiError::invalid("if_match", "malformed_condition", "it is no list of entity tags");
        request::tags(&list, false).ok_or_else(error)
    });
    let condition = Condition { only: only.transpose()?, not: None };
    let in_zone = |error: ApiError| ApiError { field: Some("zone".to_owned()), ..error };
    let apex = request.caller.zone(Permission::Write, &zone).map_err(in_zone)?;
    let write = if word == "delete_zone" {
        let NothingElse {} = body::part(Value::Object(fields))?;
        Write::DeleteZone { apex }
    } else {
        let apex = write::of_no_file(context, apex).map_err(in_zone)?;
        self::write(context, &word, apex, Value::Object(fields))?
    };
    Ok(Operation { write, condition })
}

/// The write that a word and the fields beside it say.
fn write(context: &Context, word: &str, apex: WireName, fields: Value) -> Result<Write, ApiError> {
    match word {
        "put_zone" => Ok(Write::PutZone { apex, fields: Box::new(body::zone_fields(body::part(fields)?)?) }),
        "put_rrset" | "create_rrset" => {
            let rrset = body::whole_rrset(body::part(fields)?, &apex, &context.state.views)?;
            Ok(Write::PutRrset { apex, rrset, new: word == "create_rrset" })
        }
        "delete_rrset" => {
            let DeleteBody { owner, rtype, view } = body::part(fields)?;
            let owner = body::owner(&text(owner, "owner")?, &apex)?;
            let rtype = body::rtype(&text(rtype, "type")?)?;
            let view = view.map(|view| text(Some(view), "view")).transpose()?;
            let view = view.filter(|name| name != DEFAULT_NAME).map(Arc::from);
            Ok(Write::DeleteRrset { apex, owner, rtype, view })
        }
        _ => Err(ApiError::invalid("op", "unknown_word", format!("\"{word}\" is no operation"))
            .remedy("write put_zone, delete_zone, put_rrset, create_rrset or delete_rrset")),
    }
}
