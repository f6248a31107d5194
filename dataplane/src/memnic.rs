//! A NIC in memory: the worker has one end, a test the other.
//!
//! ```
//! use ringdns_dataplane::memnic::MemNic;
//! use ringdns_dataplane::nic::{Burst, Nic};
//!
//! let (mut nic, mut wire) = MemNic::new(8);
//! assert!(wire.send(b"a frame"));
//!
//! let mut burst = Burst::new();
//! nic.receive(&mut burst);
//! nic.transmit(&mut burst);
//! assert_eq!(wire.receive().as_deref(), Some(&b"a frame"[..]));
//! ```

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use ringdns_engine::frame::FrameBuffer;

use crate::nic::{Burst, Nic};

/// Bytes of a buffer: what a DPDK buffer of the default size has behind its headroom.
pub const BUFFER_BYTES: usize = 2048;

/// A frame in a buffer of [`BUFFER_BYTES`].
#[derive(Debug)]
pub struct MemFrame {
    /// The buffer.
    bytes: Box<[u8; BUFFER_BYTES]>,
    /// Bytes of the frame in it.
    len: usize,
    /// Claims to go on in another buffer, as frames do that are longer than one.
    scattered: bool,
}

impl Default for MemFrame {
    fn default() -> Self {
        Self { bytes: Box::new([0; BUFFER_BYTES]), len: 0, scattered: false }
    }
}

impl MemFrame {
    /// Overwrites the buffer with a frame; what does not fit is cut off and makes the frame a scattered one.
    pub fn fill(&mut self, frame: &[u8]) {
        let len = frame.len().min(BUFFER_BYTES);
        self.bytes[..len].copy_from_slice(&frame[..len]);
        self.len = len;
        self.scattered = frame.len() > len;
    }
}

impl FrameBuffer for MemFrame {
    fn frame(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[..]
    }

    fn set_len(&mut self, len: usize) {
        self.len = len.min(BUFFER_BYTES);
    }

    fn is_whole(&self) -> bool {
        !self.scattered
    }
}

/// The queues between the two ends. Bounded, and full or empty like those of a real port.
#[derive(Debug)]
struct Queues {
    /// Buffers that hold no frame.
    spare: ArrayQueue<MemFrame>,
    /// To the worker.
    rx: ArrayQueue<MemFrame>,
    /// From the worker.
    tx: ArrayQueue<MemFrame>,
}

/// The worker's end. Allocates nothing after its creation.
#[derive(Debug)]
pub struct MemNic {
    /// Shared with the wire.
    queues: Arc<Queues>,
}

/// The test's end.
#[derive(Debug)]
pub struct MemWire {
    /// Shared with the NIC.
    queues: Arc<Queues>,
}

impl MemNic {
    /// A NIC whose queues hold so many frames in each direction, and the wire to it.
    pub fn new(queue_frames: usize) -> (Self, MemWire) {
        // Buffers: both queues full, and one burst in the hands of the worker.
        let buffers = 2 * queue_frames + ringdns_engine::limits::BURST_FRAMES_MAX;
        let queues = Queues {
            spare: ArrayQueue::new(buffers),
            rx: ArrayQueue::new(queue_frames),
            tx: ArrayQueue::new(queue_frames),
        };
        for _ in 0..buffers {
            // There are exactly as many places as buffers.
            let _ = queues.spare.push(MemFrame::default());
        }
        let queues = Arc::new(queues);
        (Self { queues: Arc::clone(&queues) }, MemWire { queues })
    }
}

impl Nic for MemNic {
    type Frame = MemFrame;

    fn receive(&mut self, burst: &mut Burst<MemFrame>) {
        while !burst.is_full() {
            let Some(frame) = self.queues.rx.pop() else { return };
            burst.push(frame);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) {
        // Taken out in one go; what does not fit goes back, in order.
        for frame in core::mem::take(burst) {
            if burst.is_empty() {
                if let Err(refused) = self.queues.tx.push(frame) {
                    burst.push(refused);
                }
            } else {
                burst.push(frame);
            }
        }
    }

    fn allocate(&mut self) -> Option<MemFrame> {
        self.queues.spare.pop()
    }

    fn release(&mut self, burst: &mut Burst<MemFrame>) {
        for frame in burst.drain(..) {
            // A place for every buffer: this cannot fail.
            let _ = self.queues.spare.push(frame);
        }
    }
}

impl MemWire {
    /// Puts a frame on the wire; false where the receive queue is full.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        if self.queues.rx.is_full() {
            return false;
        }
        let Some(mut buffer) = self.queues.spare.pop() else {
            return false;
        };
        buffer.fill(frame);
        match self.queues.rx.push(buffer) {
            Ok(()) => true,
            Err(buffer) => {
                let _ = self.queues.spare.push(buffer);
                false
            }
        }
    }

    /// Takes the next frame that the worker sent.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.receive_with(<[u8]>::to_vec)
    }

    /// Looks at the next frame that the worker sent and recycles its buffer; allocates nothing itself.
    pub fn receive_with<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let frame = self.queues.tx.pop()?;
        let seen = look(frame.frame());
        let _ = self.queues.spare.push(frame);
        Some(seen)
    }

    /// Frames that the worker has not taken yet.
    pub fn waiting(&self) -> usize {
        self.queues.rx.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_pass_in_order_and_buffers_come_round() {
        let (mut nic, mut wire) = MemNic::new(4);
        for round in 0..1000u16 {
            assert!(wire.send(&round.to_be_bytes()));
            assert!(wire.send(&[0xff; 60]));
            let mut burst = Burst::new();
            nic.receive(&mut burst);
            assert_eq!(burst.len(), 2);
            nic.transmit(&mut burst);
            assert!(burst.is_empty());
            assert_eq!(wire.receive(), Some(round.to_be_bytes().to_vec()));
            assert_eq!(wire.receive(), Some(vec![0xff; 60]));
            assert_eq!(wire.receive(), None);
        }
    }

    #[test]
    fn a_full_transmit_queue_refuses_the_rest_in_order() {
        let (mut nic, mut wire) = MemNic::new(2);
        let mut burst = Burst::new();
        for number in 0..4u8 {
            let mut frame = MemFrame::default();
            frame.fill(&[number]);
            burst.push(frame);
        }
        nic.transmit(&mut burst);
        let refused: Vec<u8> = burst.iter().map(|frame| frame.frame()[0]).collect();
        assert_eq!(refused, [2, 3]);
        assert_eq!(wire.receive(), Some(vec![0]));
        nic.transmit(&mut burst);
        assert_eq!(burst.len(), 1, "one place was free");
    }

    #[test]
    fn a_full_receive_queue_takes_no_frame() {
        let (mut nic, mut wire) = MemNic::new(1);
        assert!(wire.send(b"1"));
        assert!(!wire.send(b"2"));
        let mut burst = Burst::new();
        nic.receive(&mut burst);
        nic.release(&mut burst);
        assert!(wire.send(b"3"));
        assert_eq!(wire.waiting(), 1);
    }

    #[test]
    fn frames_longer_than_a_buffer_are_scattered() {
        let mut frame = MemFrame::default();
        frame.fill(&[7; BUFFER_BYTES + 1]);
        assert!(!frame.is_whole());
        frame.fill(&[7; BUFFER_BYTES]);
        assert!(frame.is_whole());
    }
}
