//! What the benches share: zones of any size, frames that ask for their names, and how figures are reported.
//!
//! Timings of one run vary on shared machines; only ratios within one run are claims. See `README.md` beside this crate.

pub mod capture;
pub mod report;
pub mod zone;
