//! A NIC that receives the same frames for ever, for benches and for tests of the steady state.
//!
//! Every receive copies frames into recycled buffers, as a device does; every transmit succeeds, unless told otherwise.

use ringdns_engine::{frame::FrameBuffer, limits::BURST_FRAMES_MAX};

use crate::memnic::MemFrame;
use crate::nic::{Burst, Nic};

/// A NIC that goes round a list of frames.
#[derive(Debug)]
pub struct ReplayNic {
    /// What is received, over and over.
    frames: Vec<Vec<u8>>,
    /// The next frame's place in the list.
    next: usize,
    /// Buffers that hold no frame.
    spare: Vec<MemFrame>,
    /// Frames still to be received; none: no end.
    left: Option<u64>,
    /// Frames that one transmit call takes at most.
    transmit_max: usize,
    /// The newest frame that was sent, for a look at the end.
    last_sent: MemFrame,
    /// Frames sent.
    sent: u64,
}

impl ReplayNic {
    /// Goes round the frames without end.
    pub fn new(frames: Vec<Vec<u8>>) -> Self {
        // Two bursts: one received, one of refused replies.
        let spare = (0..2 * BURST_FRAMES_MAX).map(|_| MemFrame::default()).collect();
        Self {
            frames,
            next: 0,
            spare,
            left: None,
            transmit_max: BURST_FRAMES_MAX,
            last_sent: MemFrame::default(),
            sent: 0,
        }
    }

    /// Ends after so many frames; from then on nothing arrives.
    #[must_use]
    pub fn limited(mut self, frames: u64) -> Self {
        self.left = Some(frames);
        self
    }

    /// Lets a transmit call take so many frames at most; 0 is a queue that stays full.
    #[must_use]
    pub fn transmitting(mut self, frames_max: usize) -> Self {
        self.transmit_max = frames_max;
        self
    }

    /// Frames sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The newest frame that was sent.
    pub fn last_sent(&self) -> &[u8] {
        self.last_sent.frame()
    }

    /// True until the next frame is the last one's successor.
    fn exhausted(&mut self) -> bool {
        match &mut self.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

impl Nic for ReplayNic {
    type Frame = MemFrame;

    fn receive(&mut self, burst: &mut Burst<MemFrame>) {
        while !burst.is_full() && !self.frames.is_empty() && !self.spare.is_empty() && !self.exhausted() {
            let (Some(mut buffer), Some(frame)) = (self.spare.pop(), self.frames.get(self.next)) else {
                return;
            };
            buffer.fill(frame);
            burst.push(buffer);
            self.next = if self.next + 1 == self.frames.len() { 0 } else { self.next + 1 };
        }
    }

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) {
        let taken = burst.len().min(self.transmit_max);
        for mut frame in burst.drain(..taken) {
            core::mem::swap(&mut frame, &mut self.last_sent);
            self.sent += 1;
            self.spare.push(frame);
        }
    }

    fn release(&mut self, burst: &mut Burst<MemFrame>) {
        self.spare.extend(burst.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_round_and_stops_at_its_limit() {
        let mut nic = ReplayNic::new(vec![vec![1], vec![2], vec![3]]).limited(100);
        let mut seen = Vec::new();
        loop {
            let mut burst = Burst::new();
            nic.receive(&mut burst);
            if burst.is_empty() {
                break;
            }
            seen.extend(burst.iter().map(|frame| frame.frame()[0]));
            nic.release(&mut burst);
        }
        assert_eq!(seen.len(), 100);
        assert_eq!(&seen[..4], [1, 2, 3, 1]);
    }

    #[test]
    fn a_queue_that_stays_full_takes_nothing() {
        let mut nic = ReplayNic::new(vec![vec![1]]).transmitting(0);
        let mut burst = Burst::new();
        nic.receive(&mut burst);
        nic.transmit(&mut burst);
        assert_eq!((burst.len(), nic.sent()), (BURST_FRAMES_MAX, 0));
    }
}
