//! Record types, classes and codes by number, and where names stand in rdata.

/// Record types that the engine treats in some way of their own; all others are opaque (RFC 3597).
#[allow(missing_docs, clippy::missing_docs_in_private_items, reason = "the names are the RFCs' own")]
pub mod types {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const MD: u16 = 3;
    pub const MF: u16 = 4;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MB: u16 = 7;
    pub const MG: u16 = 8;
    pub const MR: u16 = 9;
    pub const PTR: u16 = 12;
    pub const MINFO: u16 = 14;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const NSEC: u16 = 47;
    pub const RRSIG: u16 = 46;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const MAILB: u16 = 253;
    pub const MAILA: u16 = 254;
    pub const ANY: u16 = 255;
}

/// Class IN.
pub const CLASS_IN: u16 = 1;

/// Class CH, in which servers tell of themselves (RFC 4892).
pub const CLASS_CHAOS: u16 = 3;

/// Response codes that the engine gives (RFC 1035 section 4.1.1, RFC 2136 section 2.2, RFC 6891 section 9, RFC 7873 section 8).
#[allow(missing_docs, clippy::missing_docs_in_private_items, reason = "the names are the RFCs' own")]
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const YXDOMAIN: u16 = 6;
    pub const NOTAUTH: u16 = 9;
    pub const BADVERS: u16 = 16;
    pub const BADCOOKIE: u16 = 23;
}

/// How the rdata of a type is laid out around its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RdataNames {
    /// Bytes before the first name.
    pub prefix_bytes: usize,
    /// Names, one right after the other.
    pub names: usize,
    /// Bytes after the last name.
    pub suffix_bytes: usize,
    /// Whether the names may be compressed: RFC 3597 section 4 allows it for the types of RFC 1035 only.
    pub compressible: bool,
    /// Whether the addresses of the last name belong into the additional section (RFC 1035 section 3.3, RFC 2782).
    pub wants_addresses: bool,
}

/// The layout of a type's rdata, where the engine must know of its names.
pub(crate) const fn rdata_names(rtype: u16) -> Option<RdataNames> {
    let (prefix_bytes, names, suffix_bytes, compressible, wants_addresses) = match rtype {
        types::NS => (0, 1, 0, true, true),
        types::CNAME | types::PTR | types::MB | types::MD | types::MF | types::MG | types::MR => (0, 1, 0, true, false),
        types::SOA => (0, 2, 20, true, false),
        types::MINFO => (0, 2, 0, true, false),
        types::MX => (2, 1, 0, true, true),
        types::SRV => (6, 1, 0, false, true),
        types::DNAME => (0, 1, 0, false, false),
        _ => return None,
    };
    Some(RdataNames { prefix_bytes, names, suffix_bytes, compressible, wants_addresses })
}

/// The rdata length that a type prescribes, if any.
pub(crate) const fn rdata_length(rtype: u16) -> Option<usize> {
    match rtype {
        types::A => Some(4),
        types::AAAA => Some(16),
        _ => None,
    }
}
