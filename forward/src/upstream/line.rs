//! One connection with several questions under way, whose answers come in any order (RFC 7766 section 6.2.1.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::check::{Bad, is_answer_to};
use super::counts::Counts;
use super::dial::{SILENT_AFTER, Stream};
use super::habits::Habits;
use super::query::Query;
use super::{Failure, random};

/// Messages in a row that answer nothing, after which the other side is not listened to any more. Answers to questions that
/// were given up are such messages.
const STRAYS_MAX: u32 = 64;

/// Bytes of the length that stands before each message.
const LENGTH_BYTES: usize = 2;

/// A connection.
pub(super) struct Line {
    /// Takes messages, each with its length.
    messages: mpsc::Sender<Vec<u8>>,
    /// What the connection's task and those who ask have in common.
    desk: Arc<Desk>,
}

/// Who waits for what.
struct Desk {
    /// Behind one lock that is held for a moment.
    open: Mutex<Open>,
    /// A connection without a question for so long is closed.
    idle_after: Duration,
    /// The upstream's counters.
    counts: Arc<Counts>,
    /// The upstream's habits.
    habits: Arc<Habits>,
}

/// The questions of a connection.
struct Open {
    /// Under way, by id.
    waiting: HashMap<u16, Waiting>,
    /// Those whose places are promised, and that are not written yet.
    promised: usize,
    /// No more are taken.
    closed: bool,
    /// Answers that came.
    answered: u64,
    /// Questions that were asked.
    asked: u64,
    /// When a message came, or was asked, for the last time.
    heard: Instant,
    /// When the last one was asked or answered.
    used: Instant,
}

/// Who waits.
struct Waiting {
    /// For the answer to this question.
    question: Vec<u8>,
    /// There.
    reply: oneshot::Sender<Vec<u8>>,
}

/// Takes its question back when it goes, if there was no answer.
struct Ticket<'a> {
    /// Where.
    line: &'a Line,
    /// Which.
    id: u16,
    /// Since when.
    asked: Instant,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut open = self.line.desk.lock();
        let unanswered = open.waiting.remove(&self.id).is_some();
        if unanswered && open.heard <= self.asked && self.asked.elapsed() >= SILENT_AFTER {
            open.closed = true;
        }
    }
}

/// A place among a connection's questions.
pub(super) struct Place(Arc<Line>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.desk.lock();
        open.promised = open.promised.saturating_sub(1);
    }
}

impl Place {
    /// The connection.
    pub(super) fn line(&self) -> &Line {
        &self.0
    }
}

impl Line {
    /// Takes a connection that has begun; its task ends when it is closed, idle, or nobody has the line any more.
    pub(super) fn start(
        stream: Box<dyn Stream>,
        idle_after: Duration,
        counts: &Arc<Counts>,
        habits: &Arc<Habits>,
    ) -> Arc<Self> {
        let now = Instant::now();
        let open =
            Open { waiting: HashMap::new(), promised: 0, closed: false, answered: 0, asked: 0, heard: now, used: now };
        let desk = Arc::new(Desk {
            open: Mutex::new(open),
            idle_after,
            counts: Arc::clone(counts),
            habits: Arc::clone(habits),
        });
        let (messages, outgoing) = mpsc::channel(64);
        tokio::spawn(run(stream, outgoing, Arc::clone(&desk)));
        Arc::new(Self { messages, desk })
    }

    /// True where no more questions are taken.
    pub(super) fn is_closed(&self) -> bool {
        self.desk.lock().closed
    }

    /// True where a question was asked before.
    pub(super) fn is_used(&self) -> bool {
        self.desk.lock().asked > 0
    }

    /// A place, where fewer than `questions_max` are taken.
    pub(super) fn place(self: &Arc<Self>, questions_max: usize) -> Option<Place> {
        let mut open = self.desk.lock();
        if open.closed || open.promised >= questions_max {
            return None;
        }
        open.promised += 1;
        drop(open);
        Some(Place(Arc::clone(self)))
    }

    /// Asks, and waits for the answer to this very question: the caller says how long. Gives the id with the answer.
    pub(super) async fn ask(&self, query: &Query) -> Result<(u16, Vec<u8>), Failure> {
        let (reply, answer) = oneshot::channel();
        let ticket = self.register(query, reply)?;
        let message = query.with_id(ticket.id);
        let length = u16::try_from(message.len()).map_err(|_| Failure::Local)?;
        let framed = [&length.to_be_bytes(), message.as_slice()].concat();
        self.messages.send(framed).await.map_err(|_| Failure::Closed)?;
        let message = answer.await.map_err(|_| Failure::Closed)?;
        Ok((ticket.id, message))
    }

    /// Notes who waits, under an id that nobody else waits under.
    fn register(&self, query: &Query, reply: oneshot::Sender<Vec<u8>>) -> Result<Ticket<'_>, Failure> {
        let mut open = self.desk.lock();
        if open.closed {
            return Err(Failure::Closed);
        }
        let numbers: [u8; 32] = random::bytes().map_err(|_| Failure::Local)?;
        let ids = numbers.as_chunks::<2>().0.iter().map(|id| u16::from_be_bytes(*id));
        // A connection has at most some hundreds of questions: that sixteen ids in a row are taken does not happen.
        let id = ids.into_iter().find(|id| !open.waiting.contains_key(id)).ok_or(Failure::Local)?;
        open.waiting.insert(id, Waiting { question: query.question().to_vec(), reply });
        open.asked += 1;
        let asked = Instant::now();
        open.used = asked;
        Ok(Ticket { line: self, id, asked })
    }
}

impl Desk {
    /// The questions. Nothing panics under the lock, and nothing waits.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message to who waits for it; false where nobody does.
    fn deliver(&self, message: Vec<u8>) -> bool {
        let mut open = self.lock();
        open.heard = Instant::now();
        let id = message.first_chunk().map(|id| u16::from_be_bytes(*id));
        let waiting = id.and_then(|id| Some((id, open.waiting.get(&id)?)));
        let Some((id, _)) = waiting.filter(|(_, waiting)| is_answer_to(&message, &waiting.question)) else {
            let bad = if waiting.is_none() { Bad::Id } else { Bad::Question };
            drop(open);
            self.counts.bad(bad);
            return false;
        };
        open.answered += 1;
        open.used = open.heard;
        if let Some(waiting) = open.waiting.remove(&id) {
            // Who does not wait any more has lost nothing.
            drop(waiting.reply.send(message));
        }
        true
    }

    /// Ends the connection for all who wait.
    fn close(&self) {
        let mut open = self.lock();
        match open.answered {
            0 => {}
            1 if !open.waiting.is_empty() => self.habits.closes_early(Instant::now()),
            1 => {}
            _ => self.habits.answers_on(),
        }
        open.closed = true;
        open.waiting.clear();
    }
}

/// A connection's life.
async fn run(stream: Box<dyn Stream>, outgoing: mpsc::Receiver<Vec<u8>>, desk: Arc<Desk>) {
    let (reader, writer) = split(stream);
    // Whichever ends first ends the other: a connection that takes no more questions because it is idle has no more answers,
    // and one that gives no more answers needs no more questions.
    tokio::select! {
        () = read(reader, &desk) => {}
        () = write(writer, outgoing, &desk) => {}
    }
    desk.close();
}

/// Reads messages until the other side ends, or talks nonsense.
async fn read(mut reader: ReadHalf<Box<dyn Stream>>, desk: &Desk) {
    let mut strays = 0;
    while strays < STRAYS_MAX {
        let mut length = [0; LENGTH_BYTES];
        if reader.read_exact(&mut length).await.is_err() {
            return;
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if reader.read_exact(&mut message).await.is_err() {
            return;
        }
        strays = if desk.deliver(message) { 0 } else { strays + 1 };
    }
}

/// Writes messages until nobody has any for a while.
async fn write(mut writer: WriteHalf<Box<dyn Stream>>, mut outgoing: mpsc::Receiver<Vec<u8>>, desk: &Desk) {
    loop {
        let idle_at = desk.lock().used + desk.idle_after;
        let message = tokio::select! {
            message = outgoing.recv() => message,
            () = sleep_until(idle_at) => {
                let mut open = desk.lock();
                if open.waiting.is_empty() && open.used + desk.idle_after <= Instant::now() {
                    open.closed = true;
                    break;
                }
                // Somebody waits still: he is waited for, and looked after again.
                open.used = Instant::now();
                continue;
            }
        };
        let Some(mut bytes) = message else { break };
        // What is there by now goes out together.
        while let Ok(more) = outgoing.try_recv() {
            bytes.extend_from_slice(&more);
        }
        // Who takes nothing for so long would keep the connection for ever, with all that waits for it to be written.
        let written = timeout(desk.idle_after, async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
    // A close without goodbye is told from an attack by nobody here: what it says is of no use any more.
    drop(timeout(desk.idle_after, writer.shutdown()).await);
}
