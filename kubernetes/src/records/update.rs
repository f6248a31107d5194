//! What is made from several objects: PTR records, the names of namespaces and Pods, answers to questions with `*`, serials.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ringdns_controlplane::model::Change;
use ringdns_engine::name::WireName;

use super::draft::{Draft, Outcome, put};
use super::focus::Focus;
use super::label::dashed;
use super::names::under;
use super::pointer::{self, Claim};
use super::questions::{self, Ends, Shares};
use super::store::{Store, View, Waiting};
use super::zone::Role;
use super::{Plan, Programmed, ProgrammedKind, Records};
use crate::object::ServiceKind;
use crate::options::PodMode;

/// The claims of addresses.
type Claims = BTreeMap<IpAddr, Vec<Claim>>;

impl Plan {
    /// True where there are PTR records.
    pub(super) fn has_pointers(&self) -> bool {
        self.zones.iter().any(|zone| matches!(zone.role, Role::Reverse { .. }))
    }
}

/// The addresses whose claims by a Service differ, each with whether the Service still has any.
fn differing(before: &[Claim], after: &[Claim]) -> BTreeMap<IpAddr, bool> {
    let former: HashMap<_, &Claim> = before.iter().map(|claim| (claim.key(), claim)).collect();
    let mut addresses = BTreeMap::new();
    let mut same = 0;
    for claim in after {
        if former.get(&claim.key()) == Some(&claim) {
            same += 1;
        } else {
            addresses.insert(claim.address, true);
        }
    }
    if same < before.len() {
        let latter: HashMap<_, &Claim> = after.iter().map(|claim| (claim.key(), claim)).collect();
        let has = |address: IpAddr| after.binary_search_by(|claim| claim.address.cmp(&address)).is_ok();
        for claim in before.iter().filter(|claim| latter.get(&claim.key()) != Some(claim)) {
            addresses.insert(claim.address, has(claim.address));
        }
    }
    addresses
}

impl Records {
    /// Brings the index up to date; gives the PTR records of addresses that come, go or are called otherwise, as they were and
    /// as they are.
    pub(super) fn index_changes(&mut self, waiting: &Waiting) -> (Draft, Draft) {
        let (plan, store) = (&self.plan, &self.store);
        let mut moves = Vec::new();
        for &number in waiting.entries.keys() {
            let (Some(before), Some(after)) = (waiting.view_before(store, number), store.view(number)) else {
                continue;
            };
            let focus = Focus::new(&before, &after, plan.options.endpoint_label);
            let wanted = |address: &IpAddr| focus.as_ref().is_none_or(|focus| focus.has_address(address));
            let differing = differing(&pointer::claims(plan, &before, wanted), &pointer::claims(plan, &after, wanted));
            moves.extend(differing.into_iter().map(|(address, has)| (address, number, has)));
        }
        let changed: BTreeSet<IpAddr> = moves.iter().map(|(address, ..)| *address).collect();
        let before = self.claims_of(&changed, |number| waiting.view_before(&self.store, number));
        for (address, number, has) in moves {
            if has { self.index.insert(address, number) } else { self.index.remove(address, number) }
        }
        let after = self.claims_of(&changed, |number| self.store.view(number));
        (pointer::render(&self.plan, before), pointer::render(&self.plan, after))
    }

    /// All claims of some addresses. Each Service is gone through once, however many of its addresses are meant.
    fn claims_of<'a>(&self, addresses: &BTreeSet<IpAddr>, view: impl Fn(u32) -> Option<View<'a>>) -> Claims {
        let numbers: BTreeSet<u32> = addresses.iter().flat_map(|address| self.index.services(*address)).collect();
        let mut claims = Claims::new();
        for view in numbers.into_iter().filter_map(view) {
            for claim in pointer::claims(&self.plan, &view, |address| addresses.contains(address)) {
                claims.entry(claim.address).or_default().push(claim);
            }
        }
        claims
    }

    /// Gives the zones in which an answer changes a higher serial: the time, or the next number within a second.
    pub(super) fn raise_serials(&mut self, touched: &[bool], now_seconds: u64, changes: &mut Vec<Change>) {
        let now = u32::try_from(now_seconds).unwrap_or(u32::MAX);
        for (place, zone) in
            self.plan.zones.iter_mut().enumerate().filter(|(place, _)| touched.get(*place) == Some(&true))
        {
            zone.serial = now.max(zone.serial.wrapping_add(1));
            changes.extend(zone.soa(place, &self.plan.options).map(|soa| put(zone.apex.clone(), soa)));
        }
    }

    /// Notes the slices whose changes are told.
    pub(super) fn note_programmed(&mut self) {
        self.programmed.clear();
        for (number, triggered_ms) in std::mem::take(&mut self.triggered) {
            let Some(view) = self.store.view(number).filter(|view| view.visible) else { continue };
            let Some(service) = view.service.map(|packed| packed.read_service()) else { continue };
            let kind = match service.kind {
                ServiceKind::ClusterIp => ProgrammedKind::ClusterIp,
                ServiceKind::Headless if service.has_selector => ProgrammedKind::HeadlessWithSelector,
                ServiceKind::Headless => ProgrammedKind::HeadlessWithoutSelector,
                ServiceKind::ExternalName => continue,
            };
            self.programmed.push(Programmed { kind, triggered_ms });
        }
    }
}

/// The names of namespaces and Pods, as they were and as they are.
pub(super) fn names_of_namespaces(plan: &Plan, store: &Store, waiting: &Waiting) -> (Draft, Draft) {
    let (mut before, mut after) = (Draft::default(), Draft::default());
    for (namespace, was_visible) in &waiting.namespaces {
        let is_visible = store.is_visible(namespace);
        if *was_visible != is_visible {
            say_namespace(plan, namespace, if is_visible { &mut after } else { &mut before });
        }
    }
    for ((namespace, address), was_there) in &waiting.pods {
        let is_there = store.has_pod(namespace, address);
        if *was_there != is_there {
            say_pod(plan, (namespace, *address), if is_there { &mut after } else { &mut before });
        }
    }
    (before, after)
}

/// Says the names of a namespace.
fn say_namespace(plan: &Plan, namespace: &str, draft: &mut Draft) {
    let options = &plan.options;
    for (place, zone) in plan.zones.iter().enumerate() {
        let names: &[Option<WireName>] = match zone.role {
            Role::Services | Role::Imports if !options.is_of_leaves() => &[
                under(&[namespace, "svc"], &zone.apex),
                under(&[namespace, "pod"], &zone.apex).filter(|_| options.pods != PodMode::Disabled),
            ],
            Role::Outer => &[under(&[namespace], &zone.apex)],
            _ => &[],
        };
        names.iter().flatten().for_each(|name| draft.name(place, name.clone()));
    }
}

/// Says the name of a Pod.
fn say_pod(plan: &Plan, (namespace, address): (&str, IpAddr), draft: &mut Draft) {
    for (place, zone) in plan.zones.iter().enumerate() {
        if let Role::Services | Role::Imports = zone.role
            && let Some(owner) = under(&[&*dashed(address), namespace, "pod"], &zone.apex)
        {
            draft.addresses(place, &owner, zone.ttl, std::iter::once(address));
        }
    }
}

/// Says what differs for questions with `*`.
pub(super) fn answer_questions(
    plan: &Plan,
    store: &Store,
    waiting: &Waiting,
    ends: &mut Ends,
    outcome: &mut Outcome<'_>,
) {
    let mut asked = BTreeSet::new();
    for &number in waiting.entries.keys() {
        let views = [waiting.view_before(store, number), store.view(number)];
        views.iter().flatten().for_each(|view| questions::of(view, ends, &mut asked));
    }
    let mut shares = Shares::new(plan, store, waiting);
    for question in asked {
        let (before, _) = question.render(&mut shares, true);
        let (after, last) = question.render(&mut shares, false);
        outcome.compare(before, after);
        match last.and_then(|number| store.entry(number)) {
            Some(entry) => ends.insert(question, (entry.namespace.clone(), entry.name.clone())),
            None => ends.remove(&question),
        };
    }
}

/// The time in seconds since 1970.
pub(super) fn now_seconds() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}
