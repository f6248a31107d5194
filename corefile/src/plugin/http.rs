//! `health`, `ready` and `prometheus`: what the surroundings ask over HTTP.

use crate::document::Value;
use crate::fault::Why;
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;

/// The table.
const TABLE: &str = "[cluster_http]";

/// `health`
pub(super) fn health(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    listen(line, "health", ":8080", out);
    for option in &line.lines {
        if option.name.text != "lameduck" {
            out.unknown(option);
            continue;
        }
        let Some(word) = out.only(option) else { continue };
        if let Some(milliseconds) = out.milliseconds(word) {
            let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
            out.set("[shutdown]", "lameduck_ms", Value::Number(milliseconds), word);
        }
    }
}

/// `ready`
pub(super) fn ready(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    listen(line, "ready", ":8181", out);
    for option in &line.lines {
        match (option.name.text.as_str(), option.args.first()) {
            ("monitor", Some(word)) if word.text == "until-ready" => {}
            ("monitor", Some(word)) if word.text == "continuously" => {
                let words = "monitor continuously: once every source has been read, what was read stays served, and the server \
                             stays ready";
                out.note(word, Why::Differs, words);
            }
            ("monitor", _) => out.fault(&option.name, "monitor of something else", "write until-ready or continuously"),
            _ => out.unknown(option),
        }
    }
}

/// `prometheus`
pub(super) fn prometheus(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    listen(line, "metrics", "localhost:9153", out);
    for option in &line.lines {
        out.note(&option.name, Why::NotNeeded, format!("{}: one form of the metrics serves all", option.name.text));
    }
}

/// Where one of them listens: at the address that is given, or at CoreDNS's own.
fn listen(line: &Line, key: &'static str, default: &str, out: &mut Out<'_>) {
    if line.args.len() > 1 {
        return out.fault(&line.name, "it has several addresses", "give it one");
    }
    let word = Word { text: default.to_owned(), ..line.name.clone() };
    let word = line.args.first().unwrap_or(&word);
    if let Some(address) = out.listen(word) {
        out.set(TABLE, key, Value::text(address.to_string()), word);
    }
}
