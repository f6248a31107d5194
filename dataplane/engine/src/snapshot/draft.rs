//! A snapshot in the making: nodes come, go and are counted, until what was touched is stored.

use std::sync::Arc;

use super::Snapshot;
use super::edit::EditError;
use super::node::{APEX, CUT, DNAME, NAMED, NodeView, RULED, SOA, WILDCARD_CHILD};
use super::open::{OpenNode, OpenRrset};
use super::overlay::{Edited, Node, Number, Overlay, Place, Touched};
use super::shard::{Shard, ShardBuilder, ShardFull, ShardView};
use crate::name::WireName;
use crate::query::QueryName;
use crate::rtype::types;
use crate::rules::{ALIASES_BESIDE, FOR_OTHERS, RulesView};

/// The snapshot that comes of a transaction.
pub(super) struct Draft {
    /// The snapshot as it was, with totals and depths kept up to date.
    pub next: Snapshot,
    /// What was touched.
    pub overlay: Overlay,
    /// Whether zones came or went.
    zones_changed: bool,
    /// The zone that was edited last; nothing where zones went since.
    zone: Option<Zone>,
}

/// A zone that is edited.
struct Zone {
    /// Its apex in lower case.
    apex: WireName,
    /// The labels of its apex.
    depth: u8,
    /// True: the label `*` is one like any other.
    asterisks_are_labels: bool,
}

impl Draft {
    /// Nothing is touched yet.
    pub(super) fn new(base: &Snapshot) -> Self {
        Self { next: base.clone(), overlay: Overlay::default(), zones_changed: false, zone: None }
    }

    /// Cuts an owner into its labels; returns the depth of its zone's apex.
    pub(super) fn locate(&mut self, apex: &WireName, owner: &WireName, name: &mut QueryName) -> Result<u8, EditError> {
        if !matches!(&self.zone, Some(zone) if zone.apex == *apex) {
            let depth = self.apex_depth(apex, name).ok_or(EditError::NoZone)?;
            let asterisks_are_labels = self.next.asterisks.contains(apex);
            self.zone = Some(Zone { apex: apex.to_lowercase(), depth, asterisks_are_labels });
        }
        let Zone { apex: zone, depth: apex_depth, .. } = self.zone.as_ref().ok_or(EditError::NoZone)?;
        // Names of this kind can always be cut.
        name.take(owner.as_bytes()).map_err(|_| EditError::OutOfZone)?;
        let depth = usize::from(*apex_depth);
        if name.depth() < depth || name.suffix(depth) != zone.as_bytes() {
            return Err(EditError::OutOfZone);
        }
        Ok(*apex_depth)
    }

    /// The depth of a zone's apex, where the zone exists; the apex is cut into its labels.
    fn apex_depth(&self, apex: &WireName, name: &mut QueryName) -> Option<u8> {
        name.take(apex.as_bytes()).ok()?;
        let depth = u8::try_from(name.depth()).ok()?;
        let node = self.node(Place::of(&self.next, name, name.depth(), depth))?;
        node.is_present().then_some(depth)
    }

    /// The node at a place, as it was touched or as it is in the base.
    pub(super) fn node(&self, place: Place<'_>) -> Option<Node<'_>> {
        self.overlay.get(place).or_else(|| self.stored(place).map(Node::Stored))
    }

    /// The node at a place in the base.
    #[inline]
    pub(super) fn stored(&self, place: Place<'_>) -> Option<NodeView<'_>> {
        self.next.find_key(place.key, place.name, place.apex_depth)
    }

    /// True where the zone of a name lets CNAME records stand beside others.
    pub(super) fn has_aliases_beside(&self, name: &QueryName, apex_depth: u8) -> bool {
        let rules = match self.node(Place::of(&self.next, name, usize::from(apex_depth), apex_depth)) {
            Some(Node::Open(apex)) => RulesView::of(&apex.rules),
            Some(Node::Stored(apex)) => apex.rules(),
            None => None,
        };
        rules.is_some_and(|rules| rules.has(ALIASES_BESIDE))
    }

    /// Puts an RRset into a node, which is there from now on.
    pub(super) fn put(&mut self, name: &QueryName, apex_depth: u8, rrset: OpenRrset) {
        let depth = name.depth();
        self.create(name, depth, apex_depth);
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
        match node.rrsets.binary_search_by_key(&rrset.key(), OpenRrset::key) {
            Ok(index) => {
                if let Some(slot) = node.rrsets.get_mut(index) {
                    *slot = rrset;
                }
            }
            Err(index) => {
                node.rrsets.insert(index, rrset);
                self.next.totals.rrsets += 1;
                mark(&mut self.next, node, depth);
            }
        }
    }

    /// Counts a leaf that has just come.
    #[inline]
    pub(super) fn count_leaf(&mut self, name: &QueryName, apex_depth: u8) {
        self.next.totals.names += 1;
        // The apex of a zone that exists has come before everything else in it.
        if !self.add_child(name, name.depth(), apex_depth) {
            self.create(name, name.depth() - 1, apex_depth);
        }
    }

    /// Removes the RRset of a type and view, and the nodes that nothing is left of; false where it was not there.
    pub(super) fn remove(&mut self, name: &QueryName, apex_depth: u8, key: (u16, u16)) -> bool {
        let depth = name.depth();
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
        let Ok(index) = node.rrsets.binary_search_by_key(&key, OpenRrset::key) else {
            return false;
        };
        node.rrsets.remove(index);
        self.next.totals.rrsets -= 1;
        mark(&mut self.next, node, depth);
        self.prune(name, apex_depth);
        true
    }

    /// Adds a zone without any record, unless it is there.
    pub(super) fn add_zone(&mut self, apex: &WireName, name: &mut QueryName) {
        if self.apex_depth(apex, name).is_some() {
            return;
        }
        let Ok(apex_depth) = u8::try_from(name.depth()) else { return };
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, name.depth(), apex_depth));
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

    /// Says whether the label `*` of names that come from now on is one like any other.
    pub(super) fn set_asterisks(&mut self, apex: &WireName, are_labels: bool) {
        let zones = Arc::make_mut(&mut self.next.asterisks);
        zones.retain(|zone| zone != apex);
        if are_labels {
            zones.push(apex.to_lowercase());
        }
        self.zone = None;
    }

    /// Stores the rules of a zone in its apex, whose name is given; none where they are empty.
    pub(super) fn set_rules(&mut self, name: &QueryName, apex_depth: u8, rules: Box<[u8]>) {
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, usize::from(apex_depth), apex_depth));
        node.flags = if rules.is_empty() { node.flags & !RULED } else { node.flags | RULED };
        node.rules = rules;
        mark(&mut self.next, node, usize::from(apex_depth));
    }

    /// Removes a zone that has nothing and whose names are left to others, which is told by its apex alone.
    pub(super) fn take_back(&mut self, apex: &WireName, name: &mut QueryName) {
        let Some(apex_depth) = self.apex_depth(apex, name) else { return };
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, name.depth(), apex_depth));
        if !is_for_others(node) {
            return;
        }
        node.rules = Box::default();
        mark(&mut self.next, node, name.depth());
        (node.present, node.children, node.flags) = (false, 0, 0);
        self.next.totals.names -= 1;
        self.forget_zone(apex, apex_depth);
    }

    /// Forgets a zone whose nodes are gone.
    fn forget_zone(&mut self, apex: &WireName, apex_depth: u8) {
        self.next.apexes.remove(usize::from(apex_depth));
        self.zones_changed = true;
        self.set_asterisks(apex, false);
        Arc::make_mut(&mut self.next.zones).retain(|zone| zone != apex);
    }

    /// Makes a name exist, whatever it has.
    pub(super) fn add_name(&mut self, name: &QueryName, apex_depth: u8) {
        let depth = name.depth();
        // The apex exists as long as its zone does.
        if depth > usize::from(apex_depth) {
            self.create(name, depth, apex_depth);
            self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth)).flags |= NAMED;
        }
    }

    /// Lets a name exist only where it has something; false where it was not made to exist without.
    pub(super) fn remove_name(&mut self, name: &QueryName, apex_depth: u8) -> bool {
        let depth = name.depth();
        let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
        if depth == usize::from(apex_depth) || !node.present || node.flags & NAMED == 0 {
            return false;
        }
        node.flags &= !NAMED;
        self.prune(name, apex_depth);
        true
    }

    /// Removes a zone with everything in it; returns the number of its RRsets.
    pub(super) fn remove_zone(&mut self, apex: &WireName, name: &mut QueryName) -> u64 {
        let Some(apex_depth) = self.apex_depth(apex, name) else { return 0 };
        let in_zone = |name: &[u8], depth: u8| {
            depth == apex_depth && WireName::from_wire(name).is_ok_and(|owner| apex.contains(&owner))
        };
        let mut owners: Vec<Box<[u8]>> = self.next.nodes(apex).map(|node| node.name().into()).collect();
        let touched = self.overlay.iter().map(|node| node.name()).filter(|&(name, depth)| in_zone(name, depth));
        owners.extend(touched.map(|(name, _)| name.into()));
        let mut rrsets = 0;
        for owner in owners {
            if name.take(&owner).is_err() {
                continue;
            }
            let node = self.overlay.open(&self.next, Place::of(&self.next, name, name.depth(), apex_depth));
            if !node.present {
                continue;
            }
            rrsets += node.rrsets.len() as u64;
            node.rrsets.clear();
            node.rules = Box::default();
            mark(&mut self.next, node, name.depth());
            (node.present, node.children, node.flags) = (false, 0, 0);
            self.next.totals.names -= 1;
        }
        self.next.totals.rrsets -= rrsets;
        self.forget_zone(apex, apex_depth);
        rrsets
    }

    /// The new snapshot: shards that were touched are built anew, all others are shared.
    pub(super) fn commit(self) -> Snapshot {
        let Self { mut next, overlay, zones_changed, .. } = self;
        next.generation += 1;
        next.settle(zones_changed);
        let touched = overlay.into_touched();
        let mut builder = ShardBuilder::default();
        for group in touched.sorted().chunk_by(|first, second| first.place() == second.place()) {
            let Some(first) = group.first() else { continue };
            let (row, column) = first.place();
            let Some(row) = next.rows.get_mut(usize::from(row)) else { continue };
            // A shard that is full stays as it is; four GiB of one shard are beyond every memory we run in.
            if let Ok(built) = rebuild(&mut builder, row.get(column), &touched, group) {
                let before = row.memory_bytes(column);
                let row = Arc::make_mut(row);
                row.set(column, built);
                next.totals.shard_bytes = next.totals.shard_bytes - before + row.memory_bytes(column);
            }
        }
        next
    }

    /// Makes sure that the suffix of `depth` labels and all between it and the apex exist (RFC 4592 section 2.2.2: empty
    /// non-terminals).
    fn create(&mut self, name: &QueryName, depth: usize, apex_depth: u8) {
        for depth in (usize::from(apex_depth)..=depth).rev() {
            let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
            if node.present {
                return;
            }
            node.present = true;
            self.next.totals.names += 1;
            if depth > usize::from(apex_depth) {
                self.add_child(name, depth, apex_depth);
            }
        }
    }

    /// Tells the parent of a suffix that this child has come; false where the parent itself is not there yet.
    #[inline]
    fn add_child(&mut self, name: &QueryName, depth: usize, apex_depth: u8) -> bool {
        let is_label = self.zone.as_ref().is_some_and(|zone| zone.asterisks_are_labels);
        let parent = self.overlay.open(&self.next, Place::of(&self.next, name, depth - 1, apex_depth));
        parent.children += 1;
        if !is_label && is_wildcard(name, depth) {
            parent.flags |= WILDCARD_CHILD;
        }
        parent.present
    }

    /// Removes a node that has neither RRsets nor children, and so on upwards; the apex stays.
    fn prune(&mut self, name: &QueryName, apex_depth: u8) {
        for depth in (usize::from(apex_depth) + 1..=name.depth()).rev() {
            let node = self.overlay.open(&self.next, Place::of(&self.next, name, depth, apex_depth));
            if !node.present || !node.rrsets.is_empty() || node.children > 0 || node.flags & NAMED != 0 {
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

/// True for the apex of a zone whose names are left to others.
fn is_for_others(node: &OpenNode) -> bool {
    RulesView::of(&node.rules).is_some_and(|rules| rules.has(FOR_OTHERS))
}

/// Brings the flags that follow from a node's RRsets, and the depths where such nodes are, up to date.
fn mark(next: &mut Snapshot, node: &mut OpenNode, depth: usize) {
    let has = |rtype: u16| node.rrsets.iter().any(|rrset| rrset.head.rtype == rtype);
    let is_apex = node.flags & APEX != 0;
    for (flag, holds, set) in [
        (CUT, has(types::NS) && !is_apex, &mut next.cuts),
        (DNAME, has(types::DNAME), &mut next.dnames),
        // A zone whose names are left to others lacks nothing: only one that has none of its own is to be looked at twice.
        (SOA, is_apex && (has(types::SOA) || is_for_others(node)), &mut next.soas),
    ] {
        match (node.flags & flag != 0, holds) {
            (false, true) => set.add(depth),
            (true, false) => set.remove(depth),
            _ => continue,
        }
        node.flags ^= flag;
    }
}

/// The shard with the touched nodes of `group` in the place of those that they were made from.
fn rebuild(
    builder: &mut ShardBuilder,
    old: Option<ShardView<'_>>,
    touched: &Touched,
    group: &[Number],
) -> Result<Option<Shard>, ShardFull> {
    let edited = || group.iter().filter_map(|&number| touched.get(number));
    let mut nodes: Vec<(u32, &[u8])> = Vec::with_capacity(group.len() + old.map_or(0, ShardView::slots));
    if let Some(old) = old {
        let tags: Vec<u32> = edited().map(|node| node.tag()).collect();
        let is_replaced = |tag: u32, node: &NodeView<'_>| {
            tags.contains(&tag) && edited().any(|other| other.is(node.name(), node.apex_depth()))
        };
        let kept = old.entries().filter(|(tag, node, _)| !is_replaced(*tag, node));
        nodes.extend(kept.map(|(tag, _, bytes)| (tag, bytes)));
    }
    let mut encoded = Vec::new();
    let mut opened: Vec<(u32, usize)> = Vec::new();
    for node in edited() {
        match node {
            Edited::Open(open) if open.present => {
                let start = encoded.len();
                open.encode(&mut encoded);
                opened.push((node.tag(), encoded.len() - start));
            }
            Edited::Open(_) => {}
            Edited::Leaf(leaf) => nodes.push((node.tag(), leaf.bytes)),
        }
    }
    let mut rest = encoded.as_slice();
    for (tag, node_bytes) in opened {
        let Some((node, after)) = rest.split_at_checked(node_bytes) else { break };
        nodes.push((tag, node));
        rest = after;
    }
    builder.build(&nodes)
}
