//! Fuzz targets: functions that take any bytes and panic where something is wrong.
//!
//! `scripts/fuzz` lets libFuzzer look for such bytes; `tests/corpus.rs` replays those in `corpus/`, which is where every
//! input that once did harm belongs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a target states what it expects by failing")]

mod engine;
mod files;
mod forwarded;
mod others;
mod reply;
mod text;

pub use engine::{answer, frame, query};
pub use files::{cachefile, lists};
pub use forwarded::reply;
pub use text::{body, zonefile};

/// A target: a function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target with the name of its binary (after `fuzz_`) and of its folder below `corpus/`.
pub const TARGETS: [(&str, Target); 8] = [
    ("frame", frame),
    ("query", query),
    ("answer", answer),
    ("body", body),
    ("zonefile", zonefile),
    ("reply", forwarded::reply),
    ("cachefile", cachefile),
    ("lists", lists),
];
