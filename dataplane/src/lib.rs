//! Poll-mode workers and the NICs they serve.
//!
//! A worker is one thread on one CPU of its own. It owns one receive and one transmit queue of every port and goes round
//! them for ever: take a burst of frames, have [`ringdns_engine::serve::Server`] turn the queries among them into replies
//! in the same buffers, send those. It meets nobody else on that way: records come by
//! [`ringdns_engine::publish::Reader`], figures leave by [`ringdns_engine::counters::Counters`], and the only thing it is
//! ever told is to stop.
//!
//! Read in this order:
//!
//! 1. [`nic`]: the three calls that a worker makes to a network interface.
//! 2. [`worker`]: the loop itself.
//! 3. [`workers`]: the threads, started pinned and stopped together; [`idle`]: what they do while nothing arrives; [`sleep`]:
//!    how they are woken.
//! 4. [`plan`]: which worker has which queue; [`numa`]: where the CPUs are; [`kernel`]: where everything
//!    goes that is not DNS for us; [`forward`]: where queries for names of others go; [`exchange`]: how a worker comes by a new configuration.
//! 5. [`memnic`] and [`replay`]: interfaces in memory, so that all of the above is tested on any machine.
//! 6. `dpdk` (with the feature of that name): the real interfaces, by safe wrappers over `ringdns-ffi`.
//!
//! ```
//! use std::sync::Arc;
//! use ringdns_dataplane::{idle::Idle, memnic::MemNic, worker::Worker, workers::{Workers, available_cores}};
//! use ringdns_engine::{publish::Publisher, serve::{ChaosConfig, EdnsConfig, Server, ServerConfig}};
//! use ringdns_engine::snapshot::Snapshot;
//!
//! let publisher = Publisher::new(Snapshot::empty());
//! let (nic, _wire) = MemNic::new(256);
//! let config = ServerConfig {
//!     mac: [2, 0, 0, 0, 0, 1],
//!     addresses: vec!["192.0.2.53".parse()?],
//!     dns_port: 53,
//!     udp_answer_bytes_max: 1232,
//!     answer_local: true,
//!     vlan: None,
//!     hides_aaaa: false,
//!     edns: EdnsConfig::default(),
//!     chaos: ChaosConfig::default(),
//!     rate_limit: None,
//!     recall: None,
//! };
//! let worker = Worker::new([(nic, Server::new(&config))], publisher.reader(), Arc::default(), Idle::Sleep);
//!
//! let workers = Workers::start(vec![(available_cores()[0], worker)])?;
//! let ended = workers.join()?;
//! assert_eq!(ended.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod exchange;
pub mod forward;
pub mod idle;
pub mod kernel;
pub mod limits;
pub mod memnic;
pub mod nic;
pub mod numa;
pub mod plan;
pub mod replay;
pub mod sleep;
pub mod worker;
pub mod workers;
