//! `[cluster_http]`: the HTTP ports that what stands around a cluster's DNS expects.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_engine::name::WireName;
use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::problem::Problems;
use super::validate::number;

/// Default time between two questions of a probe, in milliseconds: that of the sidecar.
const INTERVAL_MS_DEFAULT: i64 = 5000;

/// Shortest and longest time between two questions of a probe, in milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

/// Most probes: each costs a task and a socket now and then.
const PROBES_MAX: usize = 64;

/// Longest label of a probe in bytes: it is part of two metrics' names.
const LABEL_BYTES_MAX: usize = 64;

/// Types that a probe can ask for.
const PROBE_TYPES: [(&str, u16); 4] = [("A", 1), ("AAAA", 28), ("ANY", 255), ("SRV", 33)];

/// `[cluster_http]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterHttp {
    /// Where `/health` and `/healthz` are.
    pub health: Option<Spanned<SocketAddr>>,
    /// Where `/ready` is.
    pub ready: Option<Spanned<SocketAddr>>,
    /// Where `/metrics` is, with CoreDNS's names.
    pub metrics: Option<Spanned<SocketAddr>>,
    /// Where `/readiness` and `/cache` of kube-dns are.
    pub kube_dns: Option<Spanned<SocketAddr>>,
    /// Where `/metrics` is, with SkyDNS's names.
    pub kube_dns_metrics: Option<Spanned<SocketAddr>>,
    /// Where `/metrics`, `/healthz` and `/healthcheck/<label>` of kube-dns's sidecar are.
    pub sidecar: Option<Spanned<SocketAddr>>,
    /// What the sidecar asks.
    pub probe: Vec<Spanned<Probe>>,
}

/// `[[cluster_http.probe]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What the probe is called.
    pub label: Spanned<String>,
    /// The DNS server that is asked.
    pub server: Spanned<SocketAddr>,
    /// The name that is asked for.
    pub name: Spanned<String>,
    /// Milliseconds between two questions.
    pub interval_ms: Option<Spanned<i64>>,
    /// The type that is asked for.
    #[serde(rename = "type")]
    pub kind: Option<Spanned<String>>,
}

/// A port with paths of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterPort {
    /// `/health` of CoreDNS, `/healthz` of exec-healthz.
    Health,
    /// `/ready` of CoreDNS.
    Ready,
    /// `/metrics` of CoreDNS.
    Metrics,
    /// `/readiness` and `/cache` of kube-dns.
    KubeDns,
    /// `/metrics` of kube-dns.
    KubeDnsMetrics,
    /// The sidecar of kube-dns.
    Sidecar,
}

impl ClusterPort {
    /// All of them, with the keys of their addresses.
    const ALL: [(Self, &str); 6] = [
        (Self::Health, "cluster_http.health"),
        (Self::Ready, "cluster_http.ready"),
        (Self::Metrics, "cluster_http.metrics"),
        (Self::KubeDns, "cluster_http.kube_dns"),
        (Self::KubeDnsMetrics, "cluster_http.kube_dns_metrics"),
        (Self::Sidecar, "cluster_http.sidecar"),
    ];

    /// The key of its address.
    pub(crate) fn key(self) -> &'static str {
        Self::ALL.iter().find(|(port, _)| *port == self).map_or("cluster_http", |(_, key)| key)
    }
}

/// The HTTP ports that what stands around a cluster's DNS expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterHttpConfig {
    /// The ports that are served, none twice, and where.
    pub ports: Vec<(ClusterPort, SocketAddr)>,
    /// What the sidecar asks; no label twice.
    pub probes: Vec<ClusterProbe>,
}

/// A question that is asked at intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterProbe {
    /// What it is called: letters, digits and `_`.
    pub label: String,
    /// The DNS server that is asked.
    pub server: SocketAddr,
    /// The name that is asked for.
    pub name: WireName,
    /// The type that is asked for.
    pub qtype: u16,
    /// Time between two questions.
    pub interval: Duration,
}

impl ClusterHttpConfig {
    /// Where a port is served, if it is.
    pub fn address(&self, port: ClusterPort) -> Option<SocketAddr> {
        self.ports.iter().find(|(served, _)| *served == port).map(|&(_, address)| address)
    }

    /// Notes what differs in a newer one: ports are opened, and probes begin, at start.
    pub(super) fn compare(&self, new: &Self, changes: &mut Changes) {
        for (port, key) in ClusterPort::ALL {
            changes.restart(key, &self.address(port), &new.address(port));
        }
        changes.restart("cluster_http.probe", &self.probes, &new.probes);
    }
}

/// Checks the table.
pub(super) fn cluster_http(spec: &ClusterHttp, problems: &mut Problems<'_>) -> ClusterHttpConfig {
    let ClusterHttp { health, ready, metrics, kube_dns, kube_dns_metrics, sidecar, probe } = spec;
    let mut config = ClusterHttpConfig::default();
    let addresses = [health, ready, metrics, kube_dns, kube_dns_metrics, sidecar];
    for ((port, key), address) in ClusterPort::ALL.into_iter().zip(addresses) {
        let Some(address) = address else { continue };
        let (span, address) = (address.span(), *address.get_ref());
        if let Some((other, _)) = config.ports.iter().find(|(_, taken)| *taken == address && address.port() != 0) {
            let message = format!("{address} is also that of {}", other.key());
            problems.add(Some(span), key, message, "give each a port of its own");
        }
        config.ports.push((port, address));
    }
    if let Some(probe) = probe.first().filter(|_| sidecar.is_none()) {
        let remedy = "set cluster_http.sidecar, such as \"0.0.0.0:10054\", or remove the table";
        problems.add(Some(probe.span()), "cluster_http.probe", "nobody can see what becomes of the probe", remedy);
    }
    if let Some(probe) = probe.get(PROBES_MAX) {
        let remedy = format!("keep {PROBES_MAX} at most");
        problems.add(
            Some(probe.span()),
            "cluster_http.probe",
            format!("{} probes are given", spec.probe.len()),
            remedy,
        );
    }
    for (index, probe) in probe.iter().enumerate() {
        if let Some(probe) = checked_probe(index, probe.get_ref(), &config.probes, problems) {
            config.probes.push(probe);
        }
    }
    config
}

/// Checks `[[cluster_http.probe]]`.
fn checked_probe(
    index: usize,
    spec: &Probe,
    before: &[ClusterProbe],
    problems: &mut Problems<'_>,
) -> Option<ClusterProbe> {
    let key = |name: &str| format!("cluster_http.probe[{index}].{name}");
    let label = spec.label.get_ref();
    let is_word = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if label.is_empty() || label.len() > LABEL_BYTES_MAX || !is_word {
        let message = format!("\"{label}\" cannot be part of a metric's name");
        let remedy = format!("write up to {LABEL_BYTES_MAX} letters, digits and \"_\"");
        problems.add(Some(spec.label.span()), key("label"), message, remedy);
    } else if before.iter().any(|probe| probe.label == *label) {
        let message = format!("another probe is called \"{label}\"");
        problems.add(Some(spec.label.span()), key("label"), message, "give each a label of its own");
    }
    if spec.server.get_ref().port() == 0 || spec.server.get_ref().ip().is_unspecified() {
        let message = format!("{} is no address of a server", spec.server.get_ref());
        problems.add(Some(spec.server.span()), key("server"), message, "name one, such as \"127.0.0.1:53\"");
    }
    let name = spec.name.get_ref().parse::<WireName>();
    if let Err(error) = &name {
        let message = format!("\"{}\" is no domain name: {error}", spec.name.get_ref());
        let remedy = "write a name such as \"kubernetes.default.svc.cluster.local.\"";
        problems.add(Some(spec.name.span()), key("name"), message, remedy);
    }
    let interval = number(
        spec.interval_ms.as_ref(),
        &key("interval_ms"),
        INTERVAL_MS,
        " milliseconds",
        INTERVAL_MS_DEFAULT,
        problems,
    );
    let asked = spec.kind.as_ref().map_or("A", |kind| kind.get_ref().as_str());
    let qtype = PROBE_TYPES.iter().find(|(name, _)| *name == asked).map(|&(_, qtype)| qtype);
    if let (None, Some(kind)) = (qtype, &spec.kind) {
        let message = format!("\"{asked}\" cannot be asked for");
        problems.add(Some(kind.span()), key("type"), message, "write \"A\", \"AAAA\", \"ANY\" or \"SRV\"");
    }
    let interval = Duration::from_millis(u64::try_from(interval).unwrap_or_default());
    Some(ClusterProbe {
        label: label.clone(),
        server: *spec.server.get_ref(),
        name: name.ok()?,
        qtype: qtype?,
        interval,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// The configuration with such tables.
    fn parse(tables: &str) -> Result<Config, String> {
        let port = "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/nonexistent/ringdns.toml"), &format!("{port}{tables}\n"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_served_or_counted_unless_it_is_said() {
        let config = parse("").unwrap();
        assert_eq!(config.cluster_http, ClusterHttpConfig::default());
        assert!(!config.stats.messages && config.shutdown.lameduck.is_zero());
        for (table, counts) in [
            ("[cluster_http]\nmetrics = \"0.0.0.0:9153\"", true),
            ("[cluster_http]\nkube_dns_metrics = \"[::]:10055\"", true),
            ("[cluster_http]\nready = \"0.0.0.0:8181\"", false),
            ("[stats]\nmessages = true", true),
            ("[stats]\nmessages = false\n[cluster_http]\nmetrics = \"0.0.0.0:9153\"", false),
        ] {
            assert_eq!(parse(table).unwrap().stats.messages, counts, "{table}");
        }
    }

    #[test]
    fn a_probe_is_read_whole() {
        let probe = "[cluster_http]\nsidecar = \"0.0.0.0:10054\"\n[[cluster_http.probe]]\nlabel = \"kubedns\"\n\
                     server = \"127.0.0.1:53\"\nname = \"a.b.\"\n";
        let config = parse(&format!("{probe}type = \"SRV\"\ninterval_ms = 100")).unwrap().cluster_http;
        assert_eq!(config.address(ClusterPort::Sidecar), Some("0.0.0.0:10054".parse().unwrap()));
        let [probe] = &config.probes[..] else { panic!("{config:?}") };
        assert_eq!((probe.label.as_str(), probe.qtype, probe.interval.as_millis()), ("kubedns", 33, 100));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        let probe = |label: &str, rest: &str| {
            format!("[[cluster_http.probe]]\nlabel = \"{label}\"\nserver = \"127.0.0.1:53\"\nname = \"a.\"\n{rest}\n")
        };
        let sidecar = "[cluster_http]\nsidecar = \"0.0.0.0:10054\"\n";
        for (table, words) in [
            (
                "[cluster_http]\nhealth = \"0.0.0.0:80\"\nready = \"0.0.0.0:80\"".to_owned(),
                ["cluster_http.ready", "health"],
            ),
            ("[cluster_http]\nhealth = \"8080\"".to_owned(), ["socket address", "conf/example.toml"]),
            (probe("a", ""), ["cluster_http.probe", "cluster_http.sidecar"]),
            (format!("{sidecar}{}", probe("a-b", "")), ["probe[0].label", "letters, digits"]),
            (format!("{sidecar}{}{}", probe("a", ""), probe("a", "")), ["probe[1].label", "of its own"]),
            (format!("{sidecar}{}", probe("a", "type = \"MX\"")), ["probe[0].type", "\"SRV\""]),
            (format!("{sidecar}{}", probe("a", "interval_ms = 1")), ["probe[0].interval_ms", "from 100"]),
            (
                format!("{sidecar}{}", probe("a", "").replace("127.0.0.1:53", "0.0.0.0:53")),
                ["probe[0].server", "127.0.0.1"],
            ),
            (format!("{sidecar}{}", probe("a", "").replace("\"a.\"", "\"a..b\"")), ["probe[0].name", "no domain name"]),
            ("[shutdown]\nlameduck_ms = 3600001".to_owned(), ["shutdown.lameduck_ms", "3600000 milliseconds"]),
        ] {
            let error = parse(&table).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{table}: {error}");
        }
    }

    #[test]
    fn what_has_changed_is_taken_or_named() {
        let mut running = parse("").unwrap();
        let changed = "[shutdown]\nlameduck_ms = 5000\n[stats]\nmessages = true\n[cluster_http]\nhealth = \"0.0.0.0:8080\"\n\
                       sidecar = \"0.0.0.0:10054\"\n[[cluster_http.probe]]\nlabel = \"a\"\nserver = \"127.0.0.1:53\"\nname = \"a.\"";
        let new = parse(changed).unwrap();
        let changes = running.take(&new);
        assert_eq!(changes.live, ["shutdown.lameduck_ms"]);
        let restart = ["stats.messages", "cluster_http.health", "cluster_http.sidecar", "cluster_http.probe"];
        assert_eq!(changes.restart, restart);
        assert_eq!((running.shutdown.lameduck.as_secs(), running.fingerprint), (5, new.fingerprint));
    }
}
