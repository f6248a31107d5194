//! The pure DNS engine.
pub mod counters;
pub mod frame;
pub mod limits;
pub mod name;
pub mod publish;
pub mod serve;
pub mod snapshot;
pub mod verdict;
