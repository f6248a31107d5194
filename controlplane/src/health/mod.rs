//! Health of addresses: which are up, which are down, and who says so.
//!
//! ```text
//! status keys of etcd | checks of this process -> Change::SetMembers -> merge: owners -> editor: marks
//!                                                                          |
//!                                                                          +-> table -> API, metrics
//! ```
//!
//! Whoever learns of an address tells the cycle as a source tells of records. The merge marks what it serves ([`owners`]), so a member
//! that is down leaves the answers whichever source its records are of, and what sources said stays as they said it. Where all
//! members are down, all are answered or none (`ringdns_engine::select::Marks`).

mod handle;
pub(crate) mod owners;
pub(crate) mod table;

pub use handle::{Handle, Records};
pub(crate) use table::Table;

/// Whether an address can be sent to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    #[default]
    Up,
    /// No.
    Down,
}

impl Status {
    /// The word in keys and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
        }
    }
}

/// What is answered where all members of an RRset are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllDown {
    /// All of them: an address that may not answer is better than none.
    #[default]
    All,
    /// None: the owner has no address then.
    None,
}

/// What the health of members means to the records of a source in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// False: records are answered whoever is down.
    pub obeyed: bool,
    /// What addresses are taken to be of which nothing is known.
    pub unknown: Status,
    /// What is answered where all are down.
    pub all_down: AllDown,
}

impl Default for Rule {
    fn default() -> Self {
        Self { obeyed: true, unknown: Status::Up, all_down: AllDown::All }
    }
}

/// What is said of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is up.
    pub status: Status,
    /// Since when (RFC 3339), where whoever says it knows.
    pub since: Option<String>,
    /// The last error; empty: none is known.
    pub error: String,
    /// Who found it so; empty: nobody says.
    pub by: String,
}

impl Said {
    /// Nothing but the status.
    pub fn new(status: Status) -> Self {
        Self { status, since: None, error: String::new(), by: String::new() }
    }
}
