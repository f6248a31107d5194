//! Going through the nodes of a zone bit by bit: what has been done is a place in the tables, so that it can rest anywhere.

use super::{FAN_OUT, NodeView, ShardView, Snapshot};

/// Where a node is in a snapshot, for as long as that lives: the number of its shard, and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodePlace {
    /// The number of the shard, its row first.
    shard: u16,
    /// The slot.
    slot: u32,
}

/// A walk through the nodes of a zone, in the order of the tables.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// The number of the shard that comes next; beyond the last at the end.
    shard: u32,
    /// The slot that comes next.
    slot: u32,
}

/// What a step of a walk came to.
#[derive(Clone, Copy)]
pub(crate) enum Scanned<'a> {
    /// A node of the zone.
    Node(NodePlace, NodeView<'a>),
    /// As many slots were looked at as should be.
    Rest,
    /// There are no more.
    End,
}

impl Scan {
    /// The next node of the zone with this apex (in lower case) and number of labels. Each slot that is looked at takes one
    /// off `slots`; shards without any cost nothing to speak of.
    pub(crate) fn next<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        apex: &[u8],
        apex_depth: u8,
        slots: &mut usize,
    ) -> Scanned<'a> {
        while let Ok(number) = u16::try_from(self.shard) {
            let shard = snapshot.numbered(number);
            let length = shard.map_or(0, ShardView::slots);
            while (self.slot as usize) < length {
                if *slots == 0 {
                    return Scanned::Rest;
                }
                *slots -= 1;
                let place = NodePlace { shard: number, slot: self.slot };
                self.slot += 1;
                let node = shard.and_then(|shard| shard.node_at(place.slot as usize));
                if let Some(node) = node.filter(|node| is_of(node, apex, apex_depth)) {
                    return Scanned::Node(place, node);
                }
            }
            (self.shard, self.slot) = (self.shard + 1, 0);
        }
        Scanned::End
    }
}

/// True for a node of the zone with this apex.
fn is_of(node: &NodeView<'_>, apex: &[u8], apex_depth: u8) -> bool {
    let mut name = node.name();
    for _ in apex_depth..node.depth() {
        let after = name.split_first().and_then(|(&length, rest)| rest.get(usize::from(length)..));
        name = after.unwrap_or_default();
    }
    node.apex_depth() == apex_depth && name == apex
}

impl Snapshot {
    /// The node at a place of this snapshot.
    pub(crate) fn node_at(&self, place: NodePlace) -> Option<NodeView<'_>> {
        self.numbered(place.shard)?.node_at(place.slot as usize)
    }

    /// A shard by its number.
    fn numbered(&self, number: u16) -> Option<ShardView<'_>> {
        let [row, column] = number.to_be_bytes();
        self.shard((row, column))
    }
}

const _: () = assert!(FAN_OUT * FAN_OUT == u16::MAX as usize + 1);
