//! Transactions of the native API: writes with conditions, all of which are carried out or none.

use std::sync::{Arc, Mutex, PoisonError};

use super::edit::{Desk, Edit};
use super::tag::{Condition, Tag};
use super::{Outcome, Write, WriteError};

/// A write and what must be so for it.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// A plain write.
    pub(crate) write: Write,
    /// What must be so, at the moment of the write.
    pub(crate) condition: Condition,
}

/// Writes that belong together.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// The writes, in order: each sees what those before it have done.
    operations: Vec<Operation>,
    /// What became of them, the last time that they were carried out.
    report: Mutex<Report>,
}

/// What became of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What each operation did; as many as were carried out.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Transaction {
    /// Nothing of it is done yet.
    pub(crate) fn new(operations: Vec<Operation>) -> Arc<Self> {
        Arc::new(Self { operations, report: Mutex::default() })
    }

    /// What became of it. Where it failed, the operation after the last outcome was the reason.
    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Edit for Transaction {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        let mut report = Report::default();
        let mut carried_out = Ok(());
        for Operation { write, condition } in &self.operations {
            match operate(desk, write, condition) {
                Ok(outcome) => report.outcomes.push(outcome),
                Err(error) => {
                    carried_out = Err(error);
                    break;
                }
            }
        }
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        carried_out
    }
}

/// Carries one operation out.
fn operate(desk: &mut Desk<'_, '_>, write: &Write, condition: &Condition) -> Result<Outcome, WriteError> {
    if condition.is_some() {
        if let Some((apex, _)) = write.target() {
            desk.settle(&apex)?;
        }
        if !condition.is_met(Tag::stored(desk, write)?) {
            return Err(WriteError::PreconditionFailed);
        }
    }
    desk.write(write.clone())
}
