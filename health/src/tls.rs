//! TLS of probes and alerts: certificates are checked unless somebody says otherwise.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Why there is no TLS: nothing is wrong with the other side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The file of authorities.
    #[error("{}: {error}; give the certificates of who signs as ca_file, in PEM form", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The library.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] Error),
}

/// What a configuration is made of: the file of authorities, and whether they count.
type Made = (PathBuf, bool);

/// A configuration, and when its file had changed before it was made.
type Configured = (Option<SystemTime>, Arc<ClientConfig>);

/// Configurations, made once for each file and again when it changes.
#[derive(Debug, Default)]
pub(crate) struct TlsConfigs(Mutex<HashMap<Made, Configured>>);

impl TlsConfigs {
    /// One that takes certificates signed by who is in a file, or any.
    pub(crate) fn get(&self, ca_file: &Path, verify: bool) -> Result<Arc<ClientConfig>, TlsError> {
        let changed = std::fs::metadata(ca_file).and_then(|found| found.modified()).ok();
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (ca_file.to_path_buf(), verify);
        if let Some((time, config)) = made.get(&key)
            && *time == changed
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(config(ca_file, verify)?);
        made.insert(key, (changed, Arc::clone(&config)));
        Ok(config)
    }
}

/// Makes a configuration.
fn config(ca_file: &Path, verify: bool) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    if !verify {
        let anybody = Arc::new(Anybody(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth());
    }
    let wrong = |error: String| TlsError::File { path: ca_file.to_path_buf(), error };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| wrong(error.to_string()))? {
        roots.add(certificate.map_err(|error| wrong(error.to_string()))?)?;
    }
    if roots.is_empty() {
        return Err(wrong("no certificate is in it".to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Takes any certificate, where an operator has said `verify = false`; signatures must still be right.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
