//! What each way to idle costs and brings: the share of its core that a worker takes with nothing to do and with little to do,
//! and how long a client waits for one answer.
//!
//! The built server has one worker on a core of its own, on a TAP device, whose queues have interrupts, and on one end of a veth
//! pair by AF_PACKET, whose queues have none. The client asks one question after the other: at 1,000 a second, and rarely,
//! so that the worker has gone to sleep before each.
//!
//! `idle [SECONDS]`: seconds of each measurement, 4 unless given. Needs root.

use std::io::Write as _;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::link::veth_pair;
use harness::message::Question;
use harness::udp::{exchange, socket};
use harness::{Namespace, Setup, turn};
use ringdns_bench::Outcome;
use ringdns_bench::cpu::{Task, go_first, stay_on};
use ringdns_bench::report::{Figure, write};

/// The core of the worker.
const WORKER_CORE: usize = 1;
/// The core of all else.
const CLIENT_CORE: usize = 0;
/// From question to question of a little load: 1,000 a second.
const INTERVAL: Duration = Duration::from_millis(1);
/// From question to question where each is to find a sleeping worker.
const RARELY: Duration = Duration::from_millis(20);
/// Longest wait for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Time for a worker to fall asleep.
const SETTLE: Duration = Duration::from_millis(500);
/// Type A.
const A: u16 = 1;

/// A way to idle on a device.
struct Case {
    /// Its name in the table.
    name: &'static str,
    /// The word in the configuration.
    idle: &'static str,
    /// The device's arguments.
    device: &'static str,
}

/// A TAP device.
const TAP: &str = "net_tap0,iface=rdtap0";
/// An end of a veth pair.
const VETH: &str = "net_af_packet0,iface=veth-server,qdisc_bypass=1";

/// All of them.
const CASES: [Case; 6] = [
    Case { name: "net_tap, busy", idle: "busy", device: TAP },
    Case { name: "net_tap, pause", idle: "pause", device: TAP },
    Case { name: "net_tap, sleep (interrupts)", idle: "sleep", device: TAP },
    Case { name: "net_af_packet, busy", idle: "busy", device: VETH },
    Case { name: "net_af_packet, pause", idle: "pause", device: VETH },
    Case { name: "net_af_packet, sleep (naps)", idle: "sleep", device: VETH },
];

/// What was measured of one.
struct Measured {
    /// Part of the core that an idle worker takes.
    idle_share: f64,
    /// The same at 1,000 questions a second.
    loaded_share: f64,
    /// Microseconds to an answer at 1,000 questions a second.
    loaded: Vec<f64>,
    /// Microseconds to an answer of a worker that sleeps.
    rare: Vec<f64>,
}

fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(4), |text| text.parse())?;
    let _first = go_first()?;
    let mut figures = Vec::new();
    let titles = ["CPU idle", "CPU 1000 q/s", "p50 1000 q/s", "p99 1000 q/s", "p50 rarely", "p99 rarely"];
    row("", &titles.map(str::to_owned))?;
    for case in CASES {
        // In a thread of its own, which keeps off the worker's core once the server has been started.
        let thread = thread::scope(|scope| {
            let measuring = || measure(&case, Duration::from_secs(seconds)).map_err(|error| error.to_string());
            scope.spawn(measuring).join()
        });
        let Measured { idle_share, loaded_share, mut loaded, mut rare } =
            thread.map_err(|_| "the measuring thread panicked")??;
        loaded.sort_by(f64::total_cmp);
        rare.sort_by(f64::total_cmp);
        let times = [&loaded, &rare].map(|times| [quantile(times, 50), quantile(times, 99)]);
        let values = [idle_share * 100.0, loaded_share * 100.0, times[0][0], times[0][1], times[1][0], times[1][1]];
        let units = ["%", "%", "us", "us", "us", "us"];
        row(case.name, &std::array::from_fn(|index| format!("{:.1} {}", values[index], units[index])))?;
        figures.extend((titles.iter().zip(values).zip(units)).map(|((title, value), unit)| Figure {
            name: format!("{title}, {}", case.name),
            value,
            unit,
            conditions: format!("one worker, {seconds} s each"),
        }));
    }
    write("idle", &figures)?;
    Ok(())
}

/// Prints a row of the table.
fn row(name: &str, cells: &[String; 6]) -> std::io::Result<()> {
    let cells: String = cells.iter().map(|cell| format!("{cell:>14}")).collect();
    writeln!(std::io::stdout().lock(), "{name:<30}{cells}")
}

/// Measures one case with a server of its own.
fn measure(case: &Case, time: Duration) -> Outcome<Measured> {
    let _turn = turn();
    let client = Namespace::new();
    if case.device == VETH {
        veth_pair("veth-server", "veth-client", &client);
    }
    let mut setup = Setup::new();
    setup.device = case.device.to_owned();
    setup.workers = format!("cores = [{WORKER_CORE}]\nidle = \"{}\"", case.idle);
    let server = setup.start();
    server.put_zone("example.org.");
    server.put_rrset("example.org.", "www", "A", 60, &["203.0.113.1"]);
    stay_on(CLIENT_CORE)?;
    let worker = Task::find(server.id(), "ringdns-w0")?;
    let socket = if case.device == VETH {
        let _entered = client.enter();
        socket(SERVED4)
    } else {
        socket(SERVED4)
    };
    ask(&socket, 0)?;
    let idle_share = share(&worker, || {
        thread::sleep(time);
        Ok(())
    })?;
    let (mut loaded, mut rare) = (Vec::new(), Vec::new());
    let loaded_share = share(&worker, || ask_for(&socket, time, INTERVAL, &mut loaded))?;
    ask_for(&socket, time, RARELY, &mut rare)?;
    Ok(Measured { idle_share, loaded_share, loaded, rare })
}

/// The part of its core that a thread takes while something is done.
fn share(worker: &Task, work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    thread::sleep(SETTLE);
    let (start, before) = (Instant::now(), worker.cpu_seconds()?);
    work()?;
    Ok((worker.cpu_seconds()? - before) / start.elapsed().as_secs_f64())
}

/// Asks at intervals for some time; notes the microseconds to each answer.
fn ask_for(socket: &UdpSocket, time: Duration, interval: Duration, times: &mut Vec<f64>) -> Outcome<()> {
    let start = Instant::now();
    let mut next = start;
    for id in 1.. {
        if start.elapsed() >= time {
            break;
        }
        times.push(ask(socket, id)?);
        next += interval;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Microseconds to the answer of one question.
fn ask(socket: &UdpSocket, id: u16) -> Outcome<f64> {
    let query = Question::new("www.example.org.", A).to_wire(id);
    let start = Instant::now();
    let answer = exchange(socket, &query, ANSWER_TIME_MAX).ok_or("no answer")?;
    let took = start.elapsed();
    if answer.get(..2) != query.get(..2) || !answer.ends_with(&[203, 0, 113, 1]) {
        return Err(format!("a wrong answer: {answer:02x?}").into());
    }
    Ok(took.as_secs_f64() * 1e6)
}

/// The figure, of sorted ones, that so many of a hundred are at or below.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
