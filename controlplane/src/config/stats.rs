//! `[stats]`: what is counted by name. `[containerdns_stats]`: who is told over ContainerDNS's interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ringdns_engine::tally::TALLY_NAMES_MAX;
use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::problem::Problems;
use super::validate::{number, token};
use super::{ClusterHttpConfig, ClusterPort, Token};

/// Names that are counted where somebody can ask: as many as the message cache of the original has at least.
const NAMES_DEFAULT: i64 = 100_000;

/// `[stats]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stats {
    /// Names that each worker counts queries of.
    pub names: Option<Spanned<i64>>,
    /// Whether types, sizes and times of messages are counted.
    pub messages: Option<bool>,
}

/// `[containerdns_stats]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerdnsStats {
    /// Address and TCP port.
    pub listen: Option<Spanned<SocketAddr>>,
    /// A file whose first line is the token that requests need.
    pub token_file: Option<Spanned<PathBuf>>,
    /// The token itself.
    pub token: Option<Spanned<String>>,
}

/// What is counted, and who is told.
#[derive(Clone, Debug)]
pub struct StatsConfig {
    /// Names that each worker and each socket thread counts queries of, at least; 0: none.
    pub names: usize,
    /// Whether each worker and each socket thread counts types, sizes and times of messages.
    pub messages: bool,
    /// The statistics interface of ContainerDNS; none: it is off.
    pub containerdns: Option<ContainerdnsStatsConfig>,
}

/// The statistics interface of ContainerDNS.
#[derive(Clone, Debug)]
pub struct ContainerdnsStatsConfig {
    /// Address and TCP port.
    pub listen: SocketAddr,
    /// What every request needs.
    pub token: Token,
}

impl StatsConfig {
    /// Notes what differs in a newer one: tallies are made and the interface is opened at start.
    pub(super) fn compare(&self, new: &Self, changes: &mut Changes) {
        changes.restart("stats.names", &self.names, &new.names);
        changes.restart("stats.messages", &self.messages, &new.messages);
        let listen = |config: &Self| config.containerdns.as_ref().map(|interface| interface.listen);
        changes.restart("containerdns_stats.listen", &listen(self), &listen(new));
        if let (Some(running), Some(new)) = (&self.containerdns, &new.containerdns) {
            changes.restart("containerdns_stats.token", &true, &running.token.is_same(&new.token));
        }
    }
}

/// Checks both tables.
pub(super) fn stats(
    spec: &Stats,
    interface: &ContainerdnsStats,
    cluster_http: &ClusterHttpConfig,
    base: &Path,
    problems: &mut Problems<'_>,
) -> StatsConfig {
    let keys = ["containerdns_stats.token", "containerdns_stats.token_file"];
    let token = token(keys, &interface.token, &interface.token_file, base, problems);
    let default = if interface.listen.is_some() { NAMES_DEFAULT } else { 0 };
    let most = i64::try_from(TALLY_NAMES_MAX).unwrap_or(i64::MAX);
    let names = number(spec.names.as_ref(), "stats.names", 0..=most, "", default, problems);
    let containerdns = interface.listen.as_ref().and_then(|listen| {
        if interface.token.is_none() && interface.token_file.is_none() {
            let remedy = "set containerdns_stats.token_file; every request needs the token";
            problems.add(Some(listen.span()), "containerdns_stats.listen", "no token is set", remedy);
        }
        Some(ContainerdnsStatsConfig { listen: *listen.get_ref(), token: token? })
    });
    let shows = [ClusterPort::Metrics, ClusterPort::KubeDnsMetrics];
    let is_shown = shows.into_iter().any(|port| cluster_http.address(port).is_some());
    let messages = spec.messages.unwrap_or(is_shown);
    StatsConfig { messages, names: usize::try_from(names).unwrap_or_default(), containerdns }
}
