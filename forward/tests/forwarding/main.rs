//! The forwarder, with upstreams that say what the tests want at a time that passes when they say so.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod answers;
mod chains;
mod common;
mod failures;
mod keeping;
mod named;
mod network;
mod normalise;
mod policies;
mod refresh;
mod seen;
mod under_way;
