//! The admin API: health, readiness, metrics and the REST interface to zones and RRsets, over one warp server.
//!
//! warp carries the requests; routes are found in a table of our own ([`route`]), because a filter tree can neither tell
//! which methods a path has nor be compared with the OpenAPI document.

mod access;
mod answer;
pub mod body;
pub mod error;
mod export;
mod foreign;
mod import;
mod import_json;
mod members;
mod openapi;
mod read;
pub mod ready;
mod reload;
mod request;
pub mod route;
pub(crate) mod selection;
mod show;
mod stats;
mod transaction;
mod views;
mod watch;
mod write;

use std::future::Future;
use std::sync::Arc;

use futures_util::Stream;
use ringdns_engine::name::WireName;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warp::Filter as _;
use warp::http::{HeaderMap, Method};

use crate::BuildInfo;
use crate::metrics::Metrics;
use crate::reload::{Keeper, Settings};
use crate::sockets::Monitor;
use crate::state::State;
use crate::stats::Stats;
use crate::store::StoreHandle;
use answer::Answer;
use error::ApiError;
use request::Request;
use route::Endpoint;

/// Lists of RRsets that are made at the same time: each keeps a core busy on a large zone.
const LISTS_MAX: usize = 2;

/// Exports at the same time, for the same reason.
const EXPORTS_MAX: usize = 2;

/// Imports at the same time: each may hold a zone in memory twice.
const IMPORTS_MAX: usize = 1;

/// Watchers at the same time: each costs a connection.
const WATCHERS_MAX: usize = 256;

/// Bounds of what is expensive.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Leave to make a list of RRsets.
    lists: Semaphore,
    /// Leave to export a zone.
    exports: Arc<Semaphore>,
    /// Leave to import a zone.
    imports: Arc<Semaphore>,
    /// Leave to watch.
    watchers: Arc<Semaphore>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lists: Semaphore::new(LISTS_MAX),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            imports: Arc::new(Semaphore::new(IMPORTS_MAX)),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }
}

/// What every request can use.
#[derive(Debug)]
pub(crate) struct Context {
    /// What is served, and by whom.
    pub(crate) state: Arc<State>,
    /// Where writes go.
    pub(crate) store: StoreHandle,
    /// What of the configuration can change.
    pub(crate) settings: Arc<Settings>,
    /// Whether the workers poll.
    pub(crate) workers: Arc<ready::Workers>,
    /// What the sockets of DNS show; nothing where there are none.
    pub(crate) sockets: Option<Arc<Monitor>>,
    /// What was asked for.
    pub(crate) stats: Arc<Stats>,
    /// Metrics.
    pub(crate) metrics: Metrics,
    /// What this program is.
    pub(crate) build: BuildInfo,
    /// Bounds of what is expensive.
    pub(crate) bounds: Bounds,
}

impl Context {
    /// The name of a source.
    fn source_name(&self, origin: u8) -> &'static str {
        self.state.sources.get(usize::from(origin)).map_or("unknown", |source| source.name)
    }

    /// Where a zone is kept that cannot be written, if it cannot.
    fn zone_file(&self, apex: &WireName) -> Option<Keeper> {
        self.settings.keeper(apex)
    }
}

/// Serves until told to stop, then until the requests that are under way are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    context: Arc<Context>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let feed = Arc::clone(&context.state.feed);
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let filter = warp::any()
        .map(move || Arc::clone(&context))
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(|context: Arc<Context>, method: Method, path: warp::path::FullPath, query: String, headers, body| async move {
            let answer = answer(&context, &method, path.as_str(), &query, &headers, body).await;
            answer.unwrap_or_else(Answer::from).into_response()
        });
    let stop = async move {
        stop.await;
        // Who watches would never end by itself.
        feed.close();
    };
    warp::serve(filter).incoming(listener).graceful(stop).run().await;
}

/// Answers one request.
async fn answer(
    context: &Arc<Context>,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
) -> Result<Answer, ApiError> {
    let matched = route::find(method.as_str(), path)?;
    let endpoint = matched.endpoint;
    let caller = access::authorise(context, headers, endpoint)?;
    match endpoint {
        Endpoint::Health => return Ok(Answer::text(200, "text/plain", "OK\n")),
        Endpoint::Ready => return Ok(ready::answer(context)),
        Endpoint::Metrics => {
            return Ok(Answer::text(200, crate::metrics::CONTENT_TYPE, context.metrics.encode()));
        }
        Endpoint::OpenApi => return Ok(Answer::json(200, openapi::document())),
        Endpoint::Status => return Ok(Answer::json(200, &ready::status(context))),
        Endpoint::Reload => return reload::answer(context).await,
        _ => {}
    }
    if !context.state.is_synced() {
        return Err(ApiError::unavailable("the sources have not been read yet"));
    }
    let parameters = matched.parameters.iter().map(String::as_str).collect();
    let request = Request { endpoint, parameters, query, headers, caller };
    match endpoint {
        Endpoint::Export => export::answer(context, &request),
        Endpoint::Watch => watch::answer(context, &request),
        Endpoint::Import => import::answer(context, &request, body).await,
        endpoint if endpoint.is_write() => {
            let bytes = request::read_body(endpoint, headers, body).await?;
            match endpoint {
                Endpoint::Transaction => transaction::answer(context, &request, &bytes).await,
                Endpoint::FlushCache => foreign::answer(context, &request).await,
                _ => write::answer(context, &request, &bytes).await,
            }
        }
        Endpoint::ListViews | Endpoint::GetView => views::answer(context, &request),
        Endpoint::ListMembers | Endpoint::GetMember => members::answer(context, &request),
        Endpoint::Stats | Endpoint::TopNames | Endpoint::NameStats => stats::answer(context, &request).await,
        Endpoint::ListCache | Endpoint::ListUpstreams => foreign::answer(context, &request).await,
        _ => read::answer(context, &request).await,
    }
}
