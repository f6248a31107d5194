//! What others see: `/health`, `/metrics` and `/api/v1/members`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_controlplane::etcd::SessionError;
use ringdns_health::insight::{Metric, Shown};
use ringdns_health::lead::Standing;
use ringdns_health::scheduler::fence::{Outcome, Write};
use serde_json::{Value, json};

use super::board::{Board, PLACES};
use super::unit::Unit;
use crate::state::ClusterState;

/// What others see.
#[derive(Debug)]
pub struct SyncState {
    /// Everything that is known.
    board: Mutex<Board>,
    /// What is seen of the API server.
    cluster: Arc<ClusterState>,
    /// Who leads.
    standing: Mutex<Standing>,
    /// Why nothing can be written; empty: the last write was carried out, or refused for good reason.
    error: Mutex<String>,
    /// Keys that were written.
    writes: AtomicU64,
    /// Keys that were deleted.
    deletions: AtomicU64,
    /// Transactions that were carried out.
    transactions: AtomicU64,
    /// Transactions that were refused because a key had changed.
    conflicts: AtomicU64,
    /// Transactions that were refused because others lead.
    fenced: AtomicU64,
    /// Transactions without an answer, or with an error for one.
    failures: AtomicU64,
}

/// What is behind a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SyncState {
    /// Of one that has not begun.
    pub(super) fn new(board: Board, cluster: Arc<ClusterState>) -> Self {
        Self {
            board: Mutex::new(board),
            cluster,
            standing: Mutex::default(),
            error: Mutex::default(),
            writes: AtomicU64::default(),
            deletions: AtomicU64::default(),
            transactions: AtomicU64::default(),
            conflicts: AtomicU64::default(),
            fenced: AtomicU64::default(),
            failures: AtomicU64::default(),
        }
    }

    /// Everything that is known.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// What is seen of the API server.
    pub(super) fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }

    /// Notes who leads.
    pub(super) fn note_standing(&self, standing: &Standing) {
        lock(&self.standing).clone_from(standing);
    }

    /// Notes what became of writes.
    pub(super) fn note_outcome<'a>(
        &self,
        outcome: &Result<Outcome, SessionError>,
        writes: impl Iterator<Item = &'a Write>,
    ) {
        let mut error = lock(&self.error);
        error.clear();
        let count = match outcome {
            Ok(Outcome::Written(_)) => {
                for write in writes {
                    let count = if write.value.is_some() { &self.writes } else { &self.deletions };
                    count.fetch_add(1, Ordering::Relaxed);
                }
                &self.transactions
            }
            Ok(Outcome::Conflict) => &self.conflicts,
            Ok(Outcome::Fenced) => &self.fenced,
            Err(found) => {
                *error = found.to_string();
                &self.failures
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// True while this one leads.
    pub fn leads(&self) -> bool {
        lock(&self.standing).fence.is_some()
    }

    /// True where everything is known, and nothing waits to be written.
    pub fn is_synced(&self) -> bool {
        let board = self.board();
        board.is_ready() && board.waiting() == 0
    }

    /// Keys that were written or deleted.
    pub fn written(&self) -> u64 {
        self.writes.load(Ordering::Relaxed) + self.deletions.load(Ordering::Relaxed)
    }

    /// Transactions that were refused because others lead.
    pub fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    /// What only grows: its name as a metric, what it tells, and the value.
    fn counts(&self) -> [(&'static str, &'static str, u64); 7] {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let elections = lock(&self.standing).elections;
        [
            ("ringdns_kubesync_elections", "Times that this one came to lead.", elections),
            ("ringdns_kubesync_writes", "Keys that were written.", number(&self.writes)),
            ("ringdns_kubesync_deletions", "Keys that were deleted.", number(&self.deletions)),
            ("ringdns_kubesync_transactions", "Transactions that were carried out.", number(&self.transactions)),
            ("ringdns_kubesync_conflicts", "Transactions refused because a key had changed.", number(&self.conflicts)),
            ("ringdns_kubesync_fenced", "Transactions refused because another one leads.", number(&self.fenced)),
            ("ringdns_kubesync_failures", "Transactions that etcd did not answer.", number(&self.failures)),
        ]
    }

    /// Everything but the single objects.
    pub fn json(&self) -> Value {
        let standing = lock(&self.standing).clone();
        let error = lock(&self.error).clone();
        let board = self.board();
        let mut facts = json!({
            "leads": standing.fence.is_some(),
            "leader": standing.leader,
            "etcd": if standing.error.is_empty() { error } else { standing.error },
            "listed": PLACES.iter().all(|&place| board.is_listed(place)),
            "synced": board.is_ready() && board.waiting() == 0,
            "services": board.services(),
            "written": board.ledgers.len(),
            "waiting": board.waiting(),
            "foreign": board.foreign.len(),
            "empty": board.is_empty(),
            "cluster": self.cluster.json(),
        });
        drop(board);
        for (name, _, value) in self.counts() {
            facts[name.trim_start_matches("ringdns_kubesync_")] = value.into();
        }
        facts
    }
}

impl Shown for SyncState {
    /// Well while changes come from both sides: one that follows is as good as one that leads.
    fn health(&self) -> (bool, Value) {
        let facts = self.json();
        let is_well =
            self.cluster.is_connected() && facts["etcd"] == "" && facts["listed"] == true && facts["empty"] == false;
        (is_well, facts)
    }

    fn members(&self) -> Vec<Value> {
        let board = self.board();
        let mut units: Vec<&Unit> = board.wanted.keys().chain(board.ledgers.keys()).collect();
        units.sort_unstable();
        units.dedup();
        let member = |unit: &Unit| {
            let keys: Vec<&String> =
                board.wanted.get(unit).into_iter().flat_map(|wanted| wanted.records.keys()).collect();
            let foreign = board.foreign.get(unit);
            let state = match (board.is_waiting(unit), foreign) {
                (true, _) => "WAITING",
                (false, Some(_)) => "FOREIGN",
                (false, None) => "WRITTEN",
            };
            json!({ "target": unit.name(), "kind": unit.kind(), "state": state, "keys": keys, "foreign": foreign })
        };
        units.into_iter().map(member).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let flag = |flag: bool| f64::from(u8::from(flag));
        let standing = lock(&self.standing).clone();
        let board = self.board();
        let etcd = standing.error.is_empty() && lock(&self.error).is_empty();
        let mut metrics = vec![
            Metric::gauge("ringdns_kubesync_leads", "1 while this one leads.", flag(standing.fence.is_some())),
            Metric::gauge("ringdns_kubesync_etcd_connected", "1 while etcd answers.", flag(etcd)),
            Metric::gauge(
                "ringdns_kubesync_cluster_connected",
                "1 while changes of every kind come from the API server.",
                flag(self.cluster.is_connected()),
            ),
            Metric::gauge("ringdns_kubesync_services", "Services that are known.", board.services() as f64),
            Metric::gauge("ringdns_kubesync_written", "Services and Pods with records.", board.ledgers.len() as f64),
            Metric::gauge("ringdns_kubesync_waiting", "Objects that wait to be written.", board.waiting() as f64),
            Metric::gauge("ringdns_kubesync_foreign", "Objects whose keys others have.", board.foreign.len() as f64),
        ];
        drop(board);
        for (name, help, value) in self.counts() {
            metrics.push(Metric::counter(name, help, value as f64));
        }
        metrics
    }
}
