//! The control plane of RingDNS: it keeps the published snapshot true to its sources.
//!
//! ```text
//! sources (store | zone files | etcd) -> merge -> model -> compile -> publish
//! ```
//!
//! Read `cycle` first: everything that changes what is served goes through it. Then [`source`] and the sources
//! ([`store`], [`zonefile`], [`etcd`]), [`health`], `merge`, and [`api`], which reads the served snapshot and writes to the store. [`sockets`]
//! answers DNS from it over the kernel's own sockets.

pub mod api;
mod body;
pub mod canonical;
mod check;
pub mod compat;
pub mod config;
mod control;
mod cycle;
pub mod etcd;
mod feed;
pub mod foreign;
pub mod guest;
pub mod health;
mod http;
mod interfaces;
pub mod logging;
mod merge;
pub mod metrics;
pub mod model;
pub mod node_local;
pub mod ports;
mod process;
pub mod reload;
pub mod sockets;
pub mod source;
pub mod state;
mod stats;
pub mod store;
pub mod suffixes;
mod supervise;
pub mod text;
mod tls;
pub mod views;
pub mod zonefile;

pub use check::{CheckError, Checked, check_config};
pub use config::ClusterPort;
pub use control::{BuildInfo, ControlPlane, PendingReload, ReloadError, StartError};
pub use merge::Refusal;
pub use zonefile::source::Reload;
