//! One exchange with one upstream, against upstreams on loopback that do as they are told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what a test cannot set up ends it")]

mod asking;
mod certificates;
mod cookies;
mod double;
mod health;
mod hostile;
mod https;
mod reply;
mod spoofed;
mod streams;
mod tls;
mod udp;
