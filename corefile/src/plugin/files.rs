//! `file`, `auto` and `transfer`: zone files, and who may have whole zones.

use std::path::Path;

use crate::document::Value;
use crate::fault::Why;
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;
use crate::zone;

/// A zone file.
const ZONE_FILE: &str = "[[zone_file]]";
/// Who may have whole zones.
const TRANSFER: &str = "[[transfer]]";

/// `file`
pub(super) fn file(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let Some((path, zones)) = line.args.split_first() else {
        return out.fault(&line.name, "it names no file", "write: file FILE [ZONE...]");
    };
    for option in &line.lines {
        match option.name.text.as_str() {
            "reload" => out.note(
                &option.name,
                Why::NotNeeded,
                "reload: files of a live Corefile are looked at every few seconds",
            ),
            "upstream" => {
                out.note(&option.name, Why::NotNeeded, "upstream: targets are looked up in everything that is served");
            }
            "fallthrough" => {
                out.note(&option.name, Why::Differs, "fallthrough: names that are missing in these zones are NXDOMAIN");
            }
            _ => out.unknown(option),
        }
    }
    for zone in out.zones(zones, scope) {
        add(&zone, &scope.path(&path.text), path, out);
    }
}

/// Adds a zone file.
fn add(zone: &str, path: &str, word: &Word, out: &mut Out<'_>) {
    out.made.document.begin(ZONE_FILE);
    out.set(ZONE_FILE, "zone", Value::text(zone), word);
    out.set(ZONE_FILE, "path", Value::text(path), word);
}

/// `auto`
pub(super) fn auto(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let zones = out.zones(&line.args, scope);
    let mut is_named = false;
    for option in &line.lines {
        match option.name.text.as_str() {
            "directory" => {
                is_named = true;
                directory(option, &zones, scope, out);
            }
            "reload" => out.note(
                &option.name,
                Why::NotNeeded,
                "reload: files of a live Corefile are looked at every few seconds",
            ),
            "upstream" => {
                out.note(&option.name, Why::NotNeeded, "upstream: targets are looked up in everything that is served");
            }
            "fallthrough" => {
                out.note(&option.name, Why::Differs, "fallthrough: names that are missing in these zones are NXDOMAIN");
            }
            "no_reload" => {}
            _ => out.unknown(option),
        }
    }
    if !is_named {
        out.fault(&line.name, "it names no directory", "write: directory DIRECTORY");
    }
}

/// The zone files of a directory, as they are now.
fn directory(line: &Line, zones: &[String], scope: &Scope<'_>, out: &mut Out<'_>) {
    let (directory, pattern, origin) = match line.args.as_slice() {
        [directory] => (directory, "db\\.(.*)", "{1}"),
        [directory, pattern, origin, ..] => (directory, pattern.text.as_str(), origin.text.as_str()),
        _ => {
            return out.fault(
                &line.name,
                "directory takes one value, or three",
                "write: directory DIRECTORY [PATTERN ORIGIN]",
            );
        }
    };
    let Some((before, after)) = simple(pattern).filter(|_| origin.contains("{1}")) else {
        let remedy = "write a pattern such as db\\.(.*) with {1} as origin, or a file for each zone";
        return out.unsupported(&line.name, format!("the pattern {pattern} for {origin}"), remedy);
    };
    let path = scope.path(&directory.text);
    let names = match out.world.list(Path::new(&path)) {
        Ok(names) => names,
        Err(error) => {
            return out.fault(directory, format!("{path} cannot be listed: {error}"), "name a directory of zone files");
        }
    };
    for name in names {
        let middle = name.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
        let Some(middle) = middle.filter(|middle| !middle.is_empty()) else { continue };
        let Ok(found) = zone::zones(&origin.replace("{1}", middle)) else {
            out.note(directory, Why::Differs, format!("{path}/{name}: its name gives no zone"));
            continue;
        };
        for zone in found.iter().filter(|zone| zones.iter().any(|known| zone::is_within(zone, known))) {
            add(zone, &format!("{}/{name}", path.trim_end_matches('/')), directory, out);
        }
    }
}

/// What stands before and behind the one group of a pattern that is otherwise plain text.
fn simple(pattern: &str) -> Option<(String, String)> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let (before, after) = pattern.split_once("(.*)").or_else(|| pattern.split_once("(.+)"))?;
    let plain = |text: &str| {
        let text = text.replace("\\.", "\0");
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "\0-_".contains(c));
        is_plain.then(|| text.replace('\0', "."))
    };
    Some((plain(before)?, plain(after)?))
}

/// `transfer`
pub(super) fn transfer(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let zones = out.zones(&line.args, scope);
    let mut to: Vec<String> = Vec::new();
    for option in &line.lines {
        if option.name.text != "to" {
            out.unknown(option);
            continue;
        }
        for word in &option.args {
            let text = word.text.as_str();
            let host = text.rsplit_once(':').map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']'));
            let client = [Some(text), host].into_iter().flatten().find(|text| text.parse::<std::net::IpAddr>().is_ok());
            match client {
                _ if text == "*" => to.push("*".to_owned()),
                Some(client) => {
                    to.push(client.to_owned());
                    out.note(word, Why::Differs, format!("{client} may transfer the zones; no NOTIFY is sent to it"));
                }
                None if is_network(text) => to.push(text.to_owned()),
                None => out.fault(word, format!("\"{text}\" is no address"), "write an IP address, or *"),
            }
        }
    }
    if to.is_empty() {
        return out.fault(&line.name, "it names nobody", "write: to ADDRESS, or: to *");
    }
    out.made.document.begin(TRANSFER);
    out.set(TRANSFER, "zones", Value::Texts(zones), &line.name);
    out.set(TRANSFER, "to", Value::Texts(to), &line.name);
}

/// True for an address with the length of a prefix.
fn is_network(text: &str) -> bool {
    text.contains('/') && zone::zones(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_patterns_are_plain_around_their_group() {
        let parts = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
        for (pattern, expected) in [
            ("db\\.(.*)", parts("db.", "")),
            ("^(.*)\\.zone$", parts("", ".zone")),
            ("(.*)", parts("", "")),
            ("db.(.*)", None),
            ("(a|b)", None),
            ("(.*)(.*)", None),
        ] {
            assert_eq!(simple(pattern), expected, "{pattern}");
        }
    }
}
