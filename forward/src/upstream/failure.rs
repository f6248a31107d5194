//! What can go wrong with an upstream.

use std::path::PathBuf;

use thiserror::Error;

/// Why an upstream cannot be used at all.
#[derive(Debug, Error)]
pub enum StartError {
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates in {path}: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has none.
    #[error("no certificates of authorities are on this machine: install ca-certificates, or name a ca_file ({0})")]
    NoCertificates(String),
    /// What certificates or URLs are for must be a host name or an address.
    #[error("{0:?} is not the name of a host")]
    Name(String),
    /// The URL's path.
    #[error("{0:?} is not the path of a URL")]
    Path(String),
    /// The library.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Why an exchange gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Failure {
    /// Nothing that could be believed came in time.
    #[error("no answer in time")]
    Timeout,
    /// The network says that nobody is there: refused, or no route.
    #[error("nobody answers there")]
    Unreachable,
    /// The connection ended before the answer.
    #[error("the connection was closed before the answer")]
    Closed,
    /// Over a connection came what is no answer to the question.
    #[error("the answer is malformed")]
    Malformed,
    /// The certificate is not good for this upstream.
    #[error("the certificate is not good")]
    Certificate,
    /// TLS failed otherwise.
    #[error("TLS failed")]
    Tls,
    /// HTTP/2 is not spoken, or the answer to the request was another than 200 with a DNS message.
    #[error("HTTP failed")]
    Http,
    /// This server's own means are used up: sockets, connections, ports. The upstream is not to blame.
    #[error("no socket left")]
    Local,
    /// The upstream leads back to this server.
    #[error("the upstream leads back to this server")]
    Loop,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 9] = [
        Failure::Timeout,
        Failure::Unreachable,
        Failure::Closed,
        Failure::Malformed,
        Failure::Certificate,
        Failure::Tls,
        Failure::Http,
        Failure::Local,
        Failure::Loop,
    ];

    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::Unreachable => "unreachable",
            Failure::Closed => "closed",
            Failure::Malformed => "malformed",
            Failure::Certificate => "certificate",
            Failure::Tls => "tls",
            Failure::Http => "http",
            Failure::Local => "local",
            Failure::Loop => "loop",
        }
    }

    /// True where the upstream, or the way to it, is to blame.
    pub(super) fn is_upstreams(self) -> bool {
        !matches!(self, Failure::Local | Failure::Loop)
    }
}
