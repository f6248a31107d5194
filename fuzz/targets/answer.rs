//! Hands [`ringdns_fuzz::answer`] to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringdns_fuzz::answer(input));
