//! Why a probe failed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::tls::TlsError;
use crate::web::WebError;

/// Why a probe failed. Some faults are our own: they say nothing of the target.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing came in time.
    #[error("{probe}: no answer within {} ms", timeout.as_millis())]
    Timeout {
        /// The kind of probe.
        probe: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// The name has no address.
    #[error("{name} cannot be resolved: {error}")]
    Resolve {
        /// The name.
        name: String,
        /// What the resolver says.
        error: String,
    },
    /// There is no port to try.
    #[error("no port is known; give scanner.ports")]
    NoPort,
    /// No connection.
    #[error("{address}: {error}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// No HTTP, or no TLS with whom it should be.
    #[error("{address}: {reason}")]
    Web {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// The wrong status.
    #[error("{address}: HTTP status {status}")]
    Status {
        /// The address.
        address: SocketAddr,
        /// The status.
        status: u16,
    },
    /// What came is no answer to our query.
    #[error("{address}: {reason}")]
    Dns {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// The wrong response code.
    #[error("{address}: DNS response code {rcode}")]
    Rcode {
        /// The address.
        address: SocketAddr,
        /// The response code.
        rcode: u16,
    },
    /// No reply to an echo request.
    #[error("{address}: {reason}")]
    Ping {
        /// The address.
        address: IpAddr,
        /// What is wrong.
        reason: String,
    },
    /// We may not send echo requests.
    #[error(
        "this process may not send echo requests: {0}; give it CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW), or its \
         group leave (sysctl net.ipv4.ping_group_range=\"0 2147483647\")"
    )]
    PingPermission(io::Error),
    /// We have no sockets, no ports or no memory left.
    #[error("this machine has run out: {0}; lower scanner.checks_max, or raise the limit of open files (ulimit -n)")]
    Exhausted(io::Error),
    /// We cannot do TLS.
    #[error("{0}")]
    Tls(String),
}

impl ProbeError {
    /// True where the target may be well.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::NoPort | Self::PingPermission(_) | Self::Exhausted(_) | Self::Tls(_))
    }

    /// A failed connection.
    pub(super) fn connect(address: SocketAddr, error: io::Error) -> Self {
        if is_exhaustion(&error) { Self::Exhausted(error) } else { Self::Connect { address, error } }
    }

    /// A failed request.
    pub(super) fn web(address: SocketAddr, error: WebError) -> Self {
        match error {
            WebError::Connect(error) => Self::connect(address, error),
            other => Self::Web { address, reason: other.to_string() },
        }
    }
}

impl From<TlsError> for ProbeError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// True for errors that are about this machine: files (EMFILE, ENFILE), memory (ENOMEM, ENOBUFS), ports (EADDRNOTAVAIL).
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    const ENOBUFS: i32 = 105;
    error.raw_os_error().is_some_and(|code| [ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS].contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_our_own_are_told_apart() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let ours = ProbeError::connect(address, io::Error::from_raw_os_error(24));
        assert!(ours.is_ours() && ours.to_string().contains("ulimit -n"), "{ours}");
        let theirs = ProbeError::connect(address, io::Error::from_raw_os_error(111));
        assert!(!theirs.is_ours());
        assert_eq!(theirs.to_string(), "10.0.0.1:80: Connection refused (os error 111)");
    }
}
