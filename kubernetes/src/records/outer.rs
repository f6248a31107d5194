//! The records of Services by their addresses outside the cluster, as CoreDNS's `k8s_external` has them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::Plan;
use super::draft::{Draft, rtype};
use super::focus::Focus;
use super::names::{read, under};
use super::service::{Pool, Site, by_name, port_owner};
use super::store::View;
use super::zone::{Zone, shared_srv};
use crate::object::ServiceKind;

/// What a Service makes be said in a zone of outer names.
pub(super) fn render(
    plan: &Plan,
    (place, zone): (usize, &Zone),
    (view, focus): (&View<'_>, Option<&Focus>),
    draft: &mut Draft,
) {
    let Some(packed) = view.service.filter(|_| view.visible) else { return };
    // Below it are the zone's own names.
    if plan.options.external.as_ref().is_some_and(|external| external.apex == view.namespace) {
        return;
    }
    let Some(base) = under(&[view.name, view.namespace], &zone.apex) else { return };
    let service = packed.read_service();
    let site = Site::new(plan, place, zone, base);
    let headless = plan.options.external.as_ref().is_some_and(|external| external.headless);
    if service.kind == ServiceKind::Headless && headless && service.outer.is_empty() {
        let pool = Pool::new(view, service.publish_not_ready, false, &site);
        pool.say_sums(&site, draft);
        pool.say_names(&site, focus, draft);
        return;
    }
    let addresses: BTreeSet<IpAddr> = service.outer.iter().copied().collect();
    let name = read(service.outer_name);
    let (ttl, base) = (site.ttl, &site.base);
    let targets: Vec<&WireName> = addresses.iter().map(|_| base).chain(&name).collect();
    draft.addresses(place, base, ttl, addresses.iter().copied());
    for ((name, protocol), numbers) in by_name(&service.ports) {
        let Some(owner) = port_owner(name, protocol, base) else { continue };
        draft.addresses(place, &owner, ttl, addresses.iter().copied());
        let candidates = numbers.iter().flat_map(|number| targets.iter().map(|target| (Some(*number), *target)));
        draft.records(place, &owner, (rtype::SRV, ttl), shared_srv(site.priority, candidates));
    }
    match name {
        // An alias stands alone (RFC 2181 section 10.1), so the name itself has no SRV records.
        Some(name) if addresses.is_empty() => {
            draft.records(place, base, (rtype::CNAME, ttl), vec![name.as_bytes().to_vec()]);
        }
        _ => {
            let candidates =
                service.ports.iter().flat_map(|port| targets.iter().map(|target| (Some(port.number), *target)));
            draft.records(place, base, (rtype::SRV, ttl), shared_srv(site.priority, candidates));
        }
    }
}
