//! Gathers from messages the records that lead from a question's name to its type.

use std::collections::HashSet;
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::dnssec;
use super::message::{Message, Record, Untrue};
use super::{rcodes, types};

/// Most aliases from the question's name to its records: nobody needs as many, and each costs memory and time.
const ALIASES_MAX: usize = 16;

/// An answer in the making.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The question's name.
    pub(super) qname: WireName,
    /// Its type.
    qtype: u16,
    /// Signatures and denials are wanted.
    wants_dnssec: bool,
    /// Where the chain of aliases leads so far.
    current: WireName,
    /// The names that it came by.
    visited: Vec<WireName>,
    /// Records of the answer.
    pub(super) answers: Vec<Record>,
    /// Records of the authority section.
    pub(super) authorities: Vec<Record>,
    /// The response code.
    pub(super) rcode: u16,
    /// All of it was validated by who is trusted to.
    pub(super) is_authentic: bool,
    /// Something of it is missing.
    pub(super) is_truncated: bool,
    /// What came of it.
    pub(super) outlook: Outlook,
    /// Records that did not belong to it.
    dropped: u32,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// There are records.
    Positive,
    /// There are none, and an SOA record says for how long (RFC 2308).
    Negative,
    /// There are none, or so it is said.
    Unproven,
}

/// What a message was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The answer is whole.
    Whole,
    /// The chain leads to [`Gather::current`], which is still to be asked for.
    Open,
}

impl Gather {
    /// An answer of which nothing is known.
    pub fn new(qname: &WireName, qtype: u16, wants_dnssec: bool) -> Self {
        Self {
            qname: qname.to_lowercase(),
            qtype,
            wants_dnssec,
            current: qname.to_lowercase(),
            visited: Vec::new(),
            answers: Vec::new(),
            authorities: Vec::new(),
            rcode: rcodes::NOERROR,
            is_authentic: true,
            is_truncated: false,
            outlook: Outlook::Unproven,
            dropped: 0,
        }
    }

    /// The name that is to be asked for next.
    pub fn current(&self) -> &WireName {
        &self.current
    }

    /// What it says so far.
    pub fn outlook(&self) -> Outlook {
        self.outlook
    }

    /// The addresses in the answer, and their owners.
    pub fn addresses(&self) -> Vec<(WireName, IpAddr)> {
        let address = |record: &Record| record.address().map(|address| (record.owner.clone(), address));
        self.answers.iter().filter_map(address).collect()
    }

    /// Hides records of a type where all types were asked for. Where nothing is left it is not known for how long that holds.
    pub fn hide(&mut self, rtype: u16) {
        if self.qtype != types::ANY || self.outlook != Outlook::Positive {
            return;
        }
        self.answers.retain(|record| record.rtype != rtype && record.covers() != Some(rtype));
        if self.answers.is_empty() {
            self.outlook = Outlook::Unproven;
        }
    }

    /// Records that did not belong to the answer.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Takes what belongs to the answer from a message, which is one for [`Self::current`]. Nothing is taken of it from the first
    /// name on that it `is_silent_about`: others know better. `trusts_ad`: its AD is believed.
    pub fn take(
        &mut self,
        message: &Message,
        trusts_ad: bool,
        is_silent_about: impl Fn(&WireName) -> bool,
    ) -> Result<Step, Untrue> {
        if message.qname != self.current || message.qtype != self.qtype {
            return Err(Untrue::OtherQuestion);
        }
        let had = self.answers.len() + self.authorities.len();
        self.is_authentic &= trusts_ad && message.is_authentic;
        self.is_truncated |= message.is_truncated;
        let step = self.follow(message, is_silent_about)?;
        let taken = self.answers.len() + self.authorities.len() - had;
        let came = message.answers.len() + message.authorities.len();
        let dropped = u32::try_from(came.saturating_sub(taken)).unwrap_or(u32::MAX);
        self.dropped = self.dropped.saturating_add(dropped).saturating_add(message.dropped);
        Ok(step)
    }

    /// Follows the chain within a message.
    fn follow(&mut self, message: &Message, is_silent_about: impl Fn(&WireName) -> bool) -> Result<Step, Untrue> {
        let mut moved = false;
        loop {
            if self.take_rrsets(message) {
                // A name that does not exist has no records.
                let is_true = message.rcode == rcodes::NOERROR;
                self.outlook = Outlook::Positive;
                self.authorities = dnssec::wildcard_denials(self.wants_dnssec, &self.answers, message);
                return if is_true { Ok(Step::Whole) } else { Err(Untrue::Malformed) };
            }
            let Some(target) = self.take_alias(message)? else { break };
            moved = true;
            self.visited.push(std::mem::replace(&mut self.current, target));
            if self.visited.len() > ALIASES_MAX || self.visited.contains(&self.current) {
                return Err(Untrue::Loop);
            }
            if is_silent_about(&self.current) {
                return Ok(Step::Open);
            }
        }
        self.conclude(message, moved)
    }

    /// Takes the records of the question's type at the name where the chain is; false where there are none.
    fn take_rrsets(&mut self, message: &Message) -> bool {
        let had = self.answers.len();
        if self.qtype == types::ANY {
            // RFC 4035 section 3.2.1: signatures are for those who set DO, or ask for them.
            let is_wanted = |record: &&Record| self.wants_dnssec || record.rtype != types::RRSIG;
            let here = message.answers.iter().filter(|record| record.owner == self.current);
            self.answers.extend(here.filter(is_wanted).cloned());
        } else {
            self.answers.extend(rrset(&message.answers, &self.current, self.qtype, self.wants_dnssec));
        }
        self.answers.len() > had
    }

    /// Takes the alias at the name where the chain is; gives where it leads.
    fn take_alias(&mut self, message: &Message) -> Result<Option<WireName>, Untrue> {
        if self.qtype == types::CNAME || self.qtype == types::ANY {
            return Ok(None);
        }
        let redirects = |record: &&Record| {
            record.rtype == types::DNAME && record.owner != self.current && record.owner.contains(&self.current)
        };
        if let Some(dname) = message.answers.iter().find(redirects) {
            let rrset = rrset(&message.answers, &dname.owner, types::DNAME, self.wants_dnssec);
            let ttl = rrset.first().map_or(0, |record| record.ttl);
            let target = dname.target().and_then(|target| substitute(&self.current, &dname.owner, &target));
            // RFC 6672 section 2.2: a name that becomes too long is told with YXDOMAIN, and no record.
            let target = target.ok_or(Untrue::Malformed)?;
            self.answers.extend(rrset);
            self.answers.push(synthesized(&self.current, ttl, &target));
            return Ok(Some(target));
        }
        let mut rrset = rrset(&message.answers, &self.current, types::CNAME, self.wants_dnssec);
        let Some(target) = rrset.first().and_then(Record::target) else { return Ok(None) };
        // RFC 1034 section 3.6.2: an alias is one. Of several the first is followed, and the others are none.
        let mut is_first = true;
        rrset.retain(|record| record.rtype != types::CNAME || std::mem::replace(&mut is_first, false));
        self.answers.extend(rrset);
        Ok(Some(target.to_lowercase()))
    }

    /// What a message comes to whose chain does not lead to the type.
    fn conclude(&mut self, message: &Message, moved: bool) -> Result<Step, Untrue> {
        let is_above = |record: &&Record| record.owner.contains(&self.current);
        let of_type = |rtype| message.authorities.iter().filter(move |record| record.rtype == rtype);
        if let Some(soa) = of_type(types::SOA).find(is_above) {
            let apex = soa.owner.clone();
            let mut authorities = rrset(&message.authorities, &apex, types::SOA, self.wants_dnssec);
            limit_by_minimum(&mut authorities);
            if self.wants_dnssec {
                dnssec::append_denials(&mut authorities, &message.authorities, &apex);
            }
            self.authorities = authorities;
            (self.rcode, self.outlook) = (message.rcode, Outlook::Negative);
            return Ok(Step::Whole);
        }
        if message.rcode == rcodes::NOERROR {
            if moved {
                return Ok(Step::Open);
            }
            // RFC 2308 section 2.2: without SOA record, name servers of a zone that the name is in are those to ask instead.
            if of_type(types::NS).any(|record| is_above(&record)) {
                return Err(Untrue::Referral);
            }
        }
        (self.rcode, self.outlook) = (message.rcode, Outlook::Unproven);
        Ok(Step::Whole)
    }
}

/// The records of an owner and type, each once and with one TTL, and their signatures.
pub(super) fn rrset(records: &[Record], owner: &WireName, rtype: u16, with_signatures: bool) -> Vec<Record> {
    let of_owner = || records.iter().filter(|record| record.owner == *owner);
    let mut known = HashSet::new();
    let of_type = of_owner().filter(|record| record.rtype == rtype && known.insert(record.rdata()));
    let mut rrset: Vec<Record> = of_type.cloned().collect();
    if rrset.is_empty() {
        return rrset;
    }
    if with_signatures && rtype != types::RRSIG {
        rrset.extend(of_owner().filter(|record| record.covers() == Some(rtype)).cloned());
    }
    // RFC 2181 section 5.2: where TTLs of an RRset differ the lowest is the one that all have.
    let ttl = rrset.iter().map(|record| record.ttl).min().unwrap_or_default();
    rrset.iter_mut().for_each(|record| record.ttl = ttl);
    rrset
}

/// RFC 2308 section 5: a negative answer is kept no longer than the SOA record's last number says; and signatures as long as what
/// they cover (RFC 4034 section 3).
fn limit_by_minimum(rrset: &mut [Record]) {
    let last = |record: &Record| record.rdata.bytes.last_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let minimum = rrset.iter().filter(|record| record.rtype == types::SOA).filter_map(last).min();
    let minimum = minimum.unwrap_or(u32::MAX);
    rrset.iter_mut().for_each(|record| record.ttl = record.ttl.min(minimum));
}

/// A name with one suffix in the place of another (RFC 6672 section 2.2); nothing where it becomes too long.
fn substitute(name: &WireName, from: &WireName, to: &WireName) -> Option<WireName> {
    let kept = name.as_bytes().len().checked_sub(from.as_bytes().len())?;
    let bytes = [name.as_bytes().get(..kept)?, to.as_bytes()].concat();
    WireName::from_wire(&bytes).ok().map(|name| name.to_lowercase())
}

/// The CNAME record that a DNAME record stands for (RFC 6672 section 3.1).
fn synthesized(owner: &WireName, ttl: u32, target: &WireName) -> Record {
    let rdata = super::rdata::Rdata { bytes: target.as_bytes().to_vec(), names_at: vec![0] };
    Record { owner: owner.clone(), rtype: types::CNAME, ttl, rdata }
}
