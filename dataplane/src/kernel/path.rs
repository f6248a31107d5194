//! The kernel path's thread: between the workers' rings and the interfaces of the kernel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringdns_engine::counters::Counter;
use ringdns_engine::frame::FrameBuffer;

use super::class::flow;
use super::{KernelLane, Rings};
use crate::idle::WAIT_MAX;
use crate::nic::{Burst, Nic};
use crate::sleep::{Sleeper, Waker};

/// Rounds without a frame after which the thread naps.
const IDLE_ROUNDS_MAX: u32 = 64;

/// Naps after which it waits for the first frame of either side: 20 ms without a frame, with the kernel's timer slack.
const SHORT_NAPS_MAX: u32 = 200;

/// A nap while sessions are busy. The rings hold what arrives meanwhile at 5 million frames a second.
const SHORT_NAP: Duration = Duration::from_micros(50);

/// A nap instead of waiting, where the interface does not tell of frames: some 3,000 wake-ups a second.
const LONG_NAP: Duration = Duration::from_micros(250);

/// Times that the rest of a burst is offered to the kernel's interface, each time without its first frame.
const TRANSMIT_TRIES_MAX: usize = 4;

/// What the thread counts of one port.
#[derive(Debug, Default)]
pub struct KernelCounters {
    /// Frames that the kernel took.
    pub to_kernel_frames: Counter,
    /// Their bytes.
    pub to_kernel_bytes: Counter,
    /// Frames that the kernel's interface refused: it is down, or its queue is full.
    pub to_kernel_refused: Counter,
    /// Frames that the kernel sent.
    pub from_kernel_frames: Counter,
    /// Their bytes.
    pub from_kernel_bytes: Counter,
    /// Frames of the kernel that found the workers' rings full.
    pub from_kernel_refused: Counter,
}

/// A port's interface in the kernel, and the rings to the workers that serve the port.
pub struct KernelPort<N: Nic> {
    /// The interface: what is transmitted here is what the kernel receives.
    nic: N,
    /// Rings by queue pair.
    lanes: Vec<Arc<Rings<N::Frame>>>,
    /// Written by the thread alone.
    counters: Arc<KernelCounters>,
    /// Working memory, empty between calls.
    burst: Burst<N::Frame>,
}

impl<N: Nic> KernelPort<N> {
    /// For an interface and so many queue pairs of its port; with the workers' ends, in their order.
    pub fn new(nic: N, queues: usize) -> (Self, Vec<KernelLane<N::Frame>>) {
        let lanes: Vec<_> = (0..queues).map(|_| Rings::new()).collect();
        let ends = lanes.iter().map(KernelLane::new).collect();
        (Self { nic, lanes, counters: Arc::default(), burst: Burst::new() }, ends)
    }

    /// What the thread counts.
    pub fn counters(&self) -> &Arc<KernelCounters> {
        &self.counters
    }

    /// One round: some frames of each ring to the kernel, a burst of the kernel to the workers. Returns the number of frames.
    pub fn serve(&mut self) -> usize {
        let mut frames = 0;
        for index in 0..self.lanes.len() {
            // Sessions first, and a burst of the rest: it is served too, however many sessions there are.
            frames += self.pass_up(index, |rings| &rings.sessions);
            frames += self.pass_up(index, |rings| &rings.rest);
        }
        frames + self.bring_down()
    }

    /// A burst of one ring goes to the kernel; what its interface refuses is given back.
    fn pass_up(
        &mut self,
        lane: usize,
        ring: impl Fn(&Rings<N::Frame>) -> &crossbeam_queue::ArrayQueue<N::Frame>,
    ) -> usize {
        let Some(rings) = self.lanes.get(lane) else { return 0 };
        while !self.burst.is_full() {
            let Some(frame) = ring(rings).pop() else { break };
            self.burst.push(frame);
        }
        let (frames, bytes) = figures(&self.burst);
        if frames == 0 {
            return 0;
        }
        let mut refused = Burst::new();
        for _ in 0..TRANSMIT_TRIES_MAX {
            self.nic.transmit(&mut self.burst);
            if self.burst.is_empty() {
                break;
            }
            // A frame that is too long for the interface is refused for ever, and those behind it with it.
            refused.extend(self.burst.drain(..1));
        }
        refused.extend(self.burst.drain(..));
        let (refused_frames, refused_bytes) = figures(&refused);
        self.nic.release(&mut refused);
        self.counters.to_kernel_frames.add(frames - refused_frames);
        self.counters.to_kernel_bytes.add(bytes - refused_bytes);
        self.counters.to_kernel_refused.add(refused_frames);
        usize::try_from(frames).unwrap_or_default()
    }

    /// A burst of the kernel goes to the workers, each flow to one; what finds no room is given back.
    fn bring_down(&mut self) -> usize {
        self.nic.receive(&mut self.burst);
        let frames = self.burst.len();
        if frames == 0 {
            return 0;
        }
        let (count, bytes) = figures(&self.burst);
        self.counters.from_kernel_frames.add(count);
        self.counters.from_kernel_bytes.add(bytes);
        let mut refused = Burst::new();
        for frame in self.burst.drain(..) {
            let lane = flow(frame.frame()) % self.lanes.len().max(1);
            let outcome = match self.lanes.get(lane) {
                Some(rings) => rings.to_wire.push(frame),
                None => Err(frame),
            };
            if let Err(frame) = outcome {
                refused.push(frame);
            }
        }
        // After the push, so that a worker that goes to sleep sees either the frames or the call.
        for rings in self.lanes.iter().filter(|rings| !rings.to_wire.is_empty()) {
            rings.waker.get().map(Waker::wake);
        }
        self.counters.from_kernel_refused.add(refused.len() as u64);
        self.nic.release(&mut refused);
        frames
    }

    /// Gives back what still waits in the rings: nobody will take it any more.
    fn drain(&mut self) {
        for rings in &self.lanes {
            for ring in [&rings.sessions, &rings.rest, &rings.to_wire] {
                while ring.pop().is_some() {}
            }
        }
    }
}

/// Frames and bytes of a burst.
fn figures<Frame: FrameBuffer>(burst: &Burst<Frame>) -> (u64, u64) {
    (burst.len() as u64, burst.iter().map(|frame| frame.frame().len() as u64).sum())
}

/// The running thread, which serves the interfaces of all ports. It ends when this is dropped.
pub struct KernelPath<N: Nic> {
    /// Read by the thread between rounds.
    stop: Arc<AtomicBool>,
    /// The thread; gives the ports back.
    thread: Option<JoinHandle<Vec<KernelPort<N>>>>,
}

impl<N: Nic + Send + 'static> KernelPath<N>
where
    N::Frame: Send,
{
    /// Starts the thread. It inherits the CPU affinity of the caller, which is to keep off the workers' cores.
    ///
    /// # Errors
    /// Where the thread cannot be made.
    pub fn start(mut ports: Vec<KernelPort<N>>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let work = move || {
            run(&mut ports, &told);
            ports
        };
        let thread = thread::Builder::new().name("ringdns-kernel".to_owned()).spawn(work)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl<N: Nic> KernelPath<N> {
    /// False once the thread has ended by itself.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends the thread; to be called when the workers have ended. What waits in the rings is given back.
    pub fn stop(mut self) {
        self.end();
    }

    /// See [`KernelPath::stop`].
    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && let Ok(mut ports) = thread.join()
        {
            ports.iter_mut().for_each(KernelPort::drain);
        }
    }
}

impl<N: Nic> Drop for KernelPath<N> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves the ports until it is told to stop.
fn run<N: Nic>(ports: &mut [KernelPort<N>], stop: &AtomicBool) {
    for port in &mut *ports {
        port.nic.attach();
    }
    let waker = Waker::new();
    for rings in ports.iter().flat_map(|port| &port.lanes) {
        // A path has one thread for life.
        let _ = rings.path.set(waker.clone());
    }
    let sleeper = Sleeper::new(&waker, ports.iter().map(|port| port.nic.arrivals()));
    let (mut idle_rounds, mut naps) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let frames: usize = ports.iter_mut().map(KernelPort::serve).sum();
        if frames != 0 {
            (idle_rounds, naps) = (0, 0);
        } else if idle_rounds < IDLE_ROUNDS_MAX {
            idle_rounds += 1;
            // Others of this core may be who sends the next frame.
            thread::yield_now();
        } else if naps < SHORT_NAPS_MAX {
            naps += 1;
            thread::sleep(SHORT_NAP);
        } else if let Some(sleeper) = &sleeper {
            if wait(ports, sleeper, stop) {
                (idle_rounds, naps) = (0, 0);
            }
        } else {
            thread::sleep(LONG_NAP);
        }
    }
}

/// Waits for a frame of a worker or of the kernel, for a bounded time; true where something came.
fn wait<N: Nic>(ports: &mut [KernelPort<N>], sleeper: &Sleeper, stop: &AtomicBool) -> bool {
    for port in &mut *ports {
        port.nic.arm();
    }
    sleeper.announce();
    // What came before all that was announced is seen by this round; what comes after it ends the wait.
    let frames: usize = ports.iter_mut().map(KernelPort::serve).sum();
    let woken = frames != 0 || stop.load(Ordering::Relaxed) || sleeper.wait(WAIT_MAX);
    sleeper.retract();
    for port in ports {
        port.nic.disarm();
    }
    woken
}
