//! DNS over TCP as a client: connections from any local address, messages behind their lengths.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

/// Longest wait for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// Raises this process's limit of open files as far as it may; gives the limit.
pub fn raise_open_files() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a limit that a process may set itself");
    hard
}

/// A connection from an address of this host.
pub fn connect_from(source: Ipv4Addr, server: SocketAddrV4) -> TcpStream {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0))).expect("an address of this host");
    connect(socket.as_raw_fd(), &SockaddrIn::from(server)).expect("a server that listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).expect("a time");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// A message behind its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message");
    [&length.to_be_bytes()[..], message].concat()
}

/// The next message; none at the end of the stream.
pub fn receive(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
        Err(error) => panic!("receiving: {error}"),
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).expect("the whole message");
    Some(message)
}

/// The answer to a message; none where the server ends the connection.
pub fn ask(stream: &mut TcpStream, message: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&framed(message)).expect("a connection");
    receive(stream)
}
