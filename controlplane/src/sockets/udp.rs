//! DNS over UDP on the kernel's sockets: for this host's own queries, and for what reaches the kernel in fragments.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringdns_engine::recall::{ForeignQuestion, KeptAnswer};
use ringdns_engine::serve::{MessageConfig, Transport, Unanswered};
use ringdns_engine::snapshot::Snapshot;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{interval, sleep, timeout};

use super::answerer::Answerer;
use super::desk::is_for_later;
use super::others::{Asking, Others, Outcome, Outcomes, SWEEP_INTERVAL, Waiting, failure};
use super::stats::Monitor;
use super::wildcard;
use crate::state::State;

/// Longest payload of a datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Datagrams that are answered before the other sockets have their turn.
const TURN_DATAGRAMS: usize = 64;

/// Turns that a socket takes after it was told to stop: more datagrams than its buffer holds, so that a flood cannot keep it.
const STOP_TURNS: usize = 64;

/// Wait after an error that is none of a datagram: it may last, and must not keep the thread busy.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What datagrams are answered with.
pub(super) struct Answering {
    /// Messages.
    pub(super) answers: watch::Receiver<MessageConfig>,
    /// Who is asked for names of others.
    pub(super) others: Option<Asking>,
    /// How long the end waits for these.
    pub(super) drain: Duration,
}

/// Who a datagram came from.
struct Sender {
    /// The socket that it came by.
    socket: Rc<UdpSocket>,
    /// Whether that stands for all addresses.
    is_wildcard: bool,
    /// Who sent it.
    client: SocketAddr,
    /// To which address.
    asked: wildcard::Asked,
}

/// Answers the datagrams of a thread's sockets, one at a time.
struct Service {
    /// Answers messages.
    answerer: Answerer,
    /// The datagram at hand, and room for its answer.
    buffer: Box<[u8]>,
    /// What is served.
    state: Arc<State>,
    /// What is counted.
    monitor: Arc<Monitor>,
    /// Those who wait for others.
    others: Option<Others<Sender>>,
}

/// Serves until it is told to stop; then answers what has arrived.
pub(super) async fn serve(
    sockets: Vec<UdpSocket>,
    answering: Answering,
    state: Arc<State>,
    monitor: Arc<Monitor>,
    stop: watch::Receiver<bool>,
) {
    let Answering { answers, others, drain } = answering;
    let (others, outcomes) = others.map(Others::new).unzip();
    let service = Rc::new(RefCell::new(Service {
        answerer: Answerer::new(answers, Transport::Udp, others.as_ref().map(Others::shelf)),
        buffer: vec![0; DATAGRAM_BYTES_MAX].into(),
        state,
        monitor,
        others,
    }));
    let asking = outcomes.map(|outcomes| spawn_local(serve_others(outcomes, Rc::clone(&service))));
    let tasks: Vec<_> = sockets
        .into_iter()
        .map(|socket| spawn_local(serve_socket(Rc::new(socket), Rc::clone(&service), stop.clone())))
        .collect();
    for task in tasks {
        // One that has panicked has said so.
        let _ = task.await;
    }
    if let Some(asking) = asking {
        let none_wait = async {
            while service.borrow().others.as_ref().is_some_and(|others| others.len() > 0) {
                sleep(ERROR_PAUSE).await;
            }
        };
        // Who waits still asks another server.
        let _ = timeout(drain, none_wait).await;
        asking.abort();
    }
}

/// Answers those who have waited for others.
async fn serve_others(mut outcomes: Outcomes, service: Rc<RefCell<Service>>) {
    let mut sweep = interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            outcome = outcomes.recv() => {
                let Some(outcome) = outcome else { return };
                service.borrow_mut().finish(outcome);
            }
            _ = sweep.tick() => service.borrow_mut().expire(),
        }
    }
}

/// Serves one socket.
async fn serve_socket(socket: Rc<UdpSocket>, service: Rc<RefCell<Service>>, mut stop: watch::Receiver<bool>) {
    let is_wildcard = socket.local_addr().is_ok_and(|address| address.ip().is_unspecified());
    loop {
        tokio::select! {
            ready = socket.readable() => {
                if ready.is_err() || service.borrow_mut().turn(&socket, is_wildcard).is_none() {
                    sleep(ERROR_PAUSE).await;
                }
                yield_now().await;
            }
            _ = stop.wait_for(|&is_told| is_told) => break,
        }
    }
    for _ in 0..STOP_TURNS {
        if service.borrow_mut().turn(&socket, is_wildcard) != Some(TURN_DATAGRAMS) {
            return;
        }
    }
}

impl Service {
    /// Answers some of the datagrams that have arrived; gives how many, and nothing where the socket is in trouble.
    fn turn(&mut self, socket: &Rc<UdpSocket>, is_wildcard: bool) -> Option<usize> {
        let mut server = self.answerer.server();
        for datagrams in 0..TURN_DATAGRAMS {
            let received = match is_wildcard {
                true => wildcard::receive(socket, &mut self.buffer),
                false => socket
                    .try_recv_from(&mut self.buffer)
                    .map(|(length, client)| (length, client, wildcard::Asked::Bound)),
            };
            let (length, client, asked) = match received {
                Ok(received) => received,
                Err(error) => return is_for_later(&error).then_some(datagrams),
            };
            let begun = self.monitor.udp.census().map(|census| (census, Instant::now()));
            // NOTE: after the datagram has come, so that it sees what was published before it was sent.
            let snapshot = self.state.snapshot();
            let answered = server.answer(client, &mut self.buffer, length, &snapshot, &self.monitor.udp);
            let from = || Sender { socket: Rc::clone(socket), is_wildcard, client, asked };
            match answered {
                Ok(bytes) => send(self.buffer.get(..bytes).unwrap_or_default(), &from(), &self.monitor),
                Err(Unanswered::Foreign) => {
                    let question = server.foreign_question(client);
                    let message = self.buffer.get(..length).unwrap_or_default();
                    if let (Some(others), Some(question)) = (&mut self.others, question)
                        && let Err(waiting) = others.ask(message, question, from())
                    {
                        self.give(*waiting, &failure());
                        server = self.answerer.server();
                    }
                    continue;
                }
                Err(Unanswered::Dropped(_)) => continue,
            }
            if let Some((census, begun)) = begun {
                census.note_time(begun.elapsed(), 1);
            }
        }
        Some(TURN_DATAGRAMS)
    }

    /// Answers one who has waited for others.
    fn finish(&mut self, outcome: Outcome) {
        match self.others.as_mut().and_then(|others| others.finish(outcome)) {
            Some((waiting, Some(answer))) => self.give(waiting, &answer),
            Some((_, None)) => self.monitor.udp_waited.lost.add(1),
            None => {}
        }
    }

    /// Tells those who have waited for too long.
    fn expire(&mut self) {
        let expired = self.others.as_mut().map(Others::expire).unwrap_or_default();
        for waiting in expired {
            self.give(waiting, &failure());
        }
    }

    /// Gives one an answer.
    fn give(&mut self, waiting: Waiting<Sender>, answer: &KeptAnswer) {
        let length = waiting.message.len();
        if let Some(to) = self.buffer.get_mut(..length) {
            to.copy_from_slice(&waiting.message);
        }
        let snapshot = self.state.snapshot();
        let Some(question) = self.answer(length, &waiting, answer, &snapshot) else { return };
        let is_asked = self.others.as_mut().is_some_and(|others| others.ask_again(waiting, question).is_ok());
        // Enough is enough: the client asks again.
        self.monitor.udp_waited.lost.add(u64::from(!is_asked));
    }

    /// Answers the message in the buffer with what came of a question; gives what others are to be asked instead, where that
    /// has turned out to be something else.
    fn answer(
        &mut self,
        length: usize,
        waiting: &Waiting<Sender>,
        answer: &KeptAnswer,
        snapshot: &Snapshot,
    ) -> Option<ForeignQuestion> {
        let Self { answerer, buffer, monitor, others, .. } = self;
        let (server, seconds) = answerer.waited()?;
        let (question, from) = (&waiting.question, &waiting.to);
        let serve = || server.answer(from.client, buffer, length, snapshot, &monitor.udp);
        match others.as_mut()?.give(snapshot, question, answer, seconds, serve) {
            Ok(bytes) => {
                monitor.udp_waited.answered.add(1);
                send(buffer.get(..bytes).unwrap_or_default(), from, monitor);
                if let Some(census) = monitor.udp.census() {
                    census.note_time(waiting.come.elapsed(), 1);
                }
            }
            Err(Unanswered::Foreign) => return server.foreign_question(from.client),
            Err(Unanswered::Dropped(_)) => monitor.udp_waited.lost.add(1),
        }
        None
    }
}

/// Sends an answer.
fn send(answer: &[u8], Sender { socket, is_wildcard, client, asked }: &Sender, monitor: &Monitor) {
    // A full buffer, or a client that cannot be reached: the datagram is lost, as others are on their way.
    let sent = match is_wildcard {
        true => wildcard::send(socket, answer, *client, *asked),
        false => socket.try_send_to(answer, *client),
    };
    if sent.is_err() {
        monitor.udp_unsent.fetch_add(1, Ordering::Relaxed);
    }
}
