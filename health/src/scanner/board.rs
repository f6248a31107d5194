//! What the scanner knows: who is to be checked, how each is, and what of it has to be written. No task, no clock and no etcd in
//! here.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use ringdns_controlplane::config::health::ScannerConfig;

use crate::clock;
use crate::follow::{Change, News};
use crate::keys::{Keys, Resource};
use crate::link::Entry;
use crate::probe::Plan;
use crate::values::{Health, Job, Observation, Status};

/// What is checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    /// Address or name.
    pub(super) resource: Resource,
    /// It.
    pub(super) name: String,
}

/// A key as it was last seen.
#[derive(Clone, Debug)]
struct Seen<T> {
    /// The revision that wrote it.
    revision: i64,
    /// What it says, or what is wrong with it.
    value: Result<T, String>,
}

/// A target of ours.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Tells this time of being ours from an earlier one.
    pub(super) number: u64,
    /// How it is; none: nobody knows yet.
    pub(super) health: Option<Health>,
    /// Since when.
    pub(super) since: SystemTime,
    /// Checks in a row that said otherwise.
    against: u32,
    /// The last error.
    pub(super) error: Option<String>,
    /// When it was last checked.
    pub(super) checked: Option<SystemTime>,
    /// How it is probed.
    pub(super) probe: &'static str,
    /// Why nothing can be written of it.
    pub(super) fault: Option<String>,
    /// What was last observed in etcd by us: how it is, and the lease that this goes away with.
    observed: Option<(Health, i64)>,
}

/// What one check found.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The target answers.
    Up,
    /// It does not, and why.
    Down(String),
    /// We could not look, and why.
    Fault(String),
}

/// A target fell or came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The target.
    pub(super) target: Target,
    /// How it is now.
    pub(super) health: Health,
    /// How it was.
    pub(super) before: Option<Health>,
}

/// A write that is due. It is made only if all that it was decided by is still so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The key.
    pub(super) key: String,
    /// The value.
    pub(super) value: Vec<u8>,
    /// Keys and the revisions that they must still have.
    pub(super) unless_changed: Vec<(String, i64)>,
    /// True: it goes away with our lease.
    pub(super) is_leased: bool,
    /// How the target is by it.
    pub(super) health: Health,
}

/// What has changed for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Targets that are ours now, with their numbers.
    pub(super) came: Vec<(Target, u64)>,
    /// Targets that no longer are.
    pub(super) went: Vec<Target>,
    /// Targets whose state was changed by somebody, with how it is: where several agents check, this is what counts.
    pub(super) decided: Vec<(Target, Health)>,
}

/// All of it.
pub(super) struct Board {
    /// Keys.
    keys: Keys,
    /// Who we are, and how many checks it takes.
    config: ScannerConfig,
    /// States by address.
    statuses: HashMap<String, Seen<Status>>,
    /// Jobs.
    jobs: HashMap<Target, Seen<Job>>,
    /// Those of ours.
    members: BTreeMap<Target, Member>,
    /// The last number of a member.
    number: u64,
}

impl Board {
    /// Nothing is known yet.
    pub(super) fn new(keys: Keys, config: ScannerConfig) -> Self {
        let (statuses, jobs, members) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { keys, config, statuses, jobs, members, number: 0 }
    }

    /// Those of ours.
    pub(super) fn members(&self) -> &BTreeMap<Target, Member> {
        &self.members
    }

    /// How a target is to be probed.
    pub(super) fn plan(&self, target: &Target) -> Plan {
        let ports = match self.statuses.get(&target.name).map(|seen| &seen.value) {
            Some(Ok(status)) if target.resource == Resource::Address => status.ports(),
            _ => Vec::new(),
        };
        Plan::new(&self.config, &target.name, &ports)
    }

    /// Takes news of states.
    pub(super) fn take_statuses(&mut self, news: News) -> Moves {
        let mut touched: Vec<Target> = Vec::new();
        let target = |name: &str| Target { resource: Resource::Address, name: name.to_owned() };
        let (puts, gone) = parts(news, &self.statuses, |name| self.keys.status(name));
        for entry in puts {
            let Some(name) = self.keys.status_target(&entry.key) else { continue };
            let value = Status::parse(&entry.value).map_err(|error| format!("{}: {error}", entry.key));
            if note(&mut self.statuses, name.to_owned(), entry.revision, value) {
                touched.push(target(name));
            }
        }
        for (key, revision) in gone {
            let Some(name) = self.keys.status_target(&key) else { continue };
            if self.statuses.get(name).is_some_and(|seen| seen.revision <= revision) {
                self.statuses.remove(name);
                touched.push(target(name));
            }
        }
        self.settle(touched)
    }

    /// Takes news of jobs.
    pub(super) fn take_jobs(&mut self, news: News) -> Moves {
        let mut touched: Vec<Target> = Vec::new();
        let (puts, gone) = parts(news, &self.jobs, |target| self.keys.job(target.resource, &target.name));
        let target = |key: &str| {
            let (resource, name) = self.keys.job_target(key)?;
            Some(Target { resource, name: name.to_owned() })
        };
        for entry in puts {
            let Some(target) = target(&entry.key) else { continue };
            let value =
                Job::parse(&entry.value, self.keys.generation()).map_err(|error| format!("{}: {error}", entry.key));
            if note(&mut self.jobs, target.clone(), entry.revision, value) {
                touched.push(target);
            }
        }
        for (key, revision) in gone {
            let Some(target) = target(&key) else { continue };
            if self.jobs.get(&target).is_some_and(|seen| seen.revision <= revision) {
                self.jobs.remove(&target);
                touched.push(target);
            }
        }
        self.settle(touched)
    }

    /// Sees who is ours now of targets whose keys have changed.
    fn settle(&mut self, touched: Vec<Target>) -> Moves {
        let mut moves = Moves::default();
        for target in touched {
            let is_ours = self.is_ours(&target);
            let stored = self.stored(&target);
            let shares = self.shares(&target);
            match (self.members.get(&target), is_ours) {
                (None, true) => {
                    self.number += 1;
                    let (number, probe) = (self.number, self.plan(&target).name());
                    let fault = self.fault(&target);
                    let member = Member {
                        number,
                        health: stored,
                        since: SystemTime::now(),
                        against: 0,
                        error: None,
                        checked: None,
                        probe,
                        fault,
                        observed: None,
                    };
                    self.members.insert(target.clone(), member);
                    moves.came.push((target, number));
                }
                (Some(_), false) => {
                    self.members.remove(&target);
                    moves.went.push(target);
                }
                (Some(_), true) => {
                    if let Some(health) = stored.filter(|_| shares) {
                        moves.decided.push((target.clone(), health));
                    }
                    let (fault, probe) = (self.fault(&target), self.plan(&target).name());
                    if let Some(member) = self.members.get_mut(&target) {
                        (member.fault, member.probe) = (fault, probe);
                    }
                }
                (None, false) => {}
            }
        }
        moves
    }

    /// True where we check a target.
    fn is_ours(&self, target: &Target) -> bool {
        if self.config.all_jobs {
            return target.resource == Resource::Address && self.statuses.contains_key(&target.name);
        }
        self.job(target).is_some_and(|job| job.agents().contains(&self.config.name.as_str()))
    }

    /// The job of a target, where it can be read.
    fn job(&self, target: &Target) -> Option<&Job> {
        self.jobs.get(target)?.value.as_ref().ok()
    }

    /// True where others check the target too, and somebody else decides.
    pub(super) fn shares(&self, target: &Target) -> bool {
        !self.config.all_jobs && self.job(target).is_some_and(|job| job.agents().len() > 1)
    }

    /// True where we are the one who tells of a target: the first of those who check it.
    pub(super) fn tells(&self, target: &Target) -> bool {
        self.config.all_jobs
            || self.job(target).is_some_and(|job| job.agents().first() == Some(&self.config.name.as_str()))
    }

    /// How a target is by etcd.
    fn stored(&self, target: &Target) -> Option<Health> {
        match target.resource {
            Resource::Address => self.statuses.get(&target.name)?.value.as_ref().ok()?.health(),
            Resource::Domain => self.job(target)?.health(),
        }
    }

    /// Why a target's state cannot be written.
    fn fault(&self, target: &Target) -> Option<String> {
        if target.resource == Resource::Domain || self.shares(target) {
            return None;
        }
        match self.statuses.get(&target.name).map(|seen| &seen.value) {
            None => {
                Some(format!("{} is not there; whoever serves the address makes it", self.keys.status(&target.name)))
            }
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(_)) => None,
        }
    }

    /// Takes what a check found; what comes of a target that went in between is nothing.
    pub(super) fn take_outcome(
        &mut self,
        target: &Target,
        number: u64,
        outcome: Outcome,
        now: SystemTime,
    ) -> Option<Turn> {
        let (rise, fall) = (self.config.rise, self.config.fall);
        let member = self.members.get_mut(target).filter(|member| member.number == number)?;
        member.checked = Some(now);
        let found = match outcome {
            Outcome::Up => Health::Up,
            Outcome::Down(error) => {
                member.error = Some(error);
                Health::Down
            }
            // What we could not see has not changed.
            Outcome::Fault(error) => {
                member.error = Some(error);
                return None;
            }
        };
        if member.health == Some(found) {
            member.against = 0;
            return None;
        }
        member.against += 1;
        let enough = match (member.health, found) {
            // Where nobody knows better, one check does.
            (None, _) => 1,
            (Some(_), Health::Up) => rise,
            (Some(_), Health::Down) => fall,
        };
        if member.against < enough {
            return None;
        }
        let before = member.health.replace(found);
        (member.against, member.since) = (0, now);
        Some(Turn { target: target.clone(), health: found, before })
    }

    /// The write that is due for a target, with the lease that we have.
    pub(super) fn due(&self, target: &Target, lease: i64) -> Option<Write> {
        let member = self.members.get(target)?;
        let health = member.health?;
        // Until we have looked ourselves, what stands there is as good.
        member.checked?;
        let job_key = self.keys.job(target.resource, &target.name);
        let job = self.jobs.get(target).map(|seen| (job_key.clone(), seen.revision));
        let found = || Observation {
            health,
            since: clock::universal(member.since),
            error: member.error.clone().unwrap_or_default(),
            by: self.config.name.clone(),
        };
        if self.shares(target) {
            if member.observed == Some((health, lease)) {
                return None;
            }
            let value = found();
            let key = self.keys.observation(&target.name, &self.config.name);
            let unless_changed = job.into_iter().collect();
            return Some(Write { key, value: value.to_bytes(), unless_changed, is_leased: true, health });
        }
        if self.stored(target) == Some(health) {
            return None;
        }
        let (key, value, own) = match target.resource {
            Resource::Address => {
                let seen = self.statuses.get(&target.name)?;
                let key = self.keys.status(&target.name);
                (key.clone(), seen.value.as_ref().ok()?.with(&found()), Some((key, seen.revision)))
            }
            Resource::Domain => {
                let mut job = self.job(target)?.clone();
                job.set_health(health, SystemTime::now());
                (job_key, job.to_bytes(), None)
            }
        };
        Some(Write { key, value, unless_changed: own.into_iter().chain(job).collect(), is_leased: false, health })
    }

    /// A write was made, by a revision.
    pub(super) fn written(&mut self, target: &Target, write: &Write, revision: i64, lease: i64) -> Moves {
        if write.is_leased {
            if let Some(member) = self.members.get_mut(target) {
                member.observed = Some((write.health, lease));
            }
            return Moves::default();
        }
        let entry = Entry { key: write.key.clone(), value: write.value.clone(), revision, created: 0, lease: 0 };
        self.seen(entry)
    }

    /// A key was read outside of the news.
    pub(super) fn seen(&mut self, entry: Entry) -> Moves {
        let is_status = self.keys.status_target(&entry.key).is_some();
        let news = News::Changed(vec![Change::Put(entry)]);
        if is_status { self.take_statuses(news) } else { self.take_jobs(news) }
    }
}

/// Notes a key unless a newer one is known; true where it is news.
fn note<K: std::hash::Hash + Eq, T>(
    seen: &mut HashMap<K, Seen<T>>,
    key: K,
    revision: i64,
    value: Result<T, String>,
) -> bool {
    if seen.get(&key).is_some_and(|known| known.revision >= revision) {
        return false;
    }
    seen.insert(key, Seen { revision, value });
    true
}

/// What was put, and which keys are gone by which revision. What is not in a listing is gone unless it was seen after it.
fn parts<K, T>(
    news: News,
    known: &HashMap<K, Seen<T>>,
    key: impl Fn(&K) -> String,
) -> (Vec<Entry>, Vec<(String, i64)>) {
    match news {
        News::Listed(listing) => {
            let there: std::collections::HashSet<&str> =
                listing.entries.iter().map(|entry| entry.key.as_str()).collect();
            let gone = known.keys().map(key).filter(|key| !there.contains(key.as_str()));
            let gone = gone.map(|key| (key, listing.revision)).collect();
            (listing.entries, gone)
        }
        News::Changed(changes) => {
            // The order counts only for one key, of which the last change is the one that holds.
            let mut last: BTreeMap<String, Change> = BTreeMap::new();
            for change in changes {
                let key = match &change {
                    Change::Put(entry) => entry.key.clone(),
                    Change::Deleted { key, .. } => key.clone(),
                };
                last.insert(key, change);
            }
            let (mut puts, mut gone) = (Vec::new(), Vec::new());
            for change in last.into_values() {
                match change {
                    Change::Put(entry) => puts.push(entry),
                    Change::Deleted { key, revision } => gone.push((key, revision)),
                }
            }
            (puts, gone)
        }
    }
}
