//! What an editor has touched: a table of nodes, found by key and name.
//!
//! Most nodes that are put have few RRsets and nothing else. They are encoded at once as they will lie in their shard, see
//! `leaves`. All others are kept in a form that can be changed, see `open`; a leaf becomes one of them when more is done to
//! it than to add an RRset.

use hashbrown::HashTable;

use super::leaves::{LEAVES_END, Leaf, Leaves};
use super::node::NodeView;
use super::open::OpenNode;
use super::{Snapshot, shard};
use crate::query::QueryName;

/// A name in a zone, and the name's key.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The key of the name.
    pub key: u64,
    /// Number of labels of the zone's apex.
    pub apex_depth: u8,
    /// Number of labels of the name.
    pub depth: u8,
    /// The name in lower case.
    pub name: &'a [u8],
}

impl<'a> Place<'a> {
    /// The place of a name's suffix.
    pub(super) fn of(base: &Snapshot, name: &'a QueryName, depth: usize, apex_depth: u8) -> Self {
        Self {
            key: name.key(depth, base.seed()),
            apex_depth,
            // A name has at most 127 labels.
            depth: u8::try_from(depth).unwrap_or(u8::MAX),
            name: name.suffix(depth),
        }
    }
}

/// A node that was touched, or one of a snapshot.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    /// A node in the form that can be changed.
    Open(&'a OpenNode),
    /// An encoded node.
    Stored(NodeView<'a>),
}

impl<'a> Node<'a> {
    /// The name in lower case, and the number of labels of its zone's apex.
    pub(super) fn name(&self) -> (&'a [u8], u8) {
        match self {
            Node::Open(node) => (&node.name, node.apex_depth),
            Node::Stored(node) => (node.name(), node.apex_depth()),
        }
    }

    /// False where the node was removed.
    pub(super) fn is_present(&self) -> bool {
        match self {
            Node::Open(node) => node.present,
            Node::Stored(_) => true,
        }
    }
}

/// Touched nodes.
#[derive(Default)]
pub(super) struct Overlay {
    /// Those that can be changed.
    open: HashTable<OpenNode>,
    /// Those that are encoded already.
    leaves: Leaves,
}

impl Overlay {
    /// The touched node at a place.
    #[inline]
    pub(super) fn get(&self, place: Place<'_>) -> Option<Node<'_>> {
        match self.open.find(place.key, |node| node.is(place.name, place.apex_depth)) {
            Some(node) => Some(Node::Open(node)),
            None => self.leaves.get(place).map(Node::Stored),
        }
    }

    /// Puts an encoded leaf in the place of a node that is not open: one of a snapshot or, where `is_touched` says so, a
    /// leaf that was put before. False where there is no room: then it must be opened.
    #[inline]
    pub(super) fn put_leaf(&mut self, place: Place<'_>, node: &[u8], is_touched: bool) -> bool {
        self.leaves.put(place, node, is_touched)
    }

    /// The node at a place in the form that can be changed, copied from the base where it was not touched before.
    pub(super) fn open(&mut self, base: &Snapshot, place: Place<'_>) -> &mut OpenNode {
        let Self { open, leaves } = self;
        open.entry(place.key, |node| node.is(place.name, place.apex_depth), |node| node.key)
            .or_insert_with(|| match leaves.take(place) {
                Some(node) => OpenNode::decode(place, node),
                None => match base.find_key(place.key, place.name, place.apex_depth) {
                    Some(node) => OpenNode::decode(place, node),
                    None => OpenNode::absent(place),
                },
            })
            .into_mut()
    }

    /// All touched nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = Node<'_>> {
        self.open.iter().map(Node::Open).chain(self.leaves.iter().filter_map(|(_, leaf)| leaf.view().map(Node::Stored)))
    }

    /// What was touched, to be stored.
    pub(super) fn into_touched(self) -> Touched {
        let Self { open, mut leaves } = self;
        // What is freed now is memory for the shards.
        leaves.forget_names();
        Touched { open: open.into_iter().collect(), leaves }
    }
}

/// A node that was touched, to be stored.
#[derive(Clone, Copy)]
pub(super) enum Edited<'a> {
    /// A node in the form that can be changed, which may be absent.
    Open(&'a OpenNode),
    /// A node that is encoded already.
    Leaf(Leaf<'a>),
}

impl Edited<'_> {
    /// The tag of the node's key.
    #[inline]
    pub(super) fn tag(&self) -> u32 {
        match self {
            Edited::Open(node) => shard::tag(node.key),
            Edited::Leaf(leaf) => shard::tag(leaf.key),
        }
    }

    /// True where this is the node of a name.
    pub(super) fn is(&self, name: &[u8], apex_depth: u8) -> bool {
        match self {
            Edited::Open(node) => node.is(name, apex_depth),
            Edited::Leaf(leaf) => leaf.view().is_some_and(|node| node.is(name, apex_depth)),
        }
    }
}

/// Touched nodes that are found by their numbers.
pub(super) struct Touched {
    /// Those that can be changed; their numbers follow those of all others.
    open: Vec<OpenNode>,
    /// Those that are encoded already.
    leaves: Leaves,
}

/// A touched node's number, behind the place of its shard: both in one number, because that is sorted fastest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

impl Number {
    /// The number of a node with a key.
    fn new(key: u64, number: u32) -> Self {
        Self(key >> PLACE_SHIFT << PLACE_SHIFT | u64::from(number))
    }

    /// The place of the node's shard.
    pub(super) fn place(self) -> (u8, u8) {
        shard::place(self.0)
    }
}

/// The bits of a key below those that are the place of its shard.
const PLACE_SHIFT: u32 = 48;

impl Touched {
    /// The numbers of all nodes, those of the same shard next to each other.
    pub(super) fn sorted(&self) -> Vec<Number> {
        let open = self.open.iter().zip(LEAVES_END..).map(|(node, number)| Number::new(node.key, number));
        let leaves = self.leaves.iter().map(|(number, leaf)| Number::new(leaf.key, number));
        let mut all: Vec<Number> = open.chain(leaves).collect();
        all.sort_unstable();
        all
    }

    /// The node of a number.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "above the lower half is the place")]
    pub(super) fn get(&self, number: Number) -> Option<Edited<'_>> {
        let number = number.0 as u32;
        match number.checked_sub(LEAVES_END) {
            Some(index) => self.open.get(index as usize).map(Edited::Open),
            None => self.leaves.at(number).map(Edited::Leaf),
        }
    }
}
