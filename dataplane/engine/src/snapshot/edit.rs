//! Editing: a transaction on a snapshot, which gives a new snapshot and leaves the old one as it is.

use core::fmt;
use std::sync::Arc;

use super::node::{APEX, CUT, DNAME, SOA, WILDCARD_CHILD};
use super::overlay::{OpenNode, OpenRrset, Overlay, Place};
use super::shard::{self, Shard, ShardBuilder, ShardFull, ShardView};
use super::{RrsetView, Snapshot, rdata, selection};
use crate::name::WireName;
use crate::query::QueryName;
use crate::rtype::types;
use crate::select::{Selection, VIEW_DEFAULT, ViewTable, member_hash};

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

/// Most RRsets of one node: its head counts them, and what an apex has for negative answers, in one byte.
const NODE_RRSETS_MAX: usize = 254;

/// A transaction. Nothing is visible before [`Editor::commit`]'s snapshot is published.
pub struct Editor {
    /// The snapshot as it was, with totals and depths kept up to date.
    next: Snapshot,
    /// What was touched.
    overlay: Overlay,
    /// Whether zones came or went.
    zones_changed: bool,
}

impl Editor {
    /// Starts a transaction; costs the same for every size of snapshot.
    pub fn new(base: &Snapshot) -> Self {
        Self { next: base.clone(), overlay: Overlay::default(), zones_changed: false }
    }

    /// Puts an RRset in the place of the one with the same owner, type and view, if there is one.
    pub fn put_rrset(&mut self, apex: &WireName, owner: &WireName, rrset: &RrsetSpec) -> Result<(), EditError> {
        let (name, apex_depth) = self.locate(apex, owner)?;
        let (mut records, count) = rdata::render(rrset.rtype, rrset.ttl, &rrset.rdatas)?;
        self.check_neighbours(&name, apex_depth, rrset, count)?;
        if let Some(selection) = &rrset.selection {
            let kind = u64::from(rrset.rtype) ^ u64::from(rrset.view) << 8;
            let key = member_hash(name.suffix(name.depth())).wrapping_add(kind);
            selection::append(&mut records, selection, &rrset.rdatas, key)?;
        }
        self.create(&name, apex_depth);
        let depth = name.depth();
        let node = self.overlay.open(&self.next, Place::of(&self.next, &name, depth, apex_depth));
        let rrset = OpenRrset {
            rtype: rrset.rtype,
            view: rrset.view,
            selected: rrset.selection.is_some(),
            count,
            ttl: rrset.ttl,
            origin: rrset.origin,
            records: records.into(),
        };
        match node.rrsets.binary_search_by_key(&rrset.key(), OpenRrset::key) {
            Ok(index) => {
                if let Some(slot) = node.rrsets.get_mut(index) {
                    *slot = rrset;
                }
                return Ok(());
            }
            Err(index) => node.rrsets.insert(index, rrset),
        }
        self.next.totals.rrsets += 1;
        mark(&mut self.next, node, depth);
        Ok(())
    }

    /// Removes an RRset of the default view, and the nodes that nothing is left of; false where it was not there.
    pub fn remove_rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> bool {
        self.remove_rrset_in(apex, owner, rtype, VIEW_DEFAULT)
    }

    /// [`Editor::remove_rrset`] in a view.
    pub fn remove_rrset_in(&mut self, apex: &WireName, owner: &WireName, rtype: u16, view: u16) -> bool {
        let Ok((name, apex_depth)) = self.locate(apex, owner) else {
            return false;
        };
        let depth = name.depth();
        let node = self.overlay.open(&self.next, Place::of(&self.next, &name, depth, apex_depth));
        let Ok(index) = node.rrsets.binary_search_by_key(&(rtype, view), OpenRrset::key) else {
            return false;
        };
        node.rrsets.remove(index);
        self.next.totals.rrsets -= 1;
        mark(&mut self.next, node, depth);
        self.prune(&name, apex_depth);
        true
    }

    /// The RRset of an owner and type in the default view, pending edits included.
    pub fn rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> Option<RrsetSpec> {
        self.rrsets(apex, owner).into_iter().find(|rrset| (rrset.rtype, rrset.view) == (rtype, VIEW_DEFAULT))
    }

    /// The RRsets of an owner in all views, pending edits included.
    pub fn rrsets(&mut self, apex: &WireName, owner: &WireName) -> Vec<RrsetSpec> {
        let Ok((name, apex_depth)) = self.locate(apex, owner) else {
            return Vec::new();
        };
        let place = Place::of(&self.next, &name, name.depth(), apex_depth);
        if let Some(node) = self.overlay.get(place) {
            return node.rrsets.iter().map(spec_of_open).collect();
        }
        let node = self.next.find(&name, name.depth(), apex_depth);
        node.map(|node| node.rrsets().map(spec_of_view).collect()).unwrap_or_default()
    }

    /// Adds a zone without any record, unless it is there. Until it has an SOA record its answers are SERVFAIL.
    pub fn add_zone(&mut self, apex: &WireName) {
        if self.zone(apex).is_some() {
            return;
        }
        let Some((name, apex_depth)) = self.take(apex) else {
            return;
        };
        let node = self.overlay.open(&self.next, Place::of(&self.next, &name, name.depth(), apex_depth));
        node.present = true;
        node.flags = APEX;
        self.next.totals.names += 1;
        self.next.apexes.add(name.depth());
        self.zones_changed = true;
        let zones = Arc::make_mut(&mut self.next.zones);
        if let Err(index) = zones.binary_search(apex) {
            zones.insert(index, apex.to_lowercase());
        }
    }

    /// Removes a zone with everything in it; returns the number of its RRsets. Goes through everything that is served.
    pub fn remove_zone(&mut self, apex: &WireName) -> u64 {
        let Some(apex_depth) = self.zone(apex) else { return 0 };
        let in_zone = |name: &[u8], depth: u8| {
            depth == apex_depth && WireName::from_wire(name).is_ok_and(|owner| apex.contains(&owner))
        };
        let mut owners: Vec<Box<[u8]>> = self.next.nodes(apex).map(|node| node.name().into()).collect();
        let touched = self.overlay.iter().filter(|node| in_zone(&node.name, node.apex_depth));
        owners.extend(touched.map(|node| node.name.clone()));
        let mut rrsets = 0;
        let mut name = QueryName::default();
        for owner in owners {
            if name.take(&owner).is_err() {
                continue;
            }
            let node = self.overlay.open(&self.next, Place::of(&self.next, &name, name.depth(), apex_depth));
            if !node.present {
                continue;
            }
            rrsets += node.rrsets.len() as u64;
            node.rrsets.clear();
            mark(&mut self.next, node, name.depth());
            (node.present, node.children, node.flags) = (false, 0, 0);
            self.next.totals.names -= 1;
        }
        self.next.totals.rrsets -= rrsets;
        self.next.apexes.remove(usize::from(apex_depth));
        self.zones_changed = true;
        Arc::make_mut(&mut self.next.zones).retain(|zone| zone != apex);
        rrsets
    }

    /// Says which client sees which view.
    pub fn set_views(&mut self, views: ViewTable) {
        self.next.views = Arc::new(views);
    }

    /// Says whether every source has told all it knows: until then a name that is missing is answered with SERVFAIL.
    pub fn set_complete(&mut self, complete: bool) {
        self.next.complete = complete;
    }

    /// The new snapshot: shards that were touched are built anew, all others are shared.
    pub fn commit(self) -> Snapshot {
        let Self { mut next, overlay, zones_changed } = self;
        next.generation += 1;
        next.settle(zones_changed);
        let nodes = overlay.into_sorted();
        for group in nodes.chunk_by(|first, second| shard::place(first.key) == shard::place(second.key)) {
            let Some(first) = group.first() else { continue };
            let (row, column) = shard::place(first.key);
            let Some(row) = next.rows.get_mut(usize::from(row)) else { continue };
            let old = row.get(column);
            // A shard that is full stays as it is; four GiB of one shard are beyond every memory we run in.
            if let Ok(built) = rebuild(old, group) {
                let before = row.memory_bytes(column);
                let row = Arc::make_mut(row);
                row.set(column, built);
                next.totals.shard_bytes = next.totals.shard_bytes - before + row.memory_bytes(column);
            }
        }
        next
    }

    /// Cuts a name; names of this kind always fit.
    fn take(&self, name: &WireName) -> Option<(QueryName, u8)> {
        let mut taken = QueryName::default();
        taken.take(name.as_bytes()).ok()?;
        let depth = u8::try_from(taken.depth()).ok()?;
        Some((taken, depth))
    }

    /// The depth of a zone's apex, where the zone exists.
    fn zone(&self, apex: &WireName) -> Option<u8> {
        let (name, depth) = self.take(apex)?;
        let place = Place::of(&self.next, &name, name.depth(), depth);
        match self.overlay.get(place) {
            Some(node) => node.present,
            None => self.next.find(&name, name.depth(), depth).is_some(),
        }
        .then_some(depth)
    }

    /// The owner cut into its labels, and the depth of its zone's apex.
    fn locate(&self, apex: &WireName, owner: &WireName) -> Result<(QueryName, u8), EditError> {
        let apex_depth = self.zone(apex).ok_or(EditError::NoZone)?;
        let (name, _) = self.take(owner).ok_or(EditError::OutOfZone)?;
        if !apex.contains(owner) {
            return Err(EditError::OutOfZone);
        }
        Ok((name, apex_depth))
    }

    /// Checks an RRset against the others of its owner.
    fn check_neighbours(
        &self,
        name: &QueryName,
        apex_depth: u8,
        rrset: &RrsetSpec,
        count: u16,
    ) -> Result<(), EditError> {
        let &RrsetSpec { rtype, view, .. } = rrset;
        if matches!(rtype, types::CNAME | types::DNAME) && count > 1 {
            return Err(EditError::SeveralAliases);
        }
        if view != VIEW_DEFAULT && matches!(rtype, types::SOA | types::NS | types::DNAME) {
            return Err(EditError::NoViewType);
        }
        let place = Place::of(&self.next, name, name.depth(), apex_depth);
        let mut others: Vec<(u16, u16)> = match self.overlay.get(place) {
            Some(node) => node.rrsets.iter().map(OpenRrset::key).collect(),
            None => match self.next.find(name, name.depth(), apex_depth) {
                Some(node) => node.rrsets().map(|rrset| (rrset.rtype(), rrset.view())).collect(),
                None => Vec::new(),
            },
        };
        others.retain(|&other| other != (rtype, view));
        if others.len() >= NODE_RRSETS_MAX {
            return Err(EditError::TooLarge);
        }
        // Of what several views say, each client sees what goes together: `engine::select::choose`.
        let mut others = others.into_iter().filter(|&(_, other)| other == view).map(|(rtype, _)| rtype);
        // RFC 4035 section 2.5 allows a CNAME's signature and denial record beside it.
        let goes_with_cname = |rtype: u16| matches!(rtype, types::RRSIG | types::NSEC);
        let conflict = match rtype {
            types::CNAME => others.any(|other| !goes_with_cname(other)),
            _ if goes_with_cname(rtype) => false,
            _ => others.any(|other| other == types::CNAME),
        };
        if conflict { Err(EditError::CnameAndOther) } else { Ok(()) }
    }

    /// Makes sure that a node and all between it and the apex exist (RFC 4592 section 2.2.2: empty non-terminals).
    fn create(&mut self, name: &QueryName, apex_depth: u8) {
        for depth in (usize::from(apex_depth)..=name.depth()).rev() {
            let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
            if node.present {
                return;
            }
            node.present = true;
            self.next.totals.names += 1;
            if depth > usize::from(apex_depth) {
                let parent = self.overlay.open(&self.next, Place::of(&self.next, name, depth - 1, apex_depth));
                parent.children += 1;
                if is_wildcard(name, depth) {
                    parent.flags |= WILDCARD_CHILD;
                }
            }
        }
    }

    /// Removes a node that has neither RRsets nor children, and so on upwards; the apex stays.
    fn prune(&mut self, name: &QueryName, apex_depth: u8) {
        for depth in (usize::from(apex_depth) + 1..=name.depth()).rev() {
            let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
            if !node.present || !node.rrsets.is_empty() || node.children > 0 {
                return;
            }
            node.present = false;
            self.next.totals.names -= 1;
            let parent = self.overlay.open(&self.next, Place::of(&self.next, name, depth - 1, apex_depth));
            parent.children = parent.children.saturating_sub(1);
            if is_wildcard(name, depth) {
                parent.flags &= !WILDCARD_CHILD;
            }
        }
    }
}

/// True where the suffix of `depth` labels starts with the label `*`.
fn is_wildcard(name: &QueryName, depth: usize) -> bool {
    name.suffix(depth).starts_with(b"\x01*")
}

/// Brings the flags that follow from a node's RRsets, and the depths where such nodes are, up to date.
fn mark(next: &mut Snapshot, node: &mut OpenNode, depth: usize) {
    let has = |rtype: u16| node.rrsets.iter().any(|rrset| rrset.rtype == rtype);
    let is_apex = node.flags & APEX != 0;
    for (flag, holds, set) in [
        (CUT, has(types::NS) && !is_apex, &mut next.cuts),
        (DNAME, has(types::DNAME), &mut next.dnames),
        (SOA, has(types::SOA) && is_apex, &mut next.soas),
    ] {
        match (node.flags & flag != 0, holds) {
            (false, true) => set.add(depth),
            (true, false) => set.remove(depth),
            _ => continue,
        }
        node.flags ^= flag;
    }
}

/// The shard with the nodes of `group` in the place of those that they were made from.
fn rebuild(old: Option<ShardView<'_>>, group: &[OpenNode]) -> Result<Option<Shard>, ShardFull> {
    let mut builder = ShardBuilder::default();
    let replaced = |tag: u32, name: &[u8], apex_depth: u8| {
        group.iter().any(|node| shard::tag(node.key) == tag && node.apex_depth == apex_depth && *node.name == *name)
    };
    for (tag, node, bytes) in old.into_iter().flat_map(ShardView::entries) {
        if !replaced(tag, node.name(), node.apex_depth()) {
            builder.add(tag, |nodes| nodes.extend_from_slice(bytes));
        }
    }
    for node in group.iter().filter(|node| node.present) {
        builder.add(shard::tag(node.key), |nodes| node.encode(nodes));
    }
    builder.build()
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
    let rdatas = super::rdatas_of(&rrset.records).take(usize::from(rrset.count)).map(Vec::from).collect();
    let selection = if rrset.selected { selection::read(&rrset.records, rrset.count).map(Box::new) } else { None };
    RrsetSpec { rtype: rrset.rtype, ttl: rrset.ttl, origin: rrset.origin, rdatas, view: rrset.view, selection }
}
