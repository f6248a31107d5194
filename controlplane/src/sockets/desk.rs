//! One turn of a connection: what has come is read, what is whole of it is answered in order, the answers go out in one write.
//!
//! The buffers are the thread's, and all connections use them in turn: a connection keeps something of its own ([`Rest`]) only
//! while a query of it is not whole, waits for others, or its client does not take the answers.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ringdns_engine::census::Census;
use ringdns_engine::limits::STREAM_MESSAGE_BYTES_MAX;
use ringdns_engine::serve::{Transport, Unanswered};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::transfer::{Filled, zone_asked};
use ringdns_engine::verdict::Reason;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use super::answerer::Answerer;
use super::framing::{self, LENGTH_BYTES, QUERY_BYTES_MAX};
use super::others::{Arrived, Mailbox, Others, Outcome, Outcomes, failure};
use super::rest::Rest;
use super::stats::{Closed, Monitor};
use super::tcp::Answering;
use super::transfers::{Answer, Asked, Gate, Sending};
use crate::state::State;

/// Bytes that are read in a turn: some hundred queries, so that no client keeps the others waiting for long.
const INPUT_BYTES: usize = 16 << 10;

/// Bytes of answers from which on they are sent before more are made.
const OUTPUT_SEND_BYTES: usize = 64 << 10;

/// Bytes of answers that a turn makes at most: one more than what is sent at once.
const OUTPUT_BYTES: usize = OUTPUT_SEND_BYTES + LENGTH_BYTES + STREAM_MESSAGE_BYTES_MAX;

/// Queries of a connection that wait for others at most; what comes behind them waits in the connection.
const OPEN_MAX: usize = 64;

const _: () = assert!(INPUT_BYTES > LENGTH_BYTES + QUERY_BYTES_MAX);

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Queries that were answered, and messages of a zone that were made.
    pub answered: usize,
    /// How to go on.
    pub next: Next,
}

/// How to go on after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When something comes.
    Wait,
    /// At once, after the others: there is more.
    Again,
    /// When the rest of a query comes.
    Complete,
    /// When the client has taken its answers.
    Flush,
    /// Not at all.
    Close(Closed),
}

/// Answers the connections of a thread, one at a time.
pub(super) struct Desk {
    /// Answers messages.
    answerer: Answerer,
    /// Lets zone transfers begin.
    gate: Gate,
    /// What is counted.
    monitor: Arc<Monitor>,
    /// Those who wait for others.
    others: Option<Others<Rc<Mailbox>>>,
    /// What came.
    input: Box<[u8]>,
    /// What goes out.
    output: Box<[u8]>,
}

impl Desk {
    /// A desk that answers by a configuration, and where it is to be told what came of questions for others.
    pub(super) fn new(answering: Answering, monitor: &Arc<Monitor>) -> (Self, Option<Outcomes>) {
        let (others, outcomes) = answering.others.map(Others::new).unzip();
        let desk = Self {
            answerer: Answerer::new(answering.answers, Transport::Tcp, others.as_ref().map(Others::shelf)),
            gate: Gate::new(answering.transfers, Arc::clone(monitor)),
            monitor: Arc::clone(monitor),
            others,
            input: vec![0; INPUT_BYTES].into(),
            output: vec![0; OUTPUT_BYTES].into(),
        };
        (desk, outcomes)
    }

    /// Tells for how long idle connections are kept, in tenths of a second.
    pub(super) fn set_keepalive(&mut self, deciseconds: u16) {
        self.answerer.set_keepalive(deciseconds);
    }

    /// One turn, once there is something to do. What is served is asked for after the queries have come: so they see what was
    /// published before they were sent.
    pub(super) fn poll_turn(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut TcpStream,
        client: SocketAddr,
        rest: &mut Rest,
        state: &State,
    ) -> Poll<Turn> {
        if let Some(sending) = rest.sending.take() {
            return Poll::Ready(self.send_on(stream, rest, sending));
        }
        let mut filled = rest.input.len();
        if let Some(to) = self.input.get_mut(..filled) {
            to.copy_from_slice(&rest.input);
        }
        let is_full = rest.open() >= OPEN_MAX;
        if !rest.has_arrived() && (is_full || rest.has_ended && rest.open() > 0) {
            rest.wait(context);
            return Poll::Pending;
        }
        if !rest.has_query && !is_full && !rest.has_ended {
            let mut room = ReadBuf::new(self.input.get_mut(filled..).unwrap_or_default());
            match Pin::new(&mut *stream).poll_read(context, &mut room) {
                Poll::Pending if rest.has_arrived() => {}
                Poll::Pending => {
                    rest.wait(context);
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => {
                    return Poll::Ready(Turn { answered: 0, next: Next::Close(Closed::Reset) });
                }
                Poll::Ready(Ok(())) => {
                    rest.has_ended = room.filled().is_empty();
                    filled += room.filled().len();
                }
            }
        }
        let begun = self.monitor.tcp.census().map(|_| Instant::now());
        let mailbox = rest.mailbox.take();
        let mut work = Work { used: 0, written: 0, answered: 0, end: None, is_full: false, sending: None, mailbox };
        let snapshot = state.snapshot();
        self.answer_arrived(client, &mut work, &snapshot);
        // Those that have waited have times of their own.
        let before = self.monitor.tcp.census().map_or(0, Census::answered);
        self.answer_all(filled, client, &mut work, &snapshot, state);
        let turn = self.finish(stream, rest, filled, work);
        if let (Some(census), Some(begun)) = (self.monitor.tcp.census(), begun) {
            // Transfers are not among them: they take as long as their clients do.
            census.note_time(begun.elapsed(), census.answered().wrapping_sub(before));
        }
        Poll::Ready(turn)
    }

    /// Answers what is whole of the input.
    fn answer_all(
        &mut self,
        filled: usize,
        client: SocketAddr,
        work: &mut Work,
        snapshot: &Arc<Snapshot>,
        state: &State,
    ) {
        let Self { answerer, gate, monitor, others, input, output } = self;
        let server = answerer.server();
        loop {
            let query = match framing::first(input.get(work.used..filled).unwrap_or_default()) {
                Ok(Some(query)) => query,
                Ok(None) => return,
                Err(cause) => return work.end = Some(cause),
            };
            if work.written >= OUTPUT_SEND_BYTES || work.sending.is_some() || work.open() >= OPEN_MAX {
                return work.is_full = true;
            }
            let place = output.get_mut(work.written..).unwrap_or_default();
            let Some((length, message)) = place.split_first_chunk_mut::<LENGTH_BYTES>() else { return };
            // As long as the room: the output has some for the longest message behind what is sent at once.
            let message = message.get_mut(..STREAM_MESSAGE_BYTES_MAX).unwrap_or_default();
            if let Some(to) = message.get_mut(..query.len()) {
                to.copy_from_slice(query);
            }
            let answered = match zone_asked(query) {
                None => Ok(Answer::Ordinary),
                Some(zone) => {
                    let asked = Asked { zone: &zone, client, length: query.len() };
                    gate.answer(&asked, message, server, snapshot, state).map_err(Unanswered::Dropped)
                }
            };
            let answered = match answered {
                Ok(Answer::Ordinary) => {
                    server.answer(client, message, query.len(), snapshot, &monitor.tcp).map(Answer::Message)
                }
                other => other,
            };
            match answered {
                Ok(answer) => {
                    work.used += LENGTH_BYTES + query.len();
                    work.answered += 1;
                    match answer {
                        Answer::Sending(sending) => work.sending = Some(sending),
                        Answer::Message(bytes) => {
                            *length = u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
                            work.written += LENGTH_BYTES + bytes;
                        }
                        Answer::Ordinary => {}
                    }
                }
                Err(Unanswered::Foreign) => {
                    let (Some(others), Some(question)) = (&mut *others, server.foreign_question(client)) else {
                        return work.end = Some(Closed::NoQuery);
                    };
                    work.used += LENGTH_BYTES + query.len();
                    let mailbox = work.mailbox.get_or_insert_default();
                    mailbox.note_asked(query.len());
                    if let Err(waiting) = others.ask(query, question, Rc::clone(mailbox)) {
                        Mailbox::deliver(*waiting, Some(Arc::new(failure())));
                    }
                }
                // A delay would hold what the client sends in our memory and hide from it why; closed, it pays for a new
                // connection with every query too many.
                Err(Unanswered::Dropped(Reason::PacketLimited)) => return work.end = Some(Closed::RateLimited),
                Err(_) => return work.end = Some(Closed::NoQuery),
            }
        }
    }

    /// Takes what came of a question to the connection that it is for.
    pub(super) fn deliver(&mut self, outcome: Outcome) {
        if let Some((waiting, answer)) = self.others.as_mut().and_then(|others| others.finish(outcome)) {
            self.monitor.tcp_waited.lost.add(u64::from(answer.is_none()));
            Mailbox::deliver(waiting, answer);
        }
    }

    /// Tells those who have waited for too long.
    pub(super) fn expire(&mut self) {
        for waiting in self.others.as_mut().map(Others::expire).unwrap_or_default() {
            Mailbox::deliver(waiting, Some(Arc::new(failure())));
        }
    }

    /// Answers those of a connection's queries that have waited, in the order in which their answers came.
    fn answer_arrived(&mut self, client: SocketAddr, work: &mut Work, snapshot: &Snapshot) {
        let Self { answerer, monitor, others, output, .. } = self;
        let (Some(mailbox), Some(others)) = (work.mailbox.clone(), others) else { return };
        while work.written < OUTPUT_SEND_BYTES
            && let Some((server, seconds)) = answerer.waited()
            && let Some(Arrived { waiting, answer }) = mailbox.take()
        {
            let place = output.get_mut(work.written..).unwrap_or_default();
            let Some((length, message)) = place.split_first_chunk_mut::<LENGTH_BYTES>() else { return };
            let message = message.get_mut(..STREAM_MESSAGE_BYTES_MAX).unwrap_or_default();
            if let Some(to) = message.get_mut(..waiting.message.len()) {
                to.copy_from_slice(&waiting.message);
            }
            let serve = || server.answer(client, message, waiting.message.len(), snapshot, &monitor.tcp);
            match others.give(snapshot, &waiting.question, &answer, seconds, serve) {
                Ok(bytes) => {
                    *length = u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
                    work.written += LENGTH_BYTES + bytes;
                    work.answered += 1;
                    monitor.tcp_waited.answered.add(1);
                    if let Some(census) = monitor.tcp.census() {
                        census.note_time(waiting.come.elapsed(), 1);
                    }
                }
                Err(Unanswered::Foreign) => {
                    let Some(question) = server.foreign_question(client) else { continue };
                    mailbox.note_asked(waiting.message.len());
                    if let Err(waiting) = others.ask_again(waiting, question) {
                        monitor.tcp_waited.lost.add(1);
                        Mailbox::deliver(*waiting, None);
                    }
                }
                Err(Unanswered::Dropped(_)) => monitor.tcp_waited.lost.add(1),
            }
        }
    }

    /// Sends the next message of a zone.
    fn send_on(&mut self, stream: &TcpStream, rest: &mut Rest, mut sending: Box<Sending>) -> Turn {
        let room = self.output.get_mut(..LENGTH_BYTES + STREAM_MESSAGE_BYTES_MAX).unwrap_or_default();
        let Some((length, message)) = room.split_first_chunk_mut::<LENGTH_BYTES>() else {
            return Turn { answered: 0, next: Next::Close(Closed::Reset) };
        };
        let (bytes, is_last) = match sending.transfer.fill(message) {
            Filled::More(bytes) => (bytes, false),
            Filled::Last(bytes) => (bytes, true),
            Filled::Nothing => {
                rest.sending = Some(sending);
                return Turn { answered: 0, next: Next::Again };
            }
            // The client sees that the zone did not come to its end.
            Filled::Impossible => return Turn { answered: 0, next: Next::Close(Closed::Reset) },
        };
        *length = u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
        let Some(unsent) = self.send(stream, LENGTH_BYTES + bytes) else {
            return Turn { answered: 1, next: Next::Close(Closed::Reset) };
        };
        (rest.output, rest.sent) = (unsent.to_vec(), 0);
        if is_last {
            sending.note_complete();
            // What came behind the question has its turn now.
            rest.has_query = matches!(framing::first(&rest.input), Ok(Some(_)) | Err(_));
        } else {
            rest.sending = Some(sending);
        }
        let next = match () {
            () if !rest.output.is_empty() => Next::Flush,
            () if rest.sending.is_some() || rest.has_query => Next::Again,
            () if rest.input.is_empty() => Next::Wait,
            () => Next::Complete,
        };
        Turn { answered: 1, next }
    }

    /// Sends the first bytes of the output; gives those that the kernel does not take now, and nothing where the connection is
    /// broken.
    fn send(&self, stream: &TcpStream, bytes: usize) -> Option<&[u8]> {
        let output = self.output.get(..bytes).unwrap_or_default();
        if output.is_empty() {
            return Some(output);
        }
        match stream.try_write(output) {
            Ok(sent) => output.get(sent..),
            Err(error) if is_for_later(&error) => Some(output),
            Err(_) => None,
        }
    }

    /// Sends the answers, and keeps what is left.
    fn finish(&self, stream: &TcpStream, rest: &mut Rest, filled: usize, work: Work) -> Turn {
        let is_blocked = work.open() >= OPEN_MAX && work.sending.is_none();
        rest.mailbox = work.mailbox.filter(|mailbox| mailbox.open() > 0);
        let Some(unsent) = self.send(stream, work.written) else {
            return Turn { answered: work.answered, next: Next::Close(Closed::Reset) };
        };
        let unused = self.input.get(work.used..filled).unwrap_or_default();
        rest.has_query = work.is_full;
        rest.sending = work.sending;
        // Nothing more comes: what is not whole will never be.
        let is_last = rest.has_ended && !work.is_full && rest.sending.is_none() && rest.open() == 0;
        rest.end = work.end.or(is_last.then_some(Closed::Client));
        rest.input = if rest.end.is_some() { Vec::new() } else { unused.to_vec() };
        (rest.output, rest.sent) = (unsent.to_vec(), 0);
        let next = match rest.end {
            _ if !rest.output.is_empty() => Next::Flush,
            Some(end) => Next::Close(end),
            // What comes of one of them goes on with the others.
            None if rest.has_arrived() => Next::Again,
            None if is_blocked || rest.has_ended && rest.open() > 0 => Next::Wait,
            None if work.is_full || rest.sending.is_some() || filled == INPUT_BYTES => Next::Again,
            None if rest.input.is_empty() => Next::Wait,
            None => Next::Complete,
        };
        Turn { answered: work.answered, next }
    }
}

/// A turn's work on the buffers.
struct Work {
    /// Bytes of the input that were answered.
    used: usize,
    /// Bytes of the output.
    written: usize,
    /// Queries that were answered.
    answered: usize,
    /// Why there is no more to come.
    end: Option<Closed>,
    /// Whether a whole query waits until the output is sent.
    is_full: bool,
    /// A zone that is to be sent before anything else.
    sending: Option<Box<Sending>>,
    /// The connection's queries that wait for others.
    mailbox: Option<Rc<Mailbox>>,
}

impl Work {
    /// The connection's queries that wait for others.
    fn open(&self) -> usize {
        self.mailbox.as_ref().map_or(0, |mailbox| mailbox.open())
    }
}

/// True where a write is to be tried again later.
pub(super) fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted)
}
