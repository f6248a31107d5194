//! What a worker needs of a network interface: three calls, each for a whole burst, a buffer now and then, and how to sleep on it.

use std::os::fd::BorrowedFd;

use arrayvec::ArrayVec;
use ringdns_engine::{frame::FrameBuffer, limits::BURST_FRAMES_MAX};

/// The frames that are handled together. Lives as long as its worker and is filled anew for every poll.
pub type Burst<Frame> = ArrayVec<Frame, BURST_FRAMES_MAX>;

/// One receive queue and one transmit queue, used by one thread at a time.
///
/// Implemented by the ports of `dpdk` and, for tests and benches on any machine, by [`crate::memnic`] and
/// [`crate::replay`]. None of the calls waits: what is not there or finds no room is left for the next call.
pub trait Nic {
    /// A frame in its buffer.
    type Frame: FrameBuffer;

    /// Called once by the thread that is going to poll, before anything else.
    fn attach(&mut self) {}

    /// The file of the queue that changes whenever a frame arrives, once [`Nic::arm`] was called; none where there is no
    /// such file, and the queue must be looked at to see. Nobody reads from it.
    fn arrivals(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Has the next arrival change the file. What has arrived before may not.
    fn arm(&mut self) {}

    /// Ends that: the worker polls, and the device need not tell.
    fn disarm(&mut self) {}

    /// Takes what has arrived and adds it to the burst, as far as both reach.
    fn receive(&mut self, burst: &mut Burst<Self::Frame>);

    /// Sends frames from the front of the burst and takes them out of it. What the queue refused stays, in order.
    fn transmit(&mut self, burst: &mut Burst<Self::Frame>);

    /// An empty buffer for a frame that is to be transmitted; none where all are in use, and where the interface sends only what
    /// it has received.
    fn allocate(&mut self) -> Option<Self::Frame> {
        None
    }

    /// Gives the buffers of all frames back to where they came from; the burst is empty afterwards.
    fn release(&mut self, burst: &mut Burst<Self::Frame>);
}
