//! The poll loop: receive a burst, have the engine answer it, send the replies, give the rest back.
//!
//! ```text
//!            +-> replies -> transmit, a few tries -> refused: counted, given back
//! receive -> serve_burst -> punts   -> the kernel path's ring; full, or none: counted, given back
//!            +-> drops   -> given back
//!            +-> forwards -> the forwarder's ring; full, or none: counted; given back
//! the forwarder's ring, the kernel path's ring -> transmit
//! ```
//!
//! Nothing here allocates, locks, logs or panics, and no packet costs a system call; `tests/allocations.rs` counts.
//! Where clients are limited the clock is read once a burst: 26 ns on our machine, without entering the kernel (vDSO).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::publish::Reader;
use ringdns_engine::serve::Server;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::verdict::{Reason, Verdict};

use crate::exchange;
use crate::forward::ForwardLane;
use crate::idle::{Idle, IdleWatch, NAP, Rest, WAIT_MAX};
use crate::kernel::KernelLane;
use crate::nic::{Burst, Nic};
use crate::sleep::{Sleeper, Waker};

/// Times that the rest of a burst is offered to a full transmit queue. A device that sends at all frees places within
/// some microseconds; one that does not must not hold up what arrives meanwhile.
pub const TRANSMIT_TRIES_MAX: usize = 16;

/// Polls of all ports that a worker makes at most after it was told to stop: 64 bursts of 64 frames are more than a
/// receive queue holds ([`crate::limits::RX_DESCRIPTORS_MAX`]), so a flood cannot keep a worker from ending.
pub const STOP_POLLS_MAX: usize = 64;

const _: () = assert!(STOP_POLLS_MAX * BURST_FRAMES_MAX >= crate::limits::RX_DESCRIPTORS_MAX);

/// One port as a worker is given it.
pub struct WorkerPort<N: Nic> {
    /// A queue pair: where frames come from and replies go to.
    pub nic: N,
    /// The engine's state for the port's addresses.
    pub server: Server,
    /// The way to the kernel; none: frames that are for the kernel are dropped.
    pub kernel: Option<KernelLane<N::Frame>>,
    /// The way to the forwarder; none: queries for names of others of which the cache knows nothing are dropped.
    pub forward: Option<ForwardLane>,
    /// Where a server comes from that is to take this one's place; none: it stays.
    pub successor: Option<exchange::Receiver<Server>>,
}

impl<N: Nic> From<(N, Server)> for WorkerPort<N> {
    /// A port without a way to the kernel, whose server stays.
    fn from((nic, server): (N, Server)) -> Self {
        Self { nic, server, kernel: None, forward: None, successor: None }
    }
}

/// One port as its worker sees it.
struct Lane<N: Nic> {
    /// See [`WorkerPort`].
    kernel: Option<KernelLane<N::Frame>>,
    /// See [`WorkerPort`].
    forward: Option<ForwardLane>,
    /// See [`WorkerPort`].
    nic: N,
    /// See [`WorkerPort`].
    server: Server,
    /// See [`WorkerPort`].
    successor: Option<exchange::Receiver<Server>>,
    /// Where the time starts that the server is told; none: it needs none.
    start: Option<Instant>,
}

/// One worker: its queue pair of every port, its view of the records, its counters.
pub struct Worker<N: Nic> {
    /// The ports, in the order of the configuration.
    lanes: Vec<Lane<N>>,
    /// The published records.
    reader: Reader<Snapshot>,
    /// Written by this worker alone.
    counters: Arc<Counters>,
    /// What to do while nothing arrives.
    idle: Idle,
    /// How others end its sleep.
    waker: Waker,
    /// The frames of one poll, by what becomes of them.
    bursts: Bursts<N::Frame>,
}

impl<N: Nic> Worker<N> {
    /// A worker for one queue pair of each port.
    pub fn new(
        ports: impl IntoIterator<Item = impl Into<WorkerPort<N>>>,
        reader: Reader<Snapshot>,
        counters: Arc<Counters>,
        idle: Idle,
    ) -> Self {
        let waker = Waker::new();
        let lane = |WorkerPort { nic, server, kernel, forward, successor }: WorkerPort<N>| {
            let start = server.needs_time().then(Instant::now);
            if let Some(kernel) = &kernel {
                kernel.wake_by(&waker);
            }
            if let Some(forward) = &forward {
                forward.wake_by(&waker);
            }
            Lane { kernel, forward, nic, server, successor, start }
        };
        let lanes = ports.into_iter().map(Into::into).map(lane).collect();
        Self { lanes, reader, counters, idle, waker, bursts: Bursts::default() }
    }

    /// What wakes this worker where it sleeps.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// True where all its queues tell of arrivals, so that it can sleep until there are some.
    pub fn can_wait(&self) -> bool {
        self.lanes.iter().all(|lane| lane.nic.arrivals().is_some())
    }

    /// Polls until it is told to stop, then answers what has arrived already, and returns.
    pub fn run(&mut self, stop: &AtomicBool) {
        for lane in &mut self.lanes {
            lane.nic.attach();
        }
        let sleeper = match self.idle {
            Idle::Sleep => Sleeper::new(&self.waker, self.lanes.iter().map(|lane| lane.nic.arrivals())),
            Idle::Busy | Idle::Pause => None,
        };
        let mut idle = IdleWatch::new(self.idle);
        while !stop.load(Ordering::Relaxed) {
            let frames = self.poll();
            match (idle.polled(frames), &sleeper) {
                (Rest::Poll, _) => {}
                (Rest::Wait, Some(sleeper)) => {
                    if self.wait(sleeper, stop) {
                        idle.woken();
                    }
                }
                (Rest::Nap | Rest::Wait, _) => thread::sleep(NAP),
            }
        }
        for _ in 0..STOP_POLLS_MAX {
            if self.poll() == 0 {
                return;
            }
        }
    }

    /// Sleeps until something arrives, a waker calls, or [`WAIT_MAX`] is over; false in the last case.
    fn wait(&mut self, sleeper: &Sleeper, stop: &AtomicBool) -> bool {
        for lane in &mut self.lanes {
            lane.nic.arm();
        }
        sleeper.announce();
        // What came before all that was announced is seen by this poll; what comes after it ends the wait.
        let woken = self.poll() != 0 || stop.load(Ordering::Relaxed) || sleeper.wait(WAIT_MAX);
        sleeper.retract();
        for lane in &mut self.lanes {
            lane.nic.disarm();
        }
        woken
    }

    /// Takes one burst from every port; returns the number of frames. Never waits.
    #[inline]
    pub fn poll(&mut self) -> usize {
        let mut frames = 0;
        for lane in &mut self.lanes {
            frames += lane.poll(&mut self.bursts, &mut self.reader, &self.counters);
        }
        frames
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The ports' queue pairs, once the worker has ended.
    pub fn into_nics(self) -> impl Iterator<Item = N> {
        self.lanes.into_iter().map(|lane| lane.nic)
    }
}

impl<N: Nic> Lane<N> {
    /// Takes one burst from the port and deals with it; returns the number of frames.
    fn poll(&mut self, bursts: &mut Bursts<N::Frame>, reader: &mut Reader<Snapshot>, counters: &Counters) -> usize {
        self.nic.receive(&mut bursts.received);
        counters.polls.add(1);
        // NOTE: after the receive, so that a query sent after a publication was acknowledged sees it; and also where
        // nothing arrived, so that an idle worker keeps no old generation alive.
        let snapshot = reader.pin();
        if let Some(successor) = &self.successor
            && successor.swap(&mut self.server)
        {
            self.start = self.server.needs_time().then(Instant::now);
        }
        let frames = bursts.received.len();
        if frames == 0 {
            return self.send_for_others(bursts, counters);
        }
        counters.bursts.add(1);
        counters.rx_frames.add(count(&bursts.received));
        counters.rx_bytes.add(bytes(&bursts.received));
        if self.server.wants_now() || counters.names().is_some() {
            self.server.set_now(now());
        }
        if let Some(start) = self.start {
            self.server.set_time(milliseconds_since(start));
        }
        // Two more readings, where somebody asks how long it takes.
        let begun = counters.census().map(|census| (census, census.answered(), Instant::now()));
        self.server.serve_burst(&mut bursts.received, &mut bursts.verdicts, snapshot, counters);
        bursts.sort();
        self.transmit(&mut bursts.replies, counters);
        if let Some((census, before, begun)) = begun {
            census.note_time(begun.elapsed(), census.answered().wrapping_sub(before));
        }
        if let Some(kernel) = &mut self.kernel
            && !bursts.punts.is_empty()
        {
            let punts = count(&bursts.punts);
            kernel.pass_up(&mut bursts.punts);
            let refused = count(&bursts.punts);
            counters.kernel_frames.add(punts.wrapping_sub(refused));
            counters.count_many(Reason::KernelFull, refused);
        }
        if !bursts.forwards.is_empty() {
            let taken = self.forward.as_mut().map_or(0, |forward| forward.pass_up(&bursts.forwards));
            counters.count_many(Reason::ForwardFull, count(&bursts.forwards).wrapping_sub(taken as u64));
            self.nic.release(&mut bursts.forwards);
        }
        self.nic.release(&mut bursts.punts);
        self.nic.release(&mut bursts.drops);
        frames + self.send_for_others(bursts, counters)
    }

    /// Sends some answers of others, then some frames of the kernel; returns their number.
    #[inline]
    fn send_for_others(&mut self, bursts: &mut Bursts<N::Frame>, counters: &Counters) -> usize {
        let mut frames = 0;
        if let Some(forward) = &mut self.forward {
            let lost = forward.take_down(&mut self.nic, &mut bursts.replies);
            frames = bursts.replies.len();
            if frames + lost != 0 {
                counters.count_many(Reason::TxRefused, lost as u64);
                self.transmit(&mut bursts.replies, counters);
            }
        }
        frames + self.send_for_kernel(bursts, counters)
    }

    /// Sends some frames of the kernel; returns their number.
    #[inline]
    fn send_for_kernel(&mut self, bursts: &mut Bursts<N::Frame>, counters: &Counters) -> usize {
        let Some(kernel) = &mut self.kernel else { return 0 };
        kernel.take_down(&mut bursts.replies);
        let frames = bursts.replies.len();
        if frames != 0 {
            self.transmit(&mut bursts.replies, counters);
        }
        frames
    }

    /// Sends the replies; what the queue goes on refusing is counted and given back.
    fn transmit(&mut self, replies: &mut Burst<N::Frame>, counters: &Counters) {
        let (offered_frames, offered_bytes) = (count(replies), bytes(replies));
        for _ in 0..TRANSMIT_TRIES_MAX {
            if replies.is_empty() {
                break;
            }
            self.nic.transmit(replies);
            if !replies.is_empty() {
                core::hint::spin_loop();
            }
        }
        let (refused_frames, refused_bytes) = (count(replies), bytes(replies));
        counters.tx_frames.add(offered_frames.wrapping_sub(refused_frames));
        counters.tx_bytes.add(offered_bytes.wrapping_sub(refused_bytes));
        if refused_frames != 0 {
            counters.count_many(Reason::TxRefused, refused_frames);
            self.nic.release(replies);
        }
    }
}

/// The frames of one poll. All are empty between polls.
struct Bursts<Frame> {
    /// As they came.
    received: Burst<Frame>,
    /// What the engine says of each.
    verdicts: [Verdict; BURST_FRAMES_MAX],
    /// To be sent.
    replies: Burst<Frame>,
    /// For the kernel.
    punts: Burst<Frame>,
    /// For the forwarder.
    forwards: Burst<Frame>,
    /// For nobody.
    drops: Burst<Frame>,
}

impl<Frame> Default for Bursts<Frame> {
    fn default() -> Self {
        Self {
            received: Burst::new(),
            verdicts: [Verdict::Reply; BURST_FRAMES_MAX],
            replies: Burst::new(),
            punts: Burst::new(),
            forwards: Burst::new(),
            drops: Burst::new(),
        }
    }
}

impl<Frame> Bursts<Frame> {
    /// Takes the received frames apart by their verdicts.
    fn sort(&mut self) {
        for (frame, verdict) in self.received.drain(..).zip(&self.verdicts) {
            let burst = match verdict {
                Verdict::Reply => &mut self.replies,
                Verdict::Punt(_) => &mut self.punts,
                Verdict::Forward => &mut self.forwards,
                Verdict::Drop(_) => &mut self.drops,
            };
            // Each is as large as `received` and was empty: there is room. A frame that found none would free itself.
            drop(burst.try_push(frame));
        }
    }
}

/// Seconds since 1970, for cookies and the cache. Asked for once a burst, of the kernel's clock page: no system call.
pub(crate) fn now() -> u32 {
    // Cookies reckon in 32 bits that wrap (RFC 9018 section 4.3). A clock before 1970 makes cookies of 1970.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

/// Whole milliseconds that have passed.
pub(crate) fn milliseconds_since(start: Instant) -> u64 {
    let passed = start.elapsed();
    passed.as_secs() * 1000 + u64::from(passed.subsec_millis())
}

/// The number of frames, as counters take it.
fn count<Frame>(burst: &Burst<Frame>) -> u64 {
    burst.len() as u64
}

/// The bytes of all frames.
fn bytes<Frame: FrameBuffer>(burst: &Burst<Frame>) -> u64 {
    burst.iter().map(|frame| frame.frame().len() as u64).sum()
}
