//! Speaks to one member of etcd: connects, lists a range by pages of one revision, watches ranges.

use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, Identity, KeyValue, ResponseHeader, TlsOptions, Txn,
    TxnResponse, WatchOptions, WatchStream,
};

use super::layout::Tree;
use crate::config::{EtcdConfig, EtcdTls};

/// Keys of one page.
pub const PAGE_KEYS: i64 = 1000;

/// Largest message that is taken: a page of values as large as etcd lets them be by default would be larger, but not one of
/// records.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// After how long of silence a connection is tried. etcd takes more than one try in five seconds amiss.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Why there is nothing more to come by a connection.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// etcd, or the way to it.
    #[error("{0}")]
    Etcd(#[from] Error),
    /// No answer.
    #[error("no answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// A file of TLS.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The watch was ended by etcd.
    #[error("etcd ended the watch: {0}")]
    Canceled(String),
    /// The stream ended.
    #[error("etcd closed the connection")]
    Closed,
}

impl SessionError {
    /// True where the revision that was asked for is gone.
    pub fn is_compacted(&self) -> bool {
        // The code alone (OUT_OF_RANGE) is that of a revision of the future too.
        matches!(self, Self::Etcd(Error::GRpcStatus(status)) if status.message().contains("has been compacted"))
    }
}

/// Keys from `first` on, up to and without `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The path of a zone, which is the first key.
    pub(super) first: Vec<u8>,
    /// The first key behind all that are below the path.
    pub(super) end: Vec<u8>,
}

impl Range {
    /// Everything below a path, and the path.
    fn below(path: Vec<u8>) -> Self {
        let mut end = path.clone();
        end.push(b'/' + 1);
        Self { first: path, end }
    }

    /// False for a key that lies between a path and what is below it, such as `/a-b` of `/a`.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        key.strip_prefix(self.first.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

/// What has to be read for trees, in this order: the status of addresses and the clients of views, so that records are known
/// with them, then the records. A zone below another is read with it.
pub(super) fn ranges(trees: &[Tree], status_path: Option<&[u8]>) -> Vec<Range> {
    let views = trees.iter().filter_map(Tree::views_path).filter_map(|path| Some(path.strip_suffix(b"/")?.to_vec()));
    let mut zones: Vec<Vec<u8>> = trees.iter().flat_map(|tree| tree.zones.iter().map(|zone| tree.path(zone))).collect();
    zones.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    for path in status_path.map(Vec::from).into_iter().chain(views).chain(zones) {
        if !ranges.iter().any(|range| range.has(&path)) {
            ranges.push(Range::below(path));
        }
    }
    ranges
}

/// A page of a listing.
pub(super) struct Page {
    /// Cluster and revision.
    pub(super) header: Header,
    /// Keys and values.
    pub(super) pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// True: there are keys behind them.
    pub(super) more: bool,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The cluster.
    pub(super) cluster: u64,
    /// Its revision.
    pub(super) revision: i64,
}

impl Header {
    /// Of an answer; etcd sends one with each.
    pub(super) fn of(header: Option<&ResponseHeader>) -> Self {
        header.map_or(Self::default(), |header| Self { cluster: header.cluster_id(), revision: header.revision() })
    }
}

/// A connection to one member.
pub(super) struct Member {
    /// The client.
    client: Client,
    /// How long an answer may take.
    timeout: Duration,
}

impl Member {
    /// Connects.
    pub(super) async fn connect(endpoint: &str, config: &EtcdConfig) -> Result<Self, SessionError> {
        Ok(Self { client: connect(endpoint, config).await?, timeout: config.timeout })
    }

    /// One page of a range, from a key on; of the newest revision where none is given.
    pub(super) async fn page(&self, range: &Range, from: &[u8], revision: Option<i64>) -> Result<Page, SessionError> {
        let options = GetOptions::new().with_range(range.end.clone()).with_limit(PAGE_KEYS);
        let options = options.with_revision(revision.unwrap_or(0));
        let mut kv = self.client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut answer = within(self.timeout, kv.get(from, Some(options))).await?;
        let header = Header::of(answer.header());
        let more = answer.more();
        let pairs = answer.take_kvs().into_iter().map(KeyValue::into_key_value).collect();
        Ok(Page { header, pairs, more })
    }

    /// Carries out a transaction.
    pub(super) async fn txn(&self, transaction: Txn) -> Result<TxnResponse, SessionError> {
        let mut kv = self.client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        within(self.timeout, kv.txn(transaction)).await
    }

    /// Watches ranges, each from its own revision on; the watch of a range has its place, counted from 1, for a number.
    pub(super) async fn watch(&self, ranges: &[Range], next: &[i64]) -> Result<WatchStream, SessionError> {
        let mut client = self.client.watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut wanted = (1i64..).zip(ranges.iter().zip(next)).map(|(number, (range, &revision))| {
            let options = WatchOptions::new().with_range(range.end.clone()).with_start_revision(revision);
            (range.first.clone(), Some(options.with_watch_id(number).with_progress_notify()))
        });
        let (key, options) = wanted.next().ok_or(SessionError::Closed)?;
        let mut stream = within(self.timeout, client.watch(key, options)).await?;
        for (key, options) in wanted {
            within(self.timeout, stream.watch(key, options)).await?;
        }
        Ok(stream)
    }
}

/// Connects to one member. With a user the password is tried; otherwise the first request tells whether anybody is there.
pub async fn connect(endpoint: &str, config: &EtcdConfig) -> Result<Client, SessionError> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(config.timeout)
        .with_keep_alive(KEEP_ALIVE, config.timeout)
        .with_keep_alive_while_idle(true)
        // A member that is cut off from the others says so, instead of keeping a watch open on which nothing comes.
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    if let Some((user, password)) = &config.user {
        options = options.with_user(user, password.reveal());
    }
    if let Some(tls) = &config.tls {
        options = options.with_tls(tls_options(tls).await?);
    }
    within(config.timeout, Client::connect([endpoint], Some(options))).await
}

/// Waits for an answer, for a time.
pub async fn within<T>(timeout: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, SessionError> {
    tokio::time::timeout(timeout, answer).await.map_err(|_| SessionError::Timeout(timeout))?.map_err(Into::into)
}

/// Reads the files of TLS.
async fn tls_options(tls: &EtcdTls) -> Result<TlsOptions, SessionError> {
    let tls = tls.clone();
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| SessionError::File { path: path.display().to_string(), error })
    };
    let options = tokio::task::spawn_blocking(move || {
        let options = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&tls.ca_file)?));
        Ok(match &tls.identity {
            Some((cert, key)) => options.identity(Identity::from_pem(read(cert)?, read(key)?)),
            None => options,
        })
    });
    options.await.unwrap_or(Err(SessionError::Closed))
}
