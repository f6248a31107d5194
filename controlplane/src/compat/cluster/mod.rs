//! The HTTP ports that what stands around a cluster's DNS expects: probes of Pods, Prometheus, dashboards. By path, status and
//! text they are those of CoreDNS, exec-healthz, kube-dns and its sidecar.
//!
//! | port | paths |
//! |---|---|
//! | health | `/health`, `/healthz` |
//! | ready | `/ready` |
//! | metrics | `/metrics`, by CoreDNS's names |
//! | kube_dns | `/readiness`, `/cache` |
//! | kube_dns_metrics | `/metrics`, by SkyDNS's names |
//! | sidecar | `/metrics`, `/healthz`, `/healthcheck/<label>` |

mod ask;
mod cache;
mod coredns;
mod exposition;
mod observed;
mod own;
mod probe;
mod skydns;
mod traffic;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use warp::Filter as _;
use warp::http::{Method, Response};

use crate::api::{Context, ready};
use crate::config::{ClusterHttpConfig, ClusterPort, Config};
use crate::http::{self, Limits};
use exposition::{CONTENT_TYPE, Exposition, from_open_metrics};
use observed::Observed;
use own::HEALTH_BOUNDS_SECONDS;
use probe::Probe;

/// Kubelets and scrapers are few, and their requests short.
const LIMITS: Limits = Limits { name: "HTTP ports of cluster DNS", connections_max: 512, request_seconds_max: 10 };

/// What goes back.
#[derive(Debug)]
struct Answer {
    /// HTTP status code.
    status: u16,
    /// Type of the body.
    content_type: &'static str,
    /// The body.
    body: String,
}

impl Answer {
    /// Plain text.
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// JSON.
    fn json(status: u16, body: String) -> Self {
        Self { status, content_type: "application/json", body }
    }

    /// Metrics.
    fn metrics(text: String) -> Self {
        Self { status: 200, content_type: CONTENT_TYPE, body: text }
    }
}

/// What the ports show.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// What is served, asked for and measured.
    context: Arc<Context>,
    /// The ports, and what the sidecar asks.
    config: ClusterHttpConfig,
    /// The UDP port of the first port; nothing where there are none.
    dns_port: Option<u16>,
    /// Whether the sockets answer over UDP.
    is_udp: bool,
    /// How long our own requests for `/health` take, in seconds.
    health: Observed,
    /// What the sidecar asks.
    probes: Vec<Probe>,
    /// Leave to show everything that is served.
    caches: Semaphore,
}

impl Cluster {
    /// What the configuration has of it.
    pub(crate) fn new(config: &Config, context: &Arc<Context>) -> Arc<Self> {
        let (first, factor, bounds) = HEALTH_BOUNDS_SECONDS;
        Arc::new(Self {
            context: Arc::clone(context),
            config: config.cluster_http.clone(),
            dns_port: config.ports.first().map(|port| port.dns_port),
            is_udp: config.sockets.udp,
            health: Observed::new(first, factor, bounds),
            probes: config.cluster_http.probes.iter().cloned().map(Probe::new).collect(),
            caches: Semaphore::new(1),
        })
    }

    /// Where a port is served, if it is.
    fn address(&self, port: ClusterPort) -> Option<SocketAddr> {
        self.config.address(port)
    }

    /// The zone that is served, or the root where there are several or none.
    fn zone(&self) -> String {
        let served = self.context.state.served();
        let mut zones = served.zones.keys();
        let only = zones.next().filter(|_| zones.next().is_none());
        only.map_or_else(|| ".".to_owned(), ToString::to_string)
    }

    /// Serves a port until told to stop, then until the requests that are under way are answered.
    pub(crate) async fn serve(
        self: Arc<Self>,
        port: ClusterPort,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) {
        // End with this function.
        let mut questions = JoinSet::new();
        let cluster = Arc::clone(&self);
        match (port, listener.local_addr()) {
            (ClusterPort::Health, Ok(address)) => {
                drop(questions.spawn(async move { own::ask_for_health(address, &cluster.health).await }));
            }
            (ClusterPort::Sidecar, _) => {
                for place in 0..self.probes.len() {
                    let cluster = Arc::clone(&cluster);
                    questions.spawn(async move {
                        if let Some(probe) = cluster.probes.get(place) {
                            probe.run().await;
                        }
                    });
                }
            }
            _ => {}
        }
        let filter = warp::any()
            .map(move || Arc::clone(&self))
            .and(warp::method())
            .and(warp::path::full())
            .then(move |cluster: Arc<Self>, method: Method, path: warp::path::FullPath| async move {
                respond(cluster.answer(port, &method, path.as_str()).await)
            })
            .map(Ok::<_, warp::Rejection>)
            .and_then(std::future::ready)
            .recover(|_| async { Ok::<_, Infallible>(respond(Answer::text(404, "404 page not found\n"))) });
        http::serve(listener, None, LIMITS, filter, stop).await;
    }

    /// Answers one request.
    async fn answer(&self, port: ClusterPort, method: &Method, path: &str) -> Answer {
        if ![Method::GET, Method::HEAD].contains(method) {
            return Answer::text(405, "Method Not Allowed\n");
        }
        match (port, path) {
            (ClusterPort::Health, "/health") => Answer::text(200, "OK"),
            (ClusterPort::Health, "/healthz") => match own::answers_dns(&self.context, self.is_udp).await {
                Ok(()) => Answer::text(200, "ok"),
                Err(why) => Answer::text(503, format!("{why}\n")),
            },
            (ClusterPort::Ready, "/ready") => self.ready(),
            (ClusterPort::Metrics, "/metrics") => Answer::metrics(self.coredns_metrics()),
            (ClusterPort::KubeDns, "/readiness") => match self.ready() {
                ready if ready.status == 200 => Answer::text(200, "ok\n"),
                ready => ready,
            },
            (ClusterPort::KubeDns, "/cache") => self.cache().await,
            (ClusterPort::KubeDnsMetrics, "/metrics") => {
                let mut text = Exposition::default();
                skydns::encode(self, &mut text);
                Answer::metrics(text.into_text())
            }
            (ClusterPort::Sidecar, "/healthz") => Answer::text(200, "ok"),
            (ClusterPort::Sidecar, "/metrics") => {
                let mut text = Exposition::default();
                self.probes.iter().for_each(|probe| probe.encode(&mut text));
                coredns::process(&mut text);
                Answer::metrics(text.into_text())
            }
            (ClusterPort::Sidecar, path) => {
                let label = path.strip_prefix("/healthcheck/");
                let probe = label.and_then(|label| self.probes.iter().find(|probe| probe.label() == label));
                probe.map(Probe::answer).map_or_else(not_found, |(status, body)| Answer::json(status, body))
            }
            _ => not_found(),
        }
    }

    /// `/ready`
    fn ready(&self) -> Answer {
        if self.context.state.is_ending() {
            return Answer::text(503, "Shutting down");
        }
        let mut names: Vec<String> = ready::missing(&self.context).into_iter().map(|missing| missing.name).collect();
        names.dedup();
        if names.is_empty() { Answer::text(200, "OK") } else { Answer::text(503, names.join(",")) }
    }

    /// `/metrics` by CoreDNS's names, and all that the admin API shows.
    fn coredns_metrics(&self) -> String {
        let mut text = Exposition::default();
        coredns::encode(self, &mut text);
        text.into_text() + &from_open_metrics(&self.context.metrics.encode())
    }

    /// `/cache`
    async fn cache(&self) -> Answer {
        // Closed by nobody.
        let Ok(_leave) = self.caches.acquire().await else { return not_found() };
        let served = self.context.state.served();
        match tokio::task::spawn_blocking(move || cache::show(&served)).await {
            Ok(Ok(text)) => Answer::json(200, text),
            Ok(Err(names)) => {
                let message = format!("{names} names are too many to show: export zones from the admin API\n");
                Answer::text(503, message)
            }
            Err(_) => Answer::text(500, "the tree could not be made\n"),
        }
    }
}

/// No such path.
fn not_found() -> Answer {
    Answer::text(404, "404 page not found\n")
}

/// An answer as HTTP has it.
fn respond(Answer { status, content_type, body }: Answer) -> Response<String> {
    let built = Response::builder().status(status).header("content-type", content_type).body(body);
    // Status and type are ours; a response that could not be built would be a mistake here, not the client's.
    built.unwrap_or_default()
}
