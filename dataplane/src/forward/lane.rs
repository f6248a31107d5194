//! The worker's end of the way to the forwarder.

use std::sync::Arc;

use ringdns_engine::frame::FrameBuffer;

use super::Bells;
use super::ring::{Giver, Taker};
use crate::nic::{Burst, Nic};
use crate::sleep::Waker;

/// Answers of others that a worker sends at most after each burst of one port, for the reason of
/// [`crate::kernel::lane::KERNEL_FRAMES_A_POLL`].
pub const FORWARD_FRAMES_A_POLL: usize = 16;

/// The rings of one queue pair, as its worker sees them. None of the calls waits or allocates; the system is called only to
/// wake a thread that sleeps.
#[derive(Debug)]
pub struct ForwardLane {
    /// Queries, to the thread.
    up: Giver,
    /// Answers, from it.
    down: Taker,
    /// Who wakes whom.
    bells: Arc<Bells>,
    /// Whether queries were passed up since answers were taken last.
    has_passed: bool,
    /// Whether that was so before: the thread is to be woken, should it sleep.
    is_wake_due: bool,
}

impl ForwardLane {
    /// For one queue pair.
    pub(super) fn new(up: Giver, down: Taker, bells: Arc<Bells>) -> Self {
        Self { up, down, bells, has_passed: false, is_wake_due: false }
    }

    /// Has the worker woken when there are answers.
    pub fn wake_by(&self, waker: &Waker) {
        // A lane has one worker for life.
        let _ = self.bells.worker.set(waker.clone());
    }

    /// Copies queries for the forwarder's thread; gives how many it took. The second [`ForwardLane::take_down`] from then on, which is
    /// that of the next poll, wakes the thread: to see whether it sleeps the core has to wait until it has handed the queries over, which
    /// takes it no time once it has answered another burst.
    #[inline]
    pub fn pass_up<Frame: FrameBuffer>(&mut self, queries: &Burst<Frame>) -> usize {
        // NOTE: asked once a burst: under a flood the frames are not even looked at.
        if self.up.is_full() {
            return 0;
        }
        let taken = queries.iter().filter(|query| self.up.put(query.frame())).count();
        self.up.give();
        self.has_passed = true;
        taken
    }

    /// Takes some answers for the wire into buffers of the port; the burst must be empty. Gives how many were lost because the
    /// port had no buffer for them. To be called with every poll.
    #[inline]
    pub fn take_down<N: Nic>(&mut self, nic: &mut N, burst: &mut Burst<N::Frame>) -> usize {
        if self.is_wake_due
            && let Some(thread) = self.bells.thread.get()
        {
            thread.wake();
        }
        self.is_wake_due = core::mem::take(&mut self.has_passed);
        if self.down.look() == 0 {
            return 0;
        }
        let mut lost = 0;
        while burst.len() + lost < FORWARD_FRAMES_A_POLL {
            let Some(answer) = self.down.next() else { break };
            let frame = nic.allocate().and_then(|mut frame| {
                let length = answer.copy_to(frame.room())?;
                frame.set_len(length);
                Some(frame)
            });
            match frame {
                // Far below the burst's capacity.
                Some(frame) => drop(burst.try_push(frame)),
                None => lost += 1,
            }
        }
        self.down.free();
        lost
    }
}
