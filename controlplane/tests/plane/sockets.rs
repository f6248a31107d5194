//! DNS over the kernel's sockets: what is answered, what is not, and when a connection ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

mod limits;
mod others;
mod transfers;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::common::{Server, wait_until};
use ringdns_engine::rtype::types;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig};
use ringdns_engine::testing::{query, query_edns, query_options};
use serde_json::json;

/// Longest wait for anything that is to come: generous, other work may keep the machine busy.
const WAIT: Duration = Duration::from_secs(20);

/// A server with sockets and a zone in a directory that lives as long.
struct Host {
    /// The control plane.
    server: Server,
    /// Where it answers.
    address: SocketAddr,
    /// Its store.
    _directory: tempfile::TempDir,
}

impl Host {
    /// A host with more keys of `[sockets]`, and more tables behind them.
    fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &format!("[sockets]\nlisten = [\"127.0.0.1:0\"]\n{more}"));
        assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
        let host = Self { address: server.plane().socket_addresses()[0], server, _directory: directory };
        host.put("www", "A", &["192.0.2.1"]);
        let texts: Vec<String> = (0..100).map(|number| format!("\"{number:03}{}\"", "t".repeat(150))).collect();
        host.put("large", "TXT", &texts.iter().map(String::as_str).collect::<Vec<_>>());
        host
    }

    /// Writes an RRset.
    fn put(&self, owner: &str, rtype: &str, records: &[&str]) {
        let path = format!("/api/v1/zones/example.org/rrsets/{owner}/{rtype}");
        let (status, body) = self.server.json("PUT", &path, &json!({"ttl": 60, "records": records}).to_string());
        assert!([200, 201].contains(&status), "{body}");
    }

    /// A connection.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The answer to a datagram.
    fn ask_udp(&self, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send(message).unwrap();
        let mut buffer = [0; 65_535];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    /// The value of a metric's row.
    fn metric(&self, row: &str) -> u64 {
        let text = self.server.request("GET", "/metrics", &[], "").body;
        let value = text.lines().find_map(|line| line.strip_prefix(row)?.trim().split('.').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {row} in {text}"))
    }

    /// Connections that ended for a cause.
    fn closed(&self, cause: &str) -> u64 {
        self.metric(&format!("ringdns_tcp_closed_total{{cause=\"{cause}\"}}"))
    }

    /// Connections that are open.
    fn open(&self) -> u64 {
        self.metric("ringdns_tcp_connections{}")
    }
}

/// A message behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// The next message of a stream; nothing at its end.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
        Err(error) => panic!("{error}"),
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    Some(message)
}

/// The answer to a message over a stream.
fn ask(stream: &mut TcpStream, message: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&framed(message)).unwrap();
    receive(stream)
}

/// A query with an id.
fn query_with_id(id: u16, qname: &str, qtype: u16) -> Vec<u8> {
    let mut message = query(qname, qtype);
    message[..2].copy_from_slice(&id.to_be_bytes());
    message
}

#[test]
fn udp_and_tcp_are_answered_and_acknowledged_writes_are_seen() {
    let host = Host::new("");
    let mut stream = host.connect();
    for last in 1..=40 {
        host.put("www", "A", &[&format!("203.0.113.{last}")]);
        let answer = ask(&mut stream, &query("www.example.org.", types::A)).unwrap();
        assert_eq!(answer.last(), Some(&last), "over TCP");
        assert_eq!(host.ask_udp(&query("www.example.org.", types::A)), answer, "over UDP");
    }
    let refused = ask(&mut stream, &query("example.org.", 252)).unwrap();
    assert_eq!((refused[3] & 0xf, &refused[6..8]), (5, &[0, 0][..]), "a transfer");
    assert_eq!(host.metric("ringdns_queries_total{worker=\"tcp\",family=\"ipv4\"}"), 41);
    assert_eq!(host.metric("ringdns_queries_total{worker=\"udp\",family=\"ipv4\"}"), 40);
    assert_eq!(host.metric("ringdns_responses_total{worker=\"tcp\",rcode=\"REFUSED\"}"), 1);
}

#[test]
fn what_is_truncated_over_udp_is_whole_over_tcp() {
    let host = Host::new("");
    let message = query_edns("large.example.org.", types::TXT, 4096, false);
    let short = host.ask_udp(&message);
    assert!(short.len() <= 1232 && short[2] & 2 != 0, "TC");
    let whole = ask(&mut host.connect(), &message).unwrap();
    assert!(whole.len() > 15_000 && whole[2] & 2 == 0);
    assert_eq!(whole[6..8], [0, 100]);
}

#[test]
fn pipelined_queries_are_answered_in_order() {
    let host = Host::new("");
    let mut stream = host.connect();
    // More answers than any buffer holds, so that the client must read while it writes.
    let queries: Vec<u8> = (0..3000)
        .flat_map(|id| {
            let (owner, rtype) = if id % 10 == 0 { ("large", types::TXT) } else { ("www", types::A) };
            framed(&query_with_id(id, &format!("{owner}.example.org."), rtype))
        })
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&queries).unwrap());
    for id in 0..3000 {
        assert_eq!(receive(&mut stream).unwrap()[..2], u16::to_be_bytes(id));
    }
    writing.join().unwrap();
    wait_until("nothing is held", || host.metric("ringdns_tcp_held_bytes{}") == 0);
}

#[test]
fn a_query_may_come_byte_by_byte_and_its_end_with_the_next() {
    let host = Host::new("");
    let mut stream = host.connect();
    let two = [framed(&query_with_id(1, "www.example.org.", 1)), framed(&query_with_id(2, "www.example.org.", 1))];
    let bytes = two.concat();
    let (slow, rest) = bytes.split_at(40);
    for byte in slow {
        stream.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    stream.write_all(rest).unwrap();
    for id in [1, 2] {
        assert_eq!(receive(&mut stream).unwrap()[..2], [0, id]);
    }
}

#[test]
fn segments_may_end_anywhere() {
    let host = Host::new("");
    let mut stream = host.connect();
    let queries: Vec<u8> = (0..2000).flat_map(|id| framed(&query_with_id(id, "www.example.org.", types::A))).collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let (mut rest, mut state) = (&queries[..], 7u64);
        while !rest.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Segments of some bytes and of some queries, some of them close together.
            let length = usize::try_from(state >> 33).unwrap() % if state >> 32 & 1 == 0 { 8 } else { 400 } + 1;
            let (segment, after) = rest.split_at(length.min(rest.len()));
            writer.write_all(segment).unwrap();
            if state >> 31 & 1 == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
            rest = after;
        }
    });
    for id in 0..2000 {
        let answer = receive(&mut stream).unwrap();
        assert_eq!((&answer[..2], answer[3] & 0xf), (&u16::to_be_bytes(id)[..], 0));
    }
    writing.join().unwrap();
}

#[test]
fn a_client_that_has_asked_and_closed_its_side_gets_its_answers() {
    let host = Host::new("");
    let mut stream = host.connect();
    let queries: Vec<u8> =
        (0..50).flat_map(|id| framed(&query_with_id(id, "large.example.org.", types::TXT))).collect();
    stream.write_all(&queries).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for id in 0..50 {
        assert_eq!(receive(&mut stream).unwrap()[..2], u16::to_be_bytes(id));
    }
    assert_eq!(receive(&mut stream), None);
    wait_until("it is counted", || host.closed("client") == 1);
}

#[test]
fn what_is_no_dns_is_closed_and_counted() {
    let host = Host::new("");
    let mut response = query("www.example.org.", types::A);
    response[2] |= 0x80;
    for (bytes, cause) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "too_long"),
        (b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n".to_vec(), "too_long"),
        (b"\x00\x0bhello world".to_vec(), "too_short"),
        (framed(&response), "no_query"),
    ] {
        let before = host.closed(cause);
        let mut stream = host.connect();
        stream.write_all(&bytes).unwrap();
        assert_eq!(receive(&mut stream), None, "{cause}");
        wait_until("it is counted", || host.closed(cause) == before + 1);
    }
    // What went before is answered; a malformed query is too, and does not end the connection.
    let mut stream = host.connect();
    let mut malformed = query("www.example.org.", types::A);
    malformed[5] = 2;
    let all = [framed(&malformed), framed(&query("www.example.org.", types::A)), b"\x16\x03".to_vec()].concat();
    stream.write_all(&all).unwrap();
    assert_eq!(receive(&mut stream).unwrap()[3] & 0xf, 1);
    assert_eq!(receive(&mut stream).unwrap()[3] & 0xf, 0);
    assert_eq!(receive(&mut stream), None);
}

#[test]
fn what_was_asked_is_answered_before_the_end() {
    let host = Host::new("");
    let mut streams: Vec<TcpStream> = (0..20).map(|_| host.connect()).collect();
    let mut idle = host.connect();
    // All are known to the server before they ask.
    for stream in streams.iter_mut().chain([&mut idle]) {
        assert!(ask(stream, &query("www.example.org.", types::A)).is_some());
    }
    for stream in &mut streams {
        let queries: Vec<u8> =
            (0..20).flat_map(|id| framed(&query_with_id(id, "large.example.org.", types::TXT))).collect();
        stream.write_all(&queries).unwrap();
    }
    let start = Instant::now();
    let Host { server, address, _directory } = host;
    let stopping = std::thread::spawn(move || server.stop());
    for stream in &mut streams {
        for id in 0..20 {
            assert_eq!(receive(stream).unwrap()[..2], u16::to_be_bytes(id));
        }
        assert_eq!(receive(stream), None);
    }
    assert_eq!(receive(&mut idle), None);
    stopping.join().unwrap();
    assert!(start.elapsed() < WAIT);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn addresses_may_come_later_and_those_in_use_are_named() {
    let directory = tempfile::tempdir().unwrap();
    // An address for documents, which this host does not have.
    let more = "[sockets]\nlisten = [\"198.51.100.77:0\", \"[2001:db8::77]:0\"]\n";
    let server = Server::start(directory.path(), more);
    assert_eq!(server.plane().socket_addresses().len(), 2);
    drop(server);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let other = tempfile::tempdir().unwrap();
    let error = Server::try_start(other.path(), &format!("[sockets]\nlisten = [\"{address}\"]\n")).err().unwrap();
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("TCP") && text.contains("ss -lntup"), "{text}");
}

#[test]
fn what_is_answered_with_may_change() {
    let host = Host::new("");
    let mut question = query("version.bind.", types::TXT);
    *question.last_mut().unwrap() = 3;
    let mut stream = host.connect();
    assert_eq!(ask(&mut stream, &question).unwrap()[3] & 0xf, 5);
    let chaos = ChaosConfig { version: b"new".to_vec(), ..ChaosConfig::default() };
    let edns = EdnsConfig::default();
    let answers =
        MessageConfig { udp_answer_bytes_max: 1232, hides_aaaa: false, edns, chaos, rate_limit: None, recall: None };
    host.server.plane().renew_answers(answers);
    assert!(ask(&mut stream, &question).unwrap().ends_with(b"\x03new"));
    assert!(host.ask_udp(&question).ends_with(b"\x03new"));
}

#[test]
fn all_addresses_are_answered_from_the_one_that_was_asked() {
    for (listen, asked) in [("0.0.0.0:0", ["127.0.0.1", "127.8.9.10"]), ("[::]:0", ["::1", "::1"])] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &format!("[sockets]\nlisten = [\"{listen}\"]\n"));
        let port = server.plane().socket_addresses()[0].port();
        for address in asked.map(|address| SocketAddr::new(address.parse().unwrap(), port)) {
            let client = UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
            client.set_read_timeout(Some(WAIT)).unwrap();
            // A connected socket takes datagrams of that address alone.
            client.connect(address).unwrap();
            client.send(&query("www.example.org.", types::A)).unwrap();
            let mut answer = [0; 512];
            let length = client.recv(&mut answer).unwrap();
            assert!(length > 12 && answer[3] & 0xf == 5, "REFUSED, as there is no zone: {address}");
            assert!(ask(&mut TcpStream::connect(address).unwrap(), &query("a.", types::A)).is_some());
        }
    }
}

#[test]
fn tcp_alone_leaves_udp_to_others() {
    let host = Host::new("udp = false");
    assert!(ask(&mut host.connect(), &query("www.example.org.", types::A)).is_some());
    assert!(UdpSocket::bind(host.address).is_ok());
}
