//! The copy on disk: the keys and values as they were read last, for a start while etcd is away.
//!
//! A file of a header line, the pairs with their lengths, and a sum over all of it. It is written beside its name and then
//! renamed, so that a reader finds the former copy or the new one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::model::Pair;

/// What the file begins with; the number is that of its form.
const HEADER: &[u8] = b"ringdns etcd cache 1\n";

/// A copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// When it was known to be etcd's, in milliseconds since 1970.
    pub(super) contact_ms: u64,
    /// The revision of etcd that it is.
    pub(super) revision: i64,
    /// Keys and values.
    pub(super) pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a file is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum CacheError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was not written by this program, or damaged since.
    #[error("the file is damaged, or of another version")]
    Damaged,
}

/// FNV-1a over 64 bits: tells damage by accident, which is all that is asked of it.
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    /// Of no bytes.
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// With some bytes more.
    fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

/// Writes a copy.
pub(super) fn write(path: &Path, contact_ms: u64, revision: i64, pairs: &[Pair]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let file = File::create(beside)?;
    let mut sum = Sum::EMPTY;
    let mut writer = BufWriter::new(&file);
    let mut put = |bytes: &[u8]| {
        sum = sum.with(bytes);
        writer.write_all(bytes)
    };
    put(HEADER)?;
    put(&contact_ms.to_le_bytes())?;
    put(&revision.to_le_bytes())?;
    put(&(pairs.len() as u64).to_le_bytes())?;
    for (key, value) in pairs {
        for bytes in [key, value] {
            put(&(bytes.len() as u64).to_le_bytes())?;
            put(bytes)?;
        }
    }
    writer.write_all(&sum.0.to_le_bytes())?;
    writer.flush()?;
    drop(writer);
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Reads a copy; nothing where there is none yet.
pub(super) fn read(path: &Path) -> Result<Option<Copied>, CacheError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(bytes) => parse(&bytes).map(Some).ok_or(CacheError::Damaged),
    }
}

/// Takes a file apart.
fn parse(bytes: &[u8]) -> Option<Copied> {
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    if Sum::EMPTY.with(body).0 != u64::from_le_bytes(*sum) {
        return None;
    }
    let mut rest = body.strip_prefix(HEADER)?;
    let contact_ms = number(&mut rest)?;
    let revision = i64::from_le_bytes(number(&mut rest)?.to_le_bytes());
    let count = number(&mut rest)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push((piece(&mut rest)?, piece(&mut rest)?));
    }
    rest.is_empty().then_some(Copied { contact_ms, revision, pairs })
}

/// The next number.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_le_bytes(*number))
}

/// The next bytes that have their length before them.
fn piece(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (piece, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(piece.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/etcd.cache");
        assert_eq!(read(&path).unwrap(), None);
        let pairs: Vec<Pair> = vec![((*b"/a").into(), (*b"{}").into()), ((*b"/b\n").into(), (*b"").into())];
        write(&path, 7, 9, &pairs).unwrap();
        let plain = pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(read(&path).unwrap(), Some(Copied { contact_ms: 7, revision: 9, pairs: plain }));
        write(&path, 8, 10, &[]).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().pairs, []);
        assert!(!directory.path().join("new/etcd.cache.new").exists());
    }

    #[test]
    fn a_damaged_copy_is_refused_whatever_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c");
        write(&path, 7, 9, &[((*b"/a").into(), (*b"{}").into())]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for damaged in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[damaged] ^= 1;
            assert_eq!(parse(&bytes), None, "byte {damaged}");
            assert_eq!(parse(&whole[..damaged]), None, "cut at {damaged}");
        }
        std::fs::write(&path, b"x").unwrap();
        assert!(matches!(read(&path), Err(CacheError::Damaged)));
    }
}
