//! Follows all keys of a span: lists them, then tells every change, and lists them anew where changes were missed. For those who
//! keep a replica; the source of records has its own way, which starts from a copy and has several ranges.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{EventType, GetOptions, Txn, TxnOp, TxnOpResponse, WatchStream};
use tokio::sync::mpsc;

use super::client::{Header, Member, Range, SessionError};
use super::kv::{Entry, Span, entry};
use crate::config::EtcdConfig;

/// Keys of one page of a listing.
const PAGE_KEYS: i64 = 1000;

/// First pause after a failure; it doubles from one to the next.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether a listing is wanted, or an opened watch overdue.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What there is to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// Every key of the span at a revision.
    Listing {
        /// The cluster.
        cluster: u64,
        /// The revision.
        revision: i64,
        /// The keys, in their order.
        entries: Vec<Entry>,
    },
    /// Changes in their order; a transaction is never told in two parts.
    Events(Vec<Event>),
    /// No member answers.
    Away,
}

/// A changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// Its value; nothing where it is gone.
    pub(crate) value: Option<Vec<u8>>,
    /// The revision of the change.
    pub(crate) modified: i64,
}

/// What others see of it, and ask of it.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// True while a watch is open.
    pub(crate) connected: AtomicBool,
    /// Revision of etcd up to which everything was told.
    pub(crate) revision: AtomicI64,
    /// Has everything be listed anew.
    pub(crate) relist: AtomicBool,
    /// Why there is no connection.
    error: Mutex<Option<String>>,
}

impl Following {
    /// Why there is no connection.
    pub(crate) fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a connection, or why there is none.
    fn note(&self, error: Option<String>) {
        self.connected.store(error.is_none(), Ordering::Release);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Follows a span.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Where etcd is.
    pub(crate) config: Arc<EtcdConfig>,
    /// The keys.
    pub(crate) span: Span,
    /// What others see.
    pub(crate) seen: Arc<Following>,
    /// Who is told.
    pub(crate) news: mpsc::Sender<News>,
}

/// Why a session ends.
enum End {
    /// Nobody listens any more.
    Closed,
    /// etcd is away.
    Failed(SessionError),
}

impl<E: Into<SessionError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Where to go on: the cluster, and the next revision.
type Position = Option<(u64, i64)>;

impl Follower {
    /// Follows until nobody listens any more.
    pub(crate) async fn run(self) {
        let endpoints = &self.config.endpoints;
        let (mut position, mut turn, mut pause, mut failures) = (None, 0usize, PAUSE_FIRST, 0);
        loop {
            let endpoint = endpoints.get(turn % endpoints.len().max(1)).map_or("", String::as_str);
            let error = match self.session(endpoint, &mut position).await {
                Ok(never) => match never {},
                Err(End::Closed) => return,
                Err(End::Failed(error)) => error,
            };
            if self.seen.connected.load(Ordering::Acquire) {
                (pause, failures) = (PAUSE_FIRST, 0);
            }
            tracing::warn!(endpoint, "etcd is away from the store: {error}");
            self.seen.note(Some(format!("{endpoint}: {error}")));
            failures += 1;
            if failures >= endpoints.len() && self.tell(News::Away).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            turn = turn.wrapping_add(1);
        }
    }

    /// Tells.
    async fn tell(&self, news: News) -> Result<(), End> {
        self.news.send(news).await.map_err(|_| End::Closed)
    }

    /// One connection.
    async fn session(&self, endpoint: &str, position: &mut Position) -> Result<Infallible, End> {
        let member = Member::connect(endpoint, &self.config).await?;
        loop {
            let relist = self.seen.relist.swap(false, Ordering::AcqRel);
            let (cluster, next) = match *position {
                Some(position) if !relist => position,
                _ => {
                    let (cluster, revision, entries) = self.list(&member).await?;
                    self.tell(News::Listing { cluster, revision, entries }).await?;
                    self.seen.revision.store(revision, Ordering::Relaxed);
                    *position.insert((cluster, revision + 1))
                }
            };
            let range = Range { first: self.span.first.clone(), end: self.span.end.clone() };
            let stream = member.watch(&[range], &[next]).await?;
            match self.watch(stream, cluster, position).await {
                // What was missed is forgotten: everything is listed again.
                Err(End::Failed(error)) if error.is_compacted() => *position = None,
                Err(end) => return Err(end),
                Ok(()) => *position = None,
            }
        }
    }

    /// All keys at one revision.
    async fn list(&self, member: &Member) -> Result<(u64, i64, Vec<Entry>), End> {
        let (mut from, mut at, mut entries) = (self.span.first.clone(), Header::default(), Vec::new());
        loop {
            let options = GetOptions::new().with_range(self.span.end.clone()).with_limit(PAGE_KEYS);
            let get = TxnOp::get(from.clone(), Some(options.with_revision(at.revision)));
            let answer = member.txn(Txn::new().and_then([get])).await?;
            if at.revision == 0 {
                at = Header::of(answer.header());
            }
            let Some(TxnOpResponse::Get(page)) = answer.op_responses().pop() else {
                return Err(SessionError::Closed.into());
            };
            entries.extend(page.kvs().iter().map(entry));
            match entries.last().filter(|_| page.more()) {
                Some(last) => from = [last.key.as_slice(), &[0]].concat(),
                None => return Ok((at.cluster, at.revision, entries)),
            }
        }
    }

    /// Tells what comes, until everything has to be listed.
    async fn watch(&self, mut stream: WatchStream, cluster: u64, position: &mut Position) -> Result<(), End> {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let (mut waited, mut is_open) = (Duration::ZERO, false);
        loop {
            let answer = tokio::select! {
                answer = stream.message() => answer.map_err(SessionError::from)?.ok_or(SessionError::Closed)?,
                _ = look.tick() => {
                    if self.news.is_closed() {
                        return Err(End::Closed);
                    }
                    if self.seen.relist.load(Ordering::Acquire) {
                        return Ok(());
                    }
                    waited += LOOK_INTERVAL;
                    if !is_open && waited > self.config.timeout {
                        return Err(SessionError::Timeout(self.config.timeout).into());
                    }
                    continue;
                }
            };
            let Some((_, next)) = *position else { return Ok(()) };
            let header = Header::of(answer.header());
            if answer.compact_revision() > 0 {
                return Ok(());
            }
            if answer.canceled() {
                return Err(SessionError::Canceled(answer.cancel_reason().to_owned()).into());
            }
            if answer.created() {
                if header.cluster != cluster || header.revision < next - 1 {
                    tracing::warn!(
                        "this etcd is another one, or was put back to an earlier state; the store is listed again"
                    );
                    return Ok(());
                }
                is_open = true;
                self.seen.note(None);
                continue;
            }
            let mut events = Vec::new();
            for event in answer.events() {
                let Some(pair) = event.kv().filter(|pair| pair.mod_revision() >= next) else { continue };
                let value = (event.event_type() == EventType::Put).then(|| pair.value().to_vec());
                events.push(Event { key: pair.key().to_vec(), value, modified: pair.mod_revision() });
            }
            let reached = events.last().map_or(header.revision, |event| event.modified);
            if !events.is_empty() {
                self.tell(News::Events(events)).await?;
            }
            self.seen.revision.fetch_max(reached, Ordering::Relaxed);
            *position = Some((cluster, next.max(reached + 1)));
        }
    }
}
