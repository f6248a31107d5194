//! The copy on disk: the objects as they were last, for a start while the API server is away.
//!
//! A line with a sum over the rest, then an object a line, as JSON. It is written beside its name and then renamed, so that a reader
//! finds the former copy or the new one.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::object::{Event, Key, Kind, Object};
use crate::records::Records;
use crate::state::ClusterState;

/// Least time between two copies: making one of a hundred thousand endpoints holds changes up for some ten milliseconds.
const INTERVAL: Duration = Duration::from_secs(60);

/// What the file begins with; the number is that of its form.
const HEADER: &str = "ringdns kubernetes cache 1 ";

/// Keeps a copy on disk, where one is wanted.
#[derive(Debug)]
pub(crate) struct Cache {
    /// The file; none: no copy is kept.
    path: Option<PathBuf>,
    /// True where there was a copy at start.
    is_loaded: bool,
    /// What it had and the API server has not listed since.
    unlisted: HashSet<(Kind, Key)>,
    /// True where the copy is behind.
    is_unsaved: bool,
    /// When it was written last.
    saved: Option<Instant>,
    /// The copy that is being written; true where that went well.
    saving: Option<JoinHandle<bool>>,
}

impl Cache {
    /// Keeps a copy in a file, where one is given.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, is_loaded: false, unlisted: HashSet::new(), is_unsaved: false, saved: None, saving: None }
    }

    /// True where there was a copy at start.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// The objects of the copy.
    pub(crate) async fn load(&mut self, state: &ClusterState) -> Vec<Object> {
        let Some(path) = self.path.clone() else { return Vec::new() };
        let shown = path.display().to_string();
        let objects = match tokio::task::spawn_blocking(move || read(&path)).await {
            Ok(Ok(Some(objects))) => objects,
            Ok(Ok(None)) | Err(_) => return Vec::new(),
            Ok(Err(error)) => {
                tracing::error!(path = shown, "the copy of the cluster on disk is not used: {error}");
                return Vec::new();
            }
        };
        tracing::info!(
            path = shown,
            objects = objects.len(),
            "the cluster as it was last is served until it is listed"
        );
        self.is_loaded = true;
        self.unlisted = objects.iter().map(identity).collect();
        state.from_cache.store(true, Ordering::Relaxed);
        objects
    }

    /// Notes what came from the API server.
    pub(crate) fn note(&mut self, event: &Event) {
        self.is_unsaved = true;
        if self.unlisted.is_empty() {
            return;
        }
        match event {
            Event::Put(object) => drop(self.unlisted.remove(&identity(object))),
            Event::Gone(kind, key) => drop(self.unlisted.remove(&(*kind, key.clone()))),
            Event::ListBegins(_) | Event::ListEnds(_) => {}
        }
    }

    /// What of a kind was in the copy and is not in the cluster, now that all of the kind was listed.
    pub(crate) fn unlisted(&mut self, kind: Kind) -> Vec<Event> {
        self.unlisted.extract_if(|(found, _)| *found == kind).map(|(kind, key)| Event::Gone(kind, key)).collect()
    }

    /// Has a copy written, unless one is being written, or was a moment ago, or there is nothing new, or not everything is known.
    pub(crate) fn look(&mut self, records: &Records, state: &Arc<ClusterState>, is_whole: bool) {
        let Some(path) = self.path.clone() else { return };
        if let Some(saved) = self.saving.take_if(|saving| saving.is_finished())
            && saved.now_or_never().is_none_or(|saved| !saved.unwrap_or(false))
        {
            self.is_unsaved = true;
        }
        let is_early = self.saved.is_some_and(|saved| saved.elapsed() < INTERVAL);
        if !self.is_unsaved || self.saving.is_some() || is_early || !is_whole {
            return;
        }
        (self.is_unsaved, self.saved) = (false, Some(Instant::now()));
        let bytes = tokio::task::block_in_place(|| encode(records.objects()));
        let state = Arc::clone(state);
        self.saving = Some(tokio::task::spawn_blocking(move || {
            let written = write(&path, &bytes);
            match &written {
                Ok(()) => drop(state.cache_writes.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%path, "the copy of the cluster cannot be written: {error}; make its directory writable, or \
                                            remove kubernetes.cache_file");
                }
            }
            written.is_ok()
        }));
    }
}

/// What identifies an object.
fn identity(object: &Object) -> (Kind, Key) {
    match object {
        Object::Namespace(name) => (Kind::Namespace, Key { namespace: "".into(), name: Arc::clone(name) }),
        Object::Service(found) => (Kind::Service, found.key.clone()),
        Object::Slice(found) => (Kind::Slice, found.key.clone()),
        Object::Pod(found) => (Kind::Pod, found.key.clone()),
        Object::ServiceImport(found) => (Kind::ServiceImport, found.key.clone()),
    }
}

/// FNV-1a over 64 bits: tells damage by accident, which is all that is asked of it.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The file's bytes.
fn encode(objects: impl Iterator<Item = Object>) -> Vec<u8> {
    let mut body = Vec::new();
    for object in objects {
        // Fails for maps whose keys are no texts, of which there are none.
        if serde_json::to_writer(&mut body, &object).is_ok() {
            body.push(b'\n');
        }
    }
    let mut bytes = format!("{HEADER}{:016x}\n", sum(&body)).into_bytes();
    bytes.append(&mut body);
    bytes
}

/// Writes a file.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Reads a file; nothing where there is none yet.
fn read(path: &Path) -> io::Result<Option<Vec<Object>>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => {
            let damaged = || io::Error::other("the file is damaged, or of another version; remove it");
            parse(&bytes).map(Some).ok_or_else(damaged)
        }
    }
}

/// Takes a file apart.
fn parse(bytes: &[u8]) -> Option<Vec<Object>> {
    let rest = bytes.strip_prefix(HEADER.as_bytes())?;
    let (found, body) = rest.split_at_checked(17)?;
    let found = std::str::from_utf8(found).ok()?.strip_suffix('\n')?;
    if u64::from_str_radix(found, 16).ok()? != sum(body) {
        return None;
    }
    let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Port, Protocol, ServiceImport};

    /// An import.
    fn import(name: &str) -> Object {
        let port = Port { name: "p\n".into(), protocol: Protocol::Sctp, number: 7 };
        let ips = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let key = Key { namespace: "a".into(), name: name.into() };
        Object::ServiceImport(ServiceImport { key, headless: false, ips, ports: vec![port] })
    }

    #[test]
    fn a_copy_is_read_as_it_was_written_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/kubernetes.cache");
        assert_eq!(read(&path).unwrap(), None);
        let objects = vec![Object::Namespace("a".into()), import("i")];
        write(&path, &encode(objects.clone().into_iter())).unwrap();
        assert_eq!(read(&path).unwrap(), Some(objects));
        assert!(!directory.path().join("new/kubernetes.cache.new").exists());
        let whole = std::fs::read(&path).unwrap();
        for damaged in 0..whole.len() {
            let mut bytes = whole.clone();
            // One bit changes the case of a digit of the sum, which is the same number.
            bytes[damaged] ^= 1;
            assert_eq!(parse(&bytes), None, "byte {damaged}");
            assert_eq!(parse(&whole[..damaged]), None, "cut at {damaged}");
        }
        std::fs::write(&path, "x").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn what_the_listing_does_not_name_is_gone() {
        let mut cache = Cache::new(None);
        cache.unlisted = [import("a"), import("b"), Object::Namespace("a".into())].iter().map(identity).collect();
        cache.note(&Event::Put(import("a")));
        let gone = cache.unlisted(Kind::ServiceImport);
        assert!(matches!(&gone[..], [Event::Gone(Kind::ServiceImport, key)] if &*key.name == "b"), "{gone:?}");
        assert_eq!((cache.unlisted(Kind::ServiceImport).len(), cache.unlisted(Kind::Namespace).len()), (0, 1));
    }
}
