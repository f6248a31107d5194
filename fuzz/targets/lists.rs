//! Hands [`ringdns_fuzz::lists`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::lists(input));
