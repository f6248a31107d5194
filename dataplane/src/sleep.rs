//! How a worker sleeps where its queues tell of arrivals, and how others wake it.
//!
//! No wake-up is lost: a worker that is going to sleep has its queues tell of arrivals, says that it sleeps, looks once more
//! for work, and only then waits. Whoever has work for it puts that where the worker looks first, and rings afterwards.
//!
//! ```
//! use ringdns_dataplane::sleep::Waker;
//!
//! let waker = Waker::new();
//! // Nobody sleeps: this makes no system call.
//! assert!(!waker.wake());
//! ```

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io;

/// Events that are fetched at once; which ones they are does not matter.
const EVENTS_MAX: usize = 8;

/// Wakes one worker, from any thread. Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

/// What a worker and those who wake it share.
#[derive(Debug)]
struct Bell {
    /// True from before the worker's last look for work to its awakening.
    asleep: AtomicBool,
    /// Rung by writing to it; none where the process may open no more files: the worker naps then.
    event: Option<OwnedFd>,
}

impl Default for Waker {
    fn default() -> Self {
        Self::new()
    }
}

impl Waker {
    /// The waker of a worker that does not sleep yet.
    pub fn new() -> Self {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).ok();
        Self(Arc::new(Bell { asleep: AtomicBool::new(false), event }))
    }

    /// Wakes the worker if it sleeps, and tells whether it did: only then this makes a system call. To be called after the
    /// work was put where the worker looks.
    #[inline]
    pub fn wake(&self) -> bool {
        // Pairs with the one in `announce`: either this sees that the worker sleeps, or the worker's last look sees the work.
        fence(Ordering::SeqCst);
        // Exchanged, so that of many wakers one makes the call.
        let asleep = self.0.asleep.load(Ordering::Relaxed) && self.0.asleep.swap(false, Ordering::Relaxed);
        if asleep && let Some(event) = &self.0.event {
            // It cannot fail but where it was rung 2^64 times.
            let _ = io::write(event, &1u64.to_ne_bytes());
        }
        asleep
    }

    /// Says that the worker sleeps from now on. It is to look for work once more.
    fn announce(&self) {
        self.0.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that the worker is awake.
    fn retract(&self) {
        self.0.asleep.store(false, Ordering::Relaxed);
    }
}

/// What a worker waits for, as one file.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// The waker and the queues' files.
    epoll: OwnedFd,
    /// The waker.
    waker: Waker,
}

impl Sleeper {
    /// Waits for a waker and for the files that tell of arrivals on queues. Nothing where one of them is missing: a worker
    /// that has to look after such a queue by itself must not sleep long.
    pub(crate) fn new<'a>(waker: &Waker, mut arrivals: impl Iterator<Item = Option<BorrowedFd<'a>>>) -> Option<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).ok()?;
        let sleeper = Self { epoll, waker: waker.clone() };
        sleeper.add(waker.0.event.as_ref()?.as_fd())?;
        arrivals.try_for_each(|file| sleeper.add(file?))?;
        Some(sleeper)
    }

    /// Adds a file. It is never read from: it might be that of a TAP device, which gives frames. So what is waited for is a
    /// change of it.
    fn add(&self, file: BorrowedFd<'_>) -> Option<()> {
        epoll::add(&self.epoll, file, EventData::new_u64(0), EventFlags::IN | EventFlags::ET).ok()
    }

    /// Says that the worker sleeps from now on. It is to look for work once more.
    pub(crate) fn announce(&self) {
        self.waker.announce();
    }

    /// Waits for an event, at most so long; true where there was one. A signal counts: drivers send some.
    pub(crate) fn wait(&self, time_max: Duration) -> bool {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        let time_max = Timespec::try_from(time_max).ok();
        match epoll::wait(&self.epoll, &mut events, time_max.as_ref()) {
            Ok((events, _)) => !events.is_empty(),
            Err(_) => true,
        }
    }

    /// Says that the worker is awake.
    pub(crate) fn retract(&self) {
        self.waker.retract();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_wait_ends_in_time_and_when_it_is_rung() {
        let waker = Waker::new();
        let sleeper = Sleeper::new(&waker, std::iter::empty()).unwrap();
        assert!(!sleeper.wait(Duration::from_millis(1)), "nothing happens");
        assert!(!waker.wake(), "nobody said that it sleeps");
        sleeper.announce();
        assert!(waker.wake() && !waker.wake(), "the first one wakes it");
        let start = Instant::now();
        assert!(sleeper.wait(LONG) && start.elapsed() < LONG);
        sleeper.retract();
        assert!(!sleeper.wait(Duration::from_millis(1)), "rung once, woken once");
    }

    #[test]
    fn files_wake_at_each_change_without_being_read() {
        let waker = Waker::new();
        let file = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let sleeper = Sleeper::new(&waker, [Some(file.as_fd())].into_iter()).unwrap();
        for _ in 0..3 {
            io::write(&file, &1u64.to_ne_bytes()).unwrap();
            assert!(sleeper.wait(LONG));
            assert!(!sleeper.wait(Duration::from_millis(1)));
        }
        assert!(Sleeper::new(&waker, [Some(file.as_fd()), None].into_iter()).is_none(), "a queue that says nothing");
    }

    #[test]
    fn no_wake_up_is_lost() {
        let waker = Waker::new();
        let work = Arc::new(AtomicU64::new(0));
        let (giver, given) = (waker.clone(), Arc::clone(&work));
        let rounds = 20_000;
        let start = Instant::now();
        let worker = thread::spawn(move || {
            let sleeper = Sleeper::new(&waker, std::iter::empty()).unwrap();
            let mut done = 0;
            while done < rounds {
                sleeper.announce();
                if work.load(Ordering::Relaxed) == done {
                    assert!(sleeper.wait(LONG), "slept on beside work");
                }
                sleeper.retract();
                done = work.load(Ordering::Relaxed);
            }
        });
        for round in 1..=rounds {
            given.store(round, Ordering::Relaxed);
            giver.wake();
            if round % 64 == 0 {
                thread::yield_now();
            }
        }
        worker.join().unwrap();
        assert!(start.elapsed() < LONG);
    }
}
