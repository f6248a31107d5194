//! Differences that are allowed, each with the clause that leaves the choice. The shorter this list, the better.

use harness::message::{Answer, Question, Rr, name_to_wire};
use hickory_proto::op::ResponseCode;

use crate::UDP_ANSWER_BYTES_MAX;
use crate::nasty;
use crate::reference::Program;
use crate::zone::APEX;

/// Type CNAME.
const CNAME: u16 = 5;

/// Aliases that Knot 3.2 follows.
const KNOT_ALIASES_MAX: usize = 5;

/// A question with both servers' answers.
pub struct Pair<'a> {
    /// Who gave the other answer.
    pub program: Program,
    /// What was asked.
    pub question: &'a Question,
    /// Our answer and its bytes on the wire.
    pub ours: (&'a Answer, usize),
    /// The other answer and its bytes on the wire.
    pub theirs: (&'a Answer, usize),
    /// What differs.
    pub differences: &'a [&'static str],
}

/// What recognises a difference, and what allows it.
type Clause = (fn(&Pair) -> bool, &'static str);

/// Why the two may differ; none where they may not.
pub fn clause(pair: &Pair) -> Option<&'static str> {
    let clauses: [Clause; 10] = [
        (
            optional_additional,
            "RFC 1034 section 4.3.2 step 6: what else is useful may be added; NSD is run without (minimal-responses)",
        ),
        (
            additional_that_does_not_fit,
            "RFC 2181 section 9: what the additional section lacks for want of room is left out without TC; order is free",
        ),
        (
            almost_full,
            "RFC 1035 section 4.1.4: compression is a choice, so that an answer may fit for one and not for the other",
        ),
        (
            both_cut,
            "RFC 2181 section 9: with TC the rest is to be ignored, so how far the search went before the room ended is free",
        ),
        (
            repeated,
            "RFC 2181 section 5: no record stands twice in an RRset; NSD and Knot go once more round a loop of aliases",
        ),
        (
            other_zone,
            "RFC 1034 section 4.3.2 step 3a: an alias is looked for in all zones; Knot stops where its target is in another",
        ),
        (
            parent_side,
            "RFC 1034 section 4.3.2 step 2: the nearest zone answers; Knot refers to a zone below that it serves itself",
        ),
        (
            long_chain,
            "RFC 1034 section 4.3.2 step 3a: the search goes on at an alias's target; Knot stops after five aliases",
        ),
        (
            soa_of_yxdomain,
            "RFC 2308 section 2: the SOA record goes with NXDOMAIN and NODATA; Knot adds it to YXDOMAIN (RFC 6672 section 3.2)",
        ),
        (
            name_of_another_zone,
            "RFC 4592 section 2.2.2: names exist by what their own zone holds; NSD has one tree of names for all zones",
        ),
    ];
    clauses.iter().find(|(applies, _)| applies(pair)).map(|(_, clause)| *clause)
}

/// Only we add addresses to an answer that is complete without them. With Knot this section is compared too.
fn optional_additional(pair: &Pair) -> bool {
    let adds = pair.theirs.0.additional.iter().all(|rr| pair.ours.0.additional.contains(rr));
    pair.program == Program::Nsd && pair.differences == ["additional"] && pair.ours.0.authoritative && adds
}

/// Both fill the additional section as far as it goes, in an order of their own; what both have is equal.
fn additional_that_does_not_fit(pair: &Pair) -> bool {
    let (ours, theirs) = (&pair.ours.0.additional, &pair.theirs.0.additional);
    let of = |rrs: &[Rr], rr: &Rr| -> Vec<Rr> {
        rrs.iter().filter(|other| (&other.owner, other.rtype) == (&rr.owner, rr.rtype)).cloned().collect()
    };
    let mut in_both = ours.iter().filter(|rr| !of(theirs, rr).is_empty());
    let is_full = is_almost_full(pair, pair.ours.1.max(pair.theirs.1));
    let agree = in_both.all(|rr| of(ours, rr) == of(theirs, rr));
    pair.differences == ["additional"] && pair.ours.0.authoritative && is_full && agree
}

/// Within a tenth of what the client and the servers take.
fn is_almost_full(pair: &Pair, bytes: usize) -> bool {
    let bytes_max = usize::from(pair.question.edns_bytes.unwrap_or(512)).min(UDP_ANSWER_BYTES_MAX);
    bytes > bytes_max - bytes_max / 10
}

/// One answer is cut, and the other only just fits.
fn almost_full(pair: &Pair) -> bool {
    let complete_bytes = match (pair.ours.0.truncated, pair.theirs.0.truncated) {
        (true, false) => pair.theirs.1,
        (false, true) => pair.ours.1,
        _ => return false,
    };
    let only_cut = pair.differences.iter().all(|part| ["TC", "answer", "additional", "authority"].contains(part));
    only_cut && is_almost_full(pair, complete_bytes)
}

/// Both are cut, and one has some more of the same.
fn both_cut(pair: &Pair) -> bool {
    let (ours, theirs) = (pair.ours.0, pair.theirs.0);
    let is_start = ours.answer.starts_with(&theirs.answer) || theirs.answer.starts_with(&ours.answer);
    ours.truncated && theirs.truncated && is_start
}

/// Only they have records more than once.
fn repeated(pair: &Pair) -> bool {
    let (ours, theirs) = (pair.ours.0, pair.theirs.0);
    let mut once: Vec<Rr> = Vec::new();
    for rr in &theirs.answer {
        if !once.contains(rr) {
            once.push(rr.clone());
        }
    }
    pair.differences == ["answer"] && once.len() < theirs.answer.len() && once == ours.answer
}

/// The names that the aliases of an answer lead to, on the wire, the question's first.
fn chain(pair: &Pair, answer: &Answer) -> Vec<Vec<u8>> {
    let question = name_to_wire(&pair.question.owner.to_ascii_lowercase());
    let targets = answer.answer.iter().filter(|rr| rr.rtype == CNAME).map(|rr| rr.rdata.clone());
    std::iter::once(question).chain(targets).collect()
}

/// The apex of the zone that a name belongs to.
fn zone_of(name: &[u8]) -> Option<&'static str> {
    let apexes = [nasty::GRANDCHILD, nasty::CHILD, nasty::OTHER, APEX];
    apexes.into_iter().find(|apex| name.ends_with(&name_to_wire(apex)))
}

/// Their answer is the start of ours and ends in an alias.
fn stops_at_alias(pair: &Pair) -> bool {
    let (ours, theirs) = (pair.ours.0, pair.theirs.0);
    let ends_in_alias = theirs.answer.last().is_some_and(|rr| rr.rtype == CNAME);
    pair.program == Program::Knot && !theirs.truncated && ends_in_alias && ours.answer.starts_with(&theirs.answer)
}

/// They stop at an alias into another zone.
fn other_zone(pair: &Pair) -> bool {
    let leaves_zone = matches!(&chain(pair, pair.theirs.0)[..], [.., from, to] if zone_of(from) != zone_of(to));
    stops_at_alias(pair) && leaves_zone && pair.theirs.0.authority.is_empty()
}

/// They stop at an alias into a zone below, and refer to it.
fn parent_side(pair: &Pair) -> bool {
    let cut = nasty::CHILD.to_owned();
    let refers = pair.theirs.0.authority.iter().all(|rr| rr.rtype == 2 && rr.owner == cut);
    stops_at_alias(pair) && refers && !pair.theirs.0.authority.is_empty()
}

/// They stop after many aliases.
fn long_chain(pair: &Pair) -> bool {
    let aliases = chain(pair, pair.theirs.0).len() - 1;
    stops_at_alias(pair) && aliases >= KNOT_ALIASES_MAX && pair.theirs.0.authority.is_empty()
}

/// Only they have an SOA record beside YXDOMAIN.
fn soa_of_yxdomain(pair: &Pair) -> bool {
    let is_yxdomain = pair.ours.0.rcode == ResponseCode::YXDomain;
    pair.program == Program::Knot
        && pair.differences == ["authority"]
        && is_yxdomain
        && pair.ours.0.authority.is_empty()
}

/// A name that only the zone above has, or that stands above a zone further down.
fn name_of_another_zone(pair: &Pair) -> bool {
    let codes = (pair.ours.0.rcode, pair.theirs.0.rcode);
    let is_below = pair.ours.0.authority.iter().all(|rr| rr.owner == nasty::CHILD);
    pair.program == Program::Nsd
        && pair.differences == ["rcode"]
        && codes == (ResponseCode::NXDomain, ResponseCode::NoError)
        && is_below
}
