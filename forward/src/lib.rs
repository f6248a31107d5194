//! Names that are not ours: who is asked for them, how an answer is known to be theirs, and what is kept of it.
//!
//! ```text
//! question -> policy -> zone -> flight (one for all who ask the same) -> pick, hedge -> upstream -> normalise -> policy -> cache -> done
//! ```
#![deny(unsafe_code)]

mod askers;
mod beside;
mod bootstrap;
mod coredns;
mod counts;
mod exchange;
mod flight;
mod forwarder;
mod keep;
mod merge;
mod metrics;
pub mod normalise;
mod ours;
mod persist;
mod pick;
pub mod policy;
mod prefetch;
mod question;
mod rates;
mod resolve;
mod shown;
mod stale;
#[cfg(feature = "testing")]
pub mod testing;
pub mod upstream;
mod watch;
mod zones;

pub use exchange::{Connect, Exchange, Exchanged};
pub use forwarder::{Clock, Entry, Forwarder, Seams, Snapshots, StartError, ZoneUpstream};
