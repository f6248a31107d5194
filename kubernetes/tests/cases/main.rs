//! Objects to answers: the sample cases, the rules of the specification one by one, and any sequence of events; through a real
//! control plane, from whose snapshot the engine answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]
#![allow(clippy::print_stdout, reason = "where a sequence that fails began, and what was measured")]

mod bed;
mod forwarding;
mod manifests;
mod measure;
mod message;
mod objects;
mod others;
mod random;
mod rules;
mod samples;
mod transfers;
mod upstream;
mod vectors;
