//! A message as an upstream sent it, its records with whole names.

use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::rdata::{self, Rdata};
use super::reader::Reader;
use super::types;

/// The class of everything (RFC 1035 section 3.2.4).
const CLASS_IN: u16 = 1;
/// The option of a client's subnet (RFC 7871 section 6).
const OPTION_CLIENT_SUBNET: u16 = 8;
/// AD of a header's flags (RFC 4035 section 3.2.3).
const FLAG_AD: u16 = 0x0020;
/// TC of a header's flags.
const FLAG_TC: u16 = 0x0200;
/// QR of a header's flags.
const FLAG_QR: u16 = 0x8000;
/// The response code of a header's flags.
const RCODE_MASK: u16 = 0x000f;
/// Bytes of a header.
const HEADER_BYTES: usize = 12;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner.
    pub owner: WireName,
    /// Its type.
    pub rtype: u16,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its rdata.
    pub(crate) rdata: Rdata,
}

impl Record {
    /// Its rdata, with whole names.
    pub fn rdata(&self) -> &[u8] {
        &self.rdata.bytes
    }

    /// The name that its rdata begins with, for types that have one there.
    pub(crate) fn target(&self) -> Option<WireName> {
        WireName::split_wire(&self.rdata.bytes).ok().map(|(name, _)| name)
    }

    /// Its address, for types that are one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            types::A => <[u8; 4]>::try_from(self.rdata()).ok().map(IpAddr::from),
            types::AAAA => <[u8; 16]>::try_from(self.rdata()).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// The type that it covers, where it is a signature (RFC 4034 section 3.1.1).
    pub(super) fn covers(&self) -> Option<u16> {
        let covered = || self.rdata.bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        (self.rtype == types::RRSIG).then(covered).flatten()
    }
}

/// What of an upstream's message is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The response code, with the bits of the OPT record (RFC 6891 section 6.1.3).
    pub rcode: u16,
    /// AD is set, and nothing is missing.
    pub is_authentic: bool,
    /// Whoever sent it had no room for all of it (TC): what there is of it is whole records.
    pub is_truncated: bool,
    /// The name that it answers for.
    pub qname: WireName,
    /// The type.
    pub qtype: u16,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The part of the client's address for which this is the answer, in bits (RFC 7871 section 7.2.1); nothing: for all.
    pub scope_bits: Option<u8>,
    /// Records that were passed over because they are of another class.
    pub dropped: u32,
}

/// Why a message is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Untrue {
    /// It cannot be read.
    Malformed,
    /// It answers another question.
    OtherQuestion,
    /// It leads to other servers: whoever sent it does not ask others.
    Referral,
    /// Its chain of aliases is a loop, or too long.
    Loop,
}

impl Untrue {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::OtherQuestion, Self::Referral, Self::Loop];

    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OtherQuestion => "other_question",
            Self::Referral => "referral",
            Self::Loop => "loop",
        }
    }
}

impl Message {
    /// Reads a message.
    pub fn read(bytes: &[u8]) -> Result<Self, Untrue> {
        read(bytes).ok_or(Untrue::Malformed)?
    }

    /// True where it has records and says of the name neither what it has, nor that it has nothing: an answer to something else.
    pub fn is_beside_the_question(&self) -> bool {
        let concerns = |record: &Record| {
            record.owner == self.qname || (record.rtype == types::DNAME && record.owner.contains(&self.qname))
        };
        self.rcode == super::rcodes::NOERROR
            && !self.answers.is_empty()
            && !self.answers.iter().any(concerns)
            && !self.authorities.iter().any(|record| record.rtype == types::SOA && record.owner.contains(&self.qname))
    }

    /// True where it says nothing but who is to be asked instead (RFC 2308 section 2.2): whoever sent it does not ask others.
    pub fn is_referral(&self) -> bool {
        let of_type = |rtype| self.authorities.iter().filter(move |record| record.rtype == rtype);
        self.rcode == super::rcodes::NOERROR
            && self.answers.is_empty()
            && of_type(types::SOA).next().is_none()
            && of_type(types::NS).any(|record| record.owner.contains(&self.qname))
    }
}

/// Reads a message; nothing where it ends too early.
fn read(bytes: &[u8]) -> Option<Result<Message, Untrue>> {
    let mut reader = Reader::new(bytes, 2);
    let flags = reader.u16()?;
    let [questions, answers, authorities, additionals] = [(); 4].map(|()| reader.u16());
    if flags & FLAG_QR == 0 || questions? != 1 || reader.at() != HEADER_BYTES {
        return Some(Err(Untrue::OtherQuestion));
    }
    let qname = reader.name()?.to_lowercase();
    let (qtype, qclass) = (reader.u16()?, reader.u16()?);
    if qclass != CLASS_IN {
        return Some(Err(Untrue::OtherQuestion));
    }
    let mut message = Message {
        rcode: flags & RCODE_MASK,
        is_authentic: flags & (FLAG_AD | FLAG_TC) == FLAG_AD,
        is_truncated: flags & FLAG_TC != 0,
        qname,
        qtype,
        answers: Vec::new(),
        authorities: Vec::new(),
        scope_bits: None,
        dropped: 0,
    };
    let end = message.take_records(&mut reader, [answers?, authorities?, additionals?]);
    // RFC 2181 section 9 lets a message end anywhere that says of itself that it is not whole.
    if !message.is_truncated {
        end?;
    }
    Some(Ok(message))
}

/// Reads a record of the answer or authority section; the inner nothing where it is none that is kept.
fn take(reader: &mut Reader<'_>) -> Option<Option<Record>> {
    let owner = reader.name()?;
    let (rtype, class, ttl, length) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u16()?);
    if class != CLASS_IN || rtype == types::OPT {
        reader.bytes(length.into())?;
        return Some(None);
    }
    let rdata = rdata::read(reader, rtype, length.into())?;
    // RFC 2181 section 8: a TTL whose highest bit is set is zero.
    let ttl = if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl };
    Some(Some(Record { owner, rtype, ttl, rdata }))
}

impl Message {
    /// Reads the records; nothing where they end too early.
    fn take_records(&mut self, reader: &mut Reader<'_>, [answers, authorities, additionals]: [u16; 3]) -> Option<()> {
        for _ in 0..answers {
            take(reader)?.map_or_else(|| self.dropped += 1, |record| self.answers.push(record));
        }
        for _ in 0..authorities {
            take(reader)?.map_or_else(|| self.dropped += 1, |record| self.authorities.push(record));
        }
        for _ in 0..additionals {
            self.take_additional(reader)?;
        }
        Some(())
    }

    /// Reads a record of the additional section: none is kept, but OPT says something of the message.
    fn take_additional(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.name()?;
        let (rtype, _, ttl, length) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u16()?);
        let rdata = reader.bytes(length.into())?;
        if rtype == types::OPT {
            let [high, ..] = ttl.to_be_bytes();
            self.rcode = self.rcode & RCODE_MASK | u16::from(high) << 4;
            self.scope_bits = scope_bits(rdata);
        }
        Some(())
    }
}

/// The scope of a client's subnet among the options of an OPT record.
fn scope_bits(options: &[u8]) -> Option<u8> {
    let mut reader = Reader::new(options, 0);
    loop {
        let (code, length) = (reader.u16()?, reader.u16()?);
        let option = reader.bytes(length.into())?;
        // RFC 7871 section 6: family, source prefix length, scope prefix length.
        if let (OPTION_CLIENT_SUBNET, [_, _, _, scope, ..]) = (code, option) {
            return Some(*scope);
        }
    }
}
