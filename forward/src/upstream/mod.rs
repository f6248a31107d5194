//! One exchange with one upstream: how it is asked, and how its answer is known to be its own.
//!
//! Over UDP each question has a socket, a port, an id and a case of letters of its own, all by chance, and a cookie where the
//! upstream has them. A packet that is wrong ends nothing: it is counted, and waiting goes on; where somebody seems to guess, or
//! a packet is wrong in a way that only the upstream or a lucky guess can be, the question is asked over TCP, where neither id
//! nor port need be secret. What the upstream is found out to do not (case, EDNS, cookies, several questions on a connection) is
//! remembered for a while, and what is found out over TCP only is believed.
//!
//! TCP, TLS and HTTPS are our own few hundred lines on tokio, tokio-rustls and hyper: hickory's transports take and give decoded
//! messages, which would be encoded and decoded twice more and lose what they do not know, and choose ids and ports themselves.

mod age;
mod check;
mod cookie;
mod counts;
mod dial;
mod exchange;
mod failure;
mod habits;
mod health;
mod https;
mod line;
mod lines;
mod loops;
mod port;
mod query;
mod random;
mod state;
mod tend;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod udp;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardZone, UpstreamConfig};
use ringdns_engine::name::WireName;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};

use counts::Counts;
use dial::Dialer;
use exchange::{Exchange, Way};
pub use failure::{Failure, StartError};
use habits::Habits;
use health::Health;
use https::Https;
use lines::Lines;
use loops::LoopProbe;
use port::Ports;
pub use state::UpstreamState;
use tls::Tls;

/// A question for an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The name, in any case: it is not the one that is sent.
    pub name: &'a WireName,
    /// The type; the class is IN.
    pub qtype: u16,
    /// DO (RFC 3225): with signatures.
    pub dnssec_ok: bool,
    /// CD (RFC 4035 section 3.2.2): not validated.
    pub checking_disabled: bool,
    /// The client's subnet and its prefix bits (RFC 7871), where the upstream is told.
    pub client_subnet: Option<(IpAddr, u8)>,
}

/// What all upstreams have in common; one for the whole forwarder.
#[derive(Clone)]
pub struct Means {
    /// Where probes run.
    handle: Handle,
    /// A permit for each open UDP socket.
    sockets: Arc<Semaphore>,
    /// Where their ports come from.
    ports: Arc<Ports>,
}

impl Means {
    /// Probes run on `handle`; at most `sockets_max` UDP sockets are open at a time.
    pub fn new(handle: Handle, sockets_max: usize) -> Self {
        let sockets_max = sockets_max.clamp(1, Semaphore::MAX_PERMITS);
        let (sockets, ports) = (Semaphore::new(sockets_max), Ports::of_this_machine());
        Self { handle, sockets: Arc::new(sockets), ports: Arc::new(ports) }
    }
}

/// How an upstream is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switches {
    /// What it is asked for: a loop is looked for with a name below it.
    pub zone: WireName,
    /// TCP only.
    pub tcp_only: bool,
    /// AD is asked for.
    pub wants_ad: bool,
    /// Failures in a row after which it is down; 0: it never is.
    pub failures_max: u32,
    /// Between two probes while it fails, at first.
    pub probe_interval: Duration,
    /// A connection that nothing was asked on for so long is closed.
    pub idle_after: Duration,
    /// Names by which a loop is found are asked for this long after the start, and then at longer and longer intervals;
    /// nothing: none are.
    pub loops_after: Option<Duration>,
}

/// Connections are kept for some seconds (RFC 7766 section 6.2.3); CoreDNS has ten too.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// This server has begun to listen by then, nearly always.
const LOOPS_AFTER: Duration = Duration::from_secs(1);

impl Switches {
    /// As a zone's upstreams are used.
    pub fn of(zone: &ForwardZone) -> Self {
        Self {
            zone: zone.zone.clone(),
            tcp_only: zone.tcp_only,
            wants_ad: zone.trusts_ad,
            failures_max: zone.failures_max,
            probe_interval: zone.probe_interval,
            idle_after: IDLE_AFTER,
            loops_after: Some(LOOPS_AFTER),
        }
    }
}

/// An upstream, cheap to clone. Its connections end and its probes stop with the last clone.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

/// What the clones have in common.
struct Inner {
    /// Who it is.
    config: UpstreamConfig,
    /// As it is written in the configuration.
    name: String,
    /// How it is used.
    switches: Switches,
    /// What it shares with others.
    means: Means,
    /// How it is reached.
    way: Way,
    /// What it is known to do.
    habits: Arc<Habits>,
    /// Whether it answers, and how fast.
    health: Health,
    /// Whether it leads back to this server.
    loops: LoopProbe,
    /// What has happened.
    counts: Arc<Counts>,
    /// Wakes who looks after it.
    wake: Arc<Notify>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Upstream {
    /// Takes an upstream up: certificates are read, probing starts, nothing is waited for.
    pub fn start(config: &UpstreamConfig, switches: Switches, means: &Means) -> Result<Self, StartError> {
        let (counts, habits) = (Arc::new(Counts::default()), Arc::new(Habits::default()));
        let inner = Arc::new(Inner {
            config: config.clone(),
            name: state::written(config),
            way: way(config, switches.idle_after, &counts, &habits)?,
            switches,
            means: means.clone(),
            habits,
            health: Health::default(),
            loops: LoopProbe::default(),
            counts,
            wake: Arc::new(Notify::new()),
        });
        means.handle.spawn(tend::tend(Arc::downgrade(&inner), Arc::clone(&inner.wake)));
        Ok(Self(inner))
    }

    /// Asks once, over UDP and, where that does not do, TCP; over TLS or HTTPS where the upstream is one of those. Gives the
    /// whole message, of which is checked: that it is from this upstream, an answer to this very question, and whole (each record
    /// within its bounds), or truncated over a connection too, or where there is none. What is in it is the caller's to judge. It may be dropped at any
    /// time.
    pub async fn ask(&self, ask: &Ask<'_>, try_time: Duration) -> Result<Vec<u8>, Failure> {
        let inner = &self.0;
        Counts::add(&inner.counts.asked);
        if inner.loops.is_loop() {
            inner.counts.failure(Failure::Loop);
            return Err(Failure::Loop);
        }
        let answer = inner.ask_once(ask, try_time).await;
        match &answer {
            Ok(_) => Counts::add(&inner.counts.answered),
            Err(failure) => inner.counts.failure(*failure),
        }
        answer
    }

    /// False while it is down, or leads back to this server.
    pub fn is_up(&self) -> bool {
        !self.0.is_down() && !self.0.loops.is_loop()
    }

    /// How long it takes to answer, by and large; nothing before its first answer.
    pub fn latency(&self) -> Option<Duration> {
        self.0.health.latency()
    }

    /// The time in which it gives 95 of 100 answers; nothing before it has given some.
    pub fn p95(&self) -> Option<Duration> {
        self.0.health.p95()
    }

    /// To be asked first with each name that comes in, before any policy: true where the question is one that this server has
    /// sent to this upstream to see whether it comes back. It is then to be refused at once; the upstream is not used until
    /// such a question stays away.
    pub fn is_loop(&self, name: &WireName, qtype: u16) -> bool {
        let was_loop = self.0.loops.is_loop();
        let recognised = self.0.loops.recognises(name, qtype);
        if recognised && !was_loop {
            tracing::warn!(
                upstream = self.0.name,
                zone = %self.0.switches.zone,
                "the upstream asks this server what this server asks it: it is not used until that ends; take it out of the \
                 list, or this server out of the upstream's"
            );
        }
        recognised
    }

    /// For people and metrics.
    pub fn state(&self) -> UpstreamState {
        let inner = &self.0;
        let manners = inner.habits.manners(Instant::now());
        UpstreamState {
            name: inner.name.clone(),
            is_up: self.is_up(),
            is_loop: inner.loops.is_loop(),
            failures_in_row: inner.health.failures_in_row(),
            latency: self.latency(),
            p95: self.p95(),
            connections: match &inner.way {
                Way::Plain { lines, .. } | Way::Tls(lines) => lines.count(),
                Way::Https(https) => https.count(),
            },
            varies_case: manners.keeps_case && matches!(inner.way, Way::Plain { .. }) && !inner.switches.tcp_only,
            has_cookies: manners.has_cookies,
            has_edns: manners.has_edns,
            asked: inner.counts.asked.load(Ordering::Relaxed),
            answered: inner.counts.answered.load(Ordering::Relaxed),
            failures: inner.counts.failures(),
            bad_packets: inner.counts.bad_packets(),
            over_tcp: inner.counts.turns(),
            probes: inner.counts.probes.load(Ordering::Relaxed),
            probes_failed: inner.counts.probes_failed.load(Ordering::Relaxed),
            connections_reused: inner.counts.connections_reused.load(Ordering::Relaxed),
            connections_begun: inner.counts.connections_begun.load(Ordering::Relaxed),
        }
    }

    /// As it is written in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// As it was configured.
    pub fn config(&self) -> &UpstreamConfig {
        &self.0.config
    }
}

/// How an upstream is reached.
fn way(
    config: &UpstreamConfig,
    idle_after: Duration,
    counts: &Arc<Counts>,
    habits: &Arc<Habits>,
) -> Result<Way, StartError> {
    let lines = |dialer| Lines::new(dialer, idle_after, counts, habits);
    Ok(match config {
        UpstreamConfig::Plain(address) => {
            Way::Plain { address: *address, lines: lines(Dialer::new(*address, None, None)) }
        }
        UpstreamConfig::Tls { address, name, ca_file } => {
            // RFC 7858 has no protocol in the handshake: one is offered, and who chooses none is taken.
            let tls = Tls::new(name.as_deref(), address.ip(), ca_file.as_deref(), b"dot")?;
            Way::Tls(lines(Dialer::new(*address, Some(tls), None)))
        }
        UpstreamConfig::Https { address, name, path, ca_file } => {
            let tls = Tls::new(Some(name), address.ip(), ca_file.as_deref(), https::PROTOCOL)?;
            let dialer = Dialer::new(*address, Some(tls), Some(https::PROTOCOL));
            Way::Https(Https::new(dialer, idle_after, counts, name, address.port(), path)?)
        }
    })
}

/// Tells the upstream's health that an exchange was given up before its end.
struct Watch<'a> {
    /// Whose health.
    health: &'a Health,
    /// Since when it is under way; nothing once it has ended.
    begun: Option<Instant>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.health.given_up(begun.elapsed());
        }
    }
}

impl Inner {
    /// Asks once, and notes how that went.
    async fn ask_once(&self, ask: &Ask<'_>, try_time: Duration) -> Result<Vec<u8>, Failure> {
        let begun = Instant::now();
        let mut watch = Watch { health: &self.health, begun: Some(begun) };
        let exchange = Exchange {
            ask,
            wants_ad: self.switches.wants_ad,
            until: begun + try_time,
            habits: &self.habits,
            counts: &self.counts,
            means: &self.means,
        };
        let running = exchange.run(&self.way, self.switches.tcp_only);
        let answer = timeout(try_time, running).await.unwrap_or(Err(Failure::Timeout));
        watch.begun = None;
        match answer {
            Ok(_) => self.note_answer(begun.elapsed()),
            Err(failure) if failure.is_upstreams() => self.note_failure(failure),
            Err(_) => {}
        }
        answer
    }

    /// An answer, of any kind: it is up.
    fn note_answer(&self, after: Duration) {
        let was_down = self.is_down();
        if self.health.answered(after) && was_down {
            tracing::info!(upstream = self.name, "the upstream answers again");
        }
    }

    /// A failure of the upstream.
    fn note_failure(&self, failure: Failure) {
        let failures = self.health.failed();
        if failures == self.switches.failures_max {
            tracing::warn!(upstream = self.name, failures, reason = %failure, "the upstream is down: it is probed");
        }
        self.wake.notify_one();
    }

    /// True where it has failed too often in a row.
    fn is_down(&self) -> bool {
        let failures_max = self.switches.failures_max;
        failures_max > 0 && self.health.failures_in_row() >= failures_max
    }
}
