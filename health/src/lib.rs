//! Health checking: the scanner checks targets, the scheduler says which scanner checks which, both by way of etcd.
//!
//! ```text
//! records, states --> scheduler --> jobs --> scanner --> states --> answers
//!                        ^                    |  |
//!                        +-- agents ----------+  +--> alerts
//! ```
//!
//! Keys and values are those of ContainerDNS, so that its dashboards and scripts go on working: [`keys`] and [`values`]. Everybody
//! who reads them follows a path ([`follow`]) over a connection that finds another member by itself ([`link`]); whoever writes
//! compares and swaps.

mod alert;
pub mod backoff;
mod chance;
pub mod clock;
pub mod follow;
pub mod insight;
pub mod keys;
pub mod lead;
pub mod link;
pub mod probe;
pub mod role;
pub mod scanner;
pub mod scheduler;
mod tls;
pub mod values;
mod web;
