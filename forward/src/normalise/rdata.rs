//! Which types have names in their rdata, and where: a name may be compressed there (RFC 3597 section 4), and is not readable
//! without the message that it came in.

use super::reader::Reader;

/// A part of an rdata.
#[derive(Clone, Copy)]
enum Field {
    /// So many bytes.
    Bytes(usize),
    /// A name that may be compressed: the type is of RFC 1035 (RFC 3597 section 4).
    Name,
    /// A name that is written whole, and read also where it was not.
    WholeName,
    /// A character string.
    Text,
    /// Whatever follows.
    Rest,
}

use Field::{Bytes, Name, Rest, Text, WholeName};

/// The parts of a type's rdata.
fn layout(rtype: u16) -> &'static [Field] {
    match rtype {
        // A.
        1 => &[Bytes(4)],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR.
        2..=5 | 7..=9 | 12 => &[Name],
        // SOA.
        6 => &[Name, Name, Bytes(20)],
        // MINFO.
        14 => &[Name, Name],
        // MX.
        15 => &[Bytes(2), Name],
        // RP.
        17 => &[WholeName, WholeName],
        // AFSDB, RT, KX.
        18 | 21 | 36 => &[Bytes(2), WholeName],
        // PX.
        26 => &[Bytes(2), WholeName, WholeName],
        // AAAA.
        28 => &[Bytes(16)],
        // SRV.
        33 => &[Bytes(6), WholeName],
        // NAPTR.
        35 => &[Bytes(4), Text, Text, Text, WholeName],
        // DNAME.
        39 => &[WholeName],
        // SIG and RRSIG.
        24 | 46 => &[Bytes(18), WholeName, Rest],
        // NXT and NSEC.
        30 | 47 => &[WholeName, Rest],
        // SVCB and HTTPS.
        64 | 65 => &[Bytes(2), WholeName, Rest],
        _ => &[Rest],
    }
}

/// An rdata whose names are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rdata {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where names begin in it that may be compressed.
    pub(crate) names_at: Vec<usize>,
}

/// Reads the rdata that takes the next `length` bytes. Nothing where its parts do not fill it.
pub(super) fn read(reader: &mut Reader<'_>, rtype: u16, length: usize) -> Option<Rdata> {
    let end = reader.at().checked_add(length)?;
    let mut rdata = Rdata::default();
    for field in layout(rtype) {
        match *field {
            Bytes(count) => rdata.bytes.extend_from_slice(reader.bytes(count)?),
            Name | WholeName => {
                if matches!(field, Name) {
                    rdata.names_at.push(rdata.bytes.len());
                }
                rdata.bytes.extend_from_slice(reader.name()?.as_bytes());
            }
            Text => {
                let length = reader.u8()?;
                rdata.bytes.push(length);
                rdata.bytes.extend_from_slice(reader.bytes(length.into())?);
            }
            Rest => rdata.bytes.extend_from_slice(reader.bytes(end.checked_sub(reader.at())?)?),
        }
        // RFC 1035 section 3.2.1: RDLENGTH is the length of the rdata, whatever its parts say.
        if reader.at() > end {
            return None;
        }
    }
    (reader.at() == end).then_some(rdata)
}
