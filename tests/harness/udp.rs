//! Questions over UDP: one at a time, or many with a window of outstanding ones.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::message::Question;

/// Longest wait for an answer before the question is sent again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// Times that a question is sent.
const SENDS_MAX: u32 = 5;

/// A socket that talks to port 53 of one address.
pub fn socket(server: IpAddr) -> UdpSocket {
    let local = match server {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((local, 0)).expect("a free port");
    socket.connect((server, 53)).expect("a route to the server");
    socket
}

/// Sends a payload and returns the next datagram; none when nothing comes within the time.
pub fn exchange(socket: &UdpSocket, payload: &[u8], time_max: Duration) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(time_max)).expect("a time");
    match socket.send(payload) {
        // What became of an earlier datagram: nobody listens.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
        sent => {
            sent.expect("a sent datagram");
            receive(socket)
        }
    }
}

/// Sends a query until its answer comes, a bounded number of times; panics without.
pub fn ask(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).expect("a free port");
    socket.connect(server).expect("a route to the server");
    for _ in 0..SENDS_MAX {
        if let Some(answer) = exchange(&socket, query, ANSWER_TIME_MAX)
            && answer.get(..2) == query.get(..2)
        {
            return answer;
        }
    }
    panic!("no answer of {server} to {query:02x?}");
}

/// The next datagram; none when the socket's time is over, or nobody listens there.
pub fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 65_535];
    match socket.recv(&mut buffer) {
        Ok(bytes) => Some(buffer[..bytes].to_vec()),
        Err(error)
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused) =>
        {
            None
        }
        Err(error) => panic!("receiving: {error}"),
    }
}

/// Asks one question after the other and never twice: what has no answer is lost.
pub struct Asker {
    /// Where to.
    socket: UdpSocket,
    /// The last question's id.
    id: u16,
    /// Questions that were asked.
    pub asked: u64,
    /// Questions without an answer within the time.
    pub lost: u64,
}

impl Asker {
    /// Asks a server.
    pub fn new(server: IpAddr) -> Asker {
        let socket = socket(server);
        socket.set_read_timeout(Some(ANSWER_TIME_MAX)).expect("a time");
        Asker { socket, id: 0, asked: 0, lost: 0 }
    }

    /// The answer to a question without EDNS; none when it was lost.
    pub fn ask(&mut self, owner: &str, rtype: u16) -> Option<Vec<u8>> {
        self.id = self.id.wrapping_add(1);
        self.asked += 1;
        self.socket.send(&Question::new(owner, rtype).to_wire(self.id)).expect("a sent datagram");
        loop {
            let Some(answer) = receive(&self.socket) else {
                self.lost += 1;
                return None;
            };
            // Another id: the late answer to a question that counts as lost.
            if answer.get(..2) == Some(&self.id.to_be_bytes()) {
                return Some(answer);
            }
        }
    }
}

/// What a run of many questions took.
#[derive(Debug, Default)]
pub struct Run {
    /// Questions that were sent more than once.
    pub resent: usize,
    /// From the first to the last.
    pub time: Duration,
}

/// Asks all questions, at most `window` of them outstanding, and shows each answer to `check` with the question's index.
/// Panics when a question has no answer after several tries.
pub fn ask_all(
    socket: &UdpSocket,
    questions: usize,
    window: usize,
    query: impl Fn(usize, u16) -> Vec<u8>,
    mut check: impl FnMut(usize, &[u8]),
) -> Run {
    let start = Instant::now();
    let mut run = Run::default();
    // The id is the index's lower half: a window is far smaller than 65,536, so no two outstanding ones share it.
    assert!(window < 1 << 15, "the window must tell ids apart");
    let id = |index: usize| u16::try_from(index & 0xffff).expect("sixteen bits");
    let mut outstanding: VecDeque<Outstanding> = VecDeque::with_capacity(window);
    let mut next = 0;
    let mut buffer = [0; 65_535];
    socket.set_read_timeout(Some(ANSWER_TIME_MAX / 4)).expect("a time");
    while next < questions || !outstanding.is_empty() {
        while next < questions && outstanding.len() < window {
            socket.send(&query(next, id(next))).expect("a sent datagram");
            outstanding.push_back(Outstanding { index: next, sent: Instant::now(), sends: 1 });
            next += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(bytes) => {
                let answer = &buffer[..bytes];
                let answer_id = answer.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                let place = outstanding.iter().position(|outstanding| Some(id(outstanding.index)) == answer_id);
                // Without a place: the answer to the first copy of a question that was sent twice.
                if let Some(done) = place.and_then(|place| outstanding.remove(place)) {
                    check(done.index, answer);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("receiving: {error}"),
        }
        for late in outstanding.iter_mut().filter(|outstanding| outstanding.sent.elapsed() > ANSWER_TIME_MAX) {
            assert!(late.sends < SENDS_MAX, "question {} has no answer after {SENDS_MAX} tries", late.index);
            run.resent += usize::from(late.sends == 1);
            late.sends += 1;
            late.sent = Instant::now();
            socket.send(&query(late.index, id(late.index))).expect("a sent datagram");
        }
    }
    run.time = start.elapsed();
    run
}

/// A question without an answer yet.
struct Outstanding {
    /// Which one.
    index: usize,
    /// When it was sent last.
    sent: Instant,
    /// How often it was sent.
    sends: u32,
}
