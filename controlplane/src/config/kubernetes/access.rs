//! How the API server is reached: from within the cluster, by a kubeconfig, or by URL and files.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::spec::Kubernetes;
use crate::config::problem::Problems;

/// How the API server is reached. Files are read when a connection is made, so that they can be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubernetesAccess {
    /// As the service account of the Pod that we run in.
    InCluster,
    /// As a kubeconfig says.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The context; nothing: its current one.
        context: Option<String>,
    },
    /// At a URL.
    Endpoint {
        /// The URL.
        url: String,
        /// Our certificate and its key.
        identity: Option<(PathBuf, PathBuf)>,
        /// Certificates of who signs that of the server; none: those that the machine trusts.
        ca_file: Option<PathBuf>,
        /// Our token.
        token_file: Option<PathBuf>,
    },
}

/// Checks how the API server is reached.
pub(super) fn access(spec: &Kubernetes, base: &Path, problems: &mut Problems<'_>) -> KubernetesAccess {
    let files = [
        ("certificate_file", &spec.certificate_file),
        ("key_file", &spec.key_file),
        ("ca_file", &spec.ca_file),
        ("token_file", &spec.token_file),
    ];
    if spec.endpoint.is_none() {
        for (key, file) in files {
            if let Some(file) = file {
                let message = "it is given, and no endpoint to use it with";
                problems.add(
                    Some(file.span()),
                    format!("kubernetes.{key}"),
                    message,
                    "give kubernetes.endpoint, or remove the key",
                );
            }
        }
    }
    if let (Some(context), None) = (&spec.context, &spec.kubeconfig) {
        let message = "a context is given, and no kubeconfig that it is of";
        problems.add(
            Some(context.span()),
            "kubernetes.context",
            message,
            "give kubernetes.kubeconfig, or remove the key",
        );
    }
    match (&spec.kubeconfig, &spec.endpoint) {
        (Some(_), Some(endpoint)) => {
            let message = "kubeconfig and endpoint are both given";
            problems.add(Some(endpoint.span()), "kubernetes.endpoint", message, "keep one of the two");
            KubernetesAccess::InCluster
        }
        (Some(path), None) => KubernetesAccess::Kubeconfig {
            path: readable(path, "kubeconfig", base, problems),
            context: spec.context.as_ref().map(|context| context.get_ref().clone()),
        },
        (None, Some(url)) => endpoint(url, spec, base, problems),
        (None, None) => KubernetesAccess::InCluster,
    }
}

/// A server by its URL.
fn endpoint(url: &Spanned<String>, spec: &Kubernetes, base: &Path, problems: &mut Problems<'_>) -> KubernetesAccess {
    const KEY: &str = "kubernetes.endpoint";
    let text = url.get_ref();
    let scheme = text.split_once("://").filter(|(_, rest)| !rest.is_empty() && !rest.contains([' ', '@', '?', '#']));
    let is_given =
        [&spec.certificate_file, &spec.key_file, &spec.ca_file, &spec.token_file].iter().any(|file| file.is_some());
    match scheme.map(|(scheme, _)| scheme) {
        Some("https") => {}
        // Whoever listens on the way would have the token.
        Some("http") if is_given => {
            problems.add(
                Some(url.span()),
                KEY,
                "the connection is not protected, and files for one that is are given",
                "write https://",
            );
        }
        Some("http") => {}
        _ => problems.add(
            Some(url.span()),
            KEY,
            format!("\"{text}\" is no URL of an API server"),
            "write \"https://HOST:PORT\"",
        ),
    }
    let mut file =
        |given: &Option<Spanned<PathBuf>>, key| given.as_ref().map(|path| readable(path, key, base, problems));
    let (certificate, key) = (file(&spec.certificate_file, "certificate_file"), file(&spec.key_file, "key_file"));
    let (ca_file, token_file) = (file(&spec.ca_file, "ca_file"), file(&spec.token_file, "token_file"));
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let span = spec.certificate_file.as_ref().or(spec.key_file.as_ref()).map(Spanned::span);
            let message = "of certificate_file and key_file one is given";
            problems.add(span, "kubernetes.certificate_file", message, "give both or none");
            None
        }
    };
    KubernetesAccess::Endpoint { url: text.clone(), identity, ca_file, token_file }
}

/// A file relative to the configuration's, which must be there.
fn readable(file: &Spanned<PathBuf>, key: &str, base: &Path, problems: &mut Problems<'_>) -> PathBuf {
    let path = base.join(file.get_ref());
    if let Err(error) = std::fs::File::open(&path) {
        let message = format!("{} cannot be read: {error}", path.display());
        let remedy = "give a file that RingDNS may read, or remove the key";
        problems.add(Some(file.span()), format!("kubernetes.{key}"), message, remedy);
    }
    path
}
