//! Hands [`ringdns_fuzz::frame`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::frame(input));
