//! What is kept of a message for those who validate: that a name or type does not exist (RFC 4035 section 5.4).

use ringdns_engine::name::WireName;

use super::gather::rrset;
use super::message::{Message, Record};
use super::types;

/// Where the number of labels and the signer's name stand in a signature (RFC 4034 section 3.1).
const LABELS_AT: usize = 3;
/// See there.
const SIGNER_AT: usize = 18;

/// Adds the denials of a zone, and their signatures.
pub(super) fn append_denials(to: &mut Vec<Record>, from: &[Record], apex: &WireName) {
    let mut owners: Vec<(&WireName, u16)> = Vec::new();
    for record in from {
        let is_denial = record.rtype == types::NSEC || record.rtype == types::NSEC3;
        if is_denial && apex.contains(&record.owner) && !owners.contains(&(&record.owner, record.rtype)) {
            owners.push((&record.owner, record.rtype));
        }
        // RFC 7129 section 5.5: the longest proof takes three records; what else is there serves nobody.
        if owners.len() == DENIALS_MAX {
            break;
        }
    }
    for (owner, rtype) in owners {
        to.extend(rrset(from, owner, rtype, true));
    }
}

/// Most owners of denials that an answer has.
const DENIALS_MAX: usize = 8;

/// What shows that an answer may be from a wildcard: no closer name exists (RFC 4035 section 5.3.4).
pub(super) fn wildcard_denials(wants_dnssec: bool, answers: &[Record], message: &Message) -> Vec<Record> {
    let mut denials = Vec::new();
    let expanded = answers.iter().filter(|record| wants_dnssec && is_expanded(record)).filter_map(signer);
    let mut signers: Vec<WireName> = expanded.collect();
    signers.sort();
    signers.dedup();
    for apex in &signers {
        append_denials(&mut denials, &message.authorities, apex);
    }
    denials
}

/// True for a signature over fewer labels than its owner has (RFC 4034 section 3.1.3).
fn is_expanded(record: &Record) -> bool {
    let labels = record.rdata().get(LABELS_AT).copied();
    let is_wildcard = usize::from(record.owner.is_wildcard());
    record.rtype == types::RRSIG
        && labels.is_some_and(|labels| usize::from(labels) + is_wildcard < record.owner.label_count())
}

/// The zone whose signature it is; nothing where that zone does not have the owner.
fn signer(record: &Record) -> Option<WireName> {
    let (signer, _) = WireName::split_wire(record.rdata().get(SIGNER_AT..)?).ok()?;
    signer.contains(&record.owner).then_some(signer)
}
