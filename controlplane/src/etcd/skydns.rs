//! The tree of SkyDNS and of CoreDNS's etcd plugin: `/skydns/<labels turned round>`, one message a key.
//!
//! A message is answered for the name of its key and for every name above, the zone's own among them as long as not too much is
//! below that: so several keys `x1`, `x2` under a service are its addresses. A host is a service, or with `mail` a mail
//! exchange, at all of these names; one that is a name is an alias as well, to questions for addresses (`Rules`), unless its
//! name has a single label, which nobody could look up.
//!
//! SkyDNS takes the labels `*` and `any` of a question for any label. A packet finds a whole name by its hash here and could
//! not search a tree without a cost that its sender chooses, so the names of such questions are made beforehand: of every
//! name that a message is answered for, those with one word or the other in the place of any of its labels. A name of so
//! many labels below its zone has two to that power less one for each word, which is why names are bounded in their labels
//! and their number, and questions that mix both words are not answered. The names are labels like any other to the zone
//! (`Change::SetAsterisks`), and so do not answer for names that are not there, as those of RFC 4592 would.

use std::net::SocketAddr;

use ringdns_engine::name::WireName;

use super::layout::{Data, Fault, Host, Item, Key, Message, Tree, Wanted, json};
use crate::suffixes::StubZones;

/// The labels that stand for any.
pub(super) const WILDCARDS: [&[u8]; 2] = [b"*", b"any"];

/// Most labels below its zone of a name that is made for questions: 62 names.
const WILDCARD_LABELS_MAX: usize = 5;

/// True for a name of such a question.
pub(super) fn is_wildcard(owner: &WireName) -> bool {
    owner.labels().any(|label| WILDCARDS.contains(&label))
}

/// A zone of others, and where who is asked for its names is.
pub(super) type Stub = (WireName, SocketAddr);

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// What a key `<path of a zone>/dns/stub/<path of a zone of others>/<label of its own>` says; nothing for other keys, and where stub
/// zones are not read.
pub(super) fn stub(tree: &Tree, key: &[u8], value: &[u8]) -> Option<Result<Stub, Fault>> {
    if !tree.stub_zones {
        return None;
    }
    let name = tree.name_of(key)?;
    let zone = tree.zone(&name).filter(|zone| !is_reverse(zone))?;
    let key = Key { tree, zone, name };
    let above = key.in_zone(&[b"stub", b"dns"])?;
    let below = key.name.label_count().checked_sub(above.label_count()).filter(|below| *below > 0)?;
    if !above.contains(&key.name) {
        return None;
    }
    let labels: Vec<&[u8]> = key.name.labels().take(below).skip(1).collect();
    Some(json(value).and_then(|message: Message| {
        let zone = labels.iter().rev().try_fold(WireName::root(), |zone, label| zone.child(label).ok());
        let zone = zone.filter(|_| !labels.is_empty());
        let zone = zone.ok_or_else(|| Fault::new("the key names no zone between dns/stub and its own label"))?;
        let port = message.port.filter(|port| *port > 0).unwrap_or(DNS_PORT);
        match message.needed_host()? {
            Host::Address(ip) if !ip.is_unspecified() && !ip.is_multicast() => Ok((zone, SocketAddr::new(ip, port))),
            _ => Err(Fault::new("host is no address that could be asked: the server of a stub zone has one")),
        }
    }))
}

/// Stub zones by name, no server twice.
pub(super) fn stub_zones<'a>(stubs: impl Iterator<Item = &'a Stub>) -> StubZones {
    let mut zones = StubZones::new();
    for (zone, server) in stubs {
        let servers = zones.entry(zone.clone()).or_default();
        if !servers.contains(server) {
            servers.push(*server);
        }
    }
    zones
}

/// What a key says.
pub(super) fn items(key: &Key<'_>, message: &Message, wanted: Wanted<'_>) -> Result<Vec<Item>, Fault> {
    let host = message.host()?;
    if is_reverse(key.zone) {
        return match host {
            Some(Host::Name(name)) => Ok(vec![item(key, message, &key.name, Data::Pointer(name))]),
            _ => Err(Fault::new("a key of a reverse zone has a name for a host")),
        };
    }
    if key.is_below(&key.name, &[b"stub", b"dns"]) {
        // Delegations to other servers, which are no data: see [`stub`].
        return Ok(Vec::new());
    }
    let target = stripped(key, message.targetstrip.unwrap_or(0));
    let data = records(key, message, host.as_ref(), &target);
    if data.is_empty() {
        return Err(Fault::new("the message has neither host nor text"));
    }
    let mut items = Vec::new();
    match wanted.only {
        None => {
            // Who asks for all wants to know the owners, and what the first has is what all have: it is not repeated but for
            // the address, which leads to its owners.
            for (place, owner) in owners(key, &target, wanted.wildcards).into_iter().enumerate() {
                let count = if place == 0 { data.len() } else { 1 };
                items.extend(data.iter().take(count).map(|data| item(key, message, &owner, data.clone())));
            }
        }
        // That it has the key for one of its own was found out when the key came.
        Some(owner) => {
            let of_zone = owner == key.zone && !is_for_zone(key, &target);
            if !of_zone || wanted.of_zone {
                let of_owner = data.iter().map(|data| item(key, message, owner, data.clone()));
                items.extend(of_owner.map(|item| Item { of_zone, ..item }));
            }
        }
    }
    let is_server = key.is_below(&key.name, &[b"ns", b"dns"]);
    if is_server || key.is_below(&key.name, &[b"apex", b"dns"]) {
        match host {
            Some(Host::Address(_)) if is_server => {
                // SkyDNS takes no labels off here.
                let server = if key.tree.is_of_skydns() { key.name.clone() } else { target };
                items.push(item(key, message, key.zone, Data::Server(server)));
            }
            Some(Host::Address(address)) => items.push(item(key, message, key.zone, Data::Address(address))),
            _ => return Err(Fault::new("the host of a zone's own record is an address")),
        }
    }
    Ok(items)
}

/// One record of the message.
fn item(key: &Key<'_>, message: &Message, owner: &WireName, data: Data) -> Item {
    let group = message.group.clone().filter(|group| !group.is_empty());
    let group = group.map(|group| (group, key.name.label_count()));
    Item { group, ..Item::new(owner.clone(), message.ttl_seconds(key.tree), data) }
}

/// What a message says of any name that it is answered for.
fn records(key: &Key<'_>, message: &Message, host: Option<&Host>, target: &WireName) -> Vec<Data> {
    let mail = message.mail.unwrap_or(false);
    let (priority, weight, port) = (message.priority(), message.weight.unwrap_or(0), message.port.unwrap_or(0));
    let mut data = Vec::new();
    let named = match host {
        Some(Host::Address(address)) => {
            data.push(Data::Address(*address));
            Some(target)
        }
        Some(Host::Name(name)) => {
            if name.label_count() > 1 || key.zone.contains(name) {
                data.push(Data::Alias(name.clone()));
            }
            Some(name)
        }
        None => None,
    };
    if let Some(target) = named.cloned() {
        data.push(if mail {
            Data::Exchange { preference: priority, target }
        } else {
            Data::Service { priority, weight, port, target }
        });
    }
    if let Some(text) = message.text.clone().filter(|text| !text.is_empty()) {
        data.push(Data::Text(text));
    }
    data
}

/// The names that a message is answered for.
fn owners(key: &Key<'_>, target: &WireName, wildcards: bool) -> Vec<WireName> {
    let mut owners = Vec::new();
    let mut next = Some(key.name.clone());
    while let Some(name) = next.take().filter(|name| key.zone.contains(name)) {
        next = name.parent();
        if name != *key.zone {
            let local = key.tree.local.as_ref().filter(|local| **local == name);
            owners.extend(local.and_then(|_| key.in_zone(&[b"local", b"dns"])));
            if wildcards {
                owners.extend(questions(&name, key.zone));
            }
            owners.push(name);
        } else if is_for_zone(key, target) {
            owners.push(name);
        }
    }
    owners
}

/// True where a message is answered for the zone's own name: where its key or its host is called so (what is written for it has a
/// label to tell the writer's messages apart).
fn is_for_zone(key: &Key<'_>, target: &WireName) -> bool {
    key.name == *key.zone || target == key.zone
}

/// The names of questions that a name is the answer to.
fn questions(name: &WireName, zone: &WireName) -> Vec<WireName> {
    let below = name.label_count() - zone.label_count();
    if below > WILDCARD_LABELS_MAX {
        return Vec::new();
    }
    let labels: Vec<&[u8]> = name.labels().take(below).collect();
    let question = |word: &'static [u8], places: u32| {
        let label = |place: usize| if places >> place & 1 == 1 { Some(word) } else { labels.get(place).copied() };
        // A name can become too long for it.
        (0..below).rev().try_fold(zone.clone(), |name, place| name.child(label(place)?).ok())
    };
    WILDCARDS.into_iter().flat_map(|word| (1..1u32 << below).filter_map(move |places| question(word, places))).collect()
}

/// The key's name without the labels that are not part of the host's name.
fn stripped(key: &Key<'_>, labels: u32) -> WireName {
    let mut name = key.name.clone();
    for _ in 0..labels.min(127) {
        match name.parent().filter(|parent| key.zone.contains(parent)) {
            Some(parent) => name = parent,
            None => break,
        }
    }
    name
}

/// True for zones of addresses turned into names.
pub(super) fn is_reverse(zone: &WireName) -> bool {
    let labels: Vec<&[u8]> = zone.labels().filter(|label| !label.is_empty()).collect();
    matches!(labels.as_slice(), [.., b"in-addr" | b"ip6", b"arpa"])
}
