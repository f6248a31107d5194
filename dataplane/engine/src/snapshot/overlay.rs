//! The nodes that an editor has touched, in a form that can be changed.

use hashbrown::HashTable;

use super::negative::{self, NEGATIVE};
use super::node::{APEX, IN_VIEW, NodeView, PARENT, SELECTED, VERBATIM, VIEWS, rdatas_of};
use super::{Snapshot, shard};
use crate::frame::checksum::Sum;
use crate::query::QueryName;
use crate::rtype::{self, types};
use crate::select::VIEW_DEFAULT;

/// A name in a zone, and the name's key.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The key of the name.
    pub key: u64,
    /// Number of labels of the zone's apex.
    pub apex_depth: u8,
    /// The name in lower case.
    pub name: &'a [u8],
}

impl<'a> Place<'a> {
    /// The place of a name's suffix.
    pub(super) fn of(base: &Snapshot, name: &'a QueryName, depth: usize, apex_depth: u8) -> Self {
        Self { key: name.key(depth, base.seed()), apex_depth, name: name.suffix(depth) }
    }
}

/// An RRset that can be changed.
#[derive(Clone)]
pub(super) struct OpenRrset {
    /// The type.
    pub rtype: u16,
    /// The view that sees it.
    pub view: u16,
    /// Whether a table follows the records.
    pub selected: bool,
    /// Number of records.
    pub count: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The source that it came from.
    pub origin: u8,
    /// The records as they will be stored, and the table of a selection.
    pub records: Box<[u8]>,
}

impl OpenRrset {
    /// What tells the RRsets of a node apart.
    pub(super) fn key(&self) -> (u16, u16) {
        (self.rtype, self.view)
    }

    /// The kind of a node's RRset, and what is stored in the place of its sum. Beside RRsets in views none goes the direct
    /// way, which does not ask for the client.
    fn kind(&self, beside_views: bool) -> (u8, u16) {
        let selected = if self.selected { SELECTED } else { 0 };
        if self.view != VIEW_DEFAULT {
            return (selected | IN_VIEW, self.view);
        }
        // A DS record may be for the zone above to answer (RFC 4035 section 3.1.4.1).
        let is_stored_whole = rtype::rdata_names(self.rtype).is_none() && self.rtype != types::DS;
        let is_verbatim = !self.selected && !beside_views && is_stored_whole;
        (if is_verbatim { VERBATIM } else { selected }, Sum::default().add(&self.records).fold())
    }
}

/// A node that can be changed.
pub(super) struct OpenNode {
    /// The key of the name.
    pub key: u64,
    /// Number of labels of the zone's apex.
    pub apex_depth: u8,
    /// The flags of the node's head.
    pub flags: u8,
    /// False where the node does not exist, or not any more.
    pub present: bool,
    /// Number of names right below this one.
    pub children: u32,
    /// The name in lower case.
    pub name: Box<[u8]>,
    /// RRsets by ascending type and view.
    pub rrsets: Vec<OpenRrset>,
}

impl OpenNode {
    /// A node that does not exist yet.
    fn absent(place: Place<'_>) -> Self {
        Self {
            key: place.key,
            apex_depth: place.apex_depth,
            flags: 0,
            present: false,
            children: 0,
            name: place.name.into(),
            rrsets: Vec::new(),
        }
    }

    /// The changeable form of a node of a snapshot.
    fn decode(place: Place<'_>, node: NodeView<'_>) -> Self {
        let rrsets = node.rrsets().map(|rrset| OpenRrset {
            rtype: rrset.rtype(),
            view: rrset.view(),
            selected: rrset.is_selected(),
            count: rrset.count(),
            ttl: rrset.ttl(),
            origin: rrset.origin(),
            records: rrset.records().into(),
        });
        Self {
            flags: node.flags(),
            present: true,
            children: node.children(),
            rrsets: rrsets.collect(),
            ..Self::absent(place)
        }
    }

    /// Appends the node as the packet path reads it; see [`super::node`].
    pub(super) fn encode(&self, arena: &mut Vec<u8>) {
        let negative = self.negative();
        let has_views = self.rrsets.iter().any(|rrset| rrset.view != VIEW_DEFAULT);
        let flags = self.flags & !(VIEWS | PARENT);
        let flags = flags | if has_views { VIEWS } else { 0 } | if self.children > 0 { PARENT } else { 0 };
        // The editor bounds names, RRsets of a node and bytes of an RRset, so that all lengths fit.
        let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let entries = self.rrsets.len() + usize::from(negative.is_some());
        arena.extend_from_slice(&[
            flags,
            self.apex_depth,
            byte(self.name.len()),
            byte(entries),
            byte(labels(&self.name)),
        ]);
        arena.extend_from_slice(&self.name);
        if let Some(stored) = &negative {
            encode_head(arena, [NEGATIVE, 1], stored.len(), [0, 0], negative::sum(stored));
        }
        for rrset in &self.rrsets {
            let (kind, sum) = rrset.kind(has_views);
            encode_head(arena, [rrset.rtype, rrset.count], rrset.records.len(), [rrset.origin, kind], sum);
        }
        arena.extend_from_slice(negative.as_deref().unwrap_or_default());
        for rrset in &self.rrsets {
            arena.extend_from_slice(&rrset.records);
        }
        if self.children > 0 {
            arena.extend_from_slice(&self.children.to_le_bytes());
        }
    }

    /// What an apex stores for its negative answers.
    fn negative(&self) -> Option<Vec<u8>> {
        let soa = self.rrsets.iter().find(|rrset| rrset.rtype == types::SOA).filter(|_| self.flags & APEX != 0)?;
        negative::encode(&self.name, rdatas_of(&soa.records).next()?, soa.ttl)
    }
}

/// Appends the head of an RRset: type and number of records, bytes of the records, origin and kind, their sum.
fn encode_head(arena: &mut Vec<u8>, numbers: [u16; 2], bytes: usize, marks: [u8; 2], sum: u16) {
    let [rtype, count] = numbers;
    arena.extend_from_slice(&rtype.to_le_bytes());
    arena.extend_from_slice(&count.to_le_bytes());
    arena.extend_from_slice(&word(bytes));
    arena.extend_from_slice(&marks);
    arena.extend_from_slice(&sum.to_le_bytes());
}

/// Number of labels of a name in wire form, the root label left out.
fn labels(name: &[u8]) -> usize {
    let mut rest = name;
    let mut labels = 0;
    while let [length, after @ ..] = rest
        && *length != 0
    {
        rest = after.get(usize::from(*length)..).unwrap_or_default();
        labels += 1;
    }
    labels
}

/// A length as it is stored.
fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// Touched nodes, found by key and name.
#[derive(Default)]
pub(super) struct Overlay(HashTable<OpenNode>);

impl Overlay {
    /// The touched node at a place.
    pub(super) fn get(&self, place: Place<'_>) -> Option<&OpenNode> {
        self.0.find(place.key, |node| node.apex_depth == place.apex_depth && *node.name == *place.name)
    }

    /// The node at a place, copied from the base where it was not touched before.
    pub(super) fn open(&mut self, base: &Snapshot, place: Place<'_>) -> &mut OpenNode {
        let same = |node: &OpenNode| node.apex_depth == place.apex_depth && *node.name == *place.name;
        self.0
            .entry(place.key, same, |node| node.key)
            .or_insert_with(|| match base.find_key(place.key, place.name, place.apex_depth) {
                Some(node) => OpenNode::decode(place, node),
                None => OpenNode::absent(place),
            })
            .into_mut()
    }

    /// All touched nodes, those of the same shard next to each other.
    pub(super) fn into_sorted(self) -> Vec<OpenNode> {
        let mut nodes: Vec<OpenNode> = self.0.into_iter().collect();
        nodes.sort_unstable_by_key(|node| shard::place(node.key));
        nodes
    }

    /// All touched nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenNode> {
        self.0.iter()
    }
}
