//! Who asks others for names that are not served here: started before all that answers, and ended after it.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use ringdns_controlplane::config::Config;
use ringdns_controlplane::foreign::{self, ForeignCache};
use ringdns_controlplane::metrics::rcode_name;
use ringdns_controlplane::metrics::rows::{Labels, counter, gauge};
use ringdns_controlplane::sockets::Asking;
use ringdns_dataplane::exchange;
use ringdns_dataplane::forward::{
    ForwardCounters, ForwardLane, ForwardOptions, ForwardPath, ForwardPort, server_config,
};
use ringdns_engine::cache::CacheShelf;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::rate::Network;
use ringdns_engine::recall::{Handover, RecallConfig};
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::verdict::Reason;
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
    /// The networks of clients that lists name, as whoever answers knows them: what is kept for others is not for these.
    judged: Mutex<Arc<[Network]>>,
    /// Where it waits.
    runtime: Runtime,
    /// Where answers are put for ports whose clients have waited for them; taken by the thread that does it.
    handover: Option<Handover>,
    /// What the servers of those clients look at.
    waited: Arc<CacheShelf>,
    /// What that thread serves.
    ports: Vec<ForwardPort>,
    /// The thread, once it runs.
    path: Option<ForwardPath>,
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
        let served = Counters::with_names(config.stats.names).with_census(config.stats.messages);
        Ok(Some(Self {
            forwarder,
            policies,
            judged: Mutex::new(Arc::default()),
            runtime,
            waited: Arc::clone(handover.shelf()),
            handover: Some(handover),
            ports: Vec::new(),
            path: None,
            counters: Arc::new(ForwardCounters::new(served)),
            time_max: forward.deadline + GRACE,
        }))
    }

    /// How names of others are answered from the cache.
    pub fn recall(&self, config: &Config) -> RecallConfig {
        let judged = self.policies.judged();
        let clients = Some(Arc::new(config.policy.clients_judged(&judged)));
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged;
        RecallConfig {
            shelf: self.forwarder.shelf(),
            authoritative: config.forward.as_ref().is_some_and(|forward| forward.cache.authoritative),
            stale_ttl_seconds: self.forwarder.stale_ttl(),
            clients,
            is_handover: false,
        }
    }

    /// True where lists have come to name other clients than whoever answers knows of.
    pub fn judges_others(&self) -> bool {
        let (told, judged) = (self.judged.lock().unwrap_or_else(PoisonError::into_inner), self.policies.judged());
        !Arc::ptr_eq(&told, &judged) && *told != judged
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

    /// What is counted of names of others.
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        vec![self.forwarder.metrics(), Box::new(Waits(Arc::clone(&self.counters)))]
    }

    /// What people are shown of it.
    pub fn shown(&self) -> Arc<dyn ForeignCache> {
        Arc::new(self.forwarder.clone())
    }

    /// What becomes of the queries of ports that wait for it.
    pub fn waits(&self) -> Arc<dyn foreign::Waits> {
        Arc::new(Waits(Arc::clone(&self.counters)))
    }

    /// Starts the thread between ports and forwarder; none where there are no ports.
    pub fn start_path(&mut self, publisher: &Publisher) -> std::io::Result<()> {
        let (ports, handover) = (std::mem::take(&mut self.ports), self.handover.take());
        let Some(handover) = handover.filter(|_| !ports.is_empty()) else { return Ok(()) };
        let options = ForwardOptions {
            handover,
            asker: Arc::new(self.forwarder.clone()),
            reader: publisher.reader(),
            counters: Arc::clone(&self.counters),
            time_max: self.time_max,
        };
        self.path = Some(ForwardPath::start(ports, options)?);
        Ok(())
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

    /// Ends it, when nobody is left who could ask: who waits still is told so, and the cache is written to its file.
    pub fn stop(self) {
        if let Some(path) = self.path {
            path.stop();
        }
        self.forwarder.stop();
        // Nobody waits for an upstream any more.
        self.runtime.shutdown_background();
    }
}

/// What became of the queries that waited for the forwarder, of all ports.
#[derive(Debug)]
struct Waits(Arc<ForwardCounters>);

impl foreign::Waits for Waits {
    fn served(&self) -> &Counters {
        &self.0.served
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}

impl Collector for Waits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(counters) = self;
        for (name, help, value) in [
            ("asked", "Queries of ports that others were asked for.", counters.asked.get()),
            ("answered", "Queries of ports that were answered with what others said.", counters.answered.get()),
            ("unanswered", "Queries of ports that were to get no answer.", counters.unanswered.get()),
            ("timed_out", "Queries of ports of which nothing came in time: SERVFAIL.", counters.timed_out.get()),
            (
                "dropped",
                "Queries of ports that too many others waited before, and answers that their worker did not take.",
                counters.served.reason(Reason::ForwardFull),
            ),
        ] {
            counter(&mut encoder, &format!("ringdns_forward_port_{name}"), help, [(Labels::new(), value)])?;
        }
        let waiting = u32::try_from(counters.waiting.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let help = "Clients of ports that wait for what others say.";
        gauge(&mut encoder, "ringdns_forward_port_waiting", help, [(Labels::new(), waiting.into())])?;
        let answers = counters.served.rcodes().filter(|(_, answers)| *answers > 0);
        let rows = answers.map(|(rcode, answers)| (vec![("rcode", rcode_name(rcode))], answers));
        let help = "Answers sent by ports to clients that had waited for others, by response code.";
        counter(&mut encoder, "ringdns_forward_port_answers", help, rows)
    }
}
