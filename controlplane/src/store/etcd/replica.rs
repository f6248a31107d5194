//! The file as a replica of etcd: takes what etcd says, and knows what of that is its own.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use etcd_client::{Compare, CompareOp, TxnOp};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::super::schema::{META, NOTES, RRSETS, VIEWS, ZONES};
use super::super::write::Stored as _;
use super::codec::{Codec, Place, Row, to_etcd};
use super::rows::{Rows, Strays, Update};
use super::touched::Kind;
use super::{HEAD_SEEN, MARK, ReplicaState, Standing, WRITER, mark_of};
use crate::config::{EtcdConfig, StoreEtcdConfig};
use crate::etcd::follow::{Event, Follower, News};
use crate::etcd::kv::{Commit, Entry, Kv, Span};
use crate::model::Change;
use crate::store::WriteError;

/// News that wait for the writer.
const WAITING_NEWS_MAX: usize = 64;

/// Keys of one transaction that puts a file into etcd: well below what etcd takes in bytes.
const IMPORTED_KEYS_MAX: usize = 1000;

/// Bytes of it.
const IMPORTED_BYTES_MAX: usize = 512 << 10;

/// Keys that say nothing which are logged one by one; the rest is counted.
const FAULTS_LOGGED_MAX: usize = 10;

/// A key of etcd and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// A replica of etcd.
pub(in crate::store) struct Replica {
    /// How rows are written in etcd.
    pub(super) codec: Codec,
    /// Who asks etcd.
    pub(super) kv: Kv,
    /// Where it is asked.
    pub(in crate::store) runtime: Handle,
    /// What etcd says.
    pub(in crate::store) news: mpsc::Receiver<News>,
    /// Says it; gone once it runs.
    follower: Option<Follower>,
    /// What others see.
    state: Arc<ReplicaState>,
    /// What the configuration says.
    config: StoreEtcdConfig,
    /// How long etcd may take to answer.
    timeout: Duration,
    /// Under which number this file writes.
    pub(super) writer: u64,
    /// Number of its transactions.
    pub(super) transactions: u64,
    /// The cluster that was read.
    cluster: u64,
    /// The revision of `head` that the file has seen; 0: there is none.
    pub(super) head: i64,
    /// True once etcd was read.
    is_listed: bool,
    /// True once the file is known to be a replica.
    is_marked: bool,
    /// Keys of our own writes that etcd has not told of yet, and their revisions: what it tells of before that is older.
    own: HashMap<Vec<u8>, i64>,
    /// Revision and keys of what is committed in etcd and not yet in the file.
    pub(super) staged: Option<(i64, BTreeSet<Vec<u8>>)>,
    /// Keys that say nothing.
    strays: Strays,
    /// What the cycle was not told yet.
    untold: Vec<Change>,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("config", &self.config).field("head", &self.head).finish_non_exhaustive()
    }
}

/// A number by chance, without a generator: std seeds its hashers so.
fn chance() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

impl Replica {
    /// A replica that has not heard of etcd yet.
    pub(in crate::store) fn new(
        etcd: &EtcdConfig,
        config: StoreEtcdConfig,
        state: Arc<ReplicaState>,
        runtime: Handle,
    ) -> Self {
        let (sender, news) = mpsc::channel(WAITING_NEWS_MAX);
        let (codec, etcd) = (Codec::new(&config.prefix), Arc::new(etcd.clone()));
        let (span, seen) = (Span::below(codec.prefix()), Arc::clone(&state.following));
        Self {
            kv: Kv::new(Arc::clone(&etcd)),
            timeout: etcd.timeout,
            follower: Some(Follower { config: etcd, span, seen, news: sender }),
            codec,
            runtime,
            news,
            state,
            config,
            writer: 0,
            transactions: 0,
            cluster: 0,
            head: 0,
            is_listed: false,
            is_marked: false,
            own: HashMap::new(),
            staged: None,
            strays: Strays::new(),
            untold: Vec::new(),
        }
    }

    /// Begins to follow etcd.
    pub(in crate::store) fn start(&mut self, database: &Database) -> Result<(), WriteError> {
        let standing = Standing::of(database, &self.config.prefix).stored()?;
        self.is_marked = standing.is_replica;
        let read = database.begin_read().stored()?;
        let known = read.open_table(META).stored()?.get(WRITER).stored()?.map(|value| value.value());
        drop(read);
        self.writer = match known {
            Some(writer) => writer,
            None => {
                let writer = chance();
                self.note(database, &[(WRITER, writer)])?;
                writer
            }
        };
        // Numbers of an earlier run are not used again: they would say that what is sent now was carried out then.
        self.transactions = chance() >> 16;
        if let Some(follower) = self.follower.take() {
            self.runtime.spawn(follower.run());
        }
        Ok(())
    }

    /// True where what the file has may be served without etcd.
    pub(in crate::store) fn is_servable(&self) -> bool {
        self.is_marked
    }

    /// Has everything be read anew.
    pub(in crate::store) fn distrust(&mut self) {
        self.is_listed = false;
        self.state.following.relist.store(true, Ordering::Release);
    }

    /// What the cycle was not told yet.
    pub(in crate::store) fn take_untold(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.untold)
    }

    /// Why nothing can be written now; nothing where it can.
    pub(super) fn why_not(&self) -> Option<WriteError> {
        if let Some(reason) = self.state.refused() {
            return Some(WriteError::Etcd(reason));
        }
        if self.is_listed && self.state.is_connected() {
            return None;
        }
        let reason = self.state.following.error().unwrap_or_else(|| "it was not read yet".to_owned());
        Some(WriteError::Etcd(format!("etcd is away, what it had stays served: {reason}")))
    }

    /// Writes facts about the file.
    fn note(&self, database: &Database, facts: &[(&str, u64)]) -> Result<(), WriteError> {
        let write = database.begin_write().stored()?;
        {
            let mut meta = write.open_table(META).stored()?;
            for (key, value) in facts {
                meta.insert(*key, *value).stored()?;
            }
        }
        write.commit().stored()
    }

    /// Notes in a transaction of the file that etcd has a head.
    pub(super) fn note_head(&self, transaction: &WriteTransaction) -> Result<(), WriteError> {
        let mut meta = transaction.open_table(META).stored()?;
        let is_noted = meta.get(HEAD_SEEN).stored()?.is_some();
        if !is_noted {
            meta.insert(HEAD_SEEN, 1).stored()?;
        }
        Ok(())
    }

    /// Notes that the file's transaction is committed, or is not though etcd's is: then etcd is read anew.
    pub(in crate::store) fn settle(&mut self, is_committed: bool) {
        let Some((revision, keys)) = self.staged.take() else { return };
        if is_committed {
            self.head = revision;
            // What said nothing before says now what we have written.
            self.strays.retain(|key, _| !keys.contains(key));
            self.state.malformed_keys.store(self.strays.len() as u64, Ordering::Relaxed);
            self.own.extend(keys.into_iter().map(|key| (key, revision)));
        } else {
            self.distrust();
        }
    }

    /// Waits until what has overtaken a transaction is in the file.
    pub(in crate::store) fn catch_up(&mut self, database: &Database) -> Result<(), WriteError> {
        self.state.conflicts.fetch_add(1, Ordering::Relaxed);
        let (stale, deadline) = (self.head, Instant::now() + self.timeout * 2);
        while self.head == stale {
            let left = deadline.saturating_duration_since(Instant::now());
            let news = &mut self.news;
            let news = self.runtime.block_on(async { tokio::time::timeout(left, news.recv()).await });
            let Ok(Some(news)) = news else {
                let reason = "another server has written, and etcd does not tell what; try again";
                return Err(self.why_not().unwrap_or_else(|| WriteError::Etcd(reason.to_owned())));
            };
            if let Err(error) = self.take(database, news) {
                self.distrust();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes news into the file; what they change is told by [`Replica::take_untold`].
    pub(in crate::store) fn take(&mut self, database: &Database, news: News) -> Result<(), WriteError> {
        match news {
            News::Away => Ok(()),
            News::Events(_) if self.state.refused().is_some() => {
                // Somebody puts it right, perhaps.
                self.state.following.relist.store(true, Ordering::Release);
                Ok(())
            }
            News::Events(events) => {
                let groups = events.chunk_by(|first, second| first.modified == second.modified);
                let groups: Vec<Vec<Update>> = groups.map(|group| self.foreign(group)).collect();
                self.apply(database, groups, &[])
            }
            News::Listing { cluster, revision, entries } => {
                if std::mem::replace(&mut self.cluster, cluster) != cluster {
                    // Revisions of another cluster are not to be compared.
                    self.head = 0;
                    self.own.clear();
                }
                self.take_listing(database, revision, entries)
            }
        }
    }

    /// What of a transaction's events is not our own or older than that. Notes the head.
    fn foreign(&mut self, events: &[Event]) -> Vec<Update> {
        let mut updates = Vec::new();
        for event in events {
            if event.key == self.codec.head() && event.modified > self.head {
                self.head = if event.value.is_some() { event.modified } else { 0 };
            }
            match self.own.get(&event.key) {
                Some(&own) if own > event.modified => continue,
                Some(&own) => {
                    self.own.remove(&event.key);
                    // A zone of our own may have RRsets that were written before it was there.
                    let is_zone = matches!(self.codec.place(&event.key), Ok(Place::Row(row)) if row.kind == Kind::Zone);
                    if own == event.modified && !(is_zone && event.value.is_some()) {
                        continue;
                    }
                }
                None => {}
            }
            updates.push((event.key.clone(), event.value.clone()));
        }
        updates
    }

    /// Takes groups of updates in one transaction of the file.
    fn apply(
        &mut self,
        database: &Database,
        groups: Vec<Vec<Update>>,
        facts: &[(&str, u64)],
    ) -> Result<(), WriteError> {
        if groups.iter().all(Vec::is_empty) && facts.is_empty() {
            return Ok(());
        }
        let transaction = database.begin_write().stored()?;
        let mut rows = Rows::open(&transaction, &self.codec, &mut self.strays)?;
        for group in groups {
            rows.take(group)?;
        }
        let (changes, faults) = rows.finish()?;
        {
            let mut meta = transaction.open_table(META).stored()?;
            for (key, value) in facts {
                meta.insert(*key, *value).stored()?;
            }
        }
        transaction.commit().stored()?;
        for (key, fault) in faults.iter().take(FAULTS_LOGGED_MAX) {
            tracing::warn!(key = %String::from_utf8_lossy(key), "a key of the store in etcd is not served: {fault}");
        }
        if let Some(more) = faults.len().checked_sub(FAULTS_LOGGED_MAX).filter(|&more| more > 0) {
            tracing::warn!("{more} more keys of the store in etcd are not served");
        }
        self.state.malformed_keys.store(self.strays.len() as u64, Ordering::Relaxed);
        self.untold.extend(changes);
        Ok(())
    }

    /// Makes the file what etcd has, unless it is none of that etcd's.
    fn take_listing(&mut self, database: &Database, revision: i64, entries: Vec<Entry>) -> Result<(), WriteError> {
        let standing = Standing::of(database, &self.config.prefix).stored()?;
        let head = entries.iter().find(|entry| entry.key == self.codec.head()).map_or(0, |entry| entry.modified);
        let is_foreign = !standing.is_replica && !standing.is_empty;
        let is_emptied = standing.is_replica && standing.head_seen && head == 0;
        if is_foreign || is_emptied {
            return self.meet(database, &entries, is_foreign, head);
        }
        self.state.refuse(None);
        if revision >= self.head {
            self.head = head;
        }
        self.own.retain(|_, own| *own > revision);
        let listed: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.key.as_slice()).collect();
        let gone = |key: &Vec<u8>| !listed.contains(key.as_slice()) && !self.own.contains_key(key);
        let mut updates: Vec<Update> = self.keys(database)?.into_iter().filter(gone).map(|key| (key, None)).collect();
        self.strays.retain(|key, _| listed.contains(key.as_slice()));
        updates.extend(
            entries
                .into_iter()
                .filter(|entry| !self.own.contains_key(&entry.key))
                .map(|entry| (entry.key, Some(entry.value))),
        );
        let mut facts = vec![(MARK, mark_of(&self.config.prefix))];
        facts.extend((head > 0).then_some((HEAD_SEEN, 1)));
        self.apply(database, vec![updates], &facts)?;
        (self.is_listed, self.is_marked) = (true, true);
        tracing::info!(revision, "the store has what etcd has");
        Ok(())
    }

    /// Meets an etcd that the file is no replica of: puts the file into it where that is wanted, or tells what to do.
    fn meet(&mut self, database: &Database, entries: &[Entry], is_foreign: bool, head: i64) -> Result<(), WriteError> {
        self.is_listed = false;
        let prefix = &self.config.prefix;
        let reason = if is_foreign && head > 0 {
            format!(
                "the store's file has zones of its own, and etcd has others at {prefix}; they are never merged: set store.path to a \
                 new file, and import what is missing"
            )
        } else if self.config.import {
            match self.import(database, entries)? {
                None => return Ok(()),
                Some(reason) => reason,
            }
        } else {
            format!(
                "etcd has nothing at {prefix}, and this replica has seen it filled; restore etcd from a backup, or set \
                 store.etcd_import = true to fill it from this replica"
            )
        };
        tracing::error!("the store does not follow etcd: {reason}");
        self.state.refuse(Some(reason));
        Ok(())
    }

    /// Puts the file into an etcd that has nothing; what kept it from that, if anything. `head` comes last and says that all is there.
    fn import(&mut self, database: &Database, entries: &[Entry]) -> Result<Option<String>, WriteError> {
        let rows = self.pairs(database)?;
        let ours: BTreeSet<&[u8]> = rows.iter().map(|(key, _)| key.as_slice()).collect();
        if let Some(other) = entries.iter().find(|entry| !ours.contains(entry.key.as_slice())) {
            let key = String::from_utf8_lossy(&other.key);
            return Ok(Some(format!("etcd is to be filled from the store's file, and has {key} already; remove it")));
        }
        let (count, absent) = (rows.len(), Compare::mod_revision(self.codec.head(), CompareOp::Equal, 0));
        let (mut chunk, mut bytes, mut chunks) = (Vec::new(), 0, Vec::new());
        for (key, value) in rows {
            bytes += key.len() + value.len();
            chunk.push(TxnOp::put(key, value, None));
            if chunk.len() >= IMPORTED_KEYS_MAX || bytes >= IMPORTED_BYTES_MAX {
                chunks.push(std::mem::take(&mut chunk));
                bytes = 0;
            }
        }
        chunk.push(TxnOp::put(self.codec.head(), "{\"imported\":true}", None));
        chunks.push(chunk);
        for chunk in chunks {
            let sent = self.runtime.block_on(self.kv.commit(std::slice::from_ref(&absent), chunk));
            match sent {
                Ok(Commit::Done { .. }) => {}
                Ok(Commit::Conflict { .. }) => return Ok(Some("another server has filled etcd meanwhile".to_owned())),
                Err(error) => return Ok(Some(format!("etcd cannot be filled from the store's file: {error}"))),
            }
        }
        tracing::info!(keys = count, "etcd was filled from the store's file");
        self.note(database, &[(MARK, mark_of(&self.config.prefix)), (HEAD_SEEN, 1)])?;
        self.state.refuse(None);
        self.state.following.relist.store(true, Ordering::Release);
        Ok(None)
    }

    /// The keys that the file's rows have in etcd.
    fn keys(&self, database: &Database) -> Result<Vec<Vec<u8>>, WriteError> {
        let mut keys = Vec::new();
        self.each(database, &mut |row, _| keys.extend(self.codec.key(row)))?;
        Ok(keys)
    }

    /// The keys and values that they have.
    fn pairs(&self, database: &Database) -> Result<Vec<Pair>, WriteError> {
        let mut pairs = Vec::new();
        self.each(database, &mut |row, value| pairs.extend(self.codec.key(row).zip(to_etcd(row, value))))?;
        Ok(pairs)
    }

    /// Goes through the file's rows.
    fn each(&self, database: &Database, look: &mut dyn FnMut(&Row, &[u8])) -> Result<(), WriteError> {
        let read = database.begin_read().stored()?;
        for (kind, table) in [(Kind::Zone, ZONES), (Kind::Rrset, RRSETS), (Kind::Note, NOTES)] {
            let table = match read.open_table(table) {
                Err(redb::TableError::TableDoesNotExist(_)) => continue,
                table => table.stored()?,
            };
            for entry in table.iter().stored()? {
                let (key, value) = entry.stored()?;
                look(&Row { kind, key: key.value().to_vec() }, value.value());
            }
        }
        let views = match read.open_table(VIEWS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            views => views.stored()?,
        };
        for entry in views.iter().stored()? {
            let (key, value) = entry.stored()?;
            look(&Row { kind: Kind::View, key: key.value().as_bytes().to_vec() }, value.value().as_bytes());
        }
        Ok(())
    }
}
