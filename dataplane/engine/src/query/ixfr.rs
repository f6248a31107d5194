//! Questions for what has changed in a zone: the only ones with a record in the authority section.

use super::{Query, Refusal, edns};
use crate::rtype::types;
use crate::verdict::Reason;

/// The counts of question, answer and authority section of such a question.
pub(super) const COUNTS: [u8; 6] = [0, 1, 0, 0, 0, 1];

/// Bytes of an SOA record's rdata behind its names.
const SOA_NUMBERS_BYTES: usize = 20;

impl Query {
    /// Takes an IXFR question with the SOA record of the zone that the client has (RFC 1995 section 3).
    #[cold]
    pub(super) fn take_ixfr(&mut self, body: &[u8], additional_records: u16) -> Result<(), Refusal> {
        let rest = self.take_question(body)?;
        if self.qtype != types::IXFR {
            return Err(Reason::SectionCounts.into());
        }
        let (rtype, rdata, rest) = edns::split_any(rest).ok_or(Reason::SectionCounts)?;
        // Names may be compressed, and are of no interest: the numbers are at the end.
        let numbers = rdata.last_chunk::<SOA_NUMBERS_BYTES>().filter(|_| rtype == types::SOA);
        let &[s1, s2, s3, s4, ..] = numbers.ok_or(Reason::SectionCounts)?;
        self.held_serial = Some(u32::from_be_bytes([s1, s2, s3, s4]));
        self.edns = edns::find(rest, additional_records, &mut self.asked)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question of a type for `z.` with an SOA record whose owner points to the question.
    fn question(qtype: u8, rtype: u8) -> Vec<u8> {
        let mut message = b"\x12\x34\0\0\0\x01\0\0\0\x01\0\0\x01z\0\0".to_vec();
        message.extend_from_slice(&[qtype, 0, 1, 0xc0, 12, 0, rtype, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
        message.extend_from_slice(&[0x65, 0x43, 0x21, 0x09]);
        message.extend_from_slice(&[0; 16]);
        message
    }

    #[test]
    fn the_serial_is_read_and_forgotten() {
        let mut query = Query::default();
        query.parse(&question(251, 6)).unwrap();
        assert_eq!((query.qtype, query.held_serial, query.question_end), (types::IXFR, Some(0x6543_2109), 19));
        query.parse(b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01z\0\0\xfb\0\x01").unwrap();
        assert_eq!(query.held_serial, None);
    }

    #[test]
    fn options_may_follow_it() {
        let mut message = question(251, 6);
        message[11] = 1;
        message.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
        let mut query = Query::default();
        query.parse(&message).unwrap();
        assert!(query.edns.is_some_and(|edns| edns.dnssec_ok));
    }

    #[test]
    fn anything_else_in_the_authority_section_is_refused() {
        let refused = |message: &[u8]| Query::default().parse(message).err();
        let formerr = Some(Refusal::Formerr(Reason::SectionCounts));
        assert_eq!((refused(&question(1, 6)), refused(&question(251, 1))), (formerr, formerr));
        let whole = question(251, 6);
        for length in 19..whole.len() {
            assert!(refused(&whole[..length]).is_some(), "{length} bytes");
        }
        let trailing = [&whole[..], &[0]].concat();
        assert_eq!(refused(&trailing), Some(Refusal::Formerr(Reason::TrailingBytes)));
    }
}
