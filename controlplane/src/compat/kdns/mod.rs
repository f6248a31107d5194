//! The record interface of kdns, `/kdns/...`, on an address of its own, over HTTP or HTTPS.
//!
//! Requests and replies are those of the original: what cannot be read is answered `parse data err`, all else `OK`, also
//! where a record breaks one of kdns's rules (see `refusal`). Unlike there, what was answered OK is on disk and served, and what
//! is shown is what is served. A write that the store fails to keep is answered with status 503.

mod forward;
mod record;
mod refusal;
mod request;
mod shelf;
mod stats;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64;
use futures_util::Stream;
use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use warp::Filter as _;
use warp::http::{HeaderMap, Method, Response};

use crate::body;
use crate::config::KdnsApiConfig;
use crate::http::{self, Limits};
use crate::reload::Settings;
use crate::sockets::Monitor;
use crate::state::State;
use crate::store::{Reading, StoreHandle, Write, WriteError};
use crate::tls::Renewed;
use record::Record;
use refusal::{Reason, Refused};
use request::{ViewOrder, Wanted};
use stats::Statistics;
use write::{EditRecords, EditViews, MakeZones};

pub(crate) use refusal::Refusals;

/// Largest body in bytes: some three hundred thousand records.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Agents keep connections for some requests one after the other.
const LIMITS: Limits = Limits { name: "record interface of kdns", connections_max: 256, request_seconds_max: 60 };

/// Bodies of this size in bytes and above are read one after the other: what they become takes several times their room.
const LARGE_BODY_BYTES: u64 = 1 << 20;

/// It is done.
const OK: &str = "OK\n";
/// The body cannot be read.
const MALFORMED: &str = "parse data err\n";
/// No such path.
const NOT_FOUND: &str = "Resource not found";

/// The header that says what was not taken of a request that was answered with OK.
const REFUSED_HEADER: &str = "ringdns-refused";

/// What goes back.
#[derive(Debug, Default)]
struct Answer {
    /// HTTP status code.
    status: u16,
    /// The body.
    body: String,
    /// Name and value of one more header.
    header: Option<(&'static str, String)>,
}

impl Answer {
    /// Text.
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), header: None }
    }

    /// JSON.
    fn json(value: &impl Serialize) -> Self {
        // Texts and numbers in lists: nothing that JSON could refuse.
        Self::new(200, serde_json::to_string(value).unwrap_or_default())
    }

    /// What the store has failed to do.
    fn failure(error: &WriteError) -> Self {
        tracing::error!("a request to the kdns interface was not carried out: {error}");
        Self::new(503, format!("{error}\n"))
    }
}

/// The running interface.
#[derive(Debug)]
pub(crate) struct Service {
    /// What the configuration says.
    config: KdnsApiConfig,
    /// Where records are kept.
    store: StoreHandle,
    /// Which zones are of zone files.
    settings: Arc<Settings>,
    /// Zones that can be written.
    zones: watch::Receiver<Arc<[WireName]>>,
    /// What is counted.
    statistics: Statistics,
    /// What is kept of names of others, among much else.
    state: Arc<State>,
    /// What was not taken.
    refusals: Arc<Refusals>,
    /// True once somebody has said that all records are here. A process that is new says that they are not: what was
    /// changed while it was away would come with the agent's next comparison only, and what is here already costs nothing.
    is_running: AtomicBool,
    /// Leave to read a large body.
    large_bodies: Semaphore,
}

/// What the interface shows, as the parts that run have it.
#[derive(Debug)]
pub(crate) struct Sources {
    /// What the workers count.
    pub(crate) counters: Vec<Arc<Counters>>,
    /// The CPUs of the workers, as far as the configuration says them.
    pub(crate) cores: Vec<usize>,
    /// What the sockets count.
    pub(crate) sockets: Option<Arc<Monitor>>,
    /// Ports, snapshot, and where refusals are counted.
    pub(crate) state: Arc<State>,
}

impl Service {
    /// The interface of a configuration.
    pub(crate) fn new(config: KdnsApiConfig, store: StoreHandle, settings: Arc<Settings>, sources: Sources) -> Self {
        let Sources { counters, cores, sockets, state } = sources;
        let refusals = Arc::clone(state.kdns.get_or_init(Arc::default));
        state.shows_askers.store(true, Ordering::Relaxed);
        let statistics = Statistics::new(counters, cores, sockets, Arc::clone(&state));
        let (is_running, large_bodies) = (AtomicBool::new(false), Semaphore::new(1));
        let zones = settings.kdns_zones();
        Self { config, store, settings, zones, statistics, state, refusals, is_running, large_bodies }
    }

    /// Serves until told to stop, then until the requests that are under way are answered.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<Renewed>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) {
        let service = Arc::new(self);
        let making = Arc::clone(&service);
        let filter = warp::any()
            .map(move || Arc::clone(&service))
            .and(warp::method())
            .and(warp::path::full())
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .then(|service: Arc<Self>, method: Method, path: warp::path::FullPath, headers, body| async move {
                respond(service.answer(&method, path.as_str(), &headers, body).await)
            })
            .map(Ok::<_, warp::Rejection>)
            .and_then(std::future::ready)
            .recover(|_| async { Ok::<_, std::convert::Infallible>(respond(Answer::new(404, NOT_FOUND))) });
        tokio::select! {
            () = http::serve(listener, tls, LIMITS, filter, stop) => {}
            () = making.keep_zones() => {}
        }
    }

    /// Makes the zones of the configuration, whenever that is read; does not end by itself. The first time it waits until
    /// the store is read, and requests that come before wait with it.
    async fn keep_zones(&self) {
        let mut zones = self.zones.clone();
        loop {
            let wanted = Arc::clone(&zones.borrow_and_update());
            self.make_zones(&wanted).await;
            if zones.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Makes zones, those that are kept elsewhere excepted.
    async fn make_zones(&self, zones: &[WireName]) {
        let is_elsewhere = |apex: &&WireName| self.settings.keeper(apex).is_some();
        let zones = zones.iter().filter(|apex| !is_elsewhere(apex)).cloned().collect();
        if let Err(error) = self.store.write(Write::Edit(Arc::new(MakeZones { zones }))).await {
            tracing::error!(
                "the zones of the kdns interface could not be made: {error}; the next record makes its own"
            );
        }
    }

    /// Answers one request.
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
    ) -> Answer {
        if !self.is_authorised(headers) {
            let header = Some(("www-authenticate", "Basic realm=\"kdns\"".to_owned()));
            return Answer { header, ..Answer::new(401, "the token is missing or wrong\n") };
        }
        if *method == Method::GET {
            return self.read(path).await;
        }
        let kind = match *method {
            Method::POST => write::Method::Post,
            Method::DELETE => write::Method::Delete,
            _ => return Answer::new(404, NOT_FOUND),
        };
        let large = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        // Without a length nobody knows how large it becomes.
        let is_large = large.map_or(headers.contains_key("transfer-encoding"), |length| length >= LARGE_BODY_BYTES);
        let _leave = if is_large { self.large_bodies.acquire().await.ok() } else { None };
        let bytes = match body::read(body, BODY_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let words = format!("the body is cut off, stalled, or larger than {BODY_BYTES_MAX} bytes\n");
                return Answer::new(error.status(), words);
            }
        };
        match (kind, path) {
            (_, "/kdns/domain") => self.edit_records(kind, Wanted::one(&bytes)).await,
            (_, "/kdns/alldomains") => self.edit_records(kind, Wanted::list(&bytes)).await,
            (_, "/kdns/view") => self.edit_views(kind, Wanted::one(&bytes)).await,
            (_, "/kdns/allview") => self.edit_views(kind, Wanted::list(&bytes)).await,
            (write::Method::Delete, "/kdns/forward/caches") => {
                forward::forget(self.state.foreign.get()).await;
                Answer::new(200, OK)
            }
            (write::Method::Post, path) => self.command(path),
            _ => Answer::new(404, NOT_FOUND),
        }
    }

    /// Carries out a POST whose body does not count.
    fn command(&self, path: &str) -> Answer {
        match path {
            "/kdns/status" => self.is_running.store(true, Ordering::Relaxed),
            "/kdns/statistics/reset" => self.statistics.reset(),
            "/kdns/statistics/port/reset" => self.statistics.reset_port(),
            // Latencies are not measured: all are zero.
            "/kdns/metrics/resetlocal" => {}
            _ => return Answer::new(404, NOT_FOUND),
        }
        Answer::new(200, OK)
    }

    /// Shows something. Paths are found by what they begin with, as in the original.
    async fn read(&self, path: &str) -> Answer {
        if let Some(name) = path.strip_prefix("/kdns/perdomain/") {
            return self.records_of(name).await;
        }
        let begins = |known: &str| path.starts_with(known);
        match path {
            _ if begins("/kdns/domain") => self.all_records().await,
            _ if begins("/kdns/view") => self.all_networks().await,
            _ if begins("/kdns/status") => {
                Answer::new(200, if self.is_running.load(Ordering::Relaxed) { "running" } else { "init" })
            }
            _ if begins("/kdns/statistics/get") => Answer::json(&self.statistics.all()),
            _ if begins("/kdns/statistics/percore/get") => Answer::json(&self.statistics.each()),
            _ if begins("/kdns/statistics/port/get") => Answer::json(&self.statistics.port()),
            _ if begins("/kdns/metrics/domains") => Answer::json(&forward::names(self.state.foreign.get()).await),
            _ if begins("/kdns/metrics/clientIp") => {
                let host = &self.config.metrics_host;
                Answer::json(&forward::clients(self.state.foreign.get(), host).await)
            }
            _ if begins("/kdns/forward/caches") => Answer::json(&forward::cached(self.state.foreign.get()).await),
            _ => Answer::new(404, NOT_FOUND),
        }
    }

    /// What a look at the store makes; or that it failed.
    async fn look(&self, look: impl FnOnce(&Reading) -> Result<String, WriteError> + Send + 'static) -> Answer {
        match self.store.read(look).await {
            Ok(text) => Answer::new(200, text),
            Err(error) => Answer::failure(&error),
        }
    }

    /// All records.
    async fn all_records(&self) -> Answer {
        let zones = self.zones();
        self.look(move |reading| {
            let mut records = Vec::new();
            for apex in zones.iter() {
                records.extend(shelf::of_zone(reading, apex)?);
            }
            let shown: Vec<_> = records.iter().map(|record| record.show(false)).collect();
            text(&shown)
        })
        .await
    }

    /// The records whose name was written in this very way.
    async fn records_of(&self, name: &str) -> Answer {
        let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else { return Answer::new(200, "[]") };
        let name = name.into_owned();
        let owner = name.parse::<WireName>().ok().map(|owner| owner.to_lowercase());
        let zones = self.zones();
        let Some((apex, owner)) = owner.and_then(|owner| Some((zone_of(&zones, &owner)?.clone(), owner))) else {
            return Answer::new(200, "[]");
        };
        self.look(move |reading| {
            let records = shelf::records(reading, &apex, &owner)?;
            let same = records.iter().filter(|record| record.domain == name);
            text(&same.map(|record| record.show(true)).collect::<Vec<_>>())
        })
        .await
    }

    /// All networks of views.
    async fn all_networks(&self) -> Answer {
        self.look(|reading| {
            let orders = write::networks_served(reading)?;
            text(&orders.iter().map(ViewOrder::show).collect::<Vec<_>>())
        })
        .await
    }

    /// The zones of the configuration as it is now.
    fn zones(&self) -> Arc<[WireName]> {
        Arc::clone(&self.zones.borrow())
    }

    /// Why records of a name cannot be written into a zone.
    fn check_zone(&self, zones: &[WireName], apex: &WireName, owner: &WireName) -> Result<(), Reason> {
        if !zones.contains(apex) {
            return Err(Reason::UnknownZone);
        }
        if zone_of(zones, owner) != Some(apex) {
            return Err(Reason::OtherZone);
        }
        if self.settings.keeper(apex).is_some() { Err(Reason::ZoneReadOnly) } else { Ok(()) }
    }

    /// Makes or removes records.
    async fn edit_records(&self, method: write::Method, wanted: Wanted<Record>) -> Answer {
        let Wanted { items, is_whole } = wanted;
        let zones = self.zones();
        let edit = EditRecords::new(method, items, |apex, owner| self.check_zone(&zones, apex, owner));
        let edit = Arc::new(edit);
        let written = self.store.write(Write::Edit(edit.clone())).await;
        self.written(written.map(drop), &write::take(&edit.report), is_whole)
    }

    /// Makes or removes networks of views.
    async fn edit_views(&self, method: write::Method, wanted: Wanted<ViewOrder>) -> Answer {
        let Wanted { items: orders, is_whole } = wanted;
        let edit = Arc::new(EditViews { method, orders, report: std::sync::Mutex::default() });
        let written = self.store.write(Write::Edit(edit.clone())).await;
        self.written(written.map(drop), &write::take(&edit.report), is_whole)
    }

    /// The reply to a write.
    fn written(&self, written: Result<(), WriteError>, refused: &[Refused], is_whole: bool) -> Answer {
        match written {
            // What another source keeps from being served is on disk, and is logged with its name by who publishes it.
            Ok(()) | Err(WriteError::NotServed(_)) => {}
            Err(error) => return Answer::failure(&error),
        }
        let header = refusal::tell(refused, &self.refusals).map(|value| (REFUSED_HEADER, value));
        Answer { header, ..Answer::new(200, if is_whole { OK } else { MALFORMED }) }
    }

    /// True for who has the token, where there is one: as a bearer (RFC 6750), or as the password of any user (RFC 7617),
    /// which is what HTTP clients make of a URL with a user in it.
    fn is_authorised(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.config.token else { return true };
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        let Some((scheme, guess)) = header.and_then(|header| header.split_once(' ')) else { return false };
        if scheme.eq_ignore_ascii_case("bearer") {
            return token.matches(guess.trim().as_bytes());
        }
        let decoded = BASE64.decode(guess.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
        let decoded = decoded.unwrap_or_default();
        let colon = decoded.iter().position(|&byte| byte == b':');
        colon.and_then(|colon| decoded.get(colon + 1..)).is_some_and(|password| token.matches(password))
    }
}

/// The zone that a name is in: the nearest.
fn zone_of<'a>(zones: &'a [WireName], owner: &WireName) -> Option<&'a WireName> {
    zones.iter().filter(|apex| apex.contains(owner)).max_by_key(|apex| apex.label_count())
}

/// JSON of what was read.
fn text(value: &impl Serialize) -> Result<String, WriteError> {
    serde_json::to_string(value).map_err(|error| WriteError::Storage(error.to_string()))
}

/// Builds the HTTP response.
fn respond(answer: Answer) -> Response<String> {
    // The original says "Content-Type: " twice, which no client could use.
    let mut builder =
        Response::builder().status(answer.status).header("content-type", "application/json; charset=utf-8");
    if let Some((name, value)) = answer.header {
        builder = builder.header(name, value);
    }
    // Headers and texts are ours; a response that could not be built would be a mistake here, not the client's.
    builder.body(answer.body).unwrap_or_default()
}
