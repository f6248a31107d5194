//! From rdata to records that are ready to copy.

use super::edit::EditError;
use crate::limits::{RRSET_BYTES_MAX, RRSET_RECORDS_MAX};
use crate::name;
use crate::rtype::{self, CLASS_IN, types};

/// Owner of every stored record: a pointer to the question's name, which follows the header (RFC 1035 section 4.1.4).
const OWNER_IS_QNAME: [u8; 2] = [0xc0, 0x0c];

/// Renders an RRset's records in the place of what `records` had; equal rdata come once (RFC 2181 section 5). Returns their
/// number.
pub(super) fn render(rtype: u16, ttl: u32, rdatas: &[Vec<u8>], records: &mut Vec<u8>) -> Result<u16, EditError> {
    records.clear();
    let mut count = 0;
    for (index, rdata) in rdatas.iter().enumerate() {
        if rdatas.iter().take(index).any(|earlier| earlier == rdata) {
            continue;
        }
        check(rtype, rdata)?;
        let length = u16::try_from(rdata.len()).map_err(|_| EditError::TooLarge)?;
        let [o1, o2] = OWNER_IS_QNAME;
        let ([t1, t2], [c1, c2], [l1, l2]) = (rtype.to_be_bytes(), CLASS_IN.to_be_bytes(), length.to_be_bytes());
        let [s1, s2, s3, s4] = ttl.to_be_bytes();
        records.extend_from_slice(&[o1, o2, t1, t2, c1, c2, s1, s2, s3, s4, l1, l2]);
        records.extend_from_slice(rdata);
        count += 1;
    }
    if count == 0 {
        return Err(EditError::Empty);
    }
    if records.len() > RRSET_BYTES_MAX || usize::from(count) > RRSET_RECORDS_MAX {
        return Err(EditError::TooLarge);
    }
    Ok(count)
}

/// Checks what the packet path relies on: lengths that a type prescribes, and names that it must read.
fn check(rtype: u16, rdata: &[u8]) -> Result<(), EditError> {
    // RFC 6895 section 3.1: type 0 is reserved, OPT and types from 128 to 255 are no types of data.
    if matches!(rtype, 0 | types::OPT | 128..=255) {
        return Err(EditError::NoDataType);
    }
    if rtype::rdata_length(rtype).is_some_and(|length| length != rdata.len()) {
        return Err(EditError::RdataMalformed);
    }
    let Some(layout) = rtype::rdata_names(rtype) else {
        return Ok(());
    };
    let mut rest = rdata.get(layout.prefix_bytes..).ok_or(EditError::RdataMalformed)?;
    for _ in 0..layout.names {
        let length = name::name_length(rest).map_err(|_| EditError::RdataMalformed)?;
        rest = rest.get(length..).ok_or(EditError::RdataMalformed)?;
    }
    if rest.len() == layout.suffix_bytes { Ok(()) } else { Err(EditError::RdataMalformed) }
}
