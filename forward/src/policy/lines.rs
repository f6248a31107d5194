//! Files line by line, and names as they stand in them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

/// Most bytes of a line: hosts files have some names on each.
const LINE_BYTES_MAX: usize = 16 << 10;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Most bytes of a name, and of a label of it (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// See above.
const LABEL_BYTES_MAX: usize = 63;

/// Reads a file and gives each line with its number, counted from 1; nothing for a line that is too long.
pub(super) fn each(path: &Path, mut take: impl FnMut(usize, Option<&[u8]>)) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    let (mut line, mut is_long, mut number) = (Vec::with_capacity(256), false, 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            if !line.is_empty() || is_long {
                take(number + 1, Some(&*line).filter(|_| !is_long));
            }
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        is_long |= line.len() + piece.len() > LINE_BYTES_MAX;
        if !is_long {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        if end.is_some() {
            number += 1;
            take(number, Some(&*line).filter(|_| !is_long));
            line.clear();
            is_long = false;
        }
        reader.consume(used);
    }
}

/// A name in wire form and in lower case, without memory of its own.
pub(super) struct Name {
    /// Its bytes.
    bytes: [u8; NAME_BYTES_MAX],
    /// How many.
    length: usize,
}

impl Name {
    /// Reads a name without escapes, with a dot at its end or without one. It has a label at least, and only bytes that are seen.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut name = Self { bytes: [0; NAME_BYTES_MAX], length: 0 };
        for label in text.split(|byte| *byte == b'.') {
            let is_right = |byte: &u8| byte.is_ascii_graphic() && !b"\\\"();@$,/:|^*".contains(byte);
            if label.is_empty() || label.len() > LABEL_BYTES_MAX || !label.iter().all(is_right) {
                return None;
            }
            name.put(&[u8::try_from(label.len()).ok()?])?;
            name.put(label)?;
        }
        name.put(&[0])?;
        Some(name)
    }

    /// Adds bytes in lower case; nothing where there is no room.
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let room = self.bytes.get_mut(self.length..self.length + bytes.len())?;
        room.copy_from_slice(bytes);
        room.make_ascii_lowercase();
        self.length += bytes.len();
        Some(())
    }

    /// Its wire form.
    pub(super) fn wire(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The name itself and what it is below, the longest first, each with the byte where it begins; the root is the last.
pub(super) fn suffixes(name: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let at = next?;
        let rest = name.get(at..)?;
        next = match rest.first() {
            Some(&length) if length > 0 => Some(at + 1 + usize::from(length)),
            _ => None,
        };
        (!rest.is_empty()).then_some((at, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_taken_apart() {
        assert_eq!(Name::read(b"A.Example.").unwrap().wire(), b"\x01a\x07example\0");
        let long = [b'a'; 64];
        for text in [&b""[..], b".", b"a..b", b".a", b"a b", b"||a^", b"a\\.b", b"\xc3\xa4.de", &long] {
            assert!(Name::read(text).is_none(), "{text:?}");
        }
        let most = [&long[..63], &long[..63], &long[..63], &long[..61]].join(&b'.');
        assert_eq!(Name::read(&most).unwrap().wire().len(), 255);
        assert!(Name::read(&[&most[..], b"a"].concat()).is_none());
        let found: Vec<_> = suffixes(b"\x01a\x07example\0").collect();
        assert_eq!(found, [(0, &b"\x01a\x07example\0"[..]), (2, b"\x07example\0"), (10, b"\0")]);
    }

    #[test]
    fn lines_are_counted_and_long_ones_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = "x".repeat(READ_BYTES + 5);
        std::fs::write(file.path(), format!("a\n\n{long}\nb\r\nc")).unwrap();
        let mut lines = Vec::new();
        each(file.path(), |number, line| lines.push((number, line.map(<[u8]>::to_vec)))).unwrap();
        let expected = [(1, Some("a")), (2, Some("")), (3, None), (4, Some("b\r")), (5, Some("c"))];
        assert_eq!(lines, expected.map(|(number, line)| (number, line.map(|line| line.as_bytes().to_vec()))));
        assert!(each(Path::new("/nonexistent"), |_, _| {}).is_err());
    }
}
