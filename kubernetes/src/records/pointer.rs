//! PTR records: an address may be that of several Services, so what it is called is made from all that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::Plan;
use super::draft::{Draft, rtype};
use super::label::label;
use super::names::{is_label, reverse, under};
use super::store::View;
use super::zone::{Role, Zone};
use crate::object::ServiceKind;
use crate::options::EndpointPtr;

/// By which right a Service gives a name to an address; the greater one's name comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Right {
    /// It is an endpoint's.
    Endpoint,
    /// It is the Service's own.
    Own,
    /// It is the Service's outside the cluster.
    Outer,
}

/// A name that a Service gives to an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// The address.
    pub(super) address: IpAddr,
    /// By which right.
    right: Right,
    /// The name.
    target: WireName,
}

impl Claim {
    /// What a Service has one claim for at most.
    pub(super) fn key(&self) -> impl Eq + Hash {
        (self.address, self.right)
    }
}

/// Which Services have an address: twelve bytes or so for one of IPv4.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// IPv4 addresses and numbers of Services.
    v4: BTreeSet<(u32, u32)>,
    /// IPv6 addresses and numbers of Services.
    v6: BTreeSet<(u128, u32)>,
}

impl Index {
    /// Notes that a Service has an address.
    pub(super) fn insert(&mut self, address: IpAddr, number: u32) {
        match address {
            IpAddr::V4(address) => self.v4.insert((address.into(), number)),
            IpAddr::V6(address) => self.v6.insert((address.into(), number)),
        };
    }

    /// Notes that a Service has an address no longer.
    pub(super) fn remove(&mut self, address: IpAddr, number: u32) {
        match address {
            IpAddr::V4(address) => self.v4.remove(&(address.into(), number)),
            IpAddr::V6(address) => self.v6.remove(&(address.into(), number)),
        };
    }

    /// The Services that have an address.
    pub(super) fn services(&self, address: IpAddr) -> Vec<u32> {
        match address {
            IpAddr::V4(address) => self.v4.range(range(u32::from(address))).map(|(_, number)| *number).collect(),
            IpAddr::V6(address) => self.v6.range(range(u128::from(address))).map(|(_, number)| *number).collect(),
        }
    }

    /// Bytes that it takes, about: nodes of a B-tree are two thirds full.
    pub(super) fn bytes(&self) -> usize {
        let bytes = self.v4.len() * size_of::<(u32, u32)>() + self.v6.len() * size_of::<(u128, u32)>();
        bytes + bytes / 2
    }
}

/// All numbers of an address.
fn range<A: Copy>(address: A) -> std::ops::RangeInclusive<(A, u32)> {
    (address, 0)..=(address, u32::MAX)
}

/// The names that a Service gives to wanted addresses, sorted, one to an address and right.
pub(super) fn claims(plan: &Plan, view: &View<'_>, wanted: impl Fn(&IpAddr) -> bool) -> Vec<Claim> {
    let mut claims = Vec::new();
    let Some(service) = view.service.filter(|_| view.visible) else { return claims };
    let service = service.read_service();
    if let Some(base) = plan.primary.as_ref().and_then(|apex| under(&[view.name, view.namespace, "svc"], apex)) {
        if service.kind == ServiceKind::ClusterIp {
            let own = service.addresses.iter().filter(|address| wanted(address));
            claims.extend(own.map(|&address| Claim { address, right: Right::Own, target: base.clone() }));
        }
        if has_claims(plan.options.endpoint_ptr, service.kind) {
            let named_only = plan.options.endpoint_ptr == EndpointPtr::Named;
            let slices = view.slices.iter().map(|slice| slice.packed.read_slice());
            let endpoints = slices.filter(|slice| slice.cluster.is_empty()).flat_map(|slice| slice.endpoints);
            let endpoints = endpoints.filter(|endpoint| {
                (endpoint.ready || service.publish_not_ready)
                    && wanted(&endpoint.address)
                    && (!named_only || is_label(endpoint.hostname))
            });
            claims.extend(endpoints.filter_map(|endpoint| {
                let target = under(&[&*label(&endpoint, plan.options.endpoint_label)], &base)?;
                Some(Claim { address: endpoint.address, right: Right::Endpoint, target })
            }));
        }
    }
    let outer = plan.zones.iter().find(|zone| zone.role == Role::Outer);
    if let Some(target) = outer.and_then(|zone| under(&[view.name, view.namespace], &zone.apex)) {
        let outer = service.outer.iter().filter(|address| wanted(address));
        claims.extend(outer.map(|&address| Claim { address, right: Right::Outer, target: target.clone() }));
    }
    claims.sort_unstable();
    claims.dedup_by(|second, first| (second.address, second.right) == (first.address, first.right));
    claims
}

/// Whether the endpoints of a kind of Service have PTR records.
fn has_claims(mode: EndpointPtr, kind: ServiceKind) -> bool {
    match (mode, kind) {
        (EndpointPtr::None, _) | (_, ServiceKind::ExternalName) => false,
        (EndpointPtr::Named, kind) => kind == ServiceKind::Headless,
        (EndpointPtr::All, _) => true,
    }
}

/// The PTR records of addresses, from all claims of them.
pub(super) fn render(plan: &Plan, claims: BTreeMap<IpAddr, Vec<Claim>>) -> Draft {
    let mut draft = Draft::default();
    for (address, mut claims) in claims {
        claims.sort_unstable();
        let owner = reverse(address);
        let zones = plan.zones.iter().enumerate().filter(|(_, zone)| matches!(zone.role, Role::Reverse { .. }));
        let innermost =
            zones.filter(|(_, zone)| zone.apex.contains(&owner)).max_by_key(|(_, zone)| zone.apex.as_bytes().len());
        if let Some((place, zone)) = innermost {
            let rdatas = names(zone, &claims).map(|claim| claim.target.as_bytes().to_vec()).collect();
            draft.records(place, &owner, (rtype::PTR, zone.ttl), rdatas);
        }
    }
    draft
}

/// The claims that count in a zone: those from outside the cluster, else one Service's own, else those of endpoints.
fn names<'c>(zone: &Zone, claims: &'c [Claim]) -> impl Iterator<Item = &'c Claim> + use<'c> {
    let counts = |right: Right| match (zone.role, right) {
        (Role::Reverse { outer, .. }, Right::Outer) => outer,
        (Role::Reverse { cluster, .. }, Right::Own | Right::Endpoint) => cluster,
        _ => false,
    };
    let right = claims.iter().map(|claim| claim.right).filter(|right| counts(*right)).max();
    let all = if right == Some(Right::Own) { 1 } else { usize::MAX };
    claims.iter().filter(move |claim| Some(claim.right) == right).take(all)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn an_index_tells_who_has_an_address() {
        let mut index = Index::default();
        let (v4, v6) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from(Ipv6Addr::LOCALHOST));
        for (address, number) in [(v4, 7), (v4, 3), (v6, u32::MAX), (v6, 0)] {
            index.insert(address, number);
        }
        assert_eq!(index.services(v4), [3, 7]);
        assert_eq!(index.services(v6), [0, u32::MAX]);
        index.remove(v4, 3);
        assert_eq!(index.services(v4), [7]);
        assert_eq!(index.services([10, 0, 0, 2].into()), Vec::<u32>::new());
    }
}
