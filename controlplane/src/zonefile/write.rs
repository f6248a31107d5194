//! RRsets as the lines of a zone file, which [`super::reader`] reads back as what they were.

use std::fmt::Write as _;

use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Selection};

use super::annotation;
use crate::text::{rdata, rtype};

/// What is written of an RRset.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// The owner.
    pub owner: &'a WireName,
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// How the records are chosen from.
    pub selection: Option<&'a Selection>,
    /// The name of the view; nothing: the default view.
    pub view: Option<&'a str>,
}

/// Appends an RRset. Names are absolute and each record has its TTL, so that every line means the same wherever it is moved.
pub fn rrset<'a>(text: &mut String, lines: &Lines<'_>, rdatas: impl Iterator<Item = &'a [u8]>) {
    text.push_str(&annotation::line(lines.selection, lines.view));
    let owner = lines.owner.to_string();
    let rtype = rtype::show(lines.rtype);
    let members = lines.selection.map(|selection| selection.members.as_slice()).unwrap_or_default();
    let members = members.iter().copied().chain(std::iter::repeat(Member::default()));
    for (rdata, member) in rdatas.zip(members) {
        let rdata = rdata::show(lines.rtype, rdata);
        let tail = annotation::tail(member);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{owner}\t{}\tIN\t{rtype}\t{rdata}{tail}", lines.ttl);
    }
}
