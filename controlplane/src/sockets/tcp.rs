//! DNS over TCP (RFC 7766): accepts connections, and has a small task for each.
//!
//! A task that waits holds its socket, its place in the table and little more. What happens to it from outside (its idle time is
//! over, its place is needed, the server ends) is written into the table, and the task woken to see it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ringdns_engine::serve::MessageConfig;
use tokio::io::AsyncWrite as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use super::desk::{Desk, Next, Turn};
use super::others::{Asking, Outcomes};
use super::rest::Rest;
use super::stats::{Closed, Monitor, Refused};
use super::table::{Place, Table};
use crate::config::{SocketsConfig, TransferConfig};
use crate::state::State;

/// How often connections are looked through for idle ones; a small part of any idle time.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// How long nothing is accepted after the kernel could not hand a connection over: as long as it takes others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that end where there are too many open files, so that new ones find place.
const EVICTED_AT_ONCE: usize = 16;

/// Bytes that all connections may hold: queries that are not whole, answers that are not taken.
const HELD_BYTES_MAX: usize = 64 << 20;

/// How often it is looked whether the last connection has ended.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What connections are answered with.
pub(super) struct Answering {
    /// Messages.
    pub(super) answers: watch::Receiver<MessageConfig>,
    /// Who may have whole zones.
    pub(super) transfers: watch::Receiver<Arc<[TransferConfig]>>,
    /// Who is asked for names of others.
    pub(super) others: Option<Asking>,
}

/// What the tasks of the thread share.
struct Service {
    /// Reads, answers, writes.
    desk: RefCell<Desk>,
    /// The open connections.
    table: RefCell<Table>,
    /// What is served.
    state: Arc<State>,
    /// What is counted.
    monitor: Arc<Monitor>,
    /// Where the table's time starts.
    start: Instant,
    /// See [`SocketsConfig`].
    idle: Duration,
    /// The same.
    message: Duration,
    /// The same.
    write: Duration,
}

/// Serves until it is told to stop; then until all connections have ended, or the time for that is over.
pub(super) async fn serve(
    listeners: Vec<TcpListener>,
    config: SocketsConfig,
    answering: Answering,
    state: Arc<State>,
    monitor: Arc<Monitor>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let connections_max = usize::try_from(monitor.connections_max).unwrap_or(usize::MAX);
    let table = Table::new(connections_max, config.tcp_connections_per_client_max);
    let (desk, outcomes) = Desk::new(answering, &monitor);
    let service = Rc::new(Service {
        desk: RefCell::new(desk),
        table: RefCell::new(table),
        state,
        monitor,
        start: Instant::now(),
        idle: config.tcp_idle,
        message: config.tcp_message,
        write: config.tcp_write,
    });
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| spawn_local(accept(listener, Rc::clone(&service)))).collect();
    let sweeping = spawn_local(sweep(Rc::clone(&service)));
    let asking = outcomes.map(|outcomes| spawn_local(deliver(outcomes, Rc::clone(&service))));
    // An error says that nobody is left who could tell: the end as well.
    let _ = stop.wait_for(|&is_told| is_told).await;
    for task in &accepting {
        task.abort();
    }
    // A turn for what has arrived before the tasks are told.
    yield_now().await;
    service.table.borrow_mut().end_all();
    let all_ended = async {
        while service.table.borrow().len() > 0 {
            sleep(DRAIN_LOOK_INTERVAL).await;
        }
    };
    if timeout(drain, all_ended).await.is_err() {
        let left = service.table.borrow().len();
        tracing::warn!(left, "clients had not taken their answers over TCP at the end");
    }
    sweeping.abort();
    if let Some(asking) = asking {
        asking.abort();
    }
}

/// Gives connections what came of their questions for others.
async fn deliver(mut outcomes: Outcomes, service: Rc<Service>) {
    while let Some(outcome) = outcomes.recv().await {
        service.desk.borrow_mut().deliver(outcome);
    }
}

/// Accepts the connections of one address.
async fn accept(listener: TcpListener, service: Rc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => service.admit(stream, client),
            // The client has gone meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                service.monitor.note_refused(Refused::Accept);
                tracing::debug!("no connection could be accepted: {error}");
                // Too many open files, mostly: the connection waits in the kernel, and would be offered again at once.
                let mut evicted = 0;
                while evicted < EVICTED_AT_ONCE && service.table.borrow_mut().evict() {
                    evicted += 1;
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ends idle connections, at intervals.
async fn sweep(service: Rc<Service>) {
    loop {
        let now = service.start.elapsed();
        let (idle, held) = {
            let mut table = service.table.borrow_mut();
            table.end_idle(service.idle, now);
            (table.idle_time(service.idle), table.held())
        };
        // RFC 7828 section 3.1: in units of 100 milliseconds.
        {
            let mut desk = service.desk.borrow_mut();
            desk.set_keepalive(u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX));
            desk.expire();
        }
        service.monitor.held_bytes.store(held as u64, Ordering::Relaxed);
        sleep(SWEEP_INTERVAL).await;
    }
}

impl Service {
    /// Takes a connection in, unless its client has too many.
    fn admit(self: &Rc<Self>, stream: TcpStream, client: SocketAddr) {
        self.monitor.accepted.fetch_add(1, Ordering::Relaxed);
        let place = self.table.borrow_mut().add(client.ip(), self.start.elapsed());
        match place {
            Some(place) => {
                self.note_open();
                let guard = Guard { place, service: Rc::clone(self) };
                spawn_local(converse(guard, stream, client));
            }
            None => self.monitor.note_refused(Refused::ClientLimit),
        }
    }

    /// Shows how many connections there are.
    fn note_open(&self) {
        self.monitor.open.store(self.table.borrow().len() as u64, Ordering::Relaxed);
    }
}

/// A connection's place in the table, given back when its task ends in whatever way.
struct Guard {
    /// The place.
    place: Place,
    /// Whose table it is.
    service: Rc<Service>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.service.table.borrow_mut().remove(self.place);
        self.service.note_open();
    }
}

/// A connection from its first byte to its end.
async fn converse(guard: Guard, stream: TcpStream, client: SocketAddr) {
    let mut connection = Connection { stream, client, guard, rest: Rest::default() };
    let cause = connection.run().await;
    connection.guard.service.monitor.note_closed(cause);
}

/// A connection.
struct Connection {
    /// Its socket.
    stream: TcpStream,
    /// Who is at the other end.
    client: SocketAddr,
    /// Its place.
    guard: Guard,
    /// What it keeps between turns.
    rest: Rest,
}

impl Connection {
    /// Answers until there is a cause to end.
    async fn run(&mut self) -> Closed {
        let mut turn = poll_fn(|context| self.poll_turn(context)).await;
        loop {
            turn = match turn.next {
                Next::Wait => poll_fn(|context| self.poll_turn(context)).await,
                Next::Again => {
                    yield_now().await;
                    poll_fn(|context| self.poll_turn(context)).await
                }
                Next::Close(cause) => return cause,
                // Boxed: what is seldom needed shall not take memory of every connection.
                Next::Complete => match Box::pin(self.complete()).await {
                    Some(turn) => turn,
                    None => return Closed::SlowQuery,
                },
                Next::Flush => match Box::pin(self.flush()).await {
                    Ok(()) => poll_fn(|context| self.poll_turn(context)).await,
                    Err(cause) => return cause,
                },
            };
        }
    }

    /// Waits for the rest of a query; nothing where it does not come in time, however many parts of it do.
    async fn complete(&mut self) -> Option<Turn> {
        let message = self.guard.service.message;
        let completed = poll_fn(|context| {
            loop {
                let turn = ready!(self.poll_turn(context));
                if turn.answered > 0 || turn.next != Next::Complete {
                    return Poll::Ready(turn);
                }
            }
        });
        timeout(message, completed).await.ok()
    }

    /// Waits until the client has taken its answers.
    async fn flush(&mut self) -> Result<(), Closed> {
        let write = self.guard.service.write;
        let taken = poll_fn(|context| self.poll_flush(context));
        match timeout(write, taken).await {
            Ok(taken) => taken?,
            Err(_) => return Err(Closed::SlowReader),
        }
        self.rest.end().map_or(Ok(()), Err)
    }

    /// One turn, once there is something to do, or an order to end and nothing to do.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let service = &*self.guard.service;
        let (place, rest) = (self.guard.place, &mut self.rest);
        service.table.borrow_mut().note_waker(place, context.waker());
        // A transfer has always something to do: it would not see the order.
        if rest.is_sending()
            && let Some(cause) = service.table.borrow().order(place)
        {
            return Poll::Ready(Turn { answered: 0, next: Next::Close(cause) });
        }
        let mut desk = service.desk.borrow_mut();
        let polled = desk.poll_turn(context, &mut self.stream, self.client, rest, &service.state);
        drop(desk);
        let mut table = service.table.borrow_mut();
        table.note_open(place, rest.open());
        let Poll::Ready(mut turn) = polled else {
            return match table.order(place) {
                // Who has asked before the end gets answers, as long as there is time for that.
                Some(Closed::Ended) if rest.open() > 0 => Poll::Pending,
                Some(cause) => Poll::Ready(Turn { answered: 0, next: Next::Close(cause) }),
                None => Poll::Pending,
            };
        };
        table.note_held(place, rest.held());
        if turn.answered > 0 {
            table.note_answered(place, service.start.elapsed());
        }
        if table.held() > HELD_BYTES_MAX && rest.held() > 0 {
            turn.next = Next::Close(Closed::Memory);
        }
        Poll::Ready(turn)
    }

    /// Sends what waits. At the end of the server it goes on; any other order to end holds at once.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let service = &*self.guard.service;
        loop {
            let written = match Pin::new(&mut self.stream).poll_write(context, self.rest.unsent()) {
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Closed::Reset)),
                Poll::Pending => {
                    let mut table = service.table.borrow_mut();
                    table.note_waker(self.guard.place, context.waker());
                    return match table.order(self.guard.place) {
                        None | Some(Closed::Ended) => Poll::Pending,
                        Some(Closed::Idle) => Poll::Ready(Err(Closed::SlowReader)),
                        Some(cause) => Poll::Ready(Err(cause)),
                    };
                }
            };
            let is_done = self.rest.note_sent(written);
            let mut table = service.table.borrow_mut();
            // Who reads is not idle.
            table.note_answered(self.guard.place, service.start.elapsed());
            table.note_held(self.guard.place, self.rest.held());
            if is_done {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
