//! Who asks others for names that are not served here: started before all that answers, and ended after it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::Config;
use ringdns_controlplane::sockets::Asking;
use ringdns_dataplane::exchange;
use ringdns_dataplane::forward::{
    ForwardCounters, ForwardLane, ForwardOptions, ForwardPath, ForwardPort, server_config,
};
use ringdns_engine::cache::CacheShelf;
use ringdns_engine::publish::Publisher;
use ringdns_engine::recall::{Handover, RecallConfig};
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_forward::policy::{BlockError, Policies};
use ringdns_forward::{Forwarder, StartError};
use tokio::runtime::{Builder, Runtime};

/// Threads that wait for upstreams and keep what they say: off the workers' cores, and not those of the control plane, so that a
/// flood of questions delays no write and a large zone no question.
const RUNTIME_THREADS: usize = 2;

/// How much longer than the forwarder's own deadline its clients are kept: it should never matter.
const GRACE: Duration = Duration::from_secs(1);

/// Why nobody can be asked.
#[derive(Debug)]
pub enum ForwardError {
    /// The upstreams.
    Start(StartError),
    /// The policies.
    Policy(BlockError),
    /// Threads.
    Runtime(std::io::Error),
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Policy(error) => write!(f, "[policy]: {error}"),
            Self::Runtime(error) => {
                write!(
                    f,
                    "the forwarder's threads cannot be started: {error}; raise the limit of processes (ulimit -u)"
                )
            }
        }
    }
}

/// Asks others, and hands on what they say.
pub struct Forwarding {
    /// Who asks.
    forwarder: Forwarder,
    /// What is decided before.
    policies: Arc<Policies>,
    /// Where it waits.
    runtime: Runtime,
    /// Where answers are put for ports whose clients have waited for them; taken by the thread that does it.
    handover: Option<Handover>,
    /// What the servers of those clients look at.
    waited: Arc<CacheShelf>,
    /// What that thread serves.
    ports: Vec<ForwardPort>,
    /// What it counts.
    counters: Arc<ForwardCounters>,
    /// When it gives up.
    time_max: Duration,
}

impl Forwarding {
    /// Starts the forwarder, if names of others are asked for at all.
    pub fn start(config: &Config, publisher: &Publisher) -> Result<Option<Self>, ForwardError> {
        let Some(forward) = &config.forward else { return Ok(None) };
        let runtime = Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("ringdns-ask")
            .enable_all()
            .build()
            .map_err(ForwardError::Runtime)?;
        let newest = publisher.newest();
        let snapshots = Arc::new(move || newest.get());
        let policies = Policies::load(config).map_err(ForwardError::Policy)?;
        let forwarder = Forwarder::start(forward, runtime.handle().clone(), snapshots, policies.clone());
        let forwarder = forwarder.map_err(ForwardError::Start)?;
        let of_policies = forwarder.clone();
        policies.on_change(Arc::new(move |goes| {
            of_policies.flush_where(goes);
        }));
        policies.watch(runtime.handle());
        let handover = Handover::default();
        Ok(Some(Self {
            forwarder,
            policies,
            runtime,
            waited: Arc::clone(handover.shelf()),
            handover: Some(handover),
            ports: Vec::new(),
            counters: Arc::default(),
            time_max: forward.deadline + GRACE,
        }))
    }

    /// How names of others are answered from the cache.
    pub fn recall(&self, config: &Config) -> RecallConfig {
        RecallConfig {
            shelf: self.forwarder.shelf(),
            authoritative: config.forward.as_ref().is_some_and(|forward| forward.cache.authoritative),
            stale_ttl_seconds: self.forwarder.stale_ttl(),
            clients: Some(Arc::new(config.policy.clients())),
            is_handover: false,
        }
    }

    /// What the sockets need of it.
    pub fn asking(&self) -> Asking {
        Asking { asker: Arc::new(self.forwarder.clone()), time_max: self.time_max }
    }

    /// The server of a port's clients that have waited, whose others are served by `config`.
    pub fn waited_server(&self, config: &ServerConfig) -> Server {
        Server::new(&server_config(config, &self.waited))
    }

    /// Adds a port, whose clients are served by `config` and which has so many queue pairs. Gives the workers' ends, and whom to
    /// send the server to that is to take the place of the one for clients that have waited.
    pub fn add_port(&mut self, config: &ServerConfig, queues: usize) -> (Vec<ForwardLane>, exchange::Sender<Server>) {
        let (successor, receiver) = exchange::exchange();
        let (port, lanes) = ForwardPort::new(self.waited_server(config), Some(receiver), queues);
        self.ports.push(port);
        (lanes, successor)
    }

    /// Starts the thread between ports and forwarder; none where there are no ports.
    pub fn start_path(&mut self, publisher: &Publisher) -> std::io::Result<Option<ForwardPath>> {
        let (ports, handover) = (std::mem::take(&mut self.ports), self.handover.take());
        let Some(handover) = handover.filter(|_| !ports.is_empty()) else { return Ok(None) };
        let options = ForwardOptions {
            handover,
            asker: Arc::new(self.forwarder.clone()),
            reader: publisher.reader(),
            counters: Arc::clone(&self.counters),
            time_max: self.time_max,
        };
        ForwardPath::start(ports, options).map(Some)
    }

    /// Takes what has changed of the configuration; where it cannot, the forwarder stays as it was, and the log says so.
    pub fn reload(&self, config: &Config) {
        let Some(forward) = &config.forward else { return };
        if let Err(error) = self.forwarder.reload(forward) {
            tracing::error!("[forward] stays as it was: {error}");
        }
        if let Err(error) = self.policies.reload(config) {
            tracing::error!("[policy] stays as it was: {error}");
        }
    }

    /// Ends it: who waits still is told so, and the cache is written to its file.
    pub fn stop(self) {
        self.forwarder.stop();
        // Nobody waits for an upstream any more.
        self.runtime.shutdown_background();
    }
}
