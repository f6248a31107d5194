//! TLS for interfaces that clients of other programs speak to: certificate, key, and who signs the certificates of clients.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

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

/// The files as they were last read; they are read again when they have changed, so that certificates can be renewed.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// The files.
    files: TlsFiles,
    /// When each was changed, and what was made of them.
    current: Mutex<(Vec<Option<SystemTime>>, Arc<ServerConfig>)>,
}

impl Renewed {
    /// Reads the files for the first time.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let changed = changed(&files);
        let config = load(&files)?;
        Ok(Self { files, current: Mutex::new((changed, config)) })
    }

    /// What accepts the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(&self.files);
        if changed != current.0 {
            current.0 = changed;
            match load(&self.files) {
                Ok(config) => {
                    tracing::info!(certificate = %self.files.cert.display(), "certificates were read again");
                    current.1 = config;
                }
                // They may be in the middle of being changed: the next change is looked at too.
                Err(error) => tracing::error!("{error}; connections go on with the certificates from before"),
            }
        }
        TlsAcceptor::from(Arc::clone(&current.1))
    }
}

/// When each file was last changed.
fn changed(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let paths = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()].into_iter().flatten();
    paths.map(|path| std::fs::metadata(path).and_then(|found| found.modified()).ok()).collect()
}

/// The certificates of a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |error| TlsError::File { path: path.to_path_buf(), error };
    let found = CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<Vec<_>, _>>().map_err(file)?;
    if found.is_empty() { Err(TlsError::Empty(path.to_path_buf())) } else { Ok(found) }
}

/// Reads the files.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
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
    Ok(Arc::new(config))
}
