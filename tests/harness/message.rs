//! DNS messages: queries written by hand, answers taken apart by hickory-proto, which shares no code with the server.

use std::fmt;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncodable;

/// A question and how it is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Owner in presentation form, no escapes but `\DDD`, as it is asked (mixed case stays).
    pub owner: String,
    /// Type by number.
    pub rtype: u16,
    /// EDNS(0) with this UDP size; without: no OPT record.
    pub edns_bytes: Option<u16>,
}

impl Question {
    /// A question without EDNS.
    pub fn new(owner: &str, rtype: u16) -> Question {
        Question { owner: owner.to_owned(), rtype, edns_bytes: None }
    }

    /// The query message.
    pub fn to_wire(&self, id: u16) -> Vec<u8> {
        let mut wire = Vec::with_capacity(64);
        wire.extend(id.to_be_bytes());
        // No flags; one question; an additional record with EDNS.
        wire.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns_bytes.is_some())]);
        wire.extend(name_to_wire(&self.owner));
        wire.extend(self.rtype.to_be_bytes());
        wire.extend([0, 1]);
        if let Some(bytes) = self.edns_bytes {
            // Root owner, type OPT, UDP size, extended rcode, version, flags, no options.
            wire.extend([0, 0, 41]);
            wire.extend(bytes.to_be_bytes());
            wire.extend([0; 6]);
        }
        wire
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} TYPE{}", self.owner, self.rtype)?;
        match self.edns_bytes {
            Some(bytes) => write!(formatter, " (EDNS {bytes})"),
            None => formatter.write_str(" (no EDNS)"),
        }
    }
}

/// A name on the wire.
pub fn name_to_wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = unescape(label);
        wire.push(u8::try_from(label.len()).ok().filter(|&bytes| bytes < 64).expect("a label below 64 bytes"));
        wire.extend(label);
    }
    wire.push(0);
    wire
}

/// The bytes of a label with `\DDD` in it.
fn unescape(label: &str) -> Vec<u8> {
    let mut parts = label.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(3);
        bytes.push(digits.parse().expect("three digits below 256"));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// An answer in a form that two servers' answers can be compared in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Response code.
    pub rcode: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// Answer section, in order.
    pub answer: Vec<Rr>,
    /// Authority section, sorted.
    pub authority: Vec<Rr>,
    /// Additional section without OPT, sorted.
    pub additional: Vec<Rr>,
    /// Whether there is an OPT record.
    pub has_edns: bool,
}

/// A record: owner and rdata names in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rr {
    /// Owner in lower case.
    pub owner: String,
    /// Type by number.
    pub rtype: u16,
    /// Class by number.
    pub class: u16,
    /// Seconds.
    pub ttl: u32,
    /// Uncompressed rdata.
    pub rdata: Vec<u8>,
}

impl Answer {
    /// Takes a message apart; an error says what is wrong with it.
    pub fn parse(wire: &[u8]) -> Result<Answer, String> {
        let message = Message::from_vec(wire).map_err(|error| error.to_string())?;
        let sorted = |records: &[Record]| {
            let mut rrs = to_rrs(records);
            rrs.sort();
            rrs
        };
        Ok(Answer {
            rcode: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            answer: to_rrs(&message.answers),
            authority: sorted(&message.authorities),
            additional: sorted(&message.additionals),
            has_edns: message.edns.is_some(),
        })
    }

    /// The answer section without its order within RRsets: the RRsets in order of their first record.
    pub fn answer_rrsets(&self) -> Vec<Vec<Rr>> {
        let mut rrsets: Vec<Vec<Rr>> = Vec::new();
        for rr in &self.answer {
            match rrsets.iter_mut().find(|rrset| rrset[0].owner == rr.owner && rrset[0].rtype == rr.rtype) {
                Some(rrset) => rrset.push(rr.clone()),
                None => rrsets.push(vec![rr.clone()]),
            }
        }
        rrsets.iter_mut().for_each(|rrset| rrset.sort());
        rrsets
    }
}

/// Records as [`Rr`]s in their order.
fn to_rrs(records: &[Record]) -> Vec<Rr> {
    let to_rr = |record: &Record| Rr {
        owner: record.name.to_ascii().to_lowercase(),
        rtype: record.record_type().into(),
        class: record.dns_class.into(),
        ttl: record.ttl,
        rdata: canonical_rdata(
            record.record_type().into(),
            record.data.to_bytes().expect("rdata that was just decoded"),
        ),
    };
    records.iter().map(to_rr).collect()
}

/// Rdata with its names in lower case: compression against the question's name gives them its case.
fn canonical_rdata(rtype: u16, mut rdata: Vec<u8>) -> Vec<u8> {
    let names = match rtype {
        // NS, CNAME, PTR, DNAME: one name.
        2 | 5 | 12 | 39 => 0..rdata.len(),
        // SOA: two names, five numbers.
        6 => 0..rdata.len().saturating_sub(20),
        // MX: a preference first; SRV: three numbers.
        15 => 2..rdata.len(),
        33 => 6..rdata.len(),
        _ => 0..0,
    };
    // Lengths of labels are below the letters.
    rdata.get_mut(names).unwrap_or_default().make_ascii_lowercase();
    rdata
}

impl fmt::Display for Rr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} TYPE{} \\# {} ", self.owner, self.ttl, self.rtype, self.rdata.len())?;
        self.rdata.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { rcode, authoritative, truncated, has_edns, .. } = self;
        writeln!(formatter, "  {rcode} aa={authoritative} tc={truncated} edns={has_edns}")?;
        for (title, rrs) in [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)]
        {
            for rr in rrs {
                writeln!(formatter, "  {title}: {rr}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_by_hickory() {
        let question = Question { owner: "WwW.example.org.".to_owned(), rtype: 28, edns_bytes: Some(1232) };
        let message = Message::from_vec(&question.to_wire(7)).expect("a message");
        assert_eq!(message.queries[0].to_string(), "WwW.example.org. IN AAAA");
        assert_eq!(message.edns.map(|edns| edns.max_payload()), Some(1232));
    }
}
