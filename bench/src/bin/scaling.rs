//! How a worker's rate holds up: with ten million names against a thousand, with names that do not exist against names that
//! do, with a second worker beside it; and whether a worker under load calls the allocator or the kernel.
//!
//! All turns replay captures for ever (net_pcap, infinite_rx) through the whole worker, interleaved; rates are frames per
//! CPU-second of each worker's thread, medians over the turns. Needs root and hugepages (see `scripts/bench-scaling`).
//!
//! `scaling [NAMES] [TURNS] [SECONDS]`: 10000000 names, 5 turns of 2 seconds unless given.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringdns_bench::alloc::{self, CountingAllocator};
use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, median, per_cpu_second, system_calls};
use ringdns_bench::{Outcome, capture, zone};
use ringdns_dataplane::dpdk::{Device, Eal, EalOptions, Port, PortOptions};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::worker::Worker;
use ringdns_dataplane::workers::Workers;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::rtype::rcode;
use ringdns_engine::serve::Server;
use ringdns_engine::testing::server_config;

/// Distinct frames of each capture.
const FRAMES: u32 = 262_144;
/// The cores of the workers: the first works in every turn.
const CORES: [usize; 2] = [1, 0];
/// Memory for buffers of two captures and the rings.
const MEMORY_MIB: u32 = 1500;
/// How long the allocator and the kernel are watched.
const WATCH_SECONDS: u64 = 2;

/// What this bench runs with.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// One kind of turn: a zone, what is asked, and its rates so far.
struct Kind {
    /// Whose records are served.
    publisher: Publisher,
    /// Names of the zone.
    names: u64,
    /// The capture.
    file: String,
    /// What every frame is answered with.
    rcode: u16,
    /// Workers at the same time.
    workers: usize,
    /// Frames per CPU-second, summed up over the workers.
    rates: Vec<f64>,
}

impl Kind {
    /// A kind of turn.
    fn new(publisher: Publisher, names: u64, hits: bool, workers: usize) -> Outcome<Self> {
        let file = format!("target/bench/scaling-{names}-{hits}.pcap");
        capture::write(Path::new(&file), &zone::frames(FRAMES as usize, names, hits))?;
        let rcode = if hits { rcode::NOERROR } else { rcode::NXDOMAIN };
        Ok(Self { publisher, names, file, rcode, workers, rates: Vec::new() })
    }

    /// The median of its rates.
    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// The device: a queue for each worker.
    fn device(&self) -> Outcome<Device> {
        let queues = format!(",rx_pcap={}", self.file).repeat(self.workers);
        Ok(Device::parse(&format!("net_pcap0{queues},infinite_rx=1"))?)
    }

    /// Runs the workers, does something meanwhile, and holds them to have answered every frame rightly.
    fn with_workers<T>(&mut self, eal: &Eal, during: impl FnOnce(&[Arc<Counters>]) -> Outcome<T>) -> Outcome<T> {
        let queues = u16::try_from(self.workers)?;
        let options = PortOptions { queues, spare_mbufs: FRAMES + 4096, ..PortOptions::default() };
        let (port, queues) = Port::open(eal, &self.device()?, options)?;
        let counters: Vec<Arc<Counters>> = (0..self.workers).map(|_| Arc::default()).collect();
        let lanes = queues.into_iter().zip(&counters).zip(CORES).map(|((queue, counters), core)| {
            let lane = (queue, Server::new(&server_config()));
            (core, Worker::new([lane], self.publisher.reader(), Arc::clone(counters), Idle::Busy))
        });
        let workers = Workers::start(lanes.collect())?;
        let value = during(&counters)?;
        workers.join()?;
        for counters in &counters {
            let received = counters.rx_frames.get();
            let answered = counters.rcodes().find(|&(rcode, _)| rcode == self.rcode).map_or(0, |(_, count)| count);
            if answered != received || received == 0 {
                return Err(format!("{answered} of {received} frames were answered with rcode {}", self.rcode).into());
            }
        }
        drop(port);
        Ok(value)
    }

    /// One turn.
    fn turn(&mut self, eal: &Eal, time: Duration) -> Outcome<()> {
        let rate = self.with_workers(eal, |counters| {
            let pairs = counters.iter().enumerate().map(|(index, counters)| {
                let task = Task::find(std::process::id(), &format!("ringdns-w{index}"))?;
                Ok((task, || Ok(counters.tx_frames.get())))
            });
            per_cpu_second(time, &mut pairs.collect::<Outcome<Vec<_>>>()?)
        })?;
        self.rates.push(rate);
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, turns, seconds) = (argument(0, 10_000_000), argument(1, 5), argument(2, 2));
    fs::create_dir_all("target/bench")?;
    let device = Device::parse("net_pcap0,rx_pcap=none,infinite_rx=1")?;
    let options = EalOptions { hugepages: true, memory_mib: MEMORY_MIB, worker_cores: CORES.to_vec() };
    let eal = Eal::start(&options, std::slice::from_ref(&device))?;
    let (middle, many) = (zone::snapshot(1_000_000.min(names))?, zone::snapshot(names)?);
    let publisher = Publisher::new;
    let mut kinds = [
        Kind::new(publisher(zone::snapshot(1_000)?), 1_000, true, 1)?,
        Kind::new(publisher(many), names, true, 1)?,
        Kind::new(publisher(middle.clone()), 1_000_000.min(names), true, 1)?,
        Kind::new(publisher(middle.clone()), 1_000_000.min(names), false, 1)?,
        Kind::new(publisher(middle), 1_000_000.min(names), true, 2)?,
    ];
    for _ in 0..turns {
        for kind in &mut kinds {
            kind.turn(&eal, Duration::from_secs(seconds))?;
        }
    }
    let watched = kinds[2].with_workers(&eal, watch)?;
    claim::record(&claims(&kinds, &watched, &format!("{FRAMES} frames, net_pcap infinite_rx, {turns} turns")))?;
    for kind in &kinds {
        // Two kinds may share one.
        fs::remove_file(&kind.file).ok();
    }
    Ok(())
}

/// What was seen of a worker in the time of a watch.
struct Watched {
    /// Calls of the allocator.
    allocations: u64,
    /// Calls of the kernel; nothing where there is no strace.
    system_calls: Option<u64>,
    /// Queries answered meanwhile.
    queries: u64,
}

/// Watches a worker that is under load.
fn watch(counters: &[Arc<Counters>]) -> Outcome<Watched> {
    let counters = counters.first().ok_or("no worker")?;
    let time = Duration::from_secs(WATCH_SECONDS);
    let task = Task::find(std::process::id(), "ringdns-w0")?;
    let queries = counters.tx_frames.get();
    // This thread sleeps, and no other is there: what is allocated is the worker's.
    let before = alloc::calls();
    std::thread::sleep(time);
    let allocations = alloc::calls() - before;
    let system_calls = system_calls(&task, time, Path::new("target/bench/strace"))?;
    Ok(Watched { allocations, system_calls, queries: counters.tx_frames.get() - queries })
}

/// The rows.
fn claims(kinds: &[Kind; 5], watched: &Watched, conditions: &str) -> Vec<Claim> {
    let [few, many, hits, misses, two] = kinds;
    let ratio = |name: &str, ours: &Kind, theirs: &Kind, bar, what: &str| Claim {
        name: name.to_owned(),
        ours: ours.rate() / 1e6,
        theirs: Some(theirs.rate() / 1e6),
        bar: Bar::Ratio(bar),
        unit: "M frames/CPU-second",
        conditions: format!("{what}, {conditions}"),
    };
    let none = |name: &str, calls: u64| Claim {
        name: name.to_owned(),
        ours: calls as f64,
        theirs: None,
        bar: Bar::AtMost(0.0),
        unit: "calls",
        conditions: format!("{} queries answered meanwhile", watched.queries),
    };
    let mut claims = vec![
        ratio("10 M names against 1 k names", many, few, 0.80, &format!("{} names, hits", many.names)),
        ratio("NXDOMAIN flood against hits", misses, hits, 0.85, &format!("{} names", hits.names)),
        ratio("two workers against one", two, hits, 1.9, &format!("{} names, hits, a queue each", hits.names)),
        none("allocations of a worker under load", watched.allocations),
    ];
    claims.extend(watched.system_calls.map(|calls| none("system calls of a worker under load", calls)));
    claims
}
