//! The control plane as its users meet it: one program, because each would hold the whole control plane and take as long to link.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/kdns.rs"]
mod host;
#[path = "../common/schema.rs"]
mod schema;

mod cluster_http;
mod containerdns_stats;
mod disk;
mod durability;
mod foreign;
mod kdns;
mod kdns_agent;
mod observability;
mod openapi;
mod rest;
mod selection;
mod sockets;
mod transactions;
mod transfer;
mod views;
mod zone_files;
