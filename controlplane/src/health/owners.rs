//! Which owners have which members, and the marks that these get when they are served.
//!
//! Only addresses of which something is known are looked after, and there are few of these, however many records there are. An
//! owner is noted when it is served with such an address; those that were served before anything was known of it are found by
//! one walk through the snapshot, on a thread of its own ([`find`]). Notes are leads and no more: an owner that has lost the address and
//! was not forgotten with it, as in a zone that is removed, is found out when it is looked at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_engine::name::WireName;
use ringdns_engine::select::{Marks, SELECTION_MEMBERS_MAX};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::RrsetSpec;

use super::{AllDown, Rule, Said, Status, Table};

/// The type of IPv4 addresses.
const A: u16 = 1;

/// The type of IPv6 addresses.
const AAAA: u16 = 28;

/// Least time from one walk to the next where nothing depends on it yet: what came to be known is up, as it was taken to be. At a
/// million names a walk takes some tenths of a second, and each new record may bring a new address.
const WALK_PAUSE: Duration = Duration::from_secs(5);

/// A zone and an owner in it.
pub(crate) type Place = (WireName, WireName);

/// An address of which something is known.
#[derive(Debug)]
struct Member {
    /// Whether it is up.
    status: Status,
    /// Who has it.
    owners: HashSet<Place>,
}

/// The members and their owners.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// What others see.
    table: Arc<Table>,
    /// Where no other rule is given.
    rule: Rule,
    /// Rules by zone, each with the source whose records it is for.
    rules: HashMap<WireName, Vec<(u8, Rule)>>,
    /// True where some rule takes what is unknown to be down.
    doubts: bool,
    /// The members.
    members: HashMap<IpAddr, Member>,
    /// Those whose owners are to be found.
    wanted: BTreeSet<IpAddr>,
    /// True while they are being found.
    walks: bool,
    /// When they were last.
    walked: Option<Instant>,
}

/// What a walk has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What was looked for.
    wanted: BTreeSet<IpAddr>,
    /// Owners and the addresses that they have.
    owners: Vec<(IpAddr, Place)>,
}

impl Owners {
    /// Nothing is known yet.
    pub(crate) fn new(table: Arc<Table>, rule: Rule) -> Self {
        Self { table, rule, ..Self::default() }
    }

    /// Takes a source's rule for its records in a zone, of those that are served from now on.
    pub(crate) fn set_rule(&mut self, apex: WireName, origin: u8, rule: Rule) {
        let rules = self.rules.entry(apex).or_default();
        rules.retain(|(of, _)| *of != origin);
        rules.push((origin, rule));
        self.doubts |= rule.obeyed && rule.unknown == Status::Down;
    }

    /// The rule for a source's records in a zone.
    fn rule(&self, apex: &WireName, origin: u8) -> Rule {
        if self.rules.is_empty() {
            return self.rule;
        }
        let rules = self.rules.get(apex).map(Vec::as_slice).unwrap_or_default();
        rules.iter().find(|(of, _)| *of == origin).map_or(self.rule, |(_, rule)| *rule)
    }

    /// Takes what is said of addresses; gives the owners whose marks that may change.
    pub(crate) fn take(&mut self, said: Vec<(IpAddr, Option<Said>)>) -> BTreeSet<(Place, IpAddr)> {
        let mut touched = BTreeSet::new();
        for (address, said) in said {
            let [before, after] = self.table.note(address, said);
            if before != after
                && let Some(member) = self.members.get(&address)
            {
                touched.extend(member.owners.iter().map(|place| (place.clone(), address)));
            }
            match (after, self.members.get_mut(&address)) {
                (Some(status), Some(member)) => member.status = status,
                (Some(status), None) => {
                    self.members.insert(address, Member { status, owners: HashSet::new() });
                    self.wanted.insert(address);
                }
                (None, _) => {
                    self.members.remove(&address);
                    self.wanted.remove(&address);
                }
            }
        }
        touched
    }

    /// The marks of an RRset that is about to be served; its owner is noted where it has members.
    pub(crate) fn marks(&mut self, apex: &WireName, owner: &WireName, spec: &RrsetSpec) -> Marks {
        let has_addresses = matches!(spec.rtype, A | AAAA);
        // One that is too large to be chosen from is answered whole: its clients get addresses to try, not none.
        if !has_addresses || spec.rdatas.len() > SELECTION_MEMBERS_MAX {
            return Marks::default();
        }
        let rule = self.rule(apex, spec.origin);
        if !rule.obeyed || (self.members.is_empty() && rule.unknown == Status::Up && rule.all_down == AllDown::All) {
            return Marks::default();
        }
        let mut mark = |rdata: &Vec<u8>| {
            let Some(address) = address(spec.rtype, rdata) else { return false };
            let status = match self.members.get_mut(&address) {
                Some(member) => {
                    let place = (apex.clone(), owner.clone());
                    member.owners.insert(place);
                    member.status
                }
                None => rule.unknown,
            };
            status == Status::Down
        };
        let down = spec.rdatas.iter().map(&mut mark).collect();
        Marks { down, or_none: rule.all_down == AllDown::None }
    }

    /// Who is known to have an address.
    #[cfg(test)]
    pub(crate) fn owners_of(&self, address: IpAddr) -> Vec<&Place> {
        self.members.get(&address).map(|member| member.owners.iter().collect()).unwrap_or_default()
    }

    /// True where owners of RRsets of a type are noted.
    pub(crate) fn follows(&self, rtype: u16) -> bool {
        matches!(rtype, A | AAAA) && !self.members.is_empty()
    }

    /// Forgets that an owner has an address.
    pub(crate) fn forget(&mut self, place: &Place, address: IpAddr) {
        if let Some(member) = self.members.get_mut(&address) {
            member.owners.remove(place);
        }
    }

    /// Whose owners are to be found now; they count as looked for from here on.
    pub(crate) fn start_walk(&mut self) -> Option<BTreeSet<IpAddr>> {
        let differs = |address: &IpAddr| {
            self.doubts || self.members.get(address).is_some_and(|member| member.status == Status::Down)
        };
        if self.walks || self.wanted.is_empty() {
            return None;
        }
        let is_early = self.walked.is_some_and(|walked| walked.elapsed() < WALK_PAUSE);
        if is_early && !self.wanted.iter().any(differs) {
            return None;
        }
        (self.walks, self.walked) = (true, Some(Instant::now()));
        Some(std::mem::take(&mut self.wanted))
    }

    /// Takes what a walk has found; gives the owners whose marks that may change.
    pub(crate) fn end_walk(&mut self, found: Found) -> BTreeSet<(Place, IpAddr)> {
        self.walks = false;
        self.walked = Some(Instant::now());
        tracing::debug!(
            addresses = found.wanted.len(),
            owners = found.owners.len(),
            "the owners of members were found"
        );
        let mut touched = BTreeSet::new();
        for (address, place) in found.owners {
            let Some(member) = self.members.get_mut(&address) else { continue };
            if self.doubts || member.status == Status::Down {
                touched.insert((place.clone(), address));
            }
            member.owners.insert(place);
        }
        touched
    }
}

/// The owners of addresses. Goes through everything that is served: for a thread of its own.
pub(crate) fn find(snapshot: &Snapshot, wanted: BTreeSet<IpAddr>) -> Found {
    let mut owners = Vec::new();
    for node in snapshot.all_nodes() {
        for rrset in node.rrsets().filter(|rrset| matches!(rrset.rtype(), A | AAAA)) {
            let addresses = rrset.rdatas().filter_map(|rdata| address(rrset.rtype(), rdata));
            for address in addresses.filter(|address| wanted.contains(address)) {
                owners.push((address, (node.apex(), node.owner())));
            }
        }
    }
    Found { wanted, owners }
}

/// The address of a record; nothing of other types.
pub(crate) fn address(rtype: u16, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The addresses of an RRset.
pub(crate) fn addresses(spec: &RrsetSpec) -> impl Iterator<Item = IpAddr> {
    spec.rdatas.iter().filter_map(|rdata| address(spec.rtype, rdata))
}

/// True where an RRset has an address.
pub(crate) fn has(spec: &RrsetSpec, wanted: IpAddr) -> bool {
    addresses(spec).any(|address| address == wanted)
}
