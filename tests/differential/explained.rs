//! Differences that are allowed, each with the clause that leaves the choice. The shorter this list, the better.

use harness::message::{Answer, Question, Rr};

use crate::UDP_ANSWER_BYTES_MAX;
use crate::reference::Program;

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
    let clauses: [Clause; 3] = [
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
