//! What the integration tests share: a running control plane on a free port, and a small HTTP client.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringdns_controlplane::config::{AaaaMode, Config, CookieMode};
use ringdns_controlplane::guest::Guest;
use ringdns_controlplane::health::{Said, Status};
use ringdns_controlplane::sockets::{Asking, SocketOptions};
use ringdns_controlplane::{BuildInfo, ControlPlane, StartError};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::recall::RecallConfig;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig};
use ringdns_engine::snapshot::Snapshot;
use serde_json::Value;

/// The token of the tests.
pub const TOKEN: &str = "0123456789abcdef";

/// Speaks to the API.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Where it listens.
    pub address: SocketAddr,
}

/// A running control plane.
pub struct Server {
    /// It.
    pub plane: Option<ControlPlane>,
    /// What a worker would see.
    pub reader: Reader,
    /// What one worker counts.
    pub counters: Arc<Counters>,
    /// Where the API listens.
    pub address: SocketAddr,
    /// Speaks to it.
    pub client: Client,
}

/// Gives a server all that its client can do.
impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Configuration text with the store in a directory and the API on a free port.
pub fn config_text(directory: &Path, more: &str) -> String {
    format!(
        "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n\
         [store]\npath = \"{}/ringdns.redb\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n{more}",
        directory.display()
    )
}

impl Server {
    /// Starts with a store in a directory, and waits until it is synced.
    pub fn start(directory: &Path, more: &str) -> Self {
        let server = Self::start_unsynced(directory, more);
        wait_until("the sources are synced", || server.plane().is_synced());
        server
    }

    /// Starts with a store in a directory.
    pub fn start_unsynced(directory: &Path, more: &str) -> Self {
        Self::start_text_unsynced(directory, &config_text(directory, more))
    }

    /// Starts with configuration text, and waits until it is synced.
    pub fn start_text(directory: &Path, text: &str) -> Self {
        let server = Self::start_text_unsynced(directory, text);
        wait_until("the sources are synced", || server.plane().is_synced());
        server
    }

    /// Starts with configuration text.
    pub fn start_text_unsynced(directory: &Path, text: &str) -> Self {
        Self::try_start_text(directory, text).unwrap()
    }

    /// Starts with a store in a directory, where that can be done.
    pub fn try_start(directory: &Path, more: &str) -> Result<Self, StartError> {
        Self::try_start_text(directory, &config_text(directory, more))
    }

    /// Starts with configuration text, where that can be done.
    pub fn try_start_text(directory: &Path, text: &str) -> Result<Self, StartError> {
        Self::try_start_with(directory, text, Vec::new())
    }

    /// The same with sources of others.
    pub fn try_start_with(directory: &Path, text: &str, guests: Vec<Box<dyn Guest>>) -> Result<Self, StartError> {
        Self::try_start_asking(directory, text, guests, None)
    }

    /// The same with somebody who asks others.
    pub fn try_start_asking(
        directory: &Path,
        text: &str,
        guests: Vec<Box<dyn Guest>>,
        others: Option<(Asking, RecallConfig)>,
    ) -> Result<Self, StartError> {
        let path = directory.join("ringdns.toml");
        let config = Config::parse(&path, text).unwrap();
        let publisher = Publisher::new(Snapshot::empty());
        let reader = publisher.reader();
        let counters = Arc::new(Counters::with_names(config.stats.names).with_census(config.stats.messages));
        let (others, recall) = others.unzip();
        let build = BuildInfo { version: "1.2.3".into(), commit: "abc".into(), dpdk: "22.11".into() };
        let sockets = SocketOptions {
            listen: config.sockets.listen.clone(),
            answers: MessageConfig { recall, ..answers(&config) },
            names: config.stats.names,
            others,
        };
        let plane = ControlPlane::start(&config, sockets, vec![Arc::clone(&counters)], publisher, build, guests)?;
        let address = plane.address();
        Ok(Self { plane: Some(plane), reader, counters, address, client: Client { address } })
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        self.plane.as_ref().unwrap()
    }

    /// Says of addresses how they are, as checks in this process do; nothing: that nothing is known.
    pub fn say(&self, members: &[(&str, Option<Status>)]) {
        let said = members.iter().map(|(address, status)| (address.parse().unwrap(), status.map(Said::new))).collect();
        let health = self.plane().health();
        let mut telling = pin!(health.tell(said));
        // It waits for room in the cycle's queue only; the tests of other crates, which have no runtime, use this file too.
        loop {
            match telling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(told) => return told.unwrap(),
                Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Ends it.
    pub fn stop(mut self) {
        assert!(self.plane.take().unwrap().shutdown().is_some(), "the cycle's thread ended badly");
    }
}

/// What sockets answer with: cookies with a known secret, and the rest of the configuration.
fn answers(config: &Config) -> MessageConfig {
    let secret = CookieSecret([0x5a; 16]);
    let enforce = config.dns.cookies == CookieMode::Enforce;
    MessageConfig {
        udp_answer_bytes_max: config.dns.udp_answer_bytes_max,
        hides_aaaa: config.dns.aaaa == AaaaMode::Nodata,
        edns: EdnsConfig {
            nsid: config.dns.nsid.clone(),
            cookies: Some(CookieConfig { secret, other_secret: None, enforce }),
        },
        chaos: ChaosConfig::default(),
        rate_limit: config.rate_limit.clone(),
        recall: None,
    }
}

impl Client {
    /// A request with the token and a JSON body; status and JSON; nothing where no whole answer came.
    pub fn try_json(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let authorization = format!("Bearer {TOKEN}");
        let reply = self.try_raw(&request(method, path, &[("authorization", &authorization)], body))?;
        Some((reply.status, serde_json::from_str(&reply.body).ok()?))
    }

    /// A request with the token and a JSON body; status and JSON.
    pub fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let reply = self.request(method, path, &[("authorization", &format!("Bearer {TOKEN}"))], body);
        let value = if reply.body.is_empty() { Value::Null } else { serde_json::from_str(&reply.body).unwrap() };
        (reply.status, value)
    }

    /// A request that reads.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let reply = self.request("GET", path, &[], "");
        (reply.status, serde_json::from_str(&reply.body).unwrap())
    }

    /// A request with the token and headers of its own; a body is sent as JSON unless the headers say otherwise.
    pub fn authorised(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [headers, &[("authorization", &authorization)]].concat();
        self.request(method, path, &headers, body)
    }

    /// A request with headers; a body is sent as JSON unless the headers say otherwise.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.raw(&request(method, path, headers, body))
    }

    /// Bytes as they are.
    pub fn raw(&self, request: &str) -> Reply {
        self.try_raw(request).unwrap_or_else(|| panic!("no answer to {}", &request[..request.len().min(200)]))
    }

    /// Bytes as they are; nothing where no answer came.
    fn try_raw(&self, request: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        // The largest request of all tests takes seconds on a quiet machine.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        // A server that refuses a body may close before all of it is sent.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Reply::parse(&String::from_utf8(bytes).unwrap())
    }
}

/// The text of a request.
fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            text.push_str("content-type: application/json\r\n");
        }
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

/// An HTTP response.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Takes a response apart.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let reply = Self { status, headers, body: body.to_owned() };
        let is_chunked = reply.header("transfer-encoding") == Some("chunked");
        if is_chunked && !body.is_empty() { Some(Self { body: dechunk(body)?, ..reply }) } else { Some(reply) }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The text of a body in chunks; nothing where its end is missing.
fn dechunk(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..length)?);
        chunks = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

/// Waits for something; fails after a time.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
