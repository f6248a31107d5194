//! The pure DNS engine.
pub mod counters;
pub mod frame;
pub mod limits;
pub mod name;
pub mod verdict;
