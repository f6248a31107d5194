//! The zones of a cluster, and what stands at their apexes.

use ringdns_engine::name::WireName;

use super::draft::{Data, Draft, Said, rtype, srv};
use super::names::under;
use crate::options::{Options, PodMode};

/// Times of the SOA record in seconds: refresh, retry, expire (RFC 1035 section 3.3.13).
const SOA_SECONDS: [u32; 3] = [7200, 1800, 86_400];

/// The SOA record's own TTL in seconds is no longer than this, as CoreDNS has it.
const SOA_TTL_SECONDS_MAX: u32 = 300;

/// TTL of the schema's version in seconds, as the specification has it.
const VERSION_TTL_SECONDS: u32 = 28_800;

/// The version of the specification, as a string of a TXT record.
const VERSION: &[u8] = b"\x051.1.0";

/// What a zone answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Services.
    Services,
    /// ServiceImports.
    Imports,
    /// Services by their addresses outside the cluster.
    Outer,
    /// Addresses.
    Reverse {
        /// Those of Services and endpoints.
        cluster: bool,
        /// Those outside the cluster.
        outer: bool,
    },
}

/// A zone.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    /// Its name.
    pub(super) apex: WireName,
    /// What it answers for.
    pub(super) role: Role,
    /// TTL of its records in seconds.
    pub(super) ttl: u32,
    /// TTL of its negative answers in seconds.
    pub(super) negative_ttl: u32,
    /// Whether what it does not have is looked for elsewhere.
    pub(super) falls_through: bool,
    /// The serial of its SOA record.
    pub(super) serial: u32,
}

impl Zone {
    /// The name that its SOA record has for its primary server (RFC 1035 section 3.3.13).
    pub(super) fn primary(&self, options: &Options) -> Option<WireName> {
        match (self.role, &options.external) {
            (Role::Outer, Some(external)) => under(&["ns1", &external.apex], &self.apex),
            _ => under(&["ns", "dns"], &self.apex),
        }
    }

    /// The SOA record.
    pub(super) fn soa(&self, place: usize, options: &Options) -> Option<Said> {
        let mailbox = match (self.role, &options.external) {
            (Role::Outer, Some(external)) => under(&["hostmaster", &external.apex], &self.apex)?,
            _ => under(&["hostmaster"], &self.apex)?,
        };
        let mut rdata = [self.primary(options)?.as_bytes(), mailbox.as_bytes()].concat();
        let [refresh, retry, expire] = SOA_SECONDS;
        for number in [self.serial, refresh, retry, expire, self.negative_ttl] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        // RFC 2308 section 5: a negative answer is kept for the smaller one of the record's TTL and its minimum.
        let ttl = self.ttl.max(self.negative_ttl).min(SOA_TTL_SECONDS_MAX);
        let data = Data::Records { rtype: rtype::SOA, ttl, rdatas: vec![rdata], left_out: 0 };
        Some(Said { zone: place, owner: self.apex.clone(), data })
    }

    /// What it has whatever the cluster has.
    pub(super) fn constants(&self, place: usize, options: &Options, draft: &mut Draft) {
        if !matches!(self.role, Role::Services | Role::Imports) {
            return;
        }
        let is_of_leaves = options.is_of_leaves();
        if let Some(owner) = under(&["dns-version"], &self.apex).filter(|_| !is_of_leaves) {
            draft.records(place, &owner, (rtype::TXT, VERSION_TTL_SECONDS), vec![VERSION.to_vec()]);
        }
        // Pods of any namespace are answered below a name that exists.
        let kinds: &[&str] = match (is_of_leaves, options.pods) {
            (false, _) => &["svc", "pod"],
            (true, PodMode::Insecure) => &["pod"],
            (true, _) => &[],
        };
        for kind in kinds {
            if let Some(owner) = under(&[kind], &self.apex) {
                draft.name(place, owner);
            }
        }
    }
}

/// The zones that the options name, each once.
pub(super) fn zones(options: &Options, serial: u32) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    let mut add = |apex: &WireName, role: Role, ttl: u32| {
        if zones.iter().any(|zone| zone.apex == *apex) {
            return;
        }
        let apex = apex.to_lowercase();
        let falls_through = options.fallthrough.iter().any(|zone| zone.contains(&apex));
        let negative_ttl = options.negative_ttl.unwrap_or(ttl);
        zones.push(Zone { apex, role, ttl, negative_ttl, falls_through, serial });
    };
    for apex in &options.zones {
        let is_import = options.multicluster_zones.contains(apex);
        add(apex, if is_import { Role::Imports } else { Role::Services }, options.ttl);
    }
    let outer_reverse = options.external.iter().flat_map(|external| &external.reverse_zones);
    if let Some(external) = &options.external {
        external.zones.iter().for_each(|apex| add(apex, Role::Outer, external.ttl));
    }
    for apex in &options.reverse_zones {
        let outer = outer_reverse.clone().any(|other| other == apex);
        add(apex, Role::Reverse { cluster: true, outer }, options.ttl);
    }
    for apex in outer_reverse {
        add(apex, Role::Reverse { cluster: false, outer: true }, options.external.as_ref().map_or(0, |one| one.ttl));
    }
    zones
}

/// Shares of a hundred of so many candidates, none without any (RFC 2782: a server of weight 0 is hardly ever chosen).
pub(super) fn share(candidates: usize) -> u16 {
    u16::try_from(100 / candidates.max(1)).unwrap_or(100).max(1)
}

/// SRV records of candidates, which are ports and targets. One without a port counts for the shares and is no record.
pub(super) fn shared_srv<'t>(
    priority: u16,
    candidates: impl Iterator<Item = (Option<u16>, &'t WireName)> + Clone,
) -> Vec<Vec<u8>> {
    let weight = share(candidates.clone().count());
    candidates.filter_map(|(port, target)| Some(srv(priority, weight, port?, target))).collect()
}
