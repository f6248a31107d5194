//! A cluster written through to a real etcd.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

mod answers;
mod faults;
mod layouts;
mod leaders;
mod others;
mod scene;
