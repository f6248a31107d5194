//! The kernel path on NICs in memory: what goes up, what comes down, and what a flood costs.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use common::{A, ipv4_query, snapshot};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::kernel::lane::KERNEL_FRAMES_A_POLL;
use ringdns_dataplane::kernel::{KernelPath, KernelPort};
use ringdns_dataplane::limits::{KERNEL_REST_FRAMES, KERNEL_SESSION_FRAMES, KERNEL_WIRE_FRAMES};
use ringdns_dataplane::memnic::{MemFrame, MemNic, MemWire};
use ringdns_dataplane::nic::{Burst, Nic};
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::testing::{UdpFrame, query, server_config};
use ringdns_engine::verdict::Reason;

/// Longest that a thread may take for some frames.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A worker with one port and a kernel path, and both of their other ends.
struct House {
    /// The worker.
    worker: Worker<MemNic>,
    /// What it counts.
    counters: Arc<Counters>,
    /// The other end of its port.
    wire: MemWire,
    /// Between the worker and the kernel.
    port: KernelPort<MemNic>,
    /// The kernel's end.
    kernel: MemWire,
}

/// NICs whose queues hold so many frames.
fn house(queue_frames: usize) -> House {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let (nic, wire) = MemNic::new(queue_frames);
    let (kernel_nic, kernel) = MemNic::new(queue_frames);
    let (port, mut lanes) = KernelPort::new(kernel_nic, 1);
    let server = Server::new(&ServerConfig { answer_local: false, ..server_config() });
    let ports = [WorkerPort { nic, server, kernel: lanes.pop(), forward: None, successor: None }];
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Sleep);
    House { worker, counters, wire, port, kernel }
}

/// A datagram to another port.
fn datagram(number: u16) -> Vec<u8> {
    UdpFrame { ports: (number, 54), ..UdpFrame::ipv4() }.build(b"no DNS")
}

/// The same packet with another protocol.
fn with_protocol(protocol: u8) -> Vec<u8> {
    let mut frame = datagram(40000);
    let before = std::mem::replace(&mut frame[23], protocol);
    // RFC 1624: the header's checksum changes by what the protocol does.
    let sum = u16::from_be_bytes([frame[24], frame[25]]);
    let sum = sum.wrapping_add(u16::from(before)).wrapping_sub(u16::from(protocol));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Everything that one end has received.
fn received(wire: &mut MemWire) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| wire.receive()).collect()
}

#[test]
fn what_is_not_dns_reaches_the_kernel_unchanged_and_in_order() {
    let mut house = house(64);
    let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[1; 20]].concat();
    let lldp = [&[1, 0x80, 0xc2, 0, 0, 0xe][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xcc], &[7; 50]].concat();
    let tagged = [&arp[..12], &[0x81, 0, 0, 77], &arp[12..]].concat();
    let sessions = [arp, lldp, tagged, with_protocol(6), with_protocol(1)];
    let rest = [datagram(1024), datagram(1025)];
    for frame in [&rest[0], &sessions[0], &sessions[1], &rest[1], &sessions[2], &sessions[3], &sessions[4]] {
        assert!(house.wire.send(frame));
    }
    assert!(house.wire.send(&ipv4_query("host1.example.org.", A)));
    assert_eq!(house.worker.poll(), 8);
    assert_eq!(house.port.serve(), 7);
    let expected: Vec<Vec<u8>> = sessions.into_iter().chain(rest).collect();
    assert_eq!(received(&mut house.kernel), expected, "sessions first, each ring in order");
    assert_eq!(received(&mut house.wire).len(), 1, "the query is answered");
    assert_eq!(house.counters.kernel_frames.get(), 7);
    assert_eq!(house.port.counters().to_kernel_frames.get(), 7);
    assert_eq!(house.port.counters().to_kernel_bytes.get(), expected.iter().map(|frame| frame.len() as u64).sum());
}

#[test]
fn the_kernel_answers_what_the_data_plane_answers_without_it() {
    let mut house = house(64);
    let arp_request = [
        &[0xff; 6][..],
        &[2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &[2, 0, 0, 0, 0, 9],
        &[192, 0, 2, 7],
        &[0; 6],
    ];
    let served = match server_config().addresses[0] {
        std::net::IpAddr::V4(address) => address.octets(),
        std::net::IpAddr::V6(_) => unreachable!("the first address of the tests is IPv4"),
    };
    assert!(house.wire.send(&[&arp_request.concat()[..], &served].concat()));
    house.worker.poll();
    house.port.serve();
    assert_eq!(received(&mut house.kernel).len(), 1);
    assert_eq!((received(&mut house.wire).len(), house.counters.arp_replies.get()), (0, 0));
}

#[test]
fn a_flood_fills_its_own_ring_only_and_is_counted() {
    let mut house = house(KERNEL_REST_FRAMES * 8);
    let flood = KERNEL_REST_FRAMES * 4;
    for number in 0..flood {
        assert!(house.wire.send(&datagram(u16::try_from(number + 1024).unwrap())));
    }
    for _ in 0..20 {
        assert!(house.wire.send(&with_protocol(6)));
        assert!(house.wire.send(&ipv4_query("host1.example.org.", A)));
    }
    // The kernel's thread does not run at all.
    while house.worker.poll() != 0 {}
    assert_eq!(received(&mut house.wire).len(), 20, "each query is answered");
    let lost = (flood - KERNEL_REST_FRAMES) as u64;
    assert_eq!(house.counters.reason(Reason::KernelFull), lost);
    assert_eq!(house.counters.kernel_frames.get(), (KERNEL_REST_FRAMES + 20) as u64);
    while house.port.serve() != 0 {}
    let frames = received(&mut house.kernel);
    assert_eq!(frames.iter().filter(|frame| frame[23] == 6).count(), 20, "each session's frame arrives");
    assert_eq!(frames.len(), KERNEL_REST_FRAMES + 20);
}

#[test]
fn sessions_are_bounded_too() {
    let mut house = house(KERNEL_SESSION_FRAMES * 2);
    for _ in 0..KERNEL_SESSION_FRAMES + 100 {
        assert!(house.wire.send(&with_protocol(6)));
    }
    while house.worker.poll() != 0 {}
    assert_eq!(house.counters.reason(Reason::KernelFull), 100);
}

#[test]
fn the_kernel_has_its_share_of_the_wire_and_no_more() {
    let mut house = house(KERNEL_WIRE_FRAMES * 2);
    let frames = 4 * KERNEL_FRAMES_A_POLL;
    for number in 0..frames {
        assert!(house.kernel.send(&[u8::try_from(number % 250).unwrap(); 60]));
    }
    while house.port.serve() != 0 {}
    for _ in 0..4 {
        assert!(house.wire.send(&ipv4_query("host1.example.org.", A)));
        house.worker.poll();
    }
    let sent = received(&mut house.wire);
    assert_eq!(sent.len(), 4 + frames);
    let first = KERNEL_FRAMES_A_POLL + 1;
    assert!(sent[0].len() > 60 && sent[first].len() > 60, "a reply first, then a share of the kernel's frames");
    let down: Vec<u8> = sent.iter().filter(|frame| frame.len() == 60).map(|frame| frame[0]).collect();
    assert_eq!(down, (0..frames).map(|number| u8::try_from(number % 250).unwrap()).collect::<Vec<_>>());
    // What finds no room on the way down is counted.
    for _ in 0..KERNEL_WIRE_FRAMES + 7 {
        assert!(house.kernel.send(&[1; 60]));
    }
    while house.port.serve() != 0 {}
    assert_eq!(house.port.counters().from_kernel_refused.get(), 7);
    assert_eq!(house.port.counters().from_kernel_frames.get(), (frames + KERNEL_WIRE_FRAMES + 7) as u64);
}

#[test]
fn what_the_interface_refuses_is_counted() {
    let mut house = house(16);
    for number in 0..3 {
        for port in 0..16 {
            assert!(house.wire.send(&datagram(1024 + number * 16 + port)));
        }
        house.worker.poll();
        house.port.serve();
    }
    let counters = house.port.counters();
    assert_eq!((counters.to_kernel_frames.get(), counters.to_kernel_refused.get()), (16, 32));
}

#[test]
fn the_thread_serves_until_it_is_told_to_stop() {
    let House { mut worker, mut wire, port, mut kernel, .. } = house(64);
    let path = KernelPath::start(vec![port]).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.run(&stop));
        let deadline = Instant::now() + TIME_MAX;
        for round in 0..50u8 {
            assert!(wire.send(&with_protocol(6)));
            assert!(kernel.send(&[round; 60]));
            let (mut up, mut down) = (None, None);
            while up.is_none() || down.is_none() {
                up = up.or_else(|| kernel.receive());
                down = down.or_else(|| wire.receive());
                assert!(Instant::now() < deadline, "round {round}: {up:?} {down:?}");
                thread::sleep(Duration::from_micros(100));
            }
            assert_eq!(down, Some(vec![round; 60]));
            if round == 25 {
                // Long enough for the longest naps.
                thread::sleep(Duration::from_millis(50));
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(path.is_running());
    path.stop();
    // A query is no frame for the kernel.
    assert!(wire.send(&UdpFrame::ipv4().build(&query("host1.example.org.", A))));
    worker.poll();
    assert!(wire.receive().is_some());
}

/// An interface that takes frames up to a length only, and stops at the first that is longer.
struct ShortNic(MemNic);

/// The longest frame that it takes.
const SHORT_BYTES: usize = 100;

impl Nic for ShortNic {
    type Frame = MemFrame;

    fn receive(&mut self, burst: &mut Burst<MemFrame>) {
        self.0.receive(burst);
    }

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) {
        let taken = burst.iter().take_while(|frame| frame.frame().len() <= SHORT_BYTES).count();
        let mut front: Burst<MemFrame> = burst.drain(..taken).collect();
        self.0.transmit(&mut front);
        self.0.release(&mut front);
    }

    fn release(&mut self, burst: &mut Burst<MemFrame>) {
        self.0.release(burst);
    }
}

#[test]
fn a_frame_that_is_refused_for_ever_does_not_take_others_along() {
    let (nic, mut kernel) = MemNic::new(64);
    let (mut port, mut lanes) = KernelPort::new(ShortNic(nic), 1);
    let mut lane = lanes.pop().unwrap();
    let mut burst = Burst::new();
    for length in [60, SHORT_BYTES + 1, 61, SHORT_BYTES + 1, 62] {
        let mut frame = MemFrame::default();
        frame.fill(&vec![7; length]);
        burst.push(frame);
    }
    lane.pass_up(&mut burst);
    assert_eq!(port.serve(), 5);
    let lengths: Vec<usize> = received(&mut kernel).iter().map(Vec::len).collect();
    assert_eq!(lengths, [60, 61, 62]);
    assert_eq!((port.counters().to_kernel_frames.get(), port.counters().to_kernel_refused.get()), (3, 2));
}
