//! The records of a Service in the zones of a cluster, by the specification for DNS-based service discovery and, where that is
//! silent, as CoreDNS answers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::draft::{Draft, rtype};
use super::focus::Focus;
use super::label::{self, of_address};
use super::names::{read, under};
use super::pack::{Packed, Port, Service};
use super::store::View;
use super::zone::{Role, Zone, shared_srv};
use super::{Plan, outer};
use crate::object::{Protocol, ServiceKind};
use crate::options::{EndpointLabel, ExternalAddress};

/// Namespaces whose legacy names would be others' names.
const NAMESPACES_WITHOUT_LEGACY: [&str; 3] = ["svc", "pod", "dns"];

/// Where records go.
pub(super) struct Site {
    /// The place of the zone.
    pub(super) zone: usize,
    /// The Service's name.
    pub(super) base: WireName,
    /// TTL in seconds.
    pub(super) ttl: u32,
    /// Priority of SRV records.
    pub(super) priority: u16,
    /// How endpoints are called.
    pub(super) labels: EndpointLabel,
    /// Whether addresses are leaves of a tree (see `Options::is_of_leaves`).
    pub(super) of_leaves: bool,
}

/// A ready endpoint.
pub(super) struct Member<'a> {
    /// Its address.
    pub(super) address: IpAddr,
    /// The place of its name.
    name: usize,
    /// The place of its ports.
    ports: usize,
    /// Its topology zone.
    zone: &'a str,
}

/// The ready endpoints of a Service.
#[derive(Default)]
pub(super) struct Pool<'a> {
    /// They.
    pub(super) members: Vec<Member<'a>>,
    /// Their names; several addresses may share one.
    names: Vec<WireName>,
    /// The ports of their slices.
    ports: Vec<Vec<Port<'a>>>,
}

impl<'a> Pool<'a> {
    /// Gathers the endpoints of slices from other clusters, or of this one's.
    pub(super) fn new(view: &View<'a>, publish_not_ready: bool, imported: bool, site: &Site) -> Self {
        let mut pool = Self::default();
        let mut places: HashMap<(String, &str), Option<usize>> = HashMap::new();
        for slice in view.slices {
            let slice = slice.packed.read_slice();
            if slice.cluster.is_empty() == imported {
                continue;
            }
            let ports = pool.ports.len();
            for endpoint in slice.endpoints.filter(|endpoint| endpoint.ready || publish_not_ready) {
                let label = label::label(&endpoint, site.labels).into_owned();
                let place = *places.entry((label, slice.cluster)).or_insert_with_key(|(label, cluster)| {
                    let labels = if imported { [label.as_str(), cluster] } else { [label.as_str(), ""] };
                    let name = under(&labels[..if imported { 2 } else { 1 }], &site.base)?;
                    pool.names.push(name);
                    Some(pool.names.len() - 1)
                });
                if let Some(name) = place {
                    pool.members.push(Member { address: endpoint.address, name, ports, zone: endpoint.zone });
                }
            }
            pool.ports.push(slice.ports);
        }
        pool
    }

    /// The ports and targets of members: a member counts once for each port, and once where its slice has none.
    fn candidates<'p>(
        &'p self,
        member: &'p Member<'_>,
        of_leaves: bool,
    ) -> impl Iterator<Item = (Option<u16>, &'p WireName)> + Clone {
        let ports = self.ports.get(member.ports).map_or(&[][..], Vec::as_slice);
        let target = self.names.get(member.name);
        let leaf = of_leaves.then_some(Some(0));
        let portless = (!of_leaves && ports.is_empty()).then_some(None);
        let numbers = ports.iter().filter(move |_| !of_leaves).map(|port| Some(port.number));
        numbers.chain(leaf).chain(portless).filter_map(move |port| Some((port, target?)))
    }

    /// Says addresses and SRV records of members at a name.
    fn say<'p>(
        &'p self,
        site: &Site,
        owner: &WireName,
        members: impl Iterator<Item = &'p Member<'a>> + Clone,
        draft: &mut Draft,
    ) where
        'a: 'p,
    {
        draft.addresses(site.zone, owner, site.ttl, members.clone().map(|member| member.address));
        let candidates: Vec<_> = members.flat_map(|member| self.candidates(member, site.of_leaves)).collect();
        draft.records(site.zone, owner, (rtype::SRV, site.ttl), shared_srv(site.priority, candidates.into_iter()));
    }

    /// Says the endpoints' own names, those that may differ.
    pub(super) fn say_names(&self, site: &Site, focus: Option<&Focus>, draft: &mut Draft) {
        let mut by_name: Vec<Vec<usize>> = vec![Vec::new(); self.names.len()];
        for (place, member) in self.members.iter().enumerate() {
            if let Some(places) = by_name.get_mut(member.name) {
                places.push(place);
            }
        }
        let named = self.names.iter().zip(&by_name);
        for (owner, places) in named.filter(|(owner, _)| focus.is_none_or(|focus| focus.has_name(owner))) {
            self.say(site, owner, places.iter().filter_map(|&place| self.members.get(place)), draft);
        }
    }

    /// Says the names that are sums of the endpoints: the Service's own and those of named ports.
    pub(super) fn say_sums(&self, site: &Site, draft: &mut Draft) {
        self.say(site, &site.base, self.members.iter(), draft);
        let mut named: BTreeMap<(&str, Protocol), Vec<(u16, &Member<'_>)>> = BTreeMap::new();
        for member in &self.members {
            let ports = self.ports.get(member.ports).into_iter().flatten().filter(|port| !port.name.is_empty());
            ports.for_each(|port| named.entry((port.name, port.protocol)).or_default().push((port.number, member)));
        }
        for ((name, protocol), members) in named {
            let Some(owner) = port_owner(name, protocol, &site.base) else { continue };
            draft.addresses(site.zone, &owner, site.ttl, members.iter().map(|(_, member)| member.address));
            let candidates =
                members.iter().filter_map(|(port, member)| Some((Some(*port), self.names.get(member.name)?)));
            draft.records(site.zone, &owner, (rtype::SRV, site.ttl), shared_srv(site.priority, candidates));
        }
    }

    /// Says the names by topology zone: `pin` has what is in the zone, `prefer` has all where nothing is.
    fn say_zones(&self, site: &Site, draft: &mut Draft) {
        let (Some(pin), Some(prefer)) = (under(&["pin", "_zone"], &site.base), under(&["prefer", "_zone"], &site.base))
        else {
            return;
        };
        if self.members.is_empty() {
            return;
        }
        // What is asked of a zone without endpoints is a wildcard's (RFC 4592), which also stands for names of several labels.
        if let (Some(any_pin), Some(any_prefer)) = (under(&["*"], &pin), under(&["*"], &prefer)) {
            draft.name(site.zone, any_pin);
            self.say(site, &any_prefer, self.members.iter(), draft);
        }
        let zones: BTreeSet<&str> =
            self.members.iter().map(|member| member.zone).filter(|zone| is_value(zone)).collect();
        for zone in zones {
            let labels: Vec<&str> = zone.split('.').collect();
            for directive in [&pin, &prefer] {
                let Some(owner) = under(&labels, directive) else { continue };
                self.say(site, &owner, self.members.iter().filter(|member| member.zone == zone), draft);
            }
        }
    }

    /// The addresses and what they are called.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (IpAddr, &WireName)> {
        self.members.iter().filter_map(|member| Some((member.address, self.names.get(member.name)?)))
    }
}

/// True for text that the API takes for the value of a label.
fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The numbers of ports by name and transport; those without a name are together.
pub(super) fn by_name<'a>(ports: &[Port<'a>]) -> BTreeMap<(&'a str, Protocol), Vec<u16>> {
    let mut named: BTreeMap<(&str, Protocol), Vec<u16>> = BTreeMap::new();
    ports.iter().for_each(|port| named.entry((port.name, port.protocol)).or_default().push(port.number));
    named
}

/// The name of a port below a Service's; nothing for a port without a name.
pub(super) fn port_owner(name: &str, protocol: Protocol, base: &WireName) -> Option<WireName> {
    if name.is_empty() {
        return None;
    }
    let protocol = match protocol {
        Protocol::Tcp => "_tcp",
        Protocol::Udp => "_udp",
        Protocol::Sctp => "_sctp",
    };
    under(&[format!("_{name}").as_str(), protocol], base)
}

impl Site {
    /// Where the records of a Service go in a zone.
    pub(super) fn new(plan: &Plan, place: usize, zone: &Zone, base: WireName) -> Self {
        let options = &plan.options;
        let of_leaves = options.is_of_leaves() && zone.role == Role::Services;
        Self {
            zone: place,
            base,
            ttl: zone.ttl,
            priority: options.srv_priority,
            labels: options.endpoint_label,
            of_leaves,
        }
    }
}

/// What a Service, or what goes by its name, makes be said in all zones; of its endpoints' names those that may differ.
pub(super) fn render(plan: &Plan, view: &View<'_>, focus: Option<&Focus>) -> Draft {
    let mut draft = Draft::default();
    for (place, zone) in plan.zones.iter().enumerate() {
        let said = match zone.role {
            Role::Services => view.service.map(|packed| (packed, false)),
            Role::Imports => view.import.map(|packed| (packed, true)),
            Role::Outer => {
                outer::render(plan, (place, zone), (view, focus), &mut draft);
                None
            }
            Role::Reverse { .. } => None,
        };
        let base = under(&[view.name, view.namespace, "svc"], &zone.apex);
        if let (Some((packed, imported)), Some(base)) = (said, base) {
            let site = Site::new(plan, place, zone, base);
            render_in(plan, &site, (view, focus), (packed, imported), &mut draft);
        }
    }
    draft
}

/// What a Service or a ServiceImport makes be said in a zone.
fn render_in(
    plan: &Plan,
    site: &Site,
    (view, focus): (&View<'_>, Option<&Focus>),
    (packed, imported): (&Packed, bool),
    draft: &mut Draft,
) {
    let options = &plan.options;
    let service = packed.read_service();
    if !view.visible {
        if !imported {
            hidden_server(plan, site, view, &service, draft);
        }
        return;
    }
    let pool = Pool::new(view, service.publish_not_ready, imported, site);
    match service.kind {
        ServiceKind::ExternalName => return alias(plan, site, &service, draft),
        ServiceKind::Headless => {
            pool.say_sums(site, draft);
            pool.say_names(site, focus, draft);
            // Where asterisks are labels like any other there are no wildcards to answer by.
            if options.zonal && !imported && !options.query_wildcards {
                pool.say_zones(site, draft);
            }
        }
        ServiceKind::ClusterIp if options.ignore_empty_services && options.endpoints && pool.members.is_empty() => {
            return;
        }
        ServiceKind::ClusterIp => {
            say_own(site, &service, &own_addresses(plan, &service), draft);
            if !site.of_leaves {
                pool.say_names(site, focus, draft);
            }
        }
    }
    if options.legacy_names && !imported && !NAMESPACES_WITHOUT_LEGACY.contains(&view.namespace) {
        let apex = plan.zones.get(site.zone).map(|zone| &zone.apex);
        if let Some(owner) = apex.and_then(|apex| under(&[view.name, view.namespace], apex)) {
            match service.kind {
                ServiceKind::Headless => {
                    draft.addresses(site.zone, &owner, site.ttl, pool.members.iter().map(|member| member.address));
                }
                _ => draft.addresses(site.zone, &owner, site.ttl, own_addresses(plan, &service).into_iter()),
            }
        }
    }
}

/// The addresses of a Service's name where they are its own.
fn own_addresses(plan: &Plan, service: &Service<'_>) -> Vec<IpAddr> {
    let outer = service.outer.iter().take(if plan.options.external_ip_records { service.external_ips } else { 0 });
    let mut seen = HashSet::new();
    service.addresses.iter().chain(outer).copied().filter(|address| seen.insert(*address)).collect()
}

/// Says what a Service with addresses of its own has.
fn say_own(site: &Site, service: &Service<'_>, addresses: &[IpAddr], draft: &mut Draft) {
    let (zone, ttl, base) = (site.zone, site.ttl, &site.base);
    draft.addresses(zone, base, ttl, addresses.iter().copied());
    let mut bare = Vec::new();
    if site.of_leaves {
        let leaf = |address: &IpAddr| Some((*address, under(&[of_address(*address, site.labels)], base)?));
        let leaves: Vec<(IpAddr, WireName)> = addresses.iter().filter_map(leaf).collect();
        for (address, owner) in &leaves {
            draft.addresses(zone, owner, ttl, std::iter::once(*address));
            draft.records(zone, owner, (rtype::SRV, ttl), shared_srv(site.priority, std::iter::once((Some(0), owner))));
        }
        bare.extend(leaves.into_iter().map(|(_, owner)| (Some(0), owner)));
    }
    for ((name, protocol), numbers) in by_name(&service.ports) {
        // kube2sky's tree has the named ports' leaves below the Service's name too.
        let is_bare = !site.of_leaves || (site.labels == EndpointLabel::Kube2skyHash && !name.is_empty());
        let candidates = || numbers.iter().flat_map(|number| addresses.iter().map(|_| Some(*number)));
        if is_bare {
            bare.extend(candidates().map(|number| (number, base.clone())));
        }
        let Some(owner) = port_owner(name, protocol, base) else { continue };
        draft.addresses(zone, &owner, ttl, addresses.iter().copied());
        let candidates = candidates().map(|number| (number, base));
        draft.records(zone, &owner, (rtype::SRV, ttl), shared_srv(site.priority, candidates));
    }
    let candidates = bare.iter().map(|(port, target)| (*port, target));
    draft.records(zone, base, (rtype::SRV, ttl), shared_srv(site.priority, candidates));
}

/// Says what an alias has. A name that looks like an address is none, but kube-dns took it for one.
fn alias(plan: &Plan, site: &Site, service: &Service<'_>, draft: &mut Draft) {
    let target = service.external_name;
    match (target.trim_end_matches('.').parse::<IpAddr>(), plan.options.external_addresses) {
        (Ok(address), ExternalAddress::Address) => {
            draft.addresses(site.zone, &site.base, site.ttl, std::iter::once(address));
        }
        (Ok(_), ExternalAddress::Ignored) => {}
        (Err(_), _) => {
            if let Some(target) = read(target) {
                draft.records(site.zone, &site.base, (rtype::CNAME, site.ttl), vec![target.as_bytes().to_vec()]);
            }
        }
    }
}

/// Says the addresses of the zones' name server where its Service is in a namespace that is not answered: a name server without
/// addresses would be of no use.
fn hidden_server(plan: &Plan, site: &Site, view: &View<'_>, service: &Service<'_>, draft: &mut Draft) {
    let mut by_name: BTreeMap<&WireName, Vec<IpAddr>> = BTreeMap::new();
    let pool = Pool::new(view, service.publish_not_ready, false, site);
    for (address, name) in pool.addresses().filter(|(address, _)| plan.own.contains(address)) {
        match service.kind {
            ServiceKind::ClusterIp => drop(by_name.insert(&site.base, service.addresses.clone())),
            ServiceKind::Headless => by_name.entry(name).or_default().push(address),
            ServiceKind::ExternalName => {}
        }
    }
    for (owner, addresses) in by_name {
        draft.addresses(site.zone, owner, site.ttl, addresses.into_iter());
    }
}
