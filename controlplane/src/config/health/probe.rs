//! `[[probe]]`: how targets are probed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hickory_proto::rr::{Name, RecordType};
use ringdns_engine::rate::Network;
use toml::Spanned;

use super::super::problem::Problems;
use super::{readable, spec};

/// Most ports of a probe: each is tried in turn.
const PORTS_MAX: usize = 64;

/// Where certificates of authorities lie in Debian and what comes of it.
pub(super) const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How some targets are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// Addresses that it is for.
    networks: Vec<Network>,
    /// Domains that it is for, with all below them; in lower case, without dots at their ends.
    domains: Vec<String>,
    /// Ports that are tried in place of the target's own.
    pub ports: Option<Vec<u16>>,
    /// What is done.
    pub kind: ProbeKind,
}

/// What is done to see whether a target is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Any port takes a connection.
    Tcp,
    /// An echo request is answered.
    Icmp,
    /// A page is there.
    Http {
        /// What is asked for.
        path: String,
        /// The host that is asked for; none: the target.
        host: Option<String>,
        /// Statuses that are right; empty: 200 to 399.
        statuses: Vec<u16>,
        /// How the connection is protected; none: not at all.
        tls: Option<ProbeTls>,
    },
    /// A query is answered.
    Dns {
        /// The name that is asked for.
        query: String,
        /// The number of its type.
        query_type: u16,
        /// Response codes that are right.
        rcodes: Vec<u16>,
    },
}

/// Whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeTls {
    /// Certificates of who signs those of the targets.
    pub ca_file: PathBuf,
    /// False: any certificate will do.
    pub verify: bool,
}

impl ProbeConfig {
    /// True where a target, an address or a name, is probed so.
    pub fn is_for(&self, target: &str) -> bool {
        if let Ok(address) = target.parse::<IpAddr>() {
            // Once a target, so that its networks may be made of it.
            let mut of_target = (0..=128).filter_map(|prefix| Network::new(address, prefix));
            return of_target.any(|network| self.networks.contains(&network));
        }
        let name = target.trim_end_matches('.').to_ascii_lowercase();
        let is_below = |domain: &String| {
            name.strip_suffix(domain.as_str())
                .is_some_and(|rest| domain.is_empty() || rest.is_empty() || rest.ends_with('.'))
        };
        self.domains.iter().any(is_below)
    }
}

/// Checks the tables.
pub(super) fn probes(specs: &[Spanned<spec::Probe>], base: &Path, problems: &mut Problems<'_>) -> Vec<ProbeConfig> {
    (specs.iter().enumerate())
        .map(|(index, spec)| {
            let key = |name: &str| format!("probe[{index}].{name}");
            let spec = spec.get_ref();
            let (networks, domains) = targets(&spec.targets, &key("targets"), problems);
            let ports = ports(spec.ports.as_ref(), &key("ports"), problems);
            ProbeConfig { networks, domains, ports, kind: kind(spec, &key, base, problems) }
        })
        .collect()
}

/// Networks and domains.
fn targets(
    list: &Spanned<Vec<Spanned<String>>>,
    key: &str,
    problems: &mut Problems<'_>,
) -> (Vec<Network>, Vec<String>) {
    let (mut networks, mut domains) = (Vec::new(), Vec::new());
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "it is for no target", "name networks such as \"0.0.0.0/0\" or domains");
    }
    for entry in list.get_ref() {
        let text = entry.get_ref();
        if text.contains('/') || text.parse::<IpAddr>().is_ok() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    let message = format!("\"{text}\" is no network: {error}");
                    problems.add(
                        Some(entry.span()),
                        key,
                        message,
                        "write an address, or a network such as \"10.0.0.0/8\"",
                    );
                }
            }
        } else if Name::from_ascii(text).is_ok() {
            domains.push(text.trim_end_matches('.').to_ascii_lowercase());
        } else {
            let remedy = "write a name such as \"example.org.\"; \".\" is every name";
            problems.add(Some(entry.span()), key, format!("\"{text}\" is no domain name"), remedy);
        }
    }
    (networks, domains)
}

/// Ports.
pub(super) fn ports(list: Option<&Spanned<Vec<i64>>>, key: &str, problems: &mut Problems<'_>) -> Option<Vec<u16>> {
    let list = list?;
    let found: Vec<u16> =
        list.get_ref().iter().filter_map(|&port| u16::try_from(port).ok().filter(|&port| port > 0)).collect();
    if found.is_empty() || found.len() > PORTS_MAX || found.len() < list.get_ref().len() {
        let remedy = format!("give 1 to {PORTS_MAX} numbers from 1 to 65535");
        problems.add(Some(list.span()), key, "these are no ports", remedy);
    }
    Some(found)
}

/// Numbers within bounds.
fn numbers(
    list: Option<&Spanned<Vec<i64>>>,
    key: &str,
    bounds: std::ops::RangeInclusive<u16>,
    problems: &mut Problems<'_>,
) -> Option<Vec<u16>> {
    let list = list?;
    let number = |&number: &i64| u16::try_from(number).ok().filter(|number| bounds.contains(number));
    let found: Vec<u16> = list.get_ref().iter().filter_map(number).collect();
    if found.is_empty() || found.len() < list.get_ref().len() {
        let remedy = format!("give numbers from {} to {}", bounds.start(), bounds.end());
        problems.add(Some(list.span()), key, "a number is out of bounds, or none is given", remedy);
    }
    Some(found)
}

/// What is done; keys of another kind of probe are refused.
fn kind(spec: &spec::Probe, key: &dyn Fn(&str) -> String, base: &Path, problems: &mut Problems<'_>) -> ProbeKind {
    let word = spec.kind.get_ref().as_str();
    let is_http = ["http", "https"].contains(&word);
    let given = [
        ("ports", spec.ports.as_ref().map(Spanned::span), word != "icmp"),
        ("path", spec.path.as_ref().map(Spanned::span), is_http),
        ("host", spec.host.as_ref().map(Spanned::span), is_http),
        ("statuses", spec.statuses.as_ref().map(Spanned::span), is_http),
        ("ca_file", spec.ca_file.as_ref().map(Spanned::span), word == "https"),
        ("verify", spec.verify.map(|_| spec.kind.span()), word == "https"),
        ("query", spec.query.as_ref().map(Spanned::span), word == "dns"),
        ("query_type", spec.query_type.as_ref().map(Spanned::span), word == "dns"),
        ("rcodes", spec.rcodes.as_ref().map(Spanned::span), word == "dns"),
    ];
    for (name, span, _) in given.into_iter().filter(|(_, span, is_known)| span.is_some() && !is_known) {
        problems.add(span, key(name), format!("a probe of kind \"{word}\" does not know it"), "remove the key");
    }
    match word {
        "tcp" => ProbeKind::Tcp,
        "icmp" => ProbeKind::Icmp,
        "http" | "https" => http(spec, key, base, problems),
        "dns" => dns(spec, key, problems),
        other => {
            let remedy = "write \"tcp\", \"icmp\", \"http\", \"https\" or \"dns\"";
            problems.add(Some(spec.kind.span()), key("kind"), format!("\"{other}\" is no kind of probe"), remedy);
            ProbeKind::Tcp
        }
    }
}

/// Over HTTP.
fn http(spec: &spec::Probe, key: &dyn Fn(&str) -> String, base: &Path, problems: &mut Problems<'_>) -> ProbeKind {
    let path = spec.path.as_ref().map_or("/", |path| path.get_ref().as_str());
    let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(given) = spec.path.as_ref().filter(|_| !path.starts_with('/') || !is_graphic(path)) {
        problems.add(
            Some(given.span()),
            key("path"),
            format!("\"{path}\" is no path"),
            "write \"/health\" or the like",
        );
    }
    let host = spec.host.as_ref().map(|host| host.get_ref().clone());
    if let Some(given) = spec.host.as_ref().filter(|host| host.get_ref().is_empty() || !is_graphic(host.get_ref())) {
        let remedy = "write \"www.example.org\" or the like";
        problems.add(Some(given.span()), key("host"), format!("\"{}\" is no host", given.get_ref()), remedy);
    }
    let statuses = numbers(spec.statuses.as_ref(), &key("statuses"), 100..=599, problems).unwrap_or_default();
    let verify = spec.verify.unwrap_or(true);
    let ca_file = spec.ca_file.as_ref().map(|file| readable(file, &key("ca_file"), base, problems));
    let ca_file = ca_file.unwrap_or_else(|| PathBuf::from(SYSTEM_CA_FILE));
    let tls = (spec.kind.get_ref() == "https").then_some(ProbeTls { ca_file, verify });
    ProbeKind::Http { path: path.to_owned(), host, statuses, tls }
}

/// Over DNS.
fn dns(spec: &spec::Probe, key: &dyn Fn(&str) -> String, problems: &mut Problems<'_>) -> ProbeKind {
    let query = spec.query.as_ref().map_or(".", |query| query.get_ref().as_str());
    if let Some(given) = spec.query.as_ref().filter(|_| Name::from_ascii(query).is_err()) {
        let remedy = "write a name such as \"example.org.\"";
        problems.add(Some(given.span()), key("query"), format!("\"{query}\" is no domain name"), remedy);
    }
    let query_type = spec.query_type.as_ref().map_or("SOA", |query_type| query_type.get_ref().as_str());
    let number = query_type.parse::<RecordType>().map(u16::from);
    if let Some(given) = spec.query_type.as_ref().filter(|_| number.is_err()) {
        let message = format!("\"{query_type}\" is no type of records");
        problems.add(Some(given.span()), key("query_type"), message, "write \"A\" or the like");
    }
    let rcodes = numbers(spec.rcodes.as_ref(), &key("rcodes"), 0..=23, problems).unwrap_or_else(|| vec![0]);
    ProbeKind::Dns { query: query.to_owned(), query_type: number.unwrap_or_default(), rcodes }
}
