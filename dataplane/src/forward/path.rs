//! The forwarder's thread of the data plane: between the workers' rings and whoever asks others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use ringdns_engine::cache::CacheShelf;
use ringdns_engine::counters::{Counter, Counters};
use ringdns_engine::frame::FrameBuffer as _;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::publish::Reader;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::recall::{AskOthers, ForeignQuestion, Handover, KeptAnswer};
use ringdns_engine::rtype::rcode;
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::verdict::{Reason, Verdict};

use super::lane::FORWARD_FRAMES_A_POLL;
use super::parcel::{ANSWER_FRAME_BYTES, Parcel};
use super::waiting::{Ticket, Waiting, WaitingRoom};
use super::{ForwardLane, Rings, rings};
use crate::exchange;
use crate::idle::WAIT_MAX;
use crate::limits::FORWARD_WAITING_MAX;
use crate::sleep::{Sleeper, Waker};
use crate::worker::{milliseconds_since, now};

/// Rounds with nothing to do after which the thread naps.
const IDLE_ROUNDS_MAX: u32 = 4;

/// Naps after which it waits to be woken: under load naps gather what comes, and spare the workers the call that wakes it.
const NAPS_MAX: u32 = 16;

/// A nap. The rings hold what arrives meanwhile at two million queries a second.
const NAP: Duration = Duration::from_micros(50);

/// How often one query may have others asked: an alias of ours may lead elsewhere by the time that its target is known.
const ASKED_MAX: u32 = 3;

/// How often it is looked who has waited for too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// What the thread counts.
#[derive(Debug, Default)]
pub struct ForwardCounters {
    /// What was sent; written by the thread alone.
    pub served: Counters,
    /// Queries that others were asked for.
    pub asked: Counter,
    /// Queries that were answered with what they said.
    pub answered: Counter,
    /// Queries that are to get no answer.
    pub unanswered: Counter,
    /// Queries that were answered with SERVFAIL because nothing had come of them in time.
    pub timed_out: Counter,
    /// Clients that wait.
    pub waiting: AtomicU64,
}

impl ForwardCounters {
    /// Counts what is sent by these.
    pub fn new(served: Counters) -> Self {
        Self { served, ..Self::default() }
    }

    /// Queries for which nothing was sent: they were to get no answer, or found no room, or their answer did not.
    pub fn lost(&self) -> u64 {
        self.unanswered.get() + self.served.reason(Reason::ForwardFull)
    }
}

/// A port whose workers hand queries over.
pub struct ForwardPort {
    /// Serves the queries, and what came of them.
    server: Server,
    /// Where a server comes from that is to take this one's place.
    successor: Option<exchange::Receiver<Server>>,
    /// Where the time starts that the server is told.
    start: Instant,
    /// Rings by queue pair.
    lanes: Vec<Rings>,
}

impl ForwardPort {
    /// For so many queue pairs of a port, with a server by [`server_config`]; with the workers' ends, in their order.
    pub fn new(
        server: Server,
        successor: Option<exchange::Receiver<Server>>,
        queues: usize,
    ) -> (Self, Vec<ForwardLane>) {
        let (ends, lanes) = (0..queues).map(|_| rings()).unzip();
        (Self { server, successor, start: Instant::now(), lanes }, ends)
    }
}

/// What the thread's server of a port serves, whose workers serve `config`: answers from the shelf of a [`Handover`].
///
/// Packets have been counted by the workers. Responses have not: those are all of the port that the thread sends, and it keeps
/// accounts of its own of them, at the whole rate. So a client may get up to twice the rate, of what is kept and of what is waited
/// for. To share accounts, workers and this thread would write the same memory for each answer, and wait for each other's lines; to
/// share the rate, a client that asks for one kind alone would get half of what it was promised. What the limit is for holds: what
/// a forged address can be sent is bounded, by a number that is known.
pub fn server_config(config: &ServerConfig, shelf: &Arc<CacheShelf>) -> ServerConfig {
    let limit =
        |limit: &RateLimit| RateLimit { packets_per_second: 0, workers: std::num::NonZeroU32::MIN, ..limit.clone() };
    ServerConfig {
        recall: config.recall.as_ref().map(|recall| recall.on_shelf(shelf)),
        rate_limit: config.rate_limit.as_ref().map(limit),
        ..config.clone()
    }
}

/// What the thread works with.
pub struct ForwardOptions {
    /// Whose shelf the servers look at.
    pub handover: Handover,
    /// Who asks others.
    pub asker: Arc<dyn AskOthers>,
    /// The published records.
    pub reader: Reader<Snapshot>,
    /// What is counted.
    pub counters: Arc<ForwardCounters>,
    /// After so long a query is answered with SERVFAIL; longer than the asker's own deadline.
    pub time_max: Duration,
}

/// What came of a question.
type Outcome = (Ticket, Option<Arc<KeptAnswer>>);

/// Where whoever asks others leaves what came of it.
struct Desk {
    /// What came.
    outcomes: ArrayQueue<Outcome>,
    /// Wakes the thread.
    waker: Waker,
}

/// The thread's working state.
struct Work {
    /// Serves queries and answers.
    ports: Vec<ForwardPort>,
    /// See [`ForwardOptions`].
    options: ForwardOptions,
    /// Who waits.
    room: WaitingRoom,
    /// Where outcomes come.
    desk: Arc<Desk>,
    /// The frame at hand.
    frame: Parcel,
    /// What a query's first look counts, which the worker has counted already.
    uncounted: Counters,
    /// When it is looked next who has waited for too long.
    sweep_at: Instant,
}

/// The running thread, which serves all ports. It ends when this is dropped.
pub struct ForwardPath {
    /// Read by the thread between rounds.
    stop: Arc<AtomicBool>,
    /// Ends its sleep.
    waker: Waker,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl ForwardPath {
    /// Starts the thread. It inherits the CPU affinity of the caller, which is to keep off the workers' cores.
    ///
    /// # Errors
    /// Where the thread cannot be made.
    pub fn start(ports: Vec<ForwardPort>, options: ForwardOptions) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, waker) = (Arc::clone(&stop), Waker::new());
        // A ticket has one outcome; those of tickets that have expired may come late.
        let outcomes = ArrayQueue::new(2 * FORWARD_WAITING_MAX);
        let desk = Arc::new(Desk { outcomes, waker: waker.clone() });
        let mut work = Work {
            ports,
            options,
            room: WaitingRoom::new(FORWARD_WAITING_MAX),
            desk,
            frame: Parcel::new(ANSWER_FRAME_BYTES),
            uncounted: Counters::default(),
            sweep_at: Instant::now(),
        };
        for rings in work.ports.iter().flat_map(|port| &port.lanes) {
            // A lane has one thread for life.
            let _ = rings.bells.thread.set(waker.clone());
        }
        let thread = thread::Builder::new().name("ringdns-forward".to_owned()).spawn(move || work.run(&told))?;
        Ok(Self { stop, waker, thread: Some(thread) })
    }

    /// False once the thread has ended by itself.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends the thread; to be called when the workers have ended. Who waits gets nothing more.
    pub fn stop(mut self) {
        self.end();
    }

    /// See [`ForwardPath::stop`].
    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            drop(thread.join());
        }
    }
}

impl Drop for ForwardPath {
    fn drop(&mut self) {
        self.end();
    }
}

impl Work {
    /// Serves until it is told to stop.
    fn run(&mut self, stop: &AtomicBool) {
        let sleeper = Sleeper::new(&self.desk.waker, std::iter::empty());
        let (mut idle_rounds, mut naps) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            if self.round() != 0 {
                (idle_rounds, naps) = (0, 0);
            } else if idle_rounds < IDLE_ROUNDS_MAX {
                idle_rounds += 1;
                // Others of this core may be who brings the next answer.
                thread::yield_now();
            } else if naps < NAPS_MAX {
                naps += 1;
                thread::sleep(NAP);
            } else if let Some(sleeper) = &sleeper {
                sleeper.announce();
                // What came before that is seen by this round; what comes after it ends the wait.
                let woken = self.round() != 0 || stop.load(Ordering::Relaxed) || sleeper.wait(WAIT_MAX);
                sleeper.retract();
                if woken {
                    idle_rounds = 0;
                }
            } else {
                thread::sleep(NAP);
            }
        }
    }

    /// Takes some queries of each ring, and what has come of others; gives how many there were.
    fn round(&mut self) -> usize {
        // NOTE: also where nothing came, so that no old generation is kept alive.
        self.options.reader.pin();
        let seconds = now();
        for port in &mut self.ports {
            if let Some(successor) = &port.successor {
                successor.swap(&mut port.server);
            }
            port.server.set_now(seconds);
            if port.server.needs_time() {
                port.server.set_time(milliseconds_since(port.start));
            }
        }
        let mut done = 0;
        for port in 0..self.ports.len() {
            for lane in 0..self.ports.get(port).map_or(0, |port| port.lanes.len()) {
                done += self.take_queries(port, lane);
            }
        }
        while let Some((ticket, answer)) = self.desk.outcomes.pop() {
            self.finish(ticket, answer.as_deref(), seconds);
            done += 1;
        }
        let now = Instant::now();
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_INTERVAL;
            for ticket in self.room.expired(now) {
                self.options.counters.timed_out.add(1);
                self.finish(ticket, Some(&KeptAnswer::empty(rcode::SERVFAIL)), seconds);
            }
        }
        self.give_all();
        self.options.counters.waiting.store(self.room.len() as u64, Ordering::Relaxed);
        done
    }

    /// Takes a burst of queries of one ring.
    fn take_queries(&mut self, port: usize, lane: usize) -> usize {
        let mut taken = 0;
        let now = Instant::now();
        while taken < BURST_FRAMES_MAX {
            let Some(rings) = self.ports.get_mut(port).and_then(|port| port.lanes.get_mut(lane)) else { break };
            if rings.up.look() == 0 {
                break;
            }
            let is_whole = rings.up.next().is_some_and(|query| self.frame.take(query));
            taken += 1;
            if is_whole {
                self.take_query(port, lane, now);
            }
        }
        if taken != 0
            && let Some(rings) = self.ports.get(port).and_then(|port| port.lanes.get(lane))
        {
            rings.up.free();
        }
        taken
    }

    /// Has others asked for the query whose frame is at hand, and which was taken at a time.
    fn take_query(&mut self, port: usize, lane: usize, now: Instant) {
        let Some(Asked { verdict, question }) = self.serve(port) else { return };
        match (verdict, question) {
            (Verdict::Forward, Some(question)) => {
                // A query that others are asked for is as it came.
                let query = Box::from(self.frame.frame());
                let deadline = now + self.options.time_max;
                self.ask(Waiting { frame: query, port, lane, question, asked: 1, deadline });
            }
            // What was unknown to the worker is known now.
            (Verdict::Reply, _) => self.send(port, lane),
            _ => {}
        }
    }

    /// Has others asked.
    fn ask(&mut self, waiting: Waiting) {
        let question = waiting.question.clone();
        let Some(ticket) = self.room.admit(waiting) else {
            self.options.counters.served.count(Reason::ForwardFull);
            return;
        };
        self.options.counters.asked.add(1);
        let desk = Arc::clone(&self.desk);
        self.options.asker.ask(
            question,
            Box::new(move |answer| {
                // One that finds no room comes so late that nobody waits for it.
                let _ = desk.outcomes.push((ticket, answer));
                desk.waker.wake();
            }),
        );
    }

    /// Answers a query with what came of it.
    fn finish(&mut self, ticket: Ticket, answer: Option<&KeptAnswer>, seconds: u32) {
        let Some(waiting) = self.room.dismiss(ticket) else { return };
        let Some(answer) = answer else {
            self.options.counters.unanswered.add(1);
            return;
        };
        let (port, lane) = (waiting.port, waiting.lane);
        self.frame.fill(&waiting.frame);
        let Some(Asked { verdict, question }) = self.serve_given(port, &waiting.question, answer, seconds) else {
            return;
        };
        match (verdict, question) {
            (Verdict::Reply, _) => {
                self.options.counters.answered.add(1);
                if let Some(census) = self.options.counters.served.census() {
                    let left = waiting.deadline.saturating_duration_since(Instant::now());
                    census.note_time(self.options.time_max.saturating_sub(left), 1);
                }
                self.send(port, lane);
            }
            // NOTE: the deadline stays.
            (Verdict::Forward, Some(question)) if waiting.asked < ASKED_MAX => {
                self.ask(Waiting { question, asked: waiting.asked + 1, ..waiting });
            }
            _ => self.options.counters.unanswered.add(1),
        }
    }

    /// Serves the frame at hand while an answer is on the shelf.
    fn serve_given(
        &mut self,
        port: usize,
        question: &ForeignQuestion,
        answer: &KeptAnswer,
        seconds: u32,
    ) -> Option<Asked> {
        let Self { ports, options, frame, .. } = self;
        let ForwardOptions { handover, reader, counters, .. } = options;
        let (snapshot, server) = (reader.pin(), &mut ports.get_mut(port)?.server);
        let serve = || serve(server, frame, snapshot, &counters.served);
        Some(handover.give(snapshot, question, answer, seconds, serve))
    }

    /// Serves the frame at hand, as its worker has done already.
    fn serve(&mut self, port: usize) -> Option<Asked> {
        let Self { ports, options, frame, uncounted, .. } = self;
        Some(serve(&mut ports.get_mut(port)?.server, frame, options.reader.pin(), uncounted))
    }

    /// Gives the frame at hand to a worker, to be sent.
    fn send(&mut self, port: usize, lane: usize) {
        let Some(rings) = self.ports.get_mut(port).and_then(|port| port.lanes.get_mut(lane)) else { return };
        if !rings.down.put(self.frame.frame()) {
            self.options.counters.served.count(Reason::ForwardFull);
        }
        if rings.down.held() >= FORWARD_FRAMES_A_POLL {
            rings.give();
        }
    }

    /// Gives the workers what was not given yet.
    fn give_all(&mut self) {
        for rings in self.ports.iter_mut().flat_map(|port| &mut port.lanes) {
            if rings.down.held() != 0 {
                rings.give();
            }
        }
    }
}

impl Rings {
    /// Gives the worker the answers that were put.
    fn give(&mut self) {
        self.down.give();
        // After that, so that a worker that goes to sleep sees either the answers or the call.
        self.bells.worker.get().map(Waker::wake);
    }
}

/// What serving a frame came to.
struct Asked {
    /// What becomes of it.
    verdict: Verdict,
    /// What others are to be asked for it.
    question: Option<ForeignQuestion>,
}

/// Serves a frame.
fn serve(server: &mut Server, frame: &mut Parcel, snapshot: &Snapshot, counters: &Counters) -> Asked {
    let mut verdicts = [Verdict::Drop(Reason::FrameShort); BURST_FRAMES_MAX];
    server.serve_burst(std::slice::from_mut(frame), &mut verdicts, snapshot, counters);
    let [verdict, ..] = verdicts;
    let question = if verdict == Verdict::Forward { server.foreign_question(frame) } else { None };
    Asked { verdict, question }
}
