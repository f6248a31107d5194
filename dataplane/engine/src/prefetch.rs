//! Asks the memory for a cache line before it is needed. The one file of the engine with `unsafe` in it.
//!
//! What it earns (`cargo run --release -p ringdns-bench --bin engine`, one machine, medians of interleaved runs, ns a query;
//! the loads in its place were plain reads of the same bytes, one pass over the burst each):
//!
//! | names | plain reads | prefetches |
//! |---|---|---|
//! | 100,000 | PLAIN100K | PRE100K |
//! | 1,000,000 | PLAIN1M | PRE1M |
//!
//! A read occupies the core's window until its line is there, so that only a few can wait at once; a prefetch does not.

#![allow(unsafe_code, reason = "there is no safe prefetch in stable Rust")]

/// Asks for the cache line in which a value begins.
#[inline]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads and writes nothing that the program could see, whatever the address; and this one is that
    // of a live value.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(core::ptr::from_ref(place).cast());
    }
    // Elsewhere lookups wait for memory one after the other, and are right all the same.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
