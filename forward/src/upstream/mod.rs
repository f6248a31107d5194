//! One exchange with one upstream: how it is asked, and how its answer is known to be its own.

mod failure;
mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardZone, UpstreamConfig};
use ringdns_engine::name::WireName;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use failure::{Failure, StartError};
pub use state::UpstreamState;

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
}

impl Means {
    /// Probes run on `handle`; at most `sockets_max` UDP sockets are open at a time.
    pub fn new(handle: Handle, sockets_max: usize) -> Self {
        Self { handle, sockets: Arc::new(Semaphore::new(sockets_max)) }
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
    /// Between two probes while it is down, at first.
    pub probe_interval: Duration,
}

impl Switches {
    /// As a zone's upstreams are used.
    pub fn of(zone: &ForwardZone) -> Self {
        Self {
            zone: zone.zone.clone(),
            tcp_only: zone.tcp_only,
            wants_ad: zone.trusts_ad,
            failures_max: zone.failures_max,
            probe_interval: zone.probe_interval,
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
    /// How it is used.
    switches: Switches,
    /// What it shares with others.
    means: Means,
}

impl Upstream {
    /// Takes an upstream up: certificates are read, probing starts, nothing is waited for.
    pub fn start(config: &UpstreamConfig, switches: Switches, means: &Means) -> Result<Self, StartError> {
        Ok(Self(Arc::new(Inner { config: config.clone(), switches, means: means.clone() })))
    }

    /// Asks once, over UDP and, where that does not do, TCP; over TLS or HTTPS where the upstream is one of those. Gives the
    /// whole message, of which is checked: that it is from this upstream, an answer to this very question, whole (each record
    /// within its bounds) and not truncated. What is in it is the caller's to judge. It may be dropped at any time.
    pub async fn ask(&self, _ask: &Ask<'_>, _try_time: Duration) -> Result<Vec<u8>, Failure> {
        Err(Failure::Timeout)
    }

    /// False while it is down, or leads back to this server.
    pub fn is_up(&self) -> bool {
        true
    }

    /// How long it takes to answer, by and large; nothing before its first answer.
    pub fn latency(&self) -> Option<Duration> {
        None
    }

    /// The time in which it gives 95 of 100 answers; nothing before it has given some.
    pub fn p95(&self) -> Option<Duration> {
        None
    }

    /// To be asked first with each name that comes in: true where the question is one that this server has sent to this
    /// upstream to see whether it comes back. The upstream is then not used until such a question stays away.
    pub fn is_loop(&self, _name: &WireName, _qtype: u16) -> bool {
        false
    }

    /// For people and metrics.
    pub fn state(&self) -> UpstreamState {
        UpstreamState::default()
    }

    /// As it was configured.
    pub fn config(&self) -> &UpstreamConfig {
        &self.0.config
    }
}
