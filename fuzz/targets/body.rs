//! Hands [`ringdns_fuzz::body`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::body(input));
