//! Queries: one gate that checks everything once, so that nobody behind it has to.

mod edns;
mod ixfr;
mod qname;

pub use edns::{Asked, Asks, Edns};
pub(crate) use edns::{OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID};
pub use qname::QueryName;

use crate::verdict::Reason;

/// Bytes of a DNS header (RFC 1035 section 4.1.1).
pub const HEADER_BYTES: usize = 12;

/// The QR bit of the header's flags.
pub(crate) const FLAG_QR: u16 = 0x8000;
/// The AA bit of the header's flags.
pub(crate) const FLAG_AA: u16 = 0x0400;
/// The TC bit of the header's flags.
pub(crate) const FLAG_TC: u16 = 0x0200;
/// The RD bit of the header's flags.
pub(crate) const FLAG_RD: u16 = 0x0100;
/// The RA bit of the header's flags.
pub(crate) const FLAG_RA: u16 = 0x0080;
/// The AD bit of the header's flags.
pub(crate) const FLAG_AD: u16 = 0x0020;
/// The CD bit of the header's flags.
pub(crate) const FLAG_CD: u16 = 0x0010;
/// The opcode of the header's flags; 0 is QUERY.
pub(crate) const OPCODE_MASK: u16 = 0x7800;

/// The counts of question, answer and authority section in a query, and two zero bytes.
const ONE_QUESTION: u64 = 1 << 48;

/// Why a message is not answered from the zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No answer at all.
    Drop(Reason),
    /// An answer with FORMERR.
    Formerr(Reason),
    /// An answer with NOTIMP: an opcode other than QUERY.
    Notimp,
    /// No question, but a cookie: to be answered where cookies are (RFC 7873 section 5.4), else FORMERR.
    CookieAlone,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Refusal::Formerr(reason)
    }
}

/// A query taken apart, in working memory that is reused for ever.
#[derive(Default)]
pub struct Query {
    /// The question's name.
    pub name: QueryName,
    /// The flags of the header as they came.
    pub flags: u16,
    /// The type asked for.
    pub qtype: u16,
    /// The class asked for.
    pub qclass: u16,
    /// Where the question ends, in bytes from the start of the message.
    pub question_end: usize,
    /// Where the message ends; all of it was looked at.
    pub message_end: usize,
    /// What the OPT record said, if there was one.
    pub edns: Option<Edns>,
    /// What is asked for beside the question.
    pub asked: Asked,
    /// The serial of the zone that the client has, where it asks for what has changed since (IXFR).
    pub held_serial: Option<u32>,
}

impl Query {
    /// Takes a message apart. What is in `self` afterwards is only meaningful after `Ok` and [`Refusal::CookieAlone`].
    #[inline]
    pub fn parse(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let Some((header, body)) = message.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Refusal::Drop(Reason::DnsShort));
        };
        let [_, _, f1, f2, q1, q2, an1, an2, ns1, ns2, ar1, ar2] = *header;
        self.flags = u16::from_be_bytes([f1, f2]);
        self.message_end = message.len();
        self.asked.asks = Asks::ANSWER;
        self.held_serial = None;
        if self.flags & FLAG_QR != 0 {
            return Err(Refusal::Drop(Reason::DnsResponse));
        }
        if self.flags & OPCODE_MASK != 0 {
            return Err(Refusal::Notimp);
        }
        // RFC 9619 section 4: a QUERY with a QDCOUNT other than 1 is to be answered with FORMERR.
        if u64::from_be_bytes([q1, q2, an1, an2, ns1, ns2, 0, 0]) != ONE_QUESTION {
            if [q1, q2, an1, an2, ns1, ns2] == [0; 6] && self.is_cookie_alone(body, u16::from_be_bytes([ar1, ar2])) {
                return Err(Refusal::CookieAlone);
            }
            if [q1, q2, an1, an2, ns1, ns2] == ixfr::COUNTS {
                return self.take_ixfr(body, u16::from_be_bytes([ar1, ar2]));
            }
            let reason = if [q1, q2] == [0, 1] { Reason::SectionCounts } else { Reason::QuestionCount };
            return Err(reason.into());
        }
        let rest = self.take_question(body)?;
        self.edns = match (rest, u16::from_be_bytes([ar1, ar2])) {
            ([], 0) => None,
            (section, records) => edns::find(section, records, &mut self.asked)?,
        };
        Ok(())
    }

    /// Takes the question that starts `body`; gives what follows it.
    #[inline(always)]
    fn take_question<'a>(&mut self, body: &'a [u8]) -> Result<&'a [u8], Reason> {
        let name_bytes = self.name.take(body)?;
        let Some((&[t1, t2, c1, c2], rest)) = body.get(name_bytes..).and_then(<[u8]>::split_first_chunk) else {
            return Err(Reason::QuestionTruncated);
        };
        self.qtype = u16::from_be_bytes([t1, t2]);
        self.qclass = u16::from_be_bytes([c1, c2]);
        self.question_end = HEADER_BYTES + name_bytes + 4;
        Ok(rest)
    }

    /// True for a message without question that has a cookie; it is taken then for a question of no class.
    #[cold]
    fn is_cookie_alone(&mut self, section: &[u8], records: u16) -> bool {
        // The root stands for the name that there is not.
        self.name.take(&[0]).ok();
        (self.qtype, self.qclass, self.question_end) = (0, 0, HEADER_BYTES);
        let found = edns::find(section, records, &mut self.asked);
        self.edns = found.unwrap_or_default();
        found.is_ok() && self.asked.asks.meets(Asks::COOKIE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtype::types;

    const PLAIN: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07Example\0\0\x01\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    fn parse(message: &[u8]) -> Result<Query, Refusal> {
        let mut query = Query::default();
        query.parse(message).map(|()| query)
    }

    fn with_opt(opt: &[u8]) -> Vec<u8> {
        let mut message = PLAIN.to_vec();
        message[11] = 1;
        message.extend_from_slice(opt);
        message
    }

    #[test]
    fn a_plain_query() {
        let query = parse(PLAIN).unwrap();
        assert_eq!((query.qtype, query.qclass, query.flags), (types::A, 1, FLAG_RD));
        assert_eq!(query.question_end, PLAIN.len());
        assert_eq!(query.name.bytes(), b"\x03www\x07example\0");
        assert_eq!(query.edns, None);
    }

    #[test]
    fn a_query_with_edns() {
        let query = parse(&with_opt(OPT)).unwrap();
        assert_eq!(query.edns, Some(Edns { udp_bytes: 1232, version: 0, dnssec_ok: true }));
    }

    #[test]
    fn a_cookie_needs_no_question() {
        let mut message = b"\x12\x34\x01\x00\0\0\0\0\0\0\0\x01".to_vec();
        message.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh");
        assert_eq!(parse(&message).err(), Some(Refusal::CookieAlone));
        message[26] = 0x0b;
        assert_eq!(parse(&message).err(), Some(Refusal::Formerr(Reason::QuestionCount)), "another option");
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = with_opt(OPT);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let change = |position: usize, value: u8| {
            let mut message = PLAIN.to_vec();
            message[position] = value;
            message
        };
        let mut trailing = PLAIN.to_vec();
        trailing.push(0);
        for (message, refusal) in [
            (PLAIN[..11].to_vec(), Refusal::Drop(Reason::DnsShort)),
            (change(2, 0x81), Refusal::Drop(Reason::DnsResponse)),
            (change(2, 0x28), Refusal::Notimp),
            (change(5, 0), Refusal::Formerr(Reason::QuestionCount)),
            (change(5, 2), Refusal::Formerr(Reason::QuestionCount)),
            (change(7, 1), Refusal::Formerr(Reason::SectionCounts)),
            (change(9, 1), Refusal::Formerr(Reason::SectionCounts)),
            (change(11, 1), Refusal::Formerr(Reason::AdditionalMalformed)),
            (change(12, 0xc0), Refusal::Formerr(Reason::NameCompressed)),
            (PLAIN[..16].to_vec(), Refusal::Formerr(Reason::NameTruncated)),
            (PLAIN[..26].to_vec(), Refusal::Formerr(Reason::QuestionTruncated)),
            (trailing, Refusal::Formerr(Reason::TrailingBytes)),
        ] {
            assert_eq!(parse(&message).err(), Some(refusal), "{message:?}");
        }
    }
}
