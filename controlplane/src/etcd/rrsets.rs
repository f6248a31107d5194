//! From the items of one owner to its RRsets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Mode, SELECTION_MEMBERS_MAX, Selection};

use super::layout::{Choice, Data, Item, Layout, Tree};
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

/// The records of an RRset as they are put together.
struct Draft {
    /// The smallest TTL in seconds: the records of an RRset have one (RFC 2181 section 5.2), and that promises too much for none.
    ttl_seconds: u32,
    /// The rdata.
    rdatas: Vec<Vec<u8>>,
    /// How they are chosen from.
    selection: Selection,
}

/// The RRsets of an owner, in the order of their types and views. What cannot be served is left out.
pub(super) fn assemble(owner: &WireName, zone: &WireName, tree: &Tree, mut items: Vec<Item>) -> Vec<Rrset> {
    choose_group(&mut items);
    if tree.layout == Layout::SkyDns {
        choose_of_zone(tree, &mut items);
    }
    let views: BTreeSet<Option<Arc<str>>> = items.iter().map(|item| item.view.clone()).collect();
    for view in views {
        choose_alias(owner == zone, tree.layout, &view, &mut items);
    }
    let weights = weights(&items);
    let mut drafts: BTreeMap<(u16, Option<Arc<str>>), Draft> = BTreeMap::new();
    for item in &items {
        let (number, rdata) = record(&item.data, tree, &weights);
        let is_address = matches!(item.data, Data::Address(_));
        let draft = drafts.entry((number, item.view.clone())).or_insert_with(|| Draft {
            ttl_seconds: item.ttl_seconds,
            rdatas: Vec::new(),
            selection: Selection { mode: if is_address { tree.answers } else { Mode::All }, ..Selection::default() },
        });
        draft.ttl_seconds = item.ttl_seconds.min(draft.ttl_seconds);
        draft.rdatas.push(rdata);
        draft.choose(item.choice.unwrap_or_default(), is_address);
    }
    let rrset = |((number, view), draft): ((u16, Option<Arc<str>>), Draft)| {
        let mut rrset = Rrset { view, ..Rrset::new(owner.clone(), number, draft.ttl_seconds, draft.rdatas) };
        // One record leaves nothing to choose, and of too many all are sent.
        let counts = 2..=SELECTION_MEMBERS_MAX;
        rrset.selection = Some(Box::new(draft.selection)).filter(|_| counts.contains(&rrset.rdatas.len()));
        match rrset.normalise(zone) {
            Ok(()) => Some(rrset),
            Err(error) => {
                tracing::error!(%owner, rtype = %rtype::show(number), "etcd has an RRset that is not served: {error}");
                None
            }
        }
    };
    drafts.into_iter().filter_map(rrset).collect()
}

impl Draft {
    /// Takes what a record says of how to choose, after it has been pushed. The first record counts that wants other than
    /// all by turns, and the first that has a bound, as with kdns; only addresses are chosen one of.
    fn choose(&mut self, choice: Choice, is_address: bool) {
        let selection = &mut self.selection;
        if is_address && choice.mode != Mode::All && matches!(selection.mode, Mode::All | Mode::Rotate) {
            selection.mode = choice.mode;
        }
        if selection.answers_max == 0 {
            selection.answers_max = choice.answers_max;
            if choice.answers_max > 0 && selection.mode == Mode::All {
                selection.mode = Mode::Rotate;
            }
        }
        selection.members.push(Member { weight: choice.weight.max(1), up: true });
    }
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

/// CoreDNS has addresses of a zone's own name in keys for them, and only where there are none in all that are below it.
fn choose_of_zone(tree: &Tree, items: &mut Vec<Item>) {
    let is_address = |item: &Item| matches!(item.data, Data::Address(_));
    if !tree.is_of_skydns() && items.iter().any(|item| is_address(item) && !item.of_zone) {
        items.retain(|item| !(is_address(item) && item.of_zone));
    }
}

/// An alias stands alone (RFC 2181 section 10.1): it gives way to anything but text, and text gives way to it, which is what
/// writers mean that put their own notes beside it. Of several aliases the first key's stays. Each view has its own. In the layout
/// of SkyDNS an alias is for questions for addresses, and gives way to these alone.
fn choose_alias(is_apex: bool, layout: Layout, view: &Option<Arc<str>>, items: &mut Vec<Item>) {
    let is_alias = |item: &Item| item.view == *view && matches!(item.data, Data::Alias(_));
    let is_text = |item: &Item| matches!(item.data, Data::Text(_));
    let is_other = |item: &Item| match layout {
        Layout::SkyDns => matches!(item.data, Data::Address(_)),
        Layout::ContainerDns | Layout::Kdns => item.view == *view && !is_alias(item) && !is_text(item),
    };
    if is_apex || items.iter().any(is_other) {
        items.retain(|item| !is_alias(item));
    } else if let Some(alias) = items.iter().find(|item| is_alias(item)).cloned() {
        items.retain(|item| if layout == Layout::SkyDns { !is_alias(item) } else { item.view != *view });
        items.push(alias);
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
fn record(data: &Data, tree: &Tree, weights: &HashMap<u16, u64>) -> (u16, Vec<u8>) {
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
            // ContainerDNS and SkyDNS give shares of a hundred; those of the latter's successor are never 0, which hardly
            // anybody would be sent to. kdns gives weights as they are.
            let sum = weights.get(priority).copied().unwrap_or(1).max(1);
            let share = match tree.layout {
                Layout::ContainerDns => 100 * counted(*weight) / sum,
                Layout::SkyDns if tree.is_of_skydns() => 100 * counted(*weight) / sum,
                Layout::SkyDns => (100 * counted(*weight) / sum).max(1),
                Layout::Kdns => u64::from(*weight),
            };
            let share = u16::try_from(share).unwrap_or(u16::MAX);
            let [priority, weight, port] = [priority, &share, port].map(|value| value.to_be_bytes());
            (number::SRV, [&priority[..], &weight, &port, target.as_bytes()].concat())
        }
        Data::Text(text) => {
            let mut rdata = Vec::new();
            for string in text.as_bytes().chunks(STRING_BYTES_MAX) {
                rdata.extend(u8::try_from(string.len()));
                rdata.extend_from_slice(string);
            }
            // SkyDNS and its successor end what fills its strings with an empty one.
            if tree.layout == Layout::SkyDns && text.len().is_multiple_of(STRING_BYTES_MAX) {
                rdata.push(0);
            }
            (number::TXT, rdata)
        }
    }
}
