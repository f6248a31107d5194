//! Frames: where the addresses and the DNS message lie, and how a frame is turned round.

/// A received frame in a buffer of its own that the reply is written into.
///
/// Implemented by the data plane's mbuf and by the buffers of tests.
pub trait FrameBuffer {
    /// The frame as received, without preamble and frame check sequence.
    fn frame(&self) -> &[u8];

    /// The buffer from the frame's first byte to the end of its room; at least as long as the frame.
    fn room(&mut self) -> &mut [u8];

    /// Sets the length of the frame in bytes; never more than the room.
    fn set_len(&mut self, len: usize);

    /// False where the frame goes on in another buffer, which the engine does not follow.
    fn is_whole(&self) -> bool {
        true
    }
}
