//! Wires RingDNS together. What there is to read is in the crates; see ARCHITECTURE.md.

mod answering;
mod cli;
mod coredns;
mod doctor;
mod forward;
mod health;
mod hold;
mod kernel;
mod kubesync;
mod node_local;
mod notify;
mod ports;
mod preflight;
mod reload;
mod run;
mod setup;
mod watch;

use std::process::ExitCode;

/// Asks for huge pages; see `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
