//! A port: one device, set up with one queue pair for each worker.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::Arc;

use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_ffi as ffi;

use super::device::Device;
use super::eal::Eal;
use super::error::{DeviceProblem, DpdkError, LogCapture, describe};
use super::mempool::Mempool;
use super::queue::PortQueue;
use crate::limits::{
    MEMPOOL_CACHE_MBUFS, MTU_BYTES_DEFAULT, MTU_BYTES_MAX, MTU_BYTES_MIN, RX_DESCRIPTORS, RX_DESCRIPTORS_MAX,
    TX_DESCRIPTORS,
};

/// How a port is set up.
#[derive(Clone, Copy, Debug)]
pub struct PortOptions {
    /// Queue pairs: one for each worker.
    pub queues: u16,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// Whether frames for other MAC addresses come in too.
    pub promiscuous: bool,
    /// Buffers of each queue pair beside those that it needs, for devices that keep some: net_pcap with infinite_rx keeps
    /// every frame of its file.
    pub spare_mbufs: u32,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { queues: 1, mtu: MTU_BYTES_DEFAULT, promiscuous: false, spare_mbufs: 0 }
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
pub struct Port(Arc<PortShared>);

/// What a port and its queue pairs share. Exists only for a port that is set up (`port-open`), or being so.
#[derive(Debug)]
pub(super) struct PortShared {
    /// DPDK's number.
    id: u16,
    /// What it was made of.
    device: Device,
    /// Its MAC address.
    mac: [u8; 6],
    /// Largest IP packet, in bytes.
    mtu: u16,
    /// Whether the device spreads flows over its queues by their hash.
    rss: bool,
    /// A pool for every receive queue, so that a worker shares its buffers with no other.
    pools: Vec<Mempool>,
    /// `eal-running`; dropped after the pools.
    eal: Eal,
}

impl Port {
    /// Makes the device if it is a virtual one, sets it up and starts it. Every queue pair comes once.
    ///
    /// # Errors
    /// Where the driver is missing, a privilege is, or the device cannot do what is asked.
    pub fn open(eal: &Eal, device: &Device, options: PortOptions) -> Result<(Self, Vec<PortQueue>), DpdkError> {
        device.check_surroundings()?;
        let id = find_or_make(device)?;
        // From here on its drop closes the port, whatever fails.
        let mut shared = PortShared {
            id,
            device: device.clone(),
            mac: [0; 6],
            mtu: options.mtu,
            rss: false,
            pools: Vec::with_capacity(usize::from(options.queues)),
            eal: eal.clone(),
        };
        shared.set_up(options)?;
        let shared = Arc::new(shared);
        let queues = (0..options.queues).map(|queue| PortQueue::new(Arc::clone(&shared), queue)).collect();
        Ok((Self(shared), queues))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.0.device.name()
    }

    /// The MAC address, which replies come from.
    pub fn mac(&self) -> [u8; 6] {
        self.0.mac
    }

    /// Largest IP packet, in bytes.
    pub fn mtu(&self) -> u16 {
        self.0.mtu
    }

    /// Most bytes of a UDP payload that goes into one packet over IPv6, and so over IPv4: larger answers must not be made,
    /// because drivers send what they are given.
    pub fn udp_payload_bytes_max(&self) -> usize {
        // IPv6 header, UDP header; MTU_BYTES_MIN leaves enough.
        usize::from(self.0.mtu) - 40 - 8
    }

    /// Whether the device spreads flows over its queues by their hash (RSS). Virtual devices have ways of their own.
    pub fn has_rss(&self) -> bool {
        self.0.rss
    }

    /// The link now.
    ///
    /// # Errors
    /// Where the driver does not tell.
    pub fn link(&self) -> Result<Link, DpdkError> {
        let (mut up, mut speed_mbps) = (0, 0);
        // SAFETY: `port-open`; both are written only.
        let ret = unsafe { ffi::ringdns_eth_link_get(self.0.id, &raw mut up, &raw mut speed_mbps) };
        self.0.check("link status", ret)?;
        // The drivers on an interface of the kernel never tell that it is down.
        Ok(Link { up: up != 0 && self.0.device.has_carrier(), speed_mbps })
    }

    /// What the device counts itself.
    ///
    /// # Errors
    /// Where the driver does not tell.
    pub fn statistics(&self) -> Result<PortStatistics, DpdkError> {
        let mut stats = MaybeUninit::<ffi::rte_eth_stats>::zeroed();
        // SAFETY: `port-open`; the struct is written only.
        let ret = unsafe { ffi::rte_eth_stats_get(self.0.id, stats.as_mut_ptr()) };
        self.0.check("statistics", ret)?;
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
        self.0.pools.iter().map(Mempool::in_use).sum()
    }
}

impl PortShared {
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

    /// Configures the port and starts it.
    fn set_up(&mut self, options: PortOptions) -> Result<(), DpdkError> {
        let info = self.info()?;
        self.check_limits(&info, options)?;
        let log = LogCapture::start();
        let outcome = self.configure(&info, options).and_then(|()| {
            let depths = self.queue_depths(&info)?;
            for queue in 0..options.queues {
                self.set_up_queue(&info, queue, depths, options)?;
            }
            self.start(options)
        });
        let log = log.end();
        outcome.map_err(|error| error.with_log(&log))
    }

    /// What the device can do.
    fn info(&self) -> Result<ffi::rte_eth_dev_info, DpdkError> {
        let mut info = MaybeUninit::<ffi::rte_eth_dev_info>::zeroed();
        // SAFETY: the port exists; the struct is written only.
        let ret = unsafe { ffi::rte_eth_dev_info_get(self.id, info.as_mut_ptr()) };
        self.check("rte_eth_dev_info_get", ret)?;
        // SAFETY: numbers and pointers that may be null; zeroed, then filled in.
        Ok(unsafe { info.assume_init() })
    }

    /// Refuses what the device cannot do, with words of ours.
    fn check_limits(&self, info: &ffi::rte_eth_dev_info, options: PortOptions) -> Result<(), DpdkError> {
        let most = info.max_rx_queues.min(info.max_tx_queues);
        if options.queues == 0 || options.queues > most {
            return Err(self.error(DeviceProblem::Queues { wanted: options.queues, most }));
        }
        let most = if info.max_mtu == 0 { MTU_BYTES_MAX } else { info.max_mtu.min(MTU_BYTES_MAX) };
        let least = MTU_BYTES_MIN.max(info.min_mtu);
        if !(least..=most).contains(&options.mtu) {
            return Err(self.error(DeviceProblem::Mtu { wanted: options.mtu, least, most }));
        }
        Ok(())
    }

    /// Number of queues, MTU, RSS.
    fn configure(&mut self, info: &ffi::rte_eth_dev_info, options: PortOptions) -> Result<(), DpdkError> {
        // SAFETY: numbers, and pointers that may be null.
        let mut conf: ffi::rte_eth_conf = unsafe { MaybeUninit::zeroed().assume_init() };
        conf.rxmode.mtu = u32::from(options.mtu);
        // Addresses and ports as far as the device can: a resolver sends from many ports.
        let hash = info.flow_type_rss_offloads & ffi::RINGDNS_RSS_IP_UDP_TCP;
        self.rss = options.queues > 1 && hash != 0;
        if self.rss {
            conf.rxmode.mq_mode = ffi::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = hash;
        }
        // SAFETY: the port exists and is stopped; the struct is copied.
        let ret = unsafe { ffi::rte_eth_dev_configure(self.id, options.queues, options.queues, &raw const conf) };
        self.check("rte_eth_dev_configure", ret)
    }

    /// Receive and transmit descriptors of each queue.
    fn queue_depths(&self, info: &ffi::rte_eth_dev_info) -> Result<(u16, u16), DpdkError> {
        let recommended = |ring_size: u16, default: u16| if ring_size == 0 { default } else { ring_size };
        let most = u16::try_from(RX_DESCRIPTORS_MAX).unwrap_or(u16::MAX);
        let mut rx = recommended(info.default_rxportconf.ring_size, RX_DESCRIPTORS).min(most);
        let mut tx = recommended(info.default_txportconf.ring_size, TX_DESCRIPTORS).min(most);
        // SAFETY: the port exists; both numbers are moved into the device's bounds.
        let ret = unsafe { ffi::rte_eth_dev_adjust_nb_rx_tx_desc(self.id, &raw mut rx, &raw mut tx) };
        self.check("rte_eth_dev_adjust_nb_rx_tx_desc", ret)?;
        Ok((rx, tx))
    }

    /// A pool, the receive queue that fills its buffers, and the transmit queue beside it.
    fn set_up_queue(
        &mut self,
        info: &ffi::rte_eth_dev_info,
        queue: u16,
        (rx, tx): (u16, u16),
        options: PortOptions,
    ) -> Result<(), DpdkError> {
        // SAFETY: the port exists.
        let numa_node = unsafe { ffi::rte_eth_dev_socket_id(self.id) };
        let mbufs = pool_mbufs(rx, tx).saturating_add(options.spare_mbufs);
        let frame_bytes = frame_bytes(options.mtu);
        let pool = Mempool::new(&self.eal, mbufs, frame_bytes, numa_node).map_err(|reason| {
            self.error(DeviceProblem::Pool { needed_mib: Mempool::bytes(mbufs, frame_bytes) >> 20, reason })
        })?;
        // Before anything else: the queue refers to it until the port is closed.
        self.pools.push(pool);
        let Some(pool) = self.pools.last() else { return Ok(()) };
        // Any node, -1, is the largest number in these calls.
        let node = numa_node.cast_unsigned();
        // SAFETY: the port is configured and stopped; the pool is dropped after the port is closed.
        let ret = unsafe {
            ffi::rte_eth_rx_queue_setup(self.id, queue, rx, node, &raw const info.default_rxconf, pool.as_ptr())
        };
        self.check("rte_eth_rx_queue_setup", ret)?;
        // SAFETY: the port is configured and stopped.
        let ret = unsafe { ffi::rte_eth_tx_queue_setup(self.id, queue, tx, node, &raw const info.default_txconf) };
        self.check("rte_eth_tx_queue_setup", ret)
    }

    /// Starts the port and has it receive what is for us: its own address and groups.
    fn start(&mut self, options: PortOptions) -> Result<(), DpdkError> {
        // A TAP interface gets its MTU by this call only; drivers without it took the one of the configuration.
        // SAFETY: the port is configured and stopped.
        let ret = unsafe { ffi::rte_eth_dev_set_mtu(self.id, options.mtu) };
        self.check_unless_unsupported("rte_eth_dev_set_mtu", ret)?;
        // SAFETY: the port is configured and all its queues are.
        let ret = unsafe { ffi::rte_eth_dev_start(self.id) };
        self.check("rte_eth_dev_start", ret)?;
        let ret = if options.promiscuous {
            // SAFETY: the port is started.
            unsafe { ffi::rte_eth_promiscuous_enable(self.id) }
        } else {
            // SAFETY: the port is started.
            unsafe { ffi::rte_eth_promiscuous_disable(self.id) }
        };
        self.check_unless_unsupported("promiscuous mode", ret)?;
        // Neighbour solicitations go to a group of their address (RFC 4291 section 2.7.1).
        // SAFETY: the port is started.
        let ret = unsafe { ffi::rte_eth_allmulticast_enable(self.id) };
        self.check_unless_unsupported("rte_eth_allmulticast_enable", ret)?;
        let mut mac = ffi::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the port is started; the struct is written only.
        let ret = unsafe { ffi::rte_eth_macaddr_get(self.id, &raw mut mac) };
        self.check("rte_eth_macaddr_get", ret)?;
        self.mac = mac.addr_bytes;
        Ok(())
    }

    /// An error of this port's device.
    fn error(&self, problem: DeviceProblem) -> DpdkError {
        DpdkError::device(self.device.name(), problem)
    }

    /// An error where a call returned a negative error number.
    fn check(&self, call: &'static str, ret: i32) -> Result<(), DpdkError> {
        if ret >= 0 {
            return Ok(());
        }
        Err(self.error(DeviceProblem::Call { call, reason: describe(ret) }))
    }

    /// The same, where a driver may lack the call.
    fn check_unless_unsupported(&self, call: &'static str, ret: i32) -> Result<(), DpdkError> {
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

/// Buffers of a queue pair.
fn pool_mbufs(rx: u16, tx: u16) -> u32 {
    let bursts = u32::try_from(BURST_FRAMES_MAX).unwrap_or(u32::MAX);
    // waiting for frames
    u32::from(rx)
        // replies that the device has not sent yet
        + u32::from(tx)
        // in the worker's hands
        + bursts
        // resting in the worker's cache, which is emptied at one and a half times its size
        + MEMPOOL_CACHE_MBUFS * 3 / 2
        // fetched ahead by the driver, or held as spares
        + bursts
}

/// Room for a frame: the largest that the MTU allows, or a largest answer's worth where that is smaller. Drivers size
/// their receive buffers in steps of 1 KiB.
fn frame_bytes(mtu: u16) -> u16 {
    // Ethernet header, two VLAN tags, frame check sequence.
    let largest = u32::from(mtu) + 14 + 8 + 4;
    let room = largest.max(2048).next_multiple_of(1024);
    u16::try_from(room).unwrap_or(u16::MAX)
}

/// The port's number; a virtual device is made first.
fn find_or_make(device: &Device) -> Result<u16, DpdkError> {
    let error = |problem| DpdkError::device(device.name(), problem);
    let text = |text: &str| CString::new(text).map_err(|_| error(DeviceProblem::Syntax));
    if !device.is_pci() {
        let arguments = text(device.arguments())?;
        let log = LogCapture::start();
        // SAFETY: `eal-running`, by the caller's `Eal`; the string is copied.
        let ret = unsafe { ffi::rte_dev_probe(arguments.as_ptr()) };
        let reason = log.reason(&describe(ret));
        // No bus knows the name where no driver does; see rte_devargs_parse.
        if ret == -libc::EFAULT || ret == -libc::ENODEV {
            return Err(error(DeviceProblem::NoDriver { package: device.package(), reason }));
        }
        if ret < 0 {
            return Err(error(DeviceProblem::Probe(reason)));
        }
    }
    let name = text(device.name())?;
    let mut id = 0;
    // SAFETY: `eal-running`; the number is written only.
    match unsafe { ffi::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) } {
        0 => Ok(id),
        _ if device.is_pci() => Err(error(DeviceProblem::NotBound)),
        ret => Err(error(DeviceProblem::Probe(describe(ret)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mtu_fits_a_buffer() {
        for mtu in MTU_BYTES_MIN..=MTU_BYTES_MAX {
            let room = frame_bytes(mtu);
            assert!(room >= mtu + 26 && room.is_multiple_of(1024), "{mtu}: {room}");
        }
    }

    #[test]
    fn a_pool_holds_more_than_both_queues() {
        assert!(pool_mbufs(1024, 1024) > 2048 + MEMPOOL_CACHE_MBUFS);
    }
}
