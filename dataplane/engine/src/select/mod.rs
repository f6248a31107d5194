//! Selection: which records of an RRset a client gets, and which RRset, where there is one for each of several views.
//!
//! What can be known when an RRset is published is worked out then ([`crate::snapshot`] stores a table behind the records
//! that `select::table` reads): which members may be chosen, their cumulated weights, their hashes. What is left for the packet is
//! arithmetic, and bounded by [`SELECTION_MEMBERS_MAX`]. Nothing is remembered of a client: turns are counted by RRset and
//! worker, and a client keeps its member by hashing alone (`select::rendezvous`).
//!
//! Only RRsets with a selection, and nodes with RRsets in views, take this way; all others are sent as they are stored.

pub(crate) mod choose;
mod generator;
mod rendezvous;
pub(crate) mod table;
mod view;

pub use view::{VIEW_DEFAULT, ViewTable};

pub(crate) use choose::{Chooser, Turns, Window, seen};
pub(crate) use rendezvous::{client_hash, member_hash};

/// Most records of an RRset with a selection: bounds what one packet costs.
pub const SELECTION_MEMBERS_MAX: usize = 1024;

/// How members are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// All, in the order in which they are stored.
    #[default]
    All = 0,
    /// All, each time beginning with the next.
    Rotate = 1,
    /// One: each in turn.
    RoundRobin = 2,
    /// One by chance, as often as its weight says.
    Weighted = 3,
    /// One: the client's address modulo the number of members, read as a little-endian number.
    SourceHash = 4,
    /// One by chance.
    Random = 5,
    /// One: the same client gets the same member while that is up, on every worker and server; as many clients as its weight
    /// says. A member that goes down moves its own clients only, and has them back when it is up again.
    Sticky = 6,
}

impl Mode {
    /// All modes, in the order of their numbers.
    pub const ALL: [Mode; 7] =
        [Mode::All, Mode::Rotate, Mode::RoundRobin, Mode::Weighted, Mode::SourceHash, Mode::Random, Mode::Sticky];

    /// The mode of a number; [`Mode::All`] for a number that none has.
    #[inline]
    pub(crate) fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// A record that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its share with [`Mode::Weighted`] and [`Mode::Sticky`]. 0, with every mode: not as long as another one is up whose
    /// weight is not 0.
    pub weight: u16,
    /// False: left out. Where all are down, all are taken to be up, unless [`Marks::or_none`] says otherwise.
    pub up: bool,
}

impl Default for Member {
    fn default() -> Self {
        Self { weight: 1, up: true }
    }
}

/// What is known of the records of an RRset from elsewhere, such as that a check found a server down. It is stored with the
/// RRset and leaves what was put of it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// One for each record, in their order, true: it is taken to be down; none at all: none is.
    pub down: Vec<bool>,
    /// True: where no record is up, the RRset is not answered, as if the owner had none of its type; false: all are taken to be up.
    /// It counts for an RRset with a selection or a record that is down.
    pub or_none: bool,
}

/// How the records of an RRset are chosen from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// How members are chosen.
    pub mode: Mode,
    /// Most records of an answer, of those that the mode gives; 0: no bound.
    pub answers_max: u16,
    /// One for each record, in their order; none at all: every record is up and has weight 1.
    pub members: Vec<Member>,
}
