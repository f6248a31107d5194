//! `[node_local]`: DNS for the Pods of one node, at addresses that are the node's own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::cluster_http::ClusterHttpConfig;
use super::problem::Problems;
use super::validate::{number, small};

/// The interface unless the file says otherwise: what network plugins know to leave alone.
const INTERFACE: &str = "nodelocaldns";

/// Longest name of an interface in bytes (IFNAMSIZ and its zero).
const INTERFACE_BYTES_MAX: usize = 15;

/// Most addresses: each costs every packet of the node a few comparisons.
const ADDRESSES_MAX: usize = 8;

/// Default time between two looks at interface and rules, in seconds.
const CHECK_SECONDS_DEFAULT: i64 = 10;

/// Longest time between two looks, in seconds.
const CHECK_SECONDS_MAX: i64 = 3600;

/// `[node_local]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeLocal {
    /// The addresses.
    pub addresses: Option<Spanned<Vec<Spanned<IpAddr>>>>,
    /// The port that is answered on.
    pub dns_port: Option<Spanned<i64>>,
    /// The interface that has the addresses.
    pub interface: Option<Spanned<String>>,
    /// `nftables` or `none`.
    pub redirect: Option<Spanned<String>>,
    /// Seconds between two looks.
    pub check_seconds: Option<Spanned<i64>>,
}

/// DNS for the Pods of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLocalConfig {
    /// The addresses that the node gets; at least one, none twice.
    pub addresses: Vec<IpAddr>,
    /// The port that is answered on, over UDP and TCP.
    pub dns_port: u16,
    /// The interface that has the addresses.
    pub interface: String,
    /// Whether packets to and from the addresses go past the node's connection tracking, and so past its service translation.
    pub redirect: bool,
    /// TCP ports at these addresses that answer probes and scrapers, and are treated as DNS is.
    pub http: Vec<SocketAddr>,
    /// Time between two looks at interface and rules.
    pub check: Duration,
}

impl NodeLocalConfig {
    /// Where DNS is answered.
    pub fn listen(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses.iter().map(|&address| SocketAddr::new(address, self.dns_port))
    }

    /// Notes what differs in a newer one: interface and sockets are made at start.
    pub(super) fn compare(old: Option<&Self>, new: Option<&Self>, changes: &mut Changes) {
        let (Some(old), Some(new)) = (old, new) else {
            return changes.restart("node_local", &old.is_some(), &new.is_some());
        };
        changes.restart("node_local.addresses", &old.addresses, &new.addresses);
        changes.restart("node_local.dns_port", &old.dns_port, &new.dns_port);
        changes.restart("node_local.interface", &old.interface, &new.interface);
        changes.restart("node_local.redirect", &old.redirect, &new.redirect);
        changes.restart("node_local.check_seconds", &old.check, &new.check);
    }
}

/// Checks the table; nothing where there is none.
pub(super) fn node_local(
    spec: Option<&Spanned<NodeLocal>>,
    udp: bool,
    cluster_http: &ClusterHttpConfig,
    problems: &mut Problems<'_>,
) -> Option<NodeLocalConfig> {
    let (span, spec) = spec.map(|spec| (spec.span(), spec.get_ref()))?;
    let addresses = match &spec.addresses {
        Some(list) if !list.get_ref().is_empty() => addresses(list, problems),
        _ => {
            let remedy =
                "name them, such as [\"169.254.20.10\"], with the cluster IP of the Service kube-dns beside it";
            problems.add(Some(span.clone()), "node_local.addresses", "no address is given", remedy);
            Vec::new()
        }
    };
    if !udp {
        let remedy = "remove sockets.udp, or the table";
        problems.add(Some(span), "node_local", "sockets.udp is false, and Pods ask over UDP", remedy);
    }
    let check = number(
        spec.check_seconds.as_ref(),
        "node_local.check_seconds",
        1..=CHECK_SECONDS_MAX,
        " seconds",
        CHECK_SECONDS_DEFAULT,
        problems,
    );
    let http = cluster_http.ports.iter().map(|&(_, address)| address);
    Some(NodeLocalConfig {
        http: http.filter(|address| addresses.contains(&address.ip())).collect(),
        addresses,
        dns_port: small(number(spec.dns_port.as_ref(), "node_local.dns_port", 1..=65_535, "", 53, problems)),
        interface: interface(spec.interface.as_ref(), problems),
        redirect: redirect(spec.redirect.as_ref(), problems),
        check: Duration::from_secs(u64::try_from(check).unwrap_or_default()),
    })
}

/// Checks the addresses.
fn addresses(list: &Spanned<Vec<Spanned<IpAddr>>>, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    const KEY: &str = "node_local.addresses";
    if list.get_ref().len() > ADDRESSES_MAX {
        let message = format!("{} addresses are given", list.get_ref().len());
        problems.add(Some(list.span()), KEY, message, format!("name at most {ADDRESSES_MAX}"));
    }
    let mut addresses = Vec::new();
    for entry in list.get_ref() {
        let address = *entry.get_ref();
        let is_of_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        if address.is_multicast() || address.is_unspecified() || address.is_loopback() || is_of_link {
            let remedy = "name a link-local IPv4 address, one of fd00::/8, or the cluster IP of the Service kube-dns";
            problems.add(Some(entry.span()), KEY, format!("Pods cannot ask {address}"), remedy);
        } else if addresses.contains(&address) {
            problems.add(Some(entry.span()), KEY, format!("{address} is given twice"), "name each address once");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

/// Checks the interface's name.
fn interface(name: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> String {
    let Some(name) = name else { return INTERFACE.to_owned() };
    let text = name.get_ref();
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    // "." and ".." are the kernel's own; "lo" and the like would be taken from others.
    if text.is_empty() || text.len() > INTERFACE_BYTES_MAX || !is_word || [".", "..", "lo"].contains(&text.as_str()) {
        let message = format!("\"{text}\" cannot be the name of an interface of ours");
        let remedy = format!("write up to {INTERFACE_BYTES_MAX} letters, digits, \"-\", \"_\" and \".\"");
        problems.add(Some(name.span()), "node_local.interface", message, remedy);
    }
    text.clone()
}

/// Checks by what packets are redirected.
fn redirect(word: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> bool {
    match word.map(|word| (word.get_ref().as_str(), word.span())) {
        None | Some(("nftables", _)) => true,
        Some(("none", _)) => false,
        Some((other, span)) => {
            let message = format!("\"{other}\" is no way to redirect");
            problems.add(Some(span), "node_local.redirect", message, "write \"nftables\" or \"none\"");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// The configuration of these lines.
    fn parse(text: &str) -> Result<Config, String> {
        let sockets = "[sockets]\nlisten = [\"127.0.0.1:53\"]\n";
        Config::parse(Path::new("/nonexistent/ringdns.toml"), &format!("{sockets}{text}\n"))
            .map_err(|error| error.to_string())
    }

    /// The table with these lines.
    fn table(lines: &str) -> String {
        format!("[node_local]\naddresses = [\"169.254.20.10\", \"10.96.0.10\", \"fd00::a\"]\n{lines}")
    }

    #[test]
    fn nothing_happens_to_the_node_unless_it_is_said() {
        assert_eq!(parse("").unwrap().node_local, None);
        let node_local = parse(&table("")).unwrap().node_local.unwrap();
        assert_eq!((node_local.interface.as_str(), node_local.redirect, node_local.dns_port), (INTERFACE, true, 53));
        assert_eq!((node_local.check.as_secs(), node_local.http.len()), (10, 0));
        assert_eq!(node_local.listen().last().unwrap().to_string(), "[fd00::a]:53");
    }

    #[test]
    fn ports_for_probes_at_these_addresses_are_treated_alike() {
        let http = "[cluster_http]\nhealth = \"169.254.20.10:8080\"\nmetrics = \"0.0.0.0:9253\"\n";
        let node_local = parse(&format!("{http}{}", table("redirect = \"none\""))).unwrap().node_local.unwrap();
        assert_eq!(node_local.http, ["169.254.20.10:8080".parse().unwrap()]);
        assert!(!node_local.redirect);
    }

    #[test]
    fn the_addresses_alone_are_enough_to_serve() {
        let text = "[node_local]\naddresses = [\"169.254.20.10\"]\n";
        Config::parse(Path::new("/nonexistent/ringdns.toml"), text).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        for (text, words) in [
            ("[node_local]".to_owned(), ["node_local.addresses", "169.254.20.10"]),
            ("[node_local]\naddresses = [\"0.0.0.0\"]".to_owned(), ["cannot ask 0.0.0.0", "cluster IP"]),
            ("[node_local]\naddresses = [\"fe80::1\"]".to_owned(), ["cannot ask fe80::1", "fd00"]),
            ("[node_local]\naddresses = [\"10.0.0.1\", \"10.0.0.1\"]".to_owned(), ["given twice", "once"]),
            (table("interface = \"a/b\""), ["node_local.interface", "letters"]),
            (table("interface = \"sixteen-bytes-xx\""), ["node_local.interface", "15"]),
            (table("redirect = \"iptables\""), ["node_local.redirect", "\"nftables\" or \"none\""]),
            (table("check_seconds = 0"), ["node_local.check_seconds", "from 1 to 3600 seconds"]),
            (table("dns_port = 0"), ["node_local.dns_port", "from 1 to 65535"]),
            (table("").replace("[node_local]", "udp = false\n[node_local]"), ["sockets.udp", "remove"]),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }

    #[test]
    fn what_has_changed_is_named() {
        let mut running = parse(&table("")).unwrap();
        assert!(running.take(&parse(&table("")).unwrap()).restart.is_empty());
        let changed = table("dns_port = 54\ninterface = \"other\"\nredirect = \"none\"\ncheck_seconds = 1");
        let keys = ["dns_port", "interface", "redirect", "check_seconds"].map(|key| format!("node_local.{key}"));
        assert_eq!(running.take(&parse(&changed).unwrap()).restart, keys);
        assert_eq!(running.take(&parse("").unwrap()).restart, ["node_local"]);
    }
}
