//! What is done about an upstream while nobody asks it: probes after failures, and looking for loops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ringdns_engine::name::WireName;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::counts::Counts;
use super::{Ask, Inner, loops, random};

/// What a probe gets; what takes longer is a failure to any client.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// The longest time between two probes.
const PROBE_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Loops are looked for once after the switches' time, for this server may not listen yet at first, and then after so many
/// times that. The last one is from then on the interval: upstreams' own upstreams change too.
const LOOP_FACTORS: [u32; 3] = [10, 60, 600];

/// An upstream that leads back is looked at again after so many times that: somebody may have mended it.
const LOOP_AGAIN_FACTOR: u32 = 30;

/// What came back has come within this after the answer.
const LOOP_PATIENCE: Duration = Duration::from_secs(1);

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(86_400);

/// NS, which any server has something to say about for the root.
const NS: u16 = 2;

/// Looks after an upstream until it is gone. `wake` tells of failures, and that it is gone.
pub(super) async fn tend(upstream: Weak<Inner>, wake: Arc<Notify>) {
    let mut factors = LOOP_FACTORS.iter().copied();
    let mut loop_at = None;
    let mut probes: Option<Probes> = None;
    loop {
        let Some(inner) = upstream.upgrade() else { return };
        let now = Instant::now();
        if let (None, Some(after)) = (loop_at, inner.switches.loops_after) {
            loop_at = Some(now + after);
        }
        if inner.switches.failures_max == 0 || inner.health.failures_in_row() == 0 {
            probes = None;
        } else if probes.is_none() {
            // At once: whether one name is slow or the whole upstream is gone is known before the next question fails.
            probes = Some(Probes { at: now, interval: inner.switches.probe_interval });
        }
        if let Some(due) = probes.as_mut().filter(|probes| probes.at <= now) {
            Counts::add(&inner.counts.probes);
            if inner.ask_once(&question(&WireName::root(), NS), PROBE_TIME).await.is_err() {
                Counts::add(&inner.counts.probes_failed);
            }
            due.put_off();
            continue;
        }
        if let (Some(after), true) = (inner.switches.loops_after, loop_at.is_some_and(|at| at <= now)) {
            look_for_loop(&inner).await;
            let factor = factors.next().or(LOOP_FACTORS.last().copied()).unwrap_or(LOOP_AGAIN_FACTOR);
            let factor = if inner.loops.is_loop() { factor.min(LOOP_AGAIN_FACTOR) } else { factor };
            loop_at = Some(Instant::now() + after * factor);
            continue;
        }
        drop(inner);
        let next = probes.as_ref().map(|probes| probes.at).into_iter().chain(loop_at).min();
        tokio::select! {
            () = wake.notified() => {}
            () = sleep_until(next.unwrap_or(now + NEVER)) => {}
        }
    }
}

/// When the next probe is due.
struct Probes {
    /// Then.
    at: Instant,
    /// And after that.
    interval: Duration,
}

impl Probes {
    /// The next one is later by the interval, which doubles; by chance a quarter sooner or later, so that many servers do not
    /// ask a returning upstream at one time.
    fn put_off(&mut self) {
        let half_ms = u64::try_from(self.interval.as_millis() / 2).unwrap_or(0);
        self.at = Instant::now() + self.interval * 3 / 4 + Duration::from_millis(random::below(half_ms.max(1)));
        self.interval = (self.interval * 2).min(PROBE_INTERVAL_MAX.max(self.interval));
    }
}

/// Asks for a name that nobody else knows, and sees whether somebody asks this server for it.
async fn look_for_loop(inner: &Inner) {
    let Some(name) = inner.loops.name(&inner.switches.zone) else { return };
    inner.loops.begin_round();
    let was_loop = inner.loops.is_loop();
    if inner.ask_once(&question(&name, loops::QTYPE), PROBE_TIME).await.is_ok() {
        sleep(LOOP_PATIENCE).await;
        inner.loops.end_round();
    }
    if was_loop && !inner.loops.is_loop() {
        tracing::info!(
            upstream = inner.name,
            "the upstream does not lead back to this server any more: it is used again"
        );
    }
}

/// A question without more.
fn question(name: &WireName, qtype: u16) -> Ask<'_> {
    Ask { name, qtype, dnssec_ok: false, checking_disabled: false, client_subnet: None }
}
