//! A NIC in memory on which the same frames arrive for ever, as fast as they are taken.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use ringdns_dataplane::memnic::MemFrame;
use ringdns_dataplane::nic::{Burst, Nic};

/// Goes round a list of frames; what is sent or given back becomes a buffer again.
#[derive(Debug)]
pub struct RoundNic {
    /// What is received, over and over; empty at the other end.
    frames: Arc<Vec<Vec<u8>>>,
    /// The next frame's place in the list.
    next: usize,
    /// Buffers of this end that hold no frame, the last one first, as a mempool's cache gives them.
    cache: Vec<MemFrame>,
    /// Those that the other end has given back.
    returned: Arc<ArrayQueue<MemFrame>>,
}

impl RoundNic {
    /// A worker's end with so many buffers, and an end at which nothing arrives, of the thread that takes what the worker
    /// passes on.
    pub fn pair(frames: &Arc<Vec<Vec<u8>>>, buffers: usize) -> (Self, Self) {
        let returned = Arc::new(ArrayQueue::new(buffers));
        let cache = (0..buffers).map(|_| MemFrame::default()).collect();
        let ours = Self { frames: Arc::clone(frames), next: 0, cache, returned: Arc::clone(&returned) };
        (ours, Self { frames: Arc::default(), next: 0, cache: Vec::new(), returned })
    }
}

impl Nic for RoundNic {
    type Frame = MemFrame;

    fn receive(&mut self, burst: &mut Burst<MemFrame>) {
        while !burst.is_full() {
            let Some(frame) = self.frames.get(self.next) else { return };
            let Some(mut buffer) = self.cache.pop().or_else(|| self.returned.pop()) else { return };
            buffer.fill(frame);
            burst.push(buffer);
            self.next = if self.next + 1 == self.frames.len() { 0 } else { self.next + 1 };
        }
    }

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) {
        self.release(burst);
    }

    fn release(&mut self, burst: &mut Burst<MemFrame>) {
        let is_other_end = self.frames.is_empty();
        for frame in burst.drain(..) {
            if is_other_end {
                // A place for every buffer: this cannot fail.
                let _ = self.returned.push(frame);
            } else {
                self.cache.push(frame);
            }
        }
    }
}
