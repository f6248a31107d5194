//! A scanner against a real etcd, and targets that do what a test wants.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

#[path = "../../../controlplane/tests/common/etcd.rs"]
pub mod real;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use real::Etcd;
use ringdns_controlplane::config::RoleConfig;
use ringdns_health::scanner::Scanner;
use serde_json::Value;

/// Waits until something holds; fails after a time that no machine needs.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A role's configuration for an etcd; the scanner is `a`, looks often and listens on any port.
pub fn config(endpoints: &[String], scanner: &str, more: &str) -> RoleConfig {
    let interval = if scanner.contains("interval_ms") { "" } else { "interval_ms = 100\n" };
    let text = format!(
        "[etcd]\nendpoints = {endpoints:?}\ntimeout_seconds = 1\n\
         [scanner]\nname = \"a\"\nlisten = \"127.0.0.1:0\"\n{interval}retries = 0\nlease_seconds = 3\n{scanner}\n{more}\n"
    );
    RoleConfig::parse(Path::new("/ringdns.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Starts a scanner of an etcd.
pub fn scanner(etcd: &Etcd, lines: &str, more: &str) -> Scanner {
    let endpoints: Vec<String> = etcd.members.iter().map(real::Member::endpoint).collect();
    let config = config(&endpoints, lines, more);
    Scanner::start(config.etcd, &config.health).unwrap_or_else(|error| panic!("{error}"))
}

/// The value of a key with the revision that wrote it and its lease.
pub fn key(etcd: &Etcd, key: &str) -> Option<(Value, i64, i64)> {
    let answer = etcd.ask(|client| async move { client.kv_client().get(key, None).await });
    let pair = answer.kvs().first()?;
    Some((serde_json::from_slice(pair.value()).unwrap(), pair.mod_revision(), pair.lease()))
}

/// The key of an address's state.
pub fn status_key(address: &str) -> String {
    format!("/containerdns/monitor/status/{address}")
}

/// How an address is by its key.
pub fn state(etcd: &Etcd, address: &str) -> String {
    key(etcd, &status_key(address)).map_or_else(String::new, |(value, ..)| value["status"].as_str().unwrap().to_owned())
}

/// Asks for a page; its status and its body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// JSON of a page.
pub fn json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&get(address, path).1).unwrap()
}

/// A metric's value; the name goes with its labels.
pub fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics").1;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::parse);
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).unwrap()
}

/// What a server does with a request: a status, after a time.
type Answer = dyn Fn(&str) -> (u16, Duration) + Send + Sync;

/// A small HTTP server. Its port is free again when it is dropped.
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    /// What was asked, head and body.
    pub requests: Arc<Mutex<Vec<(Instant, String)>>>,
    /// True: it takes no more.
    ended: Arc<AtomicBool>,
    /// It.
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Web {
    /// Starts one; port 0 is any. All of a `peak` count together.
    pub fn start(address: &str, peak: Arc<(AtomicU32, AtomicU32)>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, peak, answer) = (Arc::clone(&seen), Arc::clone(&peak), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let running = peak.0.fetch_add(1, Ordering::SeqCst) + 1;
                    peak.1.fetch_max(running, Ordering::SeqCst);
                    // Over before the client knows: it may ask for something else then.
                    serve(stream, &seen, &*answer, || {
                        peak.0.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    /// One that answers by a function of how many requests came before.
    pub fn answering(answer: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let count = AtomicU32::new(0);
        let answer = move |_: &str| {
            let before = count.fetch_add(1, Ordering::SeqCst);
            (answer(usize::try_from(before).unwrap()), Duration::ZERO)
        };
        Self::start("127.0.0.1:0", Arc::default(), Arc::new(answer))
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Bodies of what was posted, and when.
    pub fn bodies(&self) -> Vec<(Instant, Value)> {
        let requests = self.requests.lock().unwrap();
        let body = |text: &String| serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        requests.iter().map(|(time, text)| (*time, body(text))).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request.
fn serve(mut stream: TcpStream, seen: &Mutex<Vec<(Instant, String)>>, answer: &Answer, is_over: impl FnOnce()) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                seen.lock().unwrap().push((Instant::now(), text.clone()));
                let (status, time) = answer(&text);
                std::thread::sleep(time);
                is_over();
                let _ = write!(stream, "HTTP/1.1 {status} Text\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(length @ 1..) => bytes.extend_from_slice(&piece[..length]),
            _ => return is_over(),
        }
    }
}
