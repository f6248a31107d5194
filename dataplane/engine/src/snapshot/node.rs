//! Nodes as they lie in a shard's arena: encoded once when published, read in place on the packet path.
//!
//! ```text
//! head   flags u8, apex depth u8, name length u8, RRsets u8, depth u8
//! name   lower case, wire form, root label included
//! RRsets, by type: type u16, records u16, record bytes u32, origin u8, kind u8, sum of the records u16
//! records of each RRset, ready to copy: C0 0C, type, class IN, TTL, rdata length, rdata with names uncompressed
//! children u32, of a node that has any
//! ```
//!
//! A name of up to 31 bytes with one address takes a cache line at most.
//!
//! An RRset with a selection has a table behind its records, see `select::table`. One in a view has the number of the view
//! in place of the sum; RRsets of one type lie by ascending view.
//!
//! Numbers outside of records are little-endian.

use super::Candidate;
use super::negative::{NEGATIVE, Negative};
use crate::name::WireName;
use crate::rtype::types;
use crate::rules::RulesView;
use crate::select::table::Table;
use crate::select::{Selection, VIEW_DEFAULT};

/// The node is the apex of its zone.
pub(crate) const APEX: u8 = 1;
/// The node is a zone cut: NS records below the apex (RFC 9499: "zone cut").
pub(crate) const CUT: u8 = 2;
/// The node has a child `*`.
pub(crate) const WILDCARD_CHILD: u8 = 4;
/// The node has a DNAME record.
pub(crate) const DNAME: u8 = 8;
/// The node is an apex and has its SOA record.
pub(super) const SOA: u8 = 16;
/// The node has RRsets in views: what is seen of it depends on the client, and none of it goes the direct way.
pub(crate) const VIEWS: u8 = 32;
/// The node is an apex whose zone has rules, see [`crate::rules`].
pub(crate) const RULED: u8 = 128;
/// The node is no apex, and exists whether it has anything or not.
pub(crate) const NAMED: u8 = 128;
/// The node has names below it: how many, its last bytes tell.
pub(super) const PARENT: u8 = 64;

/// The type under which an apex has its rules, in front of its negative answer: no record has it (RFC 6891 section 6.1.1).
/// So ways that know of no rules find no negative answer, and leave the query to those that do.
pub(super) const RULES: u16 = types::OPT;

/// The RRset's records can be sent as they are stored to whoever asks for them: no name in them wants compression or
/// addresses, and it is not for another zone to answer.
pub(super) const VERBATIM: u8 = 1;
/// The RRset has a selection.
pub(super) const SELECTED: u8 = 2;
/// The RRset is in a view other than the default view.
pub(super) const IN_VIEW: u8 = 4;

/// Bytes of a node's head.
pub(super) const HEAD_BYTES: usize = 5;
/// Bytes of an RRset's head.
pub(super) const RRSET_HEAD_BYTES: usize = 12;
/// Bytes of the number of children.
pub(super) const CHILDREN_BYTES: usize = 4;
/// Where the TTL stands in a record whose owner is a compression pointer.
const TTL_AT: usize = 6;
/// Bytes of a record before its rdata when its owner is a compression pointer.
pub(crate) const RECORD_HEAD_BYTES: usize = 12;

/// A node of a zone in a snapshot: a name with its RRsets, or an empty non-terminal.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    /// The flags of the head.
    flags: u8,
    /// Number of labels of the zone's apex.
    apex_depth: u8,
    /// Number of labels of the owner.
    depth: u8,
    /// The owner in lower case.
    name: &'a [u8],
    /// The heads of the RRsets.
    heads: &'a [u8],
    /// The records of all RRsets, one after the other, and what follows them.
    records: &'a [u8],
}

impl<'a> NodeView<'a> {
    /// The node that starts `bytes`.
    #[inline(always)]
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[flags, apex_depth, name_bytes, rrsets, depth], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (name, rest) = rest.split_at_checked(usize::from(name_bytes))?;
        let (heads, records) = rest.split_at_checked(usize::from(rrsets) * RRSET_HEAD_BYTES)?;
        Some(Self { flags, apex_depth, depth, name, heads, records })
    }

    /// The bytes of all that is stored of the node.
    pub(super) fn stored_bytes(&self) -> usize {
        let children = if self.has(PARENT) { CHILDREN_BYTES } else { 0 };
        HEAD_BYTES + self.name.len() + self.heads.len() + self.records_bytes() + children
    }

    /// The bytes of all records.
    fn records_bytes(&self) -> usize {
        self.entries().map(|entry| entry.records.len()).sum()
    }

    /// True where this is the node of `name` (in lower case) in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(super) fn is(&self, name: &[u8], apex_depth: u8) -> bool {
        self.apex_depth == apex_depth && same(self.name, name)
    }

    /// True where all of the given flags are set.
    #[inline]
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The flags of the head.
    pub(super) fn flags(&self) -> u8 {
        self.flags
    }

    /// Number of labels of the zone's apex.
    pub(crate) fn apex_depth(&self) -> u8 {
        self.apex_depth
    }

    /// Number of labels of the owner.
    #[inline]
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Number of names right below this one.
    pub(super) fn children(&self) -> u32 {
        let children = self.records.get(self.records_bytes()..).and_then(<[u8]>::first_chunk::<CHILDREN_BYTES>);
        children.filter(|_| self.has(PARENT)).map_or(0, |children| u32::from_le_bytes(*children))
    }

    /// The owner in lower-case wire form.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The owner, in lower case.
    pub fn owner(&self) -> WireName {
        WireName::from_wire(self.name).unwrap_or_else(|_| WireName::root())
    }

    /// The apex of the zone that the owner is in, in lower case.
    pub fn apex(&self) -> WireName {
        let mut apex = self.owner();
        while apex.label_count() > usize::from(self.apex_depth()) {
            let Some(parent) = apex.parent() else { break };
            apex = parent;
        }
        apex
    }

    /// The RRsets by ascending type.
    pub fn rrsets(&self) -> impl Iterator<Item = RrsetView<'a>> + use<'a> {
        self.entries().filter(|entry| !matches!(entry.rtype, NEGATIVE | RULES))
    }

    /// The RRset of a type; where there are several, that of the default view or else of the first view.
    #[inline(always)]
    pub fn rrset(&self, rtype: u16) -> Option<RrsetView<'a>> {
        self.entries().find(|entry| entry.rtype == rtype).filter(|_| !matches!(rtype, NEGATIVE | RULES))
    }

    /// The RRset of a type in a view.
    pub fn rrset_in(&self, rtype: u16, view: u16) -> Option<RrsetView<'a>> {
        self.rrsets().find(|rrset| (rrset.rtype(), rrset.view()) == (rtype, view))
    }

    /// What an apex has for negative answers.
    #[inline]
    pub(crate) fn negative(&self) -> Option<Negative<'a>> {
        let mut entries = self.entries();
        if self.has(RULED) {
            entries.next();
        }
        let stored = entries.next().filter(|entry| entry.rtype == NEGATIVE)?;
        Negative::decode(stored.records, stored.sum)
    }

    /// The rules of an apex that has any.
    #[inline]
    pub(crate) fn rules(&self) -> Option<RulesView<'a>> {
        if self.has(RULED) { self.stored_rules().and_then(RulesView::of) } else { None }
    }

    /// The rules as they are stored.
    pub(super) fn stored_rules(&self) -> Option<&'a [u8]> {
        Some(self.entries().next().filter(|entry| entry.rtype == RULES)?.records)
    }

    /// The RRsets and, before them, what an apex has for rules and negative answers.
    #[inline]
    fn entries(&self) -> impl Iterator<Item = RrsetView<'a>> + use<'a> {
        let mut records = self.records;
        self.heads.chunks_exact(RRSET_HEAD_BYTES).map_while(move |head| {
            let rrset = RrsetView::decode(head, records)?;
            records = records.get(rrset.records.len()..)?;
            Some(rrset)
        })
    }

    /// The CNAME record's RRset, unless there is none.
    #[inline]
    pub(crate) fn cname(&self) -> Option<RrsetView<'a>> {
        self.rrset(types::CNAME)
    }
}

/// A node as the plain way reads it: only as much as one answer needs.
#[derive(Clone, Copy)]
pub(crate) struct PlainNode<'a> {
    /// The flags of the head.
    flags: u8,
    /// Number of labels of the zone's apex.
    pub apex_depth: u8,
    /// Number of labels of the owner.
    pub depth: u8,
    /// Bytes of the owner.
    pub name_bytes: u8,
    /// Number of RRsets.
    rrsets: u8,
    /// The owner, and all that follows the node's head.
    pub rest: &'a [u8],
}

impl<'a> PlainNode<'a> {
    /// The node of a candidate.
    #[inline(always)]
    pub(crate) fn decode(candidate: Candidate<'a>) -> Option<Self> {
        let (&[flags, apex_depth, name_bytes, rrsets, depth, ..], rest) =
            candidate.bytes.split_first_chunk::<HEAD_BYTES>()?;
        Some(Self { flags, apex_depth, depth, name_bytes, rrsets, rest })
    }

    /// True where all of the given flags are set.
    #[inline(always)]
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// True where there is an RRset of one of some types.
    #[inline(always)]
    pub(crate) fn has_rrset(&self, rtypes: [u16; 2]) -> bool {
        let entries = self.rest.get(usize::from(self.name_bytes)..).unwrap_or_default();
        let heads = entries.as_chunks::<RRSET_HEAD_BYTES>().0.iter().take(usize::from(self.rrsets));
        heads.into_iter().any(|&[t1, t2, ..]| rtypes.contains(&u16::from_le_bytes([t1, t2])))
    }

    /// What an apex has for negative answers.
    #[inline(always)]
    pub(crate) fn negative(&self) -> Option<Negative<'a>> {
        let entries = self.rest.get(usize::from(self.name_bytes)..)?;
        let records = entries.get(usize::from(self.rrsets) * RRSET_HEAD_BYTES..)?;
        let stored = RrsetView::decode(entries.first_chunk::<RRSET_HEAD_BYTES>()?, records)?;
        if stored.rtype == NEGATIVE { Negative::decode(stored.records, stored.sum) } else { None }
    }

    /// The same for whoever reads all of it.
    #[inline]
    pub(crate) fn whole(&self) -> Option<NodeView<'a>> {
        let Self { flags, apex_depth, depth, name_bytes, rrsets, rest } = *self;
        let (name, rest) = rest.split_at_checked(usize::from(name_bytes))?;
        let (heads, records) = rest.split_at_checked(usize::from(rrsets) * RRSET_HEAD_BYTES)?;
        Some(NodeView { flags, apex_depth, depth, name, heads, records })
    }

    /// The RRset of a type, where it can be sent as it is stored.
    #[inline(always)]
    pub(crate) fn rrset(&self, rtype: u16) -> Option<RrsetView<'a>> {
        let entries = self.rest.get(usize::from(self.name_bytes)..)?;
        let (heads, records) = (entries, entries.get(usize::from(self.rrsets) * RRSET_HEAD_BYTES..)?);
        // Mostly it is the first.
        let head = heads.first_chunk::<RRSET_HEAD_BYTES>()?;
        let rrset = RrsetView::decode(head, records)?;
        if rrset.rtype == rtype && rrset.is_verbatim() { Some(rrset) } else { later_rrset(entries, self.rrsets, rtype) }
    }
}

/// The same among all the RRsets of a node, whose heads start `entries`.
#[inline(never)]
fn later_rrset(entries: &[u8], rrsets: u8, rtype: u16) -> Option<RrsetView<'_>> {
    let (heads, mut records) = entries.split_at_checked(usize::from(rrsets) * RRSET_HEAD_BYTES)?;
    for head in heads.as_chunks::<RRSET_HEAD_BYTES>().0 {
        let rrset = RrsetView::decode(head, records)?;
        if rrset.rtype == rtype {
            return Some(rrset).filter(RrsetView::is_verbatim);
        }
        records = records.get(rrset.records.len()..)?;
    }
    None
}

/// True where two names in lower case are equal. Eight bytes at a time in place: a call costs more than a name has bytes.
#[inline]
fn same(mine: &[u8], theirs: &[u8]) -> bool {
    if mine.len() != theirs.len() {
        return false;
    }
    let (mine_words, mine_tail) = mine.as_chunks::<8>();
    let (their_words, their_tail) = theirs.as_chunks::<8>();
    let words = mine_words.iter().zip(their_words);
    for (mine, theirs) in words {
        if u64::from_ne_bytes(*mine) != u64::from_ne_bytes(*theirs) {
            return false;
        }
    }
    match (mine.last_chunk::<8>(), theirs.last_chunk::<8>()) {
        (Some(mine), Some(theirs)) => mine == theirs,
        _ => mine_tail == their_tail,
    }
}

/// An RRset of a node.
#[derive(Clone, Copy)]
pub struct RrsetView<'a> {
    /// The type.
    rtype: u16,
    /// Number of records.
    count: u16,
    /// The source that it came from.
    origin: u8,
    /// [`VERBATIM`] alone, or any of the others.
    kind: u8,
    /// The checksum's sum of the records, in the order of the machine, as if they began at an even place; in a view its
    /// number.
    sum: u16,
    /// The records, ready to copy, and the table of a selection.
    records: &'a [u8],
}

impl<'a> RrsetView<'a> {
    /// The RRset whose head is given, and whose records start `records`.
    #[inline(always)]
    fn decode(head: &[u8], records: &'a [u8]) -> Option<Self> {
        let (&[t1, t2, n1, n2, l1, l2, l3, l4, origin, kind, s1, s2], _) =
            head.split_first_chunk::<RRSET_HEAD_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes([l1, l2, l3, l4])).ok()?;
        Some(Self {
            rtype: u16::from_le_bytes([t1, t2]),
            count: u16::from_le_bytes([n1, n2]),
            origin,
            kind,
            sum: u16::from_le_bytes([s1, s2]),
            records: records.get(..length)?,
        })
    }

    /// The type.
    pub fn rtype(&self) -> u16 {
        self.rtype
    }

    /// Number of records.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The TTL in seconds.
    pub fn ttl(&self) -> u32 {
        let ttl = self.records.get(TTL_AT..).and_then(<[u8]>::first_chunk);
        ttl.map_or(0, |ttl| u32::from_be_bytes(*ttl))
    }

    /// The source that it came from, as the editor was told.
    pub fn origin(&self) -> u8 {
        self.origin
    }

    /// True where the records can be sent as they are stored.
    #[inline(always)]
    pub(crate) fn is_verbatim(&self) -> bool {
        self.kind == VERBATIM
    }

    /// True where there is a table behind the records.
    #[inline]
    pub(crate) fn is_selected(&self) -> bool {
        self.kind & SELECTED != 0
    }

    /// True where no record may be answered: all are down, and that is to be told.
    #[inline]
    pub(crate) fn is_withheld(&self) -> bool {
        self.is_selected() && Table::of(self.records).is_some_and(|table| table.len() == 0)
    }

    /// How the records are chosen from as they were put; nothing where that is all of them as they are stored.
    pub fn selection(&self) -> Option<Selection> {
        if self.is_selected() { super::selection::read(self.records, self.count) } else { None }
    }

    /// The view that sees it.
    pub fn view(&self) -> u16 {
        if self.kind & IN_VIEW == 0 { VIEW_DEFAULT } else { self.sum }
    }

    /// The checksum's sum of the records, in the order of the machine, as if they began at an even place.
    #[inline(always)]
    pub(crate) fn sum(&self) -> u16 {
        self.sum
    }

    /// The records in wire form, each with a pointer to the question's name as its owner; then the table of a selection.
    #[inline(always)]
    pub(crate) fn records(&self) -> &'a [u8] {
        self.records
    }

    /// The rdata of each record, names uncompressed.
    pub fn rdatas(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        rdatas_of(self.records).take(usize::from(self.count))
    }
}

/// The rdata of each of some stored records; what follows the last one is not to be read.
pub(crate) fn rdatas_of(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (&[.., l1, l2], rest) = records.split_first_chunk::<RECORD_HEAD_BYTES>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        records = rest;
        Some(rdata)
    })
}
