//! The API server: what is read of it, and how it is followed.
//!
//! ```text
//! access --> link --> page, watch --> follow --> events
//!                                      |
//!                  item: JSON, cut down while it is read
//! ```
//!
//! `plan` says what is followed with which selectors; `follow` starts a `follower` for each: a listing and its watches for ever after; `link` makes requests
//! and counts them; `access` makes clients; `item` reads objects; `names` has each name in memory once.

mod access;
mod fault;
mod follow;
mod follower;
mod item;
mod link;
mod names;
mod plan;

pub use access::check;
pub use fault::Fault;
pub use follow::{Following, Tempo, Told};
pub(crate) use plan::RUNNING;
pub use plan::{Plan, Scope, What};
