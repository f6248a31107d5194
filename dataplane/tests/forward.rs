//! The way to the forwarder on NICs in memory: what others are asked, how their answers come back, and that nobody waits for them.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{A, ipv4_query, snapshot};
use ringdns_dataplane::forward::lane::FORWARD_FRAMES_A_POLL;
use ringdns_dataplane::forward::{
    ForwardCounters, ForwardOptions, ForwardPath, ForwardPort, server_config as of_thread,
};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::limits::{FORWARD_UP_FRAMES, FORWARD_WAITING_MAX};
use ringdns_dataplane::memnic::{MemNic, MemWire};
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, Handover, KeptAnswer, RecallConfig};
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::testing::{UdpFrame, query, query_edns, reply_message, server_config};
use ringdns_engine::verdict::Reason;

/// Longest that a thread may take for something.
const TIME_MAX: Duration = Duration::from_secs(20);

/// What the double does with a question.
type Answers = Box<dyn Fn(&ForeignQuestion, Done) + Send + Sync>;

/// Who asks others, in these tests.
struct Double {
    /// What was asked.
    asked: Mutex<Vec<ForeignQuestion>>,
    /// What it does with it.
    answers: Answers,
}

impl AskOthers for Double {
    fn ask(&self, question: ForeignQuestion, done: Done) {
        self.asked.lock().unwrap().push(question.clone());
        (self.answers)(&question, done);
    }
}

/// One address with a TTL, as it is kept.
fn address(last: u8, ttl_seconds: u32) -> KeptAnswer {
    let mut body = vec![0xc0, 12, 0, 1, 0, 1];
    body.extend(ttl_seconds.to_be_bytes());
    body.extend([0, 4, 198, 51, 100, last]);
    KeptAnswer { counts: [1, 0], body, ttl_places: vec![6], ttl_seconds, ..KeptAnswer::default() }
}

/// A worker with one port in memory, and the thread that has others asked for it.
struct House {
    /// The worker.
    worker: Worker<MemNic>,
    /// What it counts.
    counters: Arc<Counters>,
    /// The other end of its port.
    wire: MemWire,
    /// The thread.
    path: Option<ForwardPath>,
    /// What that counts.
    forwarded: Arc<ForwardCounters>,
    /// Who is asked.
    double: Arc<Double>,
}

impl House {
    /// With somebody who asks others, whose time is so long at most.
    fn new(time_max: Duration, answers: impl Fn(&ForeignQuestion, Done) + Send + Sync + 'static) -> Self {
        let publisher = Publisher::new(snapshot());
        let (counters, forwarded) = (Arc::new(Counters::default()), Arc::new(ForwardCounters::default()));
        let double = Arc::new(Double { asked: Mutex::default(), answers: Box::new(answers) });
        let (nic, wire) = MemNic::new(1024);
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
        let forward = lanes.pop();
        let ports = [WorkerPort { nic, server: Server::new(&config), kernel: None, forward, successor: None }];
        let worker = Worker::new(ports, publisher.reader(), Arc::clone(&counters), Idle::Sleep);
        let asker: Arc<dyn AskOthers> = double.clone();
        let (reader, counted) = (publisher.reader(), Arc::clone(&forwarded));
        let options = ForwardOptions { handover, asker, reader, counters: counted, time_max };
        let path = Some(ForwardPath::start(vec![port], options).unwrap());
        Self { worker, counters, wire, path, forwarded, double }
    }

    /// Polls until the worker has sent a frame.
    fn reply(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            self.worker.poll();
            if let Some(reply) = self.wire.receive() {
                return reply;
            }
            assert!(Instant::now() < deadline, "no reply: {:?}", self.double.asked.lock().unwrap());
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Waits until something is true.
    fn wait_until(&mut self, mut is_true: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + TIME_MAX;
        while !is_true(self) {
            assert!(Instant::now() < deadline, "waited for too long");
            self.worker.poll();
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Response code, and the records' bytes.
fn told(message: &[u8], asked: &[u8]) -> (u8, Vec<u8>) {
    (message[3] & 15, message[asked.len()..].to_vec())
}

#[test]
fn what_others_say_comes_back_to_each_client() {
    let mut house = House::new(TIME_MAX, |question, done| {
        let last = question.name.as_bytes()[1] - b'a';
        // A TTL of 0 is for those who wait.
        thread::spawn(move || done(Some(Arc::new(address(last, 0)))));
    });
    for (path, last) in [(UdpFrame::ipv4(), 3u8), (UdpFrame::ipv6(), 4)] {
        let letter = char::from(b'a' + last);
        let message = query(&format!("{letter}.others.test."), A);
        assert!(house.wire.send(&path.build(&message)));
        let reply = house.reply();
        let answer = reply_message(&reply, &path);
        assert_eq!(answer[2..4], [0x81, 0x80], "QR, RD, RA");
        let (rcode, records) = told(answer, &message);
        assert_eq!(
            (rcode, &records[..]),
            (0, &[&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 198, 51, 100, last][..]].concat()[..])
        );
    }
    let asked = house.double.asked.lock().unwrap().clone();
    let clients: Vec<String> = asked.iter().map(|question| question.client.to_string()).collect();
    assert_eq!(clients, [UdpFrame::ipv4(), UdpFrame::ipv6()].map(|path| path.addresses.0.to_string()));
    assert_eq!((house.counters.forwarded.get(), house.forwarded.answered.get()), (2, 2));
    let sent: u64 = house.forwarded.served.rcodes().map(|(_, answers)| answers).sum();
    assert_eq!(sent, 2, "each answer is counted once");
}

#[test]
fn options_of_the_query_are_answered_and_long_answers_are_cut() {
    let mut house = House::new(TIME_MAX, |_, done| {
        let one = address(1, 300);
        let body: Vec<u8> = (0..100).flat_map(|_| one.body.clone()).collect();
        let ttl_places = (0..100).map(|number| 6 + 16 * number).collect();
        done(Some(Arc::new(KeptAnswer { counts: [100, 0], body, ttl_places, ..one })));
    });
    let path = UdpFrame::ipv4();
    for (message, is_cut) in [(query("a.others.test.", A), true), (query_edns("a.others.test.", A, 1232, true), true)] {
        assert!(house.wire.send(&path.build(&message)));
        let reply = house.reply();
        let answer = reply_message(&reply, &path);
        assert_eq!((answer[2] & 2 != 0, answer.len()), (is_cut, message.len()), "{answer:?}");
        assert_eq!(answer[11], message[11], "an OPT record where there was one");
    }
}

#[test]
fn an_answer_that_never_comes_is_servfail_and_one_that_is_not_to_be_sent_is_not() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    let mut house = House::new(Duration::from_millis(200), move |question, done| {
        if question.name.as_bytes().starts_with(b"\x06silent") { done(None) } else { keeper.lock().unwrap().push(done) }
    });
    assert!(house.wire.send(&ipv4_query("silent.test.", A)));
    assert!(house.wire.send(&ipv4_query("never.test.", A)));
    let reply = house.reply();
    assert_eq!(reply_message(&reply, &UdpFrame::ipv4())[3] & 15, 2);
    house.wait_until(|house| house.forwarded.unanswered.get() == 1);
    assert_eq!((house.forwarded.timed_out.get(), house.forwarded.waiting.load(Ordering::Relaxed)), (1, 0));
    // What comes after all is for nobody.
    for done in kept.lock().unwrap().drain(..) {
        done(Some(Arc::new(address(1, 60))));
    }
    thread::sleep(Duration::from_millis(20));
    house.worker.poll();
    assert_eq!(house.wire.receive(), None);
}

#[test]
fn a_dead_forwarder_holds_up_neither_zones_nor_itself() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    let mut house = House::new(Duration::from_secs(3600), move |_, done| keeper.lock().unwrap().push(done));
    let (unknown, ours) = (ipv4_query("a.others.test.", A), ipv4_query("host1.example.org.", A));
    let (mut answered, deadline) = (0, Instant::now() + TIME_MAX);
    // More than may wait, and more than the ring holds.
    let enough = (FORWARD_WAITING_MAX + 2 * FORWARD_UP_FRAMES) as u64;
    while house.counters.forwarded.get() < enough || house.forwarded.served.reason(Reason::ForwardFull) == 0 {
        for _ in 0..60 {
            assert!(house.wire.send(&unknown));
        }
        assert!(house.wire.send(&ours));
        house.worker.poll();
        answered += u64::from(house.wire.receive().is_some());
        assert!(Instant::now() < deadline, "{answered} {}", house.forwarded.asked.get());
    }
    assert_eq!(house.counters.rcodes().next(), Some((0, answered)), "each query for a zone is answered at once");
    house.wait_until(|house| house.forwarded.waiting.load(Ordering::Relaxed) == FORWARD_WAITING_MAX as u64);
    assert_eq!(house.forwarded.asked.get(), FORWARD_WAITING_MAX as u64);
    // With the thread gone, the ring fills and no more is taken.
    house.path.take().unwrap().stop();
    let before = house.counters.reason(Reason::ForwardFull);
    for _ in 0..FORWARD_UP_FRAMES + 10 {
        assert!(house.wire.send(&unknown));
        house.worker.poll();
    }
    assert!(house.counters.reason(Reason::ForwardFull) >= before + 10);
    drop(kept);
}

#[test]
fn answers_have_their_share_of_the_wire_and_no_more() {
    let kept = Arc::new(Mutex::new(Vec::<Done>::new()));
    let keeper = Arc::clone(&kept);
    let mut house = House::new(TIME_MAX, move |_, done| keeper.lock().unwrap().push(done));
    let wanted = 3 * FORWARD_FRAMES_A_POLL;
    for _ in 0..wanted {
        assert!(house.wire.send(&ipv4_query("a.others.test.", A)));
    }
    house.wait_until(|house| house.forwarded.waiting.load(Ordering::Relaxed) == wanted as u64);
    for done in kept.lock().unwrap().drain(..) {
        done(Some(Arc::new(address(9, 60))));
    }
    let deadline = Instant::now() + TIME_MAX;
    while house.forwarded.answered.get() < wanted as u64 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_micros(100));
    }
    for round in 0..3 {
        assert!(house.wire.send(&ipv4_query("host1.example.org.", A)));
        house.worker.poll();
        let sent = std::iter::from_fn(|| house.wire.receive()).count();
        assert_eq!(sent, 1 + FORWARD_FRAMES_A_POLL, "round {round}");
    }
    assert_eq!(house.worker.poll(), 0);
}

#[test]
fn a_sleeping_worker_is_woken_by_answers() {
    let House { mut worker, mut wire, path, .. } = House::new(TIME_MAX, |_, done| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            done(Some(Arc::new(address(1, 60))));
        });
    });
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| worker.run(&stop));
        let deadline = Instant::now() + TIME_MAX;
        for _ in 0..3 {
            assert!(wire.send(&ipv4_query("a.others.test.", A)));
            while wire.receive().is_none() {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(1));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(path.as_ref().unwrap().is_running());
}
