//! A zone file of a million names in the built server: how fast it is read and compiled, and what it takes in memory.
//!
//! Compiling is what the running server says of its publications: from records in memory to a published snapshot. Reading
//! is the file's text, checked and gathered into RRsets, before that.
//!
//! `load [NAMES] [ROUNDS]`: 1000000 names and 3 rounds unless given; medians. Needs root.

use std::time::Instant;

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::{Setup, turn};
use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, go_first, median};
use ringdns_bench::{Outcome, zone};

/// Records a second.
const COMPILED_MIN: f64 = 1_000_000.0;
/// Bytes a name beyond its own and its rdata.
const BYTES_MAX: f64 = 120.0;
/// Bytes of a name as text without the last dot, and of its one rdata.
const OWN_BYTES: f64 = 25.0 + 4.0;

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, rounds) = (argument(0, 1_000_000), argument(1, 3));
    let _first = go_first()?;
    let text = zone::text(names);
    let (mut read, mut compiled, mut ready, mut cycle_cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut snapshot_bytes, mut process_bytes) = (0.0, 0.0);
    for _ in 0..rounds {
        let _turn = turn();
        let mut setup = Setup::new();
        setup.write_zone(zone::APEX, &text);
        let start = Instant::now();
        let server = setup.start();
        ready.push(start.elapsed().as_secs_f64());
        cycle_cpu.push(Task::find(server.id(), "ringdns-cycle")?.cpu_seconds()?);
        for number in [0, names / 2, names - 1] {
            let [a, b, c, d] = zone::address(number);
            let owner = zone::owner(number);
            let expected = format!("{owner} 300 IN A {a}.{b}.{c}.{d}");
            let answer = dig(SERVED4, &owner, "A").answer;
            if answer != [expected] {
                return Err(format!("{owner}: {answer:?}").into());
            }
        }
        read.push(logged_seconds(&server.log())?);
        let metrics = server.get("/metrics").body;
        compiled.push(sample(&metrics, "ringdns_publish_seconds_sum")?);
        snapshot_bytes = sample(&metrics, "ringdns_snapshot_memory_bytes")?;
        process_bytes = harness::process::resident_bytes(server.id()) as f64;
    }
    let count = names as f64;
    let (read, compiled, ready) = (median(read), median(compiled), median(ready));
    let conditions = format!("{names} names of one A record, running server, medians of {rounds}");
    let speeds = format!(
        "{conditions}; {:.0} per CPU-second of the cycle's thread; the file's text is read at {:.0}/s; {ready:.1} s from start \
         to ready; resident set {:.0} MiB",
        count / median(cycle_cpu),
        count / read,
        process_bytes / f64::from(1 << 20),
    );
    let claim = |name: &str, ours, bar, unit, conditions| Claim {
        name: name.to_owned(),
        ours,
        theirs: None,
        bar,
        unit,
        conditions,
    };
    let beyond = snapshot_bytes / count - OWN_BYTES;
    claim::record(&[
        claim("zone file, records compiled", count / compiled, Bar::AtLeast(COMPILED_MIN), "records/s", speeds),
        claim("memory beyond name and rdata", beyond, Bar::AtMost(BYTES_MAX), "bytes/name", conditions),
    ])?;
    Ok(())
}

/// How long the server says that it took to read the zone file.
fn logged_seconds(log: &str) -> Outcome<f64> {
    let line =
        log.lines().find(|line| line.contains("zone file is read")).ok_or("the log does not tell of the file")?;
    let value = line.split("seconds=").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(value.ok_or("the log does not tell how long it took")?.parse()?)
}

/// A sample of the metrics.
fn sample(metrics: &str, name: &str) -> Outcome<f64> {
    // Without labels it stands there with or without empty braces.
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches("{}").strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("no metric {name}: {metrics}"))?.parse()?)
}
