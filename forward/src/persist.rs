//! The cache's file: what was known before a restart is known after it, as much older as the restart took.
//!
//! ```text
//! "ringdns cache 1\n" | entries | 0 | checksum u64
//! entry: bytes of the name u8 (never 0), name, type u16, bits u8, rcode u16, answers u16, authorities u16,
//!        fetched u32, TTL u32, stale u32, TTLs u16, their places, pointers u16, theirs, bytes of records u16, records
//! ```
//!
//! Numbers have their highest byte first. The newest entries stand last, so that they are the newest after reading too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use ringdns_engine::cache::{CacheCounts, CacheKey, EntryBits, EntryHead};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{ForeignQuestion, KeptAnswer, name_hash};
use tokio::time::Instant;

use crate::flight::Core;
use crate::forwarder::Entry;
use crate::keep::Keeper;

/// How often it is looked whether it is time to write.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// The checksum of no bytes.
const SUM_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// How a file begins: with its version.
const MAGIC: &[u8] = b"ringdns cache 1\n";

/// Bytes of the checksum.
const SUM_BYTES: usize = 8;

/// How many bytes of the file there are at most for one of the cache: an IPv4 address takes 4 there, and here 20 as a record of 16 with
/// the places of its TTL and of its pointer. Nothing else grows as much.
const FILE_BYTES_PER_CACHE_BYTE: u64 = 5;

/// Bytes of the file that are there for no entry, and some more.
const FILE_BYTES_MORE: u64 = 64 << 10;

/// The file's mode: its owner reads it alone, since it says what is asked for here.
const MODE: u32 = 0o600;

/// Bits of entries by their places in the file, which are not those of memory.
const BITS: [EntryBits; 5] =
    [EntryBits::DNSSEC_OK, EntryBits::CHECKING_DISABLED, EntryBits::AUTHENTIC, EntryBits::NEGATIVE, EntryBits::FAILURE];

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
enum BadFile {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a pipe, a device or a folder.
    #[error("it is no file of bytes")]
    NoFile,
    /// It has more bytes than could have been written from a cache of this size.
    #[error("it has more than the {0} bytes that a cache of cache.size_mib takes in a file")]
    TooLarge(u64),
    /// It is another file, or of another version.
    #[error("it is no cache of this version")]
    Other,
    /// It is cut off, or was changed.
    #[error("its checksum is wrong")]
    Damaged,
}

/// Says whether the answer to a question would be kept now.
type MayKeep<'a> = &'a dyn Fn(&ForeignQuestion, &Entry) -> bool;

/// Puts what a file holds into the cache; a file that is not good is named and passed over. None is no mistake.
pub(crate) fn load(path: &Path, keeper: &Keeper, now_seconds: u32, may_keep: MayKeep<'_>) {
    let bytes = match read(path, keeper.bytes()) {
        Err(BadFile::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => return,
        read => read,
    };
    match bytes.and_then(|bytes| put(&bytes, keeper, now_seconds, may_keep)) {
        Ok(entries) => tracing::info!(path = %path.display(), entries, "the cache's file was read"),
        Err(error) => {
            tracing::warn!(path = %path.display(), "the cache's file is not used: {error}; it is written anew");
        }
    }
}

/// What is in a file, where a cache of so many bytes can have been written into it: what has grown by mistake, or has no end, must not
/// take the machine's memory.
fn read(path: &Path, cache_bytes: usize) -> Result<Vec<u8>, BadFile> {
    // Before it is opened, since a pipe would have us wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(BadFile::NoFile);
    }
    let cache_bytes = u64::try_from(cache_bytes).unwrap_or(u64::MAX);
    let bytes_max = cache_bytes.saturating_mul(FILE_BYTES_PER_CACHE_BYTE).saturating_add(FILE_BYTES_MORE);
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > bytes_max {
        return Err(BadFile::TooLarge(bytes_max));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // What comes to it in the meantime is cut off, which its checksum tells.
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes the cache's file from time to time, as long as there is a forwarder: what is lost with the process, or the machine, is what
/// was asked for since. It has a thread of its own while it does.
pub(crate) async fn run(core: Weak<Core>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut saved_at, mut saved) = (Instant::now(), None);
    loop {
        ticks.tick().await;
        let Some(core) = core.upgrade().filter(|core| !core.is_stopped.load(Ordering::Acquire)) else { return };
        let settings = core.settings.get();
        if settings.config.cache.file.is_none() {
            return;
        }
        let interval = settings.config.cache.file_interval;
        if interval.is_zero() || saved_at.elapsed() < interval {
            continue;
        }
        saved_at = Instant::now();
        let CacheCounts { inserted, removed, .. } = core.keeper.desk().counts();
        // What nothing has come to, or gone from, is in the file.
        if saved.replace((inserted, removed)) != Some((inserted, removed)) {
            let writing = tokio::task::spawn_blocking(move || {
                // Whoever ends the forwarder writes it all the same, and is not to wait for this one.
                save(&core, || !core.is_stopped.load(Ordering::Acquire));
            });
            // Only a panic, which has told of itself.
            drop(writing.await);
        }
    }
}

/// Writes the cache's file at the end.
pub(crate) fn save_at_end(core: &Core) {
    save(core, || true);
}

/// Writes what can still be given into the cache's file, if there is one to be: under another name first, so that there is a whole
/// one at any time. Nothing is changed where it is not to go on before the end is reached.
fn save(core: &Core, goes_on: impl Fn() -> bool) {
    let settings = core.settings.get();
    let Some(path) = &settings.config.cache.file else { return };
    let _saving = core.saving.lock().unwrap_or_else(PoisonError::into_inner);
    match write(path, &core.keeper, core.now_seconds(), goes_on) {
        Ok(Some(entries)) => tracing::info!(path = %path.display(), entries, "the cache's file was written"),
        Ok(None) => {}
        Err(error) => tracing::error!(
            path = %path.display(),
            "the cache's file cannot be written: {error}; make its folder writable, or take file out of [cache]"
        ),
    }
}

/// Writes a file as a whole; gives the number of its entries, or nothing where it was not to go on.
fn write(path: &Path, keeper: &Keeper, now_seconds: u32, goes_on: impl Fn() -> bool) -> io::Result<Option<usize>> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut out = Summing { file: BufWriter::with_capacity(WRITE_BYTES, create(&beside)?), sum: SUM_OF_NOTHING };
    let Some(entries) = take(keeper, now_seconds, &mut out, goes_on)? else {
        fs::remove_file(&beside)?;
        return Ok(None);
    };
    let sum = out.sum;
    out.add(&sum.to_be_bytes())?;
    // On disk first: a name that leads to what is not there yet would be worse than the file before.
    out.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(Some(entries))
}

/// Makes a file anew, whatever had its name before: a link that somebody put there is not followed.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// A file being written, and the checksum of what has been.
struct Summing {
    /// It.
    file: BufWriter<File>,
    /// The checksum.
    sum: u64,
}

impl Summing {
    /// Writes bytes.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum = checksum(self.sum, bytes);
        self.file.write_all(bytes)
    }
}

/// Writes what the cache holds; gives the number of entries.
fn take(keeper: &Keeper, now_seconds: u32, out: &mut Summing, goes_on: impl Fn() -> bool) -> io::Result<Option<usize>> {
    out.add(MAGIC)?;
    let (mut count, mut wrong, mut is_whole) = (0, None, true);
    let mut bytes = Vec::new();
    let wanted = |head: &EntryHead| head.is_fresh(now_seconds) || head.is_stale_but_good(now_seconds);
    keeper.walk(wanted, |entries| {
        bytes.clear();
        count += entries.len();
        entries.iter().for_each(|entry| append(&mut bytes, entry));
        wrong = out.add(&bytes).err();
        is_whole = goes_on();
        wrong.is_none() && is_whole
    });
    match wrong {
        Some(error) => Err(error),
        None if is_whole => out.add(&[0]).map(|()| Some(count)),
        None => Ok(None),
    }
}

/// Writes an entry.
fn append(bytes: &mut Vec<u8>, Entry { name, qtype, answer, .. }: &Entry) {
    let name = name.as_bytes();
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
    for places in [&answer.ttl_places, &answer.pointer_places] {
        bytes.extend_from_slice(&u16::try_from(places.len()).unwrap_or(u16::MAX).to_be_bytes());
        places.iter().for_each(|place| bytes.extend_from_slice(&place.to_be_bytes()));
    }
    bytes.extend_from_slice(&body_bytes.to_be_bytes());
    bytes.extend_from_slice(&answer.body);
}

/// Puts what a file holds into the cache; gives the number of entries.
fn put(bytes: &[u8], keeper: &Keeper, now_seconds: u32, may_keep: MayKeep<'_>) -> Result<usize, BadFile> {
    let entries = bytes.strip_prefix(MAGIC).ok_or(BadFile::Other)?;
    let (entries, sum) = entries.split_last_chunk::<SUM_BYTES>().ok_or(BadFile::Damaged)?;
    let summed = bytes.get(..bytes.len() - SUM_BYTES).unwrap_or_default();
    if checksum(SUM_OF_NOTHING, summed) != u64::from_be_bytes(*sum) {
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
        let question = ForeignQuestion { name: name.clone(), qtype, bits: answer.bits, client, is_stream: false };
        let entry = Entry { name, qtype, answer, uses: 0 };
        if age >= lives || crate::ours::is_served(&snapshot, &entry.name) || !may_keep(&question, &entry) {
            continue;
        }
        let Entry { name, answer, .. } = entry;
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

/// FNV-1a of 64 bits, going on from the sum of what came before: it finds what a disk or a full one does; who can write the file can
/// do other things too.
fn checksum(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_is_no_file_of_a_cache_by_its_size_or_kind_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let told = |path: &Path| read(path, 1000).map(|bytes| bytes.len()).map_err(|error| error.to_string());
        assert!(
            matches!(read(&path, 1000), Err(BadFile::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound)
        );
        let most = 5 * 1000 + 65_536;
        File::create(&path).unwrap().set_len(most).unwrap();
        assert_eq!(told(&path), Ok(70_536));
        File::create(&path).unwrap().set_len(most + 1).unwrap();
        let expected = "it has more than the 70536 bytes that a cache of cache.size_mib takes in a file";
        assert_eq!(told(&path), Err(expected.to_owned()));
        for other in [folder.path(), Path::new("/dev/zero")] {
            assert_eq!(told(other), Err("it is no file of bytes".to_owned()), "{}", other.display());
        }
    }

    #[test]
    fn the_file_is_its_owners_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("cache.new"), folder.path().join("other"));
        fs::write(&other, "not ours").unwrap();
        symlink(&other, &path).unwrap();
        for before in ["a link", "a file"] {
            create(&path).unwrap().write_all(b"ours").unwrap();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!((metadata.is_file(), metadata.permissions().mode() & 0o777), (true, 0o600), "{before}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "not ours");
        // What stands in the way is told, and not gone through.
        assert!(create(folder.path()).is_err());
    }
}
