//! What others see of a scheduler.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::board::Board;
use super::fence::{Outcome, Write};

/// What others see of a scheduler. Written by it alone.
#[derive(Debug)]
pub struct SchedulerState {
    /// Who it is in locks.
    name: String,
    /// What etcd has.
    board: Arc<Mutex<Board>>,
    /// True while it leads.
    leads: AtomicBool,
    /// True while a watch is open.
    connected: AtomicBool,
    /// Revision of etcd up to which everything was taken.
    revision: AtomicI64,
    /// Times that it came to lead.
    elections: AtomicU64,
    /// Times that everything was listed.
    lists: AtomicU64,
    /// Times that a connection failed or was lost.
    failures: AtomicU64,
    /// Keys that were written.
    writes: AtomicU64,
    /// Keys that were deleted.
    deletions: AtomicU64,
    /// Transactions that were refused because a key had changed.
    conflicts: AtomicU64,
    /// Transactions that were refused because others lead.
    fenced: AtomicU64,
    /// Why there is no connection; empty: there is one.
    error: Mutex<String>,
    /// Who holds the locks; empty: nobody.
    leader: Mutex<String>,
}

impl SchedulerState {
    /// Of one that has not begun.
    pub(super) fn new(name: &str, board: Arc<Mutex<Board>>) -> Self {
        Self {
            name: name.to_owned(),
            board,
            leads: AtomicBool::default(),
            connected: AtomicBool::default(),
            revision: AtomicI64::default(),
            elections: AtomicU64::default(),
            lists: AtomicU64::default(),
            failures: AtomicU64::default(),
            writes: AtomicU64::default(),
            deletions: AtomicU64::default(),
            conflicts: AtomicU64::default(),
            fenced: AtomicU64::default(),
            error: Mutex::default(),
            leader: Mutex::default(),
        }
    }

    /// What etcd has.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// True while it leads.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// True while it hears of changes.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Transactions that were refused because others lead.
    pub fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    /// Why there is no connection; empty: there is one.
    pub fn error(&self) -> String {
        lock(&self.error).clone()
    }

    /// Who holds the locks; empty: nobody.
    pub fn leader(&self) -> String {
        lock(&self.leader).clone()
    }

    /// Revision of etcd up to which everything was taken.
    pub(super) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// What only grows: its name as a metric, what it tells, and the value.
    pub(super) fn counts(&self) -> [(&'static str, &'static str, u64); 7] {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            ("ringdns_scheduler_elections", "Times that this scheduler came to lead.", number(&self.elections)),
            ("ringdns_scheduler_lists", "Times that all keys were listed.", number(&self.lists)),
            (
                "ringdns_scheduler_failures",
                "Times that a connection to etcd failed or was lost.",
                number(&self.failures),
            ),
            ("ringdns_scheduler_writes", "Jobs and states that were written.", number(&self.writes)),
            ("ringdns_scheduler_deletions", "Jobs and observations that were deleted.", number(&self.deletions)),
            (
                "ringdns_scheduler_conflicts",
                "Transactions that were refused because a key had changed.",
                number(&self.conflicts),
            ),
            (
                "ringdns_scheduler_fenced",
                "Transactions that were refused because another scheduler leads.",
                number(&self.fenced),
            ),
        ]
    }

    /// Notes that everything was listed.
    pub(super) fn note_listed(&self, revision: i64) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.revision.store(revision, Ordering::Relaxed);
    }

    /// Notes how far it has come.
    pub(super) fn note_revision(&self, revision: i64) {
        self.revision.fetch_max(revision, Ordering::Relaxed);
    }

    /// Notes that a watch is open, and whether it still leads.
    pub(super) fn note_connected(&self, leads: bool) {
        lock(&self.error).clear();
        self.leads.store(leads, Ordering::Relaxed);
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Notes that there is none any more; true where there was one. Whether it leads cannot be known then.
    pub(super) fn note_failure(&self, error: String) -> bool {
        self.leads.store(false, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.error) = error;
        self.connected.swap(false, Ordering::Relaxed)
    }

    /// Notes that it leads.
    pub(super) fn note_leading(&self) {
        self.elections.fetch_add(1, Ordering::Relaxed);
        self.leads.store(true, Ordering::Relaxed);
        lock(&self.leader).clone_from(&self.name);
    }

    /// Notes that it does not.
    pub(super) fn note_following(&self) {
        self.leads.store(false, Ordering::Relaxed);
        lock(&self.leader).clear();
    }

    /// Notes who does; true where it was another before.
    pub(super) fn note_leader(&self, name: &str) -> bool {
        let mut leader = lock(&self.leader);
        let is_new = *leader != name;
        if is_new {
            name.clone_into(&mut leader);
        }
        is_new
    }

    /// Notes what became of writes.
    pub(super) fn note_outcome(&self, outcome: Outcome, writes: &[Write]) {
        match outcome {
            Outcome::Written(_) => {
                let deletions = writes.iter().filter(|write| write.value.is_none()).count() as u64;
                self.deletions.fetch_add(deletions, Ordering::Relaxed);
                self.writes.fetch_add(writes.len() as u64 - deletions, Ordering::Relaxed);
            }
            Outcome::Conflict => drop(self.conflicts.fetch_add(1, Ordering::Relaxed)),
            Outcome::Fenced => drop(self.fenced.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Locks. What is behind our locks is whole between any two of its changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
