//! DNS over UDP on the kernel's sockets: for this host's own queries, and for what reaches the kernel in fragments.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringdns_engine::serve::{MessageConfig, Transport};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use super::answerer::Answerer;
use super::desk::is_for_later;
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
}

/// Serves until it is told to stop; then answers what has arrived.
pub(super) async fn serve(
    sockets: Vec<UdpSocket>,
    answers: watch::Receiver<MessageConfig>,
    state: Arc<State>,
    monitor: Arc<Monitor>,
    stop: watch::Receiver<bool>,
) {
    let service = Rc::new(RefCell::new(Service {
        answerer: Answerer::new(answers, Transport::Udp),
        buffer: vec![0; DATAGRAM_BYTES_MAX].into(),
        state,
        monitor,
    }));
    let tasks: Vec<_> = sockets
        .into_iter()
        .map(|socket| spawn_local(serve_socket(socket, Rc::clone(&service), stop.clone())))
        .collect();
    for task in tasks {
        // One that has panicked has said so.
        let _ = task.await;
    }
}

/// Serves one socket.
async fn serve_socket(socket: UdpSocket, service: Rc<RefCell<Service>>, mut stop: watch::Receiver<bool>) {
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
    fn turn(&mut self, socket: &UdpSocket, is_wildcard: bool) -> Option<usize> {
        let server = self.answerer.server();
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
            let Ok(bytes) = answered else { continue };
            let answer = self.buffer.get(..bytes).unwrap_or_default();
            // A full buffer, or a client that cannot be reached: the datagram is lost, as others are on their way.
            let sent = match is_wildcard {
                true => wildcard::send(socket, answer, client, asked),
                false => socket.try_send_to(answer, client),
            };
            if sent.is_err() {
                self.monitor.udp_unsent.fetch_add(1, Ordering::Relaxed);
            }
            if let Some((census, begun)) = begun {
                census.note_time(begun.elapsed(), 1);
            }
        }
        Some(TURN_DATAGRAMS)
    }
}
