//! What a connection keeps between its turns.

use std::rc::Rc;
use std::task::Context;

use super::others::Mailbox;
use super::stats::Closed;
use super::transfers::Sending;

/// What a connection keeps from one turn to the next; without heap memory mostly.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// What was read and not answered.
    pub(super) input: Vec<u8>,
    /// Whether a whole query stands at its beginning.
    pub(super) has_query: bool,
    /// What was answered and not sent.
    pub(super) output: Vec<u8>,
    /// Bytes of the output that were sent.
    pub(super) sent: usize,
    /// Why the connection ends once the output is sent.
    pub(super) end: Option<Closed>,
    /// The zone that is being sent; what came behind its question waits.
    pub(super) sending: Option<Box<Sending>>,
    /// Queries that wait for others.
    pub(super) mailbox: Option<Rc<Mailbox>>,
    /// Whether the client has said that nothing more comes.
    pub(super) has_ended: bool,
}

impl Rest {
    /// What is to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// Notes that bytes were sent; true once all are.
    pub(super) fn note_sent(&mut self, bytes: usize) -> bool {
        self.sent += bytes;
        let is_done = self.unsent().is_empty();
        if is_done {
            (self.output, self.sent) = (Vec::new(), 0);
        }
        is_done
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        let sending = self.sending.as_ref().map_or(0, |sending| sending.transfer.held_bytes());
        let waiting = self.mailbox.as_ref().map_or(0, |mailbox| mailbox.held());
        self.input.capacity() + self.output.capacity() + sending + waiting
    }

    /// Queries that wait for others.
    pub(super) fn open(&self) -> usize {
        self.mailbox.as_ref().map_or(0, |mailbox| mailbox.open())
    }

    /// True where something has come for a query that has waited.
    pub(super) fn has_arrived(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.has_arrived())
    }

    /// Has the task woken when something does.
    pub(super) fn wait(&self, context: &Context<'_>) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.wait(context);
        }
    }

    /// True while a zone is being sent.
    pub(super) fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Why the connection ends now.
    pub(super) fn end(&self) -> Option<Closed> {
        self.end.filter(|_| self.output.is_empty())
    }
}
