//! Hands [`ringdns_fuzz::zonefile`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::zonefile(input));
