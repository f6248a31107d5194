//! The worker's end of the way to the forwarder.

use std::sync::Arc;

use ringdns_engine::frame::FrameBuffer;

use super::Rings;
use crate::nic::{Burst, Nic};
use crate::sleep::Waker;

/// Answers of others that a worker sends at most after each burst of one port, for the reason of
/// [`crate::kernel::lane::KERNEL_FRAMES_A_POLL`].
pub const FORWARD_FRAMES_A_POLL: usize = 16;

/// The rings of one queue pair, as its worker sees them. None of the calls waits or allocates; the system is called only to
/// wake a thread that sleeps.
#[derive(Debug)]
pub struct ForwardLane(Arc<Rings>);

impl ForwardLane {
    /// For one queue pair.
    pub(super) fn new(rings: &Arc<Rings>) -> Self {
        Self(Arc::clone(rings))
    }

    /// Has the worker woken when there are answers.
    pub fn wake_by(&self, waker: &Waker) {
        // A lane has one worker for life.
        let _ = self.0.worker.set(waker.clone());
    }

    /// Copies queries for the forwarder's thread; gives how many it took.
    #[inline]
    pub fn pass_up<Frame: FrameBuffer>(&mut self, queries: &Burst<Frame>) -> usize {
        // NOTE: asked once a burst: under a flood the frames are not even looked at.
        if self.0.up.frames.is_full() {
            return 0;
        }
        let taken = queries.iter().filter(|query| self.0.up.put(query.frame())).count();
        if let Some(thread) = self.0.thread.get() {
            thread.wake();
        }
        taken
    }

    /// Takes some answers for the wire into buffers of the port; the burst must be empty. Gives how many were lost because the
    /// port had no buffer for them.
    #[inline]
    pub fn take_down<N: Nic>(&mut self, nic: &mut N, burst: &mut Burst<N::Frame>) -> usize {
        let mut lost = 0;
        while burst.len() + lost < FORWARD_FRAMES_A_POLL {
            let taken = self.0.down.take(|answer| {
                let mut frame = nic.allocate()?;
                frame.room().get_mut(..answer.len())?.copy_from_slice(answer);
                frame.set_len(answer.len());
                Some(frame)
            });
            match taken {
                None => break,
                // Far below the burst's capacity.
                Some(Some(frame)) => drop(burst.try_push(frame)),
                Some(None) => lost += 1,
            }
        }
        lost
    }
}
