//! One request over HTTP/1.1 on a connection of its own: what probes and alerts need.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    /// No connection.
    #[error("{0}")]
    Connect(std::io::Error),
    /// No TLS, or not with whom it should be.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// What came is no HTTP, or the connection ended.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The host or the path cannot be sent.
    #[error("the request cannot be made: {0}")]
    Request(String),
}

/// What is asked for.
pub(crate) struct Ask<'a> {
    /// Where.
    pub(crate) address: SocketAddr,
    /// TLS, where the connection has it.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The host that the certificate must be of, without a port.
    pub(crate) server: &'a str,
    /// The host as it is named in the request.
    pub(crate) host: &'a str,
    /// What of it.
    pub(crate) path: &'a str,
    /// JSON to post; none: it is a GET.
    pub(crate) body: Option<Bytes>,
    /// The header `Authorization`.
    pub(crate) authorization: Option<&'a str>,
}

/// Asks, and tells the status. What follows it is not read.
pub(crate) async fn ask(ask: Ask<'_>) -> Result<u16, WebError> {
    let stream = TcpStream::connect(ask.address).await.map_err(WebError::Connect)?;
    let _ = stream.set_nodelay(true);
    match &ask.tls {
        None => exchange(stream, &ask).await,
        Some(tls) => {
            let name = ServerName::try_from(ask.server.to_owned())
                .map_err(|error| WebError::Request(format!("{}: {error}", ask.server)))?;
            let connector = TlsConnector::from(Arc::clone(tls));
            exchange(connector.connect(name, stream).await.map_err(WebError::Tls)?, &ask).await
        }
    }
}

/// One request and the head of its answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ask: &Ask<'_>,
) -> Result<u16, WebError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(if ask.body.is_some() { Method::POST } else { Method::GET })
        .uri(ask.path)
        .header(HOST, ask.host)
        .header(USER_AGENT, concat!("ringdns/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if ask.body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(value) = ask.authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let body = Full::new(ask.body.clone().unwrap_or_default());
    let request = request.body(body).map_err(|error| WebError::Request(error.to_string()))?;
    // The connection works while it is waited for, and goes away with this function.
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status().as_u16()),
        // It ends by itself only after the answer; the answer's error says more than its own.
        () = async { let _ = connection.await; std::future::pending().await } => Ok(0),
    }
}

/// A host with its port where that is not the usual one, as it stands in a request.
pub(crate) fn authority(host: &str, port: u16, is_tls: bool) -> String {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    if port == if is_tls { 443 } else { 80 } { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_as_in_urls() {
        for (host, port, is_tls, expected) in [
            ("a.example", 80, false, "a.example"),
            ("a.example", 80, true, "a.example:80"),
            ("10.0.0.1", 443, true, "10.0.0.1"),
            ("::1", 8080, false, "[::1]:8080"),
        ] {
            assert_eq!(authority(host, port, is_tls), expected);
        }
    }
}
