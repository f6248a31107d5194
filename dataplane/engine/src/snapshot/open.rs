//! Nodes in a form that can be changed, and how they are encoded for the packet path, see [`super::node`].

use super::RrsetView;
use super::negative::{self, NEGATIVE};
use super::node::{APEX, IN_VIEW, NodeView, PARENT, RULES, SELECTED, VERBATIM, VIEWS, rdatas_of};
use super::overlay::Place;
use crate::frame::checksum::Sum;
use crate::rtype::{self, types};
use crate::select::VIEW_DEFAULT;

/// An RRset without its records.
#[derive(Clone, Copy)]
pub(super) struct RrsetHead {
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
}

impl RrsetHead {
    /// The head of a stored RRset.
    fn of(rrset: &RrsetView<'_>) -> Self {
        Self {
            rtype: rrset.rtype(),
            view: rrset.view(),
            selected: rrset.is_selected(),
            count: rrset.count(),
            ttl: rrset.ttl(),
            origin: rrset.origin(),
        }
    }

    /// What tells the RRsets of a node apart.
    pub(super) fn key(&self) -> (u16, u16) {
        (self.rtype, self.view)
    }

    /// The kind of a node's RRset, and what is stored in the place of its sum. Beside RRsets in views none goes the direct
    /// way, which does not ask for the client.
    fn kind(&self, records: &[u8], beside_views: bool) -> (u8, u16) {
        let selected = if self.selected { SELECTED } else { 0 };
        if self.view != VIEW_DEFAULT {
            return (selected | IN_VIEW, self.view);
        }
        // A DS record may be for the zone above to answer (RFC 4035 section 3.1.4.1).
        let is_stored_whole = rtype::rdata_names(self.rtype).is_none() && self.rtype != types::DS;
        let is_verbatim = !self.selected && !beside_views && is_stored_whole;
        (if is_verbatim { VERBATIM } else { selected }, Sum::default().add(records).fold())
    }

    /// Appends the head as it is stored.
    fn encode(&self, arena: &mut Vec<u8>, records: &[u8], beside_views: bool) {
        let (kind, sum) = self.kind(records, beside_views);
        encode_head(arena, [self.rtype, self.count], records.len(), [self.origin, kind], sum);
    }
}

/// An RRset that can be changed.
pub(super) struct OpenRrset {
    /// All but the records.
    pub head: RrsetHead,
    /// The records as they will be stored, and the table of a selection.
    pub records: Box<[u8]>,
}

impl OpenRrset {
    /// What tells the RRsets of a node apart.
    pub(super) fn key(&self) -> (u16, u16) {
        self.head.key()
    }
}

/// A node that can be changed.
pub(super) struct OpenNode {
    /// The key of the name.
    pub key: u64,
    /// Number of labels of the zone's apex.
    pub apex_depth: u8,
    /// Number of labels of the name.
    pub depth: u8,
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
    /// The rules of an apex as they are stored; empty where there are none.
    pub rules: Box<[u8]>,
}

impl OpenNode {
    /// A node that does not exist yet.
    pub(super) fn absent(place: Place<'_>) -> Self {
        Self {
            key: place.key,
            apex_depth: place.apex_depth,
            depth: place.depth,
            flags: 0,
            present: false,
            children: 0,
            name: place.name.into(),
            rrsets: Vec::new(),
            rules: Box::default(),
        }
    }

    /// The changeable form of a stored node.
    pub(super) fn decode(place: Place<'_>, node: NodeView<'_>) -> Self {
        let rrsets =
            node.rrsets().map(|rrset| OpenRrset { head: RrsetHead::of(&rrset), records: rrset.records().into() });
        Self {
            flags: node.flags(),
            present: true,
            children: node.children(),
            rrsets: rrsets.collect(),
            rules: node.stored_rules().unwrap_or_default().into(),
            ..Self::absent(place)
        }
    }

    /// True where this is the node of a place.
    pub(super) fn is(&self, name: &[u8], apex_depth: u8) -> bool {
        self.apex_depth == apex_depth && *self.name == *name
    }

    /// Appends the node as the packet path reads it.
    pub(super) fn encode(&self, arena: &mut Vec<u8>) {
        let negative = self.negative();
        let has_views = self.rrsets.iter().any(|rrset| rrset.head.view != VIEW_DEFAULT);
        let flags = self.flags & !(VIEWS | PARENT);
        let flags = flags | if has_views { VIEWS } else { 0 } | if self.children > 0 { PARENT } else { 0 };
        let has_rules = !self.rules.is_empty();
        let entries = self.rrsets.len() + usize::from(negative.is_some()) + usize::from(has_rules);
        arena.extend_from_slice(&[flags, self.apex_depth, byte(self.name.len()), byte(entries), self.depth]);
        arena.extend_from_slice(&self.name);
        if has_rules {
            encode_head(arena, [RULES, 1], self.rules.len(), [0, 0], 0);
        }
        if let Some(stored) = &negative {
            encode_head(arena, [NEGATIVE, 1], stored.len(), [0, 0], negative::sum(stored));
        }
        for rrset in &self.rrsets {
            rrset.head.encode(arena, &rrset.records, has_views);
        }
        arena.extend_from_slice(&self.rules);
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
        let soa = self.rrsets.iter().find(|rrset| rrset.head.rtype == types::SOA).filter(|_| self.flags & APEX != 0)?;
        negative::encode(&self.name, rdatas_of(&soa.records).next()?, soa.head.ttl)
    }
}

/// Encodes a leaf (see `leaves`) in the place of what `node` had: `old`, if there is one, with an RRset more, or instead of
/// its own of the same type.
pub(super) fn encode_leaf(
    node: &mut Vec<u8>,
    place: Place<'_>,
    old: Option<NodeView<'_>>,
    head: RrsetHead,
    records: &[u8],
) {
    let others = || old.iter().flat_map(NodeView::rrsets);
    let before = || others().filter(|other| other.rtype() < head.rtype);
    let after = || others().filter(|other| other.rtype() > head.rtype);
    let rrsets = before().count() + 1 + after().count();
    node.clear();
    node.extend_from_slice(&[0, place.apex_depth, byte(place.name.len()), byte(rrsets), place.depth]);
    node.extend_from_slice(place.name);
    before().for_each(|other| RrsetHead::of(&other).encode(node, other.records(), false));
    head.encode(node, records, false);
    after().for_each(|other| RrsetHead::of(&other).encode(node, other.records(), false));
    before().for_each(|other| node.extend_from_slice(other.records()));
    node.extend_from_slice(records);
    after().for_each(|other| node.extend_from_slice(other.records()));
}

/// Appends the head of an RRset: type and number of records, bytes of the records, origin and kind, their sum.
fn encode_head(arena: &mut Vec<u8>, numbers: [u16; 2], bytes: usize, marks: [u8; 2], sum: u16) {
    let ([t1, t2], [n1, n2]) = (numbers[0].to_le_bytes(), numbers[1].to_le_bytes());
    let [l1, l2, l3, l4] = u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let ([origin, kind], [s1, s2]) = (marks, sum.to_le_bytes());
    arena.extend_from_slice(&[t1, t2, n1, n2, l1, l2, l3, l4, origin, kind, s1, s2]);
}

/// A number as it is stored. The editor bounds names and the RRsets of a node, so that all fit.
fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
