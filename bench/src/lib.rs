//! What the benches share: zones of any size, frames that ask for their names, and how figures are reported.
//!
//! Timings of one run vary on shared machines; only ratios within one run are claims. See `README.md` beside this crate.

pub mod alloc;
pub mod capture;
pub mod claim;
pub mod cpu;
#[cfg(feature = "device")]
pub mod dnsperf;
pub mod report;
#[cfg(feature = "dpdk")]
pub mod round;
pub mod zone;

/// Errors of a bench are for its reader.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
