//! The search path of the clients, walked here. Which namespace a client is in, the question tells: its resolver put
//! `<namespace>.svc.<apex>` behind the name.

use super::lookup::{Found, Served, served};
use super::view::RulesView;
use crate::chain::MadeName;
use crate::locate::{Zone, zone_of};
use crate::query::QueryName;
use crate::rtype::types;
use crate::snapshot::Snapshot;

/// The label below which namespaces have their services, in wire form.
pub(super) const SVC: &[u8] = b"\x03svc";

/// Labels below the apex of a namespace's name, itself and `svc`: the first of the suffixes that are searched.
pub(super) const NAMESPACE_LABELS: usize = 2;

/// Where a search path has led to.
pub(super) struct Hit<'a> {
    /// The name.
    pub name: MadeName,
    /// Its zone.
    pub zone: Zone<'a>,
    /// What the zone has for it.
    pub found: Found<'a>,
}

/// The first name of the search path that is served and exists; whether it has the type that is asked for does not count, or
/// two types could lead to two names. What is not served here is passed over, and so is what stands behind a zone cut or a
/// DNAME record. `spare` is working memory.
pub(super) fn search<'a>(
    snapshot: &'a Snapshot,
    zone: Zone<'_>,
    rules: RulesView<'_>,
    name: &QueryName,
    spare: &mut QueryName,
) -> Option<Hit<'a>> {
    let apex_depth = usize::from(zone.depth);
    let namespace_depth = apex_depth + NAMESPACE_LABELS;
    if name.depth() <= namespace_depth || !name.suffix(apex_depth + 1).starts_with(SVC) {
        return None;
    }
    snapshot.find(name, namespace_depth, zone.depth)?;
    let labels = name.bytes().get(..name.start(namespace_depth))?;
    let cluster = [name.suffix(apex_depth + 1), name.suffix(apex_depth)];
    for suffix in cluster.into_iter().chain(rules.host_suffixes()).chain([&b"\0"[..]]) {
        let mut candidate = MadeName::default();
        if candidate.join(labels, suffix).is_none() || spare.take(candidate.bytes()).is_err() {
            continue;
        }
        if let Some(Served::Here(zone, found)) = served(snapshot, spare, zone_of(snapshot, spare, types::A)) {
            return Some(Hit { name: candidate, zone, found });
        }
    }
    None
}
