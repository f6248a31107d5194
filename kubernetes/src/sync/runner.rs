//! Follows the cluster and etcd, and writes while it leads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_controlplane::config::{KubernetesConfig, KubernetesEndpoints, KubesyncRole};
use ringdns_controlplane::etcd::SessionError;
use ringdns_health::backoff::Backoff;
use ringdns_health::follow::{News, follow};
use ringdns_health::lead::{Seat, Standing, lead};
use ringdns_health::link::{Entry, Link};
use ringdns_health::role::{self, Role, RoleSpec};
use ringdns_health::scheduler::fence::{Outcome, Write};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::board::{Board, PLACES, Place};
use super::look::Due;
use super::state::SyncState;
use crate::api::{Fault, Following, Plan, RUNNING, Scope, Tempo, Told, What, check};
use crate::state::ClusterState;

/// Most writes of a transaction: a server refuses more than 128 conditions unless told otherwise, and the lock is one.
const TRANSACTION_WRITES_MAX: usize = 120;

/// How often what could not be written is looked at again.
const TICK: Duration = Duration::from_secs(1);

/// Messages that wait to be taken. Where we are behind, etcd and the API server are read no further.
const WAITING_MAX: usize = 64;

/// Tries to read a key of ours that lies where nothing is followed any more.
const STRAY_TRIES_MAX: u32 = 10;

/// Messages of the API server that are taken at once.
const MESSAGES_MAX: usize = 256;

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Threads, or where it is to be shown.
    #[error(transparent)]
    Role(#[from] role::StartError),
    /// What says how the API server is reached.
    #[error(transparent)]
    Access(#[from] Fault),
}

/// Writes a cluster's records to etcd.
#[derive(Debug)]
pub struct ClusterWriter {
    /// What it is told.
    config: KubesyncRole,
    /// What is followed in the cluster.
    plan: Plan,
    /// How long what may take there.
    tempo: Tempo,
    /// What others see, and all that is known.
    state: Arc<SyncState>,
}

impl ClusterWriter {
    /// One that has not begun.
    pub fn new(config: &KubesyncRole, tempo: Tempo) -> Self {
        let plan = plan(&config.kubernetes, config.kubesync.pods);
        let is_whole = config.kubernetes.namespaces.is_empty() && config.kubernetes.labels.is_empty();
        let board = Board::new(&config.kubesync, is_whole);
        let state = Arc::new(SyncState::new(board, Arc::new(ClusterState::new(&plan))));
        Self { config: config.clone(), plan, tempo, state }
    }

    /// Starts one as a process has it. It needs neither etcd nor the API server yet.
    pub fn start(config: &KubesyncRole) -> Result<Role, StartError> {
        check(&config.kubernetes.access)?;
        let writer = Self::new(config, Tempo::default());
        let (name, key, listen) = ("ringdns-kubesync", "kubesync.listen", config.kubesync.listen);
        let spec = RoleSpec { name, key, listen, timeout: config.etcd.timeout };
        Ok(Role::start(spec, writer.state(), |ended| writer.run(ended))?)
    }

    /// What others see.
    pub fn state(&self) -> Arc<SyncState> {
        Arc::clone(&self.state)
    }

    /// Writes until told to stop; then gives the lock back, so that another leads at once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let link = Link::new(self.config.etcd.clone());
        let seat = Seat {
            lock: format!("{}/lock", self.config.kubesync.state_path),
            holder: self.config.kubesync.name.clone(),
            lease: self.config.kubesync.lease,
        };
        let (standing, seen) = watch::channel(Standing::default());
        let (end, ended) = oneshot::channel::<()>();
        let lost = Arc::new(Notify::new());
        let leading = lead(link.clone(), seat, standing, Arc::clone(&lost), async move { drop(ended.await) });
        let leading = tokio::spawn(leading);
        let work = Work {
            link,
            standing: seen,
            lost,
            state: Arc::clone(&self.state),
            backoff: Backoff::default(),
            write_at: Instant::now(),
        };
        tokio::select! {
            () = self.serve(work) => {}
            () = stop => {}
        }
        let _ = end.send(());
        // It does not panic.
        let _ = leading.await;
        self.state.note_standing(&Standing::default());
    }

    /// Takes what comes, and writes what is due.
    async fn serve(&self, mut work: Work) {
        let (news, mut told) = mpsc::channel(WAITING_MAX);
        let mut tasks = JoinSet::new();
        for place in PLACES {
            let path = self.state.board().path(place).map(str::to_owned);
            let Some(path) = path else { continue };
            let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
            tasks.spawn(follow(work.link.clone(), path, sender));
            let news = news.clone();
            tasks.spawn(async move {
                while let Some(found) = receiver.recv().await {
                    if news.send((place, found)).await.is_err() {
                        return;
                    }
                }
            });
        }
        let mut following =
            Following::start(&self.plan, &self.config.kubernetes.access, self.tempo, self.state.cluster());
        let mut listed = vec![false; self.plan.scopes.len()];
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut waiting = Vec::new();
        loop {
            let is_due = work.leads() && self.state.board().has_work();
            tokio::select! {
                biased;
                Some((place, found)) = told.recv() => self.take_news(&work.link, place, found).await,
                count = following.told.recv_many(&mut waiting, MESSAGES_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.take_objects(&mut waiting, &mut listed);
                }
                changed = work.standing.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.state.note_standing(&work.standing.borrow_and_update());
                }
                _ = tick.tick() => self.state.board().resume(),
                () = tokio::time::sleep_until(work.write_at.into()), if is_due => work.write().await,
            }
        }
    }

    /// Takes what is new in etcd.
    async fn take_news(&self, link: &Link, place: Place, news: News) {
        if let News::Listed(listing) = &news {
            tracing::info!(?place, keys = listing.entries.len(), revision = listing.revision, "etcd was listed");
            if place == Place::Ledger {
                self.find_strays(link, &listing.entries).await;
            }
        }
        self.state.board().news(place, news);
    }

    /// Reads what was written where nothing is followed any more, so that it goes: the configuration names another place by now.
    async fn find_strays(&self, link: &Link, ledger: &[Entry]) {
        let keys = self.state.board().strays_of(ledger);
        for key in keys {
            let mut backoff = Backoff::default();
            for tries in 1.. {
                match link.get(&key).await {
                    Ok(found) => {
                        self.state.board().note_stray(&key, found.as_ref());
                        break;
                    }
                    Err(error) if tries == STRAY_TRIES_MAX => {
                        tracing::error!(
                            key,
                            "it was written before the configuration changed, and cannot be read: {error}; delete it"
                        );
                        break;
                    }
                    Err(_) => backoff.wait().await,
                }
            }
        }
    }

    /// Takes what is new in the cluster.
    fn take_objects(&self, waiting: &mut Vec<Told>, listed: &mut [bool]) {
        let mut board = self.state.board();
        for told in waiting.drain(..) {
            match told {
                Told::Events(events) => events.into_iter().for_each(|event| board.take(event)),
                Told::Listed(place) => {
                    let was_told = listed.iter().all(|listed| *listed);
                    listed[place] = true;
                    if !was_told && listed.iter().all(|listed| *listed) {
                        board.told();
                        tracing::info!(services = board.services(), "the cluster was listed");
                        if board.is_empty() {
                            tracing::error!(
                                "the API server has no Service at all, not even its own: what was written stays as it is; look \
                                 whether it has lost its data, and whether [kubernetes] names the right one"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// What is followed: Services, their endpoints, and Pods where they are written.
fn plan(config: &KubernetesConfig, pods: bool) -> Plan {
    let endpoints = match config.resource {
        KubernetesEndpoints::Auto => What::Either,
        KubernetesEndpoints::Slices => What::Slices,
        KubernetesEndpoints::Endpoints => What::Endpoints,
    };
    let mut whats = vec![What::Services];
    whats.extend(config.endpoints.then_some(endpoints));
    whats.extend(pods.then_some(What::Pods));
    let each: Vec<Option<String>> = match config.namespaces.is_empty() {
        true => vec![None],
        false => config.namespaces.iter().cloned().map(Some).collect(),
    };
    let scope = |what, namespace: &Option<String>| {
        let fields = if what == What::Pods { RUNNING } else { "" };
        Scope { what, namespace: namespace.clone(), labels: config.labels.clone(), fields: fields.to_owned() }
    };
    Plan {
        scopes: whats.into_iter().flat_map(|what| each.iter().map(move |namespace| scope(what, namespace))).collect(),
    }
}

/// What writes.
struct Work {
    /// The connection.
    link: Link,
    /// Who leads.
    standing: watch::Receiver<Standing>,
    /// Told where writes were refused because others lead.
    lost: Arc<Notify>,
    /// What is known.
    state: Arc<SyncState>,
    /// Pauses while writes fail.
    backoff: Backoff,
    /// When something is written next.
    write_at: Instant,
}

impl Work {
    /// True while we lead.
    fn leads(&self) -> bool {
        self.standing.borrow().fence.is_some()
    }

    /// Writes the next units.
    async fn write(&mut self) {
        let due = self.state.board().due(TRANSACTION_WRITES_MAX);
        if due.is_empty() {
            return;
        }
        let writes: Vec<Write> = due.iter().flat_map(|(_, writes)| writes.iter().cloned()).collect();
        match self.transact(writes).await {
            Ok(Outcome::Conflict) if due.len() > 1 => {
                // One of them is in the way of the others.
                for one in due {
                    let outcome = self.transact(one.1.clone()).await;
                    self.note(vec![one], outcome);
                }
            }
            outcome => self.note(due, outcome),
        }
    }

    /// Carries out writes, or none of them.
    async fn transact(&self, writes: Vec<Write>) -> Result<Outcome, SessionError> {
        let Some(fence) = self.standing.borrow().fence.clone() else { return Ok(Outcome::Fenced) };
        let timeout = self.link.timeout();
        self.link.session(|client| async move { fence.write(&client, &writes, timeout).await }).await
    }

    /// Notes what became of units. Those that were not written are looked at again.
    fn note(&mut self, due: Vec<Due>, outcome: Result<Outcome, SessionError>) {
        let writes = due.iter().flat_map(|(_, writes)| writes);
        self.state.note_outcome(&outcome, writes);
        let mut board = self.state.board();
        match outcome {
            Ok(Outcome::Written(revision)) => {
                self.backoff.reset();
                for (unit, writes) in due {
                    board.wrote(unit, &writes, revision);
                }
                return;
            }
            Ok(Outcome::Fenced) if self.leads() => self.lost.notify_one(),
            // What has changed there is on its way here.
            Ok(Outcome::Conflict | Outcome::Fenced) => {}
            Err(error) => {
                let pause = self.backoff.pause();
                self.write_at = Instant::now() + pause;
                tracing::warn!("etcd: {error}; what is to be written waits {} ms", pause.as_millis());
            }
        }
        due.into_iter().for_each(|(unit, _)| board.postpone(unit));
    }
}
