//! One connection to etcd: lists where that is needed, then takes what comes, leads where nobody else does, and writes what is due.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use etcd_client::{Client, WatchResponse, WatchStream};
use ringdns_controlplane::etcd::{SessionError, connect};
use tokio::task::JoinHandle;

use super::Scheduler;
use super::fence::{Fence, Kept, Outcome, Write};
use super::plan::{self, Aim};
use super::source::{self, Moment};

/// How often it is looked who is live, and whether locks are free.
const TICK: Duration = Duration::from_millis(200);

/// Most writes of a transaction: a server refuses more than 128 conditions unless told otherwise, and our locks are two.
const TRANSACTION_WRITES_MAX: usize = 100;

/// Most targets that are looked at before anything else is done.
const LOOK_MAX: usize = 2000;

/// The task that keeps the lease of our locks. Ends with the session.
struct Keeper(Option<JoinHandle<Kept>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

impl Keeper {
    /// Ends it.
    fn end(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }

    /// Waits until it ends by itself; for ever where there is none.
    async fn ended(&mut self) -> Kept {
        match &mut self.0 {
            // It is not aborted as long as it is waited for, and does not panic.
            Some(task) => task.await.unwrap_or(Kept::Expired),
            None => std::future::pending().await,
        }
    }
}

/// What goes on next.
enum Turn {
    /// The watch says something.
    Answer(Box<WatchResponse>),
    /// The lease is not kept any more.
    Kept(Kept),
    /// Time passes.
    Tick,
    /// Something can be written.
    Work,
}

impl Scheduler {
    /// One connection.
    pub(super) async fn session(&mut self, endpoint: &str) -> Result<Infallible, SessionError> {
        let client = connect(endpoint, &self.etcd).await?;
        let mut keeper = Keeper(None);
        // Locks that were held over another connection are held still, as long as their lease is.
        self.keep_lease(&client, &mut keeper);
        loop {
            if self.next.is_empty() {
                self.list(&client).await?;
            }
            let stream = source::watch(&client, self.places.paths(), &self.next, self.etcd.timeout).await?;
            match self.follow(&client, stream, &mut keeper, endpoint).await {
                // The revisions that were missed are gone: everything is listed again.
                Err(error) if error.is_compacted() => self.next.clear(),
                Err(error) => return Err(error),
                Ok(()) => self.next.clear(),
            }
        }
    }

    /// Starts to keep the lease of the locks that we hold.
    fn keep_lease(&self, client: &Client, keeper: &mut Keeper) {
        keeper.end();
        if let Some(fence) = &self.fence {
            let every = self.config.lease / 3;
            let kept = Fence::keep(fence.lease(), client.lease_client(), every, every.min(self.etcd.timeout));
            keeper.0 = Some(tokio::spawn(kept));
        }
    }

    /// Reads everything anew.
    async fn list(&mut self, client: &Client) -> Result<(), SessionError> {
        let started = Instant::now();
        let mut board = self.empty_board();
        let take = |update| board.take(update, started, false);
        let moment = source::list(client, self.places.paths(), self.etcd.timeout, take).await?;
        self.next = vec![moment.revision + 1; self.places.paths().len()];
        self.cluster = moment.cluster;
        {
            let mut shown = self.state.board();
            board.complete(&shown, moment.revision, Instant::now());
            *shown = board;
            let (targets, agents) = (shown.targets().len(), shown.agents().len());
            tracing::info!(targets, agents, revision = moment.revision, "etcd was listed");
        }
        self.state.note_listed(moment.revision);
        self.check_locks();
        Ok(())
    }

    /// Takes what comes, until etcd has to be listed again.
    async fn follow(
        &mut self,
        client: &Client,
        mut stream: WatchStream,
        keeper: &mut Keeper,
        endpoint: &str,
    ) -> Result<(), SessionError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut awaited, opened) = (self.next.len(), Instant::now());
        loop {
            let is_due = awaited == 0 && self.fence.is_some() && self.state.board().queued() > 0;
            let turn = tokio::select! {
                answer = stream.message() => Turn::Answer(Box::new(answer?.ok_or(SessionError::Closed)?)),
                kept = keeper.ended() => Turn::Kept(kept),
                _ = tick.tick() => Turn::Tick,
                () = tokio::time::sleep(self.budget.wait()), if is_due => Turn::Work,
            };
            match turn {
                Turn::Answer(answer) => {
                    if !self.take_answer(&answer, &mut awaited)? {
                        return Ok(());
                    }
                    if answer.created() && awaited == 0 {
                        tracing::info!(endpoint, "watching etcd");
                        self.state.note_connected(self.fence.is_some());
                    }
                }
                Turn::Kept(Kept::Cut(error)) => return Err(error),
                Turn::Kept(Kept::Expired) => {
                    keeper.end();
                    self.follow_others("its lease has expired");
                }
                Turn::Tick if awaited > 0 && opened.elapsed() > self.etcd.timeout => {
                    return Err(SessionError::Timeout(self.etcd.timeout));
                }
                Turn::Tick => {}
                Turn::Work => self.work(client).await?,
            }
            self.look();
            if let Some(lost) = self.lost.take() {
                // Others have one of the locks; they may want the rest of them too.
                keeper.end();
                if let Err(error) = lost.give_back(client, self.etcd.timeout).await {
                    tracing::debug!("nothing was left to give back: {error}");
                }
            }
            if awaited == 0 && self.fence.is_none() {
                self.contend(client, keeper).await?;
            }
        }
    }

    /// Takes an answer of the watch; false where everything has to be listed again.
    fn take_answer(&mut self, answer: &WatchResponse, awaited: &mut usize) -> Result<bool, SessionError> {
        let moment = Moment::of(answer.header());
        let place = usize::try_from(answer.watch_id() - 1).ok();
        let Some(place) = place.filter(|&place| place < self.next.len()) else { return Ok(true) };
        if answer.compact_revision() > 0 {
            tracing::info!("etcd has compacted what was missed; it is listed again");
            return Ok(false);
        }
        if answer.canceled() {
            return Err(SessionError::Canceled(answer.cancel_reason().to_owned()));
        }
        let next = self.next[place];
        if answer.created() {
            if moment.cluster != self.cluster || moment.revision < next - 1 {
                tracing::warn!("this etcd is another one, or was put back to an earlier state; it is listed again");
                return Ok(false);
            }
            *awaited = awaited.saturating_sub(1);
            return Ok(true);
        }
        let mut reached = if answer.events().is_empty() { moment.revision } else { next - 1 };
        let now = Instant::now();
        for update in answer.events().iter().filter_map(source::of_event).filter(|update| update.revision >= next) {
            reached = reached.max(update.revision);
            self.state.board().take(update, now, true);
        }
        self.next[place] = next.max(reached + 1);
        self.state.note_revision(reached);
        self.check_locks();
        Ok(true)
    }

    /// Finds out whether the locks are still ours. What the board knows may be older than they are.
    fn check_locks(&mut self) {
        let Some(fence) = &self.fence else { return };
        let board = self.state.board();
        let is_lost = fence.locks().iter().any(|(key, created)| {
            let is_ours = board.lock(key).is_some_and(|lock| lock.stored.created == *created);
            !is_ours && board.lock_revision(key) >= *created
        });
        drop(board);
        if is_lost {
            self.follow_others("its locks are gone");
        }
    }

    /// Leads no more.
    fn follow_others(&mut self, why: &str) {
        if let Some(fence) = self.fence.take() {
            tracing::warn!("this scheduler leads no more: {why}");
            self.lost = Some(fence);
            self.state.note_following();
        }
    }

    /// Looks who is live, and at everything where that is due.
    fn look(&mut self) {
        let now = Instant::now();
        let mut board = self.state.board();
        if board.refresh(now) {
            tracing::info!(
                live = board.live().len(),
                known = board.agents().len(),
                "the agents that can be given work are others"
            );
        }
        if now >= self.look_at {
            self.look_at = now + self.config.interval;
            board.queue_all();
        }
    }

    /// Leads where nobody else does; breaks a lock that was left behind.
    async fn contend(&mut self, client: &Client, keeper: &mut Keeper) -> Result<(), SessionError> {
        let (now, timeout) = (Instant::now(), self.etcd.timeout);
        let held = {
            let board = self.state.board();
            let locks = self.places.locks().iter();
            locks.filter_map(|key| board.lock(key).map(|lock| (key.clone(), lock.clone()))).collect::<Vec<_>>()
        };
        // One that was left behind is of more interest than one that somebody holds.
        if let Some((key, lock)) = held.iter().max_by_key(|(_, lock)| (lock.stored.lease == 0, now - lock.since)) {
            let holder = String::from_utf8_lossy(&lock.stored.value);
            let (is_new, after) = (self.state.note_leader(&holder), self.config.force_lock);
            if lock.stored.lease != 0 {
                return Ok(());
            }
            if now - lock.since >= after {
                let is_broken = Fence::break_lock(client, key, lock.stored.revision, timeout).await?;
                tracing::warn!(key, %holder, is_broken, "nobody has touched this lock for {} seconds", after.as_secs());
            } else if is_new {
                let seconds = after.as_secs();
                tracing::warn!(key, %holder, "this lock has no lease; it is broken if it stays for {seconds} seconds");
            }
            return Ok(());
        }
        if now < self.contend_at {
            return Ok(());
        }
        // Who comes too late hears of it within that time.
        self.contend_at = now + TICK;
        self.fence = Fence::take(client, self.places.locks(), &self.config.name, self.config.lease, timeout).await?;
        if self.fence.is_some() {
            tracing::info!(name = self.config.name, "this scheduler leads");
            self.state.note_leading();
            self.keep_lease(client, keeper);
            self.state.board().queue_all();
        }
        Ok(())
    }

    /// Looks at targets, and writes what is to be changed.
    async fn work(&mut self, client: &Client) -> Result<(), SessionError> {
        let room = self.budget.left(Instant::now()).min(TRANSACTION_WRITES_MAX);
        let writes = self.due(room);
        if writes.is_empty() {
            return Ok(());
        }
        self.budget.take(writes.len());
        if self.write(client, &writes).await? != Outcome::Conflict || writes.len() == 1 {
            return Ok(());
        }
        // One of them is in the way of the others. What has changed there is on its way here, and is looked at then.
        for write in &writes {
            if self.write(client, std::slice::from_ref(write)).await? == Outcome::Fenced {
                break;
            }
        }
        Ok(())
    }

    /// The next writes, about as many as there is room for.
    fn due(&self, room: usize) -> Vec<Write> {
        let aim = Aim { replicas: self.config.replicas, quorum: self.config.quorum, now: SystemTime::now() };
        let mut board = self.state.board();
        let (mut writes, mut seen) = (Vec::new(), BTreeSet::new());
        for _ in 0..LOOK_MAX {
            if writes.len() >= room {
                break;
            }
            let Some(target) = board.next() else { break };
            // One that came back while it was waiting waits twice; a transaction writes no key twice.
            if seen.insert(target.clone()) {
                writes.extend(plan::writes(&board, &self.places, &target, &aim));
            }
        }
        writes
    }

    /// Carries out writes as one.
    async fn write(&mut self, client: &Client, writes: &[Write]) -> Result<Outcome, SessionError> {
        let Some(fence) = &self.fence else { return Ok(Outcome::Fenced) };
        let outcome = fence.write(client, writes, self.etcd.timeout).await?;
        self.state.note_outcome(outcome, writes);
        match outcome {
            Outcome::Written(revision) => {
                let mut board = self.state.board();
                for Write { key, value, lease, .. } in writes {
                    board.wrote(key, revision, value.as_deref(), *lease);
                }
            }
            Outcome::Conflict => {}
            Outcome::Fenced => self.follow_others("another one has its locks"),
        }
        Ok(outcome)
    }
}
