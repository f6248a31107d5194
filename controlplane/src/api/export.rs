//! `/api/v1/zones/{zone}/export`: a zone as it is served, as a zone file or as JSON, in canonical order. The text is made piece by
//! piece while the client takes it; what that takes of memory has a bound, whatever the size of the zone.

use std::fmt::Write as _;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Context;
use super::answer::{Answer, Gone, Pieces};
use super::error::ApiError;
use super::read::{smallest_keys, split_key};
use super::request::{JSON, Parameters, Request, ZONE_FILE};
use super::show::Shown;
use crate::config::Permission;
use crate::state::Served;
use crate::text::rtype;
use crate::zonefile::write::{self, Lines};

/// Keys that are put in order at once: more cost memory, fewer cost more walks through the snapshot.
const ORDERED_KEYS: usize = 1 << 18;

/// Size in bytes from which on a piece is sent.
const PIECE_BYTES: usize = 1 << 16;

/// How a zone is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// RFC 1035 section 5, with annotations.
    Zone,
    /// An object with a list of RRsets.
    Json,
}

/// Answers with a zone.
pub(super) fn answer(context: &Arc<Context>, request: &Request<'_>) -> Result<Answer, ApiError> {
    let [name] = request.parameters.as_slice() else { return Err(ApiError::route_not_found()) };
    let parameters = Parameters::parse(request.query, &["format"])?;
    let apex = request.caller.zone(Permission::Read, name)?;
    let given = parameters.word("format", [("zone", Format::Zone), ("json", Format::Json)])?;
    let format = given.unwrap_or_else(|| accepted(request.header("accept").unwrap_or_default()));
    let served = context.state.served();
    if !served.zones.contains_key(&apex) {
        return Err(ApiError::zone_not_found(&apex));
    }
    let (answer, pieces) = Answer::pieces(match format {
        Format::Zone => ZONE_FILE,
        Format::Json => JSON,
    });
    let export = Export { context: Arc::clone(context), served, apex, format, pieces, text: String::new() };
    tokio::spawn(run(export, Arc::clone(&context.bounds.exports)));
    Ok(answer)
}

/// The format that a header Accept asks for first; a zone file where it names neither.
fn accepted(header: &str) -> Format {
    let mut types = header.split(',').map(|entry| entry.split(';').next().unwrap_or_default().trim());
    types
        .find_map(|found| match found {
            found if found.eq_ignore_ascii_case(JSON) => Some(Format::Json),
            found if found.eq_ignore_ascii_case(ZONE_FILE) => Some(Format::Zone),
            _ => None,
        })
        .unwrap_or(Format::Zone)
}

/// Makes the text on a thread that may block, when its turn comes.
async fn run(export: Export, leave: Arc<Semaphore>) {
    let pieces = export.pieces.clone();
    let leave = tokio::select! {
        leave = leave.acquire_owned() => leave,
        () = pieces.gone() => return,
    };
    let runtime = Handle::current();
    // A client that goes away in the middle has what it has.
    let _ = tokio::task::spawn_blocking(move || export.write(&runtime)).await;
    drop(leave);
}

/// A zone being written.
struct Export {
    /// Everything else.
    context: Arc<Context>,
    /// What is served at this moment.
    served: Served,
    /// The zone.
    apex: WireName,
    /// How it is written.
    format: Format,
    /// Where the text goes.
    pieces: Pieces,
    /// What of it has not been sent yet.
    text: String,
}

impl Export {
    /// Writes all of it.
    fn write(mut self, runtime: &Handle) -> Result<(), Gone> {
        self.begin();
        let mut is_first = true;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let keys = smallest_keys(&self.served.snapshot, &self.apex, after.as_deref(), ORDERED_KEYS);
            for key in &keys {
                let Some((owner, rtype, view)) = split_key(key) else { continue };
                // The SOA record of a zone file comes first, and is written by then.
                if self.format == Format::Zone && rtype == rtype::SOA {
                    continue;
                }
                self.rrset(&owner, rtype, view, std::mem::take(&mut is_first));
                if self.text.len() >= PIECE_BYTES {
                    self.pieces.blocking_send(runtime, std::mem::take(&mut self.text))?;
                }
            }
            let is_last = keys.len() < ORDERED_KEYS;
            after = keys.into_iter().next_back();
            if is_last {
                break;
            }
        }
        if self.format == Format::Json {
            self.text.push_str("\n]}\n");
        }
        self.pieces.blocking_send(runtime, std::mem::take(&mut self.text))
    }

    /// Writes what comes before the RRsets.
    fn begin(&mut self) {
        let (apex, generation) = (self.apex.clone(), self.served.snapshot.generation());
        // Writing to a string cannot fail.
        let _ = match self.format {
            Format::Zone => {
                let written = writeln!(self.text, "; zone {apex} as it is served in generation {generation}");
                self.rrset(&apex, rtype::SOA, ringdns_engine::select::VIEW_DEFAULT, true);
                written
            }
            Format::Json => {
                let name = serde_json::Value::from(apex.to_string());
                write!(self.text, "{{\"zone\":{name},\"generation\":{generation},\"rrsets\":[")
            }
        };
    }

    /// Writes one RRset, if it is there.
    fn rrset(&mut self, owner: &WireName, rtype: u16, view: u16, is_first: bool) {
        let node = self.served.snapshot.node(&self.apex, owner);
        let Some(rrset) = node.and_then(|node| node.rrset_in(rtype, view)) else { return };
        match self.format {
            Format::Zone => {
                let (selection, view) = (rrset.selection(), self.context.state.views.name(view));
                let (selection, view) = (selection.as_ref(), view.as_deref());
                let lines = Lines { owner, rtype, ttl: rrset.ttl(), selection, view };
                write::rrset(&mut self.text, &lines, rrset.rdatas());
            }
            Format::Json => {
                let separator = if is_first { "" } else { "," };
                let shown = Shown::served(&self.context, owner, &rrset).json();
                let _ = write!(self.text, "{separator}\n{shown}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_type_that_is_known_counts() {
        for (header, format) in [
            ("", Format::Zone),
            ("*/*", Format::Zone),
            ("application/json", Format::Json),
            ("text/html, Application/JSON;q=0.9, text/dns", Format::Json),
            ("text/dns, application/json", Format::Zone),
        ] {
            assert_eq!(accepted(header), format, "{header}");
        }
    }
}
