//! A connection to etcd that every task of a role shares: one member at a time, the next one where it fails.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Client, Error, GetOptions, KeyValue, LeaseClient, PutOptions, Txn, TxnResponse, WatchOptions, WatchStream,
};
use ringdns_controlplane::config::EtcdConfig;
use ringdns_controlplane::etcd::{MESSAGE_BYTES_MAX, PAGE_KEYS, SessionError, connect, within};
use tokio::sync::Mutex;

/// A key and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// The revision that last wrote it: what a swap compares.
    pub revision: i64,
    /// The revision that made it.
    pub created: i64,
    /// The lease that it goes away with; 0: none.
    pub lease: i64,
}

impl From<KeyValue> for Entry {
    fn from(pair: KeyValue) -> Self {
        let (revision, created, lease) = (pair.mod_revision(), pair.create_revision(), pair.lease());
        let (key, value) = pair.into_key_value();
        // Keys of ours are text; another's that is not is none that we know either way.
        Self { key: String::from_utf8_lossy(&key).into_owned(), value, revision, created, lease }
    }
}

/// Everything below a path at one revision.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Keys and values, in the order of keys.
    pub entries: Vec<Entry>,
    /// The revision.
    pub revision: i64,
}

/// The connection. Copies share it.
#[derive(Clone)]
pub struct Link {
    /// Where etcd is.
    config: Arc<EtcdConfig>,
    /// What is used now.
    current: Arc<Mutex<Current>>,
}

/// The member that is used.
#[derive(Default)]
struct Current {
    /// Its place in the configuration.
    place: usize,
    /// The connection; none: the last one failed.
    client: Option<Client>,
    /// Counts connections, so that only the newest is given up.
    number: u64,
}

impl Link {
    /// Connects with the first request.
    pub fn new(config: EtcdConfig) -> Self {
        Self { config: Arc::new(config), current: Arc::default() }
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// The connection and its number.
    async fn client(&self) -> Result<(Client, u64), SessionError> {
        let mut current = self.current.lock().await;
        if let Some(client) = &current.client {
            return Ok((client.clone(), current.number));
        }
        let endpoint = &self.config.endpoints[current.place % self.config.endpoints.len()];
        match connect(endpoint, &self.config).await {
            Ok(client) => {
                current.client = Some(client.clone());
                current.number += 1;
                Ok((client, current.number))
            }
            Err(error) => {
                current.place += 1;
                Err(error)
            }
        }
    }

    /// Gives a connection up; the next request is made to the next member.
    async fn give_up(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.number == number && current.client.is_some() {
            current.client = None;
            current.place += 1;
        }
    }

    /// Makes a request.
    pub async fn ask<T, F: Future<Output = Result<T, Error>>>(
        &self,
        request: impl FnOnce(Client) -> F,
    ) -> Result<T, SessionError> {
        let (client, number) = self.client().await?;
        let answer = within(self.config.timeout, request(client)).await;
        if answer.as_ref().is_err_and(is_of_the_connection) {
            self.give_up(number).await;
        }
        answer
    }

    /// Makes requests over one connection, each of which bounds its own time.
    pub async fn session<T, F: Future<Output = Result<T, SessionError>>>(
        &self,
        requests: impl FnOnce(Client) -> F,
    ) -> Result<T, SessionError> {
        let (client, number) = self.client().await?;
        let answer = requests(client).await;
        if answer.as_ref().is_err_and(is_of_the_connection) {
            self.give_up(number).await;
        }
        answer
    }

    /// Everything below a path, by pages of one revision.
    pub async fn list(&self, path: &str) -> Result<Listing, SessionError> {
        let (mut from, end) = (format!("{path}/").into_bytes(), format!("{path}0").into_bytes());
        let mut listing = Listing::default();
        loop {
            let options =
                GetOptions::new().with_range(end.clone()).with_limit(PAGE_KEYS).with_revision(listing.revision);
            let key = from.clone();
            let page = |client: Client| async move {
                client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX).get(key, Some(options)).await
            };
            let mut answer = self.ask(page).await?;
            if listing.revision == 0 {
                listing.revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            listing.entries.extend(answer.take_kvs().into_iter().map(Entry::from));
            match listing.entries.last() {
                Some(last) if answer.more() => {
                    from.clear();
                    from.extend(last.key.as_bytes());
                    from.push(0);
                }
                _ => return Ok(listing),
            }
        }
    }

    /// One key; nothing where it is not there.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, SessionError> {
        let mut answer = self.ask(|client| async move { client.kv_client().get(key, None).await }).await?;
        Ok(answer.take_kvs().into_iter().next().map(Entry::from))
    }

    /// Watches everything below a path from a revision on.
    pub async fn watch(&self, path: &str, revision: i64) -> Result<WatchStream, SessionError> {
        let options = WatchOptions::new().with_range(format!("{path}0")).with_start_revision(revision);
        let key = format!("{path}/");
        self.ask(|client| async move {
            client.watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX).watch(key, Some(options)).await
        })
        .await
    }

    /// Carries out a transaction.
    pub async fn txn(&self, transaction: Txn) -> Result<TxnResponse, SessionError> {
        self.ask(|client| async move { client.kv_client().txn(transaction).await }).await
    }

    /// Writes a key, whatever stands there, to go away with a lease (0: none).
    pub async fn put(&self, key: String, value: Vec<u8>, lease: i64) -> Result<(), SessionError> {
        let options = PutOptions::new().with_lease(lease);
        self.ask(|client| async move { client.kv_client().put(key, value, Some(options)).await }).await.map(drop)
    }

    /// A new lease.
    pub async fn grant(&self, ttl: Duration) -> Result<i64, SessionError> {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let answer = self.ask(|client| async move { client.lease_client().grant(seconds, None).await }).await?;
        Ok(answer.id())
    }

    /// Renews a lease; false: it is gone.
    pub async fn renew(&self, lease: i64) -> Result<bool, SessionError> {
        self.ask(|client| renew(client.lease_client(), lease)).await
    }

    /// Ends a lease, and what goes away with it.
    pub async fn revoke(&self, lease: i64) -> Result<(), SessionError> {
        self.ask(|client| async move { client.lease_client().revoke(lease).await }).await.map(drop)
    }
}

/// Renews a lease once.
async fn renew(mut client: LeaseClient, lease: i64) -> Result<bool, Error> {
    let (mut keeper, mut answers) = client.keep_alive(lease).await?;
    keeper.keep_alive().await?;
    Ok(answers.message().await?.is_some_and(|answer| answer.ttl() > 0))
}

/// True where another member, or a new connection, may do better.
fn is_of_the_connection(error: &SessionError) -> bool {
    // etcd's own refusals (a compacted revision, a permission) are the same everywhere.
    !matches!(error, SessionError::Etcd(Error::GRpcStatus(status))
        if !matches!(u8::try_from(i32::from(status.code())), Ok(1 | 2 | 4 | 13..=16)))
}
