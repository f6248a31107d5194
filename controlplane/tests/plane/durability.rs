//! What was acknowledged survives a kill -9; what survives is what was written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::common::{Client, Server};
use serde_json::json;

/// Tells a copy of this test binary that it is to serve, and where its store lies.
const SERVE_IN: &str = "RINGDNS_TEST_SERVE_IN";

/// Rounds of serving and killing.
const ROUNDS: usize = 6;

/// Writers at the same time.
const WRITERS: usize = 4;

/// In a copy that is to serve: serves until killed. Otherwise nothing.
#[test]
fn serve_when_told_to() {
    let Some(directory) = std::env::var_os(SERVE_IN).map(PathBuf::from) else { return };
    let server = Server::start(&directory, "");
    // Under the test harness standard output may be captured; a file is not.
    let line = format!("{}\n", server.address);
    std::fs::write(directory.join("address.new"), line).unwrap();
    std::fs::rename(directory.join("address.new"), directory.join("address")).unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// A copy of this binary that serves a store.
struct Served {
    child: Child,
    client: Client,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let address = directory.join("address");
        let _ = std::fs::remove_file(&address);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::serve_when_told_to", "--test-threads=1"])
            .env(SERVE_IN, directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        crate::common::wait_until("the copy serves", || address.exists());
        let file = BufReader::new(std::fs::File::open(&address).unwrap());
        let address: SocketAddr = file.lines().next().unwrap().unwrap().parse().unwrap();
        Self { child, client: Client { address } }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGKILL: no destructor of the copy runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Path of an owner's address record.
fn path(owner: &str) -> String {
    format!("/api/v1/zones/example.org/rrsets/{owner}/A")
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let acknowledged = Mutex::new(BTreeSet::new());
    let mut sent = 0;
    for round in 0..ROUNDS {
        let served = Served::start(directory.path());
        if round == 0 {
            assert_eq!(served.client.json("PUT", "/api/v1/zones/example.org", "").0, 201);
        }
        verify(&served.client, &acknowledged.lock().unwrap(), sent);
        let pause = Duration::from_millis(40 + 35 * round as u64);
        let mut killed = served;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, acknowledged) = (killed.client, &acknowledged);
                scope.spawn(move || write_until_refused(client, round, writer, acknowledged));
            }
            std::thread::sleep(pause);
            killed.child.kill().unwrap();
        });
        sent = acknowledged.lock().unwrap().len() + WRITERS * (round + 1);
    }
    let served = Served::start(directory.path());
    verify(&served.client, &acknowledged.lock().unwrap(), sent);
    assert!(acknowledged.lock().unwrap().len() > ROUNDS * WRITERS, "hardly anything was written");
}

/// Writes one owner after the other until the server is gone.
fn write_until_refused(client: Client, round: usize, writer: usize, acknowledged: &Mutex<BTreeSet<String>>) {
    for number in 0.. {
        let owner = format!("r{round}w{writer}n{number}");
        let body = json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string();
        match client.try_json("PUT", &path(&owner), &body) {
            Some((201, _)) => drop(acknowledged.lock().unwrap().insert(format!("{owner}.example.org."))),
            Some((status, value)) => panic!("{status} {value}"),
            None => return,
        }
    }
}

/// Everything that was acknowledged is there, and at most one write more for each writer and round.
fn verify(client: &Client, acknowledged: &BTreeSet<String>, at_most: usize) {
    let mut found = BTreeSet::new();
    let mut next = Some("/api/v1/zones/example.org/rrsets?limit=500".to_owned());
    while let Some(path) = next {
        let (status, page) = client.json("GET", &path, "");
        assert_eq!(status, 200, "{page}");
        for rrset in page["rrsets"].as_array().unwrap() {
            if rrset["type"] == "A" {
                assert_eq!(rrset["records"], json!(["192.0.2.1"]));
                found.insert(rrset["owner"].as_str().unwrap().to_owned());
            }
        }
        next = page["next"].as_str().map(str::to_owned);
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(found.len() <= acknowledged.len().max(at_most), "{} found, {at_most} sent", found.len());
    let serial = client.json("GET", "/api/v1/zones/example.org", "").1["serial"].as_u64().unwrap();
    assert_eq!(usize::try_from(serial).unwrap(), found.len() + 1, "the serial counts the changes that are there");
}

#[test]
fn a_clean_end_and_a_new_start_keep_everything() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.json("PUT", "/api/v1/zones/example.org", "");
    server.json("PUT", &path("www"), &json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string());
    let before = server.get("/api/v1/zones/example.org/rrsets").1;
    server.stop();
    let server = Server::start(directory.path(), "");
    assert_eq!(server.get("/api/v1/zones/example.org/rrsets").1, before);
    server.json("DELETE", "/api/v1/zones/example.org", "");
    server.stop();
    let server = Server::start(directory.path(), "");
    assert_eq!(server.get("/api/v1/zones").1["zones"], json!([]));
}

#[test]
fn a_stop_answers_what_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), "");
    server.json("PUT", "/api/v1/zones/example.org", "");
    let acknowledged = Mutex::new(BTreeSet::new());
    let client = server.client;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let acknowledged = &acknowledged;
            scope.spawn(move || write_until_refused(client, 0, writer, acknowledged));
        }
        std::thread::sleep(Duration::from_millis(60));
        assert!(server.plane.take().unwrap().shutdown().is_some());
    });
    let server = Server::start(directory.path(), "");
    let acknowledged = acknowledged.into_inner().unwrap();
    verify(&server.client, &acknowledged, acknowledged.len());
}

#[test]
fn a_client_that_never_ends_its_request_does_not_keep_the_server() {
    use std::io::Write as _;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.write_all(b"PUT /api/v1/zones/example.org HTTP/1.1\r\nhost: t\r\ncontent-le").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let started = std::time::Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop(stream);
    drop(Server::start(directory.path(), ""));
}

#[test]
fn two_servers_cannot_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let _server = Server::start(directory.path(), "");
    let error = Server::try_start(directory.path(), "").err().unwrap().to_string();
    assert!(error.contains("in use by another process; stop the other RingDNS"), "{error}");
}
