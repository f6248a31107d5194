//! Publication under load: writers change records by REST and by zone file, dnsperf asks as fast as it is answered, and
//! checkers hold every answer to what was published.
//!
//! Each change of a name makes its next version, which its three addresses tell. An answer must be of one version, not
//! older than the last that was acknowledged before the question was sent or that was seen before it, and not newer than
//! the last that was sent before the answer came. All names of the zone file change by one reload: seen at one name, the
//! new version is held to at all of them. No question may stay unanswered, and memory must stay flat.
//!
//! `soak [SECONDS]`: 600 unless given. Needs root (see `make soak`).

#![expect(clippy::print_stdout, reason = "tells people how it goes")]

mod checker;
mod memory;
mod version;
mod writer;

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::process::{finish, resident_bytes};
use harness::{Server, Setup, turn};
use ringdns_bench::{Outcome, zone};

use memory::Memory;
use version::Name;

/// The zone of the store.
const STORE_ZONE: &str = "soak.example.";
/// The zone whose file is read again and again.
const FILE_ZONE: &str = "file.example.";
/// Names of each of them.
const NAMES: usize = 2_000;
/// Names of the zone that dnsperf asks for and that does not change.
const STILL_NAMES: u64 = 100_000;
/// Threads that change records of the store.
const WRITERS: usize = 4;
/// Threads that ask and check.
const CHECKERS: usize = 2;
/// How often it is told how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Time that dnsperf may take beyond its own.
const EXTRA_TIME: Duration = Duration::from_secs(60);

/// What all threads share.
pub struct Soak<'a> {
    /// The server.
    server: &'a Server,
    /// The names of the store's zone.
    store: Vec<Name>,
    /// All names of the zone file at once.
    file: Name,
    /// Set at the end, and where anything went wrong.
    stop: AtomicBool,
    /// Changes that were acknowledged.
    changes: AtomicU64,
    /// Reloads whose version was seen.
    reloads: AtomicU64,
    /// Answers that were checked.
    answers: AtomicU64,
}

impl Soak<'_> {
    /// Whether to go on.
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// What has happened so far.
    fn progress(&self) -> String {
        let [changes, reloads, answers] =
            [&self.changes, &self.reloads, &self.answers].map(|count| count.load(Ordering::Relaxed));
        format!("{changes} changes, {reloads} reloads, {answers} answers checked")
    }
}

fn main() -> Outcome<()> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(600), |seconds| seconds.parse())?;
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone(zone::APEX, &zone::text(STILL_NAMES));
    let file = Name::default();
    setup.write_zone(FILE_ZONE, &writer::file_text(file.submit()));
    file.acknowledge(file.newest());
    let questions = setup.path("questions");
    let mut numbers = zone::Numbers(7);
    let lines: String =
        (0..STILL_NAMES).map(|_| format!("{} A\n", zone::owner(numbers.draw() % STILL_NAMES))).collect();
    fs::write(&questions, lines)?;

    let server = setup.start();
    server.put_zone(STORE_ZONE);
    let soak = Soak {
        server: &server,
        store: (0..NAMES).map(|_| Name::default()).collect(),
        file,
        stop: AtomicBool::new(false),
        changes: AtomicU64::new(0),
        reloads: AtomicU64::new(0),
        answers: AtomicU64::new(0),
    };
    writer::create_all(&soak)?;
    println!("{NAMES} names in the store, {NAMES} in a file, {STILL_NAMES} that stay; {seconds} s");
    let memory = thread::scope(|scope| -> Outcome<Memory> {
        let mut threads: Vec<ScopedJoinHandle<'_, Result<String, String>>> = Vec::new();
        let soak = &soak;
        threads.extend((0..WRITERS).map(|index| scope.spawn(move || ended(soak, writer::change_store(soak, index)))));
        threads.extend((0..CHECKERS).map(|index| scope.spawn(move || ended(soak, checker::check(soak, index as u64)))));
        let zone_file = setup.path(&format!("{FILE_ZONE}zone"));
        threads.push(scope.spawn(move || ended(soak, writer::change_file(soak, &zone_file))));
        let questions = &questions;
        threads.push(scope.spawn(move || ended(soak, dnsperf(questions, seconds))));
        let memory = watch(soak, Duration::from_secs(seconds));
        soak.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            println!("{}", thread.join().map_err(|_| "a thread has panicked")??);
        }
        Ok(memory)
    })?;
    println!("{}; {}", soak.progress(), memory.verdict()?);
    let status = server.stop();
    if !status.success() {
        return Err(format!("the server ended with {status}").into());
    }
    Ok(())
}

/// Stops all others where a thread has failed; errors cross threads as text.
fn ended(soak: &Soak<'_>, outcome: Outcome<String>) -> Result<String, String> {
    outcome.map_err(|error| {
        soak.stop.store(true, Ordering::Relaxed);
        println!("stopping: {error}");
        error.to_string()
    })
}

/// Waits for the end, looks at the memory and tells how far it is.
fn watch(soak: &Soak<'_>, time: Duration) -> Memory {
    let (start, mut told) = (Instant::now(), Instant::now());
    let mut memory = Memory::default();
    while start.elapsed() < time && soak.goes_on() {
        thread::sleep(Duration::from_millis(500));
        memory.note(resident_bytes(soak.server.id()));
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            println!("{:4.0} s: {}; {}", start.elapsed().as_secs_f64(), soak.progress(), memory);
        }
    }
    memory
}

/// Asks for names that stay; every one must be answered, with NOERROR.
fn dnsperf(questions: &std::path::Path, seconds: u64) -> Outcome<String> {
    let mut dnsperf = Command::new("dnsperf");
    // Fewer on the way than the TAP device queues: what is lost is lost by the server.
    dnsperf.args(["-s", &SERVED4.to_string(), "-l", &seconds.to_string(), "-c", "4", "-q", "100", "-d"]);
    let finished = finish(dnsperf.arg(questions), Duration::from_secs(seconds) + EXTRA_TIME);
    let report = finished.stdout.split("Statistics:").nth(1).unwrap_or(&finished.stderr).trim();
    let is_whole = report.contains("Queries lost:         0 (0.00%)");
    if !finished.status.success()
        || !is_whole
        || !report.contains("NOERROR")
        || !report.contains("(100.00%)\n  Average packet")
    {
        return Err(format!("dnsperf: {report}").into());
    }
    let line = |title: &str| report.lines().map(str::trim).find(|line| line.starts_with(title)).unwrap_or_default();
    Ok(format!("dnsperf: {}; {}; {}", line("Queries completed"), line("Queries lost"), line("Queries per second")))
}
