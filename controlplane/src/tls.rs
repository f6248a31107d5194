//! TLS for interfaces that clients of other programs speak to: certificate, key, and who signs the certificates of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// The files of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, its chain behind it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of who signs those that clients must show; none: they need none.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// A file without what it is for.
    #[error("{}: no certificate is in it", .0.display())]
    Empty(PathBuf),
    /// What is in the files.
    #[error("{}: {error}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
}

/// The certificates of a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |error| TlsError::File { path: path.to_path_buf(), error };
    let found = CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<Vec<_>, _>>().map_err(file)?;
    if found.is_empty() { Err(TlsError::Empty(path.to_path_buf())) } else { Ok(found) }
}

/// Reads the files.
pub(crate) fn load(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let content = |path: &Path| {
        let path = path.to_path_buf();
        move |error: rustls::Error| TlsError::Content { path, error: error.to_string() }
    };
    let chain = certificates(&files.cert)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File { path: files.key.clone(), error })?;
    let provider = Arc::new(default_provider());
    // TLS 1.2 as well: the agents of kdns were built before their library knew a newer one.
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(content(&files.cert))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(content(path))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let error = |error: rustls::server::VerifierBuilderError| error.to_string();
            builder.with_client_cert_verifier(
                verifier.map_err(|found| TlsError::Content { path: path.clone(), error: error(found) })?,
            )
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(content(&files.key))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
