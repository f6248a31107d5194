//! An allocator that counts: a bench that installs it can tell that a worker allocates nothing.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

use tikv_jemallocator::Jemalloc;

/// Calls of the allocator by all threads.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The server's allocator, with a count. For `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

/// Calls of the allocator so far, where [`CountingAllocator`] is installed.
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

// SAFETY: every call goes to the server's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { Jemalloc.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { Jemalloc.realloc(place, layout, bytes) }
    }
}
