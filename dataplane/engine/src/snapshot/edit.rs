//! Editing: a transaction on a snapshot, which gives a new snapshot and leaves the old one as it is.

use core::fmt;
use std::sync::Arc;

use super::draft::Draft;
use super::leaves::LEAF_RRSETS_MAX;
use super::open::{OpenRrset, RrsetHead, encode_leaf};
use super::overlay::{Node, Place};
use super::{NodeView, RrsetView, Snapshot, rdata, selection};
use crate::name::WireName;
use crate::query::QueryName;
use crate::rtype::types;
use crate::rules::Rules;
use crate::select::{Marks, Selection, VIEW_DEFAULT, ViewTable, member_hash};

/// An RRset as it is put into a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RrsetSpec {
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The source that it comes from; only stored and given back.
    pub origin: u8,
    /// The rdata of each record in wire form, names uncompressed.
    pub rdatas: Vec<Vec<u8>>,
    /// The view that sees it.
    pub view: u16,
    /// How the records are chosen from; nothing: all are sent as they are stored.
    pub selection: Option<Box<Selection>>,
}

/// Why an edit was refused. A refused edit has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The zone is not there.
    NoZone,
    /// The owner is not at or below the apex.
    OutOfZone,
    /// More bytes, records or RRsets than can be served.
    TooLarge,
    /// An RRset without records.
    Empty,
    /// A CNAME beside other data, or the other way round (RFC 2181 section 10.1).
    CnameAndOther,
    /// Several CNAME or DNAME records with one owner (RFC 2181 section 10.1, RFC 6672 section 2.4).
    SeveralAliases,
    /// Rdata that is no rdata of its type.
    RdataMalformed,
    /// A type that no stored record can have: 0, OPT, and those from 128 to 255.
    NoDataType,
    /// As many members of a selection as there are records, or none.
    MembersMismatch,
    /// A type on which the shape of the zones depends, in a view: that shape is the same for everybody.
    NoViewType,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EditError::NoZone => "the zone does not exist",
            EditError::OutOfZone => "the owner is not in the zone",
            EditError::TooLarge => "the RRset or its node is larger than can be served",
            EditError::Empty => "the RRset has no records",
            EditError::CnameAndOther => "a CNAME cannot stand beside other records of the same owner",
            EditError::SeveralAliases => "an owner can have one CNAME and one DNAME record only",
            EditError::RdataMalformed => "the rdata does not fit its type",
            EditError::NoDataType => "the type is for queries or messages, no record can have it",
            EditError::MembersMismatch => "the selection has not as many members as there are records",
            EditError::NoViewType => "SOA, NS and DNAME records are the same in every view",
        })
    }
}

impl core::error::Error for EditError {}

/// Most RRsets of one node: its head counts them, and what an apex has for negative answers and rules, in one byte.
const NODE_RRSETS_MAX: usize = 253;

/// A transaction. Nothing is visible before [`Editor::commit`]'s snapshot is published.
pub struct Editor {
    /// What is edited.
    draft: Draft,
    /// The name that is edited: working memory that is reused.
    name: QueryName,
    /// The records that are put: working memory that is reused.
    records: Vec<u8>,
    /// The leaf that is put: working memory that is reused.
    leaf: Vec<u8>,
}

impl Editor {
    /// Starts a transaction; costs the same for every size of snapshot.
    pub fn new(base: &Snapshot) -> Self {
        Self { draft: Draft::new(base), name: QueryName::default(), records: Vec::new(), leaf: Vec::new() }
    }

    /// Puts an RRset in the place of the one with the same owner, type and view, if there is one.
    pub fn put_rrset(&mut self, apex: &WireName, owner: &WireName, rrset: &RrsetSpec) -> Result<(), EditError> {
        self.put_marked(apex, owner, rrset, &Marks::default())
    }

    /// [`Editor::put_rrset`] with records that are down. What is read back is what was put, without marks.
    pub fn put_marked(
        &mut self,
        apex: &WireName,
        owner: &WireName,
        rrset: &RrsetSpec,
        marks: &Marks,
    ) -> Result<(), EditError> {
        let Self { draft, name, records, leaf } = self;
        let apex_depth = draft.locate(apex, owner, name)?;
        let count = rdata::render(rrset.rtype, rrset.ttl, &rrset.rdatas, records)?;
        let place = Place::of(&draft.next, name, name.depth(), apex_depth);
        let touched = draft.overlay.get(place);
        let node = touched.or_else(|| draft.stored(place).map(Node::Stored));
        let checked = match node {
            Some(Node::Open(node)) => check_neighbours(rrset, count, node.rrsets.iter().map(OpenRrset::key)),
            Some(Node::Stored(node)) => check_neighbours(rrset, count, node.rrsets().map(|other| key(&other))),
            None => check_neighbours(rrset, count, core::iter::empty()),
        };
        match checked {
            Err(EditError::CnameAndOther) if draft.has_aliases_beside(name, apex_depth) => {}
            checked => checked?,
        }
        let selected = rrset.selection.is_some() || marks.down.contains(&true);
        if selected {
            let kind = u64::from(rrset.rtype) ^ u64::from(rrset.view) << 8;
            let key = member_hash(place.name).wrapping_add(kind);
            selection::append(records, rrset.selection.as_deref(), marks, &rrset.rdatas, key)?;
        }
        let head =
            RrsetHead { rtype: rrset.rtype, view: rrset.view, selected, count, ttl: rrset.ttl, origin: rrset.origin };
        if let Some(old) = leaf_for(rrset, node, touched.is_some()) {
            let is_new = old.is_none_or(|old| old.rrset(rrset.rtype).is_none());
            let (is_new_name, is_touched) = (old.is_none(), touched.is_some());
            encode_leaf(leaf, place, old, head, records);
            if draft.overlay.put_leaf(place, leaf, is_touched) {
                draft.next.totals.rrsets += u64::from(is_new);
                if is_new_name {
                    draft.count_leaf(name, apex_depth);
                }
                return Ok(());
            }
        }
        draft.put(name, apex_depth, OpenRrset { head, records: records.as_slice().into() });
        Ok(())
    }

    /// Removes an RRset of the default view, and the nodes that nothing is left of; false where it was not there.
    pub fn remove_rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> bool {
        self.remove_rrset_in(apex, owner, rtype, VIEW_DEFAULT)
    }

    /// [`Editor::remove_rrset`] in a view.
    pub fn remove_rrset_in(&mut self, apex: &WireName, owner: &WireName, rtype: u16, view: u16) -> bool {
        let Self { draft, name, .. } = self;
        let Ok(apex_depth) = draft.locate(apex, owner, name) else {
            return false;
        };
        draft.remove(name, apex_depth, (rtype, view))
    }

    /// The RRset of an owner and type in the default view, pending edits included.
    pub fn rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> Option<RrsetSpec> {
        self.rrsets(apex, owner).into_iter().find(|rrset| (rrset.rtype, rrset.view) == (rtype, VIEW_DEFAULT))
    }

    /// The RRsets of an owner in all views, pending edits included.
    pub fn rrsets(&mut self, apex: &WireName, owner: &WireName) -> Vec<RrsetSpec> {
        let Self { draft, name, .. } = self;
        let Ok(apex_depth) = draft.locate(apex, owner, name) else {
            return Vec::new();
        };
        match draft.node(Place::of(&draft.next, name, name.depth(), apex_depth)) {
            Some(Node::Open(node)) => node.rrsets.iter().map(spec_of_open).collect(),
            Some(Node::Stored(node)) => node.rrsets().map(spec_of_view).collect(),
            None => Vec::new(),
        }
    }

    /// Adds a zone without any record, unless it is there. Until it has an SOA record its answers are SERVFAIL.
    pub fn add_zone(&mut self, apex: &WireName) {
        self.draft.add_zone(apex, &mut self.name);
    }

    /// Says whether the label `*` of names that come from now on is one like any other in a zone: it then answers for questions
    /// that have it, and not for names that are not there (RFC 4592). For zones whose questions may ask for `*` themselves.
    pub fn set_asterisks(&mut self, apex: &WireName, are_labels: bool) {
        self.draft.set_asterisks(apex, are_labels);
    }

    /// Says how a zone answers for what it does not have; a zone that is added has no rules.
    pub fn set_rules(&mut self, apex: &WireName, rules: &Rules) -> Result<(), EditError> {
        let apex_depth = self.draft.locate(apex, apex, &mut self.name)?;
        let stored =
            if *rules == Rules::default() { Box::default() } else { rules.encode().ok_or(EditError::TooLarge)? };
        self.draft.set_rules(&self.name, apex_depth, stored);
        Ok(())
    }

    /// True where the rules of a zone let CNAME records stand beside others.
    pub fn has_aliases_beside(&mut self, apex: &WireName) -> bool {
        let located = self.draft.locate(apex, apex, &mut self.name);
        located.is_ok_and(|apex_depth| self.draft.has_aliases_beside(&self.name, apex_depth))
    }

    /// Makes a name exist until it is removed as a name, with RRsets or without: where it has none it is answered with NODATA.
    pub fn add_name(&mut self, apex: &WireName, owner: &WireName) -> Result<(), EditError> {
        let apex_depth = self.draft.locate(apex, owner, &mut self.name)?;
        self.draft.add_name(&self.name, apex_depth);
        Ok(())
    }

    /// Takes back [`Editor::add_name`]: the name exists only as long as it or a name below it has something. False where it
    /// was not added so.
    pub fn remove_name(&mut self, apex: &WireName, owner: &WireName) -> bool {
        let located = self.draft.locate(apex, owner, &mut self.name);
        located.is_ok_and(|apex_depth| self.draft.remove_name(&self.name, apex_depth))
    }

    /// Removes a zone with everything in it; returns the number of its RRsets. Goes through everything that is served.
    pub fn remove_zone(&mut self, apex: &WireName) -> u64 {
        self.draft.remove_zone(apex, &mut self.name)
    }

    /// Says which client sees which view.
    pub fn set_views(&mut self, views: ViewTable) {
        self.draft.next.views = Arc::new(views);
    }

    /// Says whether every source has told all it knows: until then a name that is missing is answered with SERVFAIL.
    pub fn set_complete(&mut self, complete: bool) {
        self.draft.next.complete = complete;
    }

    /// Says whether every source has told which zones it has: until then, and until all is complete, a name that is in no zone
    /// may yet be in one, and nobody else is asked for it.
    pub fn set_zones_known(&mut self, known: bool) {
        self.draft.next.zones_known = known;
    }

    /// Leaves all names at and below one to others, whatever zone is above it: as a zone that has nothing and that others are
    /// asked for. A zone of that name is there already, or has to be put in the place of this by [`Editor::take_back`].
    pub fn leave_to_others(&mut self, apex: &WireName) {
        let is_there = self.draft.locate(apex, apex, &mut self.name).is_ok();
        if !is_there {
            self.add_zone(apex);
            let rules = Rules { for_others: true, ..Rules::default() };
            // The zone is there, and rules without host suffixes are never too many.
            let _ = self.set_rules(apex, &rules);
        }
    }

    /// Takes back [`Editor::leave_to_others`].
    pub fn take_back(&mut self, apex: &WireName) {
        self.draft.take_back(apex, &mut self.name);
    }

    /// The new snapshot: shards that were touched are built anew, all others are shared.
    pub fn commit(self) -> Snapshot {
        self.draft.commit()
    }
}

/// What tells a stored RRset from the others of its node.
fn key(rrset: &RrsetView<'_>) -> (u16, u16) {
    (rrset.rtype(), rrset.view())
}

/// The leaf that an RRset is put into, which may be none yet; nothing where its node is no leaf, or must be open to be put
/// into: see `leaves`.
fn leaf_for<'a>(rrset: &RrsetSpec, node: Option<Node<'a>>, is_touched: bool) -> Option<Option<NodeView<'a>>> {
    let &RrsetSpec { rtype, view, .. } = rrset;
    if view != VIEW_DEFAULT || matches!(rtype, types::SOA | types::NS | types::DNAME) {
        return None;
    }
    match node {
        None => Some(None),
        Some(Node::Stored(node)) => {
            let is_leaf = node.flags() == 0 && node.rrsets().count() < LEAF_RRSETS_MAX;
            (is_leaf && (!is_touched || node.rrset(rtype).is_none())).then_some(Some(node))
        }
        Some(Node::Open(_)) => None,
    }
}

/// Checks an RRset of `count` records against the others of its owner, given by type and view.
fn check_neighbours(rrset: &RrsetSpec, count: u16, others: impl Iterator<Item = (u16, u16)>) -> Result<(), EditError> {
    let &RrsetSpec { rtype, view, .. } = rrset;
    if matches!(rtype, types::CNAME | types::DNAME) && count > 1 {
        return Err(EditError::SeveralAliases);
    }
    if view != VIEW_DEFAULT && matches!(rtype, types::SOA | types::NS | types::DNAME) {
        return Err(EditError::NoViewType);
    }
    // RFC 4035 section 2.5 allows a CNAME's signature and denial record beside it.
    let goes_with_cname = |rtype: u16| matches!(rtype, types::RRSIG | types::NSEC);
    let (mut rrsets, mut conflict) = (0, false);
    for (other, other_view) in others.filter(|&other| other != (rtype, view)) {
        rrsets += 1;
        // Of what several views say, each client sees what goes together: `engine::select::choose`.
        conflict |= other_view == view
            && match rtype {
                types::CNAME => !goes_with_cname(other),
                _ if goes_with_cname(rtype) => false,
                _ => other == types::CNAME,
            };
    }
    match (rrsets >= NODE_RRSETS_MAX, conflict) {
        (true, _) => Err(EditError::TooLarge),
        (false, true) => Err(EditError::CnameAndOther),
        (false, false) => Ok(()),
    }
}

/// The specification that a stored RRset was made from.
fn spec_of_view(rrset: RrsetView<'_>) -> RrsetSpec {
    RrsetSpec {
        rtype: rrset.rtype(),
        ttl: rrset.ttl(),
        origin: rrset.origin(),
        rdatas: rrset.rdatas().map(Vec::from).collect(),
        view: rrset.view(),
        selection: rrset.selection().map(Box::new),
    }
}

/// The specification that an RRset in editing was made from.
fn spec_of_open(rrset: &OpenRrset) -> RrsetSpec {
    let RrsetHead { rtype, view, selected, count, ttl, origin } = rrset.head;
    let rdatas = super::rdatas_of(&rrset.records).take(usize::from(count)).map(Vec::from).collect();
    let selection = if selected { selection::read(&rrset.records, count).map(Box::new) } else { None };
    RrsetSpec { rtype, ttl, origin, rdatas, view, selection }
}
