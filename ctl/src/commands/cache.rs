//! Names of others: `cache list`, `cache flush`, `upstreams`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Screen;
use super::api::{Api, encode};
use super::failure::Done;
use super::table::{cell, table};

/// What to do with the cache.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Cache {
    /// Show what is kept, the oldest first
    List(List),
    /// Forget what is kept: all of it, or a name and all below it; a domain is found anew then
    #[command(after_help = "Examples:\n  ringdns ctl cache flush www.example.com\n  \
                            ringdns ctl cache flush example.com --type MX\n  ringdns ctl cache flush")]
    Flush {
        /// This name and all below it
        name: Option<String>,
        /// Only what was kept of this type
        #[arg(long = "type", value_name = "TYPE")]
        rtype: Option<String>,
    },
}

/// What of the cache is shown.
#[derive(Args, Clone, Debug)]
pub(super) struct List {
    /// This name and all below it
    name: Option<String>,
    /// So many entries at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Not the first so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u32,
}

/// Shows or empties the cache.
pub(super) fn cache(api: &Api, action: &Cache, screen: &mut Screen<'_, '_>) -> Done {
    match action {
        Cache::List(asked) => list(api, asked, screen),
        Cache::Flush { name, rtype } => {
            let path = path([("name", name.as_deref()), ("type", rtype.as_deref())]);
            let value = api.send("DELETE", &path, &[], ())?.json()?;
            screen.show(&value, |value| format!("entries removed: {}\n", cell(&value["removed"])))
        }
    }
}

/// The cache's path with those of the parameters that are given.
fn path<const N: usize>(parameters: [(&str, Option<&str>); N]) -> String {
    let given = parameters.iter().filter_map(|(key, value)| Some(format!("{key}={}", encode((*value)?))));
    let query = given.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/api/v1/cache{mark}{query}")
}

/// Shows entries, and says where there are more.
fn list(api: &Api, asked: &List, screen: &mut Screen<'_, '_>) -> Done {
    let (limit, skip) = (asked.limit.to_string(), asked.skip.to_string());
    let path = path([("limit", Some(&limit)), ("skip", Some(&skip)), ("name", asked.name.as_deref())]);
    let value = api.get(&path)?.json()?;
    screen.show(&value, rows)?;
    if value["next"].is_string() {
        let next = u64::from(asked.skip) + u64::from(asked.limit);
        screen.terminal.note(&format!("ringdns ctl: there are more: name a domain, or say --skip {next}"));
    }
    Ok(())
}

/// Entries as a table.
fn rows(value: &Value) -> String {
    let entries = value["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(["NAME", "TYPE", "FLAGS", "RCODE", "SECONDS", "USES", "RECORDS"], &rows)
}

/// An entry's row: of its records only types and data, for owners and TTLs say nothing new mostly.
fn row(entry: &Value) -> [String; 7] {
    let flag = |key: &str, word: &str| (entry[key] == true).then(|| word.to_owned());
    let flags = [flag("dnssec_ok", "do"), flag("checking_disabled", "cd")];
    let records = entry["records"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let records = records.map(|record| record.split_once(" IN ").map_or(record, |(_, data)| data));
    let [name, rtype, rcode, seconds, uses] =
        ["name", "type", "rcode", "seconds_left", "uses"].map(|key| cell(&entry[key]));
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(" ");
    [name, rtype, flags, rcode, seconds, uses, records.collect::<Vec<_>>().join(", ")]
}

/// Shows who is asked.
pub(super) fn upstreams(api: &Api, screen: &mut Screen<'_, '_>) -> Done {
    let value = api.get("/api/v1/upstreams")?.json()?;
    screen.show(&value, |value| {
        let upstreams = value["upstreams"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rows: Vec<_> = upstreams.iter().map(upstream).collect();
        table(["ZONE", "UPSTREAM", "TRANSPORT", "STATE", "LATENCY", "ASKED", "FAILED", "IN ROW"], &rows)
    })
}

/// An upstream's row.
fn upstream(upstream: &Value) -> [String; 8] {
    let state = match (upstream["up"] == true, upstream["loop"] == true) {
        (_, true) => "loop",
        (true, false) => "up",
        (false, false) => "down",
    };
    let latency = upstream["latency_seconds"].as_f64();
    let latency = latency.map(|seconds| format!("{:.1} ms", seconds * 1000.0)).unwrap_or_default();
    let [zone, name, transport, asked, failed, in_row] =
        ["zone", "name", "transport", "asked", "failed", "failures_in_row"].map(|key| cell(&upstream[key]));
    [zone, name, transport, state.to_owned(), latency, asked, failed, in_row]
}
