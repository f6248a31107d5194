//! The tables of health checking as written.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// `[health]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// `current` or `documented`.
    pub generation: Option<Spanned<String>>,
    /// `all` or `none`.
    pub all_down: Option<Spanned<String>>,
    /// What the keys of states begin with.
    pub status_path: Option<Spanned<String>>,
    /// What the keys of jobs begin with.
    pub job_path: Option<Spanned<String>>,
    /// What the key of the lock begins with.
    pub lock_path: Option<Spanned<String>>,
    /// What the keys of agents begin with.
    pub agent_path: Option<Spanned<String>>,
    /// What the keys of each agent's observations begin with.
    pub observation_path: Option<Spanned<String>>,
}

/// `[scanner]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scanner {
    /// True: `ringdns run` checks too.
    pub enabled: Option<bool>,
    /// Who we are among the agents.
    pub name: Option<Spanned<String>>,
    /// Where states and metrics can be read.
    pub listen: Option<Spanned<SocketAddr>>,
    /// `assigned` or `all`.
    pub jobs: Option<Spanned<String>>,
    /// False: everything counts as up.
    pub check: Option<bool>,
    /// Milliseconds from one check of a target to the next.
    pub interval_ms: Option<Spanned<i64>>,
    /// Milliseconds that a probe may take.
    pub timeout_ms: Option<Spanned<i64>>,
    /// Further tries of a check that failed.
    pub retries: Option<Spanned<i64>>,
    /// Milliseconds before each of them.
    pub retry_pause_ms: Option<Spanned<i64>>,
    /// Checks in a row that must succeed until a target is up.
    pub rise: Option<Spanned<i64>>,
    /// Checks in a row that must fail until a target is down.
    pub fall: Option<Spanned<i64>>,
    /// By how much of the interval checks are moved at random.
    pub jitter_percent: Option<Spanned<i64>>,
    /// Checks at the same time.
    pub checks_max: Option<Spanned<i64>>,
    /// Seconds after which an agent that is gone counts as gone.
    pub lease_seconds: Option<Spanned<i64>>,
    /// Seconds between two writes of the heartbeat's time.
    pub heartbeat_seconds: Option<Spanned<i64>>,
    /// Ports that are tried where a target has none.
    pub ports: Option<Spanned<Vec<i64>>>,
    /// Without etcd: addresses that are checked.
    pub targets: Option<Spanned<Vec<Spanned<String>>>>,
    /// Without etcd: zones whose addresses are checked.
    pub zones: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `[[probe]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Networks and domains.
    pub targets: Spanned<Vec<Spanned<String>>>,
    /// `tcp`, `icmp`, `http`, `https` or `dns`.
    pub kind: Spanned<String>,
    /// Ports that are tried in place of the target's own.
    pub ports: Option<Spanned<Vec<i64>>>,
    /// What is asked for over HTTP.
    pub path: Option<Spanned<String>>,
    /// The host that is asked for, and that a certificate must be of.
    pub host: Option<Spanned<String>>,
    /// Statuses that are right.
    pub statuses: Option<Spanned<Vec<i64>>>,
    /// Certificates of who signs those of the targets.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// False: any certificate will do.
    pub verify: Option<bool>,
    /// The name that is asked for over DNS.
    pub query: Option<Spanned<String>>,
    /// Its type.
    pub query_type: Option<Spanned<String>>,
    /// Response codes that are right.
    pub rcodes: Option<Spanned<Vec<i64>>>,
}

/// `[scheduler]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scheduler {
    /// Who we are in locks.
    pub name: Option<Spanned<String>>,
    /// Where assignments and metrics can be read.
    pub listen: Option<Spanned<SocketAddr>>,
    /// `ipaddr` and `domain`.
    pub resources: Option<Spanned<Vec<Spanned<String>>>>,
    /// What the keys of records begin with whose names are checked.
    pub domain_path: Option<Spanned<String>>,
    /// Seconds between two looks at everything.
    pub interval_seconds: Option<Spanned<i64>>,
    /// Seconds without a heartbeat after which an agent counts as gone.
    pub agent_downtime_seconds: Option<Spanned<i64>>,
    /// Seconds after which a leader that is gone counts as gone.
    pub lease_seconds: Option<Spanned<i64>>,
    /// Seconds after which a lock without a lease is taken over.
    pub force_lock_seconds: Option<Spanned<i64>>,
    /// Agents that check each target.
    pub replicas: Option<Spanned<i64>>,
    /// How many of them must find it down.
    pub quorum: Option<Spanned<i64>>,
    /// Most writes of jobs a second.
    pub writes_per_second: Option<Spanned<i64>>,
}

/// `[alert]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alert {
    /// Where alerts are posted.
    pub url: Option<Spanned<String>>,
    /// A file whose first line is the value of the header `Authorization`.
    pub authorization_file: Option<Spanned<PathBuf>>,
    /// Certificates of who signs that of the URL's host.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// A file with the body.
    pub template_file: Option<Spanned<PathBuf>>,
    /// Who is to be told.
    pub to: Option<String>,
    /// The place that the checks come from.
    pub room: Option<String>,
    /// The number of the system in the receiver's books.
    pub sys_idx: Option<String>,
    /// Seconds after which a target that is still down is told again.
    pub silent_seconds: Option<Spanned<i64>>,
    /// Seconds for a request.
    pub timeout_seconds: Option<Spanned<i64>>,
    /// Alerts that can wait.
    pub queue: Option<Spanned<i64>>,
    /// Tries of each.
    pub tries: Option<Spanned<i64>>,
}
