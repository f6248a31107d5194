//! The cache's file: what was known before a restart is known after it, as much older as the restart took.
//!
//! ```text
//! "ringdns cache 1\n" | entries | 0 | checksum u64
//! entry: bytes of the name u8 (never 0), name, type u16, bits u8, rcode u16, answers u16, authorities u16,
//!        fetched u32, TTL u32, stale u32, TTLs u16, their places, pointers u16, theirs, bytes of records u16, records
//! ```
//!
//! Numbers have their highest byte first. The newest entries stand last, so that they are the newest after reading too.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ringdns_engine::cache::{CacheKey, CachedAnswer, EntryBits};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{ForeignQuestion, KeptAnswer, name_hash};

use crate::keep::Keeper;

/// How a file begins: with its version.
const MAGIC: &[u8] = b"ringdns cache 1\n";

/// Bytes of the checksum.
const SUM_BYTES: usize = 8;

/// Bits of entries by their places in the file, which are not those of memory.
const BITS: [EntryBits; 5] =
    [EntryBits::DNSSEC_OK, EntryBits::CHECKING_DISABLED, EntryBits::AUTHENTIC, EntryBits::NEGATIVE, EntryBits::FAILURE];

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
enum BadFile {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is another file, or of another version.
    #[error("it is no cache of this version")]
    Other,
    /// It is cut off, or was changed.
    #[error("its checksum is wrong")]
    Damaged,
}

/// Says whether the answer to a question would be kept now.
type MayKeep<'a> = &'a dyn Fn(&ForeignQuestion) -> bool;

/// Puts what a file holds into the cache; a file that is not good is named and passed over. None is no mistake.
pub(crate) fn load(path: &Path, keeper: &Keeper, now_seconds: u32, may_keep: MayKeep<'_>) {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        read => read.map_err(BadFile::from),
    };
    match bytes.and_then(|bytes| put(&bytes, keeper, now_seconds, may_keep)) {
        Ok(entries) => tracing::info!(path = %path.display(), entries, "the cache's file was read"),
        Err(error) => {
            tracing::warn!(path = %path.display(), "the cache's file is not used: {error}; it is written anew at the end");
        }
    }
}

/// Writes what can still be given into a file: under another name first, so that there is a whole one at any time.
pub(crate) fn save(path: &Path, keeper: &Keeper, now_seconds: u32) {
    let bytes = take(keeper, now_seconds);
    match write(path, &bytes) {
        Ok(()) => tracing::info!(path = %path.display(), bytes = bytes.len(), "the cache's file was written"),
        Err(error) => tracing::error!(
            path = %path.display(),
            "the cache's file cannot be written: {error}; make its folder writable, or take file out of [cache]"
        ),
    }
}

/// Writes a file as a whole.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What the cache holds, as a file.
fn take(keeper: &Keeper, now_seconds: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    keeper.desk().retain(|name, head, answer| {
        if head.is_fresh(now_seconds) || head.is_stale_but_good(now_seconds) {
            append(&mut bytes, name, head.qtype, answer);
        }
        true
    });
    bytes.push(0);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Writes an entry.
fn append(bytes: &mut Vec<u8>, name: &[u8], qtype: u16, answer: &CachedAnswer<'_>) {
    // What the cache holds has lengths of two bytes, and a name of one.
    let (Ok(name_bytes), Ok(body_bytes)) = (u8::try_from(name.len()), u16::try_from(answer.body.len())) else { return };
    let bits =
        BITS.iter().enumerate().filter(|(_, bit)| answer.bits.has(**bit)).fold(0, |all, (at, _)| all | 1u8 << at);
    let [answers, authorities] = answer.counts;
    bytes.push(name_bytes);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.push(bits);
    for number in [answer.rcode, answers, authorities] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for number in [answer.fetched_seconds, answer.ttl_seconds, answer.stale_seconds] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for places in [answer.ttl_places, answer.pointer_places] {
        bytes.extend_from_slice(&u16::try_from(places.len()).unwrap_or(u16::MAX).to_be_bytes());
        places.iter().for_each(|place| bytes.extend_from_slice(&place.to_be_bytes()));
    }
    bytes.extend_from_slice(&body_bytes.to_be_bytes());
    bytes.extend_from_slice(answer.body);
}

/// Puts what a file holds into the cache; gives the number of entries.
fn put(bytes: &[u8], keeper: &Keeper, now_seconds: u32, may_keep: MayKeep<'_>) -> Result<usize, BadFile> {
    let entries = bytes.strip_prefix(MAGIC).ok_or(BadFile::Other)?;
    let (entries, sum) = entries.split_last_chunk::<SUM_BYTES>().ok_or(BadFile::Damaged)?;
    let summed = bytes.get(..bytes.len() - SUM_BYTES).unwrap_or_default();
    if checksum(summed) != u64::from_be_bytes(*sum) {
        return Err(BadFile::Damaged);
    }
    let snapshot = keeper.snapshot();
    let mut desk = keeper.desk();
    let mut left = Entries(entries);
    let mut count = 0;
    while let Some((name, qtype, mut answer)) = left.next().ok_or(BadFile::Damaged)? {
        // A clock that was set back in the meantime does not make it younger than now.
        answer.fetched_seconds = answer.fetched_seconds.min(now_seconds);
        let age = now_seconds - answer.fetched_seconds;
        let lives = answer.ttl_seconds.saturating_add(answer.stale_seconds);
        let client = Ipv4Addr::UNSPECIFIED.into();
        let question = ForeignQuestion { name: name.clone(), qtype, bits: answer.bits, client };
        if age >= lives || crate::ours::is_served(&snapshot, &name) || !may_keep(&question) {
            continue;
        }
        let name_hash = name_hash(&snapshot, &name);
        let key = CacheKey { name_hash, name: name.as_bytes(), qtype, bits: answer.bits };
        count += usize::from(desk.insert(&key, &answer.as_cached()).is_ok());
    }
    Ok(count)
}

/// Entries that are left to be read.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    /// The next one; the inner nothing at the end, the outer where it is cut off.
    fn next(&mut self) -> Option<Option<(WireName, u16, KeptAnswer)>> {
        let name_bytes = self.u8()?;
        if name_bytes == 0 {
            return self.0.is_empty().then_some(None);
        }
        let name = WireName::from_wire(self.bytes(name_bytes.into())?).ok()?.to_lowercase();
        let (qtype, bits) = (self.u16()?, self.u8()?);
        let set = BITS.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0);
        let bits = set.fold(EntryBits::default(), |all, (_, bit)| all.and(*bit));
        let (rcode, counts) = (self.u16()?, [self.u16()?, self.u16()?]);
        let (fetched_seconds, ttl_seconds, stale_seconds) = (self.u32()?, self.u32()?, self.u32()?);
        let (ttl_places, pointer_places) = (self.places()?, self.places()?);
        let body_bytes = self.u16()?;
        let body = self.bytes(body_bytes.into())?.to_vec();
        let answer = KeptAnswer {
            bits,
            rcode,
            counts,
            body,
            ttl_places,
            pointer_places,
            fetched_seconds,
            ttl_seconds,
            stale_seconds,
        };
        Some(Some((name, qtype, answer)))
    }

    /// The next places.
    fn places(&mut self) -> Option<Vec<u16>> {
        let count = self.u16()?;
        (0..count).map(|_| self.u16()).collect()
    }

    /// The next bytes.
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next byte.
    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// The next number of two bytes.
    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The next number of four bytes.
    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// FNV-1a of 64 bits: it finds what a disk or a full one does; who can write the file can do other things too.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
