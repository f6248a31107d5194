//! A question's way: who asks is answered from what is known, or waits for the one flight that asks for all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ringdns_controlplane::config::forward::{ForwardMode, KeepConfig, Overload, StaleWhen};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::{Done, ForeignQuestion, KeptAnswer};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::askers::Askers;
use crate::bootstrap::Hosts;
use crate::counts::Counts;
use crate::exchange::Connect;
use crate::forwarder::{Clock, Settings, Shared};
use crate::keep::{Keeper, failure_seconds};
use crate::merge::{Bound, Bounds, Entered, Flights, Known, Waiter};
use crate::normalise::rcodes;
use crate::ours;
use crate::pick::Times;
use crate::policy::{Policy, Ruling};
use crate::question::Key;
use crate::rates::Rates;
use crate::resolve::{Outcome, Resolving};
use crate::stale::{Age, Rechecks, age, aged_answer, stale_answer};
use crate::upstream::Means;
use crate::zones::Zone;

/// What all questions have in common.
pub(crate) struct Core {
    /// Where what waits runs.
    pub(crate) runtime: Handle,
    /// What is decided before anybody is asked.
    pub(crate) policy: Arc<dyn Policy>,
    /// Tells the time in seconds since 1970.
    pub(crate) clock: Clock,
    /// The configuration, and what was made of it.
    pub(crate) settings: Shared,
    /// Takes upstreams up.
    pub(crate) connect: Connect,
    /// What upstreams have in common.
    pub(crate) means: Means,
    /// Addresses of upstreams that are given by name.
    pub(crate) hosts: Arc<Hosts>,
    /// Zones that are asked for beside those of the configuration.
    pub(crate) stubs: Mutex<StubZones>,
    /// The cache.
    pub(crate) keeper: Keeper,
    /// Questions under way.
    pub(crate) flights: Flights,
    /// Questions that failed a short while ago.
    pub(crate) rechecks: Rechecks,
    /// What each client has had asked of late.
    pub(crate) rates: Rates,
    /// Who asks for what.
    pub(crate) askers: Arc<Askers>,
    /// What happened.
    pub(crate) counts: Counts,
    /// Held by who writes the cache's file.
    pub(crate) saving: Mutex<()>,
    /// The end has come.
    pub(crate) is_stopped: AtomicBool,
}

/// The way that a question takes.
#[derive(Clone)]
struct Course {
    /// Its zone.
    zone: Arc<Zone>,
    /// What the policy begins the answer with: an alias.
    alias: Option<Arc<KeptAnswer>>,
}

/// A flight: its question, and by what it is asked.
struct Flight {
    /// What there is.
    core: Arc<Core>,
    /// The configuration as it was at the start.
    settings: Arc<Settings>,
    /// The question.
    key: Arc<Key>,
    /// The way that it takes.
    course: Course,
    /// Who asked first.
    client: IpAddr,
    /// Everybody was told.
    is_settled: bool,
}

impl Drop for Flight {
    /// Whatever ends a flight before its time: nobody waits for it any more.
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let waiters = self.core.flights.end(&self.key);
        tell(waiters, Some(&Arc::new(KeptAnswer::empty(rcodes::SERVFAIL))));
    }
}

/// Tells all who waited.
pub(crate) fn tell(waiters: Vec<Waiter>, answer: Option<&Arc<KeptAnswer>>) {
    for waiter in waiters {
        (waiter.done)(answer.map(Arc::clone));
    }
}

impl Core {
    /// The time in seconds since 1970.
    pub(crate) fn now_seconds(&self) -> u32 {
        (self.clock)()
    }

    /// Has a question answered: the way of [`ringdns_engine::recall::AskOthers::ask`].
    pub(crate) fn ask(self: &Arc<Self>, question: &ForeignQuestion, done: Done) {
        self.counts.questions.add(1);
        let done = self.askers.watched(question, done, &self.clock);
        let failure = |rcode| Some(Arc::new(KeptAnswer::empty(rcode)));
        if self.is_stopped.load(Ordering::Acquire) {
            return done(failure(rcodes::SERVFAIL));
        }
        let settings = self.settings.get();
        let key = Arc::new(Key::new(question, settings.config.client_subnet));
        // Before the policy is asked: what another has made since is not kept.
        let epoch = self.keeper.epoch();
        let zone = settings.table.zone_of(&key.name);
        // Before the policy, which may have something to say of any name.
        if zone.is_some_and(|zone| zone.pool.is_loop(&key.name, key.qtype)) {
            return done(failure(rcodes::REFUSED));
        }
        let (key, alias) = match self.policy.rule(question) {
            Ruling::Ask => (key, None),
            Ruling::AskApart(apart) => (Arc::new(key.of(Some(apart))), None),
            Ruling::Follow(alias, apart) => (Arc::new(key.of(apart)), Some(alias)),
            ruling => {
                self.counts.ruled.add(1);
                return done(self.ruled(&key, ruling, epoch));
            }
        };
        // Nobody need be asked for an alias of the policy: what is kept of its answer is as with any zone then.
        let any = || settings.table.zones().into_iter().next().filter(|_| alias.is_some());
        let Some(zone) = zone.or_else(any) else {
            self.counts.unasked.add(1);
            return done(failure(rcodes::REFUSED));
        };
        let is_short = alias.is_none() && key.name.label_count() < settings.config.labels_min.into();
        // The zone came while the question was on its way: whoever asks is served by it now.
        if is_short || ours::is_served(&self.keeper.snapshot(), &key.name) {
            self.counts.unasked.add(1);
            return done(failure(rcodes::SERVFAIL));
        }
        let waiter = Waiter { client: question.client, done };
        if self.rates.admit(question.client, settings.config.questions_per_client_per_second) {
            let course = Course { zone: Arc::clone(zone), alias };
            self.enter(&settings, &course, &key, waiter);
        } else {
            self.refuse(&settings, waiter, Bound::Rate);
        }
    }

    /// Tells a client that its question is one too many.
    fn refuse(&self, settings: &Settings, waiter: Waiter, bound: Bound) {
        self.counts.refused(bound).add(1);
        (waiter.done)(match settings.config.overload {
            Overload::Refused => Some(Arc::new(KeptAnswer::empty(rcodes::REFUSED))),
            Overload::Servfail => Some(Arc::new(KeptAnswer::empty(rcodes::SERVFAIL))),
            Overload::Drop => None,
        });
    }

    /// What a policy's ruling comes to.
    fn ruled(&self, key: &Key, ruling: Ruling, epoch: u64) -> Option<Arc<KeptAnswer>> {
        match ruling {
            Ruling::Answer(answer) => {
                self.keeper.keep(key, &answer, epoch);
                Some(answer)
            }
            Ruling::Refuse => Some(Arc::new(KeptAnswer::empty(rcodes::REFUSED))),
            Ruling::Drop | Ruling::Ask | Ruling::AskApart(_) | Ruling::Follow(..) => None,
        }
    }

    /// Has somebody wait for an answer, or answers at once.
    fn enter(self: &Arc<Self>, settings: &Arc<Settings>, course: &Course, key: &Arc<Key>, waiter: Waiter) {
        let client = waiter.client;
        let known = || self.known(settings, &course.zone, key);
        match self.flights.enter(key, waiter, settings.bounds(), known) {
            Entered::Leads => self.fly(settings, course, key, client),
            Entered::Waits => self.counts.merged.add(1),
            Entered::Known(waiter, answer) => {
                self.counts.known.add(1);
                (waiter.done)(Some(answer));
            }
            Entered::KnownAndLeads(waiter, answer) => {
                self.counts.known.add(1);
                (waiter.done)(Some(answer));
                self.fly(settings, course, key, client);
            }
            Entered::Refused(waiter, bound) => self.refuse(settings, waiter, bound),
        }
    }

    /// What is known of a question.
    fn known(&self, settings: &Settings, zone: &Zone, key: &Key) -> Known {
        let is_private = key.whose.view.is_some();
        if is_private || zone.config.mode != ForwardMode::Cache {
            return Known::Nothing;
        }
        let (now, stale) = (self.now_seconds(), &zone.config.keep.stale);
        let Some(answer) = self.keeper.find(key, now) else { return Known::Nothing };
        match age(&answer, now, stale) {
            Age::Fresh => Known::Fresh(aged_answer(answer, now)),
            Age::Stale => {
                let is_too_early = self.rechecks.is_too_early(key, now);
                if is_too_early || stale.when == StaleWhen::AtOnce && settings.stale_ttl.is_some() {
                    self.counts.stale.add(1);
                    return Known::Stale(stale_answer(answer, now, stale), !is_too_early);
                }
                Known::Nothing
            }
            Age::Over => Known::Nothing,
        }
    }

    /// Asks a question again for which nobody waits; false where there is no room for it.
    pub(crate) fn refresh(self: &Arc<Self>, settings: &Arc<Settings>, zone: &Arc<Zone>, key: &Arc<Key>) -> bool {
        let client = Ipv4Addr::UNSPECIFIED.into();
        let alias = match self.policy.rule(&key.asked_by(client, &key.name)) {
            Ruling::Ask => None,
            Ruling::Follow(alias, None) => Some(alias),
            _ => return false,
        };
        if !self.flights.begin(key, settings.bounds()) {
            return false;
        }
        self.counts.refreshes.add(1);
        self.fly(settings, &Course { zone: Arc::clone(zone), alias }, key, client);
        true
    }

    /// Starts a flight.
    fn fly(self: &Arc<Self>, settings: &Arc<Settings>, course: &Course, key: &Arc<Key>, client: IpAddr) {
        self.counts.asked.add(1);
        let flight = Flight {
            core: Arc::clone(self),
            settings: Arc::clone(settings),
            key: Arc::clone(key),
            course: course.clone(),
            client,
            is_settled: false,
        };
        self.runtime.spawn(flight.fly());
    }
}

impl Flight {
    /// Asks, and tells everybody.
    async fn fly(mut self) {
        let epoch = self.epoch();
        let started = Instant::now();
        let deadline = started + self.settings.config.deadline;
        let times = Times { deadline, hedge_after_min: self.settings.config.hedge_after_min };
        let outcome = {
            let (core, settings, key, client) = (&*self.core, &*self.settings, &self.key, self.client);
            let resolving = Resolving { core, settings, key, alias: self.course.alias.as_ref(), client, times };
            let mut resolved = std::pin::pin!(timeout_at(deadline, resolving.run(&self.course.zone)));
            let in_time = match self.course.zone.config.keep.stale.when {
                StaleWhen::After(time) if time < self.settings.config.deadline => Some(started + time),
                _ => None,
            };
            let outcome = tokio::select! {
                outcome = &mut resolved => Some(outcome),
                () = sleep_until(in_time.unwrap_or(deadline)), if in_time.is_some() => None,
            };
            match outcome {
                Some(outcome) => outcome,
                None => {
                    // RFC 8767 section 5, client response timer: who waits is not to wait longer.
                    self.give_stale();
                    resolved.await
                }
            }
        };
        self.settle(outcome.unwrap_or(Outcome::Failed(rcodes::SERVFAIL)), epoch);
        self.is_settled = true;
    }

    /// The epoch in which it is asked; none that ever is where the settings were replaced since the question came.
    ///
    /// NOTE: settings are replaced first, and the epoch is raised after that. Here the epoch is read first: either it is seen
    /// that the settings are others, or the answer is found to be of an epoch before.
    fn epoch(&self) -> u64 {
        let epoch = self.core.keeper.epoch();
        if Arc::ptr_eq(&self.settings, &self.core.settings.get()) { epoch } else { u64::MAX }
    }

    /// Tells those who wait a stale answer, if there is one; the question goes on.
    fn give_stale(&self) {
        if let Some(stale) = self.stale() {
            let waiters = self.core.flights.release(&self.key, &stale);
            self.core.counts.stale.add(waiters.len() as u64);
            tell(waiters, Some(&stale));
        }
    }

    /// What the zone keeps.
    fn keep_config(&self) -> &KeepConfig {
        &self.course.zone.config.keep
    }

    /// The stale answer, if there is one.
    fn stale(&self) -> Option<Arc<KeptAnswer>> {
        let (now, stale) = (self.core.now_seconds(), &self.keep_config().stale);
        let is_private = self.key.whose.view.is_some() || !self.is_kept();
        let answer = self.core.keeper.find(&self.key, now).filter(|_| !is_private)?;
        (age(&answer, now, stale) == Age::Stale).then(|| stale_answer(answer, now, stale))
    }

    /// Keeps what came, and tells everybody.
    fn settle(&self, outcome: Outcome, epoch: u64) {
        match outcome {
            Outcome::Answer(answer) => self.settle_answer(answer, epoch),
            Outcome::OfSome(answer) => self.settle_beside(answer, epoch),
            Outcome::Changed(answer) => {
                // What was kept before is not what anybody is to be told now.
                if self.key.whose.apart.is_none() {
                    self.core.keeper.remove(&self.key);
                }
                self.settle_beside(answer, epoch);
            }
            Outcome::OfView(answer, view) => self.settle_view(&Arc::new(answer), view),
            Outcome::Failed(rcode) => self.settle_failure(rcode, epoch),
            Outcome::Dropped => tell(self.core.flights.end(&self.key), None),
        }
    }

    /// Keeps an answer and tells it.
    fn settle_answer(&self, answer: KeptAnswer, epoch: u64) {
        let stale = &self.keep_config().stale;
        if stale.prefers_positive && answer.bits.has(EntryBits::NEGATIVE) {
            let better = self.stale().filter(|stale| !stale.bits.has(EntryBits::NEGATIVE));
            if let Some(better) = better {
                return self.settle_stale(&better, answer.ttl_seconds.max(1));
            }
        }
        self.core.rechecks.clear(&self.key);
        if !self.core.keeper.keep(&self.key, &answer, epoch) {
            self.core.counts.not_kept.add(1);
        }
        // Kept first: who comes in between finds it there.
        tell(self.core.flights.end(&self.key), Some(&Arc::new(answer)));
    }

    /// Keeps an answer where workers do not look, and tells it.
    fn settle_beside(&self, answer: KeptAnswer, epoch: u64) {
        self.core.rechecks.clear(&self.key);
        if !self.is_kept() || !self.core.keeper.keep_beside(&self.key, &answer, epoch) {
            self.core.counts.not_kept.add(1);
        }
        tell(self.core.flights.end(&self.key), Some(&Arc::new(answer)));
    }

    /// True where what the zone says is kept.
    fn is_kept(&self) -> bool {
        self.course.zone.config.mode == ForwardMode::Cache
    }

    /// Tells a stale answer, and has upstreams left alone for a while.
    fn settle_stale(&self, answer: &Arc<KeptAnswer>, recheck_seconds: u32) {
        let now = self.core.now_seconds();
        self.core.rechecks.note(&self.key, now, now.saturating_add(recheck_seconds));
        let waiters = self.core.flights.end(&self.key);
        self.core.counts.stale.add(waiters.len() as u64);
        tell(waiters, Some(answer));
    }

    /// Tells that there is no answer, unless there is an older one, and keeps that there is none.
    fn settle_failure(&self, rcode: u16, epoch: u64) {
        self.core.counts.failures.add(1);
        let recheck = u32::try_from(self.keep_config().stale.recheck.as_secs()).unwrap_or(u32::MAX).max(1);
        if let Some(stale) = self.stale() {
            return self.settle_stale(&stale, recheck);
        }
        let now = self.core.now_seconds();
        let before = self.core.keeper.find(&self.key, now);
        let is_good = |before: &KeptAnswer| {
            !before.bits.has(EntryBits::FAILURE) && age(before, now, &self.keep_config().stale) == Age::Fresh
        };
        if before.as_ref().is_some_and(is_good) {
            // It was to be fetched again before its time: there is time left to try again.
            self.core.rechecks.note(&self.key, now, now.saturating_add(recheck));
        }
        let least = u32::try_from(self.settings.config.cache.failure_ttl.as_secs()).unwrap_or(u32::MAX);
        let answer = KeptAnswer {
            bits: self.key.bits().and(EntryBits::FAILURE),
            fetched_seconds: now,
            ttl_seconds: failure_seconds(before.as_ref(), now, least),
            ..KeptAnswer::empty(rcode)
        };
        let is_kept = self.is_kept() && self.key.whose.view.is_none();
        if is_kept && !before.as_ref().is_some_and(is_good) {
            self.core.keeper.keep(&self.key, &answer, epoch);
        }
        tell(self.core.flights.end(&self.key), Some(&Arc::new(answer)));
    }

    /// Tells an answer to clients with a view; for the others the question is asked anew, once for each view.
    fn settle_view(&self, answer: &Arc<KeptAnswer>, view: u16) {
        let snapshot = self.core.keeper.snapshot();
        let mut others: HashMap<u16, Vec<Waiter>> = HashMap::new();
        for waiter in self.core.flights.end(&self.key) {
            match snapshot.view_of(waiter.client) {
                own if own == view => (waiter.done)(Some(Arc::clone(answer))),
                other => others.entry(other).or_default().push(waiter),
            }
        }
        for (view, waiters) in others {
            let mut key = Key::clone(&self.key);
            key.whose.view = Some(view);
            let key = Arc::new(key);
            for waiter in waiters {
                self.core.enter(&self.settings, &self.course, &key, waiter);
            }
        }
    }
}

impl Settings {
    /// For how long an answer may be given stale by who finds it in the cache.
    pub(crate) fn stale_seconds(&self, keep: &KeepConfig) -> u32 {
        // Workers give stale answers at once as soon as a zone has it so: those of other zones are for the forwarder to give.
        // They cannot tell the TTL of stale answers where an entry's TTLs stay as they are.
        let gives_them = self.stale_ttl.is_none() || keep.stale.when == StaleWhen::AtOnce && !keep.keeps_ttl;
        if gives_them { keep.stale.seconds } else { 0 }
    }

    /// How many questions may be under way.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { questions_max: self.config.questions_max, per_client_max: self.config.questions_per_client_max }
    }
}
