//! What a machine needs for RingDNS: hugepages, NICs that a process may drive, and the rights to do so.
//!
//! - [`probe`] and [`nic::nics`] read what there is; [`doctor::examine`] judges it and names what to do.
//! - [`reserve`], [`bind`] and [`permissions`] change it, each through a [`session::Session`], which can show its steps without
//!   taking them and takes them back where a later one fails.
//!
//! Everything is read below a [`Root`], so that tests can make machines up.
//!
//! ```no_run
//! let machine = ringdns_hugepages::probe()?;
//! println!("{} MiB free in hugepages", machine.free_bytes() >> 20);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod bind;
pub mod doctor;

pub mod error;
pub mod former;
pub mod kernel;
pub mod nic;
pub mod pages;
pub mod permissions;
pub mod process;
pub mod reserve;
pub mod root;
pub mod session;

#[cfg(test)]
mod testing;

pub use error::SetupError;
pub use pages::{Machine, PAGE_BYTES_1G, PAGE_BYTES_2M, PagePool, probe, probe_at};
pub use root::Root;
