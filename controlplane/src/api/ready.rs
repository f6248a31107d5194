//! Readiness and status: have all sources been read, do the workers poll, and what is odd.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ringdns_engine::counters::Counters;
use serde_json::{Value, json};

use super::Context;
use super::answer::Answer;

/// How long a worker may poll nothing before it counts as stalled. A worker that sleeps polls ten times a second.
const STALLED_AFTER: Duration = Duration::from_secs(3);

/// How often the workers are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What was seen of a worker.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Its polls when they last rose.
    polls: u64,
    /// When they last rose; never before the first poll.
    rose: Option<Instant>,
}

/// Watches whether the workers poll.
#[derive(Debug)]
pub(crate) struct Workers {
    /// What the workers count.
    counters: Vec<Arc<Counters>>,
    /// What was seen of each.
    seen: Mutex<Vec<Seen>>,
}

/// Looks at workers at intervals, as long as anybody can ask.
pub(crate) async fn look(workers: Weak<Workers>) {
    while let Some(workers) = workers.upgrade() {
        workers.look();
        drop(workers);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

impl Workers {
    /// Workers that were not looked at yet.
    pub(crate) fn new(counters: Vec<Arc<Counters>>) -> Self {
        let seen = vec![Seen { polls: 0, rose: None }; counters.len()];
        Self { counters, seen: Mutex::new(seen) }
    }

    /// Looks at every worker; called at intervals.
    pub(crate) fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (seen, counters) in seen.iter_mut().zip(&self.counters) {
            let polls = counters.polls.get();
            if polls != seen.polls {
                *seen = Seen { polls, rose: Some(Instant::now()) };
            }
        }
    }

    /// Whether each worker polls.
    fn polling(&self) -> Vec<bool> {
        self.look();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|seen| seen.rose.is_some_and(|rose| rose.elapsed() < STALLED_AFTER)).collect()
    }
}

/// Something that keeps the server from being ready.
#[derive(Debug)]
pub(crate) struct Missing {
    /// What it is called.
    pub(crate) name: String,
    /// A sentence for people.
    text: String,
}

/// True where every worker polls.
pub(crate) fn all_poll(context: &Context) -> bool {
    context.workers.polling().into_iter().all(|polling| polling)
}

/// Everything that keeps the server from being ready, in the order of sources, workers and sockets.
pub(crate) fn missing(context: &Context) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut note = |name: &str, text: String| missing.push(Missing { name: name.to_owned(), text });
    if context.state.is_ending() {
        note("shutdown", "the server is about to end".to_owned());
    }
    for source in &context.state.sources {
        match source.failure() {
            Some(failure) => note(source.name, format!("source {} has ended: {failure}", source.name)),
            None if !source.is_synced() => note(source.name, format!("source {} has not been read", source.name)),
            None => {}
        }
    }
    for (worker, _) in context.workers.polling().iter().enumerate().filter(|(_, polling)| !**polling) {
        note("workers", format!("worker {worker} does not poll its ports"));
    }
    if context.sockets.as_ref().is_some_and(|sockets| sockets.ended.load(Ordering::Relaxed) > 0) {
        note("sockets", "a thread of the DNS sockets has ended".to_owned());
    }
    missing
}

/// `/ready`
pub(super) fn answer(context: &Context) -> Answer {
    let missing: Vec<String> = missing(context).into_iter().map(|missing| missing.text).collect();
    let polling = context.workers.polling();
    let failed: Vec<Value> = (context.state.zone_files().into_iter())
        .filter_map(|file| {
            let error = file.error?;
            Some(json!({
                "zone": file.zone.to_string(),
                "path": file.path,
                "served": if file.records.is_some() { "as it was before" } else { "SERVFAIL" },
                "error": error,
            }))
        })
        .collect();
    let ready = missing.is_empty();
    let workers: Vec<Value> =
        polling.iter().enumerate().map(|(worker, polling)| json!({ "worker": worker, "polling": polling })).collect();
    let mut body = json!({
        "ready": ready, "missing": missing, "sources": sources(context), "workers": workers,
        "zone_files_failed": failed, "etcd": context.state.etcd.get().map(|etcd| etcd.json()),
        "store_etcd": context.state.replica.get().map(|replica| replica.json()),
    });
    show_guests(context, &mut body);
    Answer::json(if ready { 200 } else { 503 }, &body)
}

/// Adds what sources of other crates show.
fn show_guests(context: &Context, body: &mut Value) {
    for (name, shown) in context.state.guests.get().into_iter().flatten() {
        body[*name] = shown.json();
    }
}

/// The state of each source.
fn sources(context: &Context) -> Vec<Value> {
    (context.state.sources.iter())
        .map(|source| json!({ "name": source.name, "synced": source.is_synced(), "age_seconds": source.age_seconds() }))
        .collect()
}

/// `/api/v1/status`
pub(super) fn status(context: &Context) -> Value {
    let served = context.state.served();
    let sockets = context.sockets.as_ref().map(|sockets| {
        json!({
            "tcp_connections": sockets.open.load(Ordering::Relaxed),
            "tcp_connections_max": sockets.connections_max,
        })
    });
    let times = context.state.publish_times();
    let mut body = json!({
        "version": context.build.version,
        "commit": context.build.commit,
        "dpdk": context.build.dpdk,
        "synced": context.state.is_synced(),
        "sources": sources(context),
        "etcd": context.state.etcd.get().map(|etcd| etcd.json()),
        "store_etcd": context.state.replica.get().map(|replica| replica.json()),
        "workers": context.workers.counters.len(),
        "sockets": sockets,
        "snapshot": {
            "generation": served.snapshot.generation(),
            "zones": served.zones.len(),
            "names": served.snapshot.names(),
            "rrsets": served.snapshot.rrsets(),
            "memory_bytes": served.snapshot.memory_bytes(),
            "last_publish_seconds": times.last_seconds,
        },
        "configuration": context.settings.last_json(),
        "shadowed_rrsets": context.state.losers.load(Ordering::Relaxed),
        "refused_changes": context.state.refusals.load(Ordering::Relaxed),
    });
    show_guests(context, &mut body);
    body
}
