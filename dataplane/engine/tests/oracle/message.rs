//! A reply taken apart, strictly: every byte is accounted for, and a pointer goes backwards.

use std::collections::BTreeSet;

use super::model::{Name, Rdata, Rrset, layout, lowered};

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Response code with its extended bits.
    pub rcode: u16,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// Answer, authority and additional section without OPT: records as RRsets in their order.
    pub sections: [Vec<Rrset>; 3],
    /// Whether there is an OPT record.
    pub has_edns: bool,
}

/// Takes a reply to a query with one question apart; an error says what is wrong with it.
pub fn parse(message: &[u8]) -> Result<Reply, String> {
    let mut reader = Reader { message, position: 0 };
    reader.number()?;
    let flags = reader.number()?;
    if flags & 0x8000 == 0 {
        return Err("QR is not set".to_owned());
    }
    let mut counts = [0; 4];
    for count in &mut counts {
        *count = reader.number()?;
    }
    if counts[0] != 1 {
        return Err(format!("{} questions", counts[0]));
    }
    reader.name()?;
    reader.take(4)?;
    let mut reply = Reply {
        rcode: flags & 0xf,
        authoritative: flags & 0x400 != 0,
        truncated: flags & 0x200 != 0,
        sections: Default::default(),
        has_edns: false,
    };
    for (section, &count) in counts[1..].iter().enumerate() {
        for _ in 0..count {
            reader.record(section, &mut reply)?;
        }
    }
    if reader.position != message.len() {
        return Err(format!("{} bytes are too many", message.len() - reader.position));
    }
    Ok(reply)
}

/// Reads a message from left to right.
struct Reader<'a> {
    /// The message.
    message: &'a [u8],
    /// The next byte.
    position: usize,
}

impl<'a> Reader<'a> {
    /// The next bytes.
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let taken = self.message.get(self.position..self.position + bytes);
        self.position += bytes;
        taken.ok_or_else(|| format!("the message ends before byte {}", self.position))
    }

    /// The next sixteen bits.
    fn number(&mut self) -> Result<u16, String> {
        Ok(self.take(2)?.iter().fold(0, |number, &byte| number << 8 | u16::from(byte)))
    }

    /// The next name.
    fn name(&mut self) -> Result<Name, String> {
        let mut labels = Vec::new();
        let mut reader = Reader { ..*self };
        let mut end = None;
        // What was read so far bounds where a pointer may lead.
        let mut start = self.position;
        loop {
            match reader.take(1)?[0] {
                0 => break,
                length @ 1..64 => labels.push(reader.take(usize::from(length))?),
                high @ 192.. => {
                    let target = usize::from(high & 63) << 8 | usize::from(reader.take(1)?[0]);
                    end.get_or_insert(reader.position);
                    if target >= start || target < 12 {
                        return Err(format!("a pointer from {start} to {target}"));
                    }
                    (start, reader.position) = (target, target);
                }
                other => return Err(format!("a label of type {other}")),
            }
        }
        self.position = end.unwrap_or(reader.position);
        let name = lowered(&labels);
        if super::model::wire_bytes(&name) > 255 { Err("a name of more than 255 bytes".to_owned()) } else { Ok(name) }
    }

    /// The next record, into a section of the reply.
    fn record(&mut self, section: usize, reply: &mut Reply) -> Result<(), String> {
        let owner = self.name()?;
        let (rtype, class) = (self.number()?, self.number()?);
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let end = usize::from(self.number()?) + self.position;
        if rtype == 41 {
            if section != 2 || !owner.is_empty() || reply.has_edns {
                return Err("an OPT record in a wrong place".to_owned());
            }
            reply.has_edns = true;
            reply.rcode |= u16::try_from(ttl >> 24).expect("eight bits") << 4;
            self.take(end - self.position)?;
            return Ok(());
        }
        if class != 1 {
            return Err(format!("a record of class {class}"));
        }
        let (prefix, names) = layout(rtype).unwrap_or_default();
        let mut rdata = Rdata { prefix: self.take(prefix)?.to_vec(), names: Vec::new(), suffix: Vec::new() };
        for _ in 0..names {
            rdata.names.push(self.name()?);
        }
        let rest = end.checked_sub(self.position).ok_or("rdata shorter than its names")?;
        let bytes = self.take(rest)?.to_vec();
        if names == 0 {
            rdata.prefix = bytes;
        } else {
            rdata.suffix = bytes;
        }
        add(&mut reply.sections[section], Rrset { owner, rtype, ttl, rdatas: BTreeSet::from([rdata]) })
    }
}

/// Adds a record to the RRset before it, or as the first of a new one: the records of an RRset stand together, and none
/// stands twice (RFC 2181 section 5).
fn add(section: &mut Vec<Rrset>, record: Rrset) -> Result<(), String> {
    let of_rrset = |rrset: &Rrset| (&rrset.owner, rrset.rtype) == (&record.owner, record.rtype);
    match section.iter_mut().rev().enumerate().find(|(_, rrset)| of_rrset(rrset)) {
        None => section.push(record),
        Some((0, rrset)) if rrset.ttl == record.ttl && rrset.rdatas.is_disjoint(&record.rdatas) => {
            rrset.rdatas.extend(record.rdatas);
        }
        Some(_) => return Err(format!("a record comes twice, apart, or with another TTL: {record:?}")),
    }
    Ok(())
}
