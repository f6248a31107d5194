//! The zones' name servers: the Services that have this server for an endpoint, else the server by its own addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::Plan;
use super::draft::{Draft, rtype};
use super::names::under;
use super::service::{Pool, Site};
use super::store::{Store, View};
use super::zone::{Role, Zone};
use crate::object::ServiceKind;

/// What is called a name server.
#[derive(Debug, Default)]
struct Servers {
    /// Their names.
    names: BTreeSet<WireName>,
    /// Their addresses.
    addresses: BTreeSet<IpAddr>,
    /// Their addresses outside the cluster.
    outer: BTreeSet<IpAddr>,
}

/// True where this server is one of a Service's endpoints.
pub(super) fn is_server(plan: &Plan, view: &View<'_>) -> bool {
    let Some(service) = view.service.filter(|_| !plan.own.is_empty()) else { return false };
    let publish_not_ready = service.read_service().publish_not_ready;
    let slices = view.slices.iter().map(|slice| slice.packed.read_slice()).filter(|slice| slice.cluster.is_empty());
    let mut endpoints = slices.flat_map(|slice| slice.endpoints);
    endpoints.any(|endpoint| (endpoint.ready || publish_not_ready) && plan.own.contains(&endpoint.address))
}

impl Servers {
    /// Takes a Service that has this server for an endpoint.
    fn take(&mut self, plan: &Plan, (place, zone): (usize, &Zone), view: &View<'_>) {
        let (Some(packed), Some(base)) = (view.service, under(&[view.name, view.namespace, "svc"], &zone.apex)) else {
            return;
        };
        let service = packed.read_service();
        let site = Site::new(plan, place, zone, base);
        let pool = Pool::new(view, service.publish_not_ready, false, &site);
        let own = pool.addresses().filter(|(address, _)| plan.own.contains(address));
        match service.kind {
            ServiceKind::Headless => own.for_each(|(address, name)| {
                self.addresses.insert(address);
                self.names.insert(name.clone());
            }),
            ServiceKind::ClusterIp if !service.addresses.is_empty() => {
                self.addresses.extend(service.addresses.iter().copied());
                self.names.insert(site.base.clone());
            }
            ServiceKind::ClusterIp | ServiceKind::ExternalName => {}
        }
        self.outer.extend(service.outer);
    }
}

/// What the zones say of their name servers.
pub(super) fn render(plan: &Plan, store: &Store, numbers: &BTreeSet<u32>) -> Draft {
    let mut draft = Draft::default();
    let mut primary = Servers::default();
    for (place, zone) in plan.zones.iter().enumerate() {
        let mut servers = Servers::default();
        if zone.role == Role::Services {
            for view in numbers.iter().filter_map(|&number| store.view(number)) {
                servers.take(plan, (place, zone), &view);
            }
            if primary.names.is_empty() {
                primary = Servers { names: servers.names.clone(), ..servers };
            } else {
                primary.outer.extend(&servers.outer);
            }
        }
        let names = if servers.names.is_empty() { &primary.names } else { &servers.names };
        say(plan, (place, zone), names, &primary, &mut draft);
    }
    draft
}

/// What a zone says of its name servers.
fn say(plan: &Plan, (place, zone): (usize, &Zone), names: &BTreeSet<WireName>, found: &Servers, draft: &mut Draft) {
    let Some(own_name) = zone.primary(&plan.options) else { return };
    let is_outer = zone.role == Role::Outer;
    let addresses = if is_outer { &found.outer } else { &found.addresses };
    let addresses = if addresses.is_empty() { &plan.own } else { addresses };
    let targets = if is_outer || names.is_empty() { &BTreeSet::from([own_name.clone()]) } else { names };
    let rdatas = targets.iter().map(|name| name.as_bytes().to_vec()).collect();
    draft.records(place, &zone.apex, (rtype::NS, zone.ttl), rdatas);
    draft.addresses(place, &own_name, zone.ttl, addresses.iter().copied());
    if addresses.is_empty() {
        draft.name(place, own_name);
    }
}
