//! One queue pair of a port: the [`Nic`] that a worker polls.

use std::cell::OnceCell;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_ffi as ffi;

use super::eal::Eal;
use super::mbuf::Mbuf;
use super::port::PortShared;
use super::threads;
use crate::nic::{Burst, Nic};

/// A receive and a transmit queue. There is one for each pair (`one-owner`), to be used by one thread at a time.
#[derive(Debug)]
pub struct PortQueue {
    /// `port-open`.
    port: Arc<PortShared>,
    /// The port's number, beside the queue's for the sake of the hot path.
    id: u16,
    /// The queue's number, for both directions.
    queue: u16,
}

impl PortQueue {
    /// To be called once for each queue of the port (`one-owner`).
    pub(super) fn new(port: Arc<PortShared>, queue: u16) -> Self {
        Self { id: port.id(), port, queue }
    }
}

impl Nic for PortQueue {
    type Frame = Mbuf;

    fn attach(&mut self) {
        Registration::of_this_thread(self.port.eal());
        if self.port.has_signals() {
            threads::take_driver_signals();
        }
        // Some drivers start with their interrupts on.
        self.disarm();
    }

    fn arrivals(&self) -> Option<BorrowedFd<'_>> {
        self.port.interrupts.file(self.queue)
    }

    fn arm(&mut self) {
        self.port.interrupts.set(self.id, self.queue, true);
    }

    fn disarm(&mut self) {
        self.port.interrupts.set(self.id, self.queue, false);
    }

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        let room = frames(burst.remaining_capacity());
        // SAFETY: `held` elements are there; the next place is within the array, or at its end where `room` is 0.
        let places = unsafe { burst.as_mut_ptr().add(held) };
        // SAFETY: `port-open` and `one-owner`. `Mbuf` is a pointer (repr(transparent)), so `room` places take as many.
        let received = unsafe { ffi::ringdns_eth_rx_burst(self.id, self.queue, places.cast(), room) };
        // SAFETY: so many places were filled, with buffers that the driver let go of (`mbuf-owned`). They are of the
        // port's pool, which keeps `pool-outlives-mbufs` when it is dropped.
        unsafe { burst.set_len(held + usize::from(received.min(room))) };
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        let offered = frames(burst.len());
        // SAFETY: `port-open` and `one-owner`. The burst holds so many buffers, each owned by it (`mbuf-owned`).
        let sent = unsafe { ffi::ringdns_eth_tx_burst(self.id, self.queue, burst.as_mut_ptr().cast(), offered) };
        // Those belong to the driver now; the rest moves to the front.
        for mbuf in burst.drain(..usize::from(sent.min(offered))) {
            mbuf.into_raw();
        }
    }

    #[inline]
    fn allocate(&mut self) -> Option<Mbuf> {
        self.port.pools.get(usize::from(self.queue))?.allocate()
    }

    #[inline]
    fn release(&mut self, burst: &mut Burst<Mbuf>) {
        let count = u32::from(frames(burst.len()));
        if count == 0 {
            return;
        }
        // SAFETY: the burst holds so many buffers, each owned by it (`mbuf-owned`).
        unsafe { ffi::rte_pktmbuf_free_bulk(burst.as_mut_ptr().cast(), count) };
        // SAFETY: 0 is within the capacity. The buffers are freed and must not be dropped.
        unsafe { burst.set_len(0) };
    }
}

/// A number of frames of a burst, as DPDK takes it.
fn frames(count: usize) -> u16 {
    const { assert!(BURST_FRAMES_MAX <= u16::MAX as usize) };
    u16::try_from(count).unwrap_or(0)
}

thread_local! {
    /// This thread's registration, once it has one.
    static REGISTRATION: OnceCell<Registration> = const { OnceCell::new() };
}

/// A thread that the EAL knows by a number, which gives it a cache of its own in every mempool. Without one, each burst
/// takes buffers from the pool's shared ring and puts them back there.
struct Registration {
    /// `eal-running`, until the thread ends.
    _eal: Eal,
}

impl Registration {
    /// Registers the calling thread, unless it is. Where the EAL has no number left, things work without a cache.
    fn of_this_thread(eal: &Eal) {
        REGISTRATION.with(|registration| {
            registration.get_or_init(|| {
                // SAFETY: `eal-running`.
                unsafe { ffi::rte_thread_register() };
                Self { _eal: eal.clone() }
            });
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: `eal-running`; does nothing for a thread that is not registered.
        unsafe { ffi::rte_thread_unregister() };
    }
}
