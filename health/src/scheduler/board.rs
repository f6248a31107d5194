//! What etcd has, as far as the scheduler needs it: targets with their jobs and what agents see of them, agents, locks; and which
//! targets have to be looked at again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::places::{Place, Places, Target, domain_of};
use super::rendezvous::Agents;
use crate::clock;
use crate::keys::Resource;
use crate::values::{Job, last_report};

/// A value of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Vec<u8>,
    /// The revision at which it was written.
    pub revision: i64,
    /// The revision at which its key was made.
    pub created: i64,
    /// The lease with which it goes away; 0: none.
    pub lease: i64,
}

/// A change of a key.
#[derive(Clone, Debug)]
pub struct Update {
    /// The key.
    pub key: String,
    /// Its revision.
    pub revision: i64,
    /// What it has now; nothing: it was deleted.
    pub stored: Option<Stored>,
}

/// A key that we write too. Events about our own writes come later than we know of them, and older ones may still be on their way.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The revision up to which this is known.
    revision: i64,
    /// What is there.
    stored: Option<Stored>,
}

impl Slot {
    /// Takes what is newer; false for what is not.
    fn take(&mut self, revision: i64, stored: Option<Stored>) -> bool {
        let is_newer = revision > self.revision;
        if is_newer {
            *self = Self { revision, stored };
        }
        is_newer
    }
}

/// A target.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// How many keys it stands for: one state, or the records of a name. None: it is gone.
    sources: usize,
    /// Its state, where it is an address.
    status: Slot,
    /// Its job.
    job: Slot,
    /// Who has the job.
    agents: Vec<Arc<str>>,
    /// What agents see.
    observations: BTreeMap<Arc<str>, Stored>,
    /// True while it waits to be looked at.
    is_queued: bool,
}

impl Entry {
    /// True as long as it has to be checked.
    pub fn is_wanted(&self) -> bool {
        self.sources > 0
    }

    /// Its state.
    pub fn status(&self) -> Option<&Stored> {
        self.status.stored.as_ref()
    }

    /// Its job.
    pub fn job(&self) -> Option<&Stored> {
        self.job.stored.as_ref()
    }

    /// Who has the job; none: nobody, or it cannot be read.
    pub fn agents(&self) -> &[Arc<str>] {
        &self.agents
    }

    /// What agents see.
    pub fn observations(&self) -> &BTreeMap<Arc<str>, Stored> {
        &self.observations
    }

    /// True where etcd has nothing of it.
    fn is_empty(&self) -> bool {
        self.sources == 0 && self.job.stored.is_none() && self.observations.is_empty()
    }
}

/// An agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its key.
    pub stored: Stored,
    /// Until when it counts as live unless it says more; nothing: it has never said anything.
    live_until: Option<Instant>,
}

impl Agent {
    /// True where it can be given work. What a lease holds is there as long as its agent is, whatever the clocks say.
    pub fn is_live(&self, now: Instant) -> bool {
        self.stored.lease != 0 || self.live_until.is_some_and(|until| now < until)
    }
}

/// A lock that somebody holds.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Its key; the value is who holds it.
    pub stored: Stored,
    /// Since when it is seen like this.
    pub since: Instant,
}

/// What etcd has.
#[derive(Debug)]
pub struct Board {
    /// What keys are about.
    places: Arc<Places>,
    /// After how long without a word an agent without a lease is gone.
    agent_downtime: Duration,
    /// The targets.
    targets: BTreeMap<Target, Entry>,
    /// The name that each key of a record stands for.
    records: HashMap<String, Arc<str>>,
    /// How many targets each agent has, live or not.
    loads: BTreeMap<Arc<str>, usize>,
    /// The agents.
    agents: BTreeMap<Arc<str>, Agent>,
    /// Those that can be given work.
    live: Agents,
    /// The locks that are held.
    locks: BTreeMap<String, Lock>,
    /// The revision up to which each lock is known.
    lock_revisions: HashMap<String, i64>,
    /// Targets that have to be looked at.
    queue: VecDeque<Target>,
}

impl Board {
    /// With nothing on it.
    pub fn new(places: Arc<Places>, agent_downtime: Duration) -> Self {
        Self {
            places,
            agent_downtime,
            targets: BTreeMap::new(),
            records: HashMap::new(),
            loads: BTreeMap::new(),
            agents: BTreeMap::new(),
            live: Agents::default(),
            locks: BTreeMap::new(),
            lock_revisions: HashMap::new(),
            queue: VecDeque::new(),
        }
    }

    /// Is complete with a listing of a revision. Since when locks and agents are as they are is taken over from the board before.
    pub fn complete(&mut self, before: &Self, revision: i64, now: Instant) {
        for (key, lock) in &mut self.locks {
            if let Some(old) = before.locks.get(key).filter(|old| old.stored == lock.stored) {
                lock.since = old.since;
            }
        }
        for (name, agent) in &mut self.agents {
            match before.agents.get(name) {
                Some(old) if old.stored == agent.stored => agent.live_until = old.live_until,
                // It said something while nobody listened.
                Some(_) => agent.live_until = agent.live_until.or(now.checked_add(self.agent_downtime)),
                None => {}
            }
        }
        self.lock_revisions = self.places.locks().iter().map(|key| (key.clone(), revision)).collect();
        self.refresh(now);
    }

    /// Takes a change; `is_news`: it happened just now, so that whoever wrote it is alive.
    pub fn take(&mut self, update: Update, now: Instant, is_news: bool) {
        let Update { key, revision, stored } = update;
        match self.places.of(&key) {
            None => {}
            Some(Place::Status(target)) => self.change(target, |entry| {
                entry.status.take(revision, stored);
                entry.sources = usize::from(entry.status.stored.is_some());
            }),
            Some(Place::Job(target)) => self.change(target, |entry| {
                entry.job.take(revision, stored);
            }),
            Some(Place::Observation(target, agent)) => self.change(target, |entry| {
                drop(match stored {
                    Some(stored) => entry.observations.insert(agent, stored),
                    None => entry.observations.remove(&agent),
                });
            }),
            Some(Place::Record) => self.take_record(key, stored.as_ref()),
            Some(Place::Agent(name)) => self.take_agent(name, stored, now, is_news),
            Some(Place::Lock) => self.take_lock(key, revision, stored, now),
        }
    }

    /// Changes a target and has it looked at. One of which nothing is left is forgotten.
    fn change(&mut self, target: Target, change: impl FnOnce(&mut Entry)) {
        let entry = self.targets.entry(target.clone()).or_default();
        let known = entry.job.revision;
        change(entry);
        if entry.job.revision != known {
            note_agents(&mut self.loads, entry, &self.places);
        }
        if entry.is_empty() {
            self.targets.remove(&target);
        } else if !std::mem::replace(&mut entry.is_queued, true) {
            self.queue.push_back(target);
        }
    }

    /// Takes a change of a record: it may stand for another name than before.
    fn take_record(&mut self, key: String, stored: Option<&Stored>) {
        let name: Option<Arc<str>> = stored.and_then(|stored| domain_of(&key, is_alias(&stored.value))).map(Arc::from);
        let before = match &name {
            Some(name) => self.records.insert(key, Arc::clone(name)),
            None => self.records.remove(&key),
        };
        if before == name {
            return;
        }
        // The new one first, so that nothing is gone that is still there.
        if let Some(name) = name {
            self.change(Target { resource: Resource::Domain, name }, |entry| entry.sources += 1);
        }
        if let Some(name) = before {
            let lessen = |entry: &mut Entry| entry.sources = entry.sources.saturating_sub(1);
            self.change(Target { resource: Resource::Domain, name }, lessen);
        }
    }

    /// Takes a change of an agent. What happens just now is a sign of life by our own clock; of what was there before, only the
    /// agent's says when it was written.
    fn take_agent(&mut self, name: Arc<str>, stored: Option<Stored>, now: Instant, is_news: bool) {
        let Some(stored) = stored else { return drop(self.agents.remove(&name)) };
        let left = if is_news { Some(self.agent_downtime) } else { self.life_left(&stored.value) };
        let live_until = left.and_then(|left| now.checked_add(left));
        let life = |stored: &Stored| (stored.created, stored.lease);
        let (now_lives, before) = (life(&stored), self.agents.insert(name, Agent { stored, live_until }));
        if before.is_some_and(|before| life(&before.stored) != now_lives) {
            // What it saw before it was started anew counts no more.
            self.queue_all();
        }
    }

    /// For how long an agent is live by the time in its key.
    fn life_left(&self, value: &[u8]) -> Option<Duration> {
        let report = last_report(self.places.keys().generation(), value).ok()?;
        self.agent_downtime.checked_sub(clock::age(&report)?)
    }

    /// Takes a change of a lock.
    fn take_lock(&mut self, key: String, revision: i64, stored: Option<Stored>, now: Instant) {
        self.lock_revisions.insert(key.clone(), revision);
        match stored {
            Some(stored) => drop(self.locks.insert(key, Lock { stored, since: now })),
            None => drop(self.locks.remove(&key)),
        }
    }

    /// Finds out which agents are live. Where that has changed, every target is looked at.
    pub fn refresh(&mut self, now: Instant) -> bool {
        let live = || self.agents.iter().filter(|(_, agent)| agent.is_live(now)).map(|(name, _)| name);
        if live().eq(self.live.names()) {
            return false;
        }
        self.live = Agents::new(live().cloned());
        self.queue_all();
        true
    }

    /// Has every target looked at.
    pub fn queue_all(&mut self) {
        for (target, entry) in &mut self.targets {
            if !std::mem::replace(&mut entry.is_queued, true) {
                self.queue.push_back(target.clone());
            }
        }
    }

    /// The next target to look at.
    pub fn next(&mut self) -> Option<Target> {
        let target = self.queue.pop_front()?;
        if let Some(entry) = self.targets.get_mut(&target) {
            entry.is_queued = false;
        }
        Some(target)
    }

    /// How many targets wait to be looked at.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Notes what we have written ourselves at a revision. A target stays even if nothing is left of it: it is forgotten with the
    /// event, behind which no older one comes.
    pub fn wrote(&mut self, key: &str, revision: i64, value: Option<&[u8]>, lease: i64) {
        let (is_job, target) = match self.places.of(key) {
            Some(Place::Job(target)) => (true, target),
            Some(Place::Status(target)) => (false, target),
            _ => return,
        };
        let Some(entry) = self.targets.get_mut(&target) else { return };
        let slot = if is_job { &mut entry.job } else { &mut entry.status };
        let created = slot.stored.as_ref().map_or(revision, |stored| stored.created);
        let stored = value.map(|value| Stored { value: value.to_vec(), revision, created, lease });
        if slot.take(revision, stored) && is_job {
            note_agents(&mut self.loads, entry, &self.places);
        }
    }

    /// A target.
    pub fn entry(&self, target: &Target) -> Option<&Entry> {
        self.targets.get(target)
    }

    /// The targets.
    pub fn targets(&self) -> &BTreeMap<Target, Entry> {
        &self.targets
    }

    /// The agents.
    pub fn agents(&self) -> &BTreeMap<Arc<str>, Agent> {
        &self.agents
    }

    /// How many targets each agent has, also one that is gone.
    pub fn loads(&self) -> &BTreeMap<Arc<str>, usize> {
        &self.loads
    }

    /// The agents that can be given work.
    pub fn live(&self) -> &Agents {
        &self.live
    }

    /// A lock that is held.
    pub fn lock(&self, key: &str) -> Option<&Lock> {
        self.locks.get(key)
    }

    /// The revision up to which a lock is known.
    pub fn lock_revision(&self, key: &str) -> i64 {
        self.lock_revisions.get(key).copied().unwrap_or_default()
    }
}

/// Notes who has a target's job.
fn note_agents(loads: &mut BTreeMap<Arc<str>, usize>, entry: &mut Entry, places: &Places) {
    for name in entry.agents.drain(..) {
        if let Some(load) = loads.get_mut(&name) {
            *load -= 1;
            if *load == 0 {
                loads.remove(&name);
            }
        }
    }
    let Some(stored) = &entry.job.stored else { return };
    let Ok(job) = Job::parse(&stored.value, places.keys().generation()) else { return };
    for name in job.agents() {
        // One name in memory, however many targets its agent has.
        let name = loads.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        *loads.entry(Arc::clone(&name)).or_default() += 1;
        entry.agents.push(name);
    }
}

/// True for the value of an alias, whose key has no label of the record's own.
fn is_alias(value: &[u8]) -> bool {
    let members = serde_json::from_slice::<serde_json::Value>(value).unwrap_or_default();
    members.get("type").and_then(serde_json::Value::as_str).is_some_and(|rtype| rtype.eq_ignore_ascii_case("CNAME"))
}
