//! Probes: one look at one target, bounded by a time. Why it failed is said so that an operator knows where to look.

mod dns;
mod error;
mod icmp;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ringdns_controlplane::config::health::{ProbeConfig, ProbeKind, ScannerConfig};
use tokio::net::TcpStream;

pub use error::ProbeError;

use crate::tls::TlsConfigs;
use crate::web::{self, Ask};
use icmp::Pings;

/// Most addresses of a name that are probed.
const ADDRESSES_MAX: usize = 8;

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// How a target is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is done.
    pub kind: ProbeKind,
    /// The ports that are tried; any one is enough.
    pub ports: Vec<u16>,
}

impl Plan {
    /// For a target, of whose ports some may be known: addresses are connected to, and names are sent echo requests, unless
    /// the configuration says otherwise.
    pub fn new(config: &ScannerConfig, target: &str, known: &[u16]) -> Self {
        let configured = config.probes.iter().find(|probe| probe.is_for(target));
        let kind = match configured {
            Some(ProbeConfig { kind, .. }) => kind.clone(),
            None if target.parse::<IpAddr>().is_ok() => ProbeKind::Tcp,
            None => ProbeKind::Icmp,
        };
        let given = configured.and_then(|probe| probe.ports.clone());
        let ports = match (&kind, given) {
            (ProbeKind::Icmp, _) => Vec::new(),
            (_, Some(ports)) => ports,
            (ProbeKind::Dns { .. }, None) => vec![DNS_PORT],
            (_, None) if known.is_empty() => config.ports.clone(),
            (_, None) => known.to_vec(),
        };
        Self { kind, ports }
    }

    /// The kind's name.
    pub fn name(&self) -> &'static str {
        match &self.kind {
            ProbeKind::Tcp => "tcp",
            ProbeKind::Icmp => "icmp",
            ProbeKind::Http { tls: None, .. } => "http",
            ProbeKind::Http { .. } => "https",
            ProbeKind::Dns { .. } => "dns",
        }
    }
}

/// A look at one address.
type Look<'a> = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send + 'a>>;

/// Probes targets.
pub struct Prober {
    /// How long a probe may take.
    timeout: Duration,
    /// Echo requests.
    pings: Pings,
    /// TLS.
    tls: TlsConfigs,
}

impl Prober {
    /// Sockets are opened when they are first needed.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, pings: Pings::default(), tls: TlsConfigs::default() }
    }

    /// Looks once.
    pub async fn probe(&self, target: &str, plan: &Plan) -> Result<(), ProbeError> {
        let late = |_| ProbeError::Timeout { probe: plan.name(), timeout: self.timeout };
        tokio::time::timeout(self.timeout, self.look(target, plan)).await.unwrap_or_else(|error| Err(late(error)))
    }

    /// Looks at every address of a target at the same time; the first that is well is enough.
    async fn look(&self, target: &str, plan: &Plan) -> Result<(), ProbeError> {
        let addresses = addresses(target).await?;
        let mut looks = FuturesUnordered::<Look<'_>>::new();
        for &address in &addresses {
            if plan.kind == ProbeKind::Icmp {
                looks.push(Box::pin(self.pings.ping(address, self.timeout)));
                continue;
            }
            for &port in &plan.ports {
                looks.push(self.look_at(target, SocketAddr::new(address, port), &plan.kind));
            }
        }
        let mut first = None;
        while let Some(found) = looks.next().await {
            match found {
                Ok(()) => return Ok(()),
                // A fault of our own says more than any other: it must not be taken for one of the target.
                Err(error) if error.is_ours() => first = Some(error),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(ProbeError::NoPort))
    }

    /// Looks at a port.
    fn look_at<'a>(&'a self, target: &'a str, address: SocketAddr, kind: &'a ProbeKind) -> Look<'a> {
        match kind {
            ProbeKind::Http { path, host, statuses, tls } => Box::pin(async move {
                let server = host.as_deref().unwrap_or(target);
                let host = web::authority(server, address.port(), tls.is_some());
                let tls = tls.as_ref().map(|tls| self.tls.get(&tls.ca_file, tls.verify)).transpose()?;
                let ask = Ask { address, tls, server, host: &host, path, body: None, authorization: None };
                let status = web::ask(ask).await.map_err(|error| ProbeError::web(address, error))?;
                let is_right =
                    if statuses.is_empty() { (200..400).contains(&status) } else { statuses.contains(&status) };
                if is_right { Ok(()) } else { Err(ProbeError::Status { address, status }) }
            }),
            ProbeKind::Dns { query, query_type, rcodes } => {
                Box::pin(async move { dns::ask(address, query, *query_type, rcodes).await })
            }
            ProbeKind::Tcp | ProbeKind::Icmp => Box::pin(async move {
                let stream = TcpStream::connect(address).await;
                stream.map(drop).map_err(|error| ProbeError::connect(address, error))
            }),
        }
    }
}

/// Addresses of a target: itself, or what the system's resolver knows.
async fn addresses(target: &str) -> Result<Vec<IpAddr>, ProbeError> {
    if let Ok(address) = target.parse() {
        return Ok(vec![address]);
    }
    let failed = |error: String| ProbeError::Resolve { name: target.to_owned(), error };
    let found = tokio::net::lookup_host((target, 0)).await.map_err(|error| failed(error.to_string()))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).take(ADDRESSES_MAX).collect();
    addresses.dedup();
    if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
}
