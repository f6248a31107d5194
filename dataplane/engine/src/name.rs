//! Owned names in wire form, as the control plane hands them over. Queries on the packet path use
//! [`QueryName`](crate::query::QueryName) instead, which borrows nothing and owns no memory.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};

/// An absolute name in uncompressed wire form, the root label included; case is kept, but no comparison sees it
/// (RFC 1035 section 2.3.3, RFC 4343).
#[derive(Clone)]
pub struct WireName(Box<[u8]>);

/// Why bytes or text are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Longer than 255 bytes on the wire.
    TooLong,
    /// A label of more than 63 bytes.
    LabelTooLong,
    /// A label without bytes: two dots in a row, or a dot at the start.
    EmptyLabel,
    /// A backslash at the end, or a decimal escape above 255.
    BadEscape,
    /// The bytes end before the root label.
    Truncated,
    /// Bytes follow the root label.
    TrailingBytes,
    /// A compression pointer or an unknown label type.
    LabelType,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::TooLong => "the name is longer than 255 bytes",
            NameError::LabelTooLong => "a label is longer than 63 bytes",
            NameError::EmptyLabel => "a label is empty",
            NameError::BadEscape => "a backslash escape is incomplete or above 255",
            NameError::Truncated => "the name ends before its root label",
            NameError::TrailingBytes => "bytes follow the name",
            NameError::LabelType => "a label has a compression pointer or an unknown type",
        })
    }
}

impl core::error::Error for NameError {}

impl WireName {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Takes exactly one uncompressed name.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NameError> {
        if name_length(bytes)? != bytes.len() {
            return Err(NameError::TrailingBytes);
        }
        Ok(Self(bytes.into()))
    }

    /// The name that starts `bytes`, and what follows it.
    pub fn split_wire(bytes: &[u8]) -> Result<(Self, &[u8]), NameError> {
        let (name, rest) = bytes.split_at_checked(name_length(bytes)?).ok_or(NameError::Truncated)?;
        Ok((Self(name.into()), rest))
    }

    /// The wire form, root label included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        Labels(&self.0)
    }

    /// The number of labels, without the root label.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; the root has no parent.
    pub fn parent(&self) -> Option<WireName> {
        Labels(&self.0).split().map(|(_, rest)| Self(rest.into()))
    }

    /// The name with one more label on the left.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let length = u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?;
        let mut bytes = Vec::with_capacity(1 + label.len() + self.0.len());
        bytes.push(length);
        bytes.extend_from_slice(label);
        bytes.extend_from_slice(&self.0);
        Self::from_wire(&bytes)
    }

    /// True for the name itself and for every name below it.
    pub fn contains(&self, other: &WireName) -> bool {
        let Some(surplus) = other.label_count().checked_sub(self.label_count()) else {
            return false;
        };
        let mut labels = Labels(&other.0);
        for _ in 0..surplus {
            labels.next();
        }
        labels.0.eq_ignore_ascii_case(&self.0)
    }

    /// The same name in lower case.
    pub fn to_lowercase(&self) -> Self {
        // Length octets are below 64 and so never upper-case letters.
        Self(self.0.to_ascii_lowercase().into())
    }

    /// True where the leftmost label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }
}

/// Length in bytes of the uncompressed name that starts `bytes`, the root label included.
pub(crate) fn name_length(bytes: &[u8]) -> Result<usize, NameError> {
    let mut length = 0;
    loop {
        match bytes.get(length) {
            None => return Err(NameError::Truncated),
            Some(0) if length < NAME_BYTES_MAX => return Ok(length + 1),
            Some(&label) if usize::from(label) <= LABEL_BYTES_MAX => length += 1 + usize::from(label),
            Some(_) => return Err(NameError::LabelType),
        }
        if length >= NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
    }
}

/// Iterates over the labels of a validated name.
struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// The leftmost label and the name after it; nothing for the root.
    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        match self.0 {
            [0, ..] | [] => None,
            [length, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (label, rest) = self.split()?;
        self.0 = rest;
        Some(label)
    }
}

impl FromStr for WireName {
    type Err = NameError;

    /// Reads presentation form (RFC 1035 section 5.1): `\X`, `\DDD`; the dot at the end may be missing.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut bytes = vec![0];
        let mut label_start = 0;
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'.' {
                close_label(&mut bytes, label_start)?;
                label_start = bytes.len();
                bytes.push(0);
            } else {
                bytes.push(if byte == b'\\' { unescape(&mut rest)? } else { byte });
            }
        }
        if bytes.len() == label_start + 1 {
            // The text ended in a dot, or was empty.
            return if label_start == 0 { Err(NameError::EmptyLabel) } else { Self::from_wire(&bytes) };
        }
        close_label(&mut bytes, label_start)?;
        bytes.push(0);
        Self::from_wire(&bytes)
    }
}

/// Writes the length octet of the label that ends `bytes`.
fn close_label(bytes: &mut [u8], label_start: usize) -> Result<(), NameError> {
    let length = bytes.len() - label_start - 1;
    match (u8::try_from(length), bytes.get_mut(label_start)) {
        (Ok(0), _) => Err(NameError::EmptyLabel),
        (Ok(octet), Some(slot)) if length <= LABEL_BYTES_MAX => {
            *slot = octet;
            Ok(())
        }
        _ => Err(NameError::LabelTooLong),
    }
}

/// Reads what follows a backslash.
fn unescape(rest: &mut core::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = rest.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = rest.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if self.0.len() == 1 {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", char::from(byte))?,
                    0x21..=0x7e => f.write_char(char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for WireName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for WireName {}

impl Hash for WireName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // In one piece: hashers take a byte at a time at many times the price.
        let mut lower = [0; NAME_BYTES_MAX];
        let Some(lower) = lower.get_mut(..self.0.len()) else { return };
        lower.copy_from_slice(&self.0);
        lower.make_ascii_lowercase();
        state.write(lower);
    }
}

impl Ord for WireName {
    /// Canonical order: labels from the right, bytes in lower case (RFC 4034 section 6.1).
    fn cmp(&self, other: &Self) -> Ordering {
        let mine: Vec<&[u8]> = self.labels().collect();
        let theirs: Vec<&[u8]> = other.labels().collect();
        for (mine, theirs) in mine.iter().rev().zip(theirs.iter().rev()) {
            let [mine, theirs] = [mine, theirs].map(|label| label.iter().map(u8::to_ascii_lowercase));
            let order = mine.cmp(theirs);
            if order != Ordering::Equal {
                return order;
            }
        }
        mine.len().cmp(&theirs.len())
    }
}

impl PartialOrd for WireName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> WireName {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_wire_agree() {
        for (text, wire) in [
            (".", &b"\0"[..]),
            ("example.", b"\x07example\0"),
            ("Www.Example.", b"\x03Www\x07Example\0"),
            ("a\\.b.c.", b"\x03a.b\x01c\0"),
            ("\\000\\255.c.", b"\x02\x00\xff\x01c\0"),
        ] {
            assert_eq!(name(text).as_bytes(), wire, "{text}");
            assert_eq!(name(text).to_string(), text);
            assert_eq!(WireName::from_wire(wire).unwrap(), name(text));
        }
        assert_eq!(name("example").as_bytes(), b"\x07example\0", "the last dot may be missing");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, error) in [
            ("", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            ("a\\", NameError::BadEscape),
            ("a\\25", NameError::BadEscape),
            ("a\\256", NameError::BadEscape),
        ] {
            assert_eq!(text.parse::<WireName>().unwrap_err(), error, "{text:?}");
        }
        assert_eq!("x".repeat(64).parse::<WireName>(), Err(NameError::LabelTooLong));
        assert!("x".repeat(63).parse::<WireName>().is_ok());
        assert_eq!("a.".repeat(128).parse::<WireName>(), Err(NameError::TooLong));
        assert_eq!(name(&"a.".repeat(127)).as_bytes().len(), 255);
        assert_eq!(WireName::from_wire(b"\x01a"), Err(NameError::Truncated));
        assert_eq!(WireName::from_wire(b"\x01a\0b"), Err(NameError::TrailingBytes));
        assert_eq!(WireName::from_wire(b"\xc0\x0c"), Err(NameError::LabelType));
    }

    #[test]
    fn names_compare_without_case() {
        assert_eq!(name("WWW.example."), name("www.EXAMPLE."));
        assert!(name("example.").contains(&name("www.Example.")));
        assert!(name("example.").contains(&name("example.")));
        assert!(name(".").contains(&name("example.")));
        assert!(!name("example.").contains(&name("badexample.")));
        assert!(!name("www.example.").contains(&name("example.")));
    }

    #[test]
    fn canonical_order_is_that_of_rfc_4034() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn parents_and_children() {
        assert_eq!(name("www.example.").parent(), Some(name("example.")));
        assert_eq!(name(".").parent(), None);
        assert_eq!(name("example.").child(b"*").unwrap(), name("*.example."));
        assert!(name("*.example.").is_wildcard());
        assert!(!name("a.*.example.").is_wildcard());
    }
}
