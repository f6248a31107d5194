//! Names for questions with `*`, which SkyDNS and kube-dns take for any one label that does not begin with an underscore.
//!
//! A packet finds a whole name by its hash and could not search a tree, so the names of such questions are made beforehand: of
//! a Service's name, of the names of its leaves as a whole (`*.service...`) and of its named ports, with `*` in the place of
//! any of the labels. Names of single endpoints are not: nobody asks for one of them in a namespace that he does not know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ringdns_engine::name::WireName;

use super::Plan;
use super::draft::{Data, Draft, Said, rtype};
use super::focus::Focus;
use super::names::under;
use super::service::{port_owner, render};
use super::store::{Store, View, Waiting};
use super::zone::{Zone, share};
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

/// Where the answers end that have enough records: namespace and name of the last Service that was looked at. Those behind it
/// change nothing.
pub(super) type Ends = BTreeMap<Question, (Arc<str>, Arc<str>)>;

/// What a Service adds to answers: by head the place of the zone, the type and the rdata.
type Share = Vec<(Head, Vec<(usize, u16, Vec<Vec<u8>>)>)>;

/// What Services add to answers, each made once for all questions of a change.
pub(super) struct Shares<'a> {
    /// How.
    plan: &'a Plan,
    /// The objects.
    store: &'a Store,
    /// What they were.
    waiting: &'a Waiting,
    /// Those that were made: by number, and whether they are of what was.
    made: HashMap<(u32, bool), Share>,
}

impl<'a> Shares<'a> {
    /// None made yet.
    pub(super) fn new(plan: &'a Plan, store: &'a Store, waiting: &'a Waiting) -> Self {
        Self { plan, store, waiting, made: HashMap::new() }
    }

    /// What a Service adds, or added.
    fn of(&mut self, number: u32, before: bool) -> &Share {
        let Self { plan, store, waiting, made } = self;
        let before = before && waiting.entries.contains_key(&number);
        made.entry((number, before)).or_insert_with(|| {
            let view = if before { waiting.view_before(store, number) } else { store.view(number) };
            view.map(|view| share_of(plan, &view)).unwrap_or_default()
        })
    }
}

/// What a Service adds.
fn share_of(plan: &Plan, view: &View<'_>) -> Share {
    // The names of endpoints are not asked for here.
    let said = render(plan, view, Some(&Focus::default())).0;
    let mut share: Share =
        heads(view).into_iter().filter(|head| *head != Head::Leaves).map(|head| (head, Vec::new())).collect();
    let owner = |head: &Head, zone: &Zone| head.under(under(&[view.name, view.namespace, "svc"], &zone.apex)?);
    let owners: Vec<Vec<Option<WireName>>> =
        share.iter().map(|(head, _)| plan.zones.iter().map(|zone| owner(head, zone)).collect()).collect();
    for said in said {
        // Of several aliases one name cannot have more than one (RFC 2181 section 10.1).
        let Data::Records { rtype, rdatas, .. } = said.data else { continue };
        let is_owner =
            |owners: &Vec<Option<WireName>>| owners.get(said.zone).and_then(Option::as_ref) == Some(&said.owner);
        let head = owners.iter().position(is_owner).filter(|_| rtype != rtype::CNAME);
        if let Some((_, records)) = head.and_then(|head| share.get_mut(head)) {
            records.push((said.zone, rtype, rdatas));
        }
    }
    share
}

/// What stands left of a Service's name in questions that it is an answer to.
fn heads(view: &View<'_>) -> BTreeSet<Head> {
    let Some(service) = view.service.filter(|_| view.visible) else { return BTreeSet::new() };
    let slices = view.slices.iter().flat_map(|slice| slice.packed.read_slice().ports);
    let ports = service.read_service().ports.into_iter().chain(slices).filter(|port| !port.name.is_empty());
    let ports = ports.map(|port| Head::Port(port.name.into(), port.protocol));
    [Head::Base, Head::Leaves].into_iter().chain(ports).collect()
}

impl Head {
    /// The name that begins with it; `*` for the leaves.
    fn under(&self, base: WireName) -> Option<WireName> {
        match self {
            Head::Base => Some(base),
            Head::Leaves => under(&["*"], &base),
            Head::Port(name, protocol) => port_owner(name, *protocol, &base),
        }
    }
}

/// The questions whose answers a Service is, or was, part of.
pub(super) fn of(view: &View<'_>, ends: &Ends, questions: &mut BTreeSet<Question>) {
    let (name, namespace): (Arc<str>, Arc<str>) = (view.name.into(), view.namespace.into());
    for head in heads(view) {
        for (has_name, has_namespace, kind) in COMBINATIONS {
            if (has_name, has_namespace, kind) == (true, true, true) && head != Head::Leaves {
                continue;
            }
            let name = has_name.then(|| Arc::clone(&name));
            let namespace = has_namespace.then(|| Arc::clone(&namespace));
            let question = Question { head: head.clone(), name, namespace, kind };
            let is_behind =
                ends.get(&question).is_some_and(|(last, name)| (&**last, &**name) < (view.namespace, view.name));
            if !is_behind {
                questions.insert(question);
            }
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
        self.head.under(base)
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

    /// What is said for it, or was; and the Service at which there was enough.
    pub(super) fn render(&self, shares: &mut Shares<'_>, before: bool) -> (Vec<Said>, Option<u32>) {
        let (plan, store) = (shares.plan, shares.store);
        let head = if self.head == Head::Leaves { &Head::Base } else { &self.head };
        let mut last = None;
        let mut sums: BTreeMap<(usize, u16), Vec<Vec<u8>>> = BTreeMap::new();
        for number in self.services(store) {
            let share = shares.of(number, before).iter().filter(|(other, _)| other == head);
            for (zone, rtype, rdatas) in share.flat_map(|(_, records)| records) {
                let sum = sums.entry((*zone, *rtype)).or_default();
                sum.extend(rdatas.iter().cloned());
                if sum.len() >= RECORDS_MAX {
                    last = Some(number);
                }
            }
            if last.is_some() {
                break;
            }
        }
        let mut draft = Draft::default();
        for ((place, rtype), mut rdatas) in sums {
            let Some(zone) = plan.zones.get(place) else { continue };
            let Some(owner) = self.owner(&zone.apex) else { continue };
            rdatas.truncate(RECORDS_MAX);
            if rtype == rtype::SRV {
                let weight = share(rdatas.len()).to_be_bytes();
                let weights = rdatas.iter_mut().filter_map(|rdata| rdata.get_mut(2..4));
                weights.for_each(|former| former.copy_from_slice(&weight));
            }
            draft.records(place, &owner, (rtype, zone.ttl), rdatas);
        }
        (draft.0, last)
    }
}
