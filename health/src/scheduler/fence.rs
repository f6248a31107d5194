//! Who leads: the scheduler that holds the locks. They go away with a lease, and every write is a transaction on the condition that they
//! are still the ones that were taken. A leader that was paused, or whose packets come late, cannot write once another leads, whatever
//! it believes and whatever clocks say.

use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, LeaseClient, PutOptions, Txn, TxnOp, TxnOpResponse};
use ringdns_controlplane::etcd::{SessionError, within};

/// The locks that we hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease that they go away with.
    lease: i64,
    /// Their keys, each with the revision at which it was made. No other lock will ever be made at that one.
    locks: Vec<(String, i64)>,
}

/// A write that has to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The revision at which it was written last as far as we know, which is a condition; 0: it is not there.
    pub known: i64,
    /// The value; nothing: the key is deleted.
    pub value: Option<Vec<u8>>,
    /// The lease that the key goes away with, which it keeps; 0: none.
    pub lease: i64,
}

/// What became of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They were carried out at this revision.
    Written(i64),
    /// Not one was: one of the keys has changed.
    Conflict,
    /// Not one was: others lead.
    Fenced,
}

impl Fence {
    /// The keys of the locks, each with the revision at which it was made.
    pub fn locks(&self) -> &[(String, i64)] {
        &self.locks
    }

    /// The lease.
    pub fn lease(&self) -> i64 {
        self.lease
    }

    /// Takes all of the locks with a lease of our own; nothing where one of them is held.
    pub async fn take(
        client: &Client,
        locks: &[String],
        holder: &str,
        lease: Duration,
        timeout: Duration,
    ) -> Result<Option<Self>, SessionError> {
        let seconds = i64::try_from(lease.as_secs()).unwrap_or(i64::MAX);
        let lease = within(timeout, client.lease_client().grant(seconds, None)).await?.id();
        let is_free = |key: &String| Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
        let put = |key: &String| TxnOp::put(key.as_str(), holder, Some(PutOptions::new().with_lease(lease)));
        let taking = Txn::new()
            .when(locks.iter().map(is_free).collect::<Vec<_>>())
            .and_then(locks.iter().map(put).collect::<Vec<_>>());
        let answer = within(timeout, client.kv_client().txn(taking)).await;
        let revision = answer.as_ref().ok().filter(|answer| answer.succeeded()).and_then(|answer| answer.header());
        if let Some(revision) = revision.map(etcd_client::ResponseHeader::revision) {
            return Ok(Some(Self { lease, locks: locks.iter().map(|key| (key.clone(), revision)).collect() }));
        }
        // Also where no answer came: what was carried out all the same goes away with the lease.
        let revoked = within(timeout, client.lease_client().revoke(lease)).await;
        answer?;
        revoked.map(|_| None)
    }

    /// Deletes a lock without a lease that nobody has touched since. Whoever comes first takes it then.
    pub async fn break_lock(
        client: &Client,
        key: &str,
        revision: i64,
        timeout: Duration,
    ) -> Result<bool, SessionError> {
        let breaking = Txn::new()
            .when([Compare::mod_revision(key, CompareOp::Equal, revision), Compare::lease(key, CompareOp::Equal, 0)])
            .and_then([TxnOp::delete(key, None)]);
        Ok(within(timeout, client.kv_client().txn(breaking)).await?.succeeded())
    }

    /// Carries out all writes, or none of them.
    pub async fn write(&self, client: &Client, writes: &[Write], timeout: Duration) -> Result<Outcome, SessionError> {
        let ours =
            self.locks.iter().map(|(key, created)| Compare::create_revision(key.as_str(), CompareOp::Equal, *created));
        let known = writes.iter().map(|write| Compare::mod_revision(write.key.as_str(), CompareOp::Equal, write.known));
        let holders =
            self.locks.iter().map(|(key, _)| TxnOp::get(key.as_str(), Some(GetOptions::new().with_keys_only())));
        let writing = Txn::new()
            .when(ours.chain(known).collect::<Vec<_>>())
            .and_then(writes.iter().map(Write::operation).collect::<Vec<_>>())
            .or_else(holders.collect::<Vec<_>>());
        let answer = within(timeout, client.kv_client().txn(writing)).await?;
        if answer.succeeded() {
            return Ok(Outcome::Written(answer.header().map_or(0, etcd_client::ResponseHeader::revision)));
        }
        let is_ours = |(answer, (_, created)): (TxnOpResponse, &(String, i64))| matches!(answer, TxnOpResponse::Get(get) if get.kvs().first().is_some_and(|key| key.create_revision() == *created));
        let leads = answer.op_responses().into_iter().zip(&self.locks).all(is_ours);
        Ok(if leads { Outcome::Conflict } else { Outcome::Fenced })
    }

    /// Gives the locks back.
    pub async fn give_back(&self, client: &Client, timeout: Duration) -> Result<(), SessionError> {
        within(timeout, client.lease_client().revoke(self.lease)).await.map(drop)
    }

    /// Keeps the lease alive until it or the connection is gone.
    pub async fn keep(lease: i64, mut client: LeaseClient, every: Duration, timeout: Duration) -> Kept {
        let kept = async {
            let (mut keeper, mut answers) = within(timeout, client.keep_alive(lease)).await?;
            loop {
                tokio::time::sleep(every).await;
                within(timeout, keeper.keep_alive()).await?;
                match within(timeout, answers.message()).await? {
                    Some(answer) if answer.ttl() > 0 => {}
                    Some(_) => return Ok(()),
                    None => return Err(SessionError::Closed),
                }
            }
        };
        match kept.await {
            Ok(()) => Kept::Expired,
            // The first answer's way to say it.
            Err(SessionError::Etcd(Error::LeaseKeepAliveError(_))) => Kept::Expired,
            Err(error) => Kept::Cut(error),
        }
    }
}

/// Why a lease is not kept any more.
#[derive(Debug)]
pub enum Kept {
    /// It has expired, or was revoked.
    Expired,
    /// The connection is gone; the lease may still be there.
    Cut(SessionError),
}

impl Write {
    /// As a part of a transaction.
    fn operation(&self) -> TxnOp {
        match &self.value {
            Some(value) => {
                let options = (self.lease != 0).then(|| PutOptions::new().with_lease(self.lease));
                TxnOp::put(self.key.as_str(), value.as_slice(), options)
            }
            None => TxnOp::delete(self.key.as_str(), None),
        }
    }
}
