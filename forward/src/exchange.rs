//! Upstreams as the forwarder sees them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_engine::name::WireName;

use crate::upstream::{self, Ask, Failure, Means, Switches, Upstream, UpstreamState};

/// What comes of asking an upstream: the whole message, which is from it and for the question.
pub type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Failure>> + Send + 'a>>;

/// An upstream that can be asked; tests have others than the network's.
pub trait Exchange: Send + Sync {
    /// Asks once; see [`Upstream::ask`].
    fn ask<'a>(&'a self, ask: Ask<'a>, try_time: Duration) -> Exchanged<'a>;
    /// False while it is not to be asked.
    fn is_up(&self) -> bool;
    /// How long it takes to answer; nothing before this is known.
    fn latency(&self) -> Option<Duration>;
    /// The time in which it gives 95 of 100 answers.
    fn p95(&self) -> Option<Duration>;
    /// True for a question by which it is seen whether the upstream leads back to this server.
    fn is_loop(&self, name: &WireName, qtype: u16) -> bool;
    /// For people and metrics.
    fn state(&self) -> UpstreamState;
}

impl Exchange for Upstream {
    fn ask<'a>(&'a self, ask: Ask<'a>, try_time: Duration) -> Exchanged<'a> {
        Box::pin(async move { Upstream::ask(self, &ask, try_time).await })
    }

    fn is_up(&self) -> bool {
        Upstream::is_up(self)
    }

    fn latency(&self) -> Option<Duration> {
        Upstream::latency(self)
    }

    fn p95(&self) -> Option<Duration> {
        Upstream::p95(self)
    }

    fn is_loop(&self, name: &WireName, qtype: u16) -> bool {
        Upstream::is_loop(self, name, qtype)
    }

    fn state(&self) -> UpstreamState {
        Upstream::state(self)
    }
}

/// Takes upstreams up.
pub type Connect =
    Arc<dyn Fn(&UpstreamConfig, &Switches, &Means) -> Result<Arc<dyn Exchange>, upstream::StartError> + Send + Sync>;

/// Takes up those of the network.
pub(crate) fn network() -> Connect {
    Arc::new(|config, switches, means| Ok(Arc::new(Upstream::start(config, switches.clone(), means)?)))
}
