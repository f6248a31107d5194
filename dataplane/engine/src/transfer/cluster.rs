//! What CoreDNS sends of a cluster's zone: of a Service with a cluster IP its addresses and ports, of a headless one its
//! endpoints as well. Names that a question alone makes out of these (addresses at port names, endpoints behind a cluster IP) are
//! not sent, nor are Pods, zonal names and the version of the schema.

use crate::limits::NAME_BYTES_MAX;
use crate::query::QueryName;
use crate::rtype::types;
use crate::snapshot::{NodeView, RrsetView, Snapshot};
use crate::writer::{Full, Writer};

/// Labels of a name below the apex, from the right.
const KIND: usize = 0;
/// The label behind kind, namespace and Service: an endpoint, a protocol, or the mark of zonal names.
const BELOW: usize = 3;
/// Most labels that are looked at.
const LABELS: usize = 6;
/// Bytes of an SRV record's rdata before its target (RFC 2782).
const SRV_HEAD_BYTES: usize = 6;
/// The sum of the weights of a Service's records.
const WEIGHTS: u16 = 100;

/// What a name of the zone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sent as it is.
    Other,
    /// Not sent.
    Hidden,
    /// The name server by its own name: sent where it is called so.
    Server,
    /// A Service.
    Service,
    /// A port of a Service.
    Port,
    /// An endpoint of a Service.
    Endpoint,
}

/// Writes a record of a node, if it is one that is sent.
pub(super) fn put(
    snapshot: &Snapshot,
    apex_depth: u8,
    node: NodeView<'_>,
    rrset: RrsetView<'_>,
    rdata: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), Full> {
    let kind = kind(node, apex_depth);
    let is_srv = rrset.rtype() == types::SRV;
    let target = rdata.get(SRV_HEAD_BYTES..).unwrap_or_default();
    match (kind, is_srv) {
        (Kind::Hidden, _) | (Kind::Endpoint, true) | (Kind::Port, false) => Ok(()),
        (Kind::Server, _) if !is_server(snapshot, apex_depth, node) => Ok(()),
        (Kind::Other | Kind::Server, _) | (Kind::Service, false) => writer.put_record(node.name(), rrset, rdata),
        (Kind::Endpoint, false) => match service(snapshot, apex_depth, node) {
            Some(service) if has_cluster_ip(service) => Ok(()),
            _ => writer.put_record(node.name(), rrset, rdata),
        },
        // The SRV records of a headless Service are at its ports alone.
        (Kind::Service, true) if target != node.name() => Ok(()),
        (Kind::Service, true) => put_weighted(node, rrset, rdata, WEIGHTS, writer),
        (Kind::Port, true) => {
            let share = share(snapshot, apex_depth, rrset, target);
            put_weighted(node, rrset, rdata, share, writer)
        }
    }
}

/// What a name is.
fn kind(node: NodeView<'_>, apex_depth: u8) -> Kind {
    let (labels, count) = labels(node.name(), usize::from(node.depth().saturating_sub(apex_depth)));
    let is_marked = |label: usize| labels.get(label).is_some_and(|label| label.starts_with(b"_"));
    match (labels[KIND], count) {
        (b"pod", _) | (b"dns-version", 1) => Kind::Hidden,
        (b"dns", 2) => Kind::Server,
        (b"svc", _) if labels[BELOW] == b"_zone" => Kind::Hidden,
        (b"svc", 3) => Kind::Service,
        (b"svc", 4) if !is_marked(BELOW) => Kind::Endpoint,
        (b"svc", 5) if is_marked(BELOW) && is_marked(BELOW + 1) => Kind::Port,
        _ => Kind::Other,
    }
}

/// The labels of a name below the apex from the right, as many as are looked at, and the number of all.
fn labels(name: &[u8], count: usize) -> ([&[u8]; LABELS], usize) {
    let mut labels: [&[u8]; LABELS] = [&[]; LABELS];
    let mut rest = name;
    for left in (0..count).rev() {
        let Some((&length, after)) = rest.split_first() else { break };
        let Some((label, after)) = after.split_at_checked(usize::from(length)) else { break };
        if let Some(slot) = labels.get_mut(left) {
            *slot = label;
        }
        rest = after;
    }
    (labels, count)
}

/// The node of the Service whose endpoint a node is.
fn service<'a>(snapshot: &'a Snapshot, apex_depth: u8, node: NodeView<'_>) -> Option<NodeView<'a>> {
    let (&length, rest) = node.name().split_first()?;
    find(snapshot, apex_depth, rest.get(usize::from(length)..)?)
}

/// The node of a name of the zone.
fn find<'a>(snapshot: &'a Snapshot, apex_depth: u8, name: &[u8]) -> Option<NodeView<'a>> {
    let mut taken = QueryName::default();
    taken.take(name).ok()?;
    snapshot.find(&taken, taken.depth(), apex_depth)
}

/// True for a name that an NS record of the zone leads to.
fn is_server(snapshot: &Snapshot, apex_depth: u8, node: NodeView<'_>) -> bool {
    let mut name = QueryName::default();
    name.take(node.name()).ok();
    let apex = snapshot.find(&name, usize::from(apex_depth), apex_depth);
    let servers = apex.and_then(|apex| apex.rrset(types::NS));
    servers.is_some_and(|servers| servers.rdatas().any(|server| server == node.name()))
}

/// True for a Service with a cluster IP: its ports lead to itself, those of others to their endpoints.
fn has_cluster_ip(service: NodeView<'_>) -> bool {
    let ports = service.rrset(types::SRV);
    ports.is_some_and(|ports| ports.rdatas().any(|rdata| rdata.get(SRV_HEAD_BYTES..) == Some(service.name())))
}

/// The share of one target among those of a port that have addresses of the same family: each family has endpoints of its own.
fn share(snapshot: &Snapshot, apex_depth: u8, rrset: RrsetView<'_>, target: &[u8]) -> u16 {
    let has =
        |name: &[u8], rtype: u16| find(snapshot, apex_depth, name).is_some_and(|node| node.rrset(rtype).is_some());
    let family = if has(target, types::A) { types::A } else { types::AAAA };
    let targets =
        rrset.rdatas().filter_map(|rdata| rdata.get(SRV_HEAD_BYTES..)).filter(|name| has(name, family)).count();
    let targets = u16::try_from(targets.max(1)).unwrap_or(WEIGHTS);
    (WEIGHTS / targets).max(1)
}

/// Writes an SRV record with a weight of its own.
fn put_weighted(
    node: NodeView<'_>,
    rrset: RrsetView<'_>,
    rdata: &[u8],
    weight: u16,
    writer: &mut Writer<'_>,
) -> Result<(), Full> {
    let mut changed = [0; SRV_HEAD_BYTES + NAME_BYTES_MAX];
    let (Some(to), [w1, w2]) = (changed.get_mut(..rdata.len()), weight.to_be_bytes()) else { return Ok(()) };
    to.copy_from_slice(rdata);
    if let [_, _, first, second, ..] = to {
        (*first, *second) = (w1, w2);
    }
    writer.put_record(node.name(), rrset, to)
}
