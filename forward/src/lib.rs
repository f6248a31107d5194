//! Names that are not ours: who is asked for them, how an answer is known to be theirs, and what is kept of it.
#![deny(unsafe_code)]

mod forwarder;
pub mod policy;

pub use forwarder::{Entry, Forwarder, Snapshots, StartError};
