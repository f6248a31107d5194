//! Writes what was gathered as it is kept.

use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::KeptAnswer;

use super::gather::{Gather, Outlook};
use super::message::{Message, Record, Untrue};

/// Where the question's name stands in a message.
const QNAME_AT: usize = 12;
/// What makes an offset a pointer (RFC 1035 section 4.1.4).
const POINTER: usize = 0xc000;
/// Most bytes of records: of the 65,535 of a message, those of header, question and an OPT record with all its options are left.
const BODY_BYTES_MAX: usize = 64_000;

/// By which rules an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time in seconds since 1970.
    pub now_seconds: u32,
    /// DO and CD of the question.
    pub bits: EntryBits,
    /// Least and most TTL of records.
    pub positive_ttl: (u32, u32),
    /// The same of denials; (0, 0): they are not kept.
    pub negative_ttl: (u32, u32),
    /// TTLs are given as they are now, however old the answer is.
    pub keeps_ttl: bool,
    /// For how long it may be given stale.
    pub stale_seconds: u32,
    /// False: it is for those who wait, and not kept.
    pub is_kept: bool,
}

/// The records take more than a message has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Gather {
    /// The answer as it is kept.
    pub fn render(mut self, terms: &Terms) -> Result<KeptAnswer, TooLarge> {
        let is_negative = self.outlook != Outlook::Positive;
        let keeps_negative = terms.negative_ttl != (0, 0);
        bound(&mut self.answers, terms.positive_ttl);
        if !is_negative {
            bound(&mut self.authorities, terms.positive_ttl);
        } else if keeps_negative {
            bound(&mut self.authorities, terms.negative_ttl);
        }
        let mut body = Body { qname: self.qname.as_bytes(), ..Body::default() };
        self.answers.iter().chain(&self.authorities).for_each(|record| body.write(record));
        if body.bytes.len() > BODY_BYTES_MAX {
            return Err(TooLarge);
        }
        let ttls = self.answers.iter().chain(&self.authorities).map(|record| record.ttl);
        let is_whole = !self.is_truncated && self.outlook != Outlook::Unproven;
        let is_kept = terms.is_kept && is_whole && (!is_negative || keeps_negative);
        let count = |records: &[Record]| u16::try_from(records.len()).map_err(|_| TooLarge);
        Ok(KeptAnswer {
            bits: terms
                .bits
                .and(EntryBits::NEGATIVE.when(is_negative))
                .and(EntryBits::AUTHENTIC.when(self.is_authentic))
                .and(EntryBits::TRUNCATED.when(self.is_truncated)),
            rcode: self.rcode,
            counts: [count(&self.answers)?, count(&self.authorities)?],
            body: body.bytes,
            ttl_places: if terms.keeps_ttl { Vec::new() } else { body.ttl_places },
            pointer_places: body.pointer_places,
            fetched_seconds: terms.now_seconds,
            ttl_seconds: if is_kept { ttls.min().unwrap_or(0) } else { 0 },
            stale_seconds: if is_kept { terms.stale_seconds } else { 0 },
        })
    }
}

/// An answer as a message again: what it says for a name and a type.
pub fn expand(qname: &WireName, qtype: u16, answer: &KeptAnswer) -> Result<Message, Untrue> {
    let [answers, authorities] = answer.counts.map(u16::to_be_bytes);
    let qname = qname.to_lowercase();
    let header = [[0, 0], [0x80, 0], [0, 1], answers, authorities, [0, 0]].concat();
    let question = [&qtype.to_be_bytes()[..], &[0, 1]].concat();
    let bytes = [&header, qname.as_bytes(), &question, &answer.body].concat();
    let message = Message::read(&bytes)?;
    Ok(Message { rcode: answer.rcode, is_authentic: answer.bits.has(EntryBits::AUTHENTIC), ..message })
}

/// Brings TTLs within bounds.
fn bound(records: &mut [Record], (least, most): (u32, u32)) {
    records.iter_mut().for_each(|record| record.ttl = record.ttl.min(most).max(least));
}

/// Records being written.
#[derive(Default)]
struct Body<'a> {
    /// The question's name, in lower case.
    qname: &'a [u8],
    /// What was written.
    bytes: Vec<u8>,
    /// Where TTLs stand in it.
    ttl_places: Vec<u16>,
    /// Where pointers do.
    pointer_places: Vec<u16>,
}

impl Body<'_> {
    /// Writes a record. Beyond the bound nothing is written any more: it is too large whatever else comes.
    fn write(&mut self, record: &Record) {
        if self.bytes.len() > BODY_BYTES_MAX {
            return;
        }
        self.write_name(record.owner.as_bytes());
        self.bytes.extend_from_slice(&record.rtype.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 1]);
        self.note_place(|body| &mut body.ttl_places);
        self.bytes.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        let mut rest = record.rdata();
        for &name_at in &record.rdata.names_at {
            let before = name_at.saturating_sub(record.rdata().len() - rest.len());
            let Some((before, from_name)) = rest.split_at_checked(before) else { continue };
            let Ok((name, behind)) = WireName::split_wire(from_name) else { continue };
            self.bytes.extend_from_slice(before);
            self.write_name(name.as_bytes());
            rest = behind;
        }
        self.bytes.extend_from_slice(rest);
        let length = u16::try_from(self.bytes.len() - length_at - 2).unwrap_or(u16::MAX);
        if let Some(place) = self.bytes.get_mut(length_at..).and_then(<[u8]>::first_chunk_mut) {
            *place = length.to_be_bytes();
        }
    }

    /// Writes a name: what it has in common with the question's as a pointer to there.
    fn write_name(&mut self, name: &[u8]) {
        let mut rest = name;
        // The root is shorter than a pointer to it.
        while let [length, behind @ ..] = rest
            && *length != 0
        {
            if let Some(at) = self.place_in_question(rest) {
                self.note_place(|body| &mut body.pointer_places);
                let pointer = u16::try_from(POINTER | (QNAME_AT + at)).unwrap_or(u16::MAX);
                self.bytes.extend_from_slice(&pointer.to_be_bytes());
                return;
            }
            let Some((label, next)) = behind.split_at_checked((*length).into()) else { break };
            self.bytes.push(*length);
            self.bytes.extend_from_slice(label);
            rest = next;
        }
        self.bytes.push(0);
    }

    /// Where a name begins in the question's, if that ends in it. A suffix of bytes that starts where a label does is one of
    /// labels.
    fn place_in_question(&self, suffix: &[u8]) -> Option<usize> {
        let at = self.qname.len().checked_sub(suffix.len())?;
        let is_equal = self.qname.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(suffix));
        (is_equal && starts_label(self.qname, at)).then_some(at)
    }

    /// Notes the place that is written next.
    fn note_place(&mut self, places: impl Fn(&mut Self) -> &mut Vec<u16>) {
        // A body that is longer than that is not kept.
        if let Ok(place) = u16::try_from(self.bytes.len()) {
            places(self).push(place);
        }
    }
}

/// True where a label of a name begins at a place.
fn starts_label(name: &[u8], place: usize) -> bool {
    let mut at = 0;
    while at < place {
        at += 1 + usize::from(name.get(at).copied().unwrap_or(u8::MAX));
    }
    at == place
}
