//! A question of our own to a DNS server.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringdns_engine::name::WireName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longest that an answer may take: what the sidecar's library waits.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Largest answer over UDP that is taken: we offer no more than the 512 bytes of RFC 1035 section 4.2.1.
const ANSWER_BYTES_MAX: usize = 4096;

/// Bytes of a DNS header.
const HEADER_BYTES: usize = 12;

/// How a question is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In a datagram.
    Udp,
    /// Over a connection of its own.
    Tcp,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The response code of the header.
    pub(super) rcode: u8,
    /// Records in the answer section.
    pub(super) records: u16,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The system.
    #[error("{server} cannot be asked: {error}")]
    System {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Nobody answered.
    #[error("{server} did not answer within {} s", ANSWER_TIME_MAX.as_secs())]
    Late {
        /// Who was asked.
        server: SocketAddr,
    },
}

/// A query for one type of a name.
pub(super) fn query(name: &WireName, qtype: u16) -> Vec<u8> {
    // Seeds of the standard library's hash tables are random, and so is what they make of nothing.
    let [i1, i2, ..] = RandomState::new().hash_one(()).to_le_bytes();
    // RD, one question.
    let mut message = vec![i1, i2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// What a message says, if it answers the query. RFC 5452 section 9.1: what does not match the query is not its answer.
pub(super) fn answer(query: &[u8], message: &[u8]) -> Option<Answer> {
    let (header, rest) = message.split_first_chunk::<HEADER_BYTES>()?;
    let &[i1, i2, f1, f2, q1, q2, a1, a2, ..] = header;
    let question = query.get(HEADER_BYTES..)?;
    let is_ours = query.starts_with(&[i1, i2]) && f1 & 0x80 != 0;
    // Who refuses a message may leave the question out.
    let is_same =
        [q1, q2] == [0, 0] || rest.get(..question.len()).is_some_and(|asked| asked.eq_ignore_ascii_case(question));
    (is_ours && is_same).then_some(Answer { rcode: f2 & 0xf, records: u16::from_be_bytes([a1, a2]) })
}

/// Asks once, and waits for [`ANSWER_TIME_MAX`] at most.
pub(super) async fn ask(way: Way, server: SocketAddr, name: &WireName, qtype: u16) -> Result<Answer, AskError> {
    let query = query(name, qtype);
    let asked = async {
        match way {
            Way::Udp => over_udp(server, &query).await,
            Way::Tcp => over_tcp(server, &query).await,
        }
    };
    match timeout(ANSWER_TIME_MAX, asked).await {
        Ok(answered) => answered.map_err(|error| AskError::System { server, error }),
        Err(_) => Err(AskError::Late { server }),
    }
}

/// Over UDP.
async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From here on the kernel takes answers of this address and port alone.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut bytes = vec![0; ANSWER_BYTES_MAX];
    loop {
        let length = socket.recv(&mut bytes).await?;
        if let Some(answer) = bytes.get(..length).and_then(|message| answer(query, message)) {
            return Ok(answer);
        }
    }
}

/// Over TCP.
async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    // A query has one name of at most 255 bytes.
    let length = u16::try_from(query.len()).unwrap_or_default().to_be_bytes();
    stream.write_all(&[&length[..], query].concat()).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).await?;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the answer is none to the query");
    answer(query, &message).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matches_is_an_answer() {
        let query = query(&"a.B.".parse().unwrap(), 1);
        let reply = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = query.clone();
            (message[2], message[3], message[7]) = (0x85, 3, 2);
            change(&mut message);
            answer(&query, &message)
        };
        assert_eq!(reply(&|_| ()), Some(Answer { rcode: 3, records: 2 }));
        assert!(reply(&|message| message[15] = b'b').is_some() && reply(&|message| message.push(0)).is_some());
        let header_alone = reply(&|message| {
            message[5] = 0;
            message.truncate(HEADER_BYTES);
        });
        assert!(header_alone.is_some());
        assert_eq!(reply(&|message| message[0] ^= 1), None, "another query's");
        assert_eq!(reply(&|message| message[2] = 1), None, "no response");
        assert_eq!(reply(&|message| message[13] = b'x'), None, "another name");
        assert_eq!(reply(&|message| message.truncate(20)), None);
    }
}
