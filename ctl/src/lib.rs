//! What `ringdns` does on the command line beside serving.
//!
//! - [`apicmd`]: the record client of ContainerDNS and SkyDNS, under its own names and with its own words;
//! - [`import`]: `ringdns config import`, from others' configuration files to RingDNS's;
//! - [`commands`]: `ringdns ctl`, which speaks to the admin API of a running server.
//!
//! Nothing here serves DNS, and nothing here needs DPDK: each is a program that asks, prints and ends.

pub mod apicmd;
pub mod commands;
mod http;
pub mod import;
mod terminal;

pub use terminal::Terminal;
