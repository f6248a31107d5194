//! Starts RingDNS.
fn main() {}
