//! Hands [`ringdns_fuzz::query`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::query(input));
