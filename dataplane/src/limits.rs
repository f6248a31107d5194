//! Bounds of the data plane, each with its unit in its name and the reason beside it.

/// Receive descriptors of a queue of a physical NIC, unless its driver recommends another number: 100 us at 10 million
/// frames a second, which is a nap of an idle worker with its timer slack.
pub const RX_DESCRIPTORS: u16 = 1024;

/// Most receive descriptors of a queue, whatever a driver recommends.
pub const RX_DESCRIPTORS_MAX: usize = 4096;

/// Transmit descriptors of a queue, unless the driver recommends another number.
pub const TX_DESCRIPTORS: u16 = 1024;

/// Most queue pairs of a port, which is most workers.
pub const WORKERS_MAX: usize = 64;

/// Smallest MTU: IPv6 demands it (RFC 8200 section 5).
pub const MTU_BYTES_MIN: u16 = 1280;

/// Largest MTU: the largest frame must fit one buffer.
pub const MTU_BYTES_MAX: u16 = 9000;

/// The usual MTU.
pub const MTU_BYTES_DEFAULT: u16 = 1500;

/// Buffers that a worker's mempool cache holds at most: DPDK allows 512; one refill serves four bursts.
pub const MEMPOOL_CACHE_MBUFS: u32 = 256;

/// Frames that wait for the kernel at most, of each queue pair: what holds up sessions and routes. A nap of the thread that
/// takes them, 100 us with the timer slack, is as long as 800 of the largest frames at a hundred gigabits.
pub const KERNEL_SESSION_FRAMES: usize = 1024;

/// The same of all else, which is less worth keeping.
pub const KERNEL_REST_FRAMES: usize = 256;

/// Descriptors of the queues of a kernel interface, where its driver has any.
pub const KERNEL_DESCRIPTORS: u16 = 1024;

/// Frames of the kernel that wait for the wire at most, of each queue pair.
pub const KERNEL_WIRE_FRAMES: usize = 512;

/// Queries that wait for the forwarder's thread at most, of each queue pair.
pub const FORWARD_UP_FRAMES: usize = 256;

/// Bytes of the longest frame of a query that is taken: the usual MTU with Ethernet header and VLAN tag.
pub const FORWARD_UP_BYTES: usize = 1536;

/// Answers of others that wait for their worker at most, of each queue pair: one megabyte.
pub const FORWARD_DOWN_FRAMES: usize = 256;

/// Clients that wait for answers of others at most, of all ports: more than questions are asked at once, since many may wait
/// for one answer.
pub const FORWARD_WAITING_MAX: usize = 16_384;

const _: () = assert!(RX_DESCRIPTORS as usize <= RX_DESCRIPTORS_MAX);
const _: () = assert!(MTU_BYTES_MIN <= MTU_BYTES_DEFAULT && MTU_BYTES_DEFAULT <= MTU_BYTES_MAX);
