//! What is shown of the ports. Whoever looks after them writes it; the metrics read it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One port as it was last looked at.
#[derive(Debug, Default)]
pub struct PortGauges {
    /// The port's name.
    pub name: String,
    /// 1 where the link is up.
    pub link_up: Gauge,
    /// Speed of the link in Mbit/s; 0 where it is not known.
    pub speed_mbps: Gauge,
    /// Frames lost because no worker fetched them in time.
    pub rx_missed: Gauge,
    /// Frames that arrived damaged.
    pub rx_errors: Gauge,
    /// Frames lost for want of a buffer.
    pub rx_without_buffer: Gauge,
    /// Frames that the device failed to send.
    pub tx_errors: Gauge,
    /// Frames that the kernel took from the port's kernel path.
    pub kernel_rx_frames: Gauge,
    /// Frames that the kernel's interface refused.
    pub kernel_rx_refused: Gauge,
    /// Frames that the kernel sent by the port's kernel path.
    pub kernel_tx_frames: Gauge,
    /// Frames of the kernel that found the way to the wire full.
    pub kernel_tx_refused: Gauge,
}

impl PortGauges {
    /// A port that nobody has looked at yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The link: name, explanation and value of each figure.
    pub(crate) fn link(&self) -> [(&'static str, &'static str, u64); 2] {
        [
            ("link_up", "1 while the port's link is up.", self.link_up.get()),
            ("speed_mbps", "Speed of the port's link in Mbit/s; 0 where it is not known.", self.speed_mbps.get()),
        ]
    }

    /// What the device counts: name, explanation and value of each.
    pub(crate) fn counts(&self) -> [(&'static str, &'static str, u64); 8] {
        [
            ("rx_missed", "Frames lost because no worker fetched them in time.", self.rx_missed.get()),
            ("rx_errors", "Frames that arrived damaged.", self.rx_errors.get()),
            ("rx_without_buffer", "Frames lost for want of a packet buffer.", self.rx_without_buffer.get()),
            ("tx_errors", "Frames that the device failed to send.", self.tx_errors.get()),
            ("kernel_rx_frames", "Frames that the kernel took by the kernel path.", self.kernel_rx_frames.get()),
            (
                "kernel_rx_refused",
                "Frames that the kernel's interface refused: it is down, or its queue is full.",
                self.kernel_rx_refused.get(),
            ),
            ("kernel_tx_frames", "Frames that the kernel sent by the kernel path.", self.kernel_tx_frames.get()),
            (
                "kernel_tx_refused",
                "Frames of the kernel that found the ring to the wire full.",
                self.kernel_tx_refused.get(),
            ),
        ]
    }
}
