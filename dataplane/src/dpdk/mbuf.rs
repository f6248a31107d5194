//! One packet buffer.

use core::ptr::NonNull;
use core::slice;

use ringdns_engine::frame::FrameBuffer;
use ringdns_ffi as ffi;

/// A packet buffer of a [`super::Mempool`] that nobody else refers to (`mbuf-owned`). Dropping it gives it back to its
/// pool; whole bursts go back faster by [`crate::nic::Nic::release`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<ffi::rte_mbuf>);

// SAFETY: `mbuf-owned`: nothing in the buffer belongs to a thread, and pools take buffers back from any thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes over a buffer from DPDK.
    ///
    /// # Safety
    /// The buffer must be one that DPDK handed out, nobody else may refer to it (`mbuf-owned`), and its pool must live
    /// until it is given back (`pool-outlives-mbufs`).
    pub unsafe fn from_raw(mbuf: NonNull<ffi::rte_mbuf>) -> Self {
        Self(mbuf)
    }

    /// Hands the buffer over to DPDK. Nothing is freed.
    pub fn into_raw(self) -> NonNull<ffi::rte_mbuf> {
        let mbuf = self.0;
        core::mem::forget(self);
        mbuf
    }

    /// The header.
    fn header(&self) -> &ffi::rte_mbuf {
        // SAFETY: `mbuf-owned`: valid, and only this value leads to it.
        unsafe { self.0.as_ref() }
    }

    /// The header, to be changed.
    fn header_mut(&mut self) -> &mut ffi::rte_mbuf {
        // SAFETY: `mbuf-owned`: valid, and only this value leads to it.
        unsafe { self.0.as_mut() }
    }

    /// The frame's first byte.
    fn data(&self) -> *mut u8 {
        let header = self.header();
        // SAFETY: DPDK keeps the offset within the buffer.
        unsafe { header.buf_addr.add(usize::from(header.data_off)) }
    }

    /// Bytes from the frame's first byte to the buffer's end.
    fn room_len(&self) -> u16 {
        let header = self.header();
        header.buf_len.saturating_sub(header.data_off)
    }
}

impl FrameBuffer for Mbuf {
    #[inline]
    fn frame(&self) -> &[u8] {
        // SAFETY: the first `data_len` bytes are the frame, or its first part. All bytes of a buffer are initialised:
        // the EAL's memory comes zeroed.
        unsafe { slice::from_raw_parts(self.data(), usize::from(self.header().data_len)) }
    }

    #[inline]
    fn room(&mut self) -> &mut [u8] {
        // SAFETY: from the first byte of the frame to the end of the buffer; initialised, see `frame`. `mbuf-owned`: no
        // other reference to it while this one lives.
        unsafe { slice::from_raw_parts_mut(self.data(), usize::from(self.room_len())) }
    }

    #[inline]
    fn set_len(&mut self, len: usize) {
        let len = u16::try_from(len).unwrap_or(u16::MAX).min(self.room_len());
        let header = self.header_mut();
        // A scattered frame keeps its length, which spans buffers that nobody has looked at.
        if header.nb_segs == 1 {
            header.data_len = len;
            header.pkt_len = u32::from(len);
        }
    }

    #[inline]
    fn is_whole(&self) -> bool {
        self.header().nb_segs == 1
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: `mbuf-owned`; the pool is there by `pool-outlives-mbufs`.
        unsafe { ffi::ringdns_pktmbuf_free(self.0.as_ptr()) };
    }
}
