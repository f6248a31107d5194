//! One lock for roles that have to know no more than whether they lead: it is taken where nobody holds it, kept by its lease, and given
//! back at the end. Whoever writes does so by the fence that comes of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::etcd::SessionError;
use tokio::sync::{Notify, watch};

use crate::backoff::Backoff;
use crate::link::Link;
use crate::scheduler::fence::{Fence, Kept};

/// How often it is looked whether the lock is free.
const TICK: Duration = Duration::from_millis(300);

/// What is contended for.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The key of the lock.
    pub lock: String,
    /// Who we are in it.
    pub holder: String,
    /// After how long a leader that is gone counts as gone.
    pub lease: Duration,
}

/// Who leads.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What writes are bound to while we lead.
    pub fence: Option<Fence>,
    /// Who holds the lock; empty: nobody.
    pub leader: String,
    /// Why etcd is away; empty: it is there.
    pub error: String,
    /// Times that we came to lead.
    pub elections: u64,
}

/// One that contends.
struct Contender {
    /// The connection.
    link: Link,
    /// What is contended for.
    seat: Seat,
    /// Where it is told who leads.
    standing: watch::Sender<Standing>,
    /// Pauses while etcd is away.
    backoff: Backoff,
}

/// Contends for the lock until told to stop, and gives it back then. `lost` is for who was refused because others lead.
pub async fn lead(
    link: Link,
    seat: Seat,
    standing: watch::Sender<Standing>,
    lost: Arc<Notify>,
    stop: impl Future<Output = ()>,
) {
    let mut contender = Contender { link, seat, standing, backoff: Backoff::default() };
    tokio::select! {
        never = contender.contend(&lost) => match never {},
        () = stop => {}
    }
    contender.give_back().await;
}

impl Contender {
    /// Takes the lock where it is free, again and again.
    async fn contend(&mut self, lost: &Notify) -> Infallible {
        loop {
            match self.seek().await {
                Ok(Some(fence)) => {
                    tracing::info!(lock = self.seat.lock, name = self.seat.holder, "this process leads");
                    self.note("");
                    self.standing.send_modify(|standing| {
                        standing.fence = Some(fence.clone());
                        standing.leader.clone_from(&self.seat.holder);
                        standing.elections += 1;
                    });
                    tokio::select! {
                        () = self.keep(&fence) => tracing::warn!("this process leads no more: its lease has expired"),
                        () = lost.notified() => tracing::warn!("this process leads no more: its lock is gone"),
                    }
                    self.give_back().await;
                }
                Ok(None) => {
                    self.note("");
                    tokio::time::sleep(TICK).await;
                }
                Err(error) => self.be_away(&error).await,
            }
        }
    }

    /// Takes the lock where it is free.
    async fn seek(&self) -> Result<Option<Fence>, SessionError> {
        if let Some(held) = self.link.get(&self.seat.lock).await? {
            let leader = String::from_utf8_lossy(&held.value).into_owned();
            self.standing
                .send_if_modified(|standing| std::mem::replace(&mut standing.leader, leader.clone()) != leader);
            return Ok(None);
        }
        let (seat, timeout) = (self.seat.clone(), self.link.timeout());
        let take = |client| async move { Fence::take(&client, &[seat.lock], &seat.holder, seat.lease, timeout).await };
        self.link.session(take).await
    }

    /// Keeps the lease until it has expired. While etcd cannot be reached nobody knows whether it has; writes are refused if so.
    async fn keep(&mut self, fence: &Fence) {
        let every = self.seat.lease / 3;
        let timeout = every.min(self.link.timeout());
        let lease = fence.lease();
        loop {
            match self.link.renew(lease).await {
                Ok(true) => self.note(""),
                Ok(false) => return,
                Err(error) if is_expired(&error) => return,
                Err(error) => {
                    self.be_away(&error).await;
                    continue;
                }
            }
            let kept = self.link.session(|client| async move {
                match Fence::keep(lease, client.lease_client(), every, timeout).await {
                    Kept::Expired => Ok(()),
                    Kept::Cut(error) => Err(error),
                }
            });
            match kept.await {
                Ok(()) => return,
                Err(error) => self.be_away(&error).await,
            }
        }
    }

    /// Ends the lease, where there is one.
    async fn give_back(&self) {
        let mut held = None;
        self.standing.send_modify(|standing| {
            held = standing.fence.take();
            standing.leader.clear();
        });
        let Some(fence) = held else { return };
        if let Err(error) = self.link.revoke(fence.lease()).await
            && !is_expired(&error)
        {
            tracing::warn!("the lock cannot be given back, and goes away with its lease: {error}");
        }
    }

    /// Notes that etcd is there, or why it is not.
    fn note(&mut self, error: &str) {
        if error.is_empty() {
            self.backoff.reset();
        }
        self.standing.send_if_modified(|standing| {
            let is_new = standing.error != error;
            if is_new {
                error.clone_into(&mut standing.error);
            }
            is_new
        });
    }

    /// Waits a while because of an error.
    async fn be_away(&mut self, error: &SessionError) {
        let pause = self.backoff.pause();
        tracing::warn!("etcd: {error}; next try in {} ms", pause.as_millis());
        self.note(&error.to_string());
        tokio::time::sleep(pause).await;
    }
}

/// True where a lease is known to be no more.
fn is_expired(error: &SessionError) -> bool {
    let SessionError::Etcd(error) = error else { return false };
    match error {
        etcd_client::Error::LeaseKeepAliveError(_) => true,
        // NOT_FOUND
        etcd_client::Error::GRpcStatus(status) => i32::from(status.code()) == 5,
        _ => false,
    }
}
