//! A name taken apart on the packet path: lower-cased and cut into labels.

use crate::hash::Seed;
use crate::limits::{LABEL_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX};
use crate::machine::BLOCK_BYTES;
use crate::verdict::Reason;

/// Bytes made lower-case at once.
const CHUNK: usize = BLOCK_BYTES;

/// Bytes kept after the longest name: two blocks can be read from where its last byte is.
const PADDING: usize = 2 * CHUNK + 1;

/// A name in working memory that is reused for ever: filled by [`QueryName::take`].
///
/// A suffix is named by its depth: its number of labels without the root label. Depth 0 is the root, depth
/// [`QueryName::depth`] the whole name.
pub struct QueryName {
    /// The name in lower case, and stale bytes after it.
    lower: [u8; NAME_BYTES_MAX + PADDING],
    /// Bytes of the name, root label included.
    length: usize,
    /// Number of labels without the root label.
    labels: usize,
    /// Where each label starts, from left to right; the root label's place comes last.
    starts: [u8; LABELS_MAX + 1],
}

impl Default for QueryName {
    fn default() -> Self {
        Self { lower: [0; NAME_BYTES_MAX + PADDING], length: 1, labels: 0, starts: [0; LABELS_MAX + 1] }
    }
}

impl QueryName {
    /// Takes the uncompressed name that starts `bytes`; returns its length in bytes, root label included.
    // Not inlined: in the middle of a long function its loops would not get registers enough.
    #[inline(never)]
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        self.cut(bytes)?;
        self.fold_case(bytes);
        Ok(self.length)
    }

    /// Finds where the labels start.
    #[inline]
    fn cut(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let mut position = 0;
        for (labels, start) in self.starts.iter_mut().enumerate() {
            let Some(&octet) = bytes.get(position) else { return Err(Reason::NameTruncated) };
            // `position` is below NAME_BYTES_MAX, checked where it grows.
            *start = u8::try_from(position).unwrap_or(u8::MAX);
            match usize::from(octet) {
                0 => {
                    self.length = position + 1;
                    self.labels = labels;
                    return Ok(());
                }
                length if length <= LABEL_BYTES_MAX => position += 1 + length,
                // RFC 1035 section 4.1.4 allows a pointer to a prior name only, and a question has none before it.
                _ => return Err(Reason::NameCompressed),
            }
            // RFC 1035 section 2.3.4: "names 255 octets or less"; the root label's octet is still to come.
            if position >= NAME_BYTES_MAX {
                break;
            }
        }
        Err(Reason::NameTooLong)
    }

    /// Copies the name in lower case, sixteen bytes at a time. Length octets stay: they are below 'A'.
    #[inline]
    fn fold_case(&mut self, bytes: &[u8]) {
        let mut done = 0;
        while done < self.length {
            // The last chunk may begin before what is done, so as to end with the message.
            let start = done.min(bytes.len().saturating_sub(CHUNK));
            let (Some(from), Some(to)) = (
                bytes.get(start..).and_then(<[u8]>::first_chunk::<CHUNK>),
                self.lower.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<CHUNK>),
            ) else {
                return self.fold_case_short(bytes);
            };
            *to = from.map(lowercase);
            done = start + CHUNK;
        }
    }

    /// Copies the name in lower case where the message ends less than sixteen bytes after the name's start.
    #[cold]
    fn fold_case_short(&mut self, bytes: &[u8]) {
        for (to, from) in self.lower.iter_mut().zip(bytes).take(self.length) {
            *to = lowercase(*from);
        }
    }

    /// Number of labels, without the root label.
    #[inline]
    pub fn depth(&self) -> usize {
        self.labels
    }

    /// The whole name in lower case.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.lower.get(..self.length).unwrap_or_default()
    }

    /// Where the suffix of `depth` labels starts within the name, in bytes.
    #[inline]
    pub fn start(&self, depth: usize) -> usize {
        let left = self.labels.saturating_sub(depth);
        self.starts.get(left).map_or(0, |&start| usize::from(start))
    }

    /// The suffix of `depth` labels in lower case.
    #[inline]
    pub fn suffix(&self, depth: usize) -> &[u8] {
        self.lower.get(self.start(depth)..self.length).unwrap_or_default()
    }

    /// The key of the suffix of `depth` labels: the hash of the name that it is.
    #[inline]
    pub fn key(&self, depth: usize, seed: &Seed) -> u64 {
        let start = self.start(depth);
        seed.name(self.lower.get(start..).unwrap_or_default(), self.length.saturating_sub(start))
    }
}

/// An ASCII letter in lower case, any other byte as it is; without a branch, so that sixteen are done at once.
#[inline]
fn lowercase(byte: u8) -> u8 {
    byte | (u8::from(byte.wrapping_sub(b'A') < 26) << 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &[u8]) -> QueryName {
        let mut name = QueryName::default();
        name.take(bytes).unwrap();
        name
    }

    #[test]
    fn suffixes_are_named_by_their_depth() {
        let name = taken(b"\x03WwW\x07eXample\x03COM\0\x00\x01\x00\x01");
        assert_eq!(name.depth(), 3);
        assert_eq!(name.bytes(), b"\x03www\x07example\x03com\0");
        assert_eq!(name.suffix(3), name.bytes());
        assert_eq!(name.suffix(2), b"\x07example\x03com\0");
        assert_eq!(name.suffix(0), b"\0");
        assert_eq!(name.start(2), 4);
    }

    #[test]
    fn a_suffix_has_the_key_of_the_same_name_alone() {
        let whole = taken(b"\x03www\x07example\x03com\0");
        let parent = taken(b"\x07EXAMPLE\x03com\0 anything");
        let seed = Seed::random();
        assert_eq!(whole.key(2, &seed), parent.key(2, &seed));
        assert_ne!(whole.key(3, &seed), parent.key(2, &seed));
    }

    #[test]
    fn reuse_leaves_nothing_behind() {
        let mut name = taken(b"\x14aaaaaaaaaaaaaaaaaaaa\x03com\0");
        name.take(b"\x01b\0").unwrap();
        assert_eq!(name.bytes(), b"\x01b\0");
        let seed = Seed::random();
        assert_eq!(name.key(1, &seed), taken(b"\x01B\0").key(1, &seed));
        name.take(b"\0").unwrap();
        assert_eq!((name.depth(), name.bytes()), (0, &b"\0"[..]));
    }

    #[test]
    fn names_of_every_length_up_to_the_longest() {
        for length in 1..=63 {
            for tail in 0..10 {
                let mut bytes = vec![b'Q'; length + 1];
                bytes[0] = u8::try_from(length).unwrap();
                bytes.push(0);
                let end = bytes.len();
                bytes.resize(end + tail, b'T');
                assert_eq!(taken(&bytes).bytes(), bytes[..end].to_ascii_lowercase());
            }
        }
        let mut longest = b"\x01A".repeat(127);
        longest.push(0);
        assert_eq!(taken(&longest).depth(), 127);
        assert_eq!(taken(&longest).bytes(), longest.to_ascii_lowercase());
    }

    #[test]
    fn bad_names_are_refused_by_reason() {
        let mut too_long = b"\x3f".to_vec();
        too_long.extend([b'a'; 63]);
        let mut too_long = too_long.repeat(4);
        too_long.push(0);
        for (bytes, reason) in [
            (&b""[..], Reason::NameTruncated),
            (b"\x03ww", Reason::NameTruncated),
            (b"\x03www", Reason::NameTruncated),
            (b"\x03www\xc0\x0c", Reason::NameCompressed),
            (b"\xc0\x0c", Reason::NameCompressed),
            (b"\x40a\0", Reason::NameCompressed),
            (b"\x80a\0", Reason::NameCompressed),
            (&too_long, Reason::NameTooLong),
        ] {
            assert_eq!(QueryName::default().take(bytes), Err(reason), "{bytes:?}");
        }
    }
}
