//! The kernel path: whatever is not DNS over UDP for a served address goes to an interface of the kernel, and what the
//! kernel sends there goes to the wire, as if RingDNS were not there (what KNI was).
//!
//! ```text
//!            workers                        one thread, on the others' cores
//! wire -> rx -> punts -> [ sessions | rest ] -> kernel interface (TAP, or virtio-user over vhost-net)
//! wire <- tx <-------------- [ to_wire ]    <-
//! ```
//!
//! A worker does no more for such a frame than to put it into a bounded ring, so a flood that the kernel cannot take costs
//! DNS nothing: what finds no room is counted and given back. There are two rings up: ARP, TCP, ICMP and everything else that
//! holds up sessions and routes has one of its own ([`class`]), so that a flood of datagrams cannot end a BGP session. On the
//! way down a worker sends some frames a poll, after the replies of that poll.
//!
//! 1. [`lane`]: the worker's end. 2. [`path`]: the other end, and the thread that serves it. 3. `interface` (with the feature
//!    `dpdk`): what the kernel is told of the link.

pub mod class;
#[cfg(feature = "dpdk")]
pub mod interface;
pub mod lane;
pub mod path;

use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;

pub use lane::KernelLane;
pub use path::{KernelCounters, KernelPath, KernelPort};

use crate::limits::{KERNEL_REST_FRAMES, KERNEL_SESSION_FRAMES, KERNEL_WIRE_FRAMES};
use crate::sleep::Waker;

/// What lies between a worker's queue pair and the kernel path's thread. Allocates nothing once made.
#[derive(Debug)]
struct Rings<Frame> {
    /// To the kernel: what holds up sessions and routes.
    sessions: ArrayQueue<Frame>,
    /// To the kernel: the rest.
    rest: ArrayQueue<Frame>,
    /// To the wire.
    to_wire: ArrayQueue<Frame>,
    /// Wakes the worker, once there is one, where frames for the wire find it asleep.
    waker: OnceLock<Waker>,
    /// Wakes the kernel path's thread, once there is one, where frames for the kernel find it asleep.
    path: OnceLock<Waker>,
}

impl<Frame> Rings<Frame> {
    /// Empty rings.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sessions: ArrayQueue::new(KERNEL_SESSION_FRAMES),
            rest: ArrayQueue::new(KERNEL_REST_FRAMES),
            to_wire: ArrayQueue::new(KERNEL_WIRE_FRAMES),
            waker: OnceLock::new(),
            path: OnceLock::new(),
        })
    }
}
