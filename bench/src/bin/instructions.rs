//! Counts the instructions that the engine takes for one query, by callgrind: the one figure that is the same on a loaded
//! machine. Fails where a kind of query takes 5 % more or less than is recorded here: more is to be explained or mended,
//! less is to be recorded.
//!
//! `instructions`: counts all kinds. Needs valgrind, and `engine` beside it (`make instructions` builds both).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ringdns_bench::claim::{Bar, Claim, record};

/// Kinds of queries, as `engine --count` knows them, and the instructions that each is recorded with. For machines with
/// AVX2, BMI and MOVBE; the engine finds out what there is.
const RECORDED: [(&str, f64); 11] = [
    ("plain", 450.5),
    ("messages", 659.9),
    ("tagged", 466.5),
    ("edns", 526.5),
    ("nxdomain", 667.2),
    // What rules are not for costs as much as without any.
    ("ruled-nxdomain", 670.7),
    ("cookie", 2170.5),
    ("known-cookie", 2229.5),
    // Names of others: one address of the cache, an alias with two, and what the cache does not have.
    ("recalled", 579.0),
    ("recalled-chain", 1069.7),
    ("missed", 1011.0),
];

/// How far a count may be from what is recorded.
const TOLERANCE: f64 = 0.05;

/// Queries of the shorter and of the longer run: what both take for setting up cancels out.
const QUERIES: [u64; 2] = [10_240, 112_640];

/// Names of the zone: all of it in the cache, which instructions do not depend on.
const NAMES: u64 = 1_000;

/// The most that the first kind may take.
const BAR: f64 = 400.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let engine = std::env::current_exe()?.with_file_name("engine");
    if !engine.exists() {
        return Err(format!("there is no {}: run `make instructions`", engine.display()).into());
    }
    let is_comparable = has_all(&["avx2", "bmi1", "bmi2", "movbe"])?;
    let mut all_well = true;
    for (kind, recorded) in RECORDED {
        let counted = count(&engine, kind)?;
        let is_near = (counted / recorded - 1.0).abs() <= TOLERANCE;
        all_well &= is_near || !is_comparable;
        let remark = match (is_near, is_comparable) {
            (true, _) => "",
            (false, true) => "  <- NOT as recorded in bench/src/bin/instructions.rs",
            (false, false) => "  (recorded on a machine with AVX2, BMI and MOVBE)",
        };
        println_line(&format!("{kind:<14} {counted:>9.1} instructions a query, {recorded:.1} recorded{remark}"))?;
        if kind == "plain" {
            let conditions = "A hit on a name of 25 bytes, burst of 32, callgrind".to_owned();
            let (name, unit) = ("instructions a query, A hit".to_owned(), "instructions");
            record(&[Claim { name, ours: counted, theirs: None, bar: Bar::AtMost(BAR), unit, conditions }])?;
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Instructions that the engine takes for a query of a kind.
fn count(engine: &Path, kind: &str) -> Result<f64, Box<dyn Error>> {
    let [few, many] = QUERIES.map(|queries| run(engine, kind, queries));
    let (few, many) = (few?, many?);
    Ok((many - few) as f64 / (QUERIES[1] - QUERIES[0]) as f64)
}

/// Instructions that the engine takes for some queries and what it does once.
fn run(engine: &Path, kind: &str, queries: u64) -> Result<u64, Box<dyn Error>> {
    let out = PathBuf::from("/dev/null");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*serve_burst*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(engine)
        .args(["--count", &NAMES.to_string(), &queries.to_string(), kind])
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}; install it with `apt-get install valgrind`"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :")).map(|(_, number)| number.trim());
    match collected.and_then(|number| number.parse().ok()) {
        Some(0) | None => Err(format!("callgrind counted nothing for {kind} queries:\n{text}").into()),
        Some(number) => Ok(number),
    }
}

/// True where the processor has all of some features.
fn has_all(features: &[&str]) -> Result<bool, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    Ok(features.iter().all(|feature| flags.split_whitespace().any(|flag| flag == *feature)))
}

/// Prints a line.
fn println_line(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{line}")
}
