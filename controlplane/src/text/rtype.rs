//! Record types and classes by their mnemonics, and by number in the forms of RFC 3597.

use std::borrow::Cow;

use hickory_proto::rr::RecordType;

use super::rdata::FORMATS;

/// Start of authority.
pub const SOA: u16 = 6;
/// Name server.
pub const NS: u16 = 2;
/// Canonical name.
pub const CNAME: u16 = 5;

/// The number of a type: a mnemonic in any case, or `TYPE65280`.
pub fn parse(text: &str) -> Option<u16> {
    if let Some(format) = FORMATS.iter().find(|format| format.mnemonic.eq_ignore_ascii_case(text)) {
        return Some(format.rtype);
    }
    if let Some(number) = numbered(text, "TYPE") {
        return Some(number);
    }
    match text.to_ascii_uppercase().parse().ok()? {
        // NOTE: hickory numbers ANAME, which was never assigned one.
        RecordType::ANAME | RecordType::ANY => None,
        known => Some(known.into()),
    }
}

/// The mnemonic of a type, or `TYPE65280`.
pub fn show(rtype: u16) -> Cow<'static, str> {
    if let Some(format) = FORMATS.iter().find(|format| format.rtype == rtype) {
        return Cow::Borrowed(format.mnemonic);
    }
    match RecordType::from(rtype) {
        RecordType::Unknown(_) | RecordType::ANAME | RecordType::ZERO => Cow::Owned(format!("TYPE{rtype}")),
        known => Cow::Borrowed(known.into()),
    }
}

/// True where records of a type can be stored: neither a query type nor a pseudo record (RFC 6895 section 3.1).
pub fn is_data(rtype: u16) -> bool {
    /// The pseudo record of EDNS.
    const OPT: u16 = 41;
    !matches!(rtype, 0 | OPT | 128..=255)
}

/// True for the class Internet: `IN` or `CLASS1`. Nothing where the text is no class.
pub fn is_internet(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("IN") {
        return Some(true);
    }
    if ["CH", "HS", "CS"].iter().any(|class| class.eq_ignore_ascii_case(text)) {
        return Some(false);
    }
    numbered(text, "CLASS").map(|class| class == 1)
}

/// The number behind a prefix in any case.
fn numbered(text: &str, prefix: &str) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if head.eq_ignore_ascii_case(prefix) && all_digits { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_and_numbers() {
        for (text, rtype) in
            [("A", 1), ("aaaa", 28), ("Https", 65), ("TYPE1", 1), ("type65280", 65280), ("DNAME", 39), ("DS", 43)]
        {
            assert_eq!(parse(text), Some(rtype), "{text}");
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE-1", "IN", "ANY", "ANAME", "FOO", "3600"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(show(1), "A");
        assert_eq!(show(64), "SVCB");
        assert_eq!(show(65280), "TYPE65280");
        for format in FORMATS {
            assert_eq!(parse(format.mnemonic), Some(format.rtype));
            assert_eq!(show(format.rtype), format.mnemonic);
        }
    }

    #[test]
    fn classes() {
        assert_eq!(is_internet("in"), Some(true));
        assert_eq!(is_internet("CLASS1"), Some(true));
        assert_eq!(is_internet("CH"), Some(false));
        assert_eq!(is_internet("CLASS42"), Some(false));
        assert_eq!(is_internet("A"), None);
    }

    #[test]
    fn what_cannot_be_stored() {
        assert!(is_data(1) && is_data(257) && is_data(65280));
        for rtype in [0, 41, 249, 250, 251, 252, 255] {
            assert!(!is_data(rtype), "{rtype}");
        }
    }
}
