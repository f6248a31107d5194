//! A port: one device, set up with a queue pair for each worker that polls it.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::Arc;

use ringdns_ffi as ffi;

use super::device::Device;
use super::eal::Eal;
use super::error::{DeviceProblem, DpdkError, LogCapture, describe};
use super::interrupts::Interrupts;
use super::mempool::Mempool;
use super::probe::ProbedPort;
use super::queue::PortQueue;
use super::setup::PortSetup;
use crate::limits::MTU_BYTES_DEFAULT;

/// How a port is set up.
#[derive(Clone, Copy, Debug)]
pub struct PortOptions {
    /// Queue pairs: one for each worker that polls the port.
    pub queues: u16,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// Whether frames for other MAC addresses come in too.
    pub promiscuous: bool,
    /// Buffers of each queue pair beside those that it needs, for devices that keep some: net_pcap with infinite_rx keeps
    /// every frame of its file.
    pub spare_mbufs: u32,
    /// Whether its queues are to tell of arrivals, where the device can: for workers that sleep.
    pub interrupts: bool,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { queues: 1, mtu: MTU_BYTES_DEFAULT, promiscuous: false, spare_mbufs: 0, interrupts: false }
    }
}

/// Whether the port's cable carries anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// True where it does.
    pub up: bool,
    /// Its speed; a made-up one for virtual devices.
    pub speed_mbps: u32,
}

/// What the device counts itself, since the port was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStatistics {
    /// Frames lost because no worker fetched them in time.
    pub rx_missed: u64,
    /// Frames that arrived damaged.
    pub rx_errors: u64,
    /// Frames lost because the pool was empty.
    pub rx_without_mbuf: u64,
    /// Frames that the device failed to send.
    pub tx_errors: u64,
}

/// A port that is up. It is stopped and its device removed when this and all its [`PortQueue`]s are dropped.
#[derive(Clone, Debug)]
pub struct Port {
    /// What it shares with its queue pairs.
    shared: Arc<PortShared>,
    /// What it was set up with.
    setup: PortSetup,
}

/// What a port and its queue pairs share. Exists only for a port that is set up (`port-open`), or being so.
#[derive(Debug)]
pub(super) struct PortShared {
    /// DPDK's number.
    pub(super) id: u16,
    /// What it was made of.
    device: Device,
    /// Its MAC address.
    pub(super) mac: [u8; 6],
    /// How its queues tell of arrivals.
    pub(super) interrupts: Interrupts,
    /// A pool for every receive queue, so that a worker shares its buffers with no other.
    pub(super) pools: Vec<Mempool>,
    /// `eal-running`; dropped after the pools.
    pub(super) eal: Eal,
}

impl Port {
    /// Makes the device if it is a virtual one, sets it up and starts it. Every queue pair comes once.
    ///
    /// # Errors
    /// Where the driver is missing, a privilege is, or the device cannot do what is asked.
    pub fn open(eal: &Eal, device: &Device, options: PortOptions) -> Result<(Self, Vec<PortQueue>), DpdkError> {
        ProbedPort::new(eal, device)?.open(options)
    }

    /// A port that has been started.
    pub(super) fn new(shared: Arc<PortShared>, setup: PortSetup) -> Self {
        Self { shared, setup }
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.shared.device.name()
    }

    /// The MAC address, which replies come from.
    pub fn mac(&self) -> [u8; 6] {
        self.shared.mac
    }

    /// Largest IP packet, in bytes.
    pub fn mtu(&self) -> u16 {
        self.setup.mtu
    }

    /// Most bytes of a UDP payload that goes into one packet over IPv6, and so over IPv4: larger answers must not be made,
    /// because drivers send what they are given.
    pub fn udp_payload_bytes_max(&self) -> usize {
        // IPv6 header, UDP header; MTU_BYTES_MIN leaves enough.
        usize::from(self.setup.mtu) - 40 - 8
    }

    /// What it was set up with.
    pub fn setup(&self) -> &PortSetup {
        &self.setup
    }

    /// Whether the device spreads flows over its queues by their hash (RSS). Virtual devices have ways of their own.
    pub fn has_rss(&self) -> bool {
        self.setup.spread.is_there()
    }

    /// The link now.
    ///
    /// # Errors
    /// Where the driver does not tell.
    pub fn link(&self) -> Result<Link, DpdkError> {
        let (mut up, mut speed_mbps) = (0, 0);
        // SAFETY: `port-open`; both are written only.
        let ret = unsafe { ffi::ringdns_eth_link_get(self.shared.id, &raw mut up, &raw mut speed_mbps) };
        self.shared.check("link status", ret)?;
        // The drivers on an interface of the kernel never tell that it is down.
        Ok(Link { up: up != 0 && self.shared.device.has_carrier(), speed_mbps })
    }

    /// What the device counts itself.
    ///
    /// # Errors
    /// Where the driver does not tell.
    pub fn statistics(&self) -> Result<PortStatistics, DpdkError> {
        let mut stats = MaybeUninit::<ffi::rte_eth_stats>::zeroed();
        // SAFETY: `port-open`; the struct is written only.
        let ret = unsafe { ffi::rte_eth_stats_get(self.shared.id, stats.as_mut_ptr()) };
        self.shared.check("statistics", ret)?;
        // SAFETY: numbers only, all of them initialised above.
        let stats = unsafe { stats.assume_init() };
        Ok(PortStatistics {
            rx_missed: stats.imissed,
            rx_errors: stats.ierrors,
            rx_without_mbuf: stats.rx_nombuf,
            tx_errors: stats.oerrors,
        })
    }

    /// Buffers that are not in their pools: in descriptors, in the workers' hands.
    pub fn mbufs_in_use(&self) -> u32 {
        self.shared.pools.iter().map(Mempool::in_use).sum()
    }
}

impl PortShared {
    /// A port that is to be set up.
    pub(super) fn new(id: u16, device: &Device, eal: &Eal) -> Self {
        let (interrupts, pools) = (Interrupts::default(), Vec::new());
        Self { id, device: device.clone(), mac: [0; 6], interrupts, pools, eal: eal.clone() }
    }

    /// DPDK's number of the port.
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// `eal-running`.
    pub(super) fn eal(&self) -> &Eal {
        &self.eal
    }

    /// True where the driver has frames announced by a signal. Only the threads that poll such a port are to be interrupted.
    pub(super) fn has_signals(&self) -> bool {
        matches!(self.device.driver(), Some("net_tap" | "net_tun"))
    }

    /// An error of this port's device.
    pub(super) fn error(&self, problem: DeviceProblem) -> DpdkError {
        DpdkError::device(self.device.name(), problem)
    }

    /// An error where a call returned a negative error number.
    pub(super) fn check(&self, call: &'static str, ret: i32) -> Result<(), DpdkError> {
        if ret >= 0 {
            return Ok(());
        }
        Err(self.error(DeviceProblem::Call { call, reason: describe(ret) }))
    }

    /// The same, where a driver may lack the call.
    pub(super) fn check_unless_unsupported(&self, call: &'static str, ret: i32) -> Result<(), DpdkError> {
        if ret == -libc::ENOTSUP { Ok(()) } else { self.check(call, ret) }
    }
}

impl Drop for PortShared {
    fn drop(&mut self) {
        let log = LogCapture::start();
        // SAFETY: the port exists, and no queue of it is in use: the `PortQueue`s are gone. A port that never started may
        // be stopped too. An error leaves nothing to be done.
        unsafe { ffi::rte_eth_dev_stop(self.id) };
        // Brings the buffers home.
        // SAFETY: the port is stopped.
        unsafe { ffi::rte_eth_dev_close(self.id) };
        if let (false, Ok(name)) = (self.device.is_pci(), CString::new(self.device.name())) {
            // Unmakes the device, so that its name may be used again.
            // SAFETY: `eal-running`; both are strings with their end mark.
            unsafe { ffi::rte_eal_hotplug_remove(c"vdev".as_ptr(), name.as_ptr()) };
        }
        log.end();
    }
}
