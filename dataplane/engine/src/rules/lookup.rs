//! What a zone with rules has for a name.

use core::net::IpAddr;

use super::pod::{self, POD};
use super::view::{ANY_NAMESPACE, BAD_POD_NODATA, BARE_PORTS, DEEP_PODS, FALLTHROUGH, FOR_OTHERS, PODS, RulesView};
use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use crate::locate::{Zone, locate, zone_above};
use crate::machine::BLOCK_BYTES;
use crate::query::QueryName;
use crate::snapshot::{APEX, CUT, DNAME, NAMED, NodeView, RULED, Snapshot};

/// Labels below the apex of a Pod's name: itself, its namespace and `pod`.
const POD_LABELS: usize = 3;

/// Most labels that are ignored to the left of a Pod's name.
const DEEP_LABELS_MAX: usize = 2;

/// What a zone has for a name.
#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    /// A node.
    Node(NodeView<'a>),
    /// The address that the name itself says.
    Address(IpAddr),
    /// A name that exists and has nothing.
    Empty,
    /// The name does not exist.
    Missing,
}

/// What a zone has for one of its names, which is at no place below a zone cut or a DNAME.
pub(crate) fn look_up<'a>(snapshot: &'a Snapshot, zone: Zone<'a>, rules: RulesView<'_>, name: &QueryName) -> Found<'a> {
    match locate(snapshot, name, zone.depth) {
        Some(node) if !is_void(node, rules) => Found::Node(node),
        _ => pod(snapshot, zone, rules, name)
            .or_else(|| port(snapshot, zone, rules, name).map(Found::Node))
            .unwrap_or(Found::Missing),
    }
}

/// True where a node is an empty non-terminal that is too deep to exist.
pub(super) fn is_void(node: NodeView<'_>, rules: RulesView<'_>) -> bool {
    let below_apex = node.depth().saturating_sub(node.apex_depth());
    rules.empty_depth_max().is_some_and(|max| below_apex > max)
        && !node.has(NAMED)
        && !node.has(APEX)
        && node.rrsets().next().is_none()
}

/// What a name is that is or may be that of a Pod; nothing where it is none.
fn pod<'a>(snapshot: &'a Snapshot, zone: Zone<'_>, rules: RulesView<'_>, name: &QueryName) -> Option<Found<'a>> {
    let depth = usize::from(zone.depth) + POD_LABELS;
    let ignored = name.depth().checked_sub(depth)?;
    let is_deep = ignored > 0;
    if (is_deep && !rules.has(DEEP_PODS)) || ignored > DEEP_LABELS_MAX || !name.suffix(depth - 2).starts_with(POD) {
        return None;
    }
    if is_deep && let Some(node) = snapshot.find(name, depth, zone.depth).filter(|&node| !is_void(node, rules)) {
        return Some(Found::Node(node));
    }
    let parent = if rules.has(ANY_NAMESPACE) { depth - 2 } else { depth - 1 };
    if !rules.has(PODS) || snapshot.find(name, parent, zone.depth).is_none() {
        return None;
    }
    match label(name.suffix(depth)).and_then(|(label, _)| pod::address(label)) {
        Some(address) => Some(Found::Address(address)),
        None => rules.has(BAD_POD_NODATA).then_some(Found::Empty),
    }
}

/// The node of a port whose name lacks underscores.
fn port<'a>(snapshot: &'a Snapshot, zone: Zone<'_>, rules: RulesView<'_>, name: &QueryName) -> Option<NodeView<'a>> {
    if !rules.has(BARE_PORTS) || !is_bare_port(name, zone.depth.into()) {
        return None;
    }
    let (port, rest) = label(name.bytes())?;
    let (protocol, service) = label(rest)?;
    let mut made = [0; NAME_BYTES_MAX + BLOCK_BYTES];
    let mut length = 0;
    for label in [port, protocol] {
        let label = label.strip_prefix(b"_").unwrap_or(label);
        // An underscore more than the label has.
        let label_bytes = u8::try_from(label.len() + 1).ok().filter(|&bytes| usize::from(bytes) <= LABEL_BYTES_MAX)?;
        let (head, to) = made.get_mut(length..NAME_BYTES_MAX)?.split_first_chunk_mut::<2>()?;
        *head = [label_bytes, b'_'];
        to.get_mut(..label.len())?.copy_from_slice(label);
        length += 2 + label.len();
    }
    made.get_mut(length..NAME_BYTES_MAX)?.get_mut(..service.len())?.copy_from_slice(service);
    length += service.len();
    snapshot.find_made(&made, length, zone.depth).filter(|&node| !is_void(node, rules))
}

/// True where a name begins with a port and a protocol, of which one lacks its underscore.
pub(super) fn is_bare_port(name: &QueryName, apex_depth: usize) -> bool {
    // A service has a name of its own, right below the apex at the highest.
    if name.depth() < apex_depth + 3 {
        return false;
    }
    let Some((port, rest)) = label(name.bytes()) else { return false };
    let Some((protocol, _)) = label(rest) else { return false };
    matches!(protocol.strip_prefix(b"_").unwrap_or(protocol), b"tcp" | b"udp" | b"sctp")
        && !(port.starts_with(b"_") && protocol.starts_with(b"_"))
}

/// The first label of a name, without its length, and what follows it.
fn label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = name.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// Where what is served for a name is to be had.
#[derive(Clone, Copy)]
pub(crate) enum Served<'a> {
    /// A zone has it.
    Here(Zone<'a>, Found<'a>),
    /// It is behind a zone cut or a DNAME record.
    Elsewhere,
}

/// True for the apex of a zone whose names are all those of others.
pub(crate) fn is_for_others(apex: NodeView<'_>) -> bool {
    apex.has(RULED) && apex.rules().is_some_and(|rules| rules.has(FOR_OTHERS))
}

/// True where nobody here answers for a name, which is in `zone`, if in any: each zone that it is in leaves names that it does
/// not have to the one above, and there is none that does not, or one whose names are all those of others. What a zone does not
/// have while sources are loading may yet come.
pub(crate) fn is_left_to_others(snapshot: &Snapshot, name: &QueryName, zone: Option<Zone<'_>>) -> bool {
    let mut next = zone;
    while let Some(zone) = next {
        if is_for_others(zone.apex) {
            return true;
        }
        let rules = if zone.apex.has(RULED) { zone.apex.rules() } else { None };
        let may_leave = |rules: &RulesView<'_>| rules.has(FALLTHROUGH) && snapshot.is_complete();
        let Some(rules) = rules.filter(may_leave) else { return false };
        let is_elsewhere = snapshot.turns(usize::from(zone.depth), name.depth()).any(|depth| {
            let node = snapshot.find(name, depth, zone.depth);
            node.is_some_and(|node| node.has(CUT) || (node.has(DNAME) && depth < name.depth()))
        });
        if is_elsewhere || !matches!(look_up(snapshot, zone, rules, name), Found::Missing) {
            return false;
        }
        next = zone_above(snapshot, name, zone.depth);
    }
    true
}

/// What is served for a name by a zone, or by one above that it leaves the name to; nothing where it does not exist. The type
/// that is asked for plays no part in it.
pub(crate) fn served<'a>(snapshot: &'a Snapshot, name: &QueryName, zone: Option<Zone<'a>>) -> Option<Served<'a>> {
    let mut next = zone;
    while let Some(zone) = next {
        for depth in snapshot.turns(usize::from(zone.depth), name.depth()) {
            let Some(node) = snapshot.find(name, depth, zone.depth) else { break };
            if node.has(CUT) || (node.has(DNAME) && depth < name.depth()) {
                return Some(Served::Elsewhere);
            }
        }
        let rules = if zone.apex.has(RULED) { zone.apex.rules() } else { None };
        let found = match rules {
            Some(rules) => look_up(snapshot, zone, rules, name),
            None => locate(snapshot, name, zone.depth).map_or(Found::Missing, Found::Node),
        };
        match found {
            Found::Missing if rules.is_some_and(|rules| rules.has(FALLTHROUGH)) => {
                next = zone_above(snapshot, name, zone.depth);
            }
            Found::Missing => return None,
            found => return Some(Served::Here(zone, found)),
        }
    }
    None
}
