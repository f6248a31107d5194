//! A flood of frames that are not DNS beside queries, on NICs in memory: what a worker still answers for each second of its
//! CPU, with the kernel path's thread taking the flood on another core.
//!
//! `flood`: 100,000 datagrams a second to a port that is not served, and the same share of a DNS load as large as the worker
//! can take. Every reply is counted; medians of interleaved turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, median, stay_on};
use ringdns_bench::round::RoundNic;
use ringdns_bench::{Outcome, zone};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::kernel::{KernelPath, KernelPort};
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::available_cores;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::testing::{UdpFrame, server_config};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Names of the zone.
const NAMES: u64 = 1_000_000;
/// Distinct queries.
const QUERIES: usize = 262_144;
/// Frames a second of the flood.
const FLOOD_RATE: f64 = 100_000.0;
/// Turns of each kind.
const TURNS: usize = 5;
/// How long each turn is.
const TURN_TIME: Duration = Duration::from_secs(2);
/// Buffers: more than the rings to the kernel hold.
const BUFFERS: usize = 8192;
/// What is to be left of the rate.
const LEFT_MIN: f64 = 0.9;

/// What one turn came to.
struct Turn {
    /// Answers for each second of the worker's CPU.
    answers: f64,
    /// Frames that were for the kernel, for each second of the worker's CPU.
    punts: f64,
    /// The part of them that the kernel got.
    passed: f64,
}

/// Runs a worker over frames on the last core, and the kernel path on the first.
fn turn((first, last): (usize, usize), publisher: &Publisher, frames: &Arc<Vec<Vec<u8>>>) -> Outcome<Turn> {
    let (nic, kernel_nic) = RoundNic::pair(frames, BUFFERS);
    let (port, mut lanes) = KernelPort::new(kernel_nic, 1);
    let taken = Arc::clone(port.counters());
    let server = Server::new(&ServerConfig { answer_local: false, ..server_config() });
    let counters = Arc::new(Counters::default());
    let ports = [WorkerPort { nic, server, kernel: lanes.pop(), forward: None, successor: None }];
    let mut worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    stay_on(first)?;
    let path = KernelPath::start(vec![port])?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = thread::Builder::new().name("flood-worker".to_owned()).spawn(move || {
        stay_on(last).map_err(|error| error.to_string())?;
        worker.run(&told);
        Ok::<_, String>(())
    })?;
    thread::sleep(Duration::from_millis(200));
    let task = Task::find(std::process::id(), "flood-worker")?;
    let look = || -> Outcome<[f64; 4]> {
        let punts = counters.kernel_frames.get() + counters.reason(ringdns_engine::verdict::Reason::KernelFull);
        let answers = counters.queries_ipv4.get();
        Ok([task.cpu_seconds()?, answers as f64, punts as f64, taken.to_kernel_frames.get() as f64])
    };
    let before = look()?;
    thread::sleep(TURN_TIME);
    let after = look()?;
    stop.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| "the worker panicked")??;
    path.stop();
    let [seconds, answers, punts, taken] = std::array::from_fn(|index| after[index] - before[index]);
    Ok(Turn { answers: answers / seconds, punts: punts / seconds, passed: taken / punts.max(1.0) })
}

/// The queries with one frame of the flood after each `each` of them.
fn mixed(queries: &[Vec<u8>], each: usize) -> Vec<Vec<u8>> {
    let flood = UdpFrame { ports: (40000, 9), ..UdpFrame::ipv4() }.build(&[0; 64]);
    queries.chunks(each.max(1)).flat_map(|queries| queries.iter().chain([&flood])).cloned().collect()
}

fn main() -> Outcome<()> {
    // Asked for once: a turn leaves this thread on one of them.
    let cores = match available_cores()[..] {
        [first, .., last] => (first, last),
        _ => return Err("this bench takes two cores: one for the worker, one for the kernel path".into()),
    };
    let publisher = Publisher::new(zone::snapshot(NAMES)?);
    let queries = zone::frames(QUERIES, NAMES, true);
    let alone_frames = Arc::new(queries.clone());
    let rate = turn(cores, &publisher, &alone_frames)?.answers;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
    let each = (rate / FLOOD_RATE).round() as usize;
    let flood_frames = Arc::new(mixed(&queries, each));
    // As many frames of the flood as queries.
    let half_frames = Arc::new(mixed(&queries, 1));
    let (mut alone, mut beside, mut half, mut passed, mut punts) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..TURNS {
        alone.push(turn(cores, &publisher, &alone_frames)?.answers);
        let flood = turn(cores, &publisher, &flood_frames)?;
        beside.push(flood.answers);
        passed.push(flood.passed);
        punts.push(flood.punts);
        half.push(turn(cores, &publisher, &half_frames)?.answers);
    }
    let conditions = format!(
        "{NAMES} names, NICs in memory, per second of the worker's CPU, medians of {TURNS} turns; the flood was {:.0}/s, the \
         kernel's end got {:.0} % of it; with as many flood frames as queries the worker answers {:.2} of the rate alone",
        median(punts),
        median(passed) * 100.0,
        median(half) / median(alone.clone()),
    );
    claim::record(&[Claim {
        name: "answers beside 100 k frames/s that are not DNS".to_owned(),
        ours: median(beside),
        theirs: Some(median(alone)),
        bar: Bar::Ratio(LEFT_MIN),
        unit: "queries/s",
        conditions,
    }])?;
    Ok(())
}
