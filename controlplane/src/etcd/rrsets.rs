//! From the items of one owner to its RRsets.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::layout::{Data, Item, Layout};
use crate::model::Rrset;
use crate::text::rtype;

/// Longest string of a TXT record in bytes (RFC 1035 section 3.3).
const STRING_BYTES_MAX: usize = 255;

/// The numbers of the types that keys can have.
mod number {
    /// IPv4 address.
    pub(super) const A: u16 = 1;
    /// Name that an address belongs to.
    pub(super) const PTR: u16 = 12;
    /// Mail exchange.
    pub(super) const MX: u16 = 15;
    /// Text.
    pub(super) const TXT: u16 = 16;
    /// IPv6 address.
    pub(super) const AAAA: u16 = 28;
    /// Service.
    pub(super) const SRV: u16 = 33;
}

/// The RRsets of an owner, in the order of their types. What cannot be served is left out.
pub(super) fn assemble(owner: &WireName, zone: &WireName, layout: Layout, mut items: Vec<Item>) -> Vec<Rrset> {
    choose_group(&mut items);
    choose_alias(owner == zone, &mut items);
    let weights = weights(&items);
    let mut sets: BTreeMap<u16, (u32, Vec<Vec<u8>>)> = BTreeMap::new();
    for item in &items {
        let (number, rdata) = record(&item.data, layout, &weights);
        let (ttl_seconds, rdatas) = sets.entry(number).or_insert((item.ttl_seconds, Vec::new()));
        // The records of an RRset have one TTL (RFC 2181 section 5.2); the smallest promises too much for none.
        *ttl_seconds = item.ttl_seconds.min(*ttl_seconds);
        rdatas.push(rdata);
    }
    let rrset = |(number, (ttl_seconds, rdatas))| {
        let mut rrset = Rrset::new(owner.clone(), number, ttl_seconds, rdatas);
        match rrset.normalise(zone) {
            Ok(()) => Some(rrset),
            Err(error) => {
                tracing::error!(%owner, rtype = %rtype::show(number), "etcd has an RRset that is not served: {error}");
                None
            }
        }
    };
    sets.into_iter().filter_map(rrset).collect()
}

/// Leaves one group: that of the shortest key that has one. Where keys of that length disagree, all stay; what is of no
/// group always stays.
fn choose_group(items: &mut Vec<Item>) {
    let Some(least) = items.iter().filter_map(|item| item.group.as_ref()).map(|(_, labels)| *labels).min() else {
        return;
    };
    let mut shortest = items.iter().filter_map(|item| item.group.as_ref()).filter(|(_, labels)| *labels == least);
    let Some((chosen, _)) = shortest.next().cloned() else { return };
    if shortest.all(|(group, _)| *group == chosen) {
        items.retain(|item| item.group.as_ref().is_none_or(|(group, _)| *group == chosen));
    }
}

/// An alias stands alone (RFC 2181 section 10.1): it gives way to anything but text, and text gives way to it, which is what
/// writers mean that put their own notes beside it. Of several aliases the first key's stays.
fn choose_alias(is_apex: bool, items: &mut Vec<Item>) {
    let is_alias = |item: &Item| matches!(item.data, Data::Alias(_));
    let is_text = |item: &Item| matches!(item.data, Data::Text(_));
    if is_apex || items.iter().any(|item| !is_alias(item) && !is_text(item)) {
        items.retain(|item| !is_alias(item));
    } else if let Some(alias) = items.iter().find(|item| is_alias(item)).cloned() {
        *items = vec![alias];
    }
}

/// What a service's weight counts for.
fn counted(weight: u32) -> u64 {
    if weight == 0 { 100 } else { u64::from(weight) }
}

/// The sum of the weights of each priority.
fn weights(items: &[Item]) -> HashMap<u16, u64> {
    let mut sums = HashMap::new();
    for item in items {
        if let Data::Service { priority, weight, .. } = item.data {
            *sums.entry(priority).or_default() += counted(weight);
        }
    }
    sums
}

/// Type and rdata.
fn record(data: &Data, layout: Layout, weights: &HashMap<u16, u64>) -> (u16, Vec<u8>) {
    match data {
        Data::Address(IpAddr::V4(address)) => (number::A, address.octets().to_vec()),
        Data::Address(IpAddr::V6(address)) => (number::AAAA, address.octets().to_vec()),
        Data::Alias(name) => (rtype::CNAME, name.as_bytes().to_vec()),
        Data::Server(name) => (rtype::NS, name.as_bytes().to_vec()),
        Data::Pointer(name) => (number::PTR, name.as_bytes().to_vec()),
        Data::Exchange { preference, target } => {
            (number::MX, [&preference.to_be_bytes()[..], target.as_bytes()].concat())
        }
        Data::Service { priority, weight, port, target } => {
            // Both originals give shares of a hundred; those of the newer one are never 0, which hardly anybody would be
            // sent to.
            let sum = weights.get(priority).copied().unwrap_or(1).max(1);
            let share = (100 * counted(*weight) / sum).max(u64::from(layout == Layout::SkyDns));
            let share = u16::try_from(share).unwrap_or(100);
            let [priority, weight, port] = [priority, &share, port].map(|value| value.to_be_bytes());
            (number::SRV, [&priority[..], &weight, &port, target.as_bytes()].concat())
        }
        Data::Text(text) => {
            let mut rdata = Vec::new();
            for string in text.as_bytes().chunks(STRING_BYTES_MAX) {
                rdata.extend(u8::try_from(string.len()));
                rdata.extend_from_slice(string);
            }
            (number::TXT, rdata)
        }
    }
}
