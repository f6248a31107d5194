//! The pure DNS engine of RingDNS: from a received frame to its reply, with no I/O, thread, lock or allocation on the way.
//!
//! Read it in this order:
//!
//! 1. [`serve`]: a burst of frames comes in, a burst of verdicts goes out.
//! 2. `plain`: nearly all queries, at fixed places of their frames. What follows is for all others, and for learning.
//! 3. [`frame`]: Ethernet, VLAN, IPv4, IPv6 and UDP; what is ours, and how a frame is turned round.
//! 4. [`query`]: one gate that checks a message once, and the name taken apart.
//! 5. `options`, [`cookie`], `chaos`: what goes back in the OPT record, and what the server tells of itself.
//! 6. `answer`, `locate`, `chain`, `additional`, `writer`: RFC 1034 section 4.3.2, and the bytes behind the question;
//!    `direct` for one RRset.
//! 7. [`snapshot`]: everything that is served, immutable; [`snapshot::edit`] makes the next one.
//! 8. [`publish`]: how workers come to see it.
//! 9. [`rate`]: how much of it each client may have.
//! 10. [`select`]: which records and which view of them it gets.
//! 11. [`rules`]: what some zones answer otherwise.
//! 12. [`transfer`]: a whole zone for a secondary, message by message.
//! 13. [`recall`] and [`cache`]: names of others, answered from what others said of them.
//!
//! [`verdict`] lists every reason for which a frame is not simply answered, [`counters`] counts them, [`limits`] has every
//! bound.
#![deny(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::panic, clippy::unreachable, clippy::std_instead_of_core)]

mod additional;
mod answer;
pub mod cache;
pub mod census;
mod chain;
mod chaos;
pub mod cookie;
pub mod counters;
mod direct;
pub mod frame;
mod hash;
pub mod limits;
mod locate;
mod machine;
pub mod name;
mod options;
mod plain;
pub mod publish;
pub mod query;
pub mod rate;
pub mod recall;
pub mod rtype;
pub mod rules;
pub mod select;
pub mod serve;
pub mod snapshot;
pub mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transfer;
pub mod verdict;
mod writer;
