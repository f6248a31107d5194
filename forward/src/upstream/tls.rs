//! TLS of upstreams: a certificate is good, or the upstream is not asked. There is no way around that, and none to plain DNS.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::StartError;

/// How TLS is begun.
#[derive(Clone)]
pub(super) struct Tls {
    /// Checks certificates.
    pub(super) connector: TlsConnector,
    /// Whose certificate it must be.
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// For a host, or an address where no name is given; `protocol` is offered (RFC 7301). Authorities are those in `ca_file`,
    /// or the system's.
    pub(super) fn new(
        name: Option<&str>,
        address: IpAddr,
        ca_file: Option<&Path>,
        protocol: &[u8],
    ) -> Result<Self, StartError> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| StartError::Name(name.to_owned()))?,
            None => ServerName::IpAddress(address.into()),
        };
        let roots = match ca_file {
            Some(path) => {
                authorities(path).map_err(|reason| StartError::CaFile { path: path.to_path_buf(), reason })?
            }
            None => system_authorities()?,
        };
        // With the provider named, so that a second one in the tree changes nothing.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| StartError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// The authorities in a file, each of which must be one.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(roots) }
}

/// The system's authorities: whoever runs the machine says whom it trusts, and takes authorities away that have lost trust,
/// without a new RingDNS. A list in the program (webpki-roots) would be as old as the program.
fn system_authorities() -> Result<RootCertStore, StartError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems keep a few that rustls does not take: the others do.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(StartError::NoCertificates(errors.join("; ")));
    }
    Ok(roots)
}
