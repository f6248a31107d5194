//! Wires RingDNS together. What there is to read is in the crates; see ARCHITECTURE.md.

mod cli;
mod preflight;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
