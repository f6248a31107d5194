//! Where in etcd things stand, in both generations of the original.

use ringdns_controlplane::config::health::{KeyGeneration, KeysConfig};

/// What can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// An address, with a state of its own.
    Address,
    /// A name, whose state stands in its job.
    Domain,
}

/// Makes keys, and takes them apart.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Paths, without a slash at their ends.
    config: KeysConfig,
}

impl Keys {
    /// Those of a configuration.
    pub fn new(config: &KeysConfig) -> Self {
        Self { config: config.clone() }
    }

    /// How values are written.
    pub fn generation(&self) -> KeyGeneration {
        self.config.generation
    }

    /// The path of all states.
    pub fn statuses(&self) -> &str {
        &self.config.status_path
    }

    /// An address's state.
    pub fn status(&self, target: &str) -> String {
        format!("{}/{target}", self.config.status_path)
    }

    /// The address whose state a key is.
    pub fn status_target<'a>(&self, key: &'a str) -> Option<&'a str> {
        last_part(key, &self.config.status_path)
    }

    /// The path of all jobs; locks can lie among them.
    pub fn jobs(&self) -> &str {
        &self.config.job_path
    }

    /// A job. The documented generation knows none of names: theirs stand in a folder of their own, which it does not read.
    pub fn job(&self, resource: Resource, target: &str) -> String {
        match (self.config.generation, resource) {
            (KeyGeneration::Documented, Resource::Address) => format!("{}/{target}", self.config.job_path),
            (KeyGeneration::Current, Resource::Address) => format!("{}/ipaddress/{target}", self.config.job_path),
            (_, Resource::Domain) => format!("{}/domain/{target}", self.config.job_path),
        }
    }

    /// What a job is about; nothing for locks.
    pub fn job_target<'a>(&self, key: &'a str) -> Option<(Resource, &'a str)> {
        let rest = key.strip_prefix(self.config.job_path.as_str())?.strip_prefix('/')?;
        let parts = match (self.config.generation, rest.split_once('/')) {
            (KeyGeneration::Documented, None) => Some((Resource::Address, rest)),
            (KeyGeneration::Current, Some(("ipaddress", target))) => Some((Resource::Address, target)),
            (_, Some(("domain", target))) => Some((Resource::Domain, target)),
            _ => None,
        };
        parts.filter(|(_, target)| !target.is_empty() && !target.contains('/'))
    }

    /// The lock that who schedules a resource holds.
    pub fn lock(&self, resource: Resource) -> String {
        match (self.config.generation, resource) {
            (KeyGeneration::Documented, _) => format!("{}/lock", self.config.lock_path),
            (KeyGeneration::Current, Resource::Address) => format!("{}/ip_lock", self.config.job_path),
            (KeyGeneration::Current, Resource::Domain) => format!("{}/domain_lock", self.config.job_path),
        }
    }

    /// The path of all agents.
    pub fn agents(&self) -> &str {
        &self.config.agent_path
    }

    /// An agent's heartbeat.
    pub fn agent(&self, name: &str) -> String {
        format!("{}/{name}", self.config.agent_path)
    }

    /// The agent whose heartbeat a key is.
    pub fn agent_name<'a>(&self, key: &'a str) -> Option<&'a str> {
        last_part(key, &self.config.agent_path)
    }

    /// The path of all observations.
    pub fn observations(&self) -> &str {
        &self.config.observation_path
    }

    /// What an agent sees of a target.
    pub fn observation(&self, target: &str, agent: &str) -> String {
        format!("{}/{target}/{agent}", self.config.observation_path)
    }

    /// The target and the agent of an observation.
    pub fn observation_parts<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = key.strip_prefix(self.config.observation_path.as_str())?.strip_prefix('/')?;
        rest.split_once('/').filter(|(target, agent)| !target.is_empty() && !agent.is_empty() && !agent.contains('/'))
    }
}

/// What follows a path and a slash, where it is one part.
fn last_part<'a>(key: &'a str, path: &str) -> Option<&'a str> {
    key.strip_prefix(path)?.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.contains('/'))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Where the packages are shipped to have things.
    pub(crate) fn shipped(generation: KeyGeneration) -> KeysConfig {
        let path = |name: &str| format!("/containerdns/monitor/{name}");
        KeysConfig {
            generation,
            status_path: path("status"),
            job_path: path("job"),
            lock_path: path("lock"),
            agent_path: path("agent"),
            observation_path: path("observation"),
        }
    }

    /// The keys of a generation, by the paths that the packages are shipped with.
    pub(crate) fn keys(generation: KeyGeneration) -> Keys {
        Keys::new(&shipped(generation))
    }

    #[test]
    fn current_keys_are_those_of_the_original() {
        let keys = keys(KeyGeneration::Current);
        assert_eq!(keys.status("192.168.10.3"), "/containerdns/monitor/status/192.168.10.3");
        assert_eq!(keys.job(Resource::Address, "10.0.0.1"), "/containerdns/monitor/job/ipaddress/10.0.0.1");
        assert_eq!(keys.job(Resource::Domain, "a.example"), "/containerdns/monitor/job/domain/a.example");
        assert_eq!(keys.lock(Resource::Address), "/containerdns/monitor/job/ip_lock");
        assert_eq!(keys.lock(Resource::Domain), "/containerdns/monitor/job/domain_lock");
        assert_eq!(keys.agent("node-107"), "/containerdns/monitor/agent/node-107");
    }

    #[test]
    fn documented_jobs_lie_right_below_their_path() {
        let keys = keys(KeyGeneration::Documented);
        assert_eq!(keys.job(Resource::Address, "10.0.0.1"), "/containerdns/monitor/job/10.0.0.1");
        assert_eq!(keys.lock(Resource::Address), "/containerdns/monitor/lock/lock");
        assert_eq!(keys.job_target("/containerdns/monitor/job/10.0.0.1"), Some((Resource::Address, "10.0.0.1")));
    }

    #[test]
    fn keys_are_taken_apart_as_they_are_made() {
        for generation in [KeyGeneration::Current, KeyGeneration::Documented] {
            let keys = keys(generation);
            for target in ["10.0.0.1", "2001:db8::1"] {
                assert_eq!(keys.status_target(&keys.status(target)), Some(target));
                assert_eq!(keys.job_target(&keys.job(Resource::Address, target)), Some((Resource::Address, target)));
                assert_eq!(keys.observation_parts(&keys.observation(target, "a")), Some((target, "a")));
            }
            assert_eq!(keys.job_target(&keys.job(Resource::Domain, "a.b")), Some((Resource::Domain, "a.b")));
            assert_eq!(keys.agent_name(&keys.agent("n")), Some("n"));
        }
    }

    #[test]
    fn other_keys_are_none() {
        let keys = keys(KeyGeneration::Current);
        for key in
            ["/containerdns/monitor/status/", "/containerdns/monitor/status/a/b", "/containerdns/monitor/statuses/a"]
        {
            assert_eq!(keys.status_target(key), None, "{key}");
        }
        for lock in [Resource::Address, Resource::Domain] {
            assert_eq!(keys.job_target(&keys.lock(lock)), None);
        }
        assert_eq!(keys.job_target("/containerdns/monitor/job/ipaddress/a/b"), None);
        assert_eq!(keys.observation_parts("/containerdns/monitor/observation/a"), None);
    }
}
