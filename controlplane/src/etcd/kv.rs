//! Reads and conditional writes: what the writers of this program ask of etcd. A request goes to one member, and to the next
//! where that one fails; every read and every write is the cluster's as a whole (linearizable), whichever member it goes to.
//!
//! A write is one transaction under conditions. Asking for it twice is therefore no harm: the second one meets conditions that
//! the first has made false. Whoever asks is told when it cannot be known which of the two it was.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_client::{Compare, CompareOp, Error, GetOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::sync::Mutex;

use super::client::{Header, Member, SessionError};
use crate::config::EtcdConfig;

/// Ranges that are read in one request: below the 128 operations that etcd takes by default.
const RANGES_PER_READ: usize = 100;

/// Keys of one page of a reading.
const PAGE_KEYS: i64 = 5000;

/// Operations of a transaction as etcd counts them by default, some room left: a transaction in a transaction counts with all
/// that are around it.
const OPERATIONS_MAX: usize = 120;

/// Pause before the next member is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Why nothing came of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KvError {
    /// Nobody answers, and nothing was written.
    #[error("etcd does not answer: {0}")]
    Away(String),
    /// It was sent, and no answer came: it may have been written, or may be yet.
    #[error("etcd did not say whether it has written: {0}; look before you try again")]
    Unknown(String),
    /// etcd has answered, and will not.
    #[error("etcd refuses: {0}")]
    Refused(String),
}

/// A key as it was at the revision of the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// Its value.
    pub(crate) value: Vec<u8>,
    /// The revision that made it.
    pub(crate) created: i64,
    /// The revision that changed it last.
    pub(crate) modified: i64,
}

/// Keys from `first` on, up to and without `end`; `first` alone where `end` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first key.
    pub(crate) first: Vec<u8>,
    /// What no key reaches.
    pub(crate) end: Vec<u8>,
}

impl Span {
    /// One key.
    pub(crate) fn key(key: impl Into<Vec<u8>>) -> Self {
        Self { first: key.into(), end: Vec::new() }
    }

    /// All keys that start with a prefix, which ends in a slash.
    pub(crate) fn below(prefix: impl Into<Vec<u8>>) -> Self {
        let first = prefix.into();
        let mut end = first.clone();
        if let Some(last) = end.last_mut() {
            *last = b'/' + 1;
        }
        Self { first, end }
    }

    /// True while no key of the span was made or changed after a revision. That one was removed it does not tell.
    pub(crate) fn unchanged_since(&self, revision: i64) -> Compare {
        let compare = Compare::mod_revision(self.first.clone(), CompareOp::Less, revision + 1);
        if self.end.is_empty() { compare } else { compare.with_range(self.end.clone()) }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The revision that all of it is of.
    pub(crate) revision: i64,
    /// The keys, span by span.
    pub(crate) spans: Vec<Vec<Entry>>,
}

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is written.
    Done {
        /// The revision that it made.
        revision: i64,
        /// False where a condition inside of it was not met.
        whole: bool,
    },
    /// A condition was not met: nothing was written.
    Conflict {
        /// True where an earlier try was not answered: the condition may have been made false by that.
        is_doubtful: bool,
    },
}

/// Who asks etcd.
pub(crate) struct Kv {
    /// Where etcd is.
    config: Arc<EtcdConfig>,
    /// The member that is asked, and the place of the next one.
    member: Mutex<(Option<Arc<Member>>, usize)>,
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").field("endpoints", &self.config.endpoints).finish_non_exhaustive()
    }
}

impl Kv {
    /// Somebody who has not asked anything yet.
    pub(crate) fn new(config: Arc<EtcdConfig>) -> Self {
        Self { config, member: Mutex::new((None, 0)) }
    }

    /// The member that is asked; connects where there is none.
    async fn member(&self) -> Result<Arc<Member>, SessionError> {
        let mut slot = self.member.lock().await;
        let (member, turn) = &mut *slot;
        if let Some(member) = member {
            return Ok(Arc::clone(member));
        }
        let endpoints = &self.config.endpoints;
        let endpoint = endpoints.get(*turn % endpoints.len().max(1)).map_or("", String::as_str);
        *turn = turn.wrapping_add(1);
        let connected = Arc::new(Member::connect(endpoint, &self.config).await?);
        *member = Some(Arc::clone(&connected));
        Ok(connected)
    }

    /// Has the next request go to another member.
    async fn leave(&self, failed: &Arc<Member>) {
        let mut slot = self.member.lock().await;
        if slot.0.as_ref().is_some_and(|member| Arc::ptr_eq(member, failed)) {
            slot.0 = None;
        }
    }

    /// Asks one member after the other for a time. `sent` becomes true where a request went out that was not answered.
    async fn ask(&self, transaction: &Txn, sent: &mut bool) -> Result<TxnResponse, KvError> {
        let deadline = Instant::now() + self.config.timeout * 2;
        loop {
            let error = match self.member().await {
                Err(error) => error,
                Ok(member) => match member.txn(transaction.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        if is_answer(&error) {
                            return Err(KvError::Refused(words(&error)));
                        }
                        *sent |= !is_unreached(&error);
                        self.leave(&member).await;
                        error
                    }
                },
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(if *sent { KvError::Unknown(words(&error)) } else { KvError::Away(words(&error)) });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads spans as they are at one moment.
    pub(crate) async fn read(&self, spans: &[Span]) -> Result<Read, KvError> {
        let mut read = Read::default();
        for spans in spans.chunks(RANGES_PER_READ) {
            for (span, (mut entries, mut more)) in spans.iter().zip(self.pages(spans, &mut read.revision).await?) {
                while let Some(last) = entries.last().filter(|_| more) {
                    let first = [last.key.as_slice(), &[0]].concat();
                    let rest = [Span { first, end: span.end.clone() }];
                    let page = self.pages(&rest, &mut read.revision).await?.pop().unwrap_or_default();
                    entries.extend(page.0);
                    more = page.1;
                }
                read.spans.push(entries);
            }
        }
        Ok(read)
    }

    /// The first page of each span, and whether there are more, at a revision; at the newest, which is noted, where that is 0.
    async fn pages(&self, spans: &[Span], revision: &mut i64) -> Result<Vec<(Vec<Entry>, bool)>, KvError> {
        let at = *revision;
        let options =
            |span: &Span| GetOptions::new().with_range(span.end.clone()).with_revision(at).with_limit(PAGE_KEYS);
        let get = |span: &Span| TxnOp::get(span.first.clone(), Some(options(span)));
        let gets = Txn::new().and_then(spans.iter().map(get).collect::<Vec<_>>());
        // Reading twice is reading.
        let answer = self.ask(&gets, &mut false).await.map_err(|error| match error {
            KvError::Unknown(words) => KvError::Away(words),
            other => other,
        })?;
        if at == 0 {
            *revision = Header::of(answer.header()).revision;
        }
        let page = |response| match response {
            TxnOpResponse::Get(found) => (found.kvs().iter().map(entry).collect(), found.more()),
            _ => (Vec::new(), false),
        };
        Ok(answer.op_responses().into_iter().map(page).collect())
    }

    /// Writes under conditions, all or nothing, however many operations there are: etcd bounds them by their bytes only.
    pub(crate) async fn commit(&self, conditions: &[Compare], operations: Vec<TxnOp>) -> Result<Commit, KvError> {
        let transaction = Txn::new().when(conditions).and_then(nested(operations));
        let mut sent = false;
        let answer = self.ask(&transaction, &mut sent).await?;
        if !answer.succeeded() {
            return Ok(Commit::Conflict { is_doubtful: sent });
        }
        let whole = is_whole(&answer.op_responses());
        Ok(Commit::Done { revision: Header::of(answer.header()).revision, whole })
    }
}

/// Puts operations into transactions of their own where there are more than one may have.
fn nested(mut operations: Vec<TxnOp>) -> Vec<TxnOp> {
    // What is around a transaction counts with it, and the innermost may hold a transaction of one operation.
    let most = match operations.len() {
        0..OPERATIONS_MAX => return operations,
        OPERATIONS_MAX..3600 => OPERATIONS_MAX / 2,
        3600..64_000 => OPERATIONS_MAX / 3,
        _ => OPERATIONS_MAX / 4,
    };
    while operations.len() > most {
        let inner = |operations: &[TxnOp]| TxnOp::txn(Txn::new().and_then(operations));
        operations = operations.chunks(most).map(inner).collect();
    }
    operations
}

/// True where no condition of a transaction inside was missed.
fn is_whole(responses: &[TxnOpResponse]) -> bool {
    responses.iter().all(|response| match response {
        TxnOpResponse::Txn(inner) => inner.succeeded() && is_whole(&inner.op_responses()),
        _ => true,
    })
}

/// A key of an answer.
pub(super) fn entry(pair: &etcd_client::KeyValue) -> Entry {
    Entry {
        key: pair.key().to_vec(),
        value: pair.value().to_vec(),
        created: pair.create_revision(),
        modified: pair.mod_revision(),
    }
}

/// True for an error that another member would answer with too.
fn is_answer(error: &SessionError) -> bool {
    /// gRPC's codes for it: INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, OUT_OF_RANGE,
    /// UNIMPLEMENTED.
    const ANSWERS: [i32; 6] = [3, 7, 8, 9, 11, 12];
    matches!(error, SessionError::Etcd(Error::GRpcStatus(status)) if ANSWERS.contains(&(status.code() as i32)))
}

/// True for an error of a connection that was never there.
fn is_unreached(error: &SessionError) -> bool {
    matches!(error, SessionError::Etcd(Error::GRpcStatus(status)) if status.message().contains("connect error"))
}

/// What etcd or the way to it says, in few words.
fn words(error: &SessionError) -> String {
    match error {
        SessionError::Etcd(Error::GRpcStatus(status)) => status.message().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_where_the_next_name_begins() {
        assert_eq!(Span::below("/a/b/").end, b"/a/b0");
        assert!(Span::key("/a").end.is_empty());
    }

    #[test]
    fn many_operations_are_nested_within_the_bounds_of_etcd() {
        for count in [1, 119, 120, 3599, 3600, 63_999, 64_000, 200_000] {
            let operations = nested(vec![TxnOp::delete("k", None); count]);
            assert!(operations.len() < OPERATIONS_MAX, "{count} became {}", operations.len());
        }
    }
}
