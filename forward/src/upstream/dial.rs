//! Connections to an upstream as they begin: TCP, and TLS over it.

use std::io::Error;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::Error as TlsError;

use super::tls::Tls;
use super::{Failure, udp};

/// A connection gets several times what it usually takes, and at least this.
const CONNECT_TIME_MIN: Duration = Duration::from_millis(250);

/// That many times.
const CONNECT_TIMES: u32 = 4;

/// Where nothing at all has come for so long after a question, whoever asked it having given up, the connection is dead though
/// nobody has said so: no more is asked on it.
pub(super) const SILENT_AFTER: Duration = Duration::from_millis(500);

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Begins connections to one upstream.
pub(super) struct Dialer {
    /// Where.
    address: SocketAddr,
    /// With TLS.
    tls: Option<Tls>,
    /// A protocol that must be agreed on (RFC 7301).
    needs_protocol: Option<&'static [u8]>,
    /// How long it takes, by and large.
    latency: Mutex<Option<Duration>>,
}

impl Dialer {
    /// Connections to an address.
    pub(super) fn new(address: SocketAddr, tls: Option<Tls>, needs_protocol: Option<&'static [u8]>) -> Self {
        Self { address, tls, needs_protocol, latency: Mutex::new(None) }
    }

    /// Begins one. It may take half of what is left of the try's time, so that something can be done where it fails; and not
    /// much longer than it did before.
    pub(super) async fn dial(&self, until: Instant) -> Result<Box<dyn Stream>, Failure> {
        let begun = Instant::now();
        let left = until.saturating_duration_since(begun) / 2;
        let usual = *self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = usual.map_or(left, |usual| left.min((usual * CONNECT_TIMES).max(CONNECT_TIME_MIN)));
        let Ok(connected) = timeout(limit, self.connect()).await else {
            // It may be further away now: what it took before is no measure any more, or no later one would ever be waited for.
            *self.latency.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(Failure::Timeout);
        };
        let stream = connected?;
        let taken = begun.elapsed();
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        *latency = Some(latency.map_or(taken, |usual| (usual * 7 + taken) / 8));
        drop(latency);
        Ok(stream)
    }

    /// Connects without a limit.
    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| udp::failure(&error))?;
        // Questions are small, and none waits for the next.
        stream.set_nodelay(true).map_err(|error| udp::failure(&error))?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let stream = tls.connector.connect(tls.name.clone(), stream).await.map_err(|error| tls_failure(&error))?;
        if let Some(needed) = self.needs_protocol
            && stream.get_ref().1.alpn_protocol() != Some(needed)
        {
            return Err(Failure::Http);
        }
        Ok(Box::new(stream))
    }
}

/// What an error of a handshake says.
fn tls_failure(error: &Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented) => Failure::Certificate,
        Some(_) => Failure::Tls,
        None => match udp::failure(error) {
            // Whoever hangs up amid a handshake speaks no TLS.
            Failure::Closed => Failure::Tls,
            other => other,
        },
    }
}
