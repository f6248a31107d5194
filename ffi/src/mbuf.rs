//! The packet buffer's header, laid out by hand.
//!
//! Between 22.11 and 24.11 DPDK moved the fields of `struct rte_mbuf` into other anonymous unions, which changes the
//! names that bindgen makes up, while the bytes stayed where they are. So the bytes are named here; `shim.c` asserts the
//! same offsets against the headers that it is compiled with.

use core::mem::{offset_of, size_of};

/// `struct rte_mbuf`. Fields without `pub` are there for the layout alone.
#[repr(C)]
pub struct rte_mbuf {
    /// Start of the buffer, headroom included.
    pub buf_addr: *mut u8,
    /// The same for the device.
    buf_iova: u64,
    /// Bytes from the buffer's start to the frame.
    pub data_off: u16,
    /// References; always one here.
    refcnt: u16,
    /// Buffers that the frame spans.
    pub nb_segs: u16,
    /// The port it came in by.
    port: u16,
    /// Flags of both directions.
    pub ol_flags: u64,
    /// What the device found out about the headers.
    packet_type: u32,
    /// Bytes of the frame over all its buffers.
    pub pkt_len: u32,
    /// Bytes of the frame in this buffer.
    pub data_len: u16,
    /// VLAN tag that the device took out.
    vlan_tci: u16,
    /// RSS hash and its relatives.
    hash: [u32; 2],
    /// Outer VLAN tag that the device took out.
    vlan_tci_outer: u16,
    /// Bytes of the buffer, headroom included.
    pub buf_len: u16,
    /// Pool, next buffer, transmit hints, dynamic fields.
    rest: [u64; 9],
}

const _: () = assert!(size_of::<rte_mbuf>() == 128);
const _: () = assert!(offset_of!(rte_mbuf, buf_addr) == 0);
const _: () = assert!(offset_of!(rte_mbuf, data_off) == 16);
const _: () = assert!(offset_of!(rte_mbuf, nb_segs) == 20);
const _: () = assert!(offset_of!(rte_mbuf, ol_flags) == 24);
const _: () = assert!(offset_of!(rte_mbuf, pkt_len) == 36);
const _: () = assert!(offset_of!(rte_mbuf, data_len) == 40);
const _: () = assert!(offset_of!(rte_mbuf, buf_len) == 54);
