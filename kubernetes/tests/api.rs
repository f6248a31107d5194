//! Following an API server: what is told is what a listing says, whatever goes wrong in between; and what of it is written to etcd.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]
#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

mod double;
#[path = "../../controlplane/tests/common/etcd.rs"]
mod etcd;
mod follow;
#[allow(dead_code, reason = "the tests of records use all of it")]
#[path = "cases/message.rs"]
mod message;
mod source;
mod sync;
