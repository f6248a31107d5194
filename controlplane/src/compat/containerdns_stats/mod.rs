//! The statistics interface of ContainerDNS: `/containerdns/stats`, `/containerdns/domain` and their neighbours, on an address
//! of its own. Every outcome is status 200 and one line of text, as clients of the original expect.
//!
//! The original keeps two copies of what it serves, which can be shown, dropped and read again. There is one here, which
//! follows its source at once: both are shown from it, and what drops or reads again finds nothing to do. Its message cache has the
//! answers of others too: these are shown and dropped here as they are there, and all members about that cache are about them.

mod message;
pub(in crate::compat) mod records;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::Stream;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::is_foreign;
use ringdns_engine::rtype::types;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use warp::Filter as _;
use warp::http::Method;

use super::containerdns::request::Parameters;
use super::containerdns::{Answer, BODY_BYTES_MAX, line, not_found, reply, respond};
use crate::api::Context;
use crate::body;
use crate::config::Token;
use crate::foreign::ForeignCache;
use crate::state::now_ms;
use crate::stats::{TOP_MAX, rfc3339};

/// What all paths begin with.
const BASE: &str = "/containerdns/";

/// Lifetime in seconds of forwarded answers where nothing is forwarded, until it is set.
const CACHE_SECONDS: u64 = 60;

/// The longest lifetime: a week (RFC 8767 section 4).
const CACHE_SECONDS_MAX: u32 = 604_800;

/// Minutes between two readings of all records, until they are set.
const SYNC_MINUTES: u64 = 10;

/// The running interface.
#[derive(Debug)]
pub(crate) struct Service {
    /// What every request needs.
    token: Token,
    /// What is served and what was asked for.
    context: Arc<Context>,
    /// What was set of the lifetime of forwarded answers, in seconds, where nothing is forwarded.
    cache_seconds: AtomicU64,
    /// What was set of the time between two readings, in minutes.
    sync_minutes: AtomicU64,
}

impl Service {
    /// An interface that shows what `context` knows.
    pub(crate) fn new(token: Token, context: &Arc<Context>) -> Self {
        let (cache_seconds, sync_minutes) = (AtomicU64::new(CACHE_SECONDS), AtomicU64::new(SYNC_MINUTES));
        Self { token, context: Arc::clone(context), cache_seconds, sync_minutes }
    }

    /// Serves until told to stop, then until the requests that are under way are answered.
    pub(crate) async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let service = Arc::new(self);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let filter =
            warp::any()
                .map(move || Arc::clone(&service))
                .and(warp::method())
                .and(warp::path::full())
                .and(query)
                .and(warp::header::optional("content-type"))
                .and(warp::body::stream())
                .then(
                    |service: Arc<Self>,
                     method,
                     path: warp::path::FullPath,
                     query: String,
                     form: Option<String>,
                     body| async move {
                        respond(service.answer(&method, path.as_str(), &query, form.as_deref(), body).await)
                    },
                );
        warp::serve(filter).incoming(listener).graceful(stop).run().await;
    }

    /// Answers one request.
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        content_type: Option<&str>,
        body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
    ) -> Answer {
        let Some(rest) = path.strip_prefix(BASE) else { return not_found() };
        let parts: Vec<&str> = rest.split('/').collect();
        let is_known = match *parts {
            ["stats" | "master"] => true,
            ["stats" | "domain" | "domainL1", domain] => !domain.is_empty(),
            ["stats", "top", count] => !count.is_empty(),
            _ => false,
        };
        if !is_known {
            return not_found();
        }
        let bytes = match body::read(body, BODY_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => return (error.status(), String::new()),
        };
        let mut token = Parameters::parse(query).token;
        if token.is_empty() && content_type.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            token = Parameters::parse(&String::from_utf8_lossy(&bytes)).token;
        }
        if !self.token.matches(token.as_bytes()) {
            return line(reply::NOT_AUTHORISED);
        }
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["stats"]) => line(&self.totals()),
            ("GET", ["stats", "top", count]) => line(&self.top(count).await),
            ("GET", ["stats", domain]) => line(&self.name(domain)),
            ("GET", ["domain", domain]) => line(&self.message(domain)),
            ("DELETE", ["domain", domain]) => line(&self.drop_message(domain).await),
            ("GET", ["domainL1", domain]) => line(&self.records(domain)),
            ("DELETE", ["domainL1", domain]) => line(&self.drop_records(domain)),
            // Also for a name that is not known: the original reads nothing again and says so.
            ("POST", ["domainL1", _]) => line(reply::OK),
            ("GET", ["master"]) => line(&self.settings()),
            ("POST", ["master"]) => line(self.set(&bytes).await),
            _ => (405, String::new()),
        }
    }

    /// The counters; those that are 0 are left out.
    fn totals(&self) -> String {
        let totals = self.context.stats.totals();
        let snapshot = self.context.state.snapshot();
        let foreign = self.context.state.foreign.get().map(|cache| cache.totals()).unwrap_or_default();
        let members = [
            ("reqCount", totals.queries),
            ("forwardCount", foreign.forwarded),
            ("cacheMissCount", totals.forwarded),
            ("dataCachedCount", totals.recalled),
            ("cacheSizeUsed", foreign.entries),
            ("domainSize", snapshot.names()),
            ("noNameCount", totals.nxdomain),
            ("overFlowCount", totals.truncated),
            ("noDataCount", totals.nodata),
        ];
        let shown = members.into_iter().filter(|&(_, value)| value > 0);
        let shown: Map<String, Value> = shown.map(|(name, value)| (name.to_owned(), value.into())).collect();
        in_order(&shown, &members.map(|(name, _)| name))
    }

    /// The names that were asked for most.
    async fn top(&self, count: &str) -> String {
        let count = match count.parse::<i64>() {
            Ok(count) => usize::try_from(count).unwrap_or_default().min(TOP_MAX),
            // The words of the number reader behind the original.
            Err(_) if count.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit()) => {
                return format!("strconv.Atoi: parsing {count:?}: value out of range");
            }
            Err(_) => return format!("strconv.Atoi: parsing {count:?}: invalid syntax"),
        };
        let stats = Arc::clone(&self.context.stats);
        let Ok(top) = tokio::task::spawn_blocking(move || stats.top()).await else { return "null".to_owned() };
        if top.is_empty() {
            return "null".to_owned();
        }
        let members = top.iter().take(count).map(|count| {
            format!("{{\"reqCount\":{},\"domain\":{}}}", count.queries, Value::from(count.name.to_string()))
        });
        format!("[{}]", members.collect::<Vec<_>>().join(","))
    }

    /// How often a name was asked for.
    fn name(&self, domain: &str) -> String {
        let Some(count) = name_of(domain).and_then(|name| self.context.stats.name(&name)) else {
            return "domain not found".to_owned();
        };
        format!(
            "{{\"reqCount\":{},\"lastQueryTime\":\"{}\",\"firstQueryTime\":\"{}\"}}",
            count.queries,
            rfc3339(count.last_seconds.into()),
            rfc3339(count.first_seconds.into())
        )
    }

    /// The cache of names of others, where a name is one of them.
    fn cache_of(&self, name: &WireName) -> Option<&Arc<dyn ForeignCache>> {
        let snapshot = self.context.state.snapshot();
        self.context.state.foreign.get().filter(|_| is_foreign(&snapshot, name, types::A))
    }

    /// The answer to a question for addresses: of a name of others what is kept of it, of another where it was asked for before,
    /// as the original keeps it from then on.
    fn message(&self, domain: &str) -> String {
        let shown = |name: &WireName| {
            let snapshot = self.context.state.snapshot();
            match self.cache_of(name) {
                Some(cache) => message::show(name, &snapshot, Some(cache.recall()?)),
                None => self.context.stats.name(name).and_then(|_| message::show(name, &snapshot, None)),
            }
        };
        name_of(domain).and_then(|name| shown(&name)).unwrap_or_else(|| no_message(domain))
    }

    /// Drops what is kept of a name of others; says of another whether there would have been a message to drop.
    async fn drop_message(&self, domain: &str) -> String {
        let Some(name) = name_of(domain) else { return no_message(domain) };
        let is_dropped = match self.cache_of(&name).cloned() {
            // It goes over all that is kept; it fails only where the program ends.
            Some(cache) => tokio::task::spawn_blocking(move || cache.forget(&name)).await.is_ok_and(|count| count > 0),
            None => self.context.stats.name(&name).is_some(),
        };
        if is_dropped { reply::OK.to_owned() } else { no_message(domain) }
    }

    /// What is served at a name, and when its source last said something.
    fn records(&self, domain: &str) -> String {
        let served = self.context.state.served();
        let found = name_of(domain).and_then(|name| records::show(&name, &served));
        let Some((records, origin)) = found else { return format!("no found domain : {}", qualified(domain)) };
        let source = self.context.state.sources.get(usize::from(origin));
        let age_ms = source.and_then(crate::state::SourceState::age_seconds).unwrap_or_default() * 1000.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an age in milliseconds")]
        let changed = rfc3339(now_ms().saturating_sub(age_ms as u64) / 1000);
        format!("{{\"msgs\":[{records}],\"updateTime\":\"{changed}\"}}")
    }

    /// Says whether there would have been records to drop.
    fn drop_records(&self, domain: &str) -> String {
        match name_of(domain).and_then(|name| records::show(&name, &self.context.state.served())) {
            Some(_) => reply::OK.to_owned(),
            None => format!("no found domain: {}", qualified(domain)),
        }
    }

    /// What can be set.
    fn settings(&self) -> String {
        let cache = self.context.state.foreign.get().map(|cache| cache.ttl_seconds_max().into());
        let cache: u64 = cache.unwrap_or_else(|| self.cache_seconds.load(Ordering::Relaxed));
        let sync = self.sync_minutes.load(Ordering::Relaxed);
        json!({ "cacheTtl": cache, "syncPeriod": sync }).to_string()
    }

    /// Sets what a body names and is above 0; the rest stays.
    async fn set(&self, bytes: &[u8]) -> &'static str {
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let given = |member| body.get(member).and_then(Value::as_u64).filter(|&value| value > 0);
        if let Some(seconds) = given("cacheTtl") {
            self.cache_seconds.store(seconds, Ordering::Relaxed);
            if let Some(cache) = self.context.state.foreign.get().cloned() {
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(CACHE_SECONDS_MAX);
                // Files that name upstreams may be read for it.
                let _ = tokio::task::spawn_blocking(move || cache.set_ttl_seconds_max(seconds)).await;
            }
        }
        if let Some(minutes) = given("syncPeriod") {
            self.sync_minutes.store(minutes, Ordering::Relaxed);
        }
        reply::OK
    }
}

/// What is told of a name without a message.
fn no_message(domain: &str) -> String {
    format!("no found domain: {}", qualified(domain))
}

/// The members of an object in an order of their own: that of the original, whose text some compare.
fn in_order(object: &Map<String, Value>, order: &[&str]) -> String {
    let members = order.iter().filter_map(|name| Some(format!("{}:{}", Value::from(*name), object.get(*name)?)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The name of a path's part; nothing where it is none.
fn name_of(domain: &str) -> Option<WireName> {
    let domain = percent_encoding::percent_decode_str(domain).decode_utf8().ok()?;
    Some(domain.parse::<WireName>().ok()?.to_lowercase())
}

/// A domain as replies repeat it: with the dot at its end.
fn qualified(domain: &str) -> String {
    let domain = percent_encoding::percent_decode_str(domain).decode_utf8_lossy();
    if domain.ends_with('.') { domain.into_owned() } else { format!("{domain}.") }
}
