//! Workers that sleep: what wakes them, and that they can be told from dead ones. The NICs are in memory, with a bell each.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{A, ipv4_query, snapshot};
use ringdns_dataplane::idle::{Idle, WAIT_MAX};
use ringdns_dataplane::kernel::{KernelPath, KernelPort};
use ringdns_dataplane::memnic::{MemFrame, MemNic, MemWire};
use ringdns_dataplane::nic::{Burst, Nic};
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::{Workers, available_cores};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::Server;
use ringdns_engine::testing::server_config;
use rustix::event::{EventfdFlags, eventfd};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A NIC in memory that tells of arrivals while it is armed, as a real one does.
struct BellNic {
    /// The queues.
    nic: MemNic,
    /// Changes at an arrival.
    bell: Arc<OwnedFd>,
    /// Whether it is to.
    armed: Arc<AtomicBool>,
    /// Times that it was armed.
    arms: Arc<AtomicU64>,
}

/// The other end of its wire.
struct BellWire {
    /// The queues.
    wire: MemWire,
    /// See [`BellNic`].
    bell: Arc<OwnedFd>,
    /// See [`BellNic`].
    armed: Arc<AtomicBool>,
    /// See [`BellNic`].
    arms: Arc<AtomicU64>,
}

impl Nic for BellNic {
    type Frame = MemFrame;

    fn arrivals(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn arm(&mut self) {
        self.armed.store(true, Ordering::SeqCst);
        self.arms.fetch_add(1, Ordering::Relaxed);
    }

    fn disarm(&mut self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    fn receive(&mut self, burst: &mut Burst<MemFrame>) {
        self.nic.receive(burst);
    }

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) {
        self.nic.transmit(burst);
    }

    fn release(&mut self, burst: &mut Burst<MemFrame>) {
        self.nic.release(burst);
    }
}

impl BellWire {
    /// Sends a frame, and rings where that is wanted.
    fn send(&mut self, frame: &[u8]) {
        assert!(self.wire.send(frame));
        if self.armed.swap(false, Ordering::SeqCst) {
            rustix::io::write(&self.bell, &1u64.to_ne_bytes()).unwrap();
        }
    }

    /// Waits for the reply.
    fn wait_for_reply(&mut self) {
        let start = Instant::now();
        while self.wire.receive().is_none() {
            assert!(start.elapsed() < LONG, "no reply");
            thread::yield_now();
        }
    }
}

/// A NIC and its wire.
fn nic() -> (BellNic, BellWire) {
    let (nic, wire) = MemNic::new(64);
    let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap());
    let (armed, arms) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let near = BellNic { nic, bell: Arc::clone(&bell), armed: Arc::clone(&armed), arms: Arc::clone(&arms) };
    (near, BellWire { wire, bell, armed, arms })
}

/// A running worker over two ports, their wires and the counters.
fn start(publisher: &Publisher, idle: Idle) -> (Workers<BellNic>, [BellWire; 2], Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let ((nic0, wire0), (nic1, wire1)) = (nic(), nic());
    let ports = [nic0, nic1].map(|nic| (nic, Server::new(&server_config())));
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), idle);
    assert!(worker.can_wait());
    let workers = Workers::start(vec![(available_cores()[0], worker)]).unwrap();
    (workers, [wire0, wire1], counters)
}

/// Waits until the worker has armed its ports a number of times more: it slept in between.
fn wait_for_sleep(wire: &BellWire, times: u64) {
    let (start, before) = (Instant::now(), wire.arms.load(Ordering::Relaxed));
    while wire.arms.load(Ordering::Relaxed) < before + times {
        assert!(start.elapsed() < LONG, "the worker does not sleep");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_frame_on_any_port_wakes_a_sleeping_worker() {
    let publisher = Publisher::new(snapshot());
    let (workers, mut wires, _) = start(&publisher, Idle::Sleep);
    let query = ipv4_query("host1.example.org.", A);
    for round in 0..20 {
        let wire = &mut wires[round % 2];
        wait_for_sleep(wire, 1);
        wire.send(&query);
        wire.wait_for_reply();
    }
    assert_eq!(workers.join().unwrap().len(), 1);
}

#[test]
fn frames_at_the_worst_moments_are_answered() {
    let publisher = Publisher::new(snapshot());
    let (workers, [mut wire, _], _) = start(&publisher, Idle::Sleep);
    let query = ipv4_query("host1.example.org.", A);
    let slept_before = wire.arms.load(Ordering::Relaxed);
    let start = Instant::now();
    // Whatever it is doing: polling, napping, arming, going to sleep, waking up.
    for round in 0..2_000u32 {
        for _ in 0..(round * 37) % 3_000 {
            core::hint::spin_loop();
        }
        wire.send(&query);
        wire.wait_for_reply();
        if round % 100 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(start.elapsed() < LONG);
    assert!(wire.arms.load(Ordering::Relaxed) > slept_before, "it never slept");
    workers.join().unwrap();
}

#[test]
fn a_sleeping_worker_polls_from_time_to_time_and_lets_go_of_old_records() {
    let mut publisher = Publisher::new(snapshot());
    let (workers, [wire, _], counters) = start(&publisher, Idle::Sleep);
    wait_for_sleep(&wire, 2);
    let polls = counters.polls.get();
    publisher.publish(snapshot());
    let start = Instant::now();
    while publisher.reclaim() > 0 {
        assert!(start.elapsed() < LONG, "an idle worker holds an old generation");
        thread::sleep(WAIT_MAX / 10);
    }
    wait_for_sleep(&wire, 1);
    assert!(counters.polls.get() > polls);
    workers.join().unwrap();
}

#[test]
fn others_wake_it_and_stopping_does() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let (nic, wire) = nic();
    let worker =
        Worker::new([(nic, Server::new(&server_config()))], publisher.reader(), Arc::clone(&counters), Idle::Sleep);
    let waker = worker.waker().clone();
    let workers = Workers::start(vec![(available_cores()[0], worker)]).unwrap();
    wait_for_sleep(&wire, 1);
    let start = Instant::now();
    while !waker.wake() {
        assert!(start.elapsed() < LONG, "it never sleeps");
        thread::sleep(Duration::from_millis(1));
    }
    wait_for_sleep(&wire, 1);
    workers.join().unwrap();
}

#[test]
fn a_worker_that_polls_for_ever_arms_nothing() {
    let publisher = Publisher::new(snapshot());
    for idle in [Idle::Busy, Idle::Pause] {
        let (workers, [mut wire, _], counters) = start(&publisher, idle);
        let start = Instant::now();
        while counters.polls.get() < 10_000 {
            assert!(start.elapsed() < LONG);
            thread::sleep(Duration::from_millis(1));
        }
        wire.send(&ipv4_query("host1.example.org.", A));
        wire.wait_for_reply();
        workers.join().unwrap();
        assert_eq!(wire.arms.load(Ordering::Relaxed), 0, "{idle}");
    }
}

#[test]
fn frames_of_the_kernel_wake_a_sleeping_worker() {
    let publisher = Publisher::new(snapshot());
    let (nic, mut wire) = nic();
    let (kernel_nic, mut kernel) = MemNic::new(64);
    let (mut port, mut lanes) = KernelPort::new(kernel_nic, 1);
    let server = Server::new(&server_config());
    let ports = [WorkerPort { nic, server, kernel: lanes.pop(), forward: None, successor: None }];
    let worker = Worker::new(ports, publisher.reader(), Arc::default(), Idle::Sleep);
    let workers = Workers::start(vec![(available_cores()[0], worker)]).unwrap();
    // Without a call it would sleep to the end of its wait every time; with one, some round must be shorter.
    let mut shortest = LONG;
    for _ in 0..20 {
        wait_for_sleep(&wire, 1);
        let start = Instant::now();
        assert!(kernel.send(b"a frame of the kernel"));
        assert_eq!(port.serve(), 1);
        wire.wait_for_reply();
        shortest = shortest.min(start.elapsed());
    }
    assert!(shortest < WAIT_MAX / 2, "nobody woke it: {shortest:?}");
    workers.join().unwrap();
}

#[test]
fn frames_of_both_sides_wake_the_thread_of_the_kernel_path() {
    let (mut worker_nic, _) = MemNic::new(64);
    let (kernel_nic, mut kernel) = nic();
    let (port, mut lanes) = KernelPort::new(kernel_nic, 1);
    let mut lane = lanes.pop().unwrap();
    let path = KernelPath::start(vec![port]).unwrap();
    // Without a call it would sleep to the end of its wait every time; with one, some round must be shorter.
    let (mut shortest_up, mut shortest_down) = (LONG, LONG);
    for _ in 0..10 {
        wait_for_sleep(&kernel, 1);
        let start = Instant::now();
        let mut frame = MemFrame::default();
        frame.fill(&[7; 60]);
        let mut burst = Burst::new();
        burst.push(frame);
        lane.pass_up(&mut burst);
        kernel.wait_for_reply();
        shortest_up = shortest_up.min(start.elapsed());
        wait_for_sleep(&kernel, 1);
        let start = Instant::now();
        kernel.send(&[8; 60]);
        while burst.is_empty() {
            lane.take_down(&mut burst);
            assert!(start.elapsed() < LONG, "no frame of the kernel");
        }
        worker_nic.release(&mut burst);
        shortest_down = shortest_down.min(start.elapsed());
    }
    path.stop();
    assert!(shortest_up < WAIT_MAX / 2 && shortest_down < WAIT_MAX / 2, "{shortest_up:?} up, {shortest_down:?} down");
}
