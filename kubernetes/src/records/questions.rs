//! Names for questions with `*`, which SkyDNS and kube-dns take for any one label that does not begin with an underscore.
//!
//! A packet finds a whole name by its hash and could not search a tree, so the names of such questions are made beforehand: of
//! a Service's name, of the names of its leaves as a whole (`*.service...`) and of its named ports, with `*` in the place of
//! any of the labels. Names of single endpoints are not: nobody asks for one of them in a namespace that he does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringdns_engine::name::WireName;

use super::Plan;
use super::draft::{Data, Draft, Said, rtype};
use super::names::under;
use super::service::{port_owner, render};
use super::store::{Store, View};
use super::zone::{Role, share};
use crate::object::Protocol;

/// Most records of an RRset that is made from several Services: what is asked for with `*` alone would be all of the cluster.
const RECORDS_MAX: usize = 256;

/// What stands left of a Service's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Head {
    /// Nothing.
    Base,
    /// `*`: all leaves.
    Leaves,
    /// A named port.
    Port(Box<str>, Protocol),
}

/// A question; what is not given is `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    /// What stands left of the Service's name.
    head: Head,
    /// The Service's name.
    name: Option<Arc<str>>,
    /// The namespace.
    namespace: Option<Arc<str>>,
    /// Whether `svc` is given.
    kind: bool,
}

/// What is said for questions.
pub(super) type Answers = BTreeMap<Question, Vec<Said>>;

/// The questions that a Service is, or was, an answer to.
pub(super) fn of(view: &View<'_>, questions: &mut BTreeSet<Question>) {
    let Some(service) = view.service.filter(|_| view.visible) else { return };
    let mut heads = vec![Head::Base, Head::Leaves];
    let named = |(name, protocol): (&str, Protocol)| Head::Port(name.into(), protocol);
    let slices = view.slices.iter().flat_map(|slice| slice.packed.read_slice().ports);
    let ports = service.read_service().ports.into_iter().chain(slices).filter(|port| !port.name.is_empty());
    heads.extend(ports.map(|port| named((port.name, port.protocol))));
    let (name, namespace): (Arc<str>, Arc<str>) = (view.name.into(), view.namespace.into());
    for head in heads {
        for (has_name, has_namespace, kind) in COMBINATIONS {
            if (has_name, has_namespace, kind) == (true, true, true) && head != Head::Leaves {
                continue;
            }
            questions.insert(Question {
                head: head.clone(),
                name: has_name.then(|| Arc::clone(&name)),
                namespace: has_namespace.then(|| Arc::clone(&namespace)),
                kind,
            });
        }
    }
}

/// Which of name, namespace and `svc` are given.
const COMBINATIONS: [(bool, bool, bool); 8] = [
    (true, true, true),
    (true, true, false),
    (true, false, true),
    (true, false, false),
    (false, true, true),
    (false, true, false),
    (false, false, true),
    (false, false, false),
];

impl Question {
    /// The question's name in a zone.
    fn owner(&self, apex: &WireName) -> Option<WireName> {
        let name = self.name.as_deref().unwrap_or("*");
        let namespace = self.namespace.as_deref().unwrap_or("*");
        let base = under(&[name, namespace, if self.kind { "svc" } else { "*" }], apex)?;
        match &self.head {
            Head::Base => Some(base),
            Head::Leaves => under(&["*"], &base),
            Head::Port(name, protocol) => port_owner(name, *protocol, &base),
        }
    }

    /// The name of a Service that answers it.
    fn answerer(&self, view: &View<'_>, apex: &WireName) -> Option<WireName> {
        let base = under(&[view.name, view.namespace, "svc"], apex)?;
        match &self.head {
            Head::Base | Head::Leaves => Some(base),
            Head::Port(name, protocol) => port_owner(name, *protocol, &base),
        }
    }

    /// The Services that answer it, in the order of namespaces and names.
    fn services<'s>(&'s self, store: &'s Store) -> impl Iterator<Item = u32> {
        let one = self.namespace.iter().filter_map(|name| store.namespaces.get(name));
        let all = store.namespaces.values().filter(|_| self.namespace.is_none());
        one.chain(all).flat_map(|namespace| {
            let one = self.name.iter().filter_map(|name| namespace.services.get(name));
            one.chain(namespace.services.values().filter(|_| self.name.is_none())).copied()
        })
    }

    /// What is said for it.
    pub(super) fn render(&self, plan: &Plan, store: &Store) -> Vec<Said> {
        let mut draft = Draft::default();
        for (place, zone) in plan.zones.iter().enumerate().filter(|(_, zone)| zone.role == Role::Services) {
            let Some(owner) = self.owner(&zone.apex) else { continue };
            let mut sums: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
            for view in self.services(store).filter_map(|number| store.view(number)) {
                let Some(answerer) = self.answerer(&view, &zone.apex) else { continue };
                let said = render(plan, &view).0;
                for said in said.into_iter().filter(|said| said.zone == place && said.owner == answerer) {
                    let Data::Records { rtype, rdatas, .. } = said.data else { continue };
                    // Of several aliases one name cannot have more than one (RFC 2181 section 10.1).
                    if rtype != rtype::CNAME {
                        sums.entry(rtype).or_default().extend(rdatas);
                    }
                }
                if sums.values().any(|rdatas| rdatas.len() >= RECORDS_MAX) {
                    break;
                }
            }
            for (rtype, mut rdatas) in sums {
                rdatas.truncate(RECORDS_MAX);
                if rtype == rtype::SRV {
                    let weight = share(rdatas.len()).to_be_bytes();
                    rdatas
                        .iter_mut()
                        .filter_map(|rdata| rdata.get_mut(2..4))
                        .for_each(|old| old.copy_from_slice(&weight));
                }
                draft.records(place, &owner, (rtype, zone.ttl), rdatas);
            }
        }
        draft.0
    }
}
