//! What a zone's own name has: what no tree holds, and in the layout of SkyDNS what all keys below it say.

use std::ops::Bound;

use ringdns_engine::name::WireName;
use ringdns_engine::rules::Rules;

use super::super::layout::{Generation, Item, Layout, Tree};
use super::super::skydns;
use super::{Model, OWNER_KEYS_MAX};
use crate::model::{Change, Rrset};
use crate::text::rtype;

/// Times of the SOA record of ContainerDNS's trees in seconds: refresh, retry, expire, minimum (RFC 1035 section 3.3.13). The last
/// is how long negative answers may be kept (RFC 2308).
const SOA_SECONDS: [u32; 4] = [14_400, 3600, 604_800, 60];

/// The same of CoreDNS's etcd plugin.
const COREDNS_SOA_SECONDS: [u32; 4] = [7200, 1800, 86_400, 30];

/// The same of SkyDNS.
const SKYDNS_SOA_SECONDS: [u32; 4] = [28_800, 7200, 604_800, 60];

impl Model {
    /// The zone of a name, where its own name has what all keys below it say.
    pub(super) fn whole_zone(&self, name: &WireName) -> Option<&WireName> {
        let (place, zone) = self.zone(name)?;
        (self.trees[place].layout == Layout::SkyDns && !skydns::is_reverse(zone)).then_some(zone)
    }

    /// What all keys below a zone's own name say of it; nothing for other names, and where they are too many.
    pub(super) fn items_of_zone(&self, owner: &WireName) -> Option<Vec<Item>> {
        let zone = self.whole_zone(owner).filter(|zone| *zone == owner)?;
        let (place, _) = self.zone(owner)?;
        let path = self.trees[place].path(zone);
        let is_below =
            |key: &[u8]| key.strip_prefix(path.as_slice()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        let from = (Bound::Included(path.as_slice()), Bound::Unbounded);
        let keys = self.keys.range::<[u8], _>(from).take_while(|(key, _)| key.starts_with(&path));
        let keys: Vec<_> = keys.filter(|(key, _)| is_below(key)).take(OWNER_KEYS_MAX + 1).collect();
        if keys.len() > OWNER_KEYS_MAX {
            return None;
        }
        let said =
            keys.into_iter().flat_map(|(key, value)| self.items(key, value, Some(owner), true).unwrap_or_default());
        Some(said.filter(|item| item.owner == *owner).collect())
    }
}

/// How a zone answers otherwise than RFC 1034 has it.
pub(super) fn rules(tree: &Tree, zone: &WireName) -> Option<Change> {
    let rules = Rules {
        no_dangling_cname: true,
        cname_for_addresses_only: true,
        aliases_beside: true,
        refuse_any: tree.generation == Generation::SkyDns,
        ..Rules::default()
    };
    let is_ruled = tree.layout == Layout::SkyDns && !skydns::is_reverse(zone);
    is_ruled.then(|| Change::SetRules { apex: zone.clone(), rules })
}

/// The SOA record of a zone, which no tree holds.
pub(super) fn soa(tree: &Tree, zone: &WireName, serial: u32) -> Change {
    let server: &[&[u8]] = match tree.layout {
        Layout::ContainerDns | Layout::Kdns => &[b"ns1"],
        Layout::SkyDns => &[b"ns", b"dns"],
    };
    let (times, ttl_seconds) = match (tree.layout, tree.generation) {
        (Layout::SkyDns, Generation::CoreDns) => (COREDNS_SOA_SECONDS, COREDNS_SOA_SECONDS[3]),
        (Layout::SkyDns, Generation::SkyDns) => (SKYDNS_SOA_SECONDS, tree.ttl_seconds),
        (Layout::ContainerDns | Layout::Kdns, _) => (SOA_SECONDS, SOA_SECONDS[3]),
    };
    let below = |labels: &[&[u8]]| {
        // A zone's name is so long only if the tree has nothing below it.
        let name = labels.iter().rev().try_fold(zone.clone(), |name, label| name.child(label).ok());
        name.unwrap_or_else(|| zone.clone())
    };
    let mut rdata = below(server).as_bytes().to_vec();
    rdata.extend_from_slice(below(&[b"hostmaster"]).as_bytes());
    rdata.extend_from_slice(&serial.to_be_bytes());
    for seconds in times {
        rdata.extend_from_slice(&seconds.to_be_bytes());
    }
    Change::Put { apex: zone.clone(), rrset: Rrset::new(zone.clone(), rtype::SOA, ttl_seconds, vec![rdata]) }
}
