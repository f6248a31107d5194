//! The worker loop allocates nothing and frees nothing, whatever arrives and whatever is published meanwhile.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{A, APEX, mixed_frames, name, put_address, snapshot};
use ringdns_dataplane::forward::{ForwardOptions, ForwardPath, ForwardPort, server_config as of_thread};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::memnic::MemNic;
use ringdns_dataplane::nic::Nic;
use ringdns_dataplane::replay::ReplayNic;
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, Handover, KeptAnswer, RecallConfig};
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::select::{Member, Mode, Selection, ViewTable};
use ringdns_engine::serve::{MessageConfig, MessageServer, Server, ServerConfig, Transport};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{UdpFrame, query, reply_message, server_config};
use ringdns_engine::verdict::Reason;

thread_local! {
    /// Calls of the allocator by this thread.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
struct CountingAllocator;

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Runs a worker in a thread of its own; returns it and its calls of the allocator.
fn run_counted<N>(mut worker: Worker<N>, stop: Arc<AtomicBool>) -> thread::JoinHandle<(Worker<N>, u64)>
where
    N: Nic + Send + 'static,
    N::Frame: Send,
{
    thread::spawn(move || {
        let before = CALLS.get();
        worker.run(&stop);
        let calls = CALLS.get() - before;
        (worker, calls)
    })
}

/// Answers with a response code.
fn answers(counters: &Counters, rcode: u16) -> u64 {
    counters.rcodes().find(|&(code, _)| code == rcode).unwrap().1
}

/// Waits until something is true, for a minute at most.
fn wait_until(mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "waited for a minute");
        thread::yield_now();
    }
}

#[test]
fn the_counter_counts() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new([0u8; 100])));
    assert_eq!(CALLS.get() - before, 2, "one allocation, one release");
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let mut publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let server = || {
        let mut config = server_config();
        config.edns.nsid = b"ns1".to_vec();
        config.edns.cookies = Some(CookieConfig {
            secret: CookieSecret([7; 16]),
            other_secret: Some(CookieSecret([8; 16])),
            enforce: false,
        });
        Server::new(&config)
    };
    // Beside a port that carries everything, one that sends two frames a call and one that sends none at all.
    let ports = [
        (ReplayNic::new(mixed_frames()), server()),
        (ReplayNic::new(mixed_frames()).transmitting(2), server()),
        (ReplayNic::new(mixed_frames()).transmitting(0), server()),
    ];
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    let stop = Arc::new(AtomicBool::new(false));
    let running = run_counted(worker, Arc::clone(&stop));

    let mut published = 0u8;
    while published < 200 || answers(&counters, 0) < 100_000 {
        let mut editor = Editor::new(publisher.current());
        put_address(&mut editor, "changing.example.org.", [10, 0, 0, published]);
        publisher.publish(editor.commit());
        published = published.saturating_add(1);
        // Every generation is seen before the next one comes.
        wait_until(|| publisher.reclaim() == 0);
    }
    stop.store(true, Ordering::Relaxed);
    let (worker, calls) = running.join().unwrap();

    assert_eq!(calls, 0, "the worker called the allocator");
    drop(worker);
    for (rcode, name) in [(0, "NOERROR"), (1, "FORMERR"), (3, "NXDOMAIN"), (5, "REFUSED")] {
        assert!(answers(&counters, rcode) > 1000, "{} answers with {name}", answers(&counters, rcode));
    }
    for reason in [Reason::FrameShort, Reason::FrameScattered, Reason::UdpChecksum, Reason::DnsShort, Reason::OtherPort]
    {
        assert!(counters.reason(reason) > 100, "{} frames under {}", counters.reason(reason), reason.name());
    }
    assert!(counters.reason(Reason::TxRefused) > 10_000, "the third port sends nothing");
    for cookies in [&counters.cookies_absent, &counters.cookies_invalid] {
        assert!(cookies.get() > 100, "{} cookies", cookies.get());
    }
    assert!(counters.tx_frames.get() > 50_000);
    assert!(counters.truncated.get() > 500, "{} answers truncated", counters.truncated.get());
}

#[test]
fn nothing_is_allocated_where_clients_are_limited() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default().with_census(true));
    let exempt = vec!["203.0.113.0/24".parse().unwrap()];
    let responses = RateLimit { responses_per_second: 500, nxdomains_per_second: 500, exempt, ..RateLimit::default() };
    let packets = RateLimit { packets_per_second: 20_000, ..responses.clone() };
    // Accounts for less than half of what is counted apart.
    let tight = RateLimit { table_entries: 8, ..responses.clone() };
    let ports = [responses, packets, tight].map(|limit| {
        let config = ServerConfig { rate_limit: Some(limit), ..server_config() };
        (ReplayNic::new(mixed_frames()), Server::new(&config))
    });
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    let stop = Arc::new(AtomicBool::new(false));
    let running = run_counted(worker, Arc::clone(&stop));
    wait_until(|| {
        counters.slipped.get() > 1000
            && counters.tx_frames.get() > 10_000
            && counters.reason(Reason::RateLimited) > 10_000
            && counters.reason(Reason::PacketLimited) > 10_000
    });
    stop.store(true, Ordering::Relaxed);
    let (_worker, calls) = running.join().unwrap();
    assert_eq!(calls, 0, "the worker called the allocator");
    let census = counters.census().unwrap();
    let timed: u64 = census.nanoseconds.buckets().map(|(_, answers)| answers).sum();
    assert_eq!(
        (census.answered(), timed),
        (counters.queries_ipv4.get() + counters.queries_ipv6.get(), census.answered())
    );
}

#[test]
fn nothing_is_allocated_for_messages_of_sockets() {
    let (snapshot, counters) = (snapshot_with_selections(), Counters::default().with_census(true));
    let server = server_config();
    let limit = RateLimit { responses_per_second: 50, packets_per_second: 1000, ..RateLimit::default() };
    let config = MessageConfig {
        udp_answer_bytes_max: server.udp_answer_bytes_max,
        hides_aaaa: server.hides_aaaa,
        edns: server.edns,
        chaos: server.chaos,
        rate_limit: Some(limit),
        recall: None,
    };
    let names = ["host7.example.org.", "selected3.example.org.", "missing.example.org.", "elsewhere."];
    let messages = names.map(|qname| query(qname, A));
    let mut buffer = vec![0; 65_535];
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut server = MessageServer::new(&config, transport);
        let before = CALLS.get();
        for turn in 0..10_000 {
            server.set_time(turn, 1);
            for message in &messages {
                buffer[..message.len()].copy_from_slice(message);
                // Some are over the limits.
                let _ = server.answer(([192, 0, 2, 1], 1024).into(), &mut buffer, message.len(), &snapshot, &counters);
            }
        }
        assert_eq!(CALLS.get() - before, 0, "{transport:?}");
    }
    assert!(answers(&counters, 0) > 1000 && counters.slipped.get() > 100, "{}", answers(&counters, 0));
    assert!(counters.reason(Reason::PacketLimited) > 1000 && counters.reason(Reason::RateLimited) > 100);
}

/// The snapshot with rules of every kind, and names that they are for.
fn snapshot_with_rules() -> Snapshot {
    let apex = name(APEX);
    let mut editor = Editor::new(&snapshot());
    for owner in ["ns.pod.example.org.", "ns.svc.example.org.", "void.ns.svc.example.org."] {
        editor.add_name(&apex, &name(owner)).unwrap();
    }
    put_address(&mut editor, "_p._tcp.s.ns.svc.example.org.", [10, 0, 0, 1]);
    let rdatas = vec![name("gone.example.org.").as_bytes().to_vec()];
    let alias = RrsetSpec { rtype: 5, ttl: 60, rdatas, ..RrsetSpec::default() };
    editor.put_rrset(&apex, &name("dangling.example.org."), &alias).unwrap();
    let rules = Rules {
        empty_depth_max: Some(2),
        soa_below_apex: true,
        pods: Some(PodRule { ttl: 5, ..PodRule::default() }),
        deep_pods: true,
        bare_ports: true,
        no_dangling_cname: true,
        cname_for_addresses_only: true,
        zone_case: true,
        search: Some(Search { host_suffixes: vec![name("corp.example.")], cname: true }),
        ..Rules::default()
    };
    editor.set_rules(&apex, &rules).unwrap();
    editor.commit()
}

#[test]
fn nothing_is_allocated_by_rules() {
    let (snapshot, counters) = (snapshot_with_rules(), Counters::default());
    let ServerConfig { udp_answer_bytes_max, edns, chaos, .. } = server_config();
    let config = MessageConfig { udp_answer_bytes_max, hides_aaaa: true, edns, chaos, rate_limit: None, recall: None };
    let messages = [
        ("10-0-0-1.ns.pod.example.org.", 0),
        ("x.fd--1.NS.pod.example.org.", 0),
        ("p.tcp.s.ns.svc.example.org.", 0),
        ("s.ns.svc.example.org.", 3),
        ("dangling.example.org.", 0),
        ("host7.ns.svc.example.org.", 0),
        ("Host7.example.org.ns.svc.example.org.", 0),
        ("www.elsewhere.ns.svc.example.org.", 3),
    ]
    .map(|(qname, rcode)| (query(qname, A), rcode));
    let mut server = MessageServer::new(&config, Transport::Udp);
    let mut buffer = vec![0; 4096];
    for (message, rcode) in &messages {
        let before = CALLS.get();
        for _ in 0..1000 {
            buffer[..message.len()].copy_from_slice(message);
            let client = ([192, 0, 2, 1], 1024).into();
            server.answer(client, &mut buffer, message.len(), &snapshot, &counters).unwrap();
        }
        assert_eq!(CALLS.get() - before, 0);
        assert_eq!(buffer[3] & 0xf, *rcode, "{message:?}");
    }
}

/// The snapshot with an RRset for each mode of selection, and one in a view that half of the clients are in.
fn snapshot_with_selections() -> Snapshot {
    let apex = name(APEX);
    let mut editor = Editor::new(&snapshot());
    let rdatas: Vec<Vec<u8>> = (0..20).map(|last| vec![192, 0, 2, last]).collect();
    for (number, mode) in Mode::ALL.into_iter().enumerate() {
        let members = (0..20).map(|weight| Member { weight, up: weight % 3 > 0 }).collect();
        let selection = Some(Box::new(Selection { mode, answers_max: 3, members }));
        for view in [0, 1] {
            let rrset = RrsetSpec {
                rtype: A,
                rdatas: rdatas.clone(),
                view,
                selection: selection.clone(),
                ..RrsetSpec::default()
            };
            editor.put_rrset(&apex, &name(&format!("selected{number}.{APEX}")), &rrset).unwrap();
        }
    }
    let prefixes = ["192.0.2.0/25", "2001:db8::/33", "2001:db8::/48"];
    editor.set_views(ViewTable::new(prefixes.map(|prefix| (prefix.parse().unwrap(), 1))));
    editor.commit()
}

#[test]
fn nothing_is_allocated_where_records_are_chosen() {
    let publisher = Publisher::new(snapshot_with_selections());
    let counters = Arc::new(Counters::default());
    let frames = (0..Mode::ALL.len()).flat_map(|number| {
        let qname = format!("selected{number}.{APEX}");
        let outside = UdpFrame {
            addresses: ("198.51.100.1".parse().unwrap(), "192.0.2.53".parse().unwrap()),
            ..UdpFrame::ipv4()
        };
        [UdpFrame::ipv4(), UdpFrame::ipv6(), outside].map(|path| path.build(&query(&qname, A)))
    });
    let ports = [(ReplayNic::new(frames.collect()), Server::new(&server_config()))];
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Busy);
    let stop = Arc::new(AtomicBool::new(false));
    let running = run_counted(worker, Arc::clone(&stop));
    wait_until(|| answers(&counters, 0) > 20_000);
    stop.store(true, Ordering::Relaxed);
    let (_worker, calls) = running.join().unwrap();
    assert_eq!(calls, 0, "the worker called the allocator");
    assert_eq!(answers(&counters, 0), counters.tx_frames.get(), "every query has an answer");
}

#[test]
fn nothing_is_allocated_while_idle() {
    let publisher = Publisher::new(snapshot());
    let counters = Arc::new(Counters::default());
    let (nic, mut wire) = MemNic::new(64);
    let ports = [(nic, Server::new(&server_config()))];
    let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Sleep);
    let stop = Arc::new(AtomicBool::new(false));
    let running = run_counted(worker, Arc::clone(&stop));
    let client = UdpFrame::ipv4();
    for _ in 0..200 {
        let polls = counters.polls.get();
        assert!(wire.send(&client.build(&query("host7.example.org.", A))));
        let mut reply = None;
        wait_until(|| {
            reply = reply.take().or_else(|| wire.receive());
            reply.is_some()
        });
        assert_eq!(reply_message(&reply.unwrap(), &client)[3] & 15, 0, "NOERROR");
        // Long enough to nap.
        wait_until(|| counters.polls.get() > polls + 300);
    }
    stop.store(true, Ordering::Relaxed);
    let (_worker, calls) = running.join().unwrap();
    assert_eq!(calls, 0, "the worker called the allocator");
    assert_eq!(answers(&counters, 0), 200);
}

/// Says at once that no name exists.
struct NoNames;

impl AskOthers for NoNames {
    fn ask(&self, _question: ForeignQuestion, done: Done) {
        done(Some(Arc::new(KeptAnswer::empty(3))));
    }
}

#[test]
fn handing_queries_over_and_sending_their_answers_allocates_nothing() {
    let publisher = Publisher::new(snapshot());
    let (desk, handover) = (CacheDesk::new(CACHE_BYTES_MIN), Handover::default());
    let recall = RecallConfig {
        shelf: Arc::clone(desk.shelf()),
        authoritative: false,
        stale_ttl_seconds: None,
        clients: None,
        is_handover: false,
    };
    let config = ServerConfig { recall: Some(recall), ..server_config() };
    let (port, mut lanes) = ForwardPort::new(Server::new(&of_thread(&config, handover.shelf())), None, 1);
    let (nic, mut wire) = MemNic::new(256);
    let ports = [WorkerPort { nic, server: Server::new(&config), kernel: None, forward: lanes.pop(), successor: None }];
    let mut worker = Worker::new(ports, publisher.reader(), Arc::default(), Idle::Busy);
    let options = ForwardOptions {
        handover,
        asker: Arc::new(NoNames),
        reader: publisher.reader(),
        counters: Arc::default(),
        time_max: Duration::from_secs(60),
    };
    let path = ForwardPath::start(vec![port], options).unwrap();
    let frame = UdpFrame::ipv4().build(&query("www.others.test.", A));
    let deadline = Instant::now() + Duration::from_secs(60);
    let before = CALLS.get();
    let mut answered = 0;
    while answered < 1000 {
        wire.send(&frame);
        worker.poll();
        answered += u32::from(wire.receive_with(|reply| assert_eq!(reply.last(), frame.last())).is_some());
        assert!(Instant::now() < deadline, "{answered} answers in a minute");
    }
    assert_eq!(CALLS.get() - before, 0);
    path.stop();
}
