//! Interfaces of other programs that RingDNS takes the place of, with their contracts: who spoke to them goes on unchanged.

pub(crate) mod cluster;
pub mod containerdns;
pub(crate) mod containerdns_stats;
pub mod kdns;
