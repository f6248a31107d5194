//! Names of others: who waits for what they say. A message is kept while they are asked, nobody else waits for it, and it is
//! answered once more, by the code that answers all messages, when there is an answer.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use ringdns_engine::cache::CacheShelf;
use ringdns_engine::recall::{AskOthers, ForeignQuestion, Handover, KeptAnswer};
use ringdns_engine::rtype::rcode;
use ringdns_engine::snapshot::Snapshot;
use tokio::sync::mpsc;

/// Messages that wait at most, of one thread: their clients are told SERVFAIL beyond.
const WAITING_MAX: usize = 8192;

/// How often one message may have others asked: an alias of ours may lead elsewhere by the time that its target is known.
const ASKED_MAX: u32 = 3;

/// How often it is looked who has waited for too long.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Who asks others for the sockets.
#[derive(Clone)]
pub struct Asking {
    /// Who asks.
    pub asker: Arc<dyn AskOthers>,
    /// After so long a client is told SERVFAIL; longer than the asker's own deadline.
    pub time_max: Duration,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("time_max", &self.time_max).finish_non_exhaustive()
    }
}

/// A message whose client waits.
pub(super) struct Waiting<To> {
    /// The message.
    pub(super) message: Box<[u8]>,
    /// What others are asked for it.
    pub(super) question: ForeignQuestion,
    /// Who it came from.
    pub(super) to: To,
    /// When it came.
    pub(super) come: Instant,
    /// How often others have been asked for it.
    asked: u32,
    /// When its client has waited for long enough.
    deadline: Instant,
}

/// What came of a question.
pub(super) struct Outcome {
    /// The number of the message.
    number: u64,
    /// The answer; nothing: none is to be given.
    answer: Option<Arc<KeptAnswer>>,
}

/// Where outcomes come.
pub(super) type Outcomes = mpsc::UnboundedReceiver<Outcome>;

/// Has others asked for the messages of one thread.
pub(super) struct Others<To> {
    /// Who asks.
    asking: Asking,
    /// Where answers are put for the server that looks at them.
    handover: Handover,
    /// Who waits, by number.
    waiting: HashMap<u64, Waiting<To>>,
    /// The number that was given last.
    last: u64,
    /// Where outcomes go. As many are under way as messages wait, and a few that come late.
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl<To> Others<To> {
    /// Nobody waits yet.
    pub(super) fn new(asking: Asking) -> (Self, Outcomes) {
        let (outcomes, arriving) = mpsc::unbounded_channel();
        (Self { asking, handover: Handover::default(), waiting: HashMap::new(), last: 0, outcomes }, arriving)
    }

    /// What the server looks at that answers those who have waited.
    pub(super) fn shelf(&self) -> &Arc<CacheShelf> {
        self.handover.shelf()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Has others asked for a message; gives it back where as many wait as may.
    pub(super) fn ask(&mut self, message: &[u8], question: ForeignQuestion, to: To) -> Result<(), Box<Waiting<To>>> {
        let come = Instant::now();
        let deadline = come + self.asking.time_max;
        self.admit(Waiting { message: message.into(), question, to, come, asked: 0, deadline })
    }

    /// Has them asked again for one whose question has turned out to be another; gives it back where that is enough.
    pub(super) fn ask_again(
        &mut self,
        waiting: Waiting<To>,
        question: ForeignQuestion,
    ) -> Result<(), Box<Waiting<To>>> {
        if waiting.asked < ASKED_MAX { self.admit(Waiting { question, ..waiting }) } else { Err(Box::new(waiting)) }
    }

    /// Lets one wait.
    fn admit(&mut self, waiting: Waiting<To>) -> Result<(), Box<Waiting<To>>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Box::new(waiting));
        }
        self.last += 1;
        let (number, outcomes, question) = (self.last, self.outcomes.clone(), waiting.question.clone());
        self.waiting.insert(number, Waiting { asked: waiting.asked + 1, ..waiting });
        // An error says that the thread has ended.
        self.asking.asker.ask(question, Box::new(move |answer| drop(outcomes.send(Outcome { number, answer }))));
        Ok(())
    }

    /// Whose wait an outcome ends; nothing where that has ended already.
    pub(super) fn finish(&mut self, outcome: Outcome) -> Option<(Waiting<To>, Option<Arc<KeptAnswer>>)> {
        Some((self.waiting.remove(&outcome.number)?, outcome.answer))
    }

    /// Those who have waited for too long.
    pub(super) fn expire(&mut self) -> Vec<Waiting<To>> {
        let now = Instant::now();
        self.waiting.extract_if(|_, waiting| waiting.deadline <= now).map(|(_, waiting)| waiting).collect()
    }

    /// Answers a message by `serve` while an answer is on the shelf.
    pub(super) fn give<T>(
        &mut self,
        snapshot: &Snapshot,
        question: &ForeignQuestion,
        answer: &KeptAnswer,
        now_seconds: u32,
        serve: impl FnOnce() -> T,
    ) -> T {
        self.handover.give(snapshot, question, answer, now_seconds, serve)
    }
}

/// What a client is told of whom nobody has anything to tell.
pub(super) fn failure() -> KeptAnswer {
    KeptAnswer::empty(rcode::SERVFAIL)
}

/// The messages of one connection that wait, and those that have waited.
#[derive(Default)]
pub(super) struct Mailbox {
    /// What came of some of them, in the order in which it came: RFC 7766 section 6.2.1.1 allows any.
    arrived: RefCell<VecDeque<Arrived>>,
    /// Messages that wait.
    open: Cell<usize>,
    /// Bytes of all messages.
    held: Cell<usize>,
    /// Wakes the connection's task.
    waker: RefCell<Option<Waker>>,
}

/// What came of a message.
pub(super) struct Arrived {
    /// The message.
    pub(super) waiting: Waiting<Rc<Mailbox>>,
    /// The answer.
    pub(super) answer: Arc<KeptAnswer>,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("open", &self.open()).field("held", &self.held()).finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Messages that wait, or that have waited and are not answered.
    pub(super) fn open(&self) -> usize {
        self.open.get() + self.arrived.borrow().len()
    }

    /// Bytes of theirs.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// True where something has come.
    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.borrow().is_empty()
    }

    /// Notes that a message of so many bytes waits.
    pub(super) fn note_asked(&self, bytes: usize) {
        self.open.set(self.open.get() + 1);
        self.held.set(self.held.get() + bytes);
    }

    /// Delivers what came of a message that waits here; nothing: it gets no answer.
    pub(super) fn deliver(waiting: Waiting<Rc<Self>>, answer: Option<Arc<KeptAnswer>>) {
        let mailbox = Rc::clone(&waiting.to);
        mailbox.open.set(mailbox.open.get() - 1);
        match answer {
            Some(answer) => mailbox.arrived.borrow_mut().push_back(Arrived { waiting, answer }),
            None => mailbox.held.set(mailbox.held.get() - waiting.message.len()),
        }
        if let Some(waker) = mailbox.waker.take() {
            waker.wake();
        }
    }

    /// Takes the next that has come.
    pub(super) fn take(&self) -> Option<Arrived> {
        let arrived = self.arrived.borrow_mut().pop_front()?;
        self.held.set(self.held.get() - arrived.waiting.message.len());
        Some(arrived)
    }

    /// Has a task woken when something comes.
    pub(super) fn wait(&self, context: &Context<'_>) {
        self.waker.replace(Some(context.waker().clone()));
    }
}
