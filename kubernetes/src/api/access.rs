//! Clients of the API server, made of what the configuration says. The client is kube's: kubeconfigs with their credential programs,
//! service accounts, token files and rustls are its.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ringdns_controlplane::config::KubernetesAccess;
use serde_json::json;

use super::fault::{Fault, chain};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// A client, and the server's name in metrics.
pub(super) fn client(access: &KubernetesAccess) -> Result<(Client, String), Fault> {
    let config = config(access)?;
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let client = Client::try_from(config).map_err(|error| Fault::Access(wrong(access, &error)))?;
    Ok((client, host))
}

/// Says whether the API server can be asked as the configuration says, without asking it.
pub fn check(access: &KubernetesAccess) -> Result<(), Fault> {
    config(access).map(drop)
}

/// What the client is made of.
fn config(access: &KubernetesAccess) -> Result<Config, Fault> {
    let mut config = match access {
        KubernetesAccess::InCluster => Config::incluster().map_err(|error| Fault::Access(wrong(access, &error)))?,
        KubernetesAccess::Kubeconfig { path, context } => {
            let file = Kubeconfig::read_from(path).map_err(|error| Fault::Access(wrong(access, &error)))?;
            of_file(access, file, context.clone())?
        }
        KubernetesAccess::Endpoint { url, identity, ca_file, token_file } => {
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let file = json!({
                "clusters": [{ "name": "ringdns", "cluster": {
                    "server": url, "certificate-authority": ca_file.as_deref().map(text),
                } }],
                "users": [{ "name": "ringdns", "user": {
                    "client-certificate": identity.as_ref().map(|(certificate, _)| text(certificate)),
                    "client-key": identity.as_ref().map(|(_, key)| text(key)),
                    "tokenFile": token_file.as_deref().map(text),
                } }],
                "contexts": [{ "name": "ringdns", "context": { "cluster": "ringdns", "user": "ringdns" } }],
                "current-context": "ringdns",
            });
            let file = serde_json::from_value(file).map_err(|error| Fault::Access(wrong(access, &error)))?;
            of_file(access, file, None)?
        }
    };
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        let error = std::io::Error::other("there is no certificate in what says who signs that of the server");
        return Err(Fault::Access(wrong(access, &error)));
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Whoever follows has pauses of its own, which grow, and counts each failure.
    config.default_retry = false;
    Ok(config)
}

/// What a kubeconfig says.
fn of_file(access: &KubernetesAccess, file: Kubeconfig, context: Option<String>) -> Result<Config, Fault> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    // Nothing in it waits: it reads files.
    let config = futures_util::FutureExt::now_or_never(Config::from_custom_kubeconfig(file, &options));
    match config {
        Some(Ok(config)) => Ok(config),
        Some(Err(error)) => Err(Fault::Access(wrong(access, &error))),
        None => Err(Fault::Access("kubernetes: the kubeconfig is still being read; please report this".to_owned())),
    }
}

/// What is wrong, where, and what to do about it.
fn wrong(access: &KubernetesAccess, error: &dyn std::error::Error) -> String {
    let error = chain(error);
    match access {
        KubernetesAccess::InCluster => {
            format!(
                "kubernetes: this does not run in a Pod with a service account: {error}; set kubernetes.kubeconfig or kubernetes.endpoint"
            )
        }
        KubernetesAccess::Kubeconfig { path, context } => {
            let context = context.as_ref().map(|context| format!(" --context {context}")).unwrap_or_default();
            let path = path.display();
            format!(
                "kubernetes.kubeconfig: {path}: {error}; give one that works with: kubectl --kubeconfig {path}{context} get services"
            )
        }
        KubernetesAccess::Endpoint { url, .. } => {
            format!(
                "kubernetes.endpoint: {url}: {error}; see kubernetes.certificate_file, key_file, ca_file and token_file: certificates \
                 and keys are in PEM form, a token is one line"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_with_its_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        let kubeconfig = |context: Option<&str>| {
            let access = KubernetesAccess::Kubeconfig { path: path.clone(), context: context.map(str::to_owned) };
            check(&access).unwrap_err().to_string()
        };
        let missing = kubeconfig(None);
        assert!(
            missing.starts_with("kubernetes.kubeconfig: ") && missing.contains("kubectl --kubeconfig"),
            "{missing}"
        );
        std::fs::write(&path, "clusters: [").unwrap();
        assert!(kubeconfig(None).contains("failed to parse kubeconfig YAML"));
        std::fs::write(&path, "clusters: []\ncontexts: []\nusers: []\n").unwrap();
        let other = kubeconfig(Some("c"));
        assert!(other.contains("failed to load current context: c") && other.contains("--context c get"), "{other}");
        let endpoint = |url: &str| KubernetesAccess::Endpoint {
            url: url.to_owned(),
            identity: None,
            ca_file: Some(path.clone()),
            token_file: None,
        };
        let error = check(&endpoint("https://127.0.0.1:1")).unwrap_err().to_string();
        assert!(error.contains("no certificate in what says who signs") && error.contains("ca_file"), "{error}");
    }

    #[test]
    fn a_kubeconfig_says_server_and_user() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        let text = "clusters:\n- name: a\n  cluster: {server: 'http://127.0.0.1:1'}\n- name: b\n  cluster: {server: 'http://127.0.0.1:2'}\n\
                    users:\n- name: u\n  user: {token: t}\ncurrent-context: x\ncontexts:\n\
                    - name: x\n  context: {cluster: a, user: u}\n- name: y\n  context: {cluster: b, user: u}\n";
        std::fs::write(&path, text).unwrap();
        for (context, port) in [(None, 1), (Some("y"), 2)] {
            let access = KubernetesAccess::Kubeconfig { path: path.clone(), context: context.map(str::to_owned) };
            let config = config(&access).unwrap();
            assert_eq!(config.cluster_url.port_u16(), Some(port));
            assert!(config.auth_info.token.is_some());
        }
    }
}
