//! Names of Pods: an address with dashes in the place of its dots or colons.

use core::net::{IpAddr, Ipv6Addr};

use crate::limits::LABEL_BYTES_MAX;

/// The label to the left of which namespaces have their Pods, in wire form.
pub(super) const POD: &[u8] = b"\x03pod";

/// The address that a label in lower case names. Four numbers with single dashes between them are an IPv4 address; anything
/// else is read as one of IPv6.
pub(super) fn address(label: &[u8]) -> Option<IpAddr> {
    let is_doubled = label.windows(2).any(|pair| pair == b"--");
    match label.iter().filter(|&&byte| byte == b'-').count() {
        3 if !is_doubled => ipv4(label).map(IpAddr::from),
        _ => ipv6(label).map(IpAddr::from),
    }
}

/// `a-b-c-d`: four decimal numbers of up to 255, without zeros in front.
fn ipv4(label: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = label.split(|&byte| byte == b'-');
    for octet in &mut octets {
        *octet = match parts.next()? {
            [b'0', _, ..] | [] => return None,
            digits => digits.iter().try_fold(0u8, |number, digit| {
                let digit = digit.checked_sub(b'0').filter(|&digit| digit <= 9)?;
                number.checked_mul(10)?.checked_add(digit)
            })?,
        };
    }
    Some(octets)
}

/// The text form of RFC 4291 section 2.2 with dashes for colons; the form that ends in an IPv4 address has dots.
fn ipv6(label: &[u8]) -> Option<Ipv6Addr> {
    let mut text = [0; LABEL_BYTES_MAX];
    let text = text.get_mut(..label.len())?;
    for (to, from) in text.iter_mut().zip(label) {
        *to = match from {
            b'-' => b':',
            digit if digit.is_ascii_hexdigit() => *digit,
            _ => return None,
        };
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_the_addresses_that_they_name() {
        for (label, expected) in [
            ("10-240-0-1", "10.240.0.1"),
            ("0-0-0-0", "0.0.0.0"),
            ("255-255-255-255", "255.255.255.255"),
            ("2001-db8--1", "2001:db8::1"),
            ("fd00--0", "fd00::"),
            ("--", "::"),
            ("--1", "::1"),
            ("1-2-3-4-5-6-7-8", "1:2:3:4:5:6:7:8"),
            ("1--3-4", "1::3:4"),
            ("fe80-0-0-0-0-0-0-abcd", "fe80::abcd"),
        ] {
            assert_eq!(address(label.as_bytes()), Some(expected.parse().unwrap()), "{label}");
        }
    }

    #[test]
    fn other_labels_are_no_addresses() {
        for label in [
            "",
            "blah",
            "-",
            "---",
            "1-2-3",
            "1-2-3-4-5",
            "256-0-0-1",
            "01-2-3-4",
            "1-2-3-",
            "-1-2-3",
            "1-2-3-a",
            "a-b-c-d",
            "1--2--3",
            "12345--1",
            "1-2-3-4-5-6-7-8-9",
            "1-2-3-4-5-6-7",
            "--1.2.3.4",
            "1.2.3.4",
            "1.2-3-4-5",
            "fe80--1%1",
        ] {
            assert_eq!(address(label.as_bytes()), None, "{label}");
        }
        assert_eq!(address(&[b'1'; 63]), None);
        assert_eq!(address(&[b'-'; 63]), None);
        assert_eq!(address(&[0xff, b'-', b'-']), None);
    }
}
