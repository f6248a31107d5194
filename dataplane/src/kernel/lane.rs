//! The worker's end of the kernel path.

use std::sync::Arc;

use ringdns_engine::frame::FrameBuffer;

use super::Rings;
use super::class::holds_sessions;
use crate::nic::Burst;
use crate::sleep::Waker;

/// Frames of the kernel that a worker sends at most after each burst of one port. The kernel has its share of the wire while
/// queries wait, and all of it while there are none: an idle port is polled a million times a second.
pub const KERNEL_FRAMES_A_POLL: usize = 16;

/// The rings of one queue pair, as its worker sees them. None of the calls waits or allocates; the system is called only to
/// wake a thread that sleeps, which the frames that follow find awake.
#[derive(Debug)]
pub struct KernelLane<Frame>(Arc<Rings<Frame>>);

impl<Frame: FrameBuffer> KernelLane<Frame> {
    /// For one queue pair.
    pub(super) fn new(rings: &Arc<Rings<Frame>>) -> Self {
        Self(Arc::clone(rings))
    }

    /// Has the worker woken when there are frames for the wire.
    pub fn wake_by(&self, waker: &Waker) {
        // A lane has one worker for life.
        let _ = self.0.waker.set(waker.clone());
    }

    /// Hands frames over to the kernel path's thread. What finds no room stays in the burst.
    #[inline]
    pub fn pass_up(&mut self, punts: &mut Burst<Frame>) {
        // NOTE: asked once a burst: where both rings are full, as under a flood, the frames are not even looked at.
        if self.0.sessions.is_full() && self.0.rest.is_full() {
            return;
        }
        let mut refused = Burst::new();
        for frame in punts.drain(..) {
            let ring = if holds_sessions(frame.frame()) { &self.0.sessions } else { &self.0.rest };
            if let Err(frame) = ring.push(frame) {
                // There is room for as many frames as `punts` had.
                drop(refused.try_push(frame));
            }
        }
        *punts = refused;
        if let Some(path) = self.0.path.get() {
            path.wake();
        }
    }

    /// Takes some frames of the kernel for the wire; the burst must be empty.
    #[inline]
    pub fn take_down(&mut self, burst: &mut Burst<Frame>) {
        while burst.len() < KERNEL_FRAMES_A_POLL {
            let Some(frame) = self.0.to_wire.pop() else { return };
            // Far below the burst's capacity.
            drop(burst.try_push(frame));
        }
    }
}
