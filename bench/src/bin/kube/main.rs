//! A cluster of 10,000 Services with 100,000 endpoints: how long the built server takes to be ready, what it takes in memory, then and
//! while everything is listed anew, and how long a change takes from the API server to its answer while others come and dnsperf asks.
//!
//! The API server is the one of our own tests, a process of its own. The built server has one worker and a TAP device, by which it
//! is asked; the time of a change runs from the order to the API server to the first new answer that came off the device.
//! `kube [SERVICES] [ENDPOINTS] [CHANGES]`: 10000, 100000 and 1000 unless given. Needs root.

#![expect(clippy::print_stdout, reason = "a bench reports to people")]

mod double;
mod probe;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::process::{finish, resident_bytes};
use harness::{Server, Setup, turn};
use ringdns_bench::Outcome;
use ringdns_bench::cpu::{go_first, process_cpu_seconds, stay_on};
use ringdns_bench::report::{Figure, publish};

use double::Double;
use probe::Probe;

/// The core of the worker.
const WORKER_CORE: usize = 1;
/// The core of all else.
const CLIENT_CORE: usize = 0;
/// Endpoints that change a second, those of the probes not counted.
const CHURN: u64 = 200;
/// Queries a second by dnsperf: a rate at which it leaves the other programs of its core some of it.
const QUERIES: u64 = 10_000;
/// For which a server is left alone before its memory is looked at: what was freed goes back to the kernel within ten seconds.
const SETTLE: Duration = Duration::from_secs(15);
/// Longest that everything may take to be listed anew.
const RELIST_TIME_MAX: Duration = Duration::from_secs(120);
/// Kinds that are followed: Namespaces, Services, slices.
const KINDS: u64 = 3;

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (services, endpoints, changes) = (argument(0, 10_000), argument(1, 100_000), argument(2, 1_000));
    let _first = go_first()?;
    let _turn = turn();
    // The server and its folder go before the next ones come.
    let empty = start(&Double::start(0, 0)?)?.beginning;
    let mut double = Double::start(services, endpoints)?;
    let started = start(&double)?;
    let full = started.beginning;
    let of = format!("{services} Services, {endpoints} endpoints in slices of {}", endpoints / services.max(1));
    let figure = |name: &str, value: f64, unit: &'static str, more: &str| Figure {
        name: name.to_owned(),
        value,
        unit,
        conditions: format!("{of}{more}"),
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let grown = full.resident.saturating_sub(empty.resident);
    let mut figures = vec![
        figure("start to ready", full.seconds, "s", ""),
        figure(
            "CPU until ready",
            full.cpu_seconds,
            "s",
            &format!("; {:.1} s with an empty cluster", empty.cpu_seconds),
        ),
        figure(
            "resident set",
            mib(full.resident),
            "MiB",
            &format!("; {:.1} MiB with an empty cluster", mib(empty.resident)),
        ),
        figure(
            "memory an endpoint",
            grown as f64 / endpoints as f64,
            "bytes",
            ", its part of Services and slices included",
        ),
        figure("largest until ready", mib(full.peak), "MiB", ""),
    ];
    println!("ready with everything after {:.1} s; listing anew", full.seconds);
    let (seconds, peak) = relist(&started.server, &mut double)?;
    figures.push(figure("everything listed anew", seconds, "s", ""));
    figures.push(figure("largest meanwhile", mib(peak), "MiB", ""));
    // As the server's own control threads do, from which the worker's core is kept free.
    stay_on(CLIENT_CORE)?;
    figures.extend(latencies(&started, &mut double, services, changes, &of)?);
    let last = resident_bytes(started.server.id());
    figures.push(figure("resident set after all changes", mib(last), "MiB", ""));
    Ok(publish("kube", &figures)?)
}

/// A server that has read a cluster.
struct Started {
    /// The server; dropped before its folder.
    server: Server,
    /// Its folder.
    setup: Setup,
    /// What that took.
    beginning: Beginning,
}

/// What it took to read a cluster.
#[derive(Clone, Copy)]
struct Beginning {
    /// From the server's start to readiness.
    seconds: f64,
    /// CPU time of all its threads until then.
    cpu_seconds: f64,
    /// Memory in RAM once it has settled.
    resident: u64,
    /// The most until it was ready.
    peak: u64,
}

/// Starts the server beside an API server.
fn start(double: &Double) -> Outcome<Started> {
    let mut setup = Setup::new();
    setup.workers = format!("cores = [{WORKER_CORE}]\nidle = \"sleep\"");
    // As the manifests of most clusters have CoreDNS: reverse zones, and names of Pods without a look at them.
    setup.more = format!(
        "[kubernetes]\nendpoint = \"{}\"\nzones = [\"cluster.local\"]\nreverse_zones = [\"10.0.0.0/8\", \"172.16.0.0/12\"]\n\
         pods = \"insecure\"\nstartup_timeout_ms = 60000\n",
        double.url
    );
    let begun = Instant::now();
    let server = setup.start();
    let seconds = begun.elapsed().as_secs_f64();
    let (cpu_seconds, peak) = (process_cpu_seconds(server.id())?, peak_bytes(server.id())?);
    std::thread::sleep(SETTLE);
    let beginning = Beginning { seconds, cpu_seconds, resident: resident_bytes(server.id()), peak };
    Ok(Started { server, setup, beginning })
}

/// The most memory that a process has had in RAM, in bytes, since it was started or this was set back.
fn peak_bytes(process: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Has everything listed anew: seconds until all watches are open again, and the most memory meanwhile.
fn relist(server: &Server, double: &mut Double) -> Outcome<(f64, u64)> {
    /// Sets the most memory back to what there is now (proc(5), `clear_refs`).
    const RESET_PEAK: &str = "5";
    fs::write(format!("/proc/{}/clear_refs", server.id()), RESET_PEAK)?;
    let lists = || server.metrics().sum("ringdns_kubernetes_lists_total", &[]);
    let is_connected = || server.metrics().sum("ringdns_kubernetes_connected", &[]) == 1;
    let (before, start) = (lists(), Instant::now());
    double.order("forget")?;
    while lists() < before + KINDS || !is_connected() {
        if start.elapsed() > RELIST_TIME_MAX {
            return Err(format!("not listed anew after {RELIST_TIME_MAX:?}: {}", server.log()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((start.elapsed().as_secs_f64(), peak_bytes(server.id())?))
}

/// Changes one after the other while others come and dnsperf asks: how long they took.
fn latencies(started: &Started, double: &mut Double, services: u64, changes: u64, of: &str) -> Outcome<Vec<Figure>> {
    let questions = started.setup.path("questions");
    write_questions(&questions, services)?;
    let mut dnsperf = Command::new("dnsperf");
    dnsperf.args(["-s", &SERVED4.to_string(), "-l", "3600", "-c", "4", "-q", "100", "-Q", &QUERIES.to_string(), "-d"]);
    let mut dnsperf = Running(dnsperf.arg(&questions).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    double.order(&format!("churn {CHURN}"))?;
    let made = |double: &mut Double| -> Outcome<f64> { Ok(double.order("changes")?.parse()?) };
    let mut figures = Vec::new();
    for (name, order) in
        [("endpoint to answer", probe::of_endpoint as fn(u64) -> Probe), ("new Service to answer", probe::of_service)]
    {
        println!("{changes} changes one after the other: {name}");
        let (before, start, cpu) = (made(double)?, Instant::now(), process_cpu_seconds(started.server.id())?);
        let (mut times, lost) = probe::one_by_one(double, order, changes)?;
        let seconds = start.elapsed().as_secs_f64();
        let rate = (made(double)? - before) / seconds;
        let cpu = (process_cpu_seconds(started.server.id())? - cpu) / seconds * 100.0;
        if dnsperf.0.try_wait()?.is_some() {
            return Err("dnsperf has ended".into());
        }
        times.sort_by(f64::total_cmp);
        for (part, share) in [("p50", 50), ("p99", 99), ("largest", 100)] {
            let place = (times.len() * share).div_ceil(100).saturating_sub(1);
            figures.push(Figure {
                name: format!("{name}, {part}"),
                value: times.get(place).copied().unwrap_or(f64::NAN),
                unit: "ms",
                conditions: format!(
                    "{of}, {changes} changes one after the other beside {rate:.0} others a second, dnsperf at {QUERIES} queries/s, \
                     {lost} questions lost, the server at {cpu:.0} % of a CPU"
                ),
            });
        }
    }
    double.order("churn 0")?;
    drop(dnsperf);
    check_answers(&questions)?;
    Ok(figures)
}

/// A process; ended when dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes questions for the addresses of Services, those with an address of their own and headless ones.
fn write_questions(file: &Path, services: u64) -> Outcome<()> {
    let mut text = String::new();
    for number in 0..services {
        writeln!(text, "service-{number}.namespace-{}.svc.cluster.local A", number % 100)?;
    }
    Ok(fs::write(file, text)?)
}

/// Asks for each Service once more: all must be there.
fn check_answers(questions: &Path) -> Outcome<()> {
    let mut dnsperf = Command::new("dnsperf");
    dnsperf.args(["-s", &SERVED4.to_string(), "-n", "1", "-c", "4", "-q", "100", "-d"]);
    let finished = finish(dnsperf.arg(questions), Duration::from_secs(60));
    let is_right = finished.stdout.contains("(100.00%)\n  Average packet") && finished.stdout.contains("NOERROR");
    if !is_right || !finished.stdout.contains("Queries lost:         0 (0.00%)") {
        return Err(format!("not every Service is answered: {}{}", finished.stdout, finished.stderr).into());
    }
    Ok(())
}
