//! EDNS(0): the OPT record of a query (RFC 6891).

use crate::limits::NAME_BYTES_MAX;
use crate::name;
use crate::rtype::types;
use crate::verdict::Reason;

/// The DO bit of the OPT record's flags (RFC 3225).
const FLAG_DO: u16 = 0x8000;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Bytes that the requestor can take over UDP, as it said.
    pub udp_bytes: u16,
    /// The version that the requestor speaks.
    pub version: u8,
    /// The DO bit, which goes back as it came (RFC 3225 section 3).
    pub dnssec_ok: bool,
}

/// The fixed part of a record after its owner.
struct RecordHead {
    /// The type.
    rtype: u16,
    /// The class; in an OPT record the requestor's payload size.
    class: u16,
    /// The TTL; in an OPT record extended response code, version and flags.
    ttl: u32,
}

/// Walks the additional section, which must end the message, and returns what its OPT record says.
pub(super) fn find(mut section: &[u8], records: u16) -> Result<Option<Edns>, Reason> {
    let mut edns = None;
    for _ in 0..records {
        let at_root = section.first() == Some(&0);
        let (head, rdata, rest) = split_record(section).ok_or(Reason::AdditionalMalformed)?;
        section = rest;
        if head.rtype != types::OPT {
            continue;
        }
        // RFC 6891 section 6.1.1: "If a query message with more than one OPT RR is received, a FORMERR (RCODE=1) MUST be
        // returned"; section 6.1.2: the name "MUST be 0 (root domain)".
        if edns.is_some() || !at_root || !options_are_whole(rdata) {
            return Err(Reason::OptMalformed);
        }
        let [_, version, flags @ ..] = head.ttl.to_be_bytes();
        let dnssec_ok = u16::from_be_bytes(flags) & FLAG_DO != 0;
        edns = Some(Edns { udp_bytes: head.class, version, dnssec_ok });
    }
    if section.is_empty() { Ok(edns) } else { Err(Reason::TrailingBytes) }
}

/// The record that starts a section: its head, its rdata, and what follows it.
fn split_record(section: &[u8]) -> Option<(RecordHead, &[u8], &[u8])> {
    let fixed = section.get(owner_length(section)?..)?;
    let (&[t1, t2, c1, c2, ttl1, ttl2, ttl3, ttl4, l1, l2], rest) = fixed.split_first_chunk::<10>()?;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
    let head = RecordHead {
        rtype: u16::from_be_bytes([t1, t2]),
        class: u16::from_be_bytes([c1, c2]),
        ttl: u32::from_be_bytes([ttl1, ttl2, ttl3, ttl4]),
    };
    Some((head, rdata, rest))
}

/// Bytes of a record's owner, which may end in a compression pointer: it is skipped, not followed.
fn owner_length(section: &[u8]) -> Option<usize> {
    if let Ok(length) = name::name_length(section) {
        return Some(length);
    }
    let mut length = 0;
    loop {
        match *section.get(length)? {
            pointer if pointer >= 0xc0 => return Some(length + 2),
            label if label < 0x40 && length < NAME_BYTES_MAX => length += 1 + usize::from(label),
            _ => return None,
        }
    }
}

/// True where the options fill the rdata exactly (RFC 6891 section 6.1.2). Unknown options are ignored.
fn options_are_whole(mut rdata: &[u8]) -> bool {
    while let Some((&[_, _, l1, l2], rest)) = rdata.split_first_chunk::<4>() {
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes([l1, l2]))..) else {
            return false;
        };
        rdata = rest;
    }
    rdata.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPT: &[u8] = b"\0\0\x29\x10\x00\0\x01\0\0\0\0";

    #[test]
    fn an_opt_record_may_stand_anywhere() {
        let other = b"\x01a\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x01\x02\x03\x04";
        let expected = Some(Edns { udp_bytes: 4096, version: 1, dnssec_ok: false });
        assert_eq!(find(&[OPT, other].concat(), 2), Ok(expected));
        assert_eq!(find(&[other, OPT].concat(), 2), Ok(expected));
        assert_eq!(find(other, 1), Ok(None));
        assert_eq!(find(b"", 0), Ok(None));
    }

    #[test]
    fn a_malformed_opt_record_is_named() {
        for (section, records, reason) in [
            ([OPT, OPT].concat(), 2, Reason::OptMalformed),
            (b"\x01a\0\0\x29\x10\x00\0\0\0\0\0\0".to_vec(), 1, Reason::OptMalformed),
            (b"\0\0\x29\x10\x00\0\0\0\0\0\x03\0\x03\0".to_vec(), 1, Reason::OptMalformed),
            (b"\0\0\x29\x10\x00\0\0\0\0\0\x05\0\x03\0\x02a".to_vec(), 1, Reason::OptMalformed),
            (b"\0\0\x29\x10\x00\0\0\0\0\0\x05\0\x03".to_vec(), 1, Reason::AdditionalMalformed),
            (OPT.to_vec(), 2, Reason::AdditionalMalformed),
            (OPT.to_vec(), 0, Reason::TrailingBytes),
            (b"\x41".to_vec(), 1, Reason::AdditionalMalformed),
        ] {
            assert_eq!(find(&section, records), Err(reason), "{section:?}");
        }
    }

    #[test]
    fn options_are_skipped_by_length() {
        assert!(options_are_whole(b"\0\x03\0\x02ab\0\x0a\0\0"));
        assert!(!options_are_whole(b"\0\x03\0\x03ab"));
    }
}
