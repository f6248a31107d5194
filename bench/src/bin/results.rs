//! Prints the table of all that the benches claimed in `target/bench/results.json`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().lock().write_all(ringdns_bench::claim::table()?.as_bytes())
}
