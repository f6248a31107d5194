//! EDNS(0): the OPT record of a query (RFC 6891).

use crate::cookie::Cookie;
use crate::limits::NAME_BYTES_MAX;
use crate::name;
use crate::rtype::types;
use crate::verdict::Reason;

/// The DO bit of the OPT record's flags (RFC 3225).
const FLAG_DO: u16 = 0x8000;

/// The number of the NSID option (RFC 5001).
pub(crate) const OPTION_NSID: u16 = 3;
/// The number of the COOKIE option (RFC 7873).
pub(crate) const OPTION_COOKIE: u16 = 10;

/// The number of the edns-tcp-keepalive option (RFC 7828).
pub(crate) const OPTION_KEEPALIVE: u16 = 11;

/// What a query asks for beside its question: a set of options that can be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks(u8);

impl Asks {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// The answer itself: in the set of every query, so that a server that must look at all queries asks for this one.
    pub const ANSWER: Self = Self(1);
    /// NSID.
    pub const NSID: Self = Self(2);
    /// COOKIE.
    pub const COOKIE: Self = Self(4);
    /// edns-tcp-keepalive.
    pub const KEEPALIVE: Self = Self(8);

    /// What is in this set, in the other, or in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True where something is in both sets.
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

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

/// The options of a query that may be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which there are; none of an unknown version.
    pub asks: Asks,
    /// The cookie, if there is one: a copy, since the answer is written over it.
    pub cookie: Cookie,
}

/// Walks the additional section, which must end the message, and returns what its OPT record says; options that may be
/// answered go into `asked`.
pub(super) fn find(mut section: &[u8], records: u16, asked: &mut Asked) -> Result<Option<Edns>, Reason> {
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
        if edns.is_some() || !at_root {
            return Err(Reason::OptMalformed);
        }
        let [_, version, flags @ ..] = head.ttl.to_be_bytes();
        let dnssec_ok = u16::from_be_bytes(flags) & FLAG_DO != 0;
        if !rdata.is_empty() {
            let before = asked.asks;
            options(rdata, asked).ok_or(Reason::OptMalformed)?;
            if version != 0 {
                asked.asks = before;
            }
        }
        edns = Some(Edns { udp_bytes: head.class, version, dnssec_ok });
    }
    if section.is_empty() { Ok(edns) } else { Err(Reason::TrailingBytes) }
}

/// The type and the rdata of the record that starts a section, and what follows it.
pub(super) fn split_any(section: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    split_record(section).map(|(head, rdata, rest)| (head.rtype, rdata, rest))
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

/// Notes the options that may be answered; nothing where the options do not fill the rdata exactly (RFC 6891 section
/// 6.1.2). All others are ignored, padding and client subnet among them. The first cookie counts.
fn options(mut rdata: &[u8], asked: &mut Asked) -> Option<()> {
    while let Some((&[c1, c2, l1, l2], rest)) = rdata.split_first_chunk::<4>() {
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        match u16::from_be_bytes([c1, c2]) {
            OPTION_NSID => asked.asks = asked.asks.and(Asks::NSID),
            OPTION_KEEPALIVE => asked.asks = asked.asks.and(Asks::KEEPALIVE),
            OPTION_COOKIE if !asked.asks.meets(Asks::COOKIE) => {
                *asked = Asked { asks: asked.asks.and(Asks::COOKIE), cookie: Cookie::decode(data) };
            }
            _ => {}
        }
        rdata = rest;
    }
    rdata.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPT: &[u8] = b"\0\0\x29\x10\x00\0\x01\0\0\0\0";

    fn find(section: &[u8], records: u16) -> Result<Option<Edns>, Reason> {
        super::find(section, records, &mut Asked::default())
    }

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

    /// What options ask for.
    fn asked(rdata: &[u8]) -> Option<Asked> {
        let mut asked = Asked::default();
        options(rdata, &mut asked).map(|()| asked)
    }

    #[test]
    fn options_are_skipped_by_length() {
        let asks = |rdata| asked(rdata).map(|asked| asked.asks);
        assert_eq!(asks(b"\0\x0c\0\x02ab\0\x08\0\0"), Some(Asks::NOTHING));
        assert_eq!(asks(b"\0\x0c\0\x03ab"), None);
        assert_eq!(asks(b"\0\x0c\0\0\0\x03\0\0"), Some(Asks::NSID));
        assert_eq!(asks(b"\0\x03\0\x01a"), Some(Asks::NSID), "RFC 5001 section 2.1: there should be no data");
    }

    #[test]
    fn the_first_cookie_is_kept() {
        let found = asked(b"\0\x0a\0\x08abcdefgh\0\x03\0\0\0\x0a\0\x01x").unwrap();
        assert_eq!(found, Asked { asks: Asks::NSID.and(Asks::COOKIE), cookie: Cookie::Client(*b"abcdefgh") });
        assert_eq!(asked(b"\0\x0a\0\0").unwrap(), Asked { asks: Asks::COOKIE, cookie: Cookie::Malformed });
    }

    #[test]
    fn options_of_an_unknown_version_are_not_asked_for() {
        let mut asked = Asked { asks: Asks::ANSWER, ..Asked::default() };
        super::find(b"\0\0\x29\x10\x00\0\x01\0\0\0\x04\0\x03\0\0", 1, &mut asked).unwrap();
        assert_eq!(asked.asks, Asks::ANSWER);
    }
}
