//! The tree of ContainerDNS: `/containerdns/<labels turned round>/<label of the record>/`.
//!
//! The type decides whether the last label is part of the name: that of a CNAME record is, any other's is not. The host
//! decides what is answered: an address record whose host is a name is an alias. NS, MX and TXT records of the zone itself
//! stand below `ns.dns`, `mail` and `txt`, its addresses at `dns-ip.dns.ns.dns`.

use ringdns_engine::name::WireName;

use super::layout::{Data, Fault, Host, Item, Key, Message};

/// Where the name servers of a zone stand.
const SERVERS: &[&[u8]] = &[b"ns", b"dns"];

/// Where the addresses of a zone's own name stand.
const APEX: &[&[u8]] = &[b"dns-ip", b"dns", b"ns", b"dns"];

/// What a key says.
pub(super) fn items(key: &Key<'_>, message: &Message) -> Result<Vec<Item>, Fault> {
    let rtype = message.rtype.as_deref().unwrap_or_default().to_ascii_uppercase();
    let mut found = Items { key, ttl_seconds: message.ttl_seconds(key.tree), items: Vec::new() };
    if rtype == "CNAME" {
        found.host(&key.name, message.needed_host()?);
        return Ok(found.items);
    }
    let owner = key.owner()?;
    // The zone's own records stand below a name of their own.
    let stands = |place: &[&[u8]]| if key.is_below(&owner, place) { key.zone } else { &owner };
    match rtype.as_str() {
        "A" | "AAAA" => found.addresses(&owner, message.needed_host()?),
        "SRV" => {
            let target = found.target(message.needed_host()?);
            let (priority, weight) = (message.priority(), message.weight.unwrap_or(0));
            let port = message.port.unwrap_or(0);
            found.add(&owner, Data::Service { priority, weight, port, target });
        }
        "MX" => {
            let target = found.target(message.needed_host()?);
            let owner = stands(&[b"mail"]);
            found.add(owner, Data::Exchange { preference: message.priority(), target });
        }
        "TXT" => match message.text.as_deref() {
            None | Some("") => return Err(Fault::new("text is missing")),
            Some(text) => found.add(stands(&[b"txt"]), Data::Text(text.to_owned())),
        },
        "NS" => found.server(&owner, &message.needed_host()?)?,
        "" => return Err(Fault::new("type is missing")),
        other => return Err(Fault::new(format!("type \"{other}\" is not known"))),
    }
    Ok(found.items)
}

/// What a key says, as far as it was read.
struct Items<'a> {
    /// The key.
    key: &'a Key<'a>,
    /// The TTL of its records in seconds.
    ttl_seconds: u32,
    /// The records.
    items: Vec<Item>,
}

impl Items<'_> {
    /// Adds a record, to the name without the label left of the zone's where that is wanted.
    fn add(&mut self, owner: &WireName, data: Data) {
        let owner = if self.key.tree.skip_domain { skip_domain(owner, self.key.zone) } else { owner.clone() };
        self.items.push(Item::new(owner, self.ttl_seconds, data));
    }

    /// An address, or an alias.
    fn host(&mut self, owner: &WireName, host: Host) {
        match host {
            Host::Address(address) => self.add(owner, Data::Address(address)),
            Host::Name(name) => self.add(owner, Data::Alias(name)),
        }
    }

    /// An address record: of its name, of the zone's where it stands in that place, and of its key's where a service
    /// points at that.
    fn addresses(&mut self, owner: &WireName, host: Host) {
        if let Host::Address(address) = host {
            let (owner, data) = (self.key.name.clone(), Data::Address(address));
            self.items.push(Item { for_target: true, ..Item::new(owner, self.ttl_seconds, data) });
        }
        if self.key.in_zone(APEX).as_ref() == Some(owner) {
            self.host(self.key.zone, host.clone());
        }
        self.host(owner, host);
    }

    /// The host of a service or mail exchange; one that has an address only is called what its key is.
    fn target(&mut self, host: Host) -> WireName {
        match host {
            Host::Name(name) => name,
            Host::Address(address) => {
                let (owner, data) = (self.key.name.clone(), Data::Address(address));
                self.items.push(Item::new(owner, self.ttl_seconds, data));
                self.key.name.clone()
            }
        }
    }

    /// A name server of the zone: called what its key is, without `ns.dns`.
    fn server(&mut self, owner: &WireName, host: &Host) -> Result<(), Fault> {
        if !self.key.is_below(owner, SERVERS) {
            // Elsewhere it would be a zone cut, which takes everything below it away.
            return Err(Fault::new("an NS record stands below ns.dns of its zone"));
        }
        let &Host::Address(address) = host else { return Err(Fault::new("the host of an NS record is an address")) };
        let kept = self.key.name.label_count() - self.key.zone.label_count() - SERVERS.len();
        let labels: Vec<&[u8]> = self.key.name.labels().take(kept).collect();
        let Some(target) = self.key.in_zone(&labels) else { return Err(Fault::new("the name is too long")) };
        self.add(self.key.zone, Data::Server(target.clone()));
        self.add(&target, Data::Address(address));
        Ok(())
    }
}

/// The name without the label left of its zone's, unless it has no other.
fn skip_domain(name: &WireName, zone: &WireName) -> WireName {
    let below = name.label_count() - zone.label_count();
    if below < 2 {
        return name.clone();
    }
    let labels: Vec<&[u8]> = name.labels().take(below - 1).collect();
    // Shorter than the name, so it is none that is too long.
    labels.iter().rev().try_fold(zone.clone(), |name, label| name.child(label).ok()).unwrap_or_else(|| name.clone())
}
