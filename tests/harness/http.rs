//! A small HTTP/1.1 client over std: one request, one connection; or many requests, one after the other, over one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a connection, and for each part of an answer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines as they came.
    pub headers: String,
    /// Body as text.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// Sends a request; an error where nobody listens or the other side breaks off.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&str>,
) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, TIME_MAX)?;
    stream.set_read_timeout(Some(TIME_MAX))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if let Some(token) = token {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| std::io::Error::other("no HTTP answer"))
}

/// A connection that stays open. Requests are sent apart from waiting for their answers, so that one thread can keep many
/// connections busy.
pub struct Connection {
    /// The connection.
    stream: TcpStream,
    /// Header lines of every request.
    headers: String,
    /// What came and was not taken yet.
    received: Vec<u8>,
}

impl Connection {
    /// Connects; every request carries the token.
    pub fn open(address: SocketAddr, token: &str) -> std::io::Result<Connection> {
        Self::with(address, &format!("Authorization: Bearer {token}\r\n"))
    }

    /// Connects to who asks nobody for a token.
    pub fn open_without_token(address: SocketAddr) -> std::io::Result<Connection> {
        Self::with(address, "")
    }

    /// Connects; every request carries a header line.
    fn with(address: SocketAddr, line: &str) -> std::io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, TIME_MAX)?;
        stream.set_read_timeout(Some(TIME_MAX))?;
        stream.set_nodelay(true)?;
        let headers = format!("Host: {address}\r\n{line}Content-Type: application/json\r\n");
        Ok(Connection { stream, headers, received: Vec::new() })
    }

    /// Sends a request; its answer must be taken before the next one.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<()> {
        let Connection { stream, headers, .. } = self;
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes())
    }

    /// Waits for the answer of the request that was sent.
    pub fn answer(&mut self) -> std::io::Result<Response> {
        loop {
            if let Some(response) = self.take()? {
                return Ok(response);
            }
            let mut piece = [0; 4096];
            let bytes = self.stream.read(&mut piece)?;
            if bytes == 0 {
                return Err(std::io::Error::other("the connection was closed instead of an answer"));
            }
            self.received.extend(&piece[..bytes]);
        }
    }

    /// Takes an answer out of what came, once it is whole.
    fn take(&mut self) -> std::io::Result<Option<Response>> {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(head_bytes) = end.map(|end| end + 4) else { return Ok(None) };
        let head = String::from_utf8_lossy(&self.received[..head_bytes]).to_ascii_lowercase();
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        // 204 has no body and says no length (RFC 9110 section 8.6).
        let body_bytes = if head.contains("transfer-encoding: chunked") {
            // The last chunk is empty, and what follows it ends in an empty line; a body of JSON has no such lines in it.
            let rest = &self.received[head_bytes - 2..];
            let last = rest.windows(5).position(|window| window == b"\r\n0\r\n").map(|last| last + 3);
            let Some(last) = last else { return Ok(None) };
            let end = rest[last..].windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else { return Ok(None) };
            last + end + 2
        } else {
            length.map_or(Ok(0), |length| length.trim().parse::<usize>()).map_err(std::io::Error::other)?
        };
        if self.received.len() < head_bytes + body_bytes {
            return Ok(None);
        }
        let message: Vec<u8> = self.received.drain(..head_bytes + body_bytes).collect();
        let response = parse(&String::from_utf8_lossy(&message));
        response.map(Some).ok_or_else(|| std::io::Error::other("no HTTP answer"))
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<Response> {
        self.send(method, path, body)?;
        self.answer()
    }
}

/// Takes an answer apart.
fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = headers.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { join_chunks(body)? } else { body.to_owned() };
    Some(Response { status, headers: headers.to_owned(), body })
}

/// Puts a chunked body together.
fn join_chunks(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_one_connection_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut connection = Connection::open(listener.local_addr().expect("bound"), "t").expect("a connection");
        let (mut peer, _) = listener.accept().expect("a connection");
        connection.send("PUT", "/a", "{}").expect("sent");
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No").expect("sent");
        let first = connection.answer().expect("an answer");
        assert_eq!((first.status, first.body.as_str()), (200, "ok"));
        peer.write_all(b" Content\r\n\r\n").expect("sent");
        assert_eq!(connection.answer().expect("an answer").status, 204);
        drop(peer);
        assert!(connection.answer().is_err(), "nothing comes any more");
    }

    #[test]
    fn chunks_are_joined() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let response = parse(text).expect("an answer");
        assert_eq!((response.status, response.body.as_str()), (200, "abcde"));
    }
}
