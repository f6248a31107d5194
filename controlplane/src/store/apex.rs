//! The records that a zone has as long as it exists: SOA and NS at its apex.

use ringdns_engine::name::WireName;

use super::ZoneFields;
use crate::model::Rrset;
use crate::text::rtype;

/// TTL in seconds of a new zone's own records.
const TTL_SECONDS_DEFAULT: u32 = 3600;

/// Serial, refresh, retry, expire, minimum of a new zone. The minimum is the negative TTL: what is created is seen soon.
const SOA_NUMBERS_DEFAULT: [u32; 5] = [1, 3600, 600, 604_800, 60];

/// The SOA and NS records that a zone should have.
pub(super) fn zone_records(
    apex: &WireName,
    fields: &ZoneFields,
    soa: Option<&Rrset>,
    ns: Option<&Rrset>,
) -> (Rrset, Rrset) {
    let child = |label: &[u8]| apex.child(label).unwrap_or_else(|_| apex.clone());
    let servers: Vec<Vec<u8>> = match (&fields.ns, ns) {
        (Some(names), _) => names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        (None, Some(ns)) => ns.rdatas.clone(),
        (None, None) => vec![child(b"ns").as_bytes().to_vec()],
    };
    let before = soa.and_then(|soa| split_soa(soa.rdatas.first()?));
    let (mname, rname, numbers) = before.unwrap_or_else(|| {
        let mname = servers.first().and_then(|name| WireName::from_wire(name).ok());
        (mname.unwrap_or_else(|| child(b"ns")), child(b"hostmaster"), SOA_NUMBERS_DEFAULT)
    });
    let mname = fields.soa.mname.as_ref().unwrap_or(&mname);
    let rname = fields.soa.rname.as_ref().unwrap_or(&rname);
    let mut rdata = [mname.as_bytes(), rname.as_bytes()].concat();
    for (given, before) in fields.soa.numbers.iter().zip(numbers) {
        rdata.extend_from_slice(&given.unwrap_or(before).to_be_bytes());
    }
    let ttl =
        |before: Option<&Rrset>| fields.ttl.unwrap_or_else(|| before.map_or(TTL_SECONDS_DEFAULT, |rrset| rrset.ttl));
    (Rrset::new(apex.clone(), rtype::SOA, ttl(soa), vec![rdata]), Rrset::new(apex.clone(), rtype::NS, ttl(ns), servers))
}

/// The fields of an SOA record's rdata; nothing where it is none.
pub(crate) fn split_soa(rdata: &[u8]) -> Option<(WireName, WireName, [u32; 5])> {
    let (mname, rest) = WireName::split_wire(rdata).ok()?;
    let (rname, rest) = WireName::split_wire(rest).ok()?;
    let mut numbers = [0; 5];
    let mut chunks = rest.chunks_exact(4);
    for number in &mut numbers {
        *number = u32::from_be_bytes(chunks.next()?.try_into().ok()?);
    }
    chunks.next().is_none().then_some((mname, rname, numbers))
}
