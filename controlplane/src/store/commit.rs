//! Writes that share a transaction: decided, made durable, and published together.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use redb::WriteTransaction;
use ringdns_engine::name::WireName;

use super::edit::carry_out;
use super::etcd::{Log, Sent};
use super::source::StoreSource;
use super::write::{Stored as _, Tables};
use super::{Outcome, Write, WriteError};
use crate::model::Change;
use crate::source::Sink;
use crate::state::State;

/// Times that a transaction is decided again because another server was faster each time.
const OVERTAKEN_MAX: usize = 100;

/// What a write came to.
pub(super) type Answer = Result<Outcome, WriteError>;

/// What became of a transaction.
enum Attempt {
    /// It is committed, or nothing was written.
    Done(Committed),
    /// An edit has failed half-way: its place, and why.
    Spoilt(usize, WriteError),
    /// Another server was faster: it has to be decided again.
    Overtaken,
    /// etcd has not taken it, and why; true where it would take less.
    Failed(WriteError, bool),
}

impl StoreSource {
    /// For tests: the answers of writes that share a transaction, and what the cycle would be told.
    #[cfg(test)]
    pub(super) fn commit_all(&self, writes: &[Write]) -> Result<(Vec<Answer>, Vec<Change>), WriteError> {
        self.commit(writes).map(|committed| (committed.answers, committed.changes))
    }

    /// Carries out writes and makes them durable. Where an edit fails half-way the others are carried out without it.
    pub(super) fn commit(&self, writes: &[Write]) -> Result<Committed, WriteError> {
        let (mut refused, mut tries) = (HashMap::new(), 0);
        loop {
            match self.attempt(writes, &refused)? {
                Attempt::Done(committed) => return Ok(committed),
                Attempt::Spoilt(index, error) => drop(refused.insert(index, error)),
                Attempt::Overtaken => {
                    // What was refused may be right by now.
                    refused.clear();
                    tries += 1;
                    if let Err(error) = self.catch_up(tries) {
                        if error.is_of_file() {
                            return Err(error);
                        }
                        return Ok(Committed::failed(writes, &error));
                    }
                }
                Attempt::Failed(_, true) if writes.len() > 1 => return Ok(self.commit_each(writes)),
                Attempt::Failed(error, _) => return Ok(Committed::failed(writes, &error)),
            }
        }
    }

    /// Carries out writes one by one.
    fn commit_each(&self, writes: &[Write]) -> Committed {
        let mut all = Committed::default();
        for write in writes {
            let write = std::slice::from_ref(write);
            // Those before stand, whatever becomes of this one; where the file is to blame, the next write heals it.
            let one = self.commit(write).unwrap_or_else(|error| Committed::failed(write, &error));
            all.answers.extend(one.answers);
            all.targets.extend(one.targets);
            all.changes.extend(one.changes);
        }
        all
    }

    /// Waits until what has overtaken a transaction is in the file.
    fn catch_up(&self, tries: usize) -> Result<(), WriteError> {
        let Some(replica) = &self.replica else { return Ok(()) };
        if tries > OVERTAKEN_MAX {
            return Err(WriteError::Etcd("other servers write all the time; try again".to_owned()));
        }
        replica.borrow_mut().catch_up(&self.store.database)
    }

    /// Carries out writes in one transaction but for those that are refused already; the place of an edit that spoilt it,
    /// and why, where one did.
    fn attempt(&self, writes: &[Write], refused: &HashMap<usize, WriteError>) -> Result<Attempt, WriteError> {
        let log = self.replica.as_ref().map(|_| Log::default());
        let transaction = self.store.database.begin_write().stored()?;
        let mut committed = Committed::default();
        let mut written = false;
        {
            let mut tables = Tables::open(&transaction, log.as_ref())?;
            for (index, write) in writes.iter().enumerate() {
                if let Some(error) = refused.get(&index) {
                    committed.push(Err(error.clone()), write, Vec::new());
                    continue;
                }
                let (answer, changes) = match write {
                    Write::Edit(edit) => {
                        let edited = carry_out(&**edit, &mut tables, &transaction)?;
                        written |= edited.written;
                        match edited.outcome {
                            Err(error) if error.is_of_file() => return Err(error),
                            // Half an edit is in the transaction: none of it is kept.
                            Err(error) if edited.written => return Ok(Attempt::Spoilt(index, error)),
                            outcome => (outcome.map(|()| Outcome::Replaced), edited.changes),
                        }
                    }
                    plain => match tables.apply(plain.clone()) {
                        Ok((outcome, changes)) => (Ok(outcome), changes),
                        Err(error) => (Err(error), Vec::new()),
                    },
                };
                if let Err(error) = &answer
                    && error.is_of_file()
                {
                    // Half a write may be in the transaction: none of it is kept.
                    return Err(error.clone());
                }
                committed.push(answer, write, changes);
            }
            committed.changes.extend(tables.finish()?);
        }
        if committed.changes.is_empty() && !written {
            transaction.abort().stored()?;
            return Ok(Attempt::Done(committed));
        }
        let kept = self.keep(transaction, log)?;
        if kept.is_none() {
            self.state.store_commits.fetch_add(1, Ordering::Relaxed);
            self.state.store_writes.fetch_add(writes.len() as u64, Ordering::Relaxed);
        }
        Ok(kept.unwrap_or(Attempt::Done(committed)))
    }

    /// Makes a transaction durable: in etcd first, where the file is a replica. What became of it where that does not take it.
    fn keep(&self, transaction: WriteTransaction, log: Option<Log>) -> Result<Option<Attempt>, WriteError> {
        let (Some(replica), Some(log)) = (&self.replica, log) else {
            return transaction.commit().stored().map(|()| None);
        };
        let mut replica = replica.borrow_mut();
        let refused = match replica.send(&transaction, &log.borrow())? {
            Sent::Committed => {
                let kept = transaction.commit().stored();
                replica.settle(kept.is_ok());
                return kept.map(|()| None);
            }
            Sent::Overtaken => Attempt::Overtaken,
            Sent::Failed { error, is_too_much } => Attempt::Failed(error, is_too_much),
        };
        transaction.abort().stored()?;
        Ok(Some(refused))
    }
}

/// What is on disk.
#[derive(Default)]
pub(super) struct Committed {
    /// The answer of each write.
    pub(super) answers: Vec<Answer>,
    /// Zones and owners that each write was about.
    targets: Vec<Vec<(WireName, WireName)>>,
    /// What the cycle has to know.
    changes: Vec<Change>,
}

impl Committed {
    /// Writes of which none was carried out, for the same reason.
    fn failed(writes: &[Write], error: &WriteError) -> Self {
        let mut committed = Self::default();
        writes.iter().for_each(|write| committed.push(Err(error.clone()), write, Vec::new()));
        committed
    }

    /// Notes what became of the next write.
    fn push(&mut self, answer: Answer, write: &Write, changes: Vec<Change>) {
        let of_change = |change: &Change| match change {
            Change::Put { apex, rrset } => Some((apex.clone(), rrset.owner.clone())),
            _ => None,
        };
        let target = write.target();
        self.targets.push(target.map_or_else(|| changes.iter().filter_map(of_change).collect(), |target| vec![target]));
        self.answers.push(answer);
        self.changes.extend(changes);
    }
}

/// Has changes published; a write whose RRset the snapshot could not take is told so. Gives the generation that has them.
pub(super) fn with_refusals(committed: Committed, sink: &Sink, state: &State) -> (Vec<Answer>, u64) {
    let Committed { mut answers, targets, changes } = committed;
    if changes.is_empty() {
        return (answers, state.snapshot().generation());
    }
    // Where the cycle is gone the writes are on disk, and served after the next start.
    let published = sink.blocking_apply_tracked(changes).ok().and_then(|published| published.blocking_recv().ok());
    let Some(published) = published else { return (answers, 0) };
    for refusal in published.refusals {
        for (answer, targets) in answers.iter_mut().zip(&targets) {
            let is_refused = targets.iter().any(|(apex, owner)| *apex == refusal.apex && *owner == refusal.owner);
            if answer.is_ok() && is_refused {
                *answer = Err(WriteError::NotServed(refusal.to_string()));
            }
        }
    }
    (answers, published.generation)
}
