//! What a worker does while nothing arrives.

use std::fmt;
use std::time::Duration;

/// Polls without a frame after which a worker that sleeps stops polling: well under a millisecond, so that a busy port never
/// sees a nap.
pub const IDLE_POLLS_MAX: u32 = 256;

/// Length of a nap. The kernel adds its timer slack, usually 50 us more; a receive queue of 1,024 frames holds what
/// arrives meanwhile at 10 million frames a second.
pub const NAP: Duration = Duration::from_micros(50);

/// Naps before a worker waits for an interrupt: under some load naps gather bursts, and an interrupt for each frame would not.
/// The driver of TAP devices wants a moment too: it learns of frames by a signal, which another thread may have to take.
pub const NAPS_MAX: u32 = 4;

/// Longest wait for an interrupt: a worker that was told to stop, a former generation of the records that it still holds, and
/// whoever watches that it polls are not kept waiting longer.
pub const WAIT_MAX: Duration = Duration::from_millis(100);

/// Longest run of pauses between two polls, as a power of two: about 3 us where a pause takes 140 cycles (Intel since
/// Skylake), less elsewhere. A receive queue of 1,024 frames fills in 100 us at 10 million frames a second.
const PAUSES_MAX_LOG2: u32 = 6;

/// Polls without a frame after which a run of pauses doubles.
const PAUSES_DOUBLE_AFTER: u32 = 16;

/// Whether an idle worker leaves its core to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Polls for ever: lowest latency, a core at 100 %.
    Busy,
    /// Polls for ever, with growing runs of pauses in between, which leave the core's other hardware thread more room and
    /// take less power: the core is still at 100 %.
    Pause,
    /// After [`IDLE_POLLS_MAX`] polls that brought nothing, naps for [`NAP`]; after [`NAPS_MAX`] naps waits for an interrupt
    /// where all its queues have one, until something arrives.
    #[default]
    Sleep,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "busy",
            Self::Pause => "pause",
            Self::Sleep => "sleep",
        })
    }
}

/// What a worker is to do after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Poll again.
    Poll,
    /// Sleep for [`NAP`].
    Nap,
    /// Sleep until something arrives, where that is possible.
    Wait,
}

/// Counts idle polls.
#[derive(Debug)]
pub(crate) struct IdleWatch {
    /// What to do.
    idle: Idle,
    /// Polls since the last frame.
    polls: u32,
}

impl IdleWatch {
    /// Starts awake.
    pub(crate) fn new(idle: Idle) -> Self {
        Self { idle, polls: 0 }
    }

    /// Called after every poll with the number of frames that it brought; pauses, and tells what else to do.
    #[inline]
    pub(crate) fn polled(&mut self, frames: usize) -> Rest {
        if frames != 0 {
            self.polls = 0;
            return Rest::Poll;
        }
        self.polls = self.polls.saturating_add(1);
        match self.idle {
            // Lets the core's other hardware thread go on.
            Idle::Busy => core::hint::spin_loop(),
            Idle::Pause => (0..pauses(self.polls)).for_each(|_| core::hint::spin_loop()),
            Idle::Sleep if self.polls <= IDLE_POLLS_MAX => core::hint::spin_loop(),
            Idle::Sleep if self.polls <= IDLE_POLLS_MAX + NAPS_MAX => return Rest::Nap,
            Idle::Sleep => return Rest::Wait,
        }
        Rest::Poll
    }

    /// Called when a wait was ended by an event: frames are on their way, though they may take some polls to show.
    #[inline]
    pub(crate) fn woken(&mut self) {
        self.polls = 0;
    }
}

/// Length of a run of pauses after so many idle polls.
fn pauses(polls: u32) -> u32 {
    1 << (polls / PAUSES_DOUBLE_AFTER).min(PAUSES_MAX_LOG2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_naps_then_waits_and_frames_wake_it() {
        let mut watch = IdleWatch::new(Idle::Sleep);
        for _ in 0..3 {
            let rests: Vec<Rest> = (0..IDLE_POLLS_MAX + NAPS_MAX + 2).map(|_| watch.polled(0)).collect();
            let count = |rest| rests.iter().filter(|&&other| other == rest).count();
            assert_eq!([Rest::Poll, Rest::Nap, Rest::Wait].map(count), [256, 4, 2]);
            assert!(rests.ends_with(&[Rest::Nap, Rest::Wait, Rest::Wait]));
            assert_eq!(watch.polled(1), Rest::Poll);
            assert_eq!(watch.polled(0), Rest::Poll);
            watch.woken();
        }
    }

    #[test]
    fn the_others_never_sleep() {
        for idle in [Idle::Busy, Idle::Pause] {
            let mut watch = IdleWatch::new(idle);
            assert!((0..5_000).all(|_| watch.polled(0) == Rest::Poll), "{idle}");
            watch.polls = u32::MAX;
            assert_eq!(watch.polled(0), Rest::Poll, "the count does not go round");
        }
    }

    #[test]
    fn runs_of_pauses_grow_to_a_bound() {
        assert_eq!([1, 16, 32, 96, 10_000, u32::MAX].map(pauses), [1, 2, 4, 64, 64, 64]);
    }
}
