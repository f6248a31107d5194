//! When which target is checked. Every target has one check at a time; what is due while too many run waits for its turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::board::{Outcome, Target};
use crate::chance;
use crate::values::Health;

/// A new target is checked within this time, or within its interval where that is shorter.
const FIRST: Duration = Duration::from_secs(1);

/// A target with its number.
type Numbered = (Target, u64);

/// Schedules until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, mut came: mpsc::UnboundedReceiver<Vec<Numbered>>) {
    let slots = Arc::new(Semaphore::new(shared.config.checks_max));
    let (ended, mut ends) = mpsc::unbounded_channel::<(Numbered, Instant)>();
    // Two can be due at once: the second number tells them apart.
    let mut due: BTreeMap<(Instant, u64), Target> = BTreeMap::new();
    loop {
        let next = due.keys().next().map(|(time, _)| *time);
        let next = async {
            match next {
                Some(time) => tokio::time::sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            targets = came.recv() => {
                let Some(targets) = targets else { return };
                for (target, number) in targets {
                    let time = Instant::now() + chance::below(shared.config.interval.min(FIRST));
                    due.insert((time, number), target);
                }
            }
            end = ends.recv() => {
                let Some(((target, number), began)) = end else { return };
                let is_ours = shared.board().members().get(&target).is_some_and(|member| member.number == number);
                if is_ours {
                    let interval = chance::around(shared.config.interval, shared.config.jitter_percent);
                    due.insert(((began + interval).max(Instant::now()), number), target);
                }
            }
            () = next => {
                while let Some(entry) = due.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
                    let ((time, number), target) = entry.remove_entry();
                    let check = check(Arc::clone(&shared), (target, number), time, Arc::clone(&slots), ended.clone());
                    tokio::spawn(check);
                }
            }
        }
    }
}

/// One check, as soon as there is room for it.
async fn check(
    shared: Arc<Shared>,
    (target, number): Numbered,
    due: Instant,
    slots: Arc<Semaphore>,
    ended: mpsc::UnboundedSender<(Numbered, Instant)>,
) {
    shared.counts.waiting.add(1);
    let slot = slots.acquire().await;
    shared.counts.waiting.sub(1);
    let began = Instant::now();
    shared.counts.began(began.saturating_duration_since(due));
    let outcome = look(&shared, &target).await;
    shared.counts.running.sub(1);
    drop(slot);
    count(&shared, &outcome);
    let turn = shared.board().take_outcome(&target, number, outcome, SystemTime::now());
    let has_turned = turn.is_some();
    if let Some(turn) = turn {
        let (name, before) = (&target.name, turn.before.map_or("unknown", Health::word));
        tracing::info!(target = name, before, now = turn.health.word(), "a target has turned");
        let turned = if turn.health == Health::Up { &shared.counts.turned_up } else { &shared.counts.turned_down };
        turned.add(1);
        // Where several agents check, what they decide together is told when it stands in etcd.
        if !shared.board().shares(&target) {
            shared.tell(&target, turn.health);
        }
    }
    let lease = i64::try_from(shared.counts.lease.get()).unwrap_or_default();
    // etcd may hold something else than we know; the server that we are part of cannot.
    let is_due = if shared.is_alone { has_turned } else { shared.board().due(&target, lease).is_some() };
    if is_due {
        shared.inbox.add([target.clone()]);
    }
    // Where the schedule has ended, so will we.
    let _ = ended.send(((target, number), began));
}

/// Probes a target, and again where it does not answer.
async fn look(shared: &Shared, target: &Target) -> Outcome {
    if !shared.config.check {
        return Outcome::Up;
    }
    let plan = shared.board().plan(target);
    let mut tries_left = shared.config.retries;
    loop {
        match shared.prober.probe(&target.name, &plan).await {
            Ok(()) => return Outcome::Up,
            Err(error) if tries_left == 0 => {
                let is_ours = error.is_ours();
                return if is_ours { Outcome::Fault(error.to_string()) } else { Outcome::Down(error.to_string()) };
            }
            Err(_) => {
                tries_left -= 1;
                tokio::time::sleep(shared.config.retry_pause).await;
            }
        }
    }
}

/// Counts what was found.
fn count(shared: &Shared, outcome: &Outcome) {
    match outcome {
        Outcome::Up => shared.counts.up.add(1),
        Outcome::Down(_) => shared.counts.down.add(1),
        Outcome::Fault(error) => {
            shared.counts.faults.add(1);
            tracing::debug!("a check could not be made: {error}");
        }
    }
}
