//! Frames outside of a NIC's memory.

use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::UDP_ANSWER_BYTES_LIMIT;

use super::ring::Given;

/// Bytes of the longest frame of an answer: Ethernet with a VLAN tag, IPv6, UDP.
pub(super) const ANSWER_FRAME_BYTES: usize = 14 + 4 + 40 + 8 + UDP_ANSWER_BYTES_LIMIT;

/// A frame in memory of its own, which is allocated once.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The memory.
    room: Box<[u8]>,
    /// Bytes of the frame in it.
    length: usize,
}

impl Parcel {
    /// Without a frame, for one of so many bytes at most.
    pub(super) fn new(bytes: usize) -> Self {
        Self { room: vec![0; bytes].into(), length: 0 }
    }

    /// Takes a frame; false where it is too long.
    #[inline]
    pub(super) fn fill(&mut self, frame: &[u8]) -> bool {
        let Some(to) = self.room.get_mut(..frame.len()) else { return false };
        to.copy_from_slice(frame);
        self.length = frame.len();
        true
    }

    /// Takes a frame out of a ring; false where it is too long.
    #[inline]
    pub(super) fn take(&mut self, frame: Given<'_>) -> bool {
        let length = frame.copy_to(&mut self.room);
        self.length = length.unwrap_or_default();
        length.is_some()
    }

    /// The frame.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

impl FrameBuffer for Parcel {
    fn frame(&self) -> &[u8] {
        self.bytes()
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.room
    }

    fn set_len(&mut self, len: usize) {
        self.length = len.min(self.room.len());
    }
}
