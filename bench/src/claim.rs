//! What the project claims of itself, as rows of `target/bench/results.json`: one JSON object a line, a line for each name.
//!
//! Every bench records the rows that it measures; a row that was there before is replaced. A bar that is missed makes a
//! row with `ok: false` and no failure: machines differ, wrong answers do not.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where the rows are.
const FILE: &str = "target/bench/results.json";

/// The rows that a whole run has, by what their names begin with, in the order of the table.
pub const ROWS: &[&str] = &[
    "one worker against testpmd 5tswap",
    "10 M names against 1 k names",
    "instructions a query",
    "NXDOMAIN flood against hits",
    "two workers against one",
    "change to answer, p99",
    "queries lost to changes",
    "changes sustained",
    "zone file, records compiled",
    "memory beyond name and rdata",
    "answered queries by dnsperf, against Knot",
    "answered queries by dnsperf, against Knot-XDP",
    "answered queries by dnsperf, against NSD",
    "answered queries by dnsperf, against BIND",
    "answered queries by kxdpgun, against Knot",
    "answered queries by kxdpgun, against Knot-XDP",
    "answered queries by kxdpgun, against NSD",
    "answered queries by kxdpgun, against BIND",
    "answers beside 100 k frames/s",
    "cache hits against zone hits",
    "zone answers beside 100 k misses/s",
    "forwarded answers at 95 % hits, against dnsmasq",
    "forwarded answers at 95 % hits, against Unbound",
    "forwarded answers at 95 % hits, against dnsdist",
    "allocations of a worker under load",
    "system calls of a worker under load",
];

/// What a row has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Ours divided by theirs is at least this.
    Ratio(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours is at most this.
    AtMost(f64),
}

/// One row.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed; begins with one of [`ROWS`].
    pub name: String,
    /// Our figure.
    pub ours: f64,
    /// What it is compared with, measured in the same run.
    pub theirs: Option<f64>,
    /// What is to be reached.
    pub bar: Bar,
    /// Unit of both figures.
    pub unit: &'static str,
    /// Under which conditions.
    pub conditions: String,
}

impl Claim {
    /// Ours divided by theirs.
    pub fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| self.ours / theirs)
    }

    /// Whether the bar is reached.
    pub fn is_ok(&self) -> bool {
        match self.bar {
            Bar::Ratio(bar) => self.ratio().is_some_and(|ratio| ratio >= bar),
            Bar::AtLeast(bar) => self.ours >= bar,
            Bar::AtMost(bar) => self.ours <= bar,
        }
    }

    /// The row.
    fn to_json(&self) -> Value {
        let (Bar::Ratio(bar) | Bar::AtLeast(bar) | Bar::AtMost(bar)) = self.bar;
        let bar_of = match self.bar {
            Bar::Ratio(_) => "ratio, at least",
            Bar::AtLeast(_) => "ours, at least",
            Bar::AtMost(_) => "ours, at most",
        };
        let Self { name, ours, theirs, unit, conditions, .. } = self;
        json!({
            "name": name, "ours": ours, "theirs": theirs, "ratio": self.ratio(), "bar": bar, "ok": self.is_ok(),
            "conditions": conditions, "unit": unit, "bar_of": bar_of,
        })
    }
}

/// Prints rows and puts them into the file, in the place of rows of the same names.
///
/// # Errors
/// Where the file cannot be read or written.
pub fn record(claims: &[Claim]) -> io::Result<()> {
    let path = PathBuf::from(FILE);
    let mut rows: Vec<Value> = read(&path)?;
    rows.retain(|row| !claims.iter().any(|claim| row["name"] == claim.name.as_str()));
    let fresh: Vec<Value> = claims.iter().map(Claim::to_json).collect();
    let mut out = io::stdout().lock();
    for row in &fresh {
        writeln!(out, "{}", line(row))?;
    }
    rows.extend(fresh);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// All rows as a table, with those that were not measured.
///
/// # Errors
/// Where the file cannot be read.
pub fn table() -> io::Result<String> {
    let rows = read(Path::new(FILE))?;
    let mut text = format!(
        "{:<46} {:>13} {:>13} {:>7} {:>22}  {:<4} conditions\n",
        "what", "ours", "theirs", "ratio", "bar", "ok"
    );
    for name in ROWS {
        let mut found = rows.iter().filter(|row| is_row(row, name)).peekable();
        if found.peek().is_none() {
            text.push_str(&format!("{name:<46} not measured\n"));
        }
        found.for_each(|row| text.push_str(&format!("{}\n", line(row))));
    }
    for row in rows.iter().filter(|row| !ROWS.iter().any(|name| is_row(row, name))) {
        text.push_str(&format!("{}\n", line(row)));
    }
    Ok(text)
}

/// Whether a row is of a name of [`ROWS`]: what follows it is set off by a comma.
fn is_row(row: &Value, name: &str) -> bool {
    let rest = row["name"].as_str().and_then(|found| found.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}

/// The rows of the file; none where there is no file.
fn read(path: &Path) -> io::Result<Vec<Value>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}

/// A row of the table.
fn line(row: &Value) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str, decimals: usize| match row[key].as_f64() {
        Some(value) if decimals > 0 && value.abs() >= 10_000.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.decimals$}"),
        None => "-".to_owned(),
    };
    format!(
        "{:<46} {:>13} {:>13} {:>7} {:>22}  {:<4} {}; {}",
        text("name"),
        number("ours", 2),
        number("theirs", 2),
        number("ratio", 2),
        format!("{} {}", text("bar_of"), row["bar"]),
        if row["ok"] == true { "yes" } else { "NO" },
        text("unit"),
        text("conditions"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of the table.
    fn claim(ours: f64, theirs: Option<f64>, bar: Bar) -> Claim {
        Claim { name: ROWS[0].to_owned(), ours, theirs, bar, unit: "x", conditions: "\"quoted\"".to_owned() }
    }

    #[test]
    fn bars_are_reached_or_not() {
        assert!(claim(5.0, Some(10.0), Bar::Ratio(0.5)).is_ok());
        assert!(!claim(4.9, Some(10.0), Bar::Ratio(0.5)).is_ok());
        assert!(!claim(4.9, None, Bar::Ratio(0.5)).is_ok(), "nothing to compare with");
        assert!(claim(5.0, None, Bar::AtMost(5.0)).is_ok() && !claim(5.1, None, Bar::AtMost(5.0)).is_ok());
        assert!(claim(5.0, None, Bar::AtLeast(5.0)).is_ok() && !claim(4.9, None, Bar::AtLeast(5.0)).is_ok());
        assert!(!claim(f64::NAN, None, Bar::AtMost(5.0)).is_ok(), "no figure");
    }

    #[test]
    fn rows_survive_being_written_and_read() {
        let row: Value = serde_json::from_str(&claim(5.0, Some(10.0), Bar::Ratio(0.5)).to_json().to_string()).unwrap();
        assert_eq!((&row["ratio"], &row["ok"], &row["conditions"]), (&json!(0.5), &json!(true), &json!("\"quoted\"")));
        assert!(is_row(&row, ROWS[0]) && !is_row(&row, "one worker"));
    }
}
