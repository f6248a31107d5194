//! What a key of etcd is about.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_controlplane::config::health::{KeyGeneration, KeysConfig, SchedulerConfig};

use crate::keys::{Keys, Resource};

/// What is checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Of which kind it is.
    pub resource: Resource,
    /// An address as its keys write it, or a name of records without the dot at its end.
    pub name: Arc<str>,
}

impl Target {
    /// One of a kind.
    pub fn new(resource: Resource, name: &str) -> Self {
        Self { resource, name: name.into() }
    }
}

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The state of an address.
    Status(Target),
    /// A record; its name follows from key and type.
    Record,
    /// The job of a target.
    Job(Target),
    /// A lock.
    Lock,
    /// An agent.
    Agent(Arc<str>),
    /// What an agent sees of a target.
    Observation(Target, Arc<str>),
}

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Places {
    /// Keys.
    keys: Keys,
    /// Where records are, with a slash at its end.
    records: String,
    /// What is scheduled.
    resources: Vec<Resource>,
    /// The locks that the leader holds: those that the original takes for the same work.
    locks: Vec<String>,
    /// Everything below these paths is read.
    paths: Vec<String>,
}

impl Places {
    /// Those of a configuration.
    pub fn new(config: &KeysConfig, scheduler: &SchedulerConfig) -> Self {
        let keys = Keys::new(config);
        let mut resources = Vec::new();
        resources.extend(scheduler.addresses.then_some(Resource::Address));
        resources.extend(scheduler.domains.then_some(Resource::Domain));
        let mut locks: Vec<String> = resources.iter().map(|&resource| keys.lock(resource)).collect();
        locks.dedup();
        let mut paths = vec![keys.jobs(), keys.agents()];
        // In the other generation locks lie among the jobs.
        paths.extend((config.generation == KeyGeneration::Documented).then_some(config.lock_path.as_str()));
        paths.extend(scheduler.addresses.then_some(keys.statuses()));
        paths.extend(scheduler.domains.then_some(scheduler.domain_path.as_str()));
        paths.extend((scheduler.replicas > 1).then_some(keys.observations()));
        let paths = paths.into_iter().map(below).collect();
        Self { records: below(&scheduler.domain_path), keys, resources, locks, paths }
    }

    /// Keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What is read of etcd: everything below these paths, each of which ends in a slash.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The locks that the leader holds.
    pub fn locks(&self) -> &[String] {
        &self.locks
    }

    /// The key of a target's job.
    pub fn job(&self, target: &Target) -> String {
        self.keys.job(target.resource, &target.name)
    }

    /// What a key is about; nothing where it is none that is read.
    pub fn of(&self, key: &str) -> Option<Place> {
        if let Some((resource, target)) = self.keys.job_target(key) {
            return self.target(resource, target).map(Place::Job);
        }
        if let Some(name) = self.keys.agent_name(key) {
            return Some(Place::Agent(name.into()));
        }
        if let Some(address) = self.keys.status_target(key) {
            return self.target(Resource::Address, address).map(Place::Status);
        }
        if let Some((target, agent)) = self.keys.observation_parts(key) {
            let resource = if target.parse::<IpAddr>().is_ok() { Resource::Address } else { Resource::Domain };
            return self.target(resource, target).map(|target| Place::Observation(target, agent.into()));
        }
        if self.locks.iter().any(|lock| lock == key) {
            return Some(Place::Lock);
        }
        let record = key.strip_prefix(&self.records).filter(|rest| !rest.trim_matches('/').is_empty());
        // Records may be all that begins as our own keys do.
        let is_ours = [self.keys.jobs(), self.keys.agents(), self.keys.statuses(), self.keys.observations()];
        let is_ours = is_ours.iter().any(|path| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
        record.filter(|_| !is_ours && self.resources.contains(&Resource::Domain)).map(|_| Place::Record)
    }

    /// A target, where such are scheduled. What is no address has no state that anybody reads.
    fn target(&self, resource: Resource, name: &str) -> Option<Target> {
        let is_right = resource == Resource::Domain || name.parse::<IpAddr>().is_ok();
        (is_right && self.resources.contains(&resource)).then(|| Target::new(resource, name))
    }
}

/// A path with a slash at its end.
fn below(path: &str) -> String {
    format!("{path}/")
}

/// The name of a record: what its key says without the first element and, unless it is an alias, which has none, without the
/// label of the record.
pub fn domain_of(key: &str, is_alias: bool) -> Option<String> {
    let mut labels: Vec<&str> = key.trim_matches('/').split('/').skip(1).collect();
    if !is_alias {
        labels.pop();
    }
    labels.reverse();
    let is_name = !labels.is_empty() && labels.iter().all(|label| !label.is_empty());
    is_name.then(|| labels.join("."))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keys::tests::shipped as keys;

    /// A scheduler of everything.
    pub(in crate::scheduler) fn config() -> SchedulerConfig {
        SchedulerConfig {
            name: "s".to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            addresses: true,
            domains: true,
            domain_path: "/containerdns/local".to_owned(),
            interval: Duration::from_secs(60),
            agent_downtime: Duration::from_secs(75),
            lease: Duration::from_secs(10),
            force_lock: Duration::from_secs(1800),
            replicas: 2,
            quorum: 2,
            writes_per_second: 500,
        }
    }

    #[test]
    fn keys_are_what_they_are_about() {
        let places = Places::new(&keys(KeyGeneration::Current), &config());
        let (address, name) = (Target::new(Resource::Address, "10.0.0.1"), Target::new(Resource::Domain, "a.local"));
        for (key, place) in [
            ("monitor/status/10.0.0.1", Some(Place::Status(address.clone()))),
            ("monitor/status/elsewhere", None),
            ("monitor/status/10.0.0.1/", None),
            ("monitor/job/ipaddress/10.0.0.1", Some(Place::Job(address.clone()))),
            ("monitor/job/domain/a.local", Some(Place::Job(name.clone()))),
            ("monitor/job/ip_lock", Some(Place::Lock)),
            ("monitor/job/domain_lock", Some(Place::Lock)),
            ("monitor/job/other", None),
            ("monitor/agent/node-1", Some(Place::Agent("node-1".into()))),
            ("monitor/observation/10.0.0.1/node-1", Some(Place::Observation(address, "node-1".into()))),
            ("monitor/observation/a.local/node-1", Some(Place::Observation(name, "node-1".into()))),
            ("local/a/3f73e5f9/", Some(Place::Record)),
            ("locals/a/3f73e5f9/", None),
            ("local/", None),
        ] {
            assert_eq!(places.of(&format!("/containerdns/{key}")), place, "{key}");
        }
    }

    #[test]
    fn what_is_not_scheduled_is_not_read() {
        let all = Places::new(&keys(KeyGeneration::Current), &config());
        let count = all.paths().len();
        let one = SchedulerConfig { addresses: false, replicas: 1, ..config() };
        let names = Places::new(&keys(KeyGeneration::Current), &one);
        assert_eq!(
            (count, names.paths().len(), names.locks()),
            (5, 3, &["/containerdns/monitor/job/domain_lock".to_owned()][..])
        );
        assert_eq!(names.of("/containerdns/monitor/status/10.0.0.1"), None);
        let addresses = Places::new(&keys(KeyGeneration::Current), &SchedulerConfig { domains: false, ..config() });
        assert_eq!(addresses.of("/containerdns/local/a/x/"), None);
    }

    #[test]
    fn the_documented_lock_is_one_and_lies_elsewhere() {
        let places = Places::new(&keys(KeyGeneration::Documented), &config());
        assert_eq!(places.locks(), ["/containerdns/monitor/lock/lock"]);
        assert!(places.paths().contains(&"/containerdns/monitor/lock/".to_owned()));
        assert_eq!(places.of("/containerdns/monitor/lock/lock"), Some(Place::Lock));
        let job = places.of("/containerdns/monitor/job/10.0.0.1");
        assert_eq!(job, Some(Place::Job(Target::new(Resource::Address, "10.0.0.1"))));
    }

    #[test]
    fn records_above_everything_are_told_apart_from_our_own_keys() {
        let wide = SchedulerConfig { domain_path: "/containerdns".to_owned(), addresses: false, ..config() };
        let places = Places::new(&keys(KeyGeneration::Current), &wide);
        assert_eq!(places.of("/containerdns/local/a/x/"), Some(Place::Record));
        for key in ["status/10.0.0.1", "job/other", "observation/x"] {
            assert_eq!(places.of(&format!("/containerdns/monitor/{key}")), None, "{key}");
        }
    }

    #[test]
    fn names_follow_from_keys() {
        for (key, is_alias, name) in [
            ("/containerdns/local/containerdns/www/3f73e5f9/", false, Some("www.containerdns.local")),
            ("/containerdns/local/containerdns/www/3f73e5f9", false, Some("www.containerdns.local")),
            ("/containerdns/local/containerdns/alias/", true, Some("alias.containerdns.local")),
            ("/containerdns/local/", false, None),
            ("/containerdns//a/b", true, None),
            ("/containerdns", true, None),
        ] {
            assert_eq!(domain_of(key, is_alias).as_deref(), name, "{key}");
        }
    }
}
