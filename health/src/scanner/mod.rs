//! The scanner: checks the targets that are its own, and tells etcd and people what it finds.
//!
//! ```text
//! states, jobs --> board --> schedule --> checks --> board --> report --> states, observations
//!                                                      |
//!                                                      +--> alerts
//! ```
//!
//! `board` knows everything and does nothing; `schedule` says when; `report` writes; `heartbeat` keeps the lease that all writes
//! depend on. While etcd is away checks go on, what was known stays, and what has changed is written when it is back.
//! In a server without etcd, `alone` takes the places of jobs, `report` and `heartbeat`.

mod alone;
mod board;
mod count;
mod heartbeat;
mod report;
mod schedule;
mod shown;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringdns_controlplane::config::EtcdConfig;
use ringdns_controlplane::config::health::{HealthConfig, ScannerConfig};
use ringdns_controlplane::health::Handle;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::alert::Alerts;
use crate::follow::{News, follow};
use crate::insight::{self, ListenError};
use crate::keys::{Keys, Resource};
use crate::link::Link;
use crate::probe::Prober;
use crate::values::Health;
use board::{Board, Moves, Target};
use count::Counts;
use heartbeat::Heartbeat;
use report::Inbox;

/// News that can wait.
const NEWS_MAX: usize = 16;

/// Threads of the runtime: checks wait for answers, mostly.
const THREADS: usize = 2;

/// How long what is under way may take at the end.
const END: Duration = Duration::from_secs(3);

/// Why a scanner does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Threads.
    #[error("the scanner's threads cannot be made: {0}; raise the process's limits (ulimit -a)")]
    Threads(std::io::Error),
    /// The address of what it shows.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Where targets come from and where states go.
#[derive(Clone)]
enum Way {
    /// Etcd.
    Etcd(Link),
    /// The server that we are part of.
    Server(Handle),
}

/// What the scanner's tasks share.
struct Shared {
    /// True: nobody else has a say, and nothing is written to etcd.
    is_alone: bool,
    /// Keys.
    keys: Keys,
    /// How it checks.
    config: ScannerConfig,
    /// What it knows.
    board: Mutex<Board>,
    /// What is to be written.
    inbox: Inbox,
    /// What it counts.
    counts: Arc<Counts>,
    /// Who tells people; none: nobody.
    alerts: Option<Arc<Alerts>>,
    /// Probes.
    prober: Prober,
    /// Targets that came, with their numbers, to the schedule.
    came: mpsc::UnboundedSender<Vec<(Target, u64)>>,
}

impl Shared {
    /// The board. Never held while anything is waited for.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who has to know.
    fn moved(&self, moves: Moves) {
        if let Some(alerts) = &self.alerts {
            for target in &moves.went {
                alerts.forget(&target.name);
            }
            for (target, _) in &moves.came {
                // What was down before we came has been told by who was there.
                let board = self.board();
                let is_down = board.members().get(target).is_some_and(|member| member.health == Some(Health::Down));
                if is_down && board.tells(target) {
                    alerts.adopt(self.event(&board, target, Health::Down));
                }
            }
        }
        for (target, health) in &moves.decided {
            self.tell(target, *health);
        }
        if !moves.came.is_empty() {
            // Where the schedule has ended, so will we.
            let _ = self.came.send(moves.came);
        }
    }

    /// Tells people how a target is, where that is our part.
    fn tell(&self, target: &Target, health: Health) {
        let Some(alerts) = &self.alerts else { return };
        let board = self.board();
        if board.tells(target) {
            alerts.tell(self.event(&board, target, health));
        }
    }

    /// What there is to tell of a target.
    fn event(&self, board: &Board, target: &Target, health: Health) -> crate::alert::Event {
        let member = board.members().get(target);
        crate::alert::Event {
            target: target.name.clone(),
            is_domain: target.resource == Resource::Domain,
            health,
            since: member.map_or_else(std::time::SystemTime::now, |member| member.since),
            error: member.and_then(|member| member.error.clone()).unwrap_or_default(),
            probe: member.map_or("", |member| member.probe),
        }
    }
}

/// A scanner that runs.
pub struct Scanner {
    /// Where its tasks run.
    runtime: Runtime,
    /// Where states go.
    way: Way,
    /// What its tasks share.
    shared: Arc<Shared>,
    /// Tasks that are stopped first.
    checking: Vec<JoinHandle<()>>,
    /// Tasks that are stopped when everything is written.
    writing: Vec<JoinHandle<()>>,
    /// Stops what is shown.
    stop: oneshot::Sender<()>,
    /// Where it is shown.
    address: SocketAddr,
}

impl Scanner {
    /// Starts one that is an agent among others. It needs no etcd yet.
    pub fn start(etcd: EtcdConfig, health: &HealthConfig) -> Result<Self, StartError> {
        Self::start_by(Way::Etcd(Link::new(etcd)), health)
    }

    /// Starts one that checks for the server that it is part of, and for nobody else.
    pub fn start_alone(server: Handle, health: &HealthConfig) -> Result<Self, StartError> {
        Self::start_by(Way::Server(server), health)
    }

    /// Starts one.
    fn start_by(way: Way, health: &HealthConfig) -> Result<Self, StartError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("ringdns-scanner").enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let is_alone = matches!(way, Way::Server(_));
        // Whoever is alone checks everything.
        let config = ScannerConfig { all_jobs: health.scanner.all_jobs || is_alone, ..health.scanner.clone() };
        let listener = runtime.block_on(insight::bind("scanner.listen", config.listen))?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let entered = runtime.enter();
        let keys = Keys::new(&health.keys);
        let (came, to_come) = mpsc::unbounded_channel();
        let alerts = health.alert.as_ref().map(|alert| Arc::new(Alerts::new(alert.clone(), config.clone())));
        let shared = Arc::new(Shared {
            is_alone,
            board: Mutex::new(Board::new(keys.clone(), config.clone())),
            prober: Prober::new(config.timeout),
            inbox: Inbox::default(),
            counts: Arc::default(),
            alerts: alerts.clone(),
            keys: keys.clone(),
            came,
            config,
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shown: Arc<dyn insight::Shown> = Arc::clone(&shared) as _;
        tokio::spawn(insight::serve(listener, shown, async move { drop(stopped.await) }));
        let schedule = tokio::spawn(schedule::run(Arc::clone(&shared), to_come));
        let (mut checking, mut writing) = match &way {
            Way::Etcd(link) => spawn_agent(&shared, link),
            Way::Server(server) => {
                let following = tokio::spawn(alone::follow(Arc::clone(&shared), keys, server.clone()));
                (vec![following], vec![tokio::spawn(alone::tell(Arc::clone(&shared), server.clone()))])
            }
        };
        checking.push(schedule);
        writing.extend(alerts.map(|alerts| tokio::spawn(alerts.run())));
        tracing::info!(%address, name = shared.config.name, is_alone, "the scanner checks");
        drop(entered);
        Ok(Self { runtime, way, shared, checking, writing, stop, address })
    }

    /// Where it is shown.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: no more checks, what is known is written, the lease is given back, so that others take over at once.
    pub fn stop(self) {
        let Self { runtime, way, shared, checking, writing, stop, .. } = self;
        checking.iter().for_each(JoinHandle::abort);
        runtime.block_on(async {
            let _ = tokio::time::timeout(END, shared.inbox.idle()).await;
            writing.iter().for_each(JoinHandle::abort);
            let lease = i64::try_from(shared.counts.lease.get()).unwrap_or_default();
            if let Way::Etcd(link) = way
                && lease != 0
                && let Err(error) = link.revoke(lease).await
            {
                tracing::warn!("etcd: the lease cannot be given back: {error}; it ends by itself");
            }
        });
        // Whoever listened may be gone.
        let _ = stop.send(());
        runtime.shutdown_timeout(END);
        tracing::info!("the scanner has ended");
    }
}

/// Starts what an agent does beside checking: tasks that are stopped first, and tasks that are stopped when everything is
/// written.
fn spawn_agent(shared: &Arc<Shared>, link: &Link) -> (Vec<JoinHandle<()>>, Vec<JoinHandle<()>>) {
    let mut following = vec![spawn_news(shared, link, shared.keys.statuses(), Board::take_statuses)];
    if !shared.config.all_jobs {
        following.push(spawn_news(shared, link, shared.keys.jobs(), Board::take_jobs));
    }
    let writing = vec![tokio::spawn(report::run(Arc::clone(shared), link.clone())), spawn_heartbeat(shared, link)];
    (following, writing)
}

/// Follows a path and has the board take what is new.
fn spawn_news(shared: &Arc<Shared>, link: &Link, path: &str, take: fn(&mut Board, News) -> Moves) -> JoinHandle<()> {
    let (sender, mut news) = mpsc::channel(NEWS_MAX);
    let following = follow(link.clone(), path.to_owned(), sender);
    let shared = Arc::clone(shared);
    let take = async move {
        while let Some(news) = news.recv().await {
            let moves = take(&mut shared.board(), news);
            shared.moved(moves);
        }
    };
    // Both go when one does.
    tokio::spawn(async {
        tokio::select! { () = following => {}, () = take => {} }
    })
}

/// Keeps our key; each new lease has everything looked at again that may have waited for it.
fn spawn_heartbeat(shared: &Arc<Shared>, link: &Link) -> JoinHandle<()> {
    let heartbeat = Heartbeat {
        link: link.clone(),
        keys: shared.keys.clone(),
        config: shared.config.clone(),
        counts: Arc::clone(&shared.counts),
    };
    let shared = Arc::clone(shared);
    tokio::spawn(heartbeat.run(move || {
        let targets: Vec<Target> = shared.board().members().keys().cloned().collect();
        shared.inbox.add(targets);
    }))
}
