//! `hosts` and `local`: names with addresses, each of which becomes a zone of its own: what is not named is left to others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use crate::document::Value;
use crate::fault::Why;
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;
use crate::zone;

/// A zone with its text.
const ZONE: &str = "[[zone_file]]";

/// Where a machine's own names are.
const HOSTS: &str = "/etc/hosts";

/// TTL in seconds of these records, in CoreDNS.
const TTL_SECONDS: i64 = 3600;

/// Most names: each is a zone, and more are better kept in a zone file.
const NAMES_MAX: usize = 2000;

/// Records by owner: types with their rdata.
type Names = BTreeMap<String, Vec<String>>;

/// `hosts`
pub(super) fn hosts(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let (file, zones) = line.args.split_first().map_or((None, &[][..]), |(file, zones)| (Some(file), zones));
    let zones = out.zones(zones, scope);
    let path = scope.path(file.map_or(HOSTS, |file| file.text.as_str()));
    let mut entries = match out.world.read(Path::new(&path)) {
        Ok(text) => text.lines().map(|line| line.split('#').next().unwrap_or_default().to_owned()).collect(),
        // CoreDNS serves the rest too, and the file once it is there.
        Err(error) => {
            let words = format!("{path} cannot be read: {error}; its names are served once it is there");
            out.note(file.unwrap_or(&line.name), Why::Differs, words);
            Vec::new()
        }
    };
    let (mut ttl, mut has_reverse, mut falls_through) = (TTL_SECONDS, true, false);
    for option in &line.lines {
        match option.name.text.as_str() {
            "ttl" => ttl = out.number(option, 1..=65_535).unwrap_or(TTL_SECONDS),
            "no_reverse" => has_reverse = false,
            "reload" => {
                out.note(&option.name, Why::NotNeeded, "reload: the file of a live Corefile is looked at every second");
            }
            "fallthrough" => falls_through = true,
            address if address.parse::<IpAddr>().is_ok() => {
                let words: Vec<&str> =
                    std::iter::once(&option.name).chain(&option.args).map(|word| word.text.as_str()).collect();
                entries.push(words.join(" "));
            }
            _ => out.unknown(option),
        }
    }
    if !falls_through {
        let words =
            "without fallthrough other names are NXDOMAIN in CoreDNS; here they are left to what else serves them";
        out.note(&line.name, Why::Differs, words);
    }
    let mut names = Names::new();
    for entry in &entries {
        add(entry, &zones, has_reverse, &mut names);
    }
    serve(names, ttl, &line.name, out);
}

/// `local`
pub(super) fn local(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    let mut names = Names::new();
    for entry in ["127.0.0.1 localhost", "::1 localhost"] {
        add(entry, &[".".to_owned()], true, &mut names);
    }
    serve(names, TTL_SECONDS, &line.name, out);
}

/// Adds an entry of a hosts file: an address and names. What is none is passed over, as everywhere.
fn add(entry: &str, zones: &[String], has_reverse: bool, names: &mut Names) {
    let mut words = entry.split_whitespace();
    let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { return };
    let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
    for word in words {
        let Some(owner) = zone::zones(word).ok().filter(|_| !word.contains(['/', ':', '*', '$', ';', '(', ')', '@']))
        else {
            continue;
        };
        let Some(owner) = owner.into_iter().find(|owner| owner != ".") else { continue };
        if zones.iter().any(|zone| zone::is_within(&owner, zone)) {
            say(names, &owner, format!("{rtype} {address}"));
        }
        if has_reverse {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            for reverse in zone::zones(&format!("{address}/{bits}")).unwrap_or_default() {
                say(names, &reverse, format!("PTR {owner}"));
            }
        }
    }
}

/// Adds a record, once.
fn say(names: &mut Names, owner: &str, record: String) {
    let records = names.entry(owner.to_owned()).or_default();
    if !records.contains(&record) {
        records.push(record);
    }
}

/// Makes a zone of each name. Of a name that is served so already, the first stays.
fn serve(names: Names, ttl: i64, word: &Word, out: &mut Out<'_>) {
    if names.len() > NAMES_MAX {
        let message = format!("{} names and addresses", names.len());
        return out.unsupported(
            word,
            message,
            format!("{NAMES_MAX} at most are served so; write them into a zone file"),
        );
    }
    for (owner, records) in names {
        if !out.hosted.insert(owner.clone()) {
            continue;
        }
        let records: String = records.iter().map(|record| format!("@ {record}\n")).collect();
        let text = format!("$TTL {ttl}\n@ SOA @ hostmaster 1 7200 1800 86400 30\n@ NS @\n{records}");
        out.made.document.begin(ZONE);
        out.set(ZONE, "zone", Value::text(owner), word);
        out.set(ZONE, "text", Value::text(text), word);
    }
}
