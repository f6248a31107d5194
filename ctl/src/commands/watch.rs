//! `watch`: changes as they are published.

use std::io::{BufRead as _, BufReader};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::Screen;
use super::api::{Api, encode};
use super::arguments::{Output, Watch};
use super::failure::{Done, Failure};
use super::records::lines;
use super::table::cell;

/// Pause before a lost connection is made anew; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One event (server-sent events: WHATWG HTML, section 9.2).
#[derive(Debug, Default)]
struct Event {
    /// What happened.
    name: String,
    /// What it is about.
    data: String,
}

/// Where a watch is.
struct Position {
    /// The last event that was printed; empty: none.
    last: String,
    /// Events that are still to be printed; none: no end.
    left: Option<u64>,
}

/// Prints changes until interrupted.
pub(super) fn watch(api: &Api, watch: &Watch, screen: &mut Screen<'_, '_>) -> Done {
    let mut position = Position { last: String::new(), left: watch.count };
    let mut is_first = true;
    let mut pause = PAUSE;
    loop {
        let before = position.last.clone();
        let lost = match stream(api, watch, &mut position, screen) {
            Ok(()) => return Ok(()),
            // What never worked is a mistake, what worked before comes back.
            Err(Failure::Unreachable(words)) if !is_first => words,
            Err(Failure::Unreachable(words)) if !position.last.is_empty() => words,
            Err(failure) => return Err(failure),
        };
        is_first = false;
        if position.last != before {
            pause = PAUSE;
        }
        screen.terminal.note(&format!("ringdns ctl: {lost}; trying again in {} s", pause.as_secs()));
        screen.terminal.out.flush()?;
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Prints the events of one connection. Done when no more are to be printed.
fn stream(api: &Api, watch: &Watch, position: &mut Position, screen: &mut Screen<'_, '_>) -> Done {
    let mut query = Vec::new();
    query.extend(watch.zone.as_ref().map(|zone| format!("zone={}", encode(zone))));
    query.extend(watch.from.filter(|_| position.last.is_empty()).map(|from| format!("from={from}")));
    let path = format!("/api/v1/watch{}{}", if query.is_empty() { "" } else { "?" }, query.join("&"));
    let last = position.last.clone();
    let mut headers = vec![("accept", "text/event-stream")];
    if !last.is_empty() {
        headers.push(("last-event-id", last.as_str()));
    }
    let answer = api.send("GET", &path, &headers, ())?;
    let mut event = Event::default();
    for line in BufReader::new(answer.body.into_reader()).lines() {
        let line = line.map_err(|error| Failure::Unreachable(format!("the connection was lost: {error}")))?;
        let (field, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => event.data += value,
            "id" => value.clone_into(&mut position.last),
            _ if line.is_empty() && !event.data.is_empty() | !event.name.is_empty() => {
                print(&std::mem::take(&mut event), screen)?;
                if let Some(left) = &mut position.left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        return Ok(());
                    }
                }
            }
            // A comment, which keeps the connection, or a field that says nothing to us.
            _ => {}
        }
    }
    Err(Failure::Unreachable("the server ended the connection".to_owned()))
}

/// Prints an event at once: who watches does not wait for a buffer to fill.
fn print(event: &Event, screen: &mut Screen<'_, '_>) -> Done {
    let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
    let text = match screen.output {
        Output::Json => format!("{}\n", json!({ "event": event.name, "data": data })),
        Output::Table => show(&event.name, &data),
    };
    screen.print(&text)?;
    Ok(screen.terminal.out.flush()?)
}

/// An event in a line for each record.
fn show(name: &str, data: &Value) -> String {
    let head = format!("{} {}", cell(&data["generation"]), cell(&data["zone"]));
    match name {
        "reset" => "reset: changes are missing, list anew\n".to_owned(),
        "change" if data["rrset"].is_null() => {
            let view = data["view"].as_str().map(|view| format!(" ;@ view={view}")).unwrap_or_default();
            format!("{head} - {} {}{view}\n", cell(&data["owner"]), cell(&data["type"]))
        }
        "change" => {
            let records = lines(&data["rrset"]);
            records.iter().map(|cells| format!("{head} + {}\n", cells.join(" ").trim_end())).collect()
        }
        other => {
            let mut data = data.clone();
            if let Some(members) = data.as_object_mut() {
                members.retain(|key, _| key != "generation" && key != "zone");
            }
            format!("{head} {other} {data}\n")
        }
    }
}
