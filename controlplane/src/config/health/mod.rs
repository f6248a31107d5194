//! `[health]`, `[scanner]`, `[[probe]]`, `[scheduler]` and `[alert]`: who checks what how, and who is told.

mod alert;
mod probe;
mod roles;
pub mod spec;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringdns_engine::name::WireName;
use toml::Spanned;

use super::change::Changes;
use super::etcd_tree::{ALL_DOWN, one_of};
use super::problem::Problems;
use super::validate::number;

use crate::health::AllDown;

pub use alert::AlertConfig;
pub use probe::{ProbeConfig, ProbeKind};
pub use roles::RoleConfig;

/// The paths that the original's packages are shipped with.
const PATHS: [(&str, &str); 5] = [
    ("status_path", "/containerdns/monitor/status"),
    ("job_path", "/containerdns/monitor/job"),
    ("lock_path", "/containerdns/monitor/lock"),
    ("agent_path", "/containerdns/monitor/agent"),
    ("observation_path", "/containerdns/monitor/observation"),
];

/// Where records of names to check lie in the original's packages.
const DOMAIN_PATH: &str = "/containerdns/local";

/// Longest name of an agent: it is part of a key.
const NAME_BYTES_MAX: usize = 253;

/// A day, the longest interval of anything.
const DAY_SECONDS: i64 = 86_400;

/// Everything about health checking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is answered where all members are down, unless a tree of etcd has a word of its own.
    pub all_down: AllDown,
    /// Where in etcd it stands.
    pub keys: KeysConfig,
    /// The scanner.
    pub scanner: ScannerConfig,
    /// The scheduler.
    pub scheduler: SchedulerConfig,
    /// Who is told; none: nobody.
    pub alert: Option<AlertConfig>,
}

/// Which generation of the original wrote the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyGeneration {
    /// `agent_name`, `update_time`; jobs of addresses and of domains.
    #[default]
    Current,
    /// `hostname`, `updatetime`; jobs of addresses alone, right below the path.
    Documented,
}

/// Where in etcd things stand. Paths begin with a slash and end without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysConfig {
    /// How keys and values are written.
    pub generation: KeyGeneration,
    /// States: `<status_path>/<address>`.
    pub status_path: String,
    /// Jobs.
    pub job_path: String,
    /// `<lock_path>/lock`; of [`KeyGeneration::Documented`] alone: the others lie among the jobs.
    pub lock_path: String,
    /// Agents: `<agent_path>/<name>`.
    pub agent_path: String,
    /// What each agent sees: `<observation_path>/<target>/<agent>`.
    pub observation_path: String,
}

/// The scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannerConfig {
    /// True: `ringdns run` checks too.
    pub enabled: bool,
    /// Who we are among the agents.
    pub name: String,
    /// Where states and metrics can be read.
    pub listen: SocketAddr,
    /// True: every state's target is ours; false: those of the jobs with our name.
    pub all_jobs: bool,
    /// False: everything counts as up.
    pub check: bool,
    /// From one check of a target to the next.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Further tries of a check that failed.
    pub retries: u32,
    /// Before each of them.
    pub retry_pause: Duration,
    /// Checks in a row that must succeed until a target is up.
    pub rise: u32,
    /// Checks in a row that must fail until a target is down.
    pub fall: u32,
    /// By how much of the interval, in percent, a check is moved at random.
    pub jitter_percent: u32,
    /// Checks at the same time.
    pub checks_max: usize,
    /// After how long an agent that is gone counts as gone.
    pub lease: Duration,
    /// Between two writes of the heartbeat's time; none: it is written once.
    pub heartbeat: Option<Duration>,
    /// Ports that are tried where a target has none.
    pub ports: Vec<u16>,
    /// Without etcd: addresses that are checked.
    pub targets: Vec<IpAddr>,
    /// Without etcd: zones whose addresses are checked.
    pub zones: Vec<WireName>,
    /// How targets are probed; the first that is for a target counts.
    pub probes: Vec<ProbeConfig>,
}

/// The scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Who we are in locks.
    pub name: String,
    /// Where assignments and metrics can be read.
    pub listen: SocketAddr,
    /// Addresses are scheduled.
    pub addresses: bool,
    /// Names of records are scheduled.
    pub domains: bool,
    /// What the keys of their records begin with.
    pub domain_path: String,
    /// Between two looks at everything.
    pub interval: Duration,
    /// After how long without a heartbeat an agent counts as gone.
    pub agent_downtime: Duration,
    /// After how long a leader that is gone counts as gone.
    pub lease: Duration,
    /// After how long a lock without a lease is taken over.
    pub force_lock: Duration,
    /// Agents that check each target.
    pub replicas: usize,
    /// How many of them must find it down.
    pub quorum: usize,
    /// Most writes of jobs a second.
    pub writes_per_second: u32,
}

impl HealthConfig {
    /// Notes what differs in a newer one: the roles are started anew for it.
    pub(super) fn compare(&self, new: &Self, changes: &mut Changes) {
        changes.restart("health", &(&self.keys, self.all_down), &(&new.keys, new.all_down));
        changes.restart("scanner", &self.scanner, &new.scanner);
        changes.restart("scheduler", &self.scheduler, &new.scheduler);
        changes.restart("alert", &self.alert, &new.alert);
    }
}

/// The tables that are read together.
pub(super) struct Tables<'a> {
    /// `[health]`
    pub(super) health: &'a spec::Health,
    /// `[scanner]`
    pub(super) scanner: &'a spec::Scanner,
    /// `[[probe]]`
    pub(super) probes: &'a [Spanned<spec::Probe>],
    /// `[scheduler]`
    pub(super) scheduler: &'a spec::Scheduler,
    /// `[alert]`
    pub(super) alert: &'a spec::Alert,
}

impl<'a> Tables<'a> {
    /// Those of a file.
    pub(super) fn of(spec: &'a super::file::V1) -> Self {
        Self {
            health: &spec.health,
            scanner: &spec.scanner,
            probes: &spec.probe,
            scheduler: &spec.scheduler,
            alert: &spec.alert,
        }
    }
}

/// Checks the tables.
pub(super) fn health(tables: &Tables<'_>, base: &Path, problems: &mut Problems<'_>) -> HealthConfig {
    let all_down = tables.health.all_down.as_ref();
    HealthConfig {
        all_down: one_of(all_down, "health.all_down", &ALL_DOWN, problems),
        keys: keys(tables.health, problems),
        scanner: scanner(tables.scanner, tables.probes, base, problems),
        scheduler: scheduler(tables.scheduler, problems),
        alert: alert::alert(tables.alert, base, problems),
    }
}

/// A scanner in the server needs to know what it checks: etcd has it, or the file and the store where there is no etcd.
pub(super) fn check_enabled(spec: &super::file::V1, problems: &mut Problems<'_>) {
    let (scanner, has_etcd) = (&spec.scanner, spec.etcd.endpoints.is_some());
    if !scanner.enabled.unwrap_or(false) {
        return;
    }
    let given = [("scanner.targets", &scanner.targets), ("scanner.zones", &scanner.zones)];
    let given = given.into_iter().filter_map(|(key, list)| Some((key, list.as_ref()?)));
    if !has_etcd && given.clone().next().is_none() && spec.containerdns_api.listen.is_none() {
        let message = "nothing says what is to be checked";
        let remedy = "give scanner.targets, scanner.zones or containerdns_api.listen, or endpoints in [etcd], where targets stand";
        problems.add(None, "scanner.enabled", message, remedy);
    }
    for (key, list) in given.filter(|_| has_etcd) {
        let remedy = "remove the key, or the endpoints of [etcd]";
        problems.add(Some(list.span()), key, "where endpoints are given, what is checked stands in etcd", remedy);
    }
}

/// `[health]`
fn keys(spec: &spec::Health, problems: &mut Problems<'_>) -> KeysConfig {
    let generation = match spec.generation.as_ref() {
        None => KeyGeneration::default(),
        Some(word) if word.get_ref() == "current" => KeyGeneration::Current,
        Some(word) if word.get_ref() == "documented" => KeyGeneration::Documented,
        Some(word) => {
            let message = format!("\"{}\" is no generation", word.get_ref());
            problems.add(Some(word.span()), "health.generation", message, "write \"current\" or \"documented\"");
            KeyGeneration::default()
        }
    };
    let given = [&spec.status_path, &spec.job_path, &spec.lock_path, &spec.agent_path, &spec.observation_path];
    let mut paths = [const { String::new() }; 5];
    for (index, (given, (key, default))) in given.into_iter().zip(PATHS).enumerate() {
        let path = checked_path(given.as_ref(), default, &format!("health.{key}"), problems);
        if let Some(other) = paths[..index].iter().position(|other| is_below(other, &path) || is_below(&path, other)) {
            let message = format!("it lies in health.{}, or that in it", PATHS[other].0);
            let span = given.as_ref().map(Spanned::span);
            problems.add(span, format!("health.{key}"), message, "give each a path of its own");
        }
        paths[index] = path;
    }
    let [status_path, job_path, lock_path, agent_path, observation_path] = paths;
    KeysConfig { generation, status_path, job_path, lock_path, agent_path, observation_path }
}

/// True where a path is another, or below it.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path of keys, without the slash at its end.
fn checked_path(given: Option<&Spanned<String>>, default: &str, key: &str, problems: &mut Problems<'_>) -> String {
    let Some(given) = given else { return default.to_owned() };
    let path = given.get_ref().strip_suffix('/').unwrap_or(given.get_ref());
    if !path.starts_with('/') || path.len() < 2 || path.contains("//") {
        let message = format!("\"{}\" is no path of keys", given.get_ref());
        problems.add(Some(given.span()), key, message, format!("write \"{default}\" or the like"));
    }
    path.to_owned()
}

/// `[scanner]`
fn scanner(
    spec: &spec::Scanner,
    probes: &[Spanned<spec::Probe>],
    base: &Path,
    problems: &mut Problems<'_>,
) -> ScannerConfig {
    let all_jobs = match spec.jobs.as_ref().map(|word| (word, word.get_ref().as_str())) {
        None | Some((_, "assigned")) => false,
        Some((_, "all")) => true,
        Some((word, other)) => {
            let message = format!("\"{other}\" says not whose jobs");
            problems.add(Some(word.span()), "scanner.jobs", message, "write \"assigned\" or \"all\"");
            false
        }
    };
    let mut number =
        |value: &Option<Spanned<i64>>, key: &str, bounds: std::ops::RangeInclusive<i64>, unit: &str, default| {
            let found = number(value.as_ref(), &format!("scanner.{key}"), bounds, unit, default, problems);
            u32::try_from(found).unwrap_or_default()
        };
    let day_ms = DAY_SECONDS * 1000;
    let interval = number(&spec.interval_ms, "interval_ms", 100..=day_ms, " ms", 5000);
    let timeout = number(&spec.timeout_ms, "timeout_ms", 10..=60_000, " ms", 2000);
    let retry_pause = number(&spec.retry_pause_ms, "retry_pause_ms", 0..=60_000, " ms", 200);
    let lease = number(&spec.lease_seconds, "lease_seconds", 2..=3600, " seconds", 15);
    let heartbeat = number(&spec.heartbeat_seconds, "heartbeat_seconds", 0..=3600, " seconds", 30);
    let checks_max = number(&spec.checks_max, "checks_max", 1..=100_000, "", 2000);
    let milliseconds = |value: u32| Duration::from_millis(value.into());
    ScannerConfig {
        enabled: spec.enabled.unwrap_or(false),
        all_jobs,
        check: spec.check.unwrap_or(true),
        interval: milliseconds(interval),
        timeout: milliseconds(timeout),
        retries: number(&spec.retries, "retries", 0..=10, "", 1),
        retry_pause: milliseconds(retry_pause),
        rise: number(&spec.rise, "rise", 1..=100, "", 2),
        fall: number(&spec.fall, "fall", 1..=100, "", 2),
        jitter_percent: number(&spec.jitter_percent, "jitter_percent", 0..=50, "", 10),
        checks_max: checks_max as usize,
        lease: Duration::from_secs(lease.into()),
        heartbeat: (heartbeat > 0).then(|| Duration::from_secs(heartbeat.into())),
        name: name(spec.name.as_ref(), "scanner.name", problems),
        listen: listen(spec.listen.as_ref(), 8054),
        ports: probe::ports(spec.ports.as_ref(), "scanner.ports", problems).unwrap_or_else(|| vec![80]),
        targets: parsed(
            spec.targets.as_ref(),
            "scanner.targets",
            ("address", "write addresses such as \"192.0.2.1\" or \"2001:db8::1\""),
            problems,
        ),
        zones: parsed(
            spec.zones.as_ref(),
            "scanner.zones",
            ("domain name", "write names such as \"example.org.\"; \".\" is every zone"),
            problems,
        ),
        probes: probe::probes(probes, base, problems),
    }
}

/// `[scheduler]`
fn scheduler(spec: &spec::Scheduler, problems: &mut Problems<'_>) -> SchedulerConfig {
    let (addresses, domains) = resources(spec, problems);
    let mut number =
        |value: &Option<Spanned<i64>>, key: &str, bounds: std::ops::RangeInclusive<i64>, unit: &str, default| {
            let found = number(value.as_ref(), &format!("scheduler.{key}"), bounds, unit, default, problems);
            u32::try_from(found).unwrap_or_default()
        };
    let interval = number(&spec.interval_seconds, "interval_seconds", 1..=DAY_SECONDS, " seconds", 60);
    let downtime = number(&spec.agent_downtime_seconds, "agent_downtime_seconds", 1..=DAY_SECONDS, " seconds", 75);
    let lease = number(&spec.lease_seconds, "lease_seconds", 2..=3600, " seconds", 10);
    let force_lock = number(&spec.force_lock_seconds, "force_lock_seconds", 1..=DAY_SECONDS, " seconds", 1800);
    let replicas = number(&spec.replicas, "replicas", 1..=15, "", 1);
    let quorum = number(&spec.quorum, "quorum", 1..=i64::from(replicas), "", i64::from(replicas / 2 + 1));
    let writes_per_second = number(&spec.writes_per_second, "writes_per_second", 1..=100_000, "", 500);
    let seconds = |value: u32| Duration::from_secs(value.into());
    SchedulerConfig {
        name: name(spec.name.as_ref(), "scheduler.name", problems),
        listen: listen(spec.listen.as_ref(), 8055),
        addresses,
        domains,
        domain_path: checked_path(spec.domain_path.as_ref(), DOMAIN_PATH, "scheduler.domain_path", problems),
        interval: seconds(interval),
        agent_downtime: seconds(downtime),
        lease: seconds(lease),
        force_lock: seconds(force_lock),
        replicas: replicas as usize,
        quorum: quorum as usize,
        writes_per_second,
    }
}

/// Whether addresses and domains are scheduled.
fn resources(spec: &spec::Scheduler, problems: &mut Problems<'_>) -> (bool, bool) {
    let Some(list) = &spec.resources else { return (true, true) };
    let has = |word: &str| list.get_ref().iter().any(|entry| entry.get_ref() == word);
    for entry in list.get_ref().iter().filter(|entry| !["ipaddr", "domain"].contains(&entry.get_ref().as_str())) {
        let message = format!("\"{}\" is no resource", entry.get_ref());
        problems.add(Some(entry.span()), "scheduler.resources", message, "write \"ipaddr\", \"domain\" or both");
    }
    if list.get_ref().is_empty() {
        let remedy = "write \"ipaddr\", \"domain\" or both";
        problems.add(Some(list.span()), "scheduler.resources", "there is nothing to schedule", remedy);
    }
    (has("ipaddr"), has("domain"))
}

/// The values of a list's words; `(noun, remedy)` is for those that are none.
fn parsed<T: std::str::FromStr>(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    key: &str,
    (noun, remedy): (&str, &str),
    problems: &mut Problems<'_>,
) -> Vec<T> {
    let Some(list) = list else { return Vec::new() };
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "the list is empty", "name something, or remove the key");
    }
    let mut values = Vec::new();
    for word in list.get_ref() {
        match word.get_ref().parse() {
            Ok(value) => values.push(value),
            Err(_) => {
                problems.add(Some(word.span()), key, format!("\"{}\" is no {noun}", word.get_ref()), remedy);
            }
        }
    }
    values
}

/// A name that can be part of a key; the machine's where none is given.
pub(super) fn name(given: Option<&Spanned<String>>, key: &str, problems: &mut Problems<'_>) -> String {
    let Some(given) = given else {
        let found = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        return if found.trim().is_empty() { "localhost".to_owned() } else { found.trim().to_owned() };
    };
    let text = given.get_ref();
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_right) {
        let remedy = format!("write 1 to {NAME_BYTES_MAX} letters, digits, \"-\", \"_\", \".\" and \":\"");
        problems.add(Some(given.span()), key, format!("\"{text}\" is no name of an agent"), remedy);
    }
    text.clone()
}

/// Where a role can be read: on loopback unless the file says otherwise.
pub(super) fn listen(given: Option<&Spanned<SocketAddr>>, port: u16) -> SocketAddr {
    given.map_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)), |given| *given.get_ref())
}

/// A file relative to the configuration's, which must be there.
fn readable(file: &Spanned<PathBuf>, key: &str, base: &Path, problems: &mut Problems<'_>) -> PathBuf {
    let path = base.join(file.get_ref());
    if let Err(error) = std::fs::File::open(&path) {
        let message = format!("{} cannot be read: {error}", path.display());
        problems.add(Some(file.span()), key, message, "give a file in PEM form");
    }
    path
}
