//! The pure DNS engine.
#![warn(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::std_instead_of_core
)]
mod additional;
mod answer;
pub mod counters;
pub mod frame;
mod hash;
pub mod limits;
pub mod name;
pub mod publish;
pub mod query;
pub mod rtype;
pub mod serve;
pub mod snapshot;
pub mod verdict;
mod writer;
