//! `/api/v1/watch`: what changes on the wire, as server-sent events (the `text/event-stream` of HTML).
//!
//! The identifier of an event is sent with the last one of its generation only: who goes on from it after a broken connection
//! may see some events again, and misses none.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ringdns_engine::name::WireName;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Context;
use super::access::Caller;
use super::answer::{Answer, Gone, Pieces};
use super::body;
use super::error::ApiError;
use super::request::{Parameters, Request};
use super::show::Shown;
use crate::config::Permission;
use crate::feed::{Event, Found, Reader, What};
use crate::text::rtype;

/// A comment is sent after so long without events: it tells both sides, and what is between them, that the other is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Who watches what.
struct Watcher {
    /// Everything else.
    context: Arc<Context>,
    /// Only this zone.
    zone: Option<WireName>,
    /// Who asks.
    caller: Caller,
    /// Where the events go.
    pieces: Pieces,
    /// Leave to watch.
    _leave: OwnedSemaphorePermit,
}

/// Answers with events until the client goes or the program ends.
pub(super) fn answer(context: &Arc<Context>, request: &Request<'_>) -> Result<Answer, ApiError> {
    let parameters = Parameters::parse(request.query, &["zone", "from"])?;
    let zone = parameters.get("zone").map(body::apex).transpose()?;
    if let Some(zone) = &zone {
        request.caller.check(Permission::Read, zone)?;
    }
    // Who connects again knows better than the address with which it did so at first.
    let from = request.header("last-event-id").filter(|id| !id.is_empty()).or_else(|| parameters.get("from"));
    let (reader, generation, is_missing) = context.state.feed.reader(from).ok_or_else(|| {
        ApiError::invalid("from", "invalid_token", "it is no generation and no id of an event")
            .remedy("leave it out to see what changes from now on")
    })?;
    let leave = Arc::clone(&context.bounds.watchers).try_acquire_owned().map_err(|_| {
        ApiError::new(503, "too_many_watchers", "as many as are allowed watch already")
            .remedy("try again later, or watch once and pass the events on")
            .header("retry-after", "10")
    })?;
    let (answer, pieces) = Answer::pieces("text/event-stream");
    let caller = request.caller.clone();
    let watcher = Watcher { context: Arc::clone(context), zone, caller, pieces, _leave: leave };
    tokio::spawn(watcher.run(reader, generation, is_missing));
    Ok(answer.header("cache-control", "no-store"))
}

impl Watcher {
    /// Sends events.
    async fn run(self, mut reader: Reader, generation: u64, is_missing: bool) -> Result<(), Gone> {
        // Where the client is goes first, so that it can come back to here even if nothing changes for long.
        let start = if is_missing { self.reset(generation) } else { format!("id: {}\n\n", self.mark(generation)) };
        self.pieces.send(start).await?;
        loop {
            // A token may be taken back meanwhile; who comes again is told why.
            if !self.caller.may_go_on(&self.context) {
                return Ok(());
            }
            let text = match self.context.state.feed.next(&mut reader) {
                Found::Closed => return Ok(()),
                Found::Reset(generation) => self.reset(generation),
                Found::Events(events) => self.text(&events),
                Found::Nothing => {
                    tokio::select! {
                        () = reader.news() => continue,
                        () = tokio::time::sleep(KEEP_ALIVE) => ": nothing has changed\n\n".to_owned(),
                        () = self.pieces.gone() => return Err(Gone),
                    }
                }
            };
            if !text.is_empty() {
                self.pieces.send(text).await?;
            }
        }
    }

    /// What tells where a client is.
    fn mark(&self, generation: u64) -> String {
        self.context.state.feed.mark(generation)
    }

    /// Has the client list anew.
    fn reset(&self, generation: u64) -> String {
        let data = json!({ "generation": generation });
        format!("event: reset\nid: {}\ndata: {data}\n\n", self.mark(generation))
    }

    /// Some events as text.
    fn text(&self, events: &[Arc<Event>]) -> String {
        let mut text = String::new();
        for event in events {
            let is_shown = self.zone.as_ref().is_none_or(|zone| *zone == event.apex)
                && self.caller.may(Permission::Read, &event.apex);
            if is_shown {
                let (name, data) = self.data(event);
                // Writing to a string cannot fail.
                let _ = write!(text, "event: {name}\ndata: {data}\n");
            }
            if event.is_last {
                let _ = writeln!(text, "id: {}", self.mark(event.generation));
            }
            if is_shown || event.is_last {
                text.push('\n');
            }
        }
        text
    }

    /// Name and data of an event.
    fn data(&self, event: &Event) -> (&'static str, Value) {
        let mut data = json!({ "generation": event.generation, "zone": event.apex.to_string() });
        match &event.what {
            What::ZoneMade => data["outcome"] = json!("created"),
            What::ZoneRemoved => data["outcome"] = json!("deleted"),
            What::Rrset { owner, rtype, view, now } => {
                data["owner"] = json!(owner.to_string());
                data["type"] = json!(rtype::show(*rtype));
                let view = self.context.state.views.name(*view);
                if let Some(view) = &view {
                    data["view"] = json!(view);
                }
                data["rrset"] = now.as_ref().map_or(Value::Null, |rrset| {
                    let shown = Shown {
                        owner,
                        rtype: *rtype,
                        ttl: rrset.ttl,
                        rdatas: rrset.rdatas.iter().map(Vec::as_slice).collect(),
                        selection: rrset.selection.as_deref().cloned(),
                        view,
                        source: self.context.source_name(rrset.origin),
                    };
                    shown.json()
                });
                return ("change", data);
            }
        }
        ("zone", data)
    }
}
