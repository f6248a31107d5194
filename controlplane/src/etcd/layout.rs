//! What a key and its value say: names, records, and why some say nothing.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::limits::LABEL_BYTES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::select::Mode;
use serde::Deserialize;

use super::{containerdns, kdns, skydns};
use crate::health::AllDown;
use crate::model::TTL_SECONDS_MAX;

/// Longest key that is looked at, in bytes: a name and a generous prefix.
pub(super) const KEY_BYTES_MAX: usize = 1024;

/// Longest value that is looked at, in bytes: bounds what a record can cost.
pub(super) const VALUE_BYTES_MAX: usize = 8192;

/// How keys and values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// ContainerDNS: a record a key, most of them with a label that is not part of the name.
    ContainerDns,
    /// SkyDNS, and the etcd plugin of CoreDNS: a message a key, answered for its name and all above it.
    SkyDns,
    /// kdns-agent: as ContainerDNS, with a view and a way to choose in each record, and the clients of views.
    Kdns,
}

/// Whose answers are given from the tree of SkyDNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generation {
    /// CoreDNS's etcd plugin.
    #[default]
    CoreDns,
    /// SkyDNS.
    SkyDns,
}

/// A tree of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// How it is written.
    pub layout: Layout,
    /// What its keys begin with: a slash first, none last.
    pub prefix: String,
    /// The zones that it is read for, in lower case.
    pub zones: Vec<WireName>,
    /// The TTL in seconds of records that have none.
    pub ttl_seconds: u32,
    /// ContainerDNS: names are served without the label left of the zone's.
    pub skip_domain: bool,
    /// How addresses are chosen from where the records do not say it themselves.
    pub answers: Mode,
    /// True: addresses that are down are left out.
    pub health: bool,
    /// What is answered where all of them are.
    pub all_down: AllDown,
    /// SkyDNS: most names that are made for questions with `*` and `any` in them; 0: such questions have no answer.
    pub wildcard_names_max: usize,
    /// SkyDNS: whose answers are given.
    pub generation: Generation,
    /// SkyDNS: the name, in lower case, whose records `local.dns` of its zone has too.
    pub local: Option<WireName>,
    /// SkyDNS: names below `stub.dns` of its zones say who is asked for other zones.
    pub stub_zones: bool,
}

impl Tree {
    /// The prefix of all keys of a zone, without a slash at the end.
    pub(crate) fn path(&self, zone: &WireName) -> Vec<u8> {
        let labels: Vec<&[u8]> = zone.labels().filter(|label| !label.is_empty()).collect();
        let mut path = self.prefix.clone().into_bytes();
        for label in labels.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(label);
        }
        path
    }

    /// The name that a key stands for, in lower case; nothing where the key is none of this tree.
    fn name(&self, key: &[u8]) -> Option<Result<WireName, Fault>> {
        let rest = key.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b"/")?;
        Some(name_of_path(rest.strip_suffix(b"/").unwrap_or(rest)))
    }

    /// The name that a key stands for, for those who write keys; nothing where it stands for none.
    pub(crate) fn name_of(&self, key: &[u8]) -> Option<WireName> {
        self.name(key)?.ok()
    }

    /// The innermost zone that a name is in.
    pub(super) fn zone(&self, name: &WireName) -> Option<&WireName> {
        self.zones.iter().filter(|zone| zone.contains(name)).max_by_key(|zone| zone.label_count())
    }

    /// What a key of this tree says; nothing where it is of no zone.
    pub(super) fn items(&self, key: &[u8], value: &[u8], wanted: Wanted<'_>) -> Result<Vec<Item>, Fault> {
        let Some(name) = self.name(key) else { return Ok(Vec::new()) };
        // A key that stands for no name may be one of another kind, unless it is below a zone's.
        if name.is_err() && !self.zones.iter().any(|zone| key.starts_with(&self.path(zone))) {
            return Ok(Vec::new());
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(Fault::new(format!("the key is longer than {KEY_BYTES_MAX} bytes")));
        }
        let name = name?;
        let Some(zone) = self.zone(&name) else { return Ok(Vec::new()) };
        let key = Key { tree: self, zone, name };
        match self.layout {
            Layout::ContainerDns => containerdns::items(&key, &json(value)?),
            Layout::SkyDns => skydns::items(&key, &json(value)?, wanted),
            Layout::Kdns => kdns::items(&key, &json(value)?, &json(value)?),
        }
    }

    /// The path of the keys that have the clients of views, with a slash at its end.
    pub(super) fn views_path(&self) -> Option<Vec<u8>> {
        (self.layout == Layout::Kdns).then(|| kdns::views_path(&self.prefix))
    }

    /// True where SkyDNS's own answers are given.
    pub(super) fn is_of_skydns(&self) -> bool {
        self.layout == Layout::SkyDns && self.generation == Generation::SkyDns
    }

    /// True where questions with `*` and `any` in them have answers.
    pub(super) fn has_wildcards(&self) -> bool {
        self.wildcard_names_max > 0
    }
}

/// Reads a value.
pub(super) fn json<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, Fault> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Fault::new(format!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(value).map_err(|error| Fault::new(error.to_string()))
}

/// Which items of a key are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// Those of this owner alone, if others cost something; nothing: of each owner one at least, and an address first.
    pub(super) only: Option<&'a WireName>,
    /// Those of names with `*` and `any` in them too.
    pub(super) wildcards: bool,
    /// SkyDNS: what a key says of its zone's own name too, as every key below it does.
    pub(super) of_zone: bool,
}

/// A key that was read.
pub(super) struct Key<'a> {
    /// Its tree.
    pub(super) tree: &'a Tree,
    /// The zone that it is in.
    pub(super) zone: &'a WireName,
    /// Its labels turned round.
    pub(super) name: WireName,
}

impl Key<'_> {
    /// The name without the label that is the record's own.
    pub(super) fn owner(&self) -> Result<WireName, Fault> {
        let owner = self.name.parent().filter(|owner| self.zone.contains(owner));
        owner.ok_or_else(|| Fault::new("the key has no label of the record's own below the zone"))
    }

    /// A name relative to the zone.
    pub(super) fn in_zone(&self, labels: &[&[u8]]) -> Option<WireName> {
        labels.iter().rev().try_fold(self.zone.clone(), |name, label| name.child(label).ok())
    }

    /// True for a name at or below another, which is given relative to the zone.
    pub(super) fn is_below(&self, name: &WireName, labels: &[&[u8]]) -> bool {
        self.in_zone(labels).is_some_and(|above| above.contains(name))
    }
}

/// The name whose labels are turned round in a path.
fn name_of_path(path: &[u8]) -> Result<WireName, Fault> {
    let mut wire = Vec::with_capacity(path.len() + 2);
    for label in path.rsplit(|&byte| byte == b'/').filter(|_| !path.is_empty()) {
        if label.is_empty() || label.contains(&b'.') {
            return Err(Fault::new("the key has an empty label, or one with a dot in it"));
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(Fault::new(format!("a label of the key is longer than {LABEL_BYTES_MAX} bytes (RFC 1035)")));
        }
        wire.extend(u8::try_from(label.len()));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    WireName::from_wire(&wire).map_err(|error| Fault::new(format!("the key: {error}")))
}

/// The value of a key: the members that any layout has. Unknown members are ignored, as both originals do.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Message {
    /// ContainerDNS: the type of the record.
    #[serde(rename = "type")]
    pub(super) rtype: Option<String>,
    /// An address or a name.
    pub(super) host: Option<String>,
    /// The TTL in seconds.
    ttl: Option<u32>,
    /// Port of a service.
    pub(super) port: Option<u16>,
    /// Priority of a service, preference of a mail exchange.
    priority: Option<u16>,
    /// Share of a service among those of its priority; 0 and nothing are an equal share.
    pub(super) weight: Option<u32>,
    /// Text.
    pub(super) text: Option<String>,
    /// True: a mail exchange.
    pub(super) mail: Option<bool>,
    /// SkyDNS: messages of different groups are not mixed.
    pub(super) group: Option<String>,
    /// SkyDNS: how many labels of the key are not part of the host's name.
    pub(super) targetstrip: Option<u32>,
}

impl Message {
    /// The TTL, or the tree's; SkyDNS has none that is longer.
    pub(super) fn ttl_seconds(&self, tree: &Tree) -> u32 {
        let longest = if tree.is_of_skydns() { tree.ttl_seconds } else { TTL_SECONDS_MAX };
        self.ttl.unwrap_or(tree.ttl_seconds).min(longest)
    }

    /// Priority or preference; both originals take 10 where there is none.
    pub(super) fn priority(&self) -> u16 {
        self.priority.filter(|&priority| priority > 0).unwrap_or(10)
    }

    /// The host; nothing where there is none.
    pub(super) fn host(&self) -> Result<Option<Host>, Fault> {
        let Some(text) = self.host.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Some(Host::Address(address)));
        }
        match text.parse::<WireName>() {
            Ok(name) => Ok(Some(Host::Name(name))),
            Err(error) => Err(Fault::new(format!("host \"{text}\" is neither address nor name: {error}"))),
        }
    }

    /// The host, which must be there.
    pub(super) fn needed_host(&self) -> Result<Host, Fault> {
        self.host()?.ok_or_else(|| Fault::new("host is missing"))
    }
}

/// What `host` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(WireName),
}

/// Why a key says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl Fault {
    /// With a reason.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// One record that a key contributes to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The owner.
    pub(super) owner: WireName,
    /// The TTL in seconds.
    pub(super) ttl_seconds: u32,
    /// The record.
    pub(super) data: Data,
    /// The group, and how many labels the key has: the shortest key decides which group is answered.
    pub(super) group: Option<(String, usize)>,
    /// True: answered only where a service has this owner for a target.
    pub(super) for_target: bool,
    /// SkyDNS: the owner is the zone's own name, of which the key says something as all below it do, and no more.
    pub(super) of_zone: bool,
    /// The view that has it; nothing: the default view.
    pub(super) view: Option<Arc<str>>,
    /// What it says of how its RRset is chosen from.
    pub(super) choice: Option<Choice>,
}

impl Item {
    /// A record of the default view without more.
    pub(super) fn new(owner: WireName, ttl_seconds: u32, data: Data) -> Self {
        Self { owner, ttl_seconds, data, group: None, for_target: false, of_zone: false, view: None, choice: None }
    }
}

/// How an RRset is chosen from, as one of its records says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The mode.
    pub(super) mode: Mode,
    /// The record's weight.
    pub(super) weight: u16,
    /// Most records of an answer; 0: no bound.
    pub(super) answers_max: u16,
}

/// The record of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(WireName),
    /// SRV, its weight not yet made a share.
    Service {
        /// The priority.
        priority: u16,
        /// The weight as written.
        weight: u32,
        /// The port.
        port: u16,
        /// The host.
        target: WireName,
    },
    /// MX.
    Exchange {
        /// The preference.
        preference: u16,
        /// The host.
        target: WireName,
    },
    /// TXT.
    Text(String),
    /// NS.
    Server(WireName),
    /// PTR.
    Pointer(WireName),
}
