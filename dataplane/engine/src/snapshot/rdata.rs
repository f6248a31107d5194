//! From rdata to records that are ready to copy.

use super::edit::EditError;
use crate::limits::{RRSET_BYTES_MAX, RRSET_RECORDS_MAX};
use crate::name;
use crate::rtype::{self, CLASS_IN, types};

/// Owner of every stored record: a pointer to the question's name, which follows the header (RFC 1035 section 4.1.4).
const OWNER_IS_QNAME: [u8; 2] = [0xc0, 0x0c];

/// Most records of an RRset that are compared with each other one by one.
const COMPARED_MAX: usize = 16;

/// Renders an RRset's records in the place of what `records` had; equal rdata come once (RFC 2181 section 5). Returns their
/// number.
pub(super) fn render(rtype: u16, ttl: u32, rdatas: &[Vec<u8>], records: &mut Vec<u8>) -> Result<u16, EditError> {
    records.clear();
    let mut count = 0;
    let repeated = repeated(rdatas);
    for (index, rdata) in rdatas.iter().enumerate() {
        if repeated.get(index) == Some(&true) {
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

/// Which of several rdata have come before, each by its place; nothing where none has.
fn repeated(rdatas: &[Vec<u8>]) -> Vec<bool> {
    // Few are compared with each other faster than anything is made of them. Of thousands that would be millions of times.
    let has_earlier = |(index, rdata)| rdatas.iter().take(index).any(|earlier: &Vec<u8>| earlier == rdata);
    if rdatas.len() <= COMPARED_MAX && !rdatas.iter().enumerate().any(has_earlier) {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..rdatas.len()).collect();
    // Equal ones keep their order, so that the first of them stays.
    order.sort_by_key(|&index| rdatas.get(index));
    let mut repeated = vec![false; rdatas.len()];
    for (&earlier, &later) in order.iter().zip(order.iter().skip(1)) {
        if let Some(is_repeated) = repeated.get_mut(later) {
            *is_repeated = rdatas.get(earlier) == rdatas.get(later);
        }
    }
    repeated
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rdata_come_once_and_the_first_stays_whatever_their_number() {
        for count in [1_u8, 2, 16, 17, 200] {
            let once: Vec<Vec<u8>> = (0..count).rev().map(address).collect();
            let thrice: Vec<Vec<u8>> =
                once.iter().flat_map(|rdata| [rdata.clone(), once[0].clone(), rdata.clone()]).collect();
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            assert_eq!(render(types::A, 1, &once, &mut expected), Ok(u16::from(count)));
            assert_eq!(render(types::A, 1, &thrice, &mut found), Ok(u16::from(count)));
            assert_eq!(found, expected, "{count}");
        }
    }

    /// Rdata of an address.
    fn address(last: u8) -> Vec<u8> {
        vec![192, 0, 2, last]
    }
}
