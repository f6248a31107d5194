//! From what upstreams send to what is kept: nothing of a message is believed but the chain of records that leads from the
//! question's name to its type, and what says that there is none.
//!
//! ```text
//! message -> [`Message`] (records with whole names) -> [`Gather`] (what belongs) -> `KeptAnswer` (names that point into the question)
//! ```

mod dnssec;
mod gather;
mod message;
mod rdata;
mod reader;
mod render;

pub use gather::{Gather, Outlook, Step};
pub use message::{Message, Record, Untrue};
pub use render::{Terms, TooLarge, expand};

/// Response codes (RFC 1035 section 4.1.1).
pub(crate) mod rcodes {
    /// No error.
    pub(crate) const NOERROR: u16 = 0;
    /// The server could not answer.
    pub(crate) const SERVFAIL: u16 = 2;
    /// The name does not exist.
    pub(crate) const NXDOMAIN: u16 = 3;
    /// The server cannot do such a thing.
    pub(crate) const NOTIMP: u16 = 4;
    /// The server does not want to.
    pub(crate) const REFUSED: u16 = 5;
}

/// Types that are treated in ways of their own.
pub(crate) mod types {
    /// RFC 1035.
    pub(crate) const A: u16 = 1;
    /// RFC 1035.
    pub(crate) const NS: u16 = 2;
    /// RFC 1035.
    pub(crate) const CNAME: u16 = 5;
    /// RFC 1035.
    pub(crate) const SOA: u16 = 6;
    /// RFC 3596.
    pub(crate) const AAAA: u16 = 28;
    /// RFC 6672.
    pub(crate) const DNAME: u16 = 39;
    /// RFC 6891.
    pub(crate) const OPT: u16 = 41;
    /// RFC 4034.
    pub(crate) const RRSIG: u16 = 46;
    /// RFC 4034.
    pub(crate) const NSEC: u16 = 47;
    /// RFC 5155.
    pub(crate) const NSEC3: u16 = 50;
    /// RFC 1035: all types.
    pub(crate) const ANY: u16 = 255;
}
