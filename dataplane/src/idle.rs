//! What a worker does while nothing arrives.

use std::thread;
use std::time::Duration;

/// Polls without a frame after which a worker naps: well under a millisecond, so that a busy port never sees a nap.
pub const IDLE_POLLS_MAX: u32 = 256;

/// Length of a nap. The kernel adds its timer slack, usually 50 us more; a receive queue of 1,024 frames holds what
/// arrives meanwhile at 10 million frames a second.
pub const NAP: Duration = Duration::from_micros(50);

/// Whether an idle worker leaves its core to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Polls for ever: lowest latency, a core at 100 %.
    Busy,
    /// Naps for [`NAP`] after [`IDLE_POLLS_MAX`] polls that brought nothing, until something arrives.
    #[default]
    Sleep,
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

    /// Called after every poll with the number of frames that it brought.
    #[inline]
    pub(crate) fn polled(&mut self, frames: usize) {
        if frames != 0 {
            self.polls = 0;
            return;
        }
        // Lets the core's other hardware thread go on.
        core::hint::spin_loop();
        if self.idle == Idle::Sleep {
            if self.polls < IDLE_POLLS_MAX {
                self.polls += 1;
            } else {
                thread::sleep(NAP);
            }
        }
    }
}
