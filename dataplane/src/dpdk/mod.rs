//! Ports of DPDK, behind safe wrappers over `ringdns-ffi`.
//!
//! ```no_run
//! use ringdns_dataplane::dpdk::{Device, Eal, EalOptions, Port, PortOptions};
//!
//! let device = Device::parse("net_tap0,iface=ringdns0")?;
//! let options = EalOptions { hugepages: false, memory_mib: 256, worker_cores: vec![1] };
//! let eal = Eal::start(&options, &[device.clone()])?;
//! let (port, queues) = Port::open(&eal, &device, PortOptions::default())?;
//! assert_eq!(queues.len(), 1);
//! let mac = port.mac();
//! # let _ = mac;
//! # Ok::<(), ringdns_dataplane::dpdk::DpdkError>(())
//! ```
//!
//! Who holds what: a [`PortQueue`] holds its port, a port its buffer pools, all of them the EAL. So things end in the
//! right order, whatever order they are dropped in: the port is stopped and closed, which removes a TAP interface and
//! brings the buffers home, the pools are freed, the EAL is cleaned up.
//!
//! This folder is one of the few places where `unsafe` may stand. The invariants that its blocks cite:
//!
//! - `eal-running`: whoever holds an [`Eal`] may call DPDK, because the EAL is cleaned up when the last one is dropped.
//! - `port-open`: whoever holds the shared part of a port has a port that is configured and started.
//! - `one-owner`: there is one [`PortQueue`] for each queue pair of a port, and its calls take `&mut self`.
//! - `mbuf-owned`: an [`Mbuf`] is the only reference to its buffer, on the Rust side and the other.
//! - `pool-outlives-mbufs`: a pool is freed only when all its buffers are in it; one that lacks some is left to the end
//!   of the process, and the EAL's memory with it.

mod device;
mod eal;
mod error;
mod interrupts;
mod kernel;
mod mbuf;
mod mempool;
mod port;
mod probe;
mod queue;
mod setup;
mod threads;
mod tun;

pub use device::Device;
pub use eal::{Eal, EalOptions};
pub use error::{DeviceProblem, DpdkError};
pub use kernel::{KernelDevice, kernel_spare_mbufs, open_kernel_interface};
pub use mbuf::Mbuf;
pub use mempool::Mempool;
pub use port::{Link, Port, PortOptions, PortStatistics};
pub use probe::ProbedPort;
pub use queue::PortQueue;
pub use setup::{PortSetup, Spread};
pub use threads::prepare_control_threads;
pub use tun::open_tun;
