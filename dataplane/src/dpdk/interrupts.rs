//! How a port's receive queues tell of arrivals.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use ringdns_ffi as ffi;

/// The interrupts of a port's receive queues.
#[derive(Debug, Default)]
pub(super) struct Interrupts {
    /// For each queue the file that changes with its arrivals; none where not every queue has one.
    files: Vec<RawFd>,
    /// Held while an interrupt is switched: drivers change registers that all queues share.
    switch: Mutex<()>,
}

impl Interrupts {
    /// Those of the first queues of a port that has been started with interrupts.
    pub(super) fn of(port: u16, queues: u16) -> Self {
        // SAFETY: the port exists. The driver keeps the file open until the port is closed.
        let file = |queue| unsafe { ffi::rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue) };
        let files: Option<Vec<RawFd>> = (0..queues).map(|queue| Some(file(queue)).filter(|&file| file >= 0)).collect();
        Self { files: files.unwrap_or_default(), switch: Mutex::default() }
    }

    /// True where there are any.
    pub(super) fn is_there(&self) -> bool {
        !self.files.is_empty()
    }

    /// The file of a queue.
    pub(super) fn file(&self, queue: u16) -> Option<BorrowedFd<'_>> {
        let file = *self.files.get(usize::from(queue))?;
        // SAFETY: `port-open`: not negative, and open as long as the port is, which `self` is a part of.
        Some(unsafe { BorrowedFd::borrow_raw(file) })
    }

    /// Switches the interrupt of a queue of this port on or off, where it has one.
    pub(super) fn set(&self, port: u16, queue: u16, on: bool) {
        if !self.is_there() {
            return;
        }
        let _switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        // A driver without the call has a file that changes anyway, as that of a TAP device does.
        if on {
            // SAFETY: `port-open`.
            unsafe { ffi::rte_eth_dev_rx_intr_enable(port, queue) };
        } else {
            // SAFETY: `port-open`.
            unsafe { ffi::rte_eth_dev_rx_intr_disable(port, queue) };
        }
    }
}
