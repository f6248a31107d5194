//! The scheduler: says which agent checks which target.
//!
//! ```text
//! states, records, jobs, agents, observations, locks --> board --> plan --> jobs, states
//! ```
//!
//! `board` is what etcd has, listed and then followed by watching. For each target that something has happened to `plan` compares
//! what is there with what should be; only what differs is written. One scheduler of many leads: what it writes is bound to its
//! locks by `fence`. The others know all that it knows, and go on where it ends.

mod board;
mod budget;
pub mod fence;
mod places;
mod plan;
pub mod rendezvous;
mod session;
mod shown;
mod source;
mod state;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use etcd_client::Client;
use ringdns_controlplane::config::EtcdConfig;
use ringdns_controlplane::config::health::{HealthConfig, SchedulerConfig};
use ringdns_controlplane::etcd::{SessionError, connect};

use board::Board;
use budget::Budget;
use fence::Fence;
use places::Places;

use crate::backoff::Backoff;
use crate::role::{Role, RoleSpec, StartError};

pub use state::SchedulerState;

/// A scheduler.
#[derive(Debug)]
pub struct Scheduler {
    /// What it is told.
    config: SchedulerConfig,
    /// Where etcd is.
    etcd: EtcdConfig,
    /// Where everything stands.
    places: Arc<Places>,
    /// Up to where each path was taken: the revision to go on from; empty: all has to be listed.
    next: Vec<i64>,
    /// The cluster that they are of.
    cluster: u64,
    /// The locks, where it leads.
    fence: Option<Fence>,
    /// Locks one of which was lost, before the others are given back.
    lost: Option<Fence>,
    /// How much can be written.
    budget: Budget,
    /// When everything is looked at the next time.
    look_at: Instant,
    /// Until when it does not try to lead again.
    contend_at: Instant,
    /// What others see, and what etcd has.
    state: Arc<SchedulerState>,
}

impl Scheduler {
    /// One that has not begun.
    pub fn new(etcd: &EtcdConfig, health: &HealthConfig) -> Self {
        let config = health.scheduler.clone();
        let places = Arc::new(Places::new(&health.keys, &config));
        let now = Instant::now();
        let board = Board::new(Arc::clone(&places), config.agent_downtime);
        Self {
            places,
            next: Vec::new(),
            cluster: 0,
            fence: None,
            lost: None,
            budget: Budget::new(config.writes_per_second, now),
            look_at: now + config.interval,
            contend_at: now,
            state: Arc::new(SchedulerState::new(&config.name, Arc::new(Mutex::new(board)))),
            etcd: etcd.clone(),
            config,
        }
    }

    /// Starts one as a process has it. It needs no etcd yet.
    pub fn start(etcd: &EtcdConfig, health: &HealthConfig) -> Result<Role, StartError> {
        let (name, key, listen) = ("ringdns-scheduler", "scheduler.listen", health.scheduler.listen);
        let scheduler = Self::new(etcd, health);
        let spec = RoleSpec { name, key, listen, timeout: etcd.timeout };
        Role::start(spec, scheduler.state(), |ended| scheduler.run(ended))
    }

    /// What others see.
    pub fn state(&self) -> Arc<SchedulerState> {
        Arc::clone(&self.state)
    }

    /// Schedules until told to stop; then gives its locks back, so that another leads at once.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            never = self.serve() => match never {},
            () = stop => {}
        }
        self.state.note_following();
        if let Some(fence) = self.fence.take()
            && let Err(error) = self.give_back(&fence).await
        {
            tracing::warn!("the locks cannot be given back, and go away with their lease: {error}");
        }
    }

    /// Connects again and again.
    async fn serve(&mut self) -> Infallible {
        let endpoints = self.etcd.endpoints.clone();
        // Schedulers that start together do not all ask the same member.
        let mut turn = std::process::id() as usize;
        let mut backoff = Backoff::default();
        loop {
            let endpoint = endpoints.get(turn % endpoints.len().max(1)).map_or("", String::as_str);
            let error = match self.session(endpoint).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::warn!(endpoint, "etcd is away, every agent goes on with the jobs that it has: {error}");
            if self.state.note_failure(format!("{endpoint}: {error}")) {
                backoff.reset();
            }
            backoff.wait().await;
            turn = turn.wrapping_add(1);
        }
    }

    /// What etcd has before anything is known of it.
    fn empty_board(&self) -> Board {
        Board::new(Arc::clone(&self.places), self.config.agent_downtime)
    }

    /// Gives the locks back, by whichever member answers.
    async fn give_back(&self, fence: &Fence) -> Result<(), SessionError> {
        let mut last = SessionError::Closed;
        for endpoint in &self.etcd.endpoints {
            match self.give_back_by(endpoint, fence).await {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Gives the locks back by one member.
    async fn give_back_by(&self, endpoint: &str, fence: &Fence) -> Result<(), SessionError> {
        let client: Client = connect(endpoint, &self.etcd).await?;
        fence.give_back(&client, self.etcd.timeout).await
    }
}
