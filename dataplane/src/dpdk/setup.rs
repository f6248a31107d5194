//! How a port is set up: limits, queues, buffers, RSS, interrupts.

use std::ffi::CStr;
use std::fmt;
use std::mem::MaybeUninit;

use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_ffi as ffi;

use super::error::{DeviceProblem, DpdkError, LogCapture};
use super::interrupts::Interrupts;
use super::mempool::Mempool;
use super::port::{PortOptions, PortShared};
use crate::limits::{
    MEMPOOL_CACHE_MBUFS, MTU_BYTES_MAX, MTU_BYTES_MIN, RX_DESCRIPTORS, RX_DESCRIPTORS_MAX, TX_DESCRIPTORS,
};

impl PortShared {
    /// Configures the port and starts it.
    pub(super) fn set_up(
        &mut self,
        info: &ffi::rte_eth_dev_info,
        mut options: PortOptions,
    ) -> Result<PortSetup, DpdkError> {
        self.check_limits(info, options)?;
        options.interrupts &= INTERRUPT_DRIVERS.contains(&driver_name(info).as_str());
        loop {
            let log = LogCapture::start();
            let outcome = self.configure_and_start(info, options);
            let log = log.end();
            if outcome.is_ok() || !options.interrupts {
                return outcome.map_err(|error| error.with_log(&log));
            }
            // Some drivers refuse to start where their interrupts are asked for and cannot be had; without, they can.
            options.interrupts = false;
            // SAFETY: the port exists; one that did not start may be stopped too.
            unsafe { ffi::rte_eth_dev_stop(self.id) };
        }
    }

    /// One try of it.
    fn configure_and_start(
        &mut self,
        info: &ffi::rte_eth_dev_info,
        options: PortOptions,
    ) -> Result<PortSetup, DpdkError> {
        let spread = self.configure(info, options)?;
        let depths = self.queue_depths(info)?;
        for queue in 0..options.queues {
            self.set_up_queue(info, queue, depths, options)?;
        }
        self.start(options)?;
        self.interrupts = Interrupts::of(self.id, if options.interrupts { options.queues } else { 0 });
        let (rx_descriptors, tx_descriptors) = depths;
        Ok(PortSetup {
            driver: driver_name(info),
            queues: options.queues,
            rx_descriptors,
            tx_descriptors,
            mtu: options.mtu,
            spread,
            interrupts: self.interrupts.is_there(),
            numa_node: self.numa_node(),
        })
    }

    /// The NUMA node that the device is attached to, where DPDK knows it.
    pub(super) fn numa_node(&self) -> Option<u32> {
        // SAFETY: the port exists.
        u32::try_from(unsafe { ffi::rte_eth_dev_socket_id(self.id) }).ok()
    }

    /// What the device can do.
    pub(super) fn info(&self) -> Result<ffi::rte_eth_dev_info, DpdkError> {
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
        let most = mtu_max(info);
        let least = MTU_BYTES_MIN.max(info.min_mtu);
        if !(least..=most).contains(&options.mtu) {
            return Err(self.error(DeviceProblem::Mtu { wanted: options.mtu, least, most }));
        }
        Ok(())
    }

    /// Number of queues, MTU, RSS, interrupts. No offloads are asked for; ARCHITECTURE.md says why.
    fn configure(&mut self, info: &ffi::rte_eth_dev_info, options: PortOptions) -> Result<Spread, DpdkError> {
        // SAFETY: numbers, and pointers that may be null.
        let mut conf: ffi::rte_eth_conf = unsafe { MaybeUninit::zeroed().assume_init() };
        conf.rxmode.mtu = u32::from(options.mtu);
        // Addresses and ports as far as the device can: a resolver sends from many ports.
        let spread = if options.queues > 1 { Spread::of(info.flow_type_rss_offloads) } else { Spread::default() };
        if spread.is_there() {
            conf.rxmode.mq_mode = ffi::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = spread.hash();
        }
        conf.intr_conf.set_rxq(u32::from(options.interrupts));
        // SAFETY: the port exists and is stopped; the struct is copied.
        let ret = unsafe { ffi::rte_eth_dev_configure(self.id, options.queues, options.queues, &raw const conf) };
        self.check("rte_eth_dev_configure", ret)?;
        Ok(spread)
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
        // A second try has the pools of the first.
        if self.pools.len() <= usize::from(queue) {
            let mbufs = pool_mbufs(rx, tx).saturating_add(options.spare_mbufs);
            let frame_bytes = frame_bytes(options.mtu);
            let pool = Mempool::new(&self.eal, mbufs, frame_bytes, numa_node).map_err(|reason| {
                self.error(DeviceProblem::Pool { needed_mib: Mempool::bytes(mbufs, frame_bytes) >> 20, reason })
            })?;
            // Before anything else: the queue refers to it until the port is closed.
            self.pools.push(pool);
        }
        let Some(pool) = self.pools.get(usize::from(queue)) else { return Ok(()) };
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
}

/// Drivers whose receive interrupts were seen to wake a worker. More drivers claim to have some, and a worker that trusts them
/// in vain finds each frame only when its wait is over: so it was with `net_e1000_em` (QEMU's e1000e by vfio-pci). Workers with
/// a port of another driver nap.
const INTERRUPT_DRIVERS: [&str; 3] = ["net_tap", "net_virtio_user", "net_virtio"];

/// What a port was set up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// The driver's name for itself.
    pub driver: String,
    /// Queue pairs.
    pub queues: u16,
    /// Descriptors of each receive queue.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue.
    pub tx_descriptors: u16,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// By what the device spreads flows over its queues.
    pub spread: Spread,
    /// Whether every queue tells of arrivals.
    pub interrupts: bool,
    /// The NUMA node that the device is attached to, where DPDK knows it.
    pub numa_node: Option<u32>,
}

/// By what a device spreads flows over its queues (RSS). Nothing: it does not, or has ways of its own as virtual devices do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread(u64);

/// What flows may be spread by, each with its flags.
const SPREADS: [(&str, u64); 4] = [
    ("IPv4", ffi::RINGDNS_RSS_IPV4),
    ("IPv6", ffi::RINGDNS_RSS_IPV6),
    ("UDP", ffi::RINGDNS_RSS_UDP),
    ("TCP", ffi::RINGDNS_RSS_TCP),
];

impl Spread {
    /// Addresses and ports as far as a device can: a resolver sends from many ports.
    fn of(device_flags: u64) -> Self {
        Self(device_flags & ffi::RINGDNS_RSS_IP_UDP_TCP)
    }

    /// True where flows are spread.
    pub fn is_there(self) -> bool {
        self.0 != 0
    }

    /// DPDK's flags.
    fn hash(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = SPREADS.iter().filter(|(_, flags)| self.0 & flags != 0).map(|(name, _)| *name).collect();
        f.write_str(if names.is_empty() { "-" } else { "" })?;
        f.write_str(&names.join("+"))
    }
}

/// The driver's name for itself.
fn driver_name(info: &ffi::rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return String::new();
    }
    // SAFETY: not null, so it is a string with its end mark that the driver keeps.
    unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
}

/// The largest MTU that a device and RingDNS allow.
pub(super) fn mtu_max(info: &ffi::rte_eth_dev_info) -> u16 {
    largest_mtu(info.max_mtu, info.max_rx_pktlen).min(MTU_BYTES_MAX)
}

/// The largest MTU of a device: some tell it, others the length of the largest frame, and DPDK holds them to the smaller.
fn largest_mtu(max_mtu: u16, max_frame_bytes: u32) -> u16 {
    // Where a driver tells both, what lies between them is what it adds to a packet; else header and frame check sequence.
    let added = match max_frame_bytes.checked_sub(u32::from(max_mtu)) {
        Some(added) if max_mtu != u16::MAX && max_mtu != 0 => added,
        _ => 14 + 4,
    };
    let by_frame = match max_frame_bytes {
        0 => u16::MAX,
        bytes => u16::try_from(bytes.saturating_sub(added)).unwrap_or(u16::MAX),
    };
    if max_mtu == 0 { by_frame } else { by_frame.min(max_mtu) }
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
    fn what_flows_are_spread_by_is_named() {
        assert_eq!(Spread::of(u64::MAX).to_string(), "IPv4+IPv6+UDP+TCP");
        assert_eq!(Spread::of(ffi::RINGDNS_RSS_IPV4).to_string(), "IPv4");
        let nothing = Spread::of(0);
        assert_eq!((nothing.to_string().as_str(), nothing.is_there()), ("-", false));
    }

    #[test]
    fn the_largest_mtu_is_what_both_limits_leave() {
        // net_tap, net_null, net_af_xdp, a NIC with jumbo frames, a driver that tells nothing.
        for (max_mtu, max_frame_bytes, most) in [
            (u16::MAX, 1522, 1504),
            (u16::MAX, u32::MAX, u16::MAX),
            (3498, 3520, 3498),
            (9706, 9728, 9706),
            (0, 0, u16::MAX),
        ] {
            assert_eq!(largest_mtu(max_mtu, max_frame_bytes), most, "{max_mtu} {max_frame_bytes}");
        }
    }

    #[test]
    fn a_pool_holds_more_than_both_queues() {
        assert!(pool_mbufs(1024, 1024) > 2048 + MEMPOOL_CACHE_MBUFS);
    }
}
