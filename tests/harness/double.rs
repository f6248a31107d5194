//! An upstream that does as a test tells it, over UDP and TCP: it may be slow, wrong, hostile or dead, as no real server can
//! be made to be.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::tcp::framed;

/// Longest that its threads wait before they look whether they are to end.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// Longest that a connection may say nothing.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(5);

/// A question as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The message.
    pub wire: Vec<u8>,
    /// Who asked.
    pub from: SocketAddr,
    /// Whether over TCP.
    pub over_tcp: bool,
    /// How many had come before it.
    pub number: usize,
}

impl Asked {
    /// The message's id.
    pub fn id(&self) -> [u8; 2] {
        [self.wire[0], self.wire[1]]
    }

    /// The question's name with the letters' case as it came, no escapes.
    pub fn name(&self) -> String {
        let mut name = String::new();
        let mut rest = &self.wire[12..];
        while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
            let (label, after) = after.split_at(usize::from(*length));
            name.push_str(&String::from_utf8_lossy(label));
            name.push('.');
            rest = after;
        }
        name
    }

    /// The question section.
    pub fn question(&self) -> &[u8] {
        let name_bytes = self.name().len() + 1;
        &self.wire[12..12 + name_bytes + 4]
    }

    /// The type that is asked for.
    pub fn rtype(&self) -> u16 {
        let question = self.question();
        u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]])
    }

    /// A message without records but an OPT record where the query has one. Flags are QR, RD, RA and these.
    pub fn reply(&self, flags: u16, rcode: u16) -> Vec<u8> {
        self.answer(flags | rcode, &[])
    }

    /// A message with records for the name that is asked for: type, TTL and rdata.
    pub fn answer(&self, flags: u16, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let has_edns = self.wire[11] > 0;
        let mut wire = self.id().to_vec();
        wire.extend((0x8180 | flags).to_be_bytes());
        let count = u8::try_from(records.len()).expect("few records");
        wire.extend([0, 1, 0, count, 0, 0, 0, u8::from(has_edns)]);
        wire.extend(self.question());
        for (rtype, ttl, rdata) in records {
            wire.extend([0xc0, 12]);
            wire.extend(record_behind_name(*rtype, *ttl, rdata));
        }
        if has_edns {
            // Root owner, type OPT, 1232 bytes of UDP, nothing else.
            wire.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        }
        wire
    }
}

/// What stands behind a record's name: type, class IN, TTL, rdata.
pub fn record_behind_name(rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut wire = rtype.to_be_bytes().to_vec();
    wire.extend([0, 1]);
    wire.extend(ttl.to_be_bytes());
    wire.extend(u16::try_from(rdata.len()).expect("short rdata").to_be_bytes());
    wire.extend(rdata);
    wire
}

/// One message in return, of none, one or several.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// When it is sent.
    pub after: Duration,
    /// What; over TCP without the length in front.
    pub wire: Vec<u8>,
    /// Over TCP: the length in front says so many bytes more than there are, and the connection ends.
    pub missing_bytes: u16,
}

impl Reply {
    /// At once.
    pub fn now(wire: Vec<u8>) -> Reply {
        Reply { wire, ..Reply::default() }
    }

    /// After some time.
    pub fn late(after: Duration, wire: Vec<u8>) -> Reply {
        Reply { after, wire, ..Reply::default() }
    }
}

/// How a double answers: what it sends back to who asked, from where the question went to.
pub type Manner = Arc<dyn Fn(&Asked) -> Vec<Reply> + Send + Sync>;

/// What a double has seen.
#[derive(Debug, Default)]
struct Seen {
    /// It is to end.
    stop: AtomicBool,
    /// Every question.
    asked: Mutex<Vec<Asked>>,
}

/// An upstream in this process. It listens no longer when this is dropped.
pub struct Double {
    /// Shared with its threads.
    seen: Arc<Seen>,
    /// Its threads.
    threads: Vec<JoinHandle<()>>,
}

impl Double {
    /// Listens at an address of a namespace.
    pub fn start(namespace: &Namespace, address: SocketAddr, manner: Manner) -> Double {
        // Sockets stay in the namespace in which they were made, whichever thread uses them.
        let _entered = namespace.enter();
        let udp = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let seen = Arc::new(Seen::default());
        let mut service = Service { udp, manner: Arc::clone(&manner), seen: Arc::clone(&seen), due: BinaryHeap::new() };
        let told = Arc::clone(&seen);
        let threads =
            vec![thread::spawn(move || service.run()), thread::spawn(move || accept(&listener, &manner, &told))];
        Double { seen, threads }
    }

    /// Questions so far, in the order in which they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Questions so far whose name has this in it, in lower case.
    pub fn asked_for(&self, part: &str) -> usize {
        self.asked().iter().filter(|asked| asked.name().to_lowercase().contains(part)).count()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            // A manner that failed fails the test, unless the test has failed already.
            assert!(ended.is_ok() || thread::panicking(), "a double panicked");
        }
    }
}

impl Seen {
    /// Notes a question.
    fn note(&self, wire: &[u8], from: SocketAddr, over_tcp: bool) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Asked { wire: wire.to_vec(), from, over_tcp, number: asked.len() };
        asked.push(one.clone());
        one
    }

    /// Whether it is to end.
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The UDP side.
struct Service {
    /// Where questions come.
    udp: UdpSocket,
    /// How they are answered.
    manner: Manner,
    /// What was seen.
    seen: Arc<Seen>,
    /// Replies that are not sent yet, the earliest first.
    due: BinaryHeap<Due>,
}

/// A reply that is to be sent.
struct Due {
    /// When.
    at: Instant,
    /// To whom.
    to: SocketAddr,
    /// What.
    reply: Reply,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        // The heap has the greatest first.
        other.at.cmp(&self.at)
    }
}

impl Service {
    /// Answers until it is told to end.
    fn run(&mut self) {
        let mut buffer = [0; 65_535];
        while !self.seen.is_over() {
            self.udp.set_read_timeout(Some(time_to(&self.due))).expect("a time");
            match self.udp.recv_from(&mut buffer) {
                Ok((bytes, from)) if bytes >= 17 => {
                    let asked = self.seen.note(&buffer[..bytes], from, false);
                    let at = Instant::now();
                    let replies = (self.manner)(&asked).into_iter();
                    self.due.extend(replies.map(|reply| Due { at: at + reply.after, to: from, reply }));
                }
                // What is no question, nothing, or that nobody took an earlier answer.
                Ok(_) => {}
                Err(error) if is_nothing(&error) || error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("a double receives: {error}"),
            }
            while let Some(Due { to, reply, .. }) = next(&mut self.due) {
                // Who asked may be gone.
                let _ = self.udp.send_to(&reply.wire, to);
            }
        }
    }
}

/// The TCP side: answers until it is told to end.
fn accept(listener: &TcpListener, manner: &Manner, seen: &Arc<Seen>) {
    listener.set_nonblocking(true).expect("a listener");
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    while !seen.is_over() {
        match listener.accept() {
            Ok((stream, from)) => {
                let (manner, seen) = (Arc::clone(manner), Arc::clone(seen));
                connections.push(thread::spawn(move || {
                    // Whatever ends a connection ends it: the other side sees that.
                    let _ = converse(stream, from, &manner, &seen);
                }));
            }
            Err(_) => thread::sleep(LOOK_TIME),
        }
    }
    for connection in connections {
        let ended = connection.join();
        assert!(ended.is_ok(), "a double panicked on a connection");
    }
}

/// Answers on one connection until it ends: the questions on it side by side, each in its time.
fn converse(mut stream: TcpStream, from: SocketAddr, manner: &Manner, seen: &Seen) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let (mut received, mut due, mut piece) = (Vec::new(), BinaryHeap::new(), [0; 4096]);
    let mut silent_since = Instant::now();
    while !seen.is_over() && silent_since.elapsed() < CONNECTION_TIME_MAX {
        stream.set_read_timeout(Some(time_to(&due)))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(bytes) => received.extend(&piece[..bytes]),
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error),
        }
        while let Some(length) = received.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
            && received.len() >= 2 + length
        {
            let message: Vec<u8> = received.drain(..2 + length).skip(2).collect();
            silent_since = Instant::now();
            let replies = manner(&seen.note(&message, from, true)).into_iter();
            due.extend(replies.map(|reply| Due { at: silent_since + reply.after, to: from, reply }));
        }
        while let Some(Due { reply, .. }) = next(&mut due) {
            let mut wire = framed(&reply.wire);
            let length = u16::from_be_bytes([wire[0], wire[1]]) + reply.missing_bytes;
            wire[..2].copy_from_slice(&length.to_be_bytes());
            stream.write_all(&wire)?;
            if reply.missing_bytes > 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Nothing came in time, or the process was stopped and goes on (signal(7): with a timeout such a call does not begin again).
fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// How long nothing is to be sent.
fn time_to(due: &BinaryHeap<Due>) -> Duration {
    let wait = due.peek().map_or(LOOK_TIME, |due| due.at.saturating_duration_since(Instant::now()));
    wait.clamp(Duration::from_millis(1), LOOK_TIME)
}

/// What is to be sent now.
fn next(due: &mut BinaryHeap<Due>) -> Option<Due> {
    due.peek_mut().filter(|due| due.at <= Instant::now()).map(PeekMut::pop)
}
