//! Where names stand in what is served: their zones, their nodes, and what stands in for a node that is not there.

use crate::query::QueryName;
use crate::rtype::types;
use crate::snapshot::{NodeView, Snapshot, WILDCARD_CHILD};

/// The zone that a name was found to belong to.
#[derive(Clone, Copy)]
pub(crate) struct Zone<'a> {
    /// Number of labels of its apex.
    pub depth: u8,
    /// Its apex.
    pub apex: NodeView<'a>,
}

/// The zone that answers for a name: the deepest whose apex encloses it. For DS at an apex it is the zone above, where
/// that is served here too (RFC 4035 section 3.1.4.1).
#[inline]
pub(crate) fn zone_of<'a>(snapshot: &'a Snapshot, name: &QueryName, qtype: u16) -> Option<Zone<'a>> {
    let mut below_cut = None;
    for depth in snapshot.apexes().between(0, name.depth()).rev() {
        let short = u8::try_from(depth).ok()?;
        let Some(apex) = snapshot.find(name, depth, short) else {
            continue;
        };
        let zone = Zone { depth: short, apex };
        if qtype == types::DS && depth == name.depth() && depth > 0 {
            below_cut = Some(zone);
            continue;
        }
        return Some(zone);
    }
    below_cut
}

/// The zone right above the one whose apex has so many labels of a name, where one is served.
pub(crate) fn zone_above<'a>(snapshot: &'a Snapshot, name: &QueryName, apex_depth: u8) -> Option<Zone<'a>> {
    let depths = snapshot.apexes().between(0, usize::from(apex_depth).checked_sub(1)?).rev();
    depths
        .filter_map(|depth| u8::try_from(depth).ok())
        .find_map(|depth| snapshot.find(name, depth.into(), depth).map(|apex| Zone { depth, apex }))
}

/// The node that answers for a name of a zone: its own, or that of the wildcard at the closest encloser (RFC 4592
/// section 3.3.1). The name is at no place below a zone cut or a DNAME.
#[inline]
pub(crate) fn locate<'a>(snapshot: &'a Snapshot, name: &QueryName, apex_depth: u8) -> Option<NodeView<'a>> {
    if let Some(node) = snapshot.find(name, name.depth(), apex_depth) {
        return Some(node);
    }
    let encloser = closest_encloser(snapshot, name, apex_depth)?;
    if !encloser.node.has(WILDCARD_CHILD) {
        return None;
    }
    snapshot.find_wildcard(name, encloser.depth, apex_depth)
}

/// The closest encloser of a name that does not exist: its longest suffix that does (RFC 4592 section 2.2.1).
pub(crate) fn closest_encloser<'a>(snapshot: &'a Snapshot, name: &QueryName, apex_depth: u8) -> Option<Encloser<'a>> {
    // Mostly it is the parent. Else by bisection, since with a name all between it and the apex exist: a flood of names
    // with a hundred labels costs seven probes each, not a hundred.
    let parent = name.depth().checked_sub(1)?;
    if let Some(node) = snapshot.find(name, parent, apex_depth) {
        return Some(Encloser { node, depth: parent });
    }
    let (mut exists, mut missing) = (usize::from(apex_depth), parent);
    let mut node = snapshot.find(name, exists, apex_depth)?;
    while missing - exists > 1 {
        let middle = exists.midpoint(missing);
        match snapshot.find(name, middle, apex_depth) {
            Some(found) => (exists, node) = (middle, found),
            None => missing = middle,
        }
    }
    Some(Encloser { node, depth: exists })
}

/// A closest encloser and its number of labels.
#[derive(Clone, Copy)]
pub(crate) struct Encloser<'a> {
    /// The node.
    pub node: NodeView<'a>,
    /// Its number of labels.
    pub depth: usize,
}
