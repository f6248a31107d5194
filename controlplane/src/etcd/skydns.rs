//! The tree of SkyDNS and of CoreDNS's etcd plugin: `/skydns/<labels turned round>`, one message a key.
//!
//! A message is answered for the name of its key and for every name above that is still below the zone: so several keys
//! `x1`, `x2` under a service are its addresses. Where a message's host is a name, DNS has no room for an alias beside
//! other records: with a port it is a service, with `mail` a mail exchange, and else an alias.

use ringdns_engine::name::WireName;

use super::layout::{Data, Fault, Host, Item, Key, Message};

/// What a key says.
pub(super) fn items(key: &Key<'_>, message: &Message) -> Result<Vec<Item>, Fault> {
    let host = message.host()?;
    if is_reverse(key.zone) {
        return match host {
            Some(Host::Name(name)) => Ok(vec![item(key, message, &key.name, Data::Pointer(name))]),
            _ => Err(Fault::new("a key of a reverse zone has a name for a host")),
        };
    }
    if key.is_below(&key.name, &[b"stub", b"dns"]) {
        // Delegations to other servers, which are configuration and not data.
        return Ok(Vec::new());
    }
    let target = stripped(key, message.targetstrip.unwrap_or(0));
    let data = records(message, host.as_ref(), &target);
    if data.is_empty() {
        return Err(Fault::new("the message has neither host nor text"));
    }
    let mut items = Vec::new();
    for owner in owners(key, &target) {
        items.extend(data.iter().map(|data| item(key, message, &owner, data.clone())));
    }
    let is_server = key.is_below(&key.name, &[b"ns", b"dns"]);
    if is_server || key.is_below(&key.name, &[b"apex", b"dns"]) {
        match host {
            Some(Host::Address(_)) if is_server => items.push(item(key, message, key.zone, Data::Server(target))),
            Some(Host::Address(address)) => items.push(item(key, message, key.zone, Data::Address(address))),
            _ => return Err(Fault::new("the host of a zone's own record is an address")),
        }
    }
    Ok(items)
}

/// One record of the message.
fn item(key: &Key<'_>, message: &Message, owner: &WireName, data: Data) -> Item {
    let group = message.group.clone().filter(|group| !group.is_empty());
    Item {
        owner: owner.clone(),
        ttl_seconds: message.ttl_seconds(key.tree),
        data,
        group: group.map(|group| (group, key.name.label_count())),
        for_target: false,
    }
}

/// What a message says of any name that it is answered for.
fn records(message: &Message, host: Option<&Host>, target: &WireName) -> Vec<Data> {
    let mail = message.mail.unwrap_or(false);
    let (priority, weight, port) = (message.priority(), message.weight.unwrap_or(0), message.port.unwrap_or(0));
    let mut data = Vec::new();
    let named = match host {
        Some(Host::Address(address)) => {
            data.push(Data::Address(*address));
            Some(target)
        }
        Some(Host::Name(name)) if !mail && port == 0 => {
            data.push(Data::Alias(name.clone()));
            None
        }
        Some(Host::Name(name)) => Some(name),
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

/// The names that a message is answered for. The zone's own is one where the host is called so (what is written for it has a
/// label to tell the writer's messages apart).
fn owners(key: &Key<'_>, target: &WireName) -> Vec<WireName> {
    let mut owners = Vec::new();
    let mut next = Some(key.name.clone());
    while let Some(name) = next.take().filter(|name| key.zone.contains(name)) {
        if name != *key.zone || key.name == *key.zone || target == key.zone {
            owners.push(name.clone());
        }
        next = name.parent();
    }
    owners
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
fn is_reverse(zone: &WireName) -> bool {
    let labels: Vec<&[u8]> = zone.labels().filter(|label| !label.is_empty()).collect();
    matches!(labels.as_slice(), [.., b"in-addr" | b"ip6", b"arpa"])
}
