//! Schedulers with a real etcd: agents and leaders are lost, paused and cut off, and every target keeps an agent that is live.

#[path = "../common/mod.rs"]
mod common;
mod locks;
mod losses;
mod quorum;
mod role;
mod scanners;
mod scene;
