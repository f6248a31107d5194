//! The admin API: health, readiness, metrics and the REST interface to zones and RRsets, over one warp server.
//!
//! warp carries the requests; routes are found in a table of our own ([`route`]), because a filter tree can neither tell
//! which methods a path has nor be compared with the OpenAPI document.

pub mod body;
pub mod error;
mod openapi;
mod read;
pub mod ready;
mod reload;
pub mod route;
pub(crate) mod selection;
mod views;
mod write;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use ringdns_engine::name::WireName;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warp::Filter as _;
use warp::http::{HeaderMap, Method, Response};

use crate::BuildInfo;
use crate::metrics::Metrics;
use crate::reload::Settings;
use crate::sockets::Monitor;
use crate::state::State;
use crate::stats::Stats;
use crate::store::StoreHandle;
use error::ApiError;
use read::Page;
use route::{Endpoint, Matched};

/// Largest body in bytes: the largest RRset with every byte written as `\DDD`, and some room.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Lists of RRsets that are made at the same time: each keeps a core busy on a large zone.
const LISTS_MAX: usize = 2;

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
    /// Leave to make a list of RRsets.
    pub(crate) lists: Semaphore,
}

impl Context {
    /// Bounds how many lists are made at the same time.
    pub(crate) fn lists() -> Semaphore {
        Semaphore::new(LISTS_MAX)
    }

    /// The name of a source.
    fn source_name(&self, origin: u8) -> &'static str {
        self.state.sources.get(usize::from(origin)).map_or("unknown", |source| source.name)
    }

    /// The zone file that serves a zone, which cannot be written then.
    fn zone_file(&self, apex: &WireName) -> Option<PathBuf> {
        self.settings.zone_file(apex)
    }
}

/// What goes back.
#[derive(Debug)]
struct Answer {
    /// HTTP status code.
    status: u16,
    /// Type of the body; none without body.
    content_type: &'static str,
    /// The body.
    body: String,
    /// One more header.
    header: Option<Box<error::Header>>,
}

impl Answer {
    /// JSON.
    fn json(status: u16, value: &serde_json::Value) -> Self {
        Self { status, content_type: "application/json", body: value.to_string(), header: None }
    }

    /// Nothing but the status.
    fn empty(status: u16) -> Self {
        Self { status, content_type: "", body: String::new(), header: None }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        let body = error.to_json();
        Self { status: error.status, content_type: "application/json", body, header: error.header }
    }
}

/// Serves until told to stop, then until the requests that are under way are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    context: Arc<Context>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
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
            respond(answer.unwrap_or_else(Answer::from))
        });
    warp::serve(filter).incoming(listener).graceful(stop).run().await;
}

/// Builds the HTTP response.
fn respond(answer: Answer) -> Response<String> {
    let mut builder = Response::builder().status(answer.status);
    if !answer.content_type.is_empty() {
        builder = builder.header("content-type", answer.content_type);
    }
    if let Some((name, value)) = answer.header.map(|header| *header) {
        builder = builder.header(name, value);
    }
    // Names and values are ours; a response that could not be built would be a mistake here, not the client's.
    builder.body(answer.body).unwrap_or_default()
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
    if matched.endpoint.is_write() {
        authorise(context, headers)?;
        if matched.endpoint == Endpoint::Reload {
            return reload::answer(context).await;
        }
        if !context.state.is_synced() {
            return Err(ApiError::unavailable("the sources have not been read yet"));
        }
        let body = read_body(headers, body).await?;
        return write::answer(context, &matched, query, &body).await;
    }
    match matched.endpoint {
        Endpoint::Health => {
            Ok(Answer { status: 200, content_type: "text/plain", body: "OK\n".to_owned(), header: None })
        }
        Endpoint::Ready => Ok(ready::answer(context)),
        Endpoint::Metrics => Ok(Answer {
            status: 200,
            content_type: crate::metrics::CONTENT_TYPE,
            body: context.metrics.encode(),
            header: None,
        }),
        Endpoint::OpenApi => Ok(Answer::json(200, openapi::document())),
        Endpoint::Status => Ok(Answer::json(200, &ready::status(context))),
        _ => read(context, matched, query).await,
    }
}

/// Answers what reads zones and RRsets.
async fn read(context: &Arc<Context>, matched: Matched, query: &str) -> Result<Answer, ApiError> {
    if !context.state.is_synced() {
        return Err(ApiError::unavailable("the sources have not been read yet"));
    }
    let parameters: Vec<&str> = matched.parameters.iter().map(String::as_str).collect();
    let value = match (matched.endpoint, parameters.as_slice()) {
        (Endpoint::ListZones, _) => read::zones(context, &Page::parse(query, false)?)?,
        (Endpoint::GetZone, [zone]) => read::zone(context, &body::apex(zone)?)?,
        (Endpoint::GetRrset, [zone, owner, rtype]) => {
            let apex = body::apex(zone)?;
            let view = read::view_name(query)?;
            read::rrset(context, &apex, &body::owner(owner, &apex)?, body::rtype(rtype)?, view.as_deref())?
        }
        (Endpoint::ListViews, _) => views::list(context),
        (Endpoint::GetView, [name]) => views::one(context, name)?,
        (Endpoint::ListRrsets, [zone]) => {
            let (apex, page) = (body::apex(zone)?, Page::parse(query, true)?);
            let _leave = context.lists.acquire().await;
            let context = Arc::clone(context);
            let list = tokio::task::spawn_blocking(move || read::rrsets(&context, &apex, &page)).await;
            list.map_err(|error| ApiError::new(500, "internal", error.to_string()))??
        }
        _ => return Err(ApiError::route_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// Checks the token (RFC 6750).
fn authorise(context: &Context, headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |message: &str, remedy: &'static str| {
        let error = ApiError::new(401, "unauthorized", message).remedy(remedy);
        error.header("www-authenticate", "Bearer realm=\"ringdns\"")
    };
    let Some(token) = context.settings.token() else {
        return Err(refused("no token is configured, so nothing can be written", "set admin.token_file and reload"));
    };
    let header = headers.get("authorization").map(warp::http::HeaderValue::as_bytes);
    let guess = header.and_then(|value| {
        let (scheme, guess) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(guess)
    });
    match guess {
        None => Err(refused("writes need the token", "send the header Authorization: Bearer <token>")),
        Some(guess) if token.matches(guess.trim_ascii()) => Ok(()),
        Some(_) => Err(refused("the token is wrong", "send the token of admin.token_file")),
    }
}

/// Reads a body of JSON, or of nothing.
async fn read_body(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
) -> Result<Vec<u8>, ApiError> {
    let too_large = || {
        ApiError::new(413, "body_too_large", format!("the body is larger than {BODY_BYTES_MAX} bytes"))
            .remedy("send one RRset at a time")
    };
    let announced = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut body = std::pin::pin!(body);
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|error| ApiError::new(400, "body_cut_off", error.to_string()))?;
        if bytes.len() + piece.remaining() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        while piece.has_remaining() {
            let chunk = piece.chunk().to_vec();
            piece.advance(chunk.len());
            bytes.extend_from_slice(&chunk);
        }
    }
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !bytes.is_empty() && !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!("the body is \"{content_type}\"");
        return Err(ApiError::new(415, "unsupported_media_type", message)
            .remedy("send JSON with the header Content-Type: application/json"));
    }
    Ok(bytes)
}
