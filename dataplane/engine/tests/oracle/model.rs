//! Names, records and zones of the oracle: plain collections, no bytes shared with the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Labels in lower case, the root's child first: a name begins with the name of every ancestor.
pub type Name = Vec<Vec<u8>>;

/// A name from labels in the order of writing, in any case.
pub fn lowered<L: AsRef<[u8]>>(labels: &[L]) -> Name {
    labels.iter().rev().map(|label| label.as_ref().to_ascii_lowercase()).collect()
}

/// Bytes of a name on the wire.
pub fn wire_bytes(name: &Name) -> usize {
    name.iter().map(|label| label.len() + 1).sum::<usize>() + 1
}

/// The wire form of a name.
pub fn to_wire(name: &Name) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.iter().rev() {
        wire.push(u8::try_from(label.len()).expect("a label"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// A name for people.
pub fn text(name: &Name) -> String {
    if name.is_empty() {
        return ".".to_owned();
    }
    name.iter().rev().map(|label| format!("{}.", label.escape_ascii())).collect()
}

/// Rdata as far as an answer depends on it: names apart from bytes, so that case and compression do not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rdata {
    /// Bytes before the names.
    pub prefix: Vec<u8>,
    /// Names.
    pub names: Vec<Name>,
    /// Bytes after the names.
    pub suffix: Vec<u8>,
}

impl Rdata {
    /// Rdata without names.
    pub fn opaque(bytes: &[u8]) -> Self {
        Self { prefix: bytes.to_vec(), names: Vec::new(), suffix: Vec::new() }
    }

    /// Rdata that is one name behind some bytes.
    pub fn target(prefix: &[u8], name: Name) -> Self {
        Self { prefix: prefix.to_vec(), names: vec![name], suffix: Vec::new() }
    }

    /// The uncompressed wire form.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = self.prefix.clone();
        self.names.iter().for_each(|name| wire.extend(to_wire(name)));
        wire.extend_from_slice(&self.suffix);
        wire
    }
}

/// Bytes before the first name, names, and bytes after the last, of the types whose rdata holds names.
pub fn layout(rtype: u16) -> Option<(usize, usize)> {
    match rtype {
        NS | CNAME | DNAME => Some((0, 1)),
        SOA => Some((0, 2)),
        MX => Some((2, 1)),
        SRV => Some((6, 1)),
        _ => None,
    }
}

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const DNAME: u16 = 39;
pub const DS: u16 = 43;
pub const ANY: u16 = 255;

/// An RRset as it stands in a zone or in a message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rrset {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: u16,
    /// The TTL.
    pub ttl: u32,
    /// The records: a set (RFC 2181 section 5).
    pub rdatas: BTreeSet<Rdata>,
}

impl Rrset {
    /// The same records under another owner: what a wildcard makes (RFC 4592 section 3.3.1).
    pub fn owned_by(&self, owner: &Name) -> Rrset {
        Rrset { owner: owner.clone(), ..self.clone() }
    }

    /// Bytes in a message without any compression; a pointer may stand even for the root, and takes a byte more.
    pub fn wire_bytes(&self) -> usize {
        self.rdatas.iter().map(|rdata| wire_bytes(&self.owner).max(2) + 10 + rdata.to_wire().len()).sum()
    }
}

impl fmt::Debug for Rrset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} TYPE{}", text(&self.owner), self.ttl, self.rtype)?;
        for Rdata { prefix, names, suffix } in &self.rdatas {
            let names: Vec<String> = names.iter().map(text).collect();
            write!(formatter, " [{prefix:02x?} {} {suffix:02x?}]", names.join(" "))?;
        }
        Ok(())
    }
}

/// A zone: its apex, and the RRsets of every owner.
#[derive(Clone, Default)]
pub struct Zone {
    /// The apex.
    pub apex: Name,
    /// Owner to type to RRset.
    pub owners: BTreeMap<Name, BTreeMap<u16, Rrset>>,
}

impl Zone {
    /// The RRset of an owner and type.
    pub fn get(&self, owner: &Name, rtype: u16) -> Option<&Rrset> {
        self.owners.get(owner)?.get(&rtype)
    }

    /// Whether a name exists: it or a name below it owns records (RFC 8020, RFC 4592 section 2.2.2).
    pub fn exists(&self, name: &Name) -> bool {
        *name == self.apex || self.owners.keys().any(|owner| owner.starts_with(name))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "zone {}", text(&self.apex))?;
        self.owners.values().flat_map(BTreeMap::values).try_for_each(|rrset| writeln!(formatter, "  {rrset:?}"))
    }
}
