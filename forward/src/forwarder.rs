//! The forwarder as others see it.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use ringdns_controlplane::config::forward::{ForwardConfig, ForwardMode, ForwardZone, StaleWhen, UpstreamConfig};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_engine::cache::{CacheKey, CacheShelf, EntryHead};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, KeptAnswer, name_hash};
use ringdns_engine::snapshot::Snapshot;
use tokio::runtime::Handle;

use crate::bootstrap::Hosts;
use crate::counts::Counts;
use crate::exchange::{Connect, network};
use crate::flight::{Core, tell};
use crate::keep::Keeper;
use crate::metrics::ForwarderMetrics;
use crate::normalise::{Record, Untrue, expand, rcodes};
use crate::policy::{Policy, Ruling};
use crate::upstream::{self, Means, UpstreamState};
use crate::zones::{Builder, Table};
use crate::{bootstrap, persist, prefetch, shown, watch};

/// Most UDP sockets that are open at a time, though each question under way may have two: there are some 28,000 ports to choose
/// from, and chance needs room. Where the process may open fewer files, exchanges fail as such.
const SOCKETS_MAX: usize = 20_000;

/// Most servers of a stub zone that are asked, as of any other zone.
const STUB_UPSTREAMS_MAX: usize = 64;

/// Gives the newest published snapshot.
pub type Snapshots = Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// Tells the time in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u32 + Send + Sync>;

/// Why the forwarder cannot be started, or another configuration not be taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream cannot be used.
    #[error("forward zone {zone}: {error}")]
    Upstream {
        /// Of which zone.
        zone: WireName,
        /// Why.
        error: upstream::StartError,
    },
}

/// What is another in tests.
#[derive(Clone)]
pub struct Seams {
    /// Takes upstreams up.
    pub connect: Connect,
    /// Tells the time: by the clock that workers have theirs from.
    pub clock: Clock,
}

impl Default for Seams {
    /// The network, and the machine's clock.
    fn default() -> Self {
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { connect: network(), clock: Arc::new(move || u32::try_from(since().as_secs()).unwrap_or(u32::MAX)) }
    }
}

/// The configuration, and what was made of it.
pub(crate) struct Settings {
    /// As it was given.
    pub(crate) given: ForwardConfig,
    /// The same with the zones that came since.
    pub(crate) config: ForwardConfig,
    /// Who is asked for which names.
    pub(crate) table: Table,
    /// The TTL of stale answers that workers give at once; nothing where they give none.
    pub(crate) stale_ttl: Option<u32>,
}

impl Settings {
    /// What is made of a configuration, and of zones beside it.
    fn new(given: &ForwardConfig, stubs: &StubZones, builder: &Builder<'_>) -> Result<Self, StartError> {
        let config = with_stubs(given, stubs);
        let at_once = config.zones.iter().map(|zone| &zone.keep.stale);
        let at_once = at_once.filter(|stale| stale.seconds > 0 && stale.when == StaleWhen::AtOnce);
        let stale_ttl = at_once.map(|stale| stale.ttl_seconds).min();
        Ok(Self { given: given.clone(), table: builder.build(&config)?, config, stale_ttl })
    }

    /// The same without the upstreams whose addresses have to be asked for: by these they are.
    pub(crate) fn by_address(&self) -> Self {
        let (given, config) = (self.given.clone(), self.config.clone());
        Self { given, config, table: self.table.by_address(), stale_ttl: None }
    }

    /// True where an answer would be kept now, as it was by a process before this one.
    fn may_keep(&self, policy: &dyn Policy, question: &ForeignQuestion, entry: &Entry) -> bool {
        let zone = self.table.zone_of(&question.name);
        let is_kept = zone.is_some_and(|zone| zone.config.mode == ForwardMode::Cache);
        is_kept && policy.rule(question) == Ruling::Ask && !policy.touches(entry)
    }
}

/// Settings that are replaced as a whole.
pub(crate) struct Shared {
    /// As they are.
    current: RwLock<Arc<Settings>>,
    /// Held by who makes others.
    renewing: Mutex<()>,
}

impl Shared {
    /// As they are now.
    pub(crate) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Core {
    /// Takes another configuration, or what files name by the same; where it is not taken all stays as it was.
    pub(crate) fn renew(&self, config: Option<&ForwardConfig>) -> Result<(), StartError> {
        let _renewing = self.settings.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.settings.get();
        let mut config = config.unwrap_or(&before.given).clone();
        // The memory is there, and the file is that of the start.
        config.cache.bytes = before.config.cache.bytes;
        config.cache.file.clone_from(&before.config.cache.file);
        let (connect, means, hosts) = (&self.connect, &self.means, &self.hosts);
        let builder = Builder { connect, means, hosts, before: Some(&before.table) };
        let stubs = self.stubs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let settings = Settings::new(&config, &stubs, &builder)?;
        let settings = Arc::new(settings);
        *self.settings.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&settings);
        // What others have said is not what is said now; what they are just saying is not kept either.
        if settings.table.differs(&before.table) {
            let stays = |name: &WireName| settings.table.asks_as(&before.table, name);
            self.keeper.flush_where(&|entry| !stays(&entry.name));
        }
        self.hosts.wake();
        Ok(())
    }
}

/// Asks others, and keeps what they say. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Arc<Core>);

/// An upstream of a zone, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneUpstream {
    /// The zone that it is asked for.
    pub zone: WireName,
    /// As it is configured; at no address where that is not known.
    pub config: UpstreamConfig,
    /// The name that its address was asked for, if it was, and why it is not known, or not known anew.
    pub host: Option<(WireName, Option<String>)>,
    /// How it is.
    pub state: UpstreamState,
}

/// A configuration with zones beside it: those that it does not have itself.
fn with_stubs(given: &ForwardConfig, stubs: &StubZones) -> ForwardConfig {
    let mut config = given.clone();
    let is_new = |zone: &WireName| !given.zones.iter().any(|known| known.zone == *zone);
    for (zone, servers) in stubs.iter().filter(|(zone, _)| is_new(zone)) {
        let (own, others): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
            servers.iter().partition(|server| given.is_own(**server));
        if let Some(own) = own.first() {
            tracing::warn!(%zone, "{own} is not asked for the stub zone: RingDNS itself answers there");
        }
        let upstreams = others.into_iter().map(|server| UpstreamConfig::Plain(*server)).take(STUB_UPSTREAMS_MAX);
        // Whoever does not ask for all other names asks for these.
        let mode = Some(given.common.mode).filter(|mode| *mode != ForwardMode::Disable).unwrap_or_default();
        config.zones.push(ForwardZone {
            zone: zone.clone(),
            upstreams: upstreams.collect(),
            mode,
            ..given.common.clone()
        });
    }
    config
}

/// An entry of the cache, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in lower case.
    pub name: WireName,
    /// The type that was asked for.
    pub qtype: u16,
    /// The answer.
    pub answer: KeptAnswer,
    /// How often it was used of late, up to 15.
    pub uses: u8,
}

impl Entry {
    /// An entry that a walk has come by; nothing where it has gone since.
    pub(crate) fn read(
        shelf: &CacheShelf,
        snapshot: &Snapshot,
        name: WireName,
        head: &EntryHead,
        uses: u8,
    ) -> Option<Self> {
        let (name_hash, qtype) = (name_hash(snapshot, &name), head.qtype);
        let answer = shelf.read(&CacheKey { name_hash, name: name.as_bytes(), qtype, bits: head.bits })?;
        Some(Self { name, qtype, answer, uses })
    }

    /// Its records as they were fetched: those of the answer, and those of the authority section.
    pub fn records(&self) -> Result<[Vec<Record>; 2], Untrue> {
        let message = expand(&self.name, self.qtype, &self.answer)?;
        Ok([message.answers, message.authorities])
    }

    /// Seconds that it may still be given; less than 0 where its time is over.
    pub fn seconds_left(&self, now_seconds: u32) -> i64 {
        i64::from(self.answer.fetched_seconds) + i64::from(self.answer.ttl_seconds) - i64::from(now_seconds)
    }
}

impl Forwarder {
    /// Starts to forward: the cache's memory is taken, its file read, upstreams are taken up. All that waits runs on `runtime`.
    /// The seed of the snapshots must be the same for as long as the process lives.
    pub fn start(
        config: &ForwardConfig,
        runtime: Handle,
        snapshots: Snapshots,
        policy: Arc<dyn Policy>,
    ) -> Result<Self, StartError> {
        Self::start_with(config, runtime, snapshots, policy, Seams::default())
    }

    /// The same with other upstreams than the network's, or another clock.
    pub fn start_with(
        config: &ForwardConfig,
        runtime: Handle,
        snapshots: Snapshots,
        policy: Arc<dyn Policy>,
        Seams { connect, clock }: Seams,
    ) -> Result<Self, StartError> {
        let means = Means::new(runtime.clone(), SOCKETS_MAX.min(config.questions_max.saturating_mul(2)));
        let hosts = Arc::<Hosts>::default();
        let builder = Builder { connect: &connect, means: &means, hosts: &hosts, before: None };
        let settings = Settings::new(config, &StubZones::new(), &builder)?;
        let keeper = Keeper::new(config.cache.bytes, snapshots);
        let now_seconds = clock();
        if let Some(path) = &config.cache.file {
            persist::load(path, &keeper, now_seconds, &|question, entry| settings.may_keep(&*policy, question, entry));
        }
        let core = Arc::new(Core {
            runtime,
            policy,
            clock,
            settings: Shared { current: RwLock::new(Arc::new(settings)), renewing: Mutex::default() },
            connect,
            means,
            hosts,
            stubs: Mutex::default(),
            keeper,
            flights: Default::default(),
            rechecks: Default::default(),
            rates: Default::default(),
            askers: Default::default(),
            counts: Counts::default(),
            saving: Mutex::default(),
            is_stopped: Default::default(),
        });
        core.runtime.spawn(prefetch::run(Arc::downgrade(&core)));
        core.runtime.spawn(watch::run(Arc::downgrade(&core)));
        core.runtime.spawn(bootstrap::run(Arc::downgrade(&core), Arc::clone(&core.hosts)));
        core.runtime.spawn(persist::run(Arc::downgrade(&core)));
        Ok(Self(core))
    }

    /// What workers see of the cache; the same for as long as the forwarder lives.
    pub fn shelf(&self) -> Arc<CacheShelf> {
        Arc::clone(self.0.keeper.shelf())
    }

    /// The TTL of stale answers that workers give at once; nothing where they give none. Another after [`Self::reload`], perhaps.
    pub fn stale_ttl(&self) -> Option<u32> {
        self.0.settings.get().stale_ttl
    }

    /// Takes another configuration; the size of the cache and its file stay. Upstreams that are in both keep their state. Where
    /// it is not taken all stays as it was. Entries of zones for which others are asked from now on are removed.
    pub fn reload(&self, config: &ForwardConfig) -> Result<(), StartError> {
        self.0.renew(Some(config))
    }

    /// Removes entries: of names at and below one, of one type. Gives their number. Answers under way are not kept.
    pub fn flush(&self, below: Option<&WireName>, qtype: Option<u16>) -> usize {
        self.0.keeper.flush(below, qtype)
    }

    /// Removes entries for which a function says so: those that a policy has come to be about. Gives their number. Answers under way
    /// are not kept. It takes as long as reading all of the cache does, and nobody waits for it.
    pub fn flush_where(&self, goes: &dyn Fn(&Entry) -> bool) -> usize {
        self.0.keeper.flush_where(goes)
    }

    /// What is behind it: for those of this crate that show it.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0
    }

    /// Entries of names at and below one, the oldest first: those behind the first `skipped`, `count` at most.
    pub fn entries(&self, below: Option<&WireName>, skipped: usize, count: usize) -> Vec<Entry> {
        self.0.keeper.entries(below, skipped, count)
    }

    /// The upstreams of all zones; those whose addresses are not known behind the others of their zone.
    pub fn upstreams(&self) -> Vec<ZoneUpstream> {
        let settings = self.0.settings.get();
        settings.table.zones().into_iter().flat_map(|zone| shown::upstreams_of(zone, &self.0.hosts)).collect()
    }

    /// Has others asked for zones beside those of the configuration, which count more; for these, and no others. Entries of names
    /// for which others are asked from now on are removed.
    pub fn set_stub_zones(&self, zones: &StubZones) {
        let core = &self.0;
        let mut stubs = core.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        if *stubs == *zones {
            return;
        }
        stubs.clone_from(zones);
        drop(stubs);
        match core.renew(None) {
            Ok(()) => tracing::info!(zones = zones.len(), "the stub zones have changed"),
            Err(error) => tracing::error!("the stub zones cannot be used: {error}"),
        }
    }

    /// The time, in seconds since 1970.
    pub(crate) fn now_seconds(&self) -> u32 {
        self.0.now_seconds()
    }

    /// Metrics.
    pub fn metrics(&self) -> Box<dyn Collector> {
        Box::new(ForwarderMetrics(Arc::clone(&self.0)))
    }

    /// Ends it: who waits is told SERVFAIL, and the cache's file is written. Questions that come later are told SERVFAIL.
    pub fn stop(&self) {
        let core = &self.0;
        if core.is_stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        tell(core.flights.close(), Some(&Arc::new(KeptAnswer::empty(rcodes::SERVFAIL))));
        persist::save_at_end(core);
    }
}

impl AskOthers for Forwarder {
    fn ask(&self, question: ForeignQuestion, done: Done) {
        self.0.ask(&question, done);
    }
}
