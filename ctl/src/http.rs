//! The HTTP client that everything here shares.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};

/// Time for a connection: a server that is there answers sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the head of an answer: writes wait for the disk, for etcd and for the publication.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Time without a byte after which a connection is dead: servers that stream say something every few seconds.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);

/// Where systems keep the certificates that they trust: Debian, Red Hat, Alpine.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Whom to trust where the server speaks TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust<'a> {
    /// Nobody: there is no TLS.
    NoTls,
    /// Whom the system trusts.
    System,
    /// Whom a file names, in PEM form.
    File(&'a Path),
}

/// A client. Answers of every status are answers; redirects are not followed, since the token would go along.
pub(crate) fn agent(trust: Trust<'_>) -> Result<Agent, String> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT));
    if let Some(path) = roots_file(trust)? {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = RootCerts::Specific(Arc::new(roots(&path)?));
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        config = config.tls_config(tls);
    }
    Ok(config.build().new_agent())
}

/// The file of trusted certificates; none where there is no TLS.
fn roots_file(trust: Trust<'_>) -> Result<Option<PathBuf>, String> {
    match trust {
        Trust::NoTls => Ok(None),
        Trust::File(path) => Ok(Some(path.to_path_buf())),
        Trust::System => {
            let found = SYSTEM_ROOTS.into_iter().map(PathBuf::from).find(|path| path.exists());
            let message = "this system has no trusted certificates; install ca-certificates, or give --ca-file FILE";
            found.map(Some).ok_or_else(|| message.to_owned())
        }
    }
}

/// The certificates of a file.
fn roots(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let roots: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if roots.is_empty() { Err(format!("{} has no certificate in PEM form", path.display())) } else { Ok(roots) }
}

/// What went wrong on the way, in words that say so.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::HostNotFound => "the host name is not known".to_owned(),
        Error::ConnectionFailed => "no connection".to_owned(),
        Error::Timeout(what) => format!("no answer in time ({what})"),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens there".to_owned()
        }
        other => other.to_string(),
    }
}
