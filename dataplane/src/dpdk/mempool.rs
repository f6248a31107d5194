//! A pool of packet buffers.

use core::ptr::NonNull;
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};

use ringdns_ffi as ffi;

use super::eal::Eal;
use super::error::describe_errno;
use super::mbuf::Mbuf;
use crate::limits::MEMPOOL_CACHE_MBUFS;

/// A pool of packet buffers, all of one size.
#[derive(Debug)]
pub struct Mempool {
    /// DPDK's.
    pool: NonNull<ffi::rte_mempool>,
    /// Buffers in it when all are home.
    mbufs: u32,
    /// `eal-running`.
    eal: Eal,
}

// SAFETY: a mempool may be used by all threads at once; the handler is the one for many producers and consumers.
unsafe impl Send for Mempool {}
// SAFETY: see above.
unsafe impl Sync for Mempool {}

/// Pools made so far: DPDK wants a name of its own for each, and one that could not be freed keeps its.
static POOLS: AtomicU32 = AtomicU32::new(0);

/// Bytes that a buffer takes beside its room: the pool's own header, struct rte_mbuf, the place in the pool's ring.
const MBUF_OVERHEAD_BYTES: u64 = 64 + 128 + 16;

impl Mempool {
    /// Makes a pool of `mbufs` buffers with room for so many bytes of frame, on a NUMA node or anywhere (-1).
    ///
    /// # Errors
    /// DPDK's reason: mostly that the EAL's memory is too small.
    pub fn new(eal: &Eal, mbufs: u32, frame_bytes: u16, numa_node: i32) -> Result<Self, String> {
        let number = POOLS.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("ringdns-pool{number}")).map_err(|error| error.to_string())?;
        let room = frame_bytes.saturating_add(ffi::RINGDNS_HEADROOM_BYTES);
        // A cache may hold at most two thirds of its pool.
        let cache = MEMPOOL_CACHE_MBUFS.min(mbufs / 2);
        // SAFETY: `eal-running`; the name is copied.
        let pool = unsafe { ffi::ringdns_pktmbuf_pool_create(name.as_ptr(), mbufs, cache, room, numa_node) };
        let pool = NonNull::new(pool).ok_or_else(describe_errno)?;
        Ok(Self { pool, mbufs, eal: eal.clone() })
    }

    /// Memory that such a pool takes, about.
    pub fn bytes(mbufs: u32, frame_bytes: u16) -> u64 {
        u64::from(mbufs) * (u64::from(frame_bytes) + u64::from(ffi::RINGDNS_HEADROOM_BYTES) + MBUF_OVERHEAD_BYTES)
    }

    /// An empty buffer; none where all are in use.
    pub fn allocate(&self) -> Option<Mbuf> {
        // SAFETY: the pool is there as long as `self`.
        let mbuf = NonNull::new(unsafe { ffi::ringdns_pktmbuf_alloc(self.pool.as_ptr()) })?;
        // SAFETY: just taken from the pool; `Drop` below keeps `pool-outlives-mbufs`.
        Some(unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Buffers that are not in the pool.
    pub fn in_use(&self) -> u32 {
        // SAFETY: the pool is there as long as `self`.
        self.mbufs.saturating_sub(unsafe { ffi::rte_mempool_avail_count(self.pool.as_ptr()) })
    }

    /// For DPDK.
    pub(super) fn as_ptr(&self) -> *mut ffi::rte_mempool {
        self.pool.as_ptr()
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        if self.in_use() == 0 {
            // SAFETY: `pool-outlives-mbufs`: all are home, so no `Mbuf` of it is left, nor can one be had any more.
            unsafe { ffi::rte_mempool_free(self.pool.as_ptr()) };
        } else {
            self.eal.keep_memory();
        }
    }
}
