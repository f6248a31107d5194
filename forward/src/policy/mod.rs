//! What is decided about a question before anybody is asked.
//!
//! `policies` has all of it and reads its files again; `tables` decides: `hosts`, then `local` names, then `block` lists, whose
//! names are in `names` and which `lines` and `rpz` read; `made` writes the answers.

mod block;
mod hosts;
mod lines;
mod local;
mod made;
mod names;
mod policies;
mod rpz;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ringdns_engine::recall::{ForeignQuestion, KeptAnswer};

pub use block::{BlockError, FileReport};
pub use policies::{Flush, Policies};

/// Decides about questions.
pub trait Policy: Send + Sync {
    /// What becomes of a question. Asked for each question that comes to the forwarder, on the thread that brings it, and for
    /// each name that an alias in an answer leads to: it must not wait, and is cheap.
    fn rule(&self, question: &ForeignQuestion) -> Ruling;
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Others are asked.
    Ask,
    /// This is the answer, whoever asks. Where its TTL is more than 0 it is kept, and workers give it from then on: who makes the
    /// policy anew has it removed with [`Forwarder::flush`](crate::Forwarder::flush).
    Answer(Arc<KeptAnswer>),
    /// REFUSED.
    Refuse,
    /// No answer.
    Drop,
}

/// The policy of those who have none: all is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskAll;

impl Policy for AskAll {
    fn rule(&self, _question: &ForeignQuestion) -> Ruling {
        Ruling::Ask
    }
}
