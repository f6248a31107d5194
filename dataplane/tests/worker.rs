//! The worker loop on NICs in memory: what becomes of each frame, how it is counted, how threads start and end.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use common::{A, ipv4_query, malformed_frames, mixed_frames, put_address, snapshot};
use ringdns_dataplane::exchange::exchange;
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::memnic::{MemFrame, MemNic, MemWire};
use ringdns_dataplane::nic::{Burst, Nic};
use ringdns_dataplane::replay::ReplayNic;
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::{StartError, Workers, available_cores};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::snapshot::edit::Editor;
use ringdns_engine::testing::{UdpFrame, query, query_options, reply_message, server_config};
use ringdns_engine::verdict::Reason;

/// A worker with one port in memory.
fn worker_and_wire(publisher: &Publisher, queue_frames: usize) -> (Worker<MemNic>, MemWire, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let (nic, wire) = MemNic::new(queue_frames);
    let ports = [(nic, Server::new(&server_config()))];
    (Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Sleep), wire, counters)
}

/// The counters that are not zero.
fn nonzero(counters: &Counters) -> BTreeMap<&'static str, u64> {
    let reasons = Reason::ALL.iter().map(|&reason| (reason.name(), counters.reason(reason)));
    counters.plain().map(|(name, _, value)| (name, value)).chain(reasons).filter(|(_, value)| *value != 0).collect()
}

#[test]
fn every_frame_is_counted_once() {
    let publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, counters) = worker_and_wire(&publisher, 16);
    let hit = ipv4_query("host1.example.org.", A);
    let other_port = UdpFrame { ports: (40000, 54), ..UdpFrame::ipv4() }.build(&query("host1.example.org.", A));
    let sent = [&hit[..], &hit[..20], &other_port, &hit];
    for frame in sent {
        assert!(wire.send(frame));
    }
    assert_eq!(worker.poll(), 4);
    assert_eq!(worker.poll(), 0);
    let replies = [wire.receive().unwrap(), wire.receive().unwrap()];
    assert_eq!(wire.receive(), None);
    let bytes = |frames: &[&[u8]]| frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
    let expected = [
        ("bursts", 1),
        ("frame_short", 1),
        ("other_port", 1),
        ("polls", 2),
        ("queries_ipv4", 2),
        ("rx_bytes", bytes(&sent)),
        ("rx_frames", 4),
        ("tx_bytes", bytes(&[&replies[0], &replies[1]])),
        ("tx_frames", 2),
    ];
    assert_eq!(nonzero(&counters), BTreeMap::from(expected));
}

#[test]
fn replies_keep_the_order_of_queries() {
    let publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, _) = worker_and_wire(&publisher, 128);
    let client = UdpFrame::ipv4();
    for id in 0..60u8 {
        let mut message = query("host1.example.org.", A);
        message[1] = id;
        assert!(wire.send(&client.build(&message)));
        if id % 3 == 0 {
            assert!(wire.send(b"too short"));
        }
    }
    while worker.poll() != 0 {}
    for id in 0..60u8 {
        let reply = wire.receive().unwrap();
        assert_eq!(reply_message(&reply, &client)[1], id);
    }
}

#[test]
fn a_full_transmit_queue_costs_replies_and_nothing_else() {
    let publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, counters) = worker_and_wire(&publisher, 8);
    let hit = ipv4_query("host2.example.org.", A);
    // Twenty rounds of eight, while nobody takes the replies: eight find room.
    for _ in 0..20 {
        for _ in 0..8 {
            assert!(wire.send(&hit), "no buffer is lost");
        }
        worker.poll();
    }
    assert_eq!(counters.tx_frames.get(), 8);
    assert_eq!(counters.reason(Reason::TxRefused), 20 * 8 - 8);
    assert_eq!(counters.tx_bytes.get(), (0..8).map(|_| wire.receive().unwrap().len() as u64).sum::<u64>());
    assert!(wire.send(&hit));
    worker.poll();
    assert!(wire.receive().is_some(), "once there is room, replies flow again");
}

#[test]
fn a_slow_transmit_queue_is_offered_the_rest() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    // A burst of 64 at 4 a call takes all 16 tries.
    let nic = ReplayNic::new(vec![ipv4_query("host3.example.org.", A)]).limited(640).transmitting(4);
    let ports = [(nic, Server::new(&server_config()))];
    let mut worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    while worker.poll() != 0 {}
    assert_eq!((counters.tx_frames.get(), counters.reason(Reason::TxRefused)), (640, 0));
    assert_eq!(worker.into_nics().next().unwrap().sent(), 640);
}

#[test]
fn the_next_burst_sees_a_publication() {
    let mut publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, counters) = worker_and_wire(&publisher, 8);
    let client = UdpFrame::ipv4();
    let ask = client.build(&query("new.example.org.", A));
    for address in 1..50u8 {
        let mut editor = Editor::new(publisher.current());
        put_address(&mut editor, "new.example.org.", [10, 0, 0, address]);
        publisher.publish(editor.commit());
        assert!(wire.send(&ask));
        worker.poll();
        let reply = wire.receive().unwrap();
        assert_eq!(reply_message(&reply, &client).last(), Some(&address));
        assert_eq!(publisher.reclaim(), 0, "the worker lets go of the old generation");
    }
    assert_eq!(counters.queries_ipv4.get(), 49);
}

#[test]
fn cookies_are_of_the_time_of_day() {
    let publisher = Publisher::new(snapshot());
    let mut config = server_config();
    config.edns.cookies = Some(CookieConfig { secret: CookieSecret([7; 16]), other_secret: None, enforce: false });
    let (nic, mut wire) = MemNic::new(64);
    let ports = [(nic, Server::new(&config))];
    let mut worker = Worker::new(ports, publisher.reader(), Arc::default(), Idle::Sleep);
    let client = UdpFrame::ipv4();
    let seconds = || u32::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let before = seconds();
    assert!(wire.send(&client.build(&query_options("host1.example.org.", A, 1232, &[(10, &[1; 8])]))));
    assert_eq!(worker.poll(), 1);
    let reply = wire.receive().unwrap();
    // The answer ends in the cookie: time in four bytes, hash in eight.
    let time = reply_message(&reply, &client)
        .iter()
        .rev()
        .skip(8)
        .take(4)
        .rev()
        .fold(0, |time, &byte| time << 8 | u32::from(byte));
    assert!((before..=seconds()).contains(&time), "{time} is not now");
}

#[test]
fn limited_clients_are_told_apart_by_time() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let (nic, mut wire) = MemNic::new(64);
    let limit = RateLimit { responses_per_second: 10, slip: 0, window_seconds: 0, ..RateLimit::default() };
    let server = Server::new(&ServerConfig { rate_limit: Some(limit), ..server_config() });
    let mut worker = Worker::new([(nic, server)], publisher.reader(), Arc::clone(&counters), Idle::Busy);
    let hit = ipv4_query("host1.example.org.", A);
    let mut ask = |worker: &mut Worker<MemNic>| {
        assert!(wire.send(&hit));
        worker.poll();
        wire.receive().is_some()
    };
    let start = Instant::now();
    let mut answered = 0;
    while start.elapsed() < Duration::from_millis(500) {
        answered += u64::from(ask(&mut worker));
    }
    // Ten at once, and one every tenth of a second, how many there may have been.
    let tenths = u64::try_from(start.elapsed().as_millis() / 100).unwrap();
    assert!(answered > 10 && answered <= 10 + tenths + 1, "{answered} answers in {:?}", start.elapsed());
    assert_eq!(counters.reason(Reason::RateLimited) + answered, counters.rx_frames.get());
}

#[test]
fn an_idle_worker_holds_no_old_generation() {
    let mut publisher = Publisher::new(snapshot());
    let (mut worker, _wire, _) = worker_and_wire(&publisher, 8);
    publisher.publish(snapshot());
    assert_eq!(publisher.reclaim(), 1);
    worker.poll();
    assert_eq!(publisher.reclaim(), 0);
}

#[test]
fn a_stopped_worker_answers_what_has_arrived() {
    let publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, _) = worker_and_wire(&publisher, 200);
    let hit = ipv4_query("host4.example.org.", A);
    for _ in 0..200 {
        assert!(wire.send(&hit));
    }
    worker.run(&AtomicBool::new(true));
    assert_eq!((0..).take_while(|_| wire.receive().is_some()).count(), 200);
}

#[test]
fn a_flood_does_not_keep_a_worker_from_ending() {
    let publisher = Publisher::new(snapshot());
    let ports = [(ReplayNic::new(mixed_frames()), Server::new(&server_config()))];
    let mut worker = Worker::new(ports, publisher.reader(), Arc::default(), Idle::Busy);
    worker.run(&AtomicBool::new(true));
    assert_eq!(worker.counters().polls.get(), 64);
}

#[test]
fn valid_queries_among_malformed_ones_are_answered() {
    let publisher = Publisher::new(snapshot());
    let (mut worker, mut wire, counters) = worker_and_wire(&publisher, 64);
    let client = UdpFrame::ipv4();
    let mut valid_answers = 0;
    for frame in malformed_frames() {
        let mut message = query("host5.example.org.", A);
        message[..2].copy_from_slice(b"ok");
        assert!(wire.send(&frame));
        assert!(wire.send(&client.build(&message)));
        worker.poll();
        while let Some(reply) = wire.receive() {
            let is_ours = reply.windows(2).nth(42) == Some(b"ok");
            if is_ours && reply_message(&reply, &client)[3] & 15 == 0 {
                valid_answers += 1;
            }
        }
    }
    assert_eq!(valid_answers, malformed_frames().len());
    assert_eq!(counters.rx_frames.get(), 2 * malformed_frames().len() as u64);
}

#[test]
fn threads_are_pinned_named_and_joined() {
    let publisher = Publisher::new(snapshot());
    let core = *available_cores().last().unwrap();
    let (worker, mut wire, counters) = worker_and_wire(&publisher, 8);
    let workers = Workers::start(vec![(core, worker)]).unwrap();
    assert!(workers.all_running());
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of_worker = |path: &std::path::PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        status.contains("ringdns-w0") && status.contains(&format!("Cpus_allowed_list:\t{core}\n"))
    };
    assert!(tasks.into_iter().any(|path| of_worker(&path)));
    assert!(wire.send(&ipv4_query("host6.example.org.", A)));
    let deadline = Instant::now() + Duration::from_secs(30);
    while counters.tx_frames.get() == 0 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    let ended = workers.join().unwrap();
    assert_eq!(ended.len(), 1);
    assert!(wire.receive().is_some());
}

#[test]
fn cores_that_cannot_be_had_are_named() {
    let publisher = Publisher::new(snapshot());
    let worker = || worker_and_wire(&publisher, 1).0;
    let start = |cores: &[usize]| Workers::start(cores.iter().map(|&core| (core, worker())).collect());
    assert!(matches!(start(&[1000]).err(), Some(StartError::NoSuchCore(1000))));
    assert!(matches!(start(&[100_000]).err(), Some(StartError::NoSuchCore(100_000))));
    let core = available_cores()[0];
    assert!(matches!(start(&[core, core]).err(), Some(StartError::CoreTwice(_))));
    let error = start(&[1000]).err().unwrap().to_string();
    assert!(error.contains("[workers] cores"), "{error}");
}

/// A NIC whose driver has a bug.
struct PanickingNic;

impl Nic for PanickingNic {
    type Frame = MemFrame;

    fn receive(&mut self, _: &mut Burst<MemFrame>) {
        panic!("a bug");
    }

    fn transmit(&mut self, _: &mut Burst<MemFrame>) {}

    fn release(&mut self, _: &mut Burst<MemFrame>) {}
}

#[test]
fn a_panic_is_reported() {
    let publisher = Publisher::new(snapshot());
    let ports = [(PanickingNic, Server::new(&server_config()))];
    let worker = Worker::new(ports, publisher.reader(), Arc::default(), Idle::Busy);
    let workers = Workers::start(vec![(available_cores()[0], worker)]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while workers.all_running() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    let panic = workers.join().err().unwrap();
    assert_eq!((&panic.thread[..], &panic.message[..]), ("ringdns-w0", "a bug"));
}

#[test]
fn a_worker_takes_a_new_configuration_between_bursts() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let (nic, mut wire) = MemNic::new(16);
    let (sender, successor) = exchange();
    let port = WorkerPort {
        nic,
        server: Server::new(&server_config()),
        kernel: None,
        forward: None,
        successor: Some(successor),
    };
    let mut worker = Worker::new([port], publisher.reader(), counters, Idle::Sleep);
    let hit = ipv4_query("host1.example.org.", A);
    let mut answered = |worker: &mut Worker<MemNic>| {
        assert!(wire.send(&hit));
        worker.poll();
        wire.receive().is_some()
    };
    assert!(answered(&mut worker));
    sender.send(Server::new(&ServerConfig { dns_port: 5353, ..server_config() }));
    assert!(!answered(&mut worker), "another port is served now");
    let limit = RateLimit { packets_per_second: 1, ..RateLimit::default() };
    sender.send(Server::new(&ServerConfig { rate_limit: Some(limit), ..server_config() }));
    assert!(answered(&mut worker));
    assert!((0..8).any(|_| !answered(&mut worker)), "the limit holds from now on");
    assert!(sender.settle(), "what was replaced is given back");
}
