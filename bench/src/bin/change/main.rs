//! From a change to its answer, and changes a second, while the worker is as busy as it can be.
//!
//! The built server has a million names of a zone file, a zone in its store that changes, one worker and two ports: a
//! net_pcap that replays queries for ever, so that the worker never has nothing to do, and a TAP device, by which the
//! changed names are asked for. The worker takes a burst of each in turn.
//!
//! One after the other: a record is changed by REST while its name is asked for over and over; the time runs from the
//! request's first byte to the first new answer that came off the device. Then many connections change records for some
//! seconds. `change [NAMES] [CHANGES] [SECONDS]`: 1000000 names, 2000 changes, 10 seconds unless given. Needs root.

mod asker;
mod writers;

use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::metrics::Metrics;
use harness::{Server, Setup, turn};
use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, go_first, process_cpu_seconds, stay_on};
use ringdns_bench::{Outcome, capture, zone};
use ringdns_engine::rtype::types;
use ringdns_engine::testing::{UdpFrame, query};

/// The zone that changes.
const ZONE: &str = "change.example.";
/// The core of the worker.
const WORKER_CORE: usize = 1;
/// The core of all else.
const CLIENT_CORE: usize = 0;
/// Frames that are replayed: as many as the port's own buffers leave room for.
const FRAMES: usize = 512;
/// Names of the zone that changes while records are changed one by one.
const CHANGING: u64 = 1_000;
/// The MAC address of the first net_pcap device.
const PCAP_MAC: [u8; 6] = [0x02, b'p', b'c', b'a', b'p', 0];
/// Milliseconds from a change to its answer.
const CHANGE_MS_MAX: f64 = 5.0;
/// Changes a second.
const CHANGES_MIN: f64 = 10_000.0;

/// The owner of a name that changes, below its zone.
fn changing(number: u64) -> String {
    format!("c{number}")
}

/// The part of the figures, from 0 to 1, that this many are at or below.
fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and last")]
    let place = (last as f64 * part).ceil() as usize;
    figures.get(place).copied().unwrap_or(f64::NAN)
}

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, changes, seconds) = (argument(0, 1_000_000), argument(1, 2_000), argument(2, 10));
    let _first = go_first()?;
    let _turn = turn();
    let (_setup, server) = start(names)?;
    // As the server's own control threads do, from which the worker's core is kept free.
    stay_on(CLIENT_CORE)?;
    server.put_zone(ZONE);
    for number in 0..CHANGING {
        server.put_rrset(ZONE, &changing(number), "A", 60, &["10.0.0.0"]);
    }
    claim::record(&latency(&server, names, changes)?)?;
    Ok(claim::record(&[throughput(&server, names, Duration::from_secs(seconds))?])?)
}

/// A row with nothing to compare with.
fn claim(name: &str, ours: f64, bar: Bar, unit: &'static str, conditions: String) -> Claim {
    Claim { name: name.to_owned(), ours, theirs: None, bar, unit, conditions }
}

/// One change after the other.
fn latency(server: &Server, names: u64, changes: u64) -> Outcome<[Claim; 2]> {
    let task = Task::find(server.id(), "ringdns-w0")?;
    let (before, cpu) = (server.metrics(), task.cpu_seconds()?);
    let start = Instant::now();
    let seen = asker::one_by_one(server, changes)?;
    let (after, clock) = (server.metrics(), start.elapsed());
    let load = load(&before, &after, task.cpu_seconds()? - cpu, clock)?;
    let mut times = seen.milliseconds;
    let (median, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    let all = format!("{names} names, one writer, {load}, {changes} changes, {} questions asked", seen.asked);
    let with_median = format!("median {median:.2} ms, {all}");
    Ok([
        claim("change to answer, p99", p99, Bar::AtMost(CHANGE_MS_MAX), "ms", with_median),
        claim("queries lost to changes", seen.lost as f64, Bar::AtMost(0.0), "queries", all),
    ])
}

/// As many changes as there can be.
fn throughput(server: &Server, names: u64, time: Duration) -> Outcome<Claim> {
    let task = Task::find(server.id(), "ringdns-w0")?;
    let cpu = || Outcome::Ok(process_cpu_seconds(server.id())? - task.cpu_seconds()?);
    let commits = |metrics: &Metrics| metrics.sum("ringdns_store_commits_total", &[]);
    let (before, cpu_before) = (commits(&server.metrics()), cpu()?);
    let written = writers::sustained(server, time)?;
    let changes = written.changes as f64;
    let cpu_us = (cpu()? - cpu_before) * 1e6 / changes;
    let commits = (commits(&server.metrics()) - before).max(1) as f64;
    let conditions = format!(
        "{names} names and {} that change, {} connections, each change on disk and served when answered, {:.0} changes a \
         commit, net_pcap beside it, {cpu_us:.0} us of CPU a change without the worker's, median wait {:.2} ms, p99 {:.2} ms",
        writers::NAMES,
        writers::CONNECTIONS,
        changes / commits,
        written.median_ms,
        written.p99_ms,
    );
    Ok(claim("changes sustained", written.per_second, Bar::AtLeast(CHANGES_MIN), "changes/s", conditions))
}

/// Starts the server with its zone file and its two ports, from a folder that goes with the setup.
fn start(names: u64) -> Outcome<(Setup, Server)> {
    let mut setup = Setup::new();
    setup.write_zone(zone::APEX, &zone::text(names));
    let mut numbers = zone::Numbers(7);
    let frames = (0..FRAMES).map(|_| {
        let mut frame = UdpFrame::ipv4().build(&query(&zone::owner(numbers.draw() % names), types::A));
        frame[..6].copy_from_slice(&PCAP_MAC);
        frame
    });
    let file = setup.path("queries.pcap");
    capture::write(&file, &frames.collect::<Vec<_>>())?;
    setup.workers = format!("cores = [{WORKER_CORE}]\nidle = \"busy\"");
    let device = format!("net_pcap0,rx_pcap={},infinite_rx=1", file.display());
    setup.more = format!("[[port]]\ndevice = \"{device}\"\naddresses = [\"{SERVED4}\"]\n");
    let server = setup.start();
    Ok((setup, server))
}

/// What the worker did meanwhile, and that all of it was right.
fn load(before: &Metrics, after: &Metrics, cpu_seconds: f64, clock: Duration) -> Outcome<String> {
    let grown = |rcode: &str| after.answers(rcode) - before.answers(rcode);
    let wrong: u64 = ["SERVFAIL", "NXDOMAIN", "REFUSED", "FORMERR", "NOTIMP"].into_iter().map(grown).sum();
    let answers = grown("NOERROR");
    let received = after.sum("ringdns_rx_frames_total", &[]) - before.sum("ringdns_rx_frames_total", &[]);
    let refused = after.reason("tx_refused") - before.reason("tx_refused");
    if wrong > 0 || refused > 0 || answers == 0 {
        return Err(format!("of {received} frames {answers} were answered, {wrong} wrongly, {refused} not sent").into());
    }
    let busy = cpu_seconds / clock.as_secs_f64() * 100.0;
    Ok(format!(
        "net_pcap beside it at {:.1} M queries/CPU-second, worker on CPU {busy:.0} %",
        answers as f64 / 1e6 / cpu_seconds
    ))
}
