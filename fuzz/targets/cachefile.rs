//! Hands [`ringdns_fuzz::cachefile`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::cachefile(input));
