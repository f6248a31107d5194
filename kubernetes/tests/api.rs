//! Following an API server: what is told is what a listing says, whatever goes wrong in between; and what of it is written to etcd.

mod double;
#[path = "../../controlplane/tests/common/etcd.rs"]
mod etcd;
mod follow;
#[allow(dead_code, reason = "the tests of records use all of it")]
#[allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]
#[path = "cases/message.rs"]
mod message;
mod sync;
