//! Two answers side by side.

use harness::message::Answer;

/// Names of the parts that differ. Order counts between the RRsets of the answer section (a CNAME stands before what it
/// leads to), and nowhere else.
pub fn differences(ours: &Answer, theirs: &Answer) -> Vec<&'static str> {
    // Knot 3.2 repeats an address in the additional section when two MX records name it; ours may not (RFC 2181 section 5).
    let mut their_additional = theirs.additional.clone();
    their_additional.dedup();
    let parts = [
        ("rcode", ours.rcode == theirs.rcode),
        ("AA", ours.authoritative == theirs.authoritative),
        ("TC", ours.truncated == theirs.truncated),
        ("EDNS", ours.has_edns == theirs.has_edns),
        ("answer", ours.answer_rrsets() == theirs.answer_rrsets()),
        ("authority", ours.authority == theirs.authority),
        ("additional", ours.additional == their_additional),
    ];
    parts.iter().filter(|(_, equal)| !equal).map(|(name, _)| *name).collect()
}
