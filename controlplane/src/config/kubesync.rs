//! `[kubesync]`: a cluster's records, written through to etcd by a process of their own, and the configuration of that process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringdns_engine::name::WireName;
use serde::Deserialize;
use toml::Spanned;

use super::etcd::connection;
use super::etcd_tree::prefix;
use super::file::{Spec, V1};
use super::health::{Tables, health, listen, name};
use super::kubernetes::{kubernetes, spec};
use super::problem::Problems;
use super::validate::{add_spec_error, log, number};
use super::{ConfigError, EtcdConfig, KubernetesConfig, LogConfig};

/// The domain of clusters that say nothing else.
const DOMAIN: &str = "cluster.local.";

/// Below which the ledger and the lock lie, unless the file says otherwise.
const STATE_ROOT: &str = "/ringdns/kubesync";

/// Longest TTL in seconds.
const TTL_SECONDS_MAX: i64 = 86_400;

/// Longest name of a cluster: it is part of a key.
const CLUSTER_BYTES_MAX: usize = 253;

/// `[kubesync]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kubesync {
    /// Who we are in the lock.
    pub name: Option<Spanned<String>>,
    /// Where it can be read.
    pub listen: Option<Spanned<SocketAddr>>,
    /// `skydns` or `containerdns`.
    pub layout: Option<Spanned<String>>,
    /// What keys begin with.
    pub prefix: Option<Spanned<String>>,
    /// The cluster's domain.
    pub domain: Option<Spanned<String>>,
    /// The cluster's name.
    pub cluster: Option<Spanned<String>>,
    /// True: Pods have records.
    pub pods: Option<bool>,
    /// `cluster-ip` or `external-ips`.
    pub service_addresses: Option<Spanned<String>>,
    /// True: names without `svc` too.
    pub legacy_names: Option<Spanned<bool>>,
    /// TTL of records in seconds.
    pub ttl: Option<Spanned<i64>>,
    /// True: addresses have states, which scanners check.
    pub states: Option<Spanned<bool>>,
    /// Where it is kept what was written.
    pub state_path: Option<Spanned<String>>,
    /// Seconds after which a leader that is gone counts as gone.
    pub lease_seconds: Option<Spanned<i64>>,
    /// True: equal keys of others become ours.
    pub adopt: Option<bool>,
}

/// How keys and values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubesyncLayout {
    /// As kube2sky wrote them.
    SkyDns {
        /// Names without `svc` too.
        legacy_names: bool,
    },
    /// As containerdns-kubeapi wrote them.
    ContainerDns {
        /// What every value is stamped with; empty: nothing.
        cluster: String,
        /// True: Services are at their external addresses; false: at those of the cluster.
        external: bool,
        /// Where the states of addresses are; nothing: they have none.
        status_path: Option<String>,
    },
}

/// What is written to etcd, and where. Paths begin with a slash and end without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubesyncConfig {
    /// Who we are in the lock.
    pub name: String,
    /// Where it can be read what is done.
    pub listen: SocketAddr,
    /// How keys and values are written.
    pub layout: KubesyncLayout,
    /// What keys begin with.
    pub prefix: String,
    /// The cluster's domain, in lower case; not the root.
    pub domain: WireName,
    /// Pods have records.
    pub pods: bool,
    /// TTL of records in seconds.
    pub ttl: u32,
    /// Where the ledger and the lock lie.
    pub state_path: String,
    /// After how long a leader that is gone counts as gone.
    pub lease: Duration,
    /// Equal keys of others become ours.
    pub adopt: bool,
}

/// What `ringdns kubesync` is told.
#[derive(Clone, Debug)]
pub struct KubesyncRole {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where keys are; it has no trees.
    pub etcd: EtcdConfig,
    /// The cluster; its zone is the domain where the file names none.
    pub kubernetes: KubernetesConfig,
    /// What is written.
    pub kubesync: KubesyncConfig,
    /// Logs.
    pub log: LogConfig,
}

impl KubesyncRole {
    /// Reads and checks a file; reports every problem of it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read(path)?)
    }

    /// The role of a file that is of this role alone: it serves nothing itself.
    pub fn load_alone(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = read(path)?;
        match Spec::parse(&text) {
            Ok(Spec::V1(spec)) if spec.kubesync.is_some() && spec.port.is_empty() && spec.sockets.listen.is_none() => {
                Self::parse(path, &text).map(Some)
            }
            // Whoever reads it as a server's says what is wrong.
            _ => Ok(None),
        }
    }

    /// Checks text as if it had been read from `path`, which relative paths in it are relative to.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems::new(path, text);
        let mut spec = match Spec::parse(text) {
            Ok(Spec::V1(spec)) => *spec,
            Err(error) => {
                add_spec_error(&mut problems, &error);
                return Err(problems.into_error());
            }
        };
        let base = path.parent().unwrap_or(Path::new(""));
        let etcd = connection(&spec.etcd, base, &mut problems);
        let status_path = health(&Tables::of(&spec), base, &mut problems).keys.status_path;
        if spec.kubesync.is_none() {
            let remedy = "add [kubesync] with layout = \"skydns\" or \"containerdns\"";
            problems.add(None, "kubesync", "nothing says what is to be written", remedy);
        }
        let kubesync = kubesync(spec.kubesync.as_ref(), &status_path, etcd.is_some(), &mut problems);
        let kubernetes = cluster(&mut spec, base, &mut problems);
        let log = log(spec.log, &mut problems);
        match (etcd, kubernetes, kubesync) {
            (Some(etcd), Some(kubernetes), Some(kubesync)) => {
                problems.finish(Self { path: path.to_path_buf(), etcd, kubernetes, kubesync, log })
            }
            _ => Err(problems.into_error()),
        }
    }
}

/// Reads a file.
fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error })
}

/// `[kubernetes]`, of which this role needs no zones.
fn cluster(spec: &mut V1, base: &Path, problems: &mut Problems<'_>) -> Option<KubernetesConfig> {
    let domain = spec.kubesync.as_ref().and_then(|spec| spec.get_ref().domain.clone());
    let domain = domain.unwrap_or_else(|| Spanned::new(0..0, DOMAIN.to_owned()));
    let table = spec.kubernetes.get_or_insert_with(|| Spanned::new(0..0, spec::Kubernetes::default())).get_mut();
    table.zones.get_or_insert_with(|| Spanned::new(domain.span(), vec![domain]));
    if let Some(given) = &table.namespace_labels {
        let message = "kubesync does not choose namespaces by their labels";
        problems.add(Some(given.span()), "kubernetes.namespace_labels", message, "name them in kubernetes.namespaces");
    }
    kubernetes(spec.kubernetes.as_ref(), base, problems)
}

/// Checks the table; nothing where there is none.
pub(super) fn kubesync(
    spec: Option<&Spanned<Kubesync>>,
    status_path: &str,
    has_etcd: bool,
    problems: &mut Problems<'_>,
) -> Option<KubesyncConfig> {
    let (span, spec) = (spec?.span(), spec?.get_ref());
    if !has_etcd {
        let remedy = "give endpoints in [etcd], such as [\"http://127.0.0.1:2379\"]";
        problems.add(Some(span.clone()), "kubesync", "records are written to etcd, and none is given", remedy);
    }
    let domain = domain(spec.domain.as_ref(), problems);
    let cluster = cluster_name(spec.cluster.as_ref(), problems);
    let layout = match spec.layout.as_ref().map(|layout| layout.get_ref().as_str()) {
        Some("skydns") => {
            KubesyncLayout::SkyDns { legacy_names: spec.legacy_names.as_ref().is_some_and(|on| *on.get_ref()) }
        }
        Some("containerdns") => KubesyncLayout::ContainerDns {
            cluster: cluster.clone(),
            external: is_external(spec.service_addresses.as_ref(), problems),
            status_path: spec.states.as_ref().is_none_or(|on| *on.get_ref()).then(|| status_path.to_owned()),
        },
        other => {
            let message =
                other.map_or("nothing says how keys are written".to_owned(), |word| format!("\"{word}\" is no layout"));
            let span = spec.layout.as_ref().map_or(span, Spanned::span);
            problems.add(Some(span), "kubesync.layout", message, "write \"skydns\" or \"containerdns\"");
            return None;
        }
    };
    check_misplaced(spec, &layout, problems);
    let word = if matches!(layout, KubesyncLayout::SkyDns { .. }) { "skydns" } else { "containerdns" };
    let text = domain.to_string();
    let owner = if cluster.is_empty() { text.trim_end_matches('.') } else { cluster.as_str() };
    let prefix_path = prefix(spec.prefix.as_ref(), &format!("/{word}"), "kubesync.prefix", problems);
    let default = format!("{STATE_ROOT}/{word}/{owner}");
    let state_path = prefix(spec.state_path.as_ref(), &default, "kubesync.state_path", problems);
    if format!("{state_path}/").starts_with(&format!("{prefix_path}/")) {
        let span = spec.state_path.as_ref().or(spec.prefix.as_ref()).map(Spanned::span);
        let remedy = "give a path outside of kubesync.prefix: readers would take its keys for records";
        problems.add(span, "kubesync.state_path", format!("{state_path} lies among the records"), remedy);
    }
    let ttl = number(spec.ttl.as_ref(), "kubesync.ttl", 1..=TTL_SECONDS_MAX, " seconds", 30, problems);
    let lease = number(spec.lease_seconds.as_ref(), "kubesync.lease_seconds", 2..=3600, " seconds", 10, problems);
    Some(KubesyncConfig {
        name: name(spec.name.as_ref(), "kubesync.name", problems),
        listen: listen(spec.listen.as_ref(), 8056),
        layout,
        prefix: prefix_path,
        domain,
        pods: spec.pods.unwrap_or(false),
        ttl: u32::try_from(ttl).unwrap_or_default(),
        state_path,
        lease: Duration::from_secs(lease.unsigned_abs()),
        adopt: spec.adopt.unwrap_or(false),
    })
}

/// Keys that are given and that the layout has no use for.
fn check_misplaced(spec: &Kubesync, layout: &KubesyncLayout, problems: &mut Problems<'_>) {
    let (word, given) = match layout {
        KubesyncLayout::SkyDns { .. } => {
            let addresses = spec.service_addresses.as_ref().map(Spanned::span);
            ("skydns", [("service_addresses", addresses), ("states", spec.states.as_ref().map(Spanned::span))])
        }
        KubesyncLayout::ContainerDns { .. } => {
            ("containerdns", [("legacy_names", spec.legacy_names.as_ref().map(Spanned::span)), ("", None)])
        }
    };
    for (key, span) in given {
        if span.is_some() {
            let message = format!("the layout {word} has no such thing");
            problems.add(span, format!("kubesync.{key}"), message, "remove the key");
        }
    }
}

/// The cluster's domain.
fn domain(given: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> WireName {
    let text = given.map_or(DOMAIN, |given| given.get_ref().as_str());
    match text.parse::<WireName>() {
        Ok(name) if name != WireName::root() => name.to_lowercase(),
        _ => {
            let message = format!("\"{text}\" is no domain of a cluster");
            problems.add(
                given.map(Spanned::span),
                "kubesync.domain",
                message,
                "write a name such as \"cluster.local.\"",
            );
            WireName::root()
        }
    }
}

/// The cluster's name, which is part of a key and of JSON.
fn cluster_name(given: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> String {
    let Some(given) = given else { return String::new() };
    let text = given.get_ref();
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if text.is_empty() || text.len() > CLUSTER_BYTES_MAX || !text.bytes().all(is_right) {
        let remedy = format!("write 1 to {CLUSTER_BYTES_MAX} letters, digits, \"-\", \"_\", \".\" and \":\"");
        problems.add(Some(given.span()), "kubesync.cluster", format!("\"{text}\" is no name of a cluster"), remedy);
    }
    text.clone()
}

/// Whether Services are at their external addresses, as they are unless the file says otherwise: so did the original.
fn is_external(given: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> bool {
    match given.map(|given| (given, given.get_ref().as_str())) {
        None | Some((_, "external-ips")) => true,
        Some((_, "cluster-ip")) => false,
        Some((given, other)) => {
            let message = format!("\"{other}\" says not which addresses");
            let remedy = "write \"cluster-ip\" or \"external-ips\"";
            problems.add(Some(given.span()), "kubesync.service_addresses", message, remedy);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// What a file with these lines says to the role.
    fn parse(lines: &str) -> Result<KubesyncRole, String> {
        let text = format!("[etcd]\nendpoints = [\"http://a:1\"]\n[kubesync]\n{lines}\n");
        KubesyncRole::parse(Path::new("/etc/ringdns/ringdns.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_layout() {
        let role = parse("layout = \"skydns\"").unwrap();
        let config = role.kubesync;
        assert_eq!((config.prefix.as_str(), config.domain.to_string().as_str()), ("/skydns", "cluster.local."));
        assert_eq!((config.ttl, config.pods, config.adopt, config.lease.as_secs()), (30, false, false, 10));
        assert_eq!(config.layout, KubesyncLayout::SkyDns { legacy_names: false });
        assert_eq!(config.state_path, "/ringdns/kubesync/skydns/cluster.local");
        assert_eq!(role.kubernetes.zones, ["cluster.local.".parse().unwrap()]);
        let config =
            parse("layout = \"containerdns\"\ncluster = \"c1\"\nservice_addresses = \"cluster-ip\"").unwrap().kubesync;
        let status_path = Some("/containerdns/monitor/status".to_owned());
        assert_eq!(
            config.layout,
            KubesyncLayout::ContainerDns { cluster: "c1".to_owned(), external: false, status_path }
        );
        assert_eq!(
            (config.prefix.as_str(), config.state_path.as_str()),
            ("/containerdns", "/ringdns/kubesync/containerdns/c1")
        );
        let none = parse("layout = \"containerdns\"\nstates = false").unwrap().kubesync.layout;
        assert!(matches!(none, KubesyncLayout::ContainerDns { status_path: None, external: true, .. }));
    }

    #[test]
    fn each_mistake_is_named() {
        for (lines, expected) in [
            ("", "kubesync.layout: nothing says how keys are written; write \"skydns\" or \"containerdns\""),
            ("layout = \"bind\"", "kubesync.layout: \"bind\" is no layout"),
            ("layout = \"skydns\"\nstates = true", "kubesync.states: the layout skydns has no such thing"),
            ("layout = \"containerdns\"\nlegacy_names = true", "kubesync.legacy_names: the layout containerdns has no"),
            ("layout = \"skydns\"\ndomain = \".\"", "kubesync.domain: \".\" is no domain of a cluster"),
            ("layout = \"skydns\"\ncluster = \"a/b\"", "kubesync.cluster: \"a/b\" is no name of a cluster"),
            ("layout = \"skydns\"\nttl = 0", "kubesync.ttl: 0 is out of bounds"),
            (
                "layout = \"skydns\"\nstate_path = \"/skydns/x\"",
                "kubesync.state_path: /skydns/x lies among the records",
            ),
            ("layout = \"containerdns\"\nservice_addresses = \"any\"", "\"any\" says not which addresses"),
            (
                "layout = \"skydns\"\n[kubernetes]\nnamespace_labels = \"a\"",
                "kubernetes.namespace_labels: kubesync does",
            ),
        ] {
            let problems = parse(lines).unwrap_err();
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
        let without =
            KubesyncRole::parse(Path::new("/r.toml"), "[kubesync]\nlayout = \"skydns\"\n").unwrap_err().to_string();
        assert!(without.contains("kubesync: records are written to etcd, and none is given"), "{without}");
    }

    #[test]
    fn a_server_reads_the_table_too_and_needs_a_restart() {
        let server = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        let etcd = "[etcd]\nendpoints = [\"http://a:1\"]\n[[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"a\"]\n";
        let parse = |lines: &str| Config::parse(Path::new("/r.toml"), &format!("{server}{etcd}{lines}"));
        let mut running = parse("").unwrap();
        let new = parse("[kubesync]\nlayout = \"skydns\"\n").unwrap();
        assert_eq!(running.take(&new).restart, ["kubesync"]);
        assert!(parse("[kubesync]\n").unwrap_err().to_string().contains("kubesync.layout"));
    }

    #[test]
    fn a_file_of_this_role_alone_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.toml");
        let role = "[etcd]\nendpoints = [\"http://a:1\"]\n[kubesync]\nlayout = \"skydns\"\n";
        for (text, is_alone) in
            [(role.to_owned(), true), (format!("{role}[sockets]\nlisten = [\"127.0.0.1:53\"]\n"), false)]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(KubesyncRole::load_alone(&path).unwrap().is_some(), is_alone);
        }
    }
}
