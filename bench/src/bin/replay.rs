//! One worker against DPDK's own forwarder: both replay the same capture for ever (net_pcap, infinite_rx) on the same core,
//! in turns. testpmd's 5tswap swaps addresses and ports of each frame and touches nothing else: the ceiling of what can be
//! done to a frame that is taken in and sent back. Rates are frames per CPU-second of the forwarding thread, medians over
//! the turns. Needs root, hugepages (see `scripts/bench-replay`) and dpdk-testpmd.
//!
//! `replay [NAMES] [TURNS] [SECONDS]`: 1000000 names, 5 turns of 3 seconds unless given.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, median, per_cpu_second};
use ringdns_bench::report::{Figure, publish};
use ringdns_bench::{Outcome, capture, zone};
use ringdns_dataplane::dpdk::{Device, Eal, EalOptions, Port, PortOptions, PortQueue};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::worker::Worker;
use ringdns_dataplane::workers::Workers;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::Server;
use ringdns_engine::testing::server_config;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Distinct frames of the capture.
const FRAMES: u32 = 262_144;
/// The core that forwards, whoever it is.
const CORE: usize = 1;
/// Bound of every wait for testpmd.
const WAIT: Duration = Duration::from_secs(60);
/// Memory for buffers of the capture and the rings.
const MEMORY_MIB: u32 = 900;
/// The size of zone that the claim is about.
const CLAIMED_NAMES: u64 = 1_000_000;
/// The part of testpmd's rate that is to be reached.
const RATIO_MIN: f64 = 0.5;

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, turns, seconds) = (argument(0, 1_000_000), argument(1, 5), argument(2, 3));
    let seconds = Duration::from_secs(seconds);
    fs::create_dir_all("target/bench")?;
    let file = format!("target/bench/replay-{names}.pcap");
    capture::write(Path::new(&file), &zone::frames(FRAMES as usize, names, true))?;
    let mut publisher = Publisher::new(zone::snapshot(names)?);
    let device = Device::parse(&format!("net_pcap0,rx_pcap={file},infinite_rx=1"))?;
    let options = EalOptions { hugepages: true, memory_mib: MEMORY_MIB, worker_cores: vec![CORE] };
    let eal = Eal::start(&options, std::slice::from_ref(&device))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        theirs.push(testpmd_turn(&file, seconds)?);
        ours.push(our_turn(&eal, &device, &mut publisher, seconds)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let conditions = format!("{names} names, {FRAMES} frames, hits, net_pcap infinite_rx, one core, {turns} turns");
    let figure = |name: &str, value, unit| Figure { name: name.into(), value, unit, conditions: conditions.clone() };
    publish(
        &format!("replay-{names}"),
        &[
            figure("RingDNS", ours / 1e6, "M/CPU-second"),
            figure("testpmd 5tswap", theirs / 1e6, "M/CPU-second"),
            figure("ratio in percent", ours / theirs * 100.0, "%"),
        ],
    )?;
    if names == CLAIMED_NAMES {
        claim::record(&[Claim {
            name: "one worker against testpmd 5tswap".to_owned(),
            ours: ours / 1e6,
            theirs: Some(theirs / 1e6),
            bar: Bar::Ratio(RATIO_MIN),
            unit: "M frames/CPU-second",
            conditions,
        }])?;
    }
    fs::remove_file(file)?;
    Ok(())
}

/// One turn of a RingDNS worker; gives its frames per CPU-second. Every frame must have been answered with NOERROR.
fn our_turn(eal: &Eal, device: &Device, publisher: &mut Publisher, time: Duration) -> Outcome<f64> {
    let options = PortOptions { spare_mbufs: FRAMES + 4096, ..PortOptions::default() };
    let (port, queues) = Port::open(eal, device, options)?;
    let counters = Arc::new(Counters::default());
    let lanes: Vec<(PortQueue, Server)> =
        queues.into_iter().map(|queue| (queue, Server::new(&server_config()))).collect();
    let worker = Worker::new(lanes, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    let workers = Workers::start(vec![(CORE, worker)])?;
    let task = Task::find(std::process::id(), "ringdns-w0")?;
    let rate = per_cpu_second(time, &mut [(task, || Ok(counters.tx_frames.get()))])?;
    workers.join()?;
    let (answered, received) = (counters.rcodes().next().map_or(0, |(_, count)| count), counters.rx_frames.get());
    if answered != received || received == 0 {
        return Err(format!("{answered} of {received} frames were answered with NOERROR").into());
    }
    drop(port);
    Ok(rate)
}

/// One turn of testpmd; gives its frames per CPU-second.
fn testpmd_turn(file: &str, time: Duration) -> Outcome<f64> {
    let mut testpmd = Testpmd::start(file)?;
    let task = Task::find(testpmd.child.id(), &format!("rte-worker-{CORE}"))?;
    let rate = per_cpu_second(time, &mut [(task, || testpmd.rx_packets())])?;
    testpmd.quit()?;
    Ok(rate)
}

/// A running testpmd, told by its prompt.
struct Testpmd {
    /// The process.
    child: Child,
    /// Its prompt.
    input: ChildStdin,
    /// What it prints, line by line.
    lines: Receiver<String>,
}

impl Testpmd {
    /// Starts it forwarding on the core.
    fn start(file: &str) -> Outcome<Self> {
        // Line by line: into a pipe it would print when it ends. stdbuf becomes testpmd, with its process id.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "dpdk-testpmd", "--in-memory", "--no-pci", "--no-telemetry", "--log-level=error"])
            .args([format!("--lcores=0@0,1@{CORE}"), format!("--vdev=net_pcap0,rx_pcap={file},infinite_rx=1")])
            .args(["--", "-i", "--forward-mode=5tswap", "--burst=32", &format!("--total-num-mbufs={}", FRAMES + 8192)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("dpdk-testpmd: {error}; install the package dpdk-dev"))?;
        let (input, output) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut testpmd = Self { child, input, lines };
        testpmd.say("start")?;
        // Its first figures come when the capture is loaded and it forwards.
        let deadline = Instant::now() + WAIT;
        while testpmd.rx_packets()? == 0 {
            if Instant::now() > deadline {
                return Err("testpmd does not forward".into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(testpmd)
    }

    /// Types a command.
    fn say(&mut self, command: &str) -> Outcome<()> {
        writeln!(self.input, "{command}")?;
        Ok(self.input.flush()?)
    }

    /// Frames received so far.
    fn rx_packets(&mut self) -> Outcome<u64> {
        self.say("show port stats 0")?;
        loop {
            let line = self.lines.recv_timeout(WAIT).map_err(|_| "testpmd says nothing; are there hugepages?")?;
            if let Some((_, rest)) = line.split_once("RX-packets:") {
                return Ok(rest.split_whitespace().next().unwrap_or_default().parse()?);
            }
        }
    }

    /// Ends it.
    fn quit(mut self) -> Outcome<()> {
        self.say("quit")?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        // Ended already, if all went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
