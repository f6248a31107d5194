//! Looks after what is kept: what is in use is fetched again before its time is over, or as soon as it is given stale; what is of
//! a zone that came is removed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardMode, StaleWhen};
use ringdns_engine::cache::{EntryBits, EntryHead, ScanPlace, Seen};
use ringdns_engine::name::WireName;

use crate::flight::Core;
use crate::forwarder::Settings;
use crate::question::{Key, Whose};
use crate::zones::Zone;

/// How often entries are looked at: their times are in seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Heads of entries that are looked at while the cache is held: some tenths of a millisecond.
const HEADS_AT_ONCE_MAX: usize = 20_000;

/// Most entries that are fetched again in one look.
const REFRESHES_MAX: usize = 1_000;

/// What of the configuration decides, before an entry's name is read.
#[derive(Clone, Copy, Default)]
struct Bounds {
    /// Some zone fetches again when less than that part of the time is left, in percent; 0: none does.
    percent: u8,
    /// Some zone gives stale answers at once.
    stale: bool,
}

/// Looks after the cache as long as there is a forwarder.
pub(crate) async fn run(core: Weak<Core>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(core) = core.upgrade().filter(|core| !core.is_stopped.load(Ordering::Acquire)) else { return };
        core.counts.swept.add(core.keeper.sweep() as u64);
        core.askers.look(core.now_seconds());
        look(&core).await;
    }
}

/// Looks at all entries once.
async fn look(core: &Arc<Core>) {
    let settings = core.settings.get();
    let bounds = bounds(&settings);
    if bounds.percent == 0 && !bounds.stale {
        return;
    }
    let mut place = Some(ScanPlace::default());
    let mut refreshed = 0;
    while let Some(from) = place {
        let now = core.now_seconds();
        let mut due = Vec::new();
        let wanted = |head: &EntryHead| bounds.may_be_due(head, now);
        let show = |seen: &Seen<'_>| due.extend(candidate(&settings, seen, now));
        place = core.keeper.desk().scan(from, HEADS_AT_ONCE_MAX, wanted, show);
        for (zone, key) in due {
            if refreshed >= REFRESHES_MAX {
                return;
            }
            if !core.rechecks.is_too_early(&key, now) {
                refreshed += usize::from(core.refresh(&settings, &zone, &key));
            }
        }
        // Questions are more urgent.
        tokio::task::yield_now().await;
    }
}

/// What of the configuration decides.
fn bounds(settings: &Settings) -> Bounds {
    let mut bounds = Bounds::default();
    for zone in settings.table.zones() {
        let keep = &zone.config.keep;
        if keep.prefetch_uses > 0 {
            bounds.percent = bounds.percent.max(keep.prefetch_percent).max(1);
        }
        bounds.stale |= keep.stale.seconds > 0 && keep.stale.when == StaleWhen::AtOnce;
    }
    bounds
}

impl Bounds {
    /// True for an entry that some zone would have fetched again.
    fn may_be_due(self, head: &EntryHead, now_seconds: u32) -> bool {
        if head.bits.has(EntryBits::FAILURE) {
            return false;
        }
        match head.is_fresh(now_seconds) {
            true => self.percent > 0 && is_nearly_over(head, now_seconds, self.percent),
            false => self.stale && head.is_stale_but_good(now_seconds),
        }
    }
}

/// True where less than a part of an entry's time is left, or a second, as CoreDNS has it.
fn is_nearly_over(head: &EntryHead, now_seconds: u32, percent: u8) -> bool {
    let left = head.ttl_seconds.saturating_sub(head.age_seconds(now_seconds));
    left <= 1 || u64::from(left) * 100 < u64::from(head.ttl_seconds) * u64::from(percent)
}

/// The question of an entry that is to be fetched again by the rules of its zone.
fn candidate(settings: &Settings, seen: &Seen<'_>, now_seconds: u32) -> Option<(Arc<Zone>, Arc<Key>)> {
    let name = WireName::from_wire(seen.name).ok()?;
    let zone = settings.table.zone_of(&name)?;
    let keep = &zone.config.keep;
    let is_due = match seen.head.is_fresh(now_seconds) {
        true => {
            keep.prefetch_uses > 0
                && seen.uses >= keep.prefetch_uses.min(USES_MAX)
                && is_nearly_over(&seen.head, now_seconds, keep.prefetch_percent)
        }
        false => keep.stale.when == StaleWhen::AtOnce && seen.uses > 0,
    };
    if !is_due || zone.config.mode != ForwardMode::Cache {
        return None;
    }
    let key = Key {
        name: Arc::new(name),
        qtype: seen.head.qtype,
        dnssec_ok: seen.head.bits.has(EntryBits::DNSSEC_OK),
        checking_disabled: seen.head.bits.has(EntryBits::CHECKING_DISABLED),
        whose: Whose::default(),
    };
    Some((Arc::clone(zone), Arc::new(key)))
}

/// Most uses that an entry counts.
const USES_MAX: u8 = 15;
