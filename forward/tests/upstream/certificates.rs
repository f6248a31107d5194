//! Certificates for the doubles, as openssl makes them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// All of them and their keys, by the names of their files; made once.
static MADE: LazyLock<HashMap<String, Vec<u8>>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    for authority in ["ca", "other-ca"] {
        openssl(
            directory.path(),
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {authority}.key -out {authority}.pem \
                 -subj /CN={authority} -days 2"
            ),
        );
    }
    sign(directory.path(), "good", "ca", "DNS:dns.example,IP:127.0.0.1,IP:::1", 2);
    sign(directory.path(), "elsewhere", "ca", "DNS:elsewhere.example,IP:127.0.0.9", 2);
    sign(directory.path(), "expired", "ca", "DNS:dns.example,IP:127.0.0.1,IP:::1", -1);
    sign(directory.path(), "untrusted", "other-ca", "DNS:dns.example,IP:127.0.0.1,IP:::1", 2);
    openssl(
        directory.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.pem -subj /CN=own -days 2 \
         -addext subjectAltName=DNS:dns.example,IP:127.0.0.1,IP:::1",
    );
    let files = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
});

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &str) {
    let arguments = arguments.split_whitespace();
    let ran = Command::new("openssl").args(arguments.clone()).current_dir(directory).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl cannot be run: {error}; run scripts/install-deps test"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "openssl {:?}: {said}", arguments.collect::<Vec<_>>());
}

/// Makes a key and has its certificate signed.
fn sign(directory: &Path, name: &str, authority: &str, subjects: &str, days: i32) {
    std::fs::write(directory.join("names"), format!("subjectAltName={subjects}\n")).unwrap();
    openssl(
        directory,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ),
    );
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days {days} \
             -extfile names -out {name}.pem"
        ),
    );
}

/// The authority that is trusted, in a file for as long as it is held.
pub struct Authority(TempDir);

impl Authority {
    /// Writes the file.
    pub fn file() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        std::fs::write(authority.path(), &MADE["ca.pem"]).unwrap();
        authority
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }
}

/// Takes connections with one of the certificates.
pub fn acceptor(name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
    let file = |ending: &str| MADE[&format!("{name}.{ending}")].as_slice();
    let chain = CertificateDer::pem_slice_iter(file("pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(file("key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
