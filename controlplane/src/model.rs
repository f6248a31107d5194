//! What sources say: zones and RRsets, and changes to them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::limits::{RRSET_BYTES_MAX, RRSET_RECORDS_MAX};
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::rules::Rules;
use ringdns_engine::select::{Member, SELECTION_MEMBERS_MAX, Selection};

use crate::health::{Rule, Said};
use crate::text::rtype;

/// Largest TTL in seconds (RFC 2181 section 8).
pub const TTL_SECONDS_MAX: u32 = i32::MAX as u32;

/// Alias of a subtree; one per owner like CNAME (RFC 6672 section 2.4).
const DNAME: u16 = 39;

/// An RRset of a zone that is known from the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// The owner name.
    pub owner: WireName,
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The rdata of each record in wire form, names uncompressed.
    pub rdatas: Vec<Vec<u8>>,
    /// How the records are chosen from; nothing: every client gets all of them.
    pub selection: Option<Box<Selection>>,
    /// The view whose clients see it; nothing: the default view.
    pub view: Option<Arc<str>>,
}

/// Why an RRset cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RrsetError {
    /// No records.
    #[error("an RRset needs at least one record")]
    Empty,
    /// Too many or too large.
    #[error("the RRset is larger than a DNS message over TCP can carry ({RRSET_BYTES_MAX} bytes)")]
    TooLarge,
    /// Several records of a type of which an owner has one.
    #[error("an owner has one record of this type at most")]
    Several,
    /// Beyond the bound of RFC 2181.
    #[error("the TTL is above {TTL_SECONDS_MAX} (RFC 2181 section 8)")]
    Ttl,
    /// A type that only queries and messages have.
    #[error("records of this type cannot be stored: it is for queries or messages only (RFC 6895)")]
    NoData,
    /// An SOA record below the apex.
    #[error("an SOA record stands at the zone's apex only")]
    SoaBelowApex,
    /// As many members as records, or none.
    #[error("the selection has not as many members as there are records")]
    MembersMismatch,
    /// Each of them costs every packet something.
    #[error("an RRset with a selection has at most {SELECTION_MEMBERS_MAX} records")]
    TooManyMembers,
    /// A type that all views share.
    #[error("SOA, NS and DNAME records are the same in every view")]
    NoView,
}

impl Rrset {
    /// An RRset of the default view without a selection.
    pub fn new(owner: WireName, rtype: u16, ttl: u32, rdatas: Vec<Vec<u8>>) -> Self {
        Self { owner, rtype, ttl, rdatas, selection: None, view: None }
    }

    /// Removes repeated records (RFC 2181 section 5) and checks what needs no other RRset to be checked.
    pub fn normalise(&mut self, apex: &WireName) -> Result<(), RrsetError> {
        if !rtype::is_data(self.rtype) {
            return Err(RrsetError::NoData);
        }
        if self.rtype == rtype::SOA && self.owner != *apex {
            return Err(RrsetError::SoaBelowApex);
        }
        if self.ttl > TTL_SECONDS_MAX {
            return Err(RrsetError::Ttl);
        }
        if self.view.is_some() && matches!(self.rtype, rtype::SOA | rtype::NS | DNAME) {
            return Err(RrsetError::NoView);
        }
        let members = self.selection.as_ref().map_or(0, |selection| selection.members.len());
        if members > 0 && members != self.rdatas.len() {
            return Err(RrsetError::MembersMismatch);
        }
        self.remove_repeated();
        if self.selection.is_some() && self.rdatas.len() > SELECTION_MEMBERS_MAX {
            return Err(RrsetError::TooManyMembers);
        }
        match self.rdatas.len() {
            0 => Err(RrsetError::Empty),
            2.. if matches!(self.rtype, rtype::SOA | rtype::CNAME | DNAME) => Err(RrsetError::Several),
            count if count > RRSET_RECORDS_MAX || self.bytes() > RRSET_BYTES_MAX => Err(RrsetError::TooLarge),
            _ => Ok(()),
        }
    }

    /// Removes repeated records, each with its member, and a selection that chooses nothing.
    fn remove_repeated(&mut self) {
        if self.rdatas.len() > 1 {
            let mut seen = HashSet::new();
            let first: Vec<bool> = self.rdatas.iter().map(|rdata| seen.insert(rdata.as_slice())).collect();
            if let Some(selection) = &mut self.selection {
                let mut first = first.iter();
                selection.members.retain(|_| first.next().copied().unwrap_or(true));
            }
            let mut first = first.into_iter();
            self.rdatas.retain(|_| first.next().unwrap_or(true));
        }
        if let Some(selection) = &mut self.selection
            && selection.members.iter().all(|&member| member == Member::default())
        {
            selection.members.clear();
        }
        self.selection = self.selection.take().filter(|selection| **selection != Selection::default());
    }

    /// Bytes that the records take in a message: compressed owner, type, class, TTL, length and rdata each.
    fn bytes(&self) -> usize {
        self.rdatas.iter().map(|rdata| rdata.len() + 12).sum()
    }
}

/// True where two types cannot have the same owner (RFC 2181 section 10.1; RFC 4035 section 2.5 for the exceptions).
pub fn exclude_each_other(first: u16, second: u16) -> bool {
    /// Signature.
    const RRSIG: u16 = 46;
    /// Denial of existence.
    const NSEC: u16 = 47;
    let beside_cname = |other| !matches!(other, rtype::CNAME | RRSIG | NSEC);
    (first == rtype::CNAME && beside_cname(second)) || (second == rtype::CNAME && beside_cname(first))
}

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Which clients see which view from now on by this source, all of them, by the views' names.
    SetViews(Vec<(Network, Arc<str>)>),
    /// The source has a zone; its records follow.
    AddZone(WireName),
    /// The source has a zone no longer, nor anything in it.
    RemoveZone(WireName),
    /// Whether the label `*` of names that come after this is one like any other in a zone that the source has, instead of a
    /// wildcard (RFC 4592). The last source to say it counts.
    SetAsterisks {
        /// The zone.
        apex: WireName,
        /// True: it answers for questions that have it, and for no other.
        are_labels: bool,
    },
    /// How addresses are, whoever has them in records: up, down, or nothing is known of them any more.
    SetMembers(Vec<(IpAddr, Option<Said>)>),
    /// What the health of members means to the records that the source puts into a zone after this; where it says nothing, that is
    /// what the configuration says for all.
    SetHealth {
        /// The zone.
        apex: WireName,
        /// What it means.
        rule: Rule,
    },
    /// How a zone that the source has answers for what it does not have. The last source to say it counts.
    SetRules {
        /// The zone.
        apex: WireName,
        /// The rules.
        rules: Rules,
    },
    /// The source has a name in a zone, whether it has RRsets there or not: one without is answered with NODATA.
    AddName {
        /// The zone.
        apex: WireName,
        /// The name.
        owner: WireName,
    },
    /// The source has a name only where it has an RRset at or below it.
    RemoveName {
        /// The zone.
        apex: WireName,
        /// The name.
        owner: WireName,
    },
    /// What the source has in a zone, all of it: what is not named here is gone, names without RRsets too. The zone is added
    /// where it was missing.
    ReplaceZone {
        /// The zone.
        apex: WireName,
        /// Its RRsets.
        rrsets: Vec<Rrset>,
    },
    /// The source has an RRset, in place of any that it had before with this owner, type and view.
    Put {
        /// The zone.
        apex: WireName,
        /// The RRset.
        rrset: Rrset,
    },
    /// The source has an RRset no longer.
    Remove {
        /// The zone.
        apex: WireName,
        /// The owner name.
        owner: WireName,
        /// The type.
        rtype: u16,
        /// The view; nothing: the default view.
        view: Option<Arc<str>>,
    },
}
