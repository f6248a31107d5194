//! HTTP over plain connections or over TLS, of bounded number and patience. warp takes no streams but its own, so connections are
//! accepted here and given to its service.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::tls::Renewed;

/// Time for the handshake of TLS: who does not speak it holds no place for longer.
const HANDSHAKE_SECONDS_MAX: u64 = 10;

/// Pause after a connection that could not be accepted; mostly because too many files are open.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// What an interface is called, and how much it has for its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Its name in messages.
    pub(crate) name: &'static str,
    /// Most connections; whoever comes later waits.
    pub(crate) connections_max: usize,
    /// Time from the end of a request, or the beginning of the connection, until the next has come: clients keep connections
    /// for some requests one after the other, and open another when they need one.
    pub(crate) request_seconds_max: u64,
}

/// Serves until told to stop, then until the requests that are under way are answered.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    tls: Option<Arc<Renewed>>,
    limits: Limits,
    filter: F,
    stop: impl Future<Output = ()>,
) where
    F: warp::Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: warp::Reply,
{
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection to the {} could not be accepted: {error}", limits.name);
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let (tls, filter, watcher) = (tls.clone(), filter.clone(), connections.watcher());
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return converse(stream, limits, filter, watcher).await };
            let handshake = tls.acceptor().accept(stream);
            let handshake = tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), handshake);
            match handshake.await {
                Ok(Ok(stream)) => converse(stream, limits, filter, watcher).await,
                Ok(Err(error)) => tracing::debug!("a connection to the {} without TLS: {error}", limits.name),
                Err(_) => tracing::debug!("a connection to the {} whose handshake took too long", limits.name),
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Answers the requests of one connection.
async fn converse<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    limits: Limits,
    filter: F,
    watcher: Watcher,
) where
    F: warp::Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: warp::Reply,
{
    let service = TowerToHyperService::new(warp::service(filter));
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(limits.request_seconds_max));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("a connection to the {} broke: {error}", limits.name);
    }
}
