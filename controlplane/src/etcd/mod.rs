//! etcd as a source: the records that ContainerDNS, SkyDNS, CoreDNS's etcd plugin, external-dns and kdns-agent keep there, and
//! the status of addresses that ContainerDNS's checkers write.
//!
//! ```text
//! list (pages of one revision) -> model <- watch (from the next revision)        model -> changes -> sink
//!                                  |  ^
//!                                  v  |
//!                              copy on disk
//! ```
//!
//! `layout` says what a key and its value mean, `containerdns`, `skydns` and `kdns` each for one tree, `status` for addresses;
//! `model` keeps the keys and makes owners of them, by `rrsets`; `client` speaks to etcd; `source` is what happens in which order. A listing is
//! compared with what is known already, so that coming back after a lost watch publishes what has changed and nothing else.

mod cache;
mod client;
mod containerdns;
pub(crate) mod follow;
mod kdns;
pub(crate) mod kv;
mod layout;
mod model;
pub(crate) mod reach;
mod rrsets;
mod skydns;
pub(crate) mod source;
pub(crate) mod state;
mod status;

#[cfg(test)]
mod tests;

pub use client::{MESSAGE_BYTES_MAX, PAGE_KEYS, SessionError, connect, within};
pub use layout::{Generation, Layout, Tree};
