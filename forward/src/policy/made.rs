//! Answers that are made here.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::KeptAnswer;
use ringdns_engine::rtype::{CLASS_IN, rcode, types};

/// Where the question's name stands in a message (RFC 1035 section 4.1.1: behind the header).
const NAME_AT: u16 = 12;

/// What makes two bytes a pointer (RFC 1035 section 4.1.4).
const POINTER: u16 = 0xc000;

/// The mailbox of SOA records that are nobody's (RFC 6303 section 3).
const NOBODY: &[u8] = b"\x06nobody\x07invalid\0";

/// Serial, refresh, retry and expire of such records (RFC 6303 section 3).
const SOA_TIMES: [u32; 4] = [1, 3600, 1200, 604_800];

/// Bytes of a record beside its rdata: pointer, type, class, TTL, length (RFC 1035 section 4.1.3).
pub(super) const RECORD_BYTES: usize = 12;

/// An answer being made for a question.
pub(super) struct Making {
    /// What is there of it.
    answer: KeptAnswer,
    /// The TTL of its records.
    ttl: u32,
}

impl Making {
    /// An answer without records, whose records are to have a TTL. It is kept for as long.
    pub(super) fn new(ttl: u32) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let fetched_seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
        Self { answer: KeptAnswer { fetched_seconds, ttl_seconds: ttl, ..KeptAnswer::default() }, ttl }
    }

    /// Adds an address of the question's name.
    pub(super) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.record_of(types::A, &address.octets()),
            IpAddr::V6(address) => self.record_of(types::AAAA, &address.octets()),
        }
    }

    /// Adds a name that the question's name points to.
    pub(super) fn pointer(self, target: &[u8]) -> Self {
        self.record_of(types::PTR, target)
    }

    /// Adds a record of the question's name.
    pub(super) fn record_of(mut self, rtype: u16, rdata: &[u8]) -> Self {
        self.answer.counts[0] += self.record(0, rtype, rdata, &[]);
        self
    }

    /// Adds the SOA record of the zone that begins at a byte of the question's name.
    pub(super) fn start_of_authority(mut self, zone_at: usize) -> Self {
        self.answer.counts[0] += self.soa(zone_at);
        self
    }

    /// The answer with what it has.
    pub(super) fn done(self) -> KeptAnswer {
        self.answer
    }

    /// The answer that there is nothing, or no such name, by the zone that begins at a byte of the question's name: with its SOA
    /// record, by which clients know how long that holds (RFC 2308 section 3).
    pub(super) fn nothing(mut self, exists: bool, zone_at: usize) -> KeptAnswer {
        self.answer.counts[1] = self.soa(zone_at);
        self.answer.rcode = if exists { rcode::NOERROR } else { rcode::NXDOMAIN };
        self.answer.bits = self.answer.bits.and(EntryBits::NEGATIVE);
        self.answer
    }

    /// Writes an SOA record; gives the number of records written.
    fn soa(&mut self, zone_at: usize) -> u16 {
        let mut rdata = pointer_to(zone_at).to_be_bytes().to_vec();
        rdata.extend_from_slice(NOBODY);
        for number in SOA_TIMES.into_iter().chain([self.ttl]) {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        self.record(zone_at, types::SOA, &rdata, &[0])
    }

    /// Writes a record whose owner begins at a byte of the question's name; `pointers` are places in its rdata. Gives the number of
    /// records written: none where a message has no room for it, so that neither places nor counts are ever too large for their two
    /// bytes. Whoever has records for answers takes fewer than that.
    fn record(&mut self, owner_at: usize, rtype: u16, rdata: &[u8], pointers: &[u16]) -> u16 {
        let answer = &mut self.answer;
        if answer.body.len() + RECORD_BYTES + rdata.len() > usize::from(u16::MAX) {
            return 0;
        }
        let at = |body: &[u8]| u16::try_from(body.len()).unwrap_or(u16::MAX);
        answer.pointer_places.push(at(&answer.body));
        for number in [pointer_to(owner_at), rtype, CLASS_IN] {
            answer.body.extend_from_slice(&number.to_be_bytes());
        }
        answer.ttl_places.push(at(&answer.body));
        answer.body.extend_from_slice(&self.ttl.to_be_bytes());
        answer.body.extend_from_slice(&at(rdata).to_be_bytes());
        answer.pointer_places.extend(pointers.iter().map(|place| at(&answer.body).saturating_add(*place)));
        answer.body.extend_from_slice(rdata);
        1
    }
}

/// A pointer to a byte of the question's name, which has 255 at most.
fn pointer_to(at: usize) -> u16 {
    POINTER | u16::try_from(at).unwrap_or_default().saturating_add(NAME_AT)
}
