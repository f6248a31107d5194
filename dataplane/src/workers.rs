//! The workers' threads: started pinned, told to stop together, joined together.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use crate::limits::WORKERS_MAX;
use crate::nic::Nic;
use crate::sleep::Waker;
use crate::worker::Worker;

/// The running workers. Dropping it tells them to stop and waits for them.
pub struct Workers<N: Nic> {
    /// Read by every worker between polls.
    stop: Arc<AtomicBool>,
    /// End the sleep of each.
    wakers: Vec<Waker>,
    /// The threads, in the workers' order.
    threads: Vec<JoinHandle<Worker<N>>>,
}

/// CPUs that a CPU set of the C library has room for.
const CPUS_MAX: usize = 1024;

/// Why the workers could not be started. No worker runs then.
#[derive(Debug)]
pub enum StartError {
    /// There are more than [`WORKERS_MAX`].
    TooMany(usize),
    /// The CPU is offline, or not among those that this process may use.
    NoSuchCore(usize),
    /// Two workers on one CPU would take turns of milliseconds.
    CoreTwice(usize),
    /// The thread could not be made.
    Spawn(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(workers) => {
                write!(f, "{workers} workers are more than {WORKERS_MAX}; name fewer CPUs in [workers] cores")
            }
            Self::NoSuchCore(core) => write!(
                f,
                "no worker can be pinned to CPU {core}: it is offline or not in the process's cpuset; correct [workers] \
                 cores (lscpu -e, taskset -p)"
            ),
            Self::CoreTwice(core) => {
                write!(f, "CPU {core} is named twice in [workers] cores; each worker needs its own")
            }
            Self::Spawn(error) => {
                write!(f, "a worker's thread cannot be made ({error}); raise the limit of processes (ulimit -u)")
            }
        }
    }
}

impl Error for StartError {}

/// A worker panicked; the others were stopped and have ended.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkerPanic {
    /// The thread's name.
    pub thread: String,
    /// What it said.
    pub message: String,
}

impl fmt::Display for WorkerPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked: {}", self.thread, self.message)
    }
}

impl Error for WorkerPanic {}

/// The CPUs that this thread may run on, in order.
pub fn available_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

impl<N: Nic + Send + 'static> Workers<N>
where
    N::Frame: Send,
{
    /// Starts a pinned thread for every worker: CPU and worker. Returns when all of them are about to poll.
    ///
    /// # Errors
    /// Where a CPU cannot be had or a thread cannot be made. Workers that had started are stopped again.
    pub fn start(workers: Vec<(usize, Worker<N>)>) -> Result<Self, StartError> {
        let cores: Vec<usize> = workers.iter().map(|(core, _)| *core).collect();
        check_cores(&cores)?;
        let wakers = workers.iter().map(|(_, worker)| worker.waker().clone()).collect();
        let mut started = Self { stop: Arc::default(), wakers, threads: Vec::with_capacity(workers.len()) };
        let (ready, readiness) = mpsc::channel();
        for (index, (core, worker)) in workers.into_iter().enumerate() {
            started.spawn(index, core, worker, ready.clone())?;
        }
        drop(ready);
        for _ in &cores {
            match readiness.recv() {
                Ok(Ok(())) => {}
                Ok(Err(core)) => return Err(StartError::NoSuchCore(core)),
                // Every thread reports before anything of it can panic.
                Err(mpsc::RecvError) => break,
            }
        }
        Ok(started)
    }

    /// Starts one thread. It reports whether it was pinned, the CPU's number where not.
    fn spawn(
        &mut self,
        index: usize,
        core: usize,
        mut worker: Worker<N>,
        ready: mpsc::Sender<Result<(), usize>>,
    ) -> Result<(), StartError> {
        let stop = Arc::clone(&self.stop);
        let work = move || {
            let pinned = core < CPUS_MAX && core_affinity::set_for_current(core_affinity::CoreId { id: core });
            // The receiver outlives all senders, unless starting has failed already.
            let _ = ready.send(if pinned { Ok(()) } else { Err(core) });
            drop(ready);
            if pinned {
                worker.run(&stop);
            }
            worker
        };
        let thread = thread::Builder::new().name(format!("ringdns-w{index}")).spawn(work).map_err(StartError::Spawn)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl<N: Nic> Workers<N> {
    /// Tells the workers to answer what has arrived and to end; does not wait.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// False as soon as one of them has ended, by itself or because it was told to.
    pub fn all_running(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops the workers, waits for them and gives them back in their order.
    ///
    /// # Errors
    /// Where one of them panicked.
    pub fn join(mut self) -> Result<Vec<Worker<N>>, WorkerPanic> {
        self.stop();
        let mut ended = Vec::with_capacity(self.threads.len());
        let mut panicked = None;
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            match thread.join() {
                Ok(worker) => ended.push(worker),
                Err(payload) => {
                    let message = payload
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or_else(|| payload.downcast_ref::<&str>().copied())
                        .unwrap_or("without a message");
                    panicked.get_or_insert(WorkerPanic { thread: name, message: message.to_owned() });
                }
            }
        }
        panicked.map_or(Ok(ended), Err)
    }
}

impl<N: Nic> Drop for Workers<N> {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A panic was printed by the thread itself; whoever wants to know more calls `join`.
            drop(thread.join());
        }
    }
}

/// Every CPU must be named once.
fn check_cores(cores: &[usize]) -> Result<(), StartError> {
    if cores.len() > WORKERS_MAX {
        return Err(StartError::TooMany(cores.len()));
    }
    for (index, &core) in cores.iter().enumerate() {
        if cores[..index].contains(&core) {
            return Err(StartError::CoreTwice(core));
        }
    }
    Ok(())
}
