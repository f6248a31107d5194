//! Hands [`ringdns_fuzz::reply`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::reply(input));
