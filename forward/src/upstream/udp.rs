//! One question over UDP, from a socket of its own.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Failure;
use super::check::{Bad, Expected, Found, check};
use super::counts::Counts;

/// Bad packets for one question after which it is asked over TCP. Each has come from the upstream's address to a port that only
/// the upstream was told: one may be an answer to a question that had the port before, two be sent twice by the network, three
/// are somebody who guesses ids. He then has had three guesses among 65,536 ids, and as many cases as the name has.
const BAD_PACKETS_MAX: usize = 3;

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With an answer.
    Answer(Vec<u8>, Found),
    /// With the word that the answer is longer than a packet, and with what of it is there.
    Truncated(Vec<u8>),
    /// With a packet that has the right id and question, and is not right otherwise.
    Doubt(Bad),
    /// With too many bad packets.
    Attacked,
    /// With nothing.
    Failed(Failure),
}

/// Asks over a connected socket and waits, over bad packets too, until an answer has come or the time is over.
pub(super) async fn exchange(
    socket: &UdpSocket,
    upstream: SocketAddr,
    expected: &Expected<'_>,
    until: Instant,
    counts: &Counts,
) -> Ended {
    if let Err(error) = socket.send(&expected.query.bytes).await {
        return Ended::Failed(failure(&error));
    }
    // One byte more than an answer may have, so that a longer one is seen to be longer.
    let mut packet = vec![0; usize::from(expected.datagram_bytes_max.unwrap_or(0)) + 1];
    for _ in 0..BAD_PACKETS_MAX {
        let received = match timeout_at(until, socket.recv_from(&mut packet)).await {
            Err(_) => return Ended::Failed(Failure::Timeout),
            Ok(Err(error)) => return Ended::Failed(failure(&error)),
            Ok(Ok(received)) => received,
        };
        match judge(&packet, received, upstream, expected) {
            Ok((message, found)) if !found.is_truncated => return Ended::Answer(message.to_vec(), found),
            Ok((message, _)) => return Ended::Truncated(message.to_vec()),
            Err(bad) => {
                counts.bad(bad);
                if bad.is_near() {
                    return Ended::Doubt(bad);
                }
            }
        }
    }
    Ended::Attacked
}

/// Whether a packet is the answer.
fn judge<'a>(
    packet: &'a [u8],
    (length, sender): (usize, SocketAddr),
    upstream: SocketAddr,
    expected: &Expected<'_>,
) -> Result<(&'a [u8], Found), Bad> {
    // The kernel passes on what comes from the upstream only, but for what came between the socket's birth and its connection.
    if (sender.ip(), sender.port()) != (upstream.ip(), upstream.port()) {
        return Err(Bad::Address);
    }
    let message = packet.get(..length).ok_or(Bad::Oversize)?;
    Ok((message, check(message, expected)?))
}

/// What an error of a socket says.
pub(super) fn failure(error: &Error) -> Failure {
    // EMFILE and ENFILE, ENOBUFS and ENOMEM.
    const USED_UP: [i32; 4] = [24, 23, 105, 12];
    match error.kind() {
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Failure::Local,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Failure::Closed,
        ErrorKind::TimedOut => Failure::Timeout,
        _ if error.raw_os_error().is_some_and(|code| USED_UP.contains(&code)) => Failure::Local,
        _ => Failure::Unreachable,
    }
}
