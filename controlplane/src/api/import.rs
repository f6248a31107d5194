//! `/api/v1/zones/{zone}/import`: a zone, or a part of one, from a zone file or from JSON. All of it is taken or nothing, in one
//! commit and one publication. The answer is a line of JSON for each step, the last of which tells what became of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use ringdns_engine::name::WireName;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, Gone, Pieces};
use super::error::ApiError;
use super::request::{self, Parameters, Request, ZONE_FILE};
use super::{Context, import_json, write};
use crate::config::Permission;
use crate::model::Rrset;
use crate::store::{Counts, Import, Wait, Write, WriteError};
use crate::zonefile::reader::{Record, Take};
use crate::zonefile::{Problem, ZoneError, reader, zone};

/// Records between two lines that tell how far the reading is.
const PROGRESS_RECORDS: u64 = 50_000;

/// Time between two lines that tell how far the writing is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What an import does beside what it brings.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// What is not in it goes.
    replaces: bool,
    /// Nothing is written.
    is_dry_run: bool,
    /// What is waited for.
    wait: Wait,
    /// The body is a zone file.
    is_zone_file: bool,
}

/// What a body brings.
pub(super) struct Brought {
    /// The RRsets, each normalised, none twice.
    pub(super) rrsets: Vec<Rrset>,
    /// Where each of them stands in the body.
    pub(super) places: Vec<String>,
}

/// Reads the body, then answers while it is taken.
pub(super) async fn answer(
    context: &Arc<Context>,
    request: &Request<'_>,
    body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
) -> Result<Answer, ApiError> {
    let [name] = request.parameters.as_slice() else { return Err(ApiError::route_not_found()) };
    let parameters = Parameters::parse(request.query, &["mode", "dry_run", "wait"])?;
    let apex = write::of_no_file(context, request.caller.zone(Permission::Write, name)?)?;
    let missing = || {
        let error = ApiError::invalid("mode", "missing_parameter", "it is missing");
        error.remedy("write mode=replace to have the zone as it is sent, or mode=merge to keep what is not sent")
    };
    let order = Order {
        replaces: parameters.word("mode", [("replace", true), ("merge", false)])?.ok_or_else(missing)?,
        is_dry_run: parameters.word("dry_run", [("false", false), ("true", true)])?.unwrap_or(false),
        wait: parameters.wait()?,
        is_zone_file: request.media_type().eq_ignore_ascii_case(ZONE_FILE),
    };
    if !order.replaces && !context.state.served().zones.contains_key(&apex) {
        return Err(ApiError::zone_not_found(&apex));
    }
    let leave = Arc::clone(&context.bounds.imports).try_acquire_owned().map_err(|_| {
        ApiError::new(503, "import_under_way", "another import is under way")
            .remedy("try again when it has ended")
            .header("retry-after", "5")
    })?;
    let bytes = request::read_body(request.endpoint, request.headers, body).await?;
    if bytes.is_empty() {
        return Err(ApiError::new(400, "body_missing", "there is no body").remedy("send a zone file or JSON"));
    }
    let (answer, pieces) = Answer::pieces("application/x-ndjson");
    tokio::spawn(run(Arc::clone(context), apex, bytes, order, pieces, leave));
    Ok(answer)
}

/// Takes a body, and tells what became of it.
async fn run(
    context: Arc<Context>,
    apex: WireName,
    bytes: Vec<u8>,
    order: Order,
    pieces: Pieces,
    leave: OwnedSemaphorePermit,
) {
    let last = match import(&context, &apex, bytes, order, &pieces).await {
        Ok(done) => json!({ "done": done }).to_string(),
        Err(error) => error.to_json(),
    };
    // A client that went away is not told; what was written stands.
    let _ = pieces.send(format!("{last}\n")).await;
    drop(leave);
}

/// Reads a body and has it written.
async fn import(
    context: &Arc<Context>,
    apex: &WireName,
    bytes: Vec<u8>,
    order: Order,
    pieces: &Pieces,
) -> Result<Value, ApiError> {
    let internal = |error: tokio::task::JoinError| ApiError::new(500, "internal", error.to_string());
    let brought = {
        let (context, apex, pieces) = (Arc::clone(context), apex.clone(), pieces.clone());
        let progress = Progress { pieces, runtime: Handle::current(), read: 0, is_gone: false };
        let read = move || match order.is_zone_file {
            true => read_zone_file(&bytes, &apex, progress),
            false => import_json::read(&bytes, &apex, &context.state.views, progress),
        };
        tokio::task::spawn_blocking(read).await.map_err(internal)??
    };
    let Brought { rrsets, places } = brought;
    let (count, read) = (rrsets.len(), rrsets.iter().map(|rrset| rrset.rdatas.len()).sum::<usize>());
    // The client is told even where it does not listen any more: what it sent is complete.
    let _ = pieces.send(format!("{}\n", json!({ "progress": { "read": read, "rrsets": count } }))).await;
    let import = Import::new(apex.clone(), rrsets, order.replaces, order.is_dry_run);
    let mut write = std::pin::pin!(context.store.write_until(Write::Edit(Arc::clone(&import) as _), order.wait));
    let written = loop {
        match tokio::time::timeout(PROGRESS_INTERVAL, &mut write).await {
            Ok(written) => break written,
            Err(_) => {
                let _ = pieces.send(format!("{}\n", json!({ "progress": { "written": import.done() } }))).await;
            }
        }
    };
    let report = import.report();
    let Counts { created, replaced, deleted, unchanged } = report.counts;
    let counts = json!({
        "created": created, "replaced": replaced, "deleted": deleted, "unchanged": unchanged,
        "dry_run": order.is_dry_run, "generation": written.as_ref().ok().and_then(|written| written.generation),
    });
    match written {
        Ok(_) => Ok(counts),
        Err(WriteError::Refused(_)) if order.is_dry_run && report.is_whole => Ok(counts),
        Err(error) => {
            let place = report.refused.and_then(|index| places.get(index)).filter(|_| !error.is_of_file());
            let error = ApiError::from(error);
            Err(match place {
                Some(place) => ApiError { field: Some(place.clone()), ..error },
                None => error,
            })
        }
    }
}

/// Tells how far the reading is.
pub(super) struct Progress {
    /// Whom.
    pieces: Pieces,
    /// Where that is done.
    runtime: Handle,
    /// Records so far.
    read: u64,
    /// True once nobody listens: the import goes on.
    is_gone: bool,
}

impl Progress {
    /// Counts records.
    pub(super) fn add(&mut self, records: usize) {
        let before = self.read / PROGRESS_RECORDS;
        self.read += records as u64;
        if self.read / PROGRESS_RECORDS > before && !self.is_gone {
            let line = format!("{}\n", json!({ "progress": { "read": self.read } }));
            self.is_gone = self.pieces.blocking_send(&self.runtime, line) == Err(Gone);
        }
    }
}

/// Gathers records and counts them.
struct Counting {
    /// Gathers them.
    builder: zone::Builder,
    /// Counts them.
    progress: Progress,
}

impl Take for Counting {
    fn record(&mut self, record: Record, file: &std::path::Path, line: usize) {
        self.builder.record(record, file, line);
        self.progress.add(1);
    }

    fn problem(&mut self, problem: Problem) {
        self.builder.problem(problem);
    }
}

/// Reads a zone file.
fn read_zone_file(bytes: &[u8], apex: &WireName, progress: Progress) -> Result<Brought, ApiError> {
    let path = std::path::Path::new("body");
    let mut counting = Counting { builder: zone::Builder::new(apex.clone(), path.to_path_buf()), progress };
    reader::read_alone(bytes, path, apex, &mut counting);
    let zone = counting.builder.finish_part().map_err(|error| problems(&error))?;
    let places: Vec<String> = zone.lines.iter().map(|line| format!("line {line}")).collect();
    let mut rrsets = zone.rrsets;
    // As everywhere in the store.
    rrsets.iter_mut().for_each(|rrset| rrset.owner = rrset.owner.to_lowercase());
    Ok(Brought { rrsets, places })
}

/// What is wrong with a zone file: the first problem's line is the field, all of them are in the message.
fn problems(error: &ZoneError) -> ApiError {
    let line = error.problems.first.first().map(|problem| format!("line {}", problem.line));
    let message = error.problems.to_string();
    ApiError { field: line, ..ApiError::new(422, "invalid_zone_file", message) }
        .remedy("correct the lines; nothing was taken")
}
