//! The control plane beside a real etcd: one program, because each would hold the whole control plane and take as long to link.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/containerdns.rs"]
mod interface;
#[path = "../common/etcd.rs"]
mod real;
#[path = "../common/etcd_source.rs"]
mod source;

mod containerdns;
mod containerdns_etcd;
mod reads;
mod store;
mod trees;
