//! The oracle: RFC 1034 section 4.3.2 with its successors, read aloud. Slow, and without a thought for speed.

use super::model::{A, AAAA, ANY, CNAME, DNAME, DS, MX, NS, Name, Rrset, SOA, SRV, Zone, wire_bytes};
use ringdns_engine::limits::CHAIN_STEPS_MAX;

/// Longest name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// What an answer should be.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Response code.
    pub rcode: u16,
    /// AA.
    pub authoritative: bool,
    /// Answer section, as far as it is determined.
    pub answer: Vec<Rrset>,
    /// RRsets of which exactly one is in the answer section too (RFC 8482 section 4.1); none: no such choice.
    pub one_of: Vec<Rrset>,
    /// Authority section.
    pub authority: Vec<Rrset>,
    /// Address RRsets without which the answer is truncated (RFC 9471).
    pub glue: Vec<Rrset>,
    /// Address RRsets that the additional section may hold.
    pub addresses: Vec<Rrset>,
}

/// What a step came to.
enum Step {
    /// The answer is finished.
    Done,
    /// The search goes on at another name.
    Chase(Name),
}

/// The answer that the zones give to a question.
pub fn expect(zones: &[Zone], qname: &Name, qtype: u16) -> Expected {
    let mut expected = Expected::default();
    let mut name = qname.clone();
    let mut seen = Vec::new();
    for index in 0..=CHAIN_STEPS_MAX {
        let Some(zone) = zone_of(zones, &name, qtype) else {
            // Nothing is known of the name: REFUSED, unless an alias led here.
            expected.rcode = if index == 0 { 5 } else { 0 };
            break;
        };
        if index == 0 {
            expected.authoritative = true;
        }
        seen.push(name.clone());
        match step(zone, &name, qtype, index == 0, &mut expected) {
            // A loop is told once; a record stands in an answer once (RFC 2181 section 5).
            Step::Chase(target) if seen.contains(&target) => break,
            Step::Chase(target) => name = target,
            Step::Done => break,
        }
    }
    expected
}

/// The zone that answers for a name: the deepest one (RFC 1034 section 4.3.2 step 2); for DS at an apex the one above, if
/// it is here (RFC 4035 section 3.1.4.1).
fn zone_of<'a>(zones: &'a [Zone], name: &Name, qtype: u16) -> Option<&'a Zone> {
    let deepest = |accept: &dyn Fn(&Zone) -> bool| {
        zones.iter().filter(|zone| name.starts_with(&zone.apex) && accept(zone)).max_by_key(|zone| zone.apex.len())
    };
    let above = if qtype == DS { deepest(&|zone| zone.apex != *name) } else { None };
    above.or_else(|| deepest(&|_| true))
}

/// The names from the apex down to a name.
fn path<'a>(zone: &Zone, name: &'a Name) -> impl Iterator<Item = Name> + 'a {
    (zone.apex.len()..=name.len()).map(|depth| name[..depth].to_vec())
}

/// One pass of RFC 1034 section 4.3.2 step 3.
fn step(zone: &Zone, name: &Name, qtype: u16, first: bool, expected: &mut Expected) -> Step {
    for ancestor in path(zone, name) {
        // Step 3b: a zone cut; the DS record is on this side of it (RFC 4035 section 3.1.4.1).
        if let Some(servers) = zone.get(&ancestor, NS).filter(|_| ancestor != zone.apex)
            && !(ancestor == *name && qtype == DS)
        {
            expected.authoritative &= !first;
            expected.authority.push(servers.clone());
            mention(zone, servers, Some(&ancestor), expected);
            return Step::Done;
        }
        if let Some(dname) = zone.get(&ancestor, DNAME).filter(|_| ancestor != *name) {
            return redirect(name, qtype, &ancestor, dname, expected);
        }
    }
    let Some(owners) = source(zone, name) else {
        return negative(zone, 3, expected);
    };
    let rrsets = zone.owners.get(&owners);
    let of_type = |rtype: u16| rrsets.and_then(|rrsets| rrsets.get(&rtype)).map(|rrset| rrset.owned_by(name));
    if qtype == ANY {
        let all: Vec<Rrset> =
            rrsets.into_iter().flat_map(|rrsets| rrsets.values()).map(|rrset| rrset.owned_by(name)).collect();
        if all.is_empty() {
            return negative(zone, 0, expected);
        }
        all.iter().for_each(|rrset| mention(zone, rrset, None, expected));
        expected.one_of = all;
        return Step::Done;
    }
    if let Some(rrset) = of_type(qtype) {
        mention(zone, &rrset, None, expected);
        // The chain may have come by way of this very DNAME record.
        if !expected.answer.contains(&rrset) {
            expected.answer.push(rrset);
        }
        return Step::Done;
    }
    // Step 3a: the alias is followed.
    if let Some(alias) = of_type(CNAME) {
        let target = alias.rdatas.first().expect("a CNAME has a target").names[0].clone();
        expected.answer.push(alias);
        return Step::Chase(target);
    }
    negative(zone, 0, expected)
}

/// The owner whose data answer for a name: itself, or the wildcard at its closest encloser (RFC 4592 section 3.3.1).
fn source(zone: &Zone, name: &Name) -> Option<Name> {
    if zone.exists(name) {
        return Some(name.clone());
    }
    let encloser = path(zone, name).take_while(|ancestor| zone.exists(ancestor)).last()?;
    let mut wildcard = encloser;
    wildcard.push(b"*".to_vec());
    zone.exists(&wildcard).then_some(wildcard)
}

/// A DNAME above the name (RFC 6672 section 3.2).
fn redirect(name: &Name, qtype: u16, owner: &Name, dname: &Rrset, expected: &mut Expected) -> Step {
    if !expected.answer.contains(dname) {
        expected.answer.push(dname.clone());
    }
    let mut target = dname.rdatas.first().expect("a DNAME has a target").names[0].clone();
    target.extend_from_slice(&name[owner.len()..]);
    if wire_bytes(&target) > NAME_BYTES_MAX {
        expected.rcode = 6;
        return Step::Done;
    }
    let rdatas = [super::model::Rdata::target(&[], target.clone())].into();
    expected.answer.push(Rrset { owner: name.clone(), rtype: CNAME, ttl: dname.ttl, rdatas });
    // The record that was made is of the type asked for.
    if qtype == CNAME { Step::Done } else { Step::Chase(target) }
}

/// NXDOMAIN or NODATA with the SOA record, whose TTL is at most its last field (RFC 2308 section 3).
fn negative(zone: &Zone, rcode: u16, expected: &mut Expected) -> Step {
    expected.rcode = rcode;
    let mut soa = zone.get(&zone.apex, SOA).expect("every zone has an SOA record").clone();
    let fields = &soa.rdatas.first().expect("one record").suffix;
    let minimum = fields.last_chunk().map(|bytes| u32::from_be_bytes(*bytes)).expect("five numbers");
    soa.ttl = soa.ttl.min(minimum);
    expected.authority.push(soa);
    Step::Done
}

/// Notes the addresses of the names that an RRset mentions.
fn mention(zone: &Zone, rrset: &Rrset, cut: Option<&Name>, expected: &mut Expected) {
    if ![NS, MX, SRV].contains(&rrset.rtype) {
        return;
    }
    for target in rrset.rdatas.iter().map(|rdata| &rdata.names[0]) {
        for address in addresses(zone, target) {
            if cut.is_some_and(|cut| target.starts_with(cut)) {
                expected.glue.push(address.clone());
            }
            expected.addresses.push(address);
        }
    }
}

/// The addresses that a zone holds for a name, glue included; nothing that a DNAME hides.
fn addresses(zone: &Zone, name: &Name) -> Vec<Rrset> {
    if !name.starts_with(&zone.apex) {
        return Vec::new();
    }
    let mut holder = source(zone, name);
    for ancestor in path(zone, name) {
        if ancestor != zone.apex && zone.get(&ancestor, NS).is_some() {
            // No wildcard stands for a name below a zone cut.
            holder = Some(name.clone());
            break;
        }
        if ancestor != *name && zone.get(&ancestor, DNAME).is_some() {
            return Vec::new();
        }
    }
    let Some(holder) = holder else { return Vec::new() };
    [A, AAAA].iter().filter_map(|&rtype| zone.get(&holder, rtype)).map(|rrset| rrset.owned_by(name)).collect()
}
