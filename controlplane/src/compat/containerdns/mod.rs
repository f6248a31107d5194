//! The record interface of ContainerDNS, `/containerdns/api`, and of its first generation, `/skydns/api`, on an address of
//! its own.
//!
//! Two generations of requests are known: the current one names a user beside the token and writes whole names; the
//! documented one has the token alone and writes bare labels of the first suffix. Every outcome is status 200 and one line of
//! text, as clients of the original expect. What is written is in the store, or in etcd where the original keeps it, and served
//! when it is answered.

mod cabinet;
mod monitor;
mod read;
mod record;
pub(crate) mod remote;
pub(super) mod reply;
pub(super) mod request;
mod shelf;
mod tree;
mod write;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::Stream;
use ringdns_engine::name::WireName;
use tokio::net::TcpListener;
use warp::Filter as _;
use warp::http::{Method, Response};

use crate::api::Context;
use crate::body;
use crate::config::ContainerdnsApiConfig;
use crate::health::Table;
use crate::reload::Settings;
use crate::store::{Reading, StoreHandle, Write, WriteError};
use record::Record;
use remote::{Remote, Trouble};
use request::{Body, Parameters};
use write::Order;

/// Largest body in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// The user who sees everybody's records.
const USER_OF_KUBERNETES: &str = "k8sSvc";

/// Paths that the interface answers below.
const BASES: [&str; 2] = ["/containerdns/api", "/skydns/api"];

/// Paths that monitored addresses are shown below: the keys that the original keeps them under.
const MONITORED: &str = "/containerdns/monitor/status";

/// What the configuration says.
#[derive(Debug)]
pub(super) struct Site {
    /// Suffixes that can be written; the first is that of bare labels.
    suffixes: Vec<WireName>,
    /// How new RRsets are made.
    fresh: shelf::Fresh,
}

impl Site {
    /// The suffix and the whole name of a domain in a request; nothing where it has no suffix of the configuration.
    fn resolve(&self, text: &str, asker: &Asker) -> Option<(WireName, WireName)> {
        let name: WireName = text.parse::<WireName>().ok()?.to_lowercase();
        // The longest: with nested suffixes a name belongs to the nearest.
        let of_name = |name: &WireName| {
            let suffixes = self.suffixes.iter().filter(|suffix| suffix.contains(name));
            suffixes.max_by_key(|suffix| suffix.label_count()).cloned()
        };
        if let Some(apex) = of_name(&name) {
            return Some((apex, name));
        }
        let (Asker::Anyone, Some(first)) = (asker, self.suffixes.first()) else { return None };
        if name.label_count() == 0 {
            return None;
        }
        let labels: Vec<&[u8]> = name.labels().collect();
        let name = labels.iter().rev().try_fold(first.clone(), |name, label| name.child(label).ok())?;
        Some((of_name(&name)?, name))
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Whoever has the token: the documented generation.
    Anyone,
    /// A user who has the token: the current generation.
    Named(String),
}

impl Asker {
    /// The user whose records are made.
    fn name(&self) -> &str {
        match self {
            Self::Anyone => "",
            Self::Named(user) => user,
        }
    }

    /// True where a record can be changed.
    fn owns(&self, record: &Record) -> bool {
        *self == Self::Anyone || self.name() == record.user
    }

    /// True where a record is shown.
    fn sees(&self, record: &Record) -> bool {
        self.owns(record) || self.name() == USER_OF_KUBERNETES
    }

    /// A name as this generation writes it: the documented one without the dot at its end.
    fn show(&self, name: &str) -> String {
        match self {
            Self::Anyone => name.strip_suffix('.').unwrap_or(name).to_owned(),
            Self::Named(_) => name.to_owned(),
        }
    }
}

/// The running interface.
#[derive(Debug)]
pub(crate) struct Service {
    /// What the configuration says of records.
    site: Arc<Site>,
    /// What it says of askers.
    config: ContainerdnsApiConfig,
    /// Where records are kept.
    store: StoreHandle,
    /// Where they are kept instead, if they are.
    remote: Option<Remote>,
    /// Which zones are of zone files.
    settings: Arc<Settings>,
    /// How monitored addresses are.
    members: Arc<Table>,
}

/// The addresses that are to be looked after, each with its ports.
pub(crate) fn monitored(reading: &Reading) -> Result<Vec<(IpAddr, Vec<String>)>, WriteError> {
    let parsed = |(address, monitored): (String, monitor::Monitored)| Some((address.parse().ok()?, monitored.ports));
    Ok(monitor::all(reading)?.into_iter().filter_map(parsed).collect())
}

/// Status and body of a reply.
pub(super) type Answer = (u16, String);

impl Service {
    /// The interface of a configuration, over what the admin API uses.
    pub(crate) fn new(config: ContainerdnsApiConfig, remote: Option<Remote>, context: &Context) -> Self {
        let (store, settings) = (context.store.clone(), Arc::clone(&context.settings));
        let members = Arc::clone(&context.state.members);
        let fresh = shelf::Fresh { ttl_seconds: config.ttl_seconds, mode: config.answers };
        let site = Site { suffixes: config.domains.clone(), fresh };
        Self { site: Arc::new(site), config, store, remote, settings, members }
    }

    /// Serves until told to stop, then until the requests that are under way are answered.
    pub(crate) async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let service = Arc::new(self);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let filter = warp::any()
            .map(move || Arc::clone(&service))
            .and(warp::method())
            .and(warp::path::full())
            .and(query)
            .and(warp::body::stream())
            .then(|service: Arc<Self>, method: Method, path: warp::path::FullPath, query: String, body| async move {
                respond(service.answer(&method, path.as_str(), &query, body).await)
            });
        warp::serve(filter).incoming(listener).graceful(stop).run().await;
    }

    /// Answers one request.
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
    ) -> Answer {
        let parameters = Parameters::parse(query);
        let asker = match self.asker(&parameters) {
            Ok(asker) => asker,
            Err(words) => return line(words),
        };
        if let Some(address) = path.strip_prefix(MONITORED).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            let address = address.trim_start_matches('/').to_owned();
            return if *method == Method::GET { self.monitored(address).await } else { (405, String::new()) };
        }
        let rest = BASES.iter().find_map(|base| path.strip_prefix(base));
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else { return not_found() };
        let domain = rest.strip_prefix('/').unwrap_or_default();
        if domain.contains('/') {
            return not_found();
        }
        let order = match method.as_str() {
            "GET" => None,
            "POST" => Some(write::Method::Post),
            "PUT" => Some(write::Method::Put),
            "DELETE" => Some(write::Method::Delete),
            _ => return (405, String::new()),
        };
        if domain.is_empty() && order.is_some() {
            return (405, String::new());
        }
        let bytes = match body::read(body, BODY_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => return (error.status(), String::new()),
        };
        let Ok(domain) = percent_encoding::percent_decode_str(domain).decode_utf8() else {
            return line(reply::NOT_SUFFIX);
        };
        let outcome = match order {
            None => self.read(&domain, &bytes, parameters, asker).await,
            Some(method) => self.write(method, &domain, &bytes, asker).await,
        };
        line(&outcome.unwrap_or_else(|refused| refused))
    }

    /// Who asks; the words of the refusal otherwise. The user comes before the token, as in the original.
    fn asker(&self, parameters: &Parameters) -> Result<Asker, &'static str> {
        let asker = match parameters.user.as_str() {
            "" if !self.config.generation.has_documented() => return Err(reply::NO_USER),
            "" => Asker::Anyone,
            _ if !self.config.generation.has_current() => Asker::Anyone,
            user => Asker::Named(user.to_owned()),
        };
        if self.config.token.matches(parameters.token.as_bytes()) { Ok(asker) } else { Err(reply::NOT_AUTHORISED) }
    }

    /// Shows records; the words of the refusal otherwise.
    async fn read(&self, domain: &str, bytes: &[u8], parameters: Parameters, asker: Asker) -> Result<String, String> {
        if let Some(remote) = &self.remote {
            let read = if domain.is_empty() {
                remote.all(&self.site, &Body::parse(bytes).rtype, &asker).await
            } else {
                let (apex, name) = self.site.resolve(domain, &asker).ok_or(reply::NOT_SUFFIX)?;
                remote.one((&apex, &name), &parameters.rtype, &asker).await
            };
            return read.map_err(|trouble| trouble.words(reply::NOT_READ));
        }
        let site = Arc::clone(&self.site);
        let read = if domain.is_empty() {
            let rtype = Body::parse(bytes).rtype;
            self.store.read(move |reading| read::all(&site, reading, &rtype, &asker)).await
        } else {
            let (apex, name) = site.resolve(domain, &asker).ok_or(reply::NOT_SUFFIX)?;
            self.store.read(move |reading| read::one(reading, &apex, &name, &parameters.rtype, &asker)).await
        };
        read.map_err(|error| words(error, reply::NOT_READ))
    }

    /// Shows monitored addresses.
    async fn monitored(&self, address: String) -> Answer {
        let read = match &self.remote {
            Some(remote) => {
                remote.monitored(&address).await.map_err(|error| Trouble::from(error).words(reply::NOT_READ))
            }
            None => {
                let members = Arc::clone(&self.members);
                let read = self.store.read(move |reading| read::monitored(reading, &address, &members)).await;
                read.map_err(|error| words(error, reply::NOT_READ))
            }
        };
        line(&read.map_or_else(|words| words, |text| text.unwrap_or_else(|| reply::KEY_NOT_FOUND.to_owned())))
    }

    /// Carries out what is asked for; the words of the refusal otherwise.
    async fn write(&self, method: write::Method, domain: &str, bytes: &[u8], asker: Asker) -> Result<String, String> {
        let (apex, name) = self.site.resolve(domain, &asker).ok_or(reply::NOT_SUFFIX)?;
        if self.settings.zone_file(&apex).is_some() {
            // Zone files are not written: to this interface the suffix is as good as none.
            return Err(reply::NOT_SUFFIX.to_owned());
        }
        let body = Body::parse(bytes);
        let has_dot = domain.trim_end_matches('.').contains('.');
        let has_address = record::Kind::parse(&body.rtype).is_some_and(record::Kind::is_address);
        if asker == Asker::Anyone && method == write::Method::Post && has_dot && has_address {
            return Err(reply::DOT.to_owned());
        }
        let order = Arc::new(Order { site: Arc::clone(&self.site), asker, method, apex, name, body });
        let failure = order.failure();
        if let Some(remote) = &self.remote {
            let written = remote.write(&order).await;
            return written.map(|()| reply::OK.to_owned()).map_err(|trouble| trouble.words(failure));
        }
        let written = self.store.write(Write::Edit(order)).await;
        written.map(|_| reply::OK.to_owned()).map_err(|error| words(error, failure))
    }
}

/// The words for an error: an edit's own, or what is told of all others, which are logged.
fn words(error: WriteError, failure: &str) -> String {
    match error {
        WriteError::Refused(words) => words,
        error => {
            tracing::warn!("a request to the ContainerDNS interface was not carried out: {error}");
            failure.to_owned()
        }
    }
}

/// One line of text.
pub(super) fn line(text: &str) -> Answer {
    (200, format!("{text}\n"))
}

/// A path that the interface does not have.
pub(super) fn not_found() -> Answer {
    (404, "404 page not found\n".to_owned())
}

/// Builds the HTTP response.
pub(super) fn respond((status, body): Answer) -> Response<String> {
    let mut builder = Response::builder().status(status);
    if !body.is_empty() {
        builder = builder.header("content-type", "text/plain; charset=utf-8");
    }
    // Names and values are ours; a response that could not be built would be a mistake here, not the client's.
    builder.body(body).unwrap_or_default()
}
