//! Objects to answers: the sample cases, the rules of the specification one by one, and any sequence of events; through a real
//! control plane, from whose snapshot the engine answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

mod bed;
mod measure;
mod message;
mod objects;
mod random;
mod rules;
mod samples;
mod transfers;
mod vectors;
