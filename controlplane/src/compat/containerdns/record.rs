//! A record as the interface has it, and what it is on the wire.
//!
//! | kind | written for | where it is kept | on the wire |
//! |---|---|---|---|
//! | A, AAAA | any name | the name | an address of the name |
//! | SRV | any name | the name | SRV to a host below the name, which has the address |
//! | CNAME | any alias | the alias | CNAME |
//! | NS | label below the suffix | label.ns.dns.suffix | NS of the suffix to the label, which has the address |
//! | MX | label below the suffix | label.mail.suffix | MX of the suffix to a name, or to the label, which has the address |
//! | TXT | label below the suffix | label.txt.suffix | TXT of the suffix |

use std::net::IpAddr;

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use serde::{Deserialize, Serialize};

/// Weight of all SRV records of a name together; each has its part (RFC 2782).
const WEIGHTS: u16 = 100;

/// Priority of SRV records, and of MX records that were given none.
const PRIORITY: u16 = 10;

/// TTL in seconds of records that the original stores without one.
const TTL_SECONDS_NONE: u32 = 10;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// An address, of either family.
    A,
    /// A service.
    #[serde(rename = "SRV")]
    Srv,
    /// An alias.
    #[serde(rename = "CNAME")]
    Cname,
    /// A name server of the suffix.
    #[serde(rename = "NS")]
    Ns,
    /// A mail server of the suffix.
    #[serde(rename = "MX")]
    Mx,
    /// A text of the suffix.
    #[serde(rename = "TXT")]
    Txt,
}

impl Kind {
    /// The kind of a type's name in capitals.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            // The original has no AAAA of its own; an IPv6 address says what it is.
            "A" | "AAAA" => Some(Self::A),
            "SRV" => Some(Self::Srv),
            "CNAME" => Some(Self::Cname),
            "NS" => Some(Self::Ns),
            "MX" => Some(Self::Mx),
            "TXT" => Some(Self::Txt),
            _ => None,
        }
    }

    /// The labels below the suffix that such records are kept under; none for those that are kept where they are served.
    pub(super) fn branch(self) -> &'static [&'static str] {
        match self {
            Self::A | Self::Srv | Self::Cname => &[],
            Self::Ns => &["ns", "dns"],
            Self::Mx => &["mail"],
            Self::Txt => &["txt"],
        }
    }

    /// True for what has addresses of its name.
    pub(super) fn is_address(self) -> bool {
        matches!(self, Self::A | Self::Srv)
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it is.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// An address, or a name with its dot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    /// Port of a service.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) port: u16,
    /// Preference of a mail server; 0: none was given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) priority: u16,
    /// Text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) text: String,
    /// Who made it; empty: whoever had the token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) user: String,
}

/// For serde: what is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// A record on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WireRecord {
    /// Its owner.
    pub(super) owner: WireName,
    /// Its type.
    pub(super) rtype: u16,
    /// Its rdata.
    pub(super) rdata: Vec<u8>,
    /// Its TTL in seconds, where its RRset has none yet; nothing: the one of the configuration. The type decides which.
    pub(super) ttl: Option<u32>,
}

impl Record {
    /// A record of a kind with nothing in it.
    pub(super) fn new(kind: Kind, host: impl Into<String>, user: &str) -> Self {
        Self { kind, host: host.into(), port: 0, priority: 0, text: String::new(), user: user.to_owned() }
    }

    /// What the record is on the wire. The first tells whether it is still served: it is what another interface would remove.
    /// Nothing where it cannot be served at all.
    pub(super) fn on_wire(&self, apex: &WireName, name: &WireName, services: usize) -> Option<Vec<WireRecord>> {
        let host = self.host.parse::<IpAddr>().ok();
        let of_apex = |rtype, rdata: Vec<u8>, ttl| WireRecord { owner: apex.clone(), rtype, rdata, ttl };
        match self.kind {
            Kind::A => Some(vec![address(name, host?)]),
            Kind::Cname => {
                let target: WireName = self.host.parse().ok()?;
                let rdata = target.as_bytes().to_vec();
                Some(vec![WireRecord { owner: name.clone(), rtype: types::CNAME, rdata, ttl: None }])
            }
            Kind::Srv => {
                let target = name.child(label_of(&self.host).as_bytes()).ok()?;
                let weight = WEIGHTS / u16::try_from(services.max(1)).unwrap_or(WEIGHTS);
                let rdata = srv(weight, self.port, &target);
                let service = WireRecord { owner: name.clone(), rtype: types::SRV, rdata, ttl: None };
                Some(vec![address(&target, host?), service])
            }
            Kind::Ns => {
                let label = served_name(apex, name, self.kind)?;
                let mut records = Vec::new();
                match host {
                    Some(host) => {
                        records.push(of_apex(types::NS, label.as_bytes().to_vec(), None));
                        records.push(address(&label, host));
                        // The suffix's own address is entered in this way.
                        if labels_below(apex, &label) == [&b"dns-ip"[..], b"dns"] {
                            records.push(address(apex, host));
                        }
                    }
                    None => records.push(of_apex(types::NS, name_of(&self.host)?.as_bytes().to_vec(), None)),
                }
                Some(records)
            }
            Kind::Mx => {
                let priority = if self.priority == 0 { PRIORITY } else { self.priority };
                let label = served_name(apex, name, self.kind)?;
                let exchange = if host.is_some() { label.clone() } else { name_of(&self.host)? };
                let rdata = [&priority.to_be_bytes()[..], exchange.as_bytes()].concat();
                let mut records = vec![of_apex(types::MX, rdata, Some(TTL_SECONDS_NONE))];
                records.extend(host.map(|host| address(&label, host)));
                Some(records)
            }
            Kind::Txt => {
                let strings = self.text.as_bytes().chunks(255);
                // A chunk has at most 255 bytes.
                let rdata = strings.flat_map(|text| [&[u8::try_from(text.len()).unwrap_or(255)], text].concat());
                let rdata: Vec<u8> = rdata.collect();
                (!rdata.is_empty()).then(|| vec![of_apex(types::TXT, rdata, Some(TTL_SECONDS_NONE))])
            }
        }
    }
}

/// An absolute name, the root excepted.
fn name_of(text: &str) -> Option<WireName> {
    text.parse().ok().filter(|name: &WireName| name.label_count() > 0)
}

/// An address of a name.
fn address(owner: &WireName, address: IpAddr) -> WireRecord {
    let (rtype, rdata) = match address {
        IpAddr::V4(address) => (types::A, address.octets().to_vec()),
        IpAddr::V6(address) => (types::AAAA, address.octets().to_vec()),
    };
    WireRecord { owner: owner.clone(), rtype, rdata, ttl: None }
}

/// Rdata of an SRV record.
fn srv(weight: u16, port: u16, target: &WireName) -> Vec<u8> {
    let mut rdata = Vec::new();
    for number in [PRIORITY, weight, port] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata.extend_from_slice(target.as_bytes());
    rdata
}

/// The labels of a name below the suffix, from the left.
fn labels_below<'a>(apex: &WireName, name: &'a WireName) -> Vec<&'a [u8]> {
    name.labels().take(name.label_count().saturating_sub(apex.label_count())).collect()
}

/// The name that a record is kept under: `label.ns.dns.suffix` of `label.suffix`, or `ns.dns.suffix` of the suffix.
pub(super) fn kept_name(apex: &WireName, name: &WireName, kind: Kind) -> Option<WireName> {
    let below = labels_below(apex, name);
    let mut kept = apex.clone();
    for label in kind.branch().iter().rev().map(|label| label.as_bytes()).chain(below.into_iter().rev()) {
        kept = kept.child(label).ok()?;
    }
    Some(kept)
}

/// The name that a record was written for: the reverse of [`kept_name`].
fn served_name(apex: &WireName, kept: &WireName, kind: Kind) -> Option<WireName> {
    let below = labels_below(apex, kept);
    let labels = below.get(..below.len().checked_sub(kind.branch().len())?)?;
    labels.iter().rev().try_fold(apex.clone(), |name, label| name.child(label).ok())
}

/// The label that stands for a value in the original's keys: its FNV-1a hash of 32 bits in hexadecimal digits, without zeros
/// in front.
pub(super) fn label_of(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> WireName {
        text.parse().unwrap()
    }

    fn wire(kind: Kind, host: &str, kept: &str) -> Vec<(String, u16)> {
        let record = Record { text: "t".into(), ..Record::new(kind, host, "") };
        let records = record.on_wire(&name("c.local."), &name(kept), 1).unwrap();
        records.into_iter().map(|record| (record.owner.to_string(), record.rtype)).collect()
    }

    #[test]
    fn labels_are_those_of_the_original() {
        for (text, label) in [("192.168.10.1", "4af19cb2"), ("192.168.10.2", "49f19b1f")] {
            assert_eq!(label_of(text), label);
        }
    }

    #[test]
    fn records_are_kept_where_the_original_keeps_them() {
        let (apex, label) = (name("c.local."), name("n1.c.local."));
        for (kind, kept) in [
            (Kind::A, "n1.c.local."),
            (Kind::Ns, "n1.ns.dns.c.local."),
            (Kind::Mx, "n1.mail.c.local."),
            (Kind::Txt, "n1.txt.c.local."),
        ] {
            assert_eq!(kept_name(&apex, &label, kind), Some(name(kept)));
            assert_eq!(served_name(&apex, &name(kept), kind), Some(label.clone()));
        }
        assert_eq!(kept_name(&apex, &apex, Kind::Ns), Some(name("ns.dns.c.local.")));
    }

    #[test]
    fn records_are_served_at_their_names() {
        let (apex, host) = ("c.local.", "n1.c.local.");
        assert_eq!(wire(Kind::A, "192.0.2.1", host), [(host.to_owned(), types::A)]);
        assert_eq!(wire(Kind::A, "2001:db8::1", host), [(host.to_owned(), types::AAAA)]);
        let target = format!("{}.{host}", label_of("192.0.2.1"));
        assert_eq!(wire(Kind::Srv, "192.0.2.1", host), [(target, types::A), (host.to_owned(), types::SRV)]);
        let with_address = |rtype| [(apex.to_owned(), rtype), (host.to_owned(), types::A)];
        assert_eq!(wire(Kind::Ns, "192.0.2.1", "n1.ns.dns.c.local."), with_address(types::NS));
        assert_eq!(wire(Kind::Mx, "192.0.2.1", "n1.mail.c.local."), with_address(types::MX));
        assert_eq!(wire(Kind::Mx, "mx.example.", "n1.mail.c.local."), [(apex.to_owned(), types::MX)]);
        assert_eq!(wire(Kind::Txt, "", "n1.txt.c.local."), [(apex.to_owned(), types::TXT)]);
        let own = wire(Kind::Ns, "192.0.2.1", "dns-ip.dns.ns.dns.c.local.");
        assert_eq!(own.last(), Some(&(apex.to_owned(), types::A)), "the suffix's own address");
    }

    #[test]
    fn what_cannot_be_served_is_nothing() {
        for (kind, host) in [(Kind::A, "x"), (Kind::Srv, ""), (Kind::Ns, ""), (Kind::Mx, "a..b"), (Kind::Txt, "")] {
            let record = Record::new(kind, host, "");
            assert_eq!(record.on_wire(&name("c.local."), &name("n1.mail.ns.dns.c.local."), 1), None, "{kind:?} {host}");
        }
    }
}
