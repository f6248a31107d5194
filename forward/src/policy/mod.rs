//! What is decided about a question before anybody is asked, and about an answer before it is told.
//!
//! `policies` has all of it and reads its files again; `tables` decides: `hosts`, then `local` names, then `block` lists, whose
//! names are in `names`, whose networks are in `networks`, and which `lines` and `rpz` read; `action` says what is done, `made`
//! writes the answers.

mod action;
mod block;
mod hosts;
mod lines;
mod local;
mod made;
mod names;
mod networks;
mod policies;
mod rpz;
mod tables;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::recall::{ForeignQuestion, KeptAnswer};

use crate::forwarder::Entry;

pub use block::{BlockError, FileReport};
pub use policies::{Flush, Policies};

/// As many lists as there are, where all of them have a say.
pub const ALL_LISTS: u8 = u8::MAX;

/// Decides about questions.
pub trait Policy: Send + Sync {
    /// What becomes of a question. Asked for each question that comes to the forwarder, on the thread that brings it: it must not
    /// wait, and is cheap.
    fn rule(&self, question: &ForeignQuestion) -> Ruling;

    /// What becomes of a name that an alias leads to in the answer to a question, where the first so many lists have a say: what
    /// may be asked for anybody's sake, so nothing in it is of the client that asked first.
    fn rule_target(&self, question: &ForeignQuestion, lists: u8) -> Ruling {
        let _ = lists;
        self.rule(question)
    }

    /// What becomes of an answer of upstreams in which there are addresses, each with its owner: [`Ruling::Ask`] where it may be
    /// told. The first so many lists have a say.
    fn rule_addresses(&self, question: &ForeignQuestion, lists: u8, found: &[(WireName, IpAddr)]) -> Ruling {
        let _ = (question, lists, found);
        Ruling::Ask
    }

    /// True where AAAA records are shown to nobody.
    fn hides_aaaa(&self) -> bool {
        false
    }

    /// True where an answer that was kept may be another now.
    fn touches(&self, entry: &Entry) -> bool {
        let _ = entry;
        false
    }
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Others are asked.
    Ask,
    /// Others are asked, and what they say is for those alone who are let pass by the same entry: it is not kept where workers
    /// look, and what is kept there is not for them.
    AskApart(Apart),
    /// This is the answer, whoever asks. Where its TTL is more than 0 it is kept, and workers give it from then on: who makes the
    /// policy anew has it removed with [`Forwarder::flush`](crate::Forwarder::flush).
    Answer(Arc<KeptAnswer>),
    /// This is the answer as far as it goes: an alias, and what it leads to is asked for. It is for those alone who come by an
    /// entry, where there is one.
    Follow(Arc<KeptAnswer>, Option<Apart>),
    /// REFUSED.
    Refuse,
    /// No answer.
    Drop,
}

/// Those who are let pass by an entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Apart {
    /// The entry, which no other list ever has.
    entry: u64,
    /// How many lists have a say still: those before its own.
    pub(crate) lists: u8,
}

/// The policy of those who have none: all is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskAll;

impl Policy for AskAll {
    fn rule(&self, _question: &ForeignQuestion) -> Ruling {
        Ruling::Ask
    }
}
