//! The cache of answers for names that are not ours: read by all workers at once without a lock, written by one thread.
//!
//! ```text
//! name, type, DO, CD -> bucket of seven slots -> place in a log: head | name | addresses, or TTLs and records
//! ```
//!
//! All memory is there from the start. Entries lie behind each other in two logs, each a ring of words: newcomers come into the
//! small one, and what was asked for again by the time its place is needed moves on into the large one, where what is asked for
//! stays (S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023). So a flood of names that are asked for once passes through a tenth
//! of the memory and pushes nothing out that is in use.
//!
//! A reader copies an entry's words and looks afterwards whether the log's tail has passed it in the meantime; the writer moves
//! the tail before it writes over anything. What was torn is thrown away and counts as missing. Nothing that a reader finds is
//! trusted before that look: every length is bounded by the slice that it is used on.

mod compose;
mod counts;
mod desk;
mod entry;
mod index;
mod log;
mod put;
mod scan;
mod shelf;
#[cfg(test)]
mod tests;

pub use counts::CacheCounts;
pub use desk::{CACHE_BYTES_MIN, CacheDesk, CachedAnswer, InsertError};
pub use entry::{CacheKey, EntryBits, EntryHead};
pub(crate) use entry::{key_hash, question_word};
pub(crate) use index::Place;
pub use put::Ttls;
pub(crate) use put::{A_BYTES, AAAA_BYTES};
pub use scan::{ScanPlace, Seen};
pub use shelf::{CacheShelf, Found};
pub(crate) use shelf::{Sought, SoughtName};
