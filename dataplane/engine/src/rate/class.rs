//! Which account a response belongs to: its class, and the name that responses like it have in common.
//!
//! One question asked over and over gets one name's account. A flood of random names must not get an account each, so what
//! is the same for all of them is taken: the name below which a wildcard or a DNAME answers, the zone cut of a referral,
//! and no name at all for NXDOMAIN, NODATA and errors. BIND calls it the imputed name.

use crate::hash::Seed;
use crate::locate::{closest_encloser, zone_of};
use crate::query::{FLAG_AA, FLAG_TC, HEADER_BYTES, Query, QueryName};
use crate::rtype::rcode;
use crate::snapshot::Snapshot;
use crate::writer::pointer;

/// Kinds of responses, each counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    /// Records of the name, or that such records do not fit.
    Positive = 1,
    /// The name does not exist.
    NxDomain,
    /// The name has no records of the type.
    NoData,
    /// Another server knows.
    Referral,
    /// Everything else.
    Error,
}

/// A response as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its class.
    pub class: Class,
    /// The hash of the name that it is counted under; 0: none.
    pub name: u64,
}

impl Response {
    /// An error.
    pub(crate) const ERROR: Self = Self { class: Class::Error, name: 0 };

    /// The response that `message` is to a query. `exists` says that the name is known to have a node of its own.
    #[inline]
    pub(crate) fn of(query: &Query, rcode: u16, message: &[u8], exists: bool, snapshot: &Snapshot) -> Self {
        let class = match class(rcode, message) {
            // Names of others have no zone cuts here: what has no records is NODATA.
            Class::Referral if zone_of(snapshot, &query.name, query.qtype).is_none() => Class::NoData,
            class => class,
        };
        let name = match class {
            Class::Positive if exists => hash(&query.name, query.name.depth(), snapshot.seed()),
            Class::Positive => hash(&query.name, answered_depth(query, snapshot), snapshot.seed()),
            Class::Referral => hash(&query.name, cut_depth(query, message), snapshot.seed()),
            Class::NxDomain | Class::NoData | Class::Error => 0,
        };
        Self { class, name }
    }
}

/// The class of a response.
#[inline]
fn class(rcode: u16, message: &[u8]) -> Class {
    let Some(&[_, _, f1, f2, _, _, a1, a2, ..]) = message.first_chunk::<HEADER_BYTES>() else {
        return Class::Error;
    };
    let flags = u16::from_be_bytes([f1, f2]);
    match rcode {
        rcode::NXDOMAIN => Class::NxDomain,
        rcode::NOERROR if [a1, a2] != [0, 0] => Class::Positive,
        rcode::NOERROR if flags & FLAG_AA == 0 => Class::Referral,
        rcode::NOERROR if flags & FLAG_TC != 0 => Class::Positive,
        rcode::NOERROR => Class::NoData,
        _ => Class::Error,
    }
}

/// The hash of a suffix.
#[inline]
fn hash(name: &QueryName, depth: usize, seed: &Seed) -> u64 {
    name.key(depth, seed)
}

/// Labels of the name that was answered from: the question's, or the closest encloser's where that stands in for it.
fn answered_depth(query: &Query, snapshot: &Snapshot) -> usize {
    let depth = query.name.depth();
    let Some(zone) = zone_of(snapshot, &query.name, query.qtype) else {
        return depth;
    };
    if snapshot.find(&query.name, depth, zone.depth).is_some() {
        return depth;
    }
    closest_encloser(snapshot, &query.name, zone.depth).map_or(depth, |encloser| encloser.depth)
}

/// Labels of the zone cut that a referral is for: its first record's owner is a pointer into the question.
fn cut_depth(query: &Query, message: &[u8]) -> usize {
    let owner = message.get(query.question_end..).and_then(<[u8]>::first_chunk::<2>);
    let is_owner = |&depth: &usize| owner == Some(&pointer(HEADER_BYTES + query.name.start(depth)));
    (1..=query.name.depth()).find(is_owner).unwrap_or_default()
}
