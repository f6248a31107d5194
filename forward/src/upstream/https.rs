//! Questions over HTTPS (RFC 8484): GET over HTTP/2, all on one connection.
//!
//! GET, which each server must have as well as POST, because its requests are one frame. Those of POST are two, which hyper
//! sends with those of other questions in between; BIND 9.18 then waits for bodies that it does not read, and ten questions at
//! once are never answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::header::{ACCEPT, AGE, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex as Gate;
use tokio::time::{Instant, sleep, timeout_at};

use super::counts::Counts;
use super::dial::{Dialer, SILENT_AFTER, Stream};
use super::query::Query;
use super::{Failure, StartError, age};

/// What a DNS message is called (RFC 8484 section 6).
const MESSAGE_TYPE: &str = "application/dns-message";

/// What is agreed on in the handshake.
pub(super) const PROTOCOL: &[u8] = b"h2";

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// An upstream over HTTPS.
pub(super) struct Https {
    /// Begins connections.
    dialer: Dialer,
    /// One without a question for so long, or up to twice as long, is closed.
    idle_after: Duration,
    /// The upstream's counters.
    counts: Arc<Counts>,
    /// What stands before a question in a URL.
    prefix: String,
    /// The connection; one is begun at a time.
    session: Gate<Held>,
}

/// A connection, and when and how beginning one failed last.
type Held = (Option<Session>, Option<(Instant, Failure)>);

/// A connection.
#[derive(Clone)]
struct Session {
    /// Takes requests.
    requests: SendRequest<Empty<Bytes>>,
    /// What it was asked for.
    uses: Arc<Uses>,
}

impl Session {
    /// True where it is worth asking.
    fn is_usable(&self) -> bool {
        !self.requests.is_closed() && !self.uses.is_silent.load(Ordering::Relaxed)
    }
}

/// How a connection is used.
#[derive(Default)]
struct Uses {
    /// Requests begun.
    begun: AtomicUsize,
    /// Requests ended.
    ended: AtomicUsize,
    /// Responses that came.
    heard: AtomicUsize,
    /// Nothing more is asked.
    is_silent: AtomicBool,
}

/// A request under way, which ends when this goes.
struct Use {
    /// On this connection.
    uses: Arc<Uses>,
    /// Responses that had come before.
    heard: usize,
    /// Since when.
    begun: Instant,
}

impl Use {
    /// One more request.
    fn begin(uses: &Arc<Uses>) -> Self {
        uses.begun.fetch_add(1, Ordering::Relaxed);
        Self { uses: Arc::clone(uses), heard: uses.heard.load(Ordering::Relaxed), begun: Instant::now() }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.uses.ended.fetch_add(1, Ordering::Relaxed);
        if self.uses.heard.load(Ordering::Relaxed) == self.heard && self.begun.elapsed() >= SILENT_AFTER {
            self.uses.is_silent.store(true, Ordering::Relaxed);
        }
    }
}

impl Https {
    /// Asks a host under a path.
    pub(super) fn new(
        dialer: Dialer,
        idle_after: Duration,
        counts: &Arc<Counts>,
        name: &str,
        port: u16,
        path: &str,
    ) -> Result<Self, StartError> {
        // Of RFC 8484's URI templates those are enough that have no variables but `dns`, which comes last.
        let path = path.split_once('{').map_or(path, |(before, _)| before);
        let path = if path.is_empty() { "/dns-query" } else { path };
        let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let authority = if port == 443 { host } else { format!("{host}:{port}") };
        let uri = Uri::builder().scheme("https").authority(authority).path_and_query(path).build();
        let uri = uri.map_err(|_| StartError::Path(path.to_owned()))?;
        let prefix = format!("{uri}{}dns=", if uri.query().is_some() { '&' } else { '?' });
        Ok(Self { dialer, idle_after, counts: Arc::clone(counts), prefix, session: Gate::new((None, None)) })
    }

    /// How many connections are open.
    pub(super) fn count(&self) -> usize {
        self.session.try_lock().map_or(0, |held| usize::from(held.0.as_ref().is_some_and(Session::is_usable)))
    }

    /// Asks, and once again over a new connection where a kept one had gone.
    pub(super) async fn ask(&self, query: &Query, until: Instant) -> Result<Vec<u8>, Failure> {
        let session = self.session(until).await?;
        let was_kept = session.uses.begun.load(Ordering::Relaxed) > 0;
        match self.send(session, query, until).await {
            Err(Failure::Closed) if was_kept => {}
            other => return other,
        }
        let session = self.session(until).await?;
        self.send(session, query, until).await
    }

    /// The connection, or a new one.
    async fn session(&self, until: Instant) -> Result<Session, Failure> {
        let come = Instant::now();
        let mut held = timeout_at(until, self.session.lock()).await.map_err(|_| Failure::Timeout)?;
        match &*held {
            (Some(session), _) if session.is_usable() => {
                Counts::add(&self.counts.connections_reused);
                return Ok(session.clone());
            }
            // Whoever was before us has just found out that it cannot be.
            (_, Some((at, failure))) if *at >= come => return Err(*failure),
            _ => {}
        }
        match self.begin(until).await {
            Ok(session) => {
                Counts::add(&self.counts.connections_begun);
                held.0 = Some(session.clone());
                Ok(session)
            }
            Err(failure) => {
                *held = (None, Some((Instant::now(), failure)));
                Err(failure)
            }
        }
    }

    /// Begins a connection.
    async fn begin(&self, until: Instant) -> Result<Session, Failure> {
        let stream = self.dialer.dial(until).await?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        let shaken = timeout_at(until, builder.handshake(TokioIo::new(stream))).await;
        let (requests, connection) = shaken.map_err(|_| Failure::Timeout)?.map_err(|_| Failure::Http)?;
        let uses = Arc::new(Uses::default());
        tokio::spawn(keep(connection, self.idle_after, Arc::clone(&uses)));
        Ok(Session { requests, uses })
    }

    /// Sends a question.
    async fn send(&self, mut session: Session, query: &Query, until: Instant) -> Result<Vec<u8>, Failure> {
        let running = Use::begin(&session.uses);
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("{}{}", self.prefix, BASE64URL_NOPAD.encode(&query.bytes)))
            .header(ACCEPT, MESSAGE_TYPE)
            .body(Empty::new())
            .map_err(|_| Failure::Http)?;
        let answered = async {
            session.requests.ready().await.map_err(|_| Failure::Closed)?;
            let response = session.requests.send_request(request).await.map_err(|error| failure(&error))?;
            running.uses.heard.fetch_add(1, Ordering::Relaxed);
            message(response).await
        };
        timeout_at(until, answered).await.unwrap_or(Err(Failure::Timeout))
    }
}

/// The message in a response.
async fn message(response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if response.status() != StatusCode::OK || !kind.eq_ignore_ascii_case(MESSAGE_TYPE) {
        return Err(Failure::Http);
    }
    let seconds = response.headers().get(AGE).and_then(|value| value.to_str().ok()).map_or(0, age::seconds);
    let body = Limited::new(response.into_body(), MESSAGE_BYTES_MAX).collect().await;
    // Too long, or ended too early.
    let mut message = body.map_err(|_| Failure::Http)?.to_bytes().to_vec();
    age::lower(&mut message, seconds);
    Ok(message)
}

/// What an error of a request says. A question may be asked twice: whatever ends the connection is taken for its end.
fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_user() { Failure::Http } else { Failure::Closed }
}

/// Keeps a connection going until it ends, or nobody has used it for a while.
async fn keep(
    connection: Connection<TokioIo<Box<dyn Stream>>, Empty<Bytes>, TokioExecutor>,
    idle_after: Duration,
    uses: Arc<Uses>,
) {
    let idle = async {
        let mut seen = 0;
        loop {
            sleep(idle_after).await;
            let (ended, begun) = (uses.ended.load(Ordering::Relaxed), uses.begun.load(Ordering::Relaxed));
            if begun == seen && ended == begun {
                return;
            }
            seen = begun;
        }
    };
    tokio::select! {
        // How it ended is told to those whose requests were under way.
        _ = connection => {}
        () = idle => {}
    }
}
