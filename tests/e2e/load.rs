//! dnsperf for some seconds, every answer checked.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::link::addresses::{SERVED4, SERVED6};
use harness::process::finish;
use harness::{Setup, turn};

use crate::zone_text;

/// Names in the zone.
const NAMES: usize = 1_000;

/// Questions in dnsperf's file: names that are there and names that are not.
const QUESTIONS: usize = 5_000;

/// Times that dnsperf goes through its file.
const ROUNDS: usize = 3;

/// Questions a second: what the device carries with ease on two shared cores. No claim about speed.
const RATE: usize = 3_000;

/// Longest for a whole run, which takes five seconds of questions.
const TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn dnsperf_loses_nothing_and_gets_the_expected_answers() {
    let _turn = turn();
    let mut setup = Setup::new();
    let mut lines = String::new();
    for index in 0..NAMES {
        writeln!(lines, "name{index} IN A 203.0.113.{}", index % 250 + 1).expect("a string takes it");
    }
    setup.write_zone("load.example.", &zone_text("load.example.", 1, &lines));
    let server = setup.start();
    // Three of five names are there.
    let owner = |index: usize| match index % 5 {
        0..3 => format!("name{}.load.example", index % NAMES),
        _ => format!("missing{index}.load.example"),
    };
    let questions: String = (0..QUESTIONS).map(|index| format!("{} A\n", owner(index))).collect();
    let file = setup.path("questions");
    fs::write(&file, questions).expect("a writable folder");
    for address in [SERVED4, SERVED6] {
        let before = server.metrics();
        let mut dnsperf = Command::new("dnsperf");
        // -v shows each answer's response code beside its question.
        dnsperf.args(["-v", "-s", &address.to_string(), "-d"]).arg(&file);
        dnsperf.args(["-n", &ROUNDS.to_string(), "-Q", &RATE.to_string(), "-t", "5", "-c", "4"]);
        let finished = finish(&mut dnsperf, TIME_MAX);
        assert!(finished.status.success(), "{}", finished.stderr);
        let asked = QUESTIONS * ROUNDS;
        let report = finished.stdout.split("Statistics:").nth(1).expect("dnsperf's statistics");
        assert!(report.contains("Queries lost:         0 (0.00%)"), "{report}");
        assert_eq!(number_after(report, "Queries completed:"), asked, "{report}");
        let counts = rcodes_by_kind(&finished.stdout);
        let expected = BTreeMap::from([(("name", "NOERROR"), asked * 3 / 5), (("missing", "NXDOMAIN"), asked * 2 / 5)]);
        assert_eq!(counts, expected, "{report}");
        let after = server.metrics();
        for (rcode, share) in [("NOERROR", 3), ("NXDOMAIN", 2)] {
            let grown = after.answers(rcode) - before.answers(rcode);
            assert_eq!(grown, (asked * share / 5) as u64, "/metrics and dnsperf disagree on {rcode}");
        }
    }
}

/// Counts dnsperf's lines `> RCODE NAME TYPE SECONDS` by what the name starts with and the response code.
fn rcodes_by_kind(output: &str) -> BTreeMap<(&'static str, &str), usize> {
    let mut counts = BTreeMap::new();
    for line in output.lines() {
        let Some((rcode, question)) = line.strip_prefix("> ").and_then(|answer| answer.split_once(' ')) else {
            continue;
        };
        let kind = if question.starts_with("name") { "name" } else { "missing" };
        *counts.entry((kind, rcode)).or_default() += 1;
    }
    counts
}

/// The number after a title in dnsperf's report.
fn number_after(report: &str, title: &str) -> usize {
    let rest = report.split(title).nth(1).unwrap_or_else(|| panic!("no {title} in {report}"));
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
