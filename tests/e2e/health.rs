//! Members that are down leave the answers: by a key that somebody writes, by a scanner and a scheduler of our own, with a real
//! etcd and real listeners, and by a server that checks them itself.

mod alone;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::process::{finish, run};
use harness::server::binary;
use harness::{Server, Setup, turn, wait_for};

/// Longest for anything that is to come: nothing here is about speed.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The members: every namespace has a loopback of its own, and all of 127.0.0.0/8 is on it.
const MEMBERS: [&str; 3] = ["127.0.0.11", "127.0.0.12", "127.0.0.13"];

/// The name that they serve.
const NAME: &str = "cctv2.containerdns.local";

/// Records and states in etcd, and health checks that are quick.
const TABLES: &str = "[etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\ncache_file = \"etcd.cache\"\n\
                      [[etcd_tree]]\nlayout = \"containerdns\"\nzones = [\"containerdns.local.\"]\n\
                      [containerdns_api]\nlisten = \"127.0.0.1:9001\"\ntoken = \"123456789\"\nstore = \"etcd\"\n\
                      [scanner]\nname = \"agent\"\ninterval_ms = 200\nretries = 0\nports = [8080]\n";

/// A process that is killed when it is dropped, and with the thread that started it.
struct Process(Child);

impl Process {
    /// Starts a program with its output in a file of the setup.
    fn start(setup: &Setup, log: &str, program: &str, arguments: &[&str]) -> Process {
        let log = fs::File::create(setup.path(log)).expect("a writable folder");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(arguments).current_dir(setup.path(""));
        let errors = log.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("setpriv of util-linux");
        Process(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes connections at a member's address until it is dropped.
struct Listener {
    /// Tells it to end.
    stop: Arc<AtomicBool>,
    /// It.
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens at an address.
    fn open(address: &str) -> Listener {
        let listener = TcpListener::bind((address, 8080)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
                    // Who checks wants no more than this.
                    _ => {}
                }
            }
        });
        Listener { stop, thread: Some(thread) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a listener that ends");
        }
    }
}

/// Runs etcdctl, which must succeed.
fn etcdctl(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/reference-server");
    run(script, &[&["etcdctl", "--endpoints=127.0.0.1:2379"], arguments].concat())
}

/// Writes a member's state as the original's users do.
fn put_state(member: &str, value: &str) {
    etcdctl(&["put", &format!("/containerdns/monitor/status/{member}"), value]);
}

/// The addresses that are answered for a name.
fn answered_of(name: &str) -> BTreeSet<String> {
    let records = dig(SERVED4, name, "A").answer;
    records.iter().filter_map(|record| record.split(' ').nth(4)).map(str::to_owned).collect()
}

/// The addresses that are answered for the name of etcd.
fn answered() -> BTreeSet<String> {
    answered_of(NAME)
}

/// Waits until these members and no others are answered for a name; gives how long that took.
fn wait_until_answered_of(name: &str, members: &[&str]) -> Duration {
    let wanted: BTreeSet<String> = members.iter().map(|&member| member.to_owned()).collect();
    let start = Instant::now();
    wait_for(&format!("answers of {name}: {members:?}"), TIME_MAX, || (answered_of(name) == wanted).then_some(()));
    start.elapsed()
}

/// The same for the name of etcd.
fn wait_until_answered(members: &[&str]) -> Duration {
    wait_until_answered_of(NAME, members)
}

/// Starts etcd in this namespace, and waits until it answers.
fn start_etcd(setup: &Setup) -> Process {
    run("ip", &["link", "set", "lo", "up"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/reference-server");
    let data = format!("--data-dir={}", setup.path("etcd").display());
    let etcd = Process::start(setup, "etcd.log", script, &["etcd", &data, "--unsafe-no-fsync"]);
    wait_for("etcd", TIME_MAX, || {
        let mut command = Command::new(script);
        command.args(["etcdctl", "--endpoints=127.0.0.1:2379", "endpoint", "health"]);
        finish(&mut command, TIME_MAX).status.success().then_some(())
    });
    etcd
}

/// Starts etcd and the server in this namespace, and makes the name with all members over the record interface.
fn start() -> (Setup, (Server, Process)) {
    let mut setup = Setup::new();
    setup.more = TABLES.to_owned();
    let etcd = start_etcd(&setup);
    let server = setup.start();
    let ips = MEMBERS.map(|member| format!("\"{member}\"")).join(",");
    let body = format!("{{\"type\":\"A\",\"ips\":[{ips}]}}");
    let url = format!("http://127.0.0.1:9001/containerdns/api/{NAME}?user=u1&token=123456789");
    assert_eq!(run("curl", &["-s", "-X", "POST", "-d", &body, &url]), "OK\n");
    (setup, (server, etcd))
}

#[test]
fn an_address_that_a_key_says_is_down_is_not_answered() {
    let _turn = turn();
    let (_setup, running) = start();
    assert_eq!(answered().len(), 3, "what is answered OK is on the wire");
    put_state(MEMBERS[0], "{\"status\":\"DOWN\"}");
    wait_until_answered(&MEMBERS[1..]);
    let shown = run("nslookup", &[NAME, &SERVED4.to_string()]);
    assert!(!shown.contains(MEMBERS[0]) && shown.contains(MEMBERS[1]), "{shown}");
    put_state(MEMBERS[1], "{\"status\":\"DOWN\"}");
    wait_until_answered(&MEMBERS[2..]);
    put_state(MEMBERS[2], "{\"status\":\"DOWN\"}");
    wait_until_answered(&MEMBERS);
    put_state(MEMBERS[0], "{\"status\":\"UP\"}");
    wait_until_answered(&MEMBERS[..1]);
    put_state(MEMBERS[0], "malformed");
    put_state(MEMBERS[1], "{\"status\":\"UP\"}");
    wait_until_answered(&MEMBERS[..2]);

    // The same address in a record of the store leaves and comes back too, and the record itself is as it was.
    let server = &running.0;
    server.put_zone("store.example.");
    server.put_rrset("store.example.", "www", "A", 60, &MEMBERS);
    wait_until_answered_of("www.store.example.", &MEMBERS[..2]);
    let record = || server.get("/api/v1/zones/store.example./rrsets/www/A").body;
    let before = record();
    put_state(MEMBERS[1], "{\"status\":\"DOWN\",\"by\":\"node-107\",\"error\":\"refused\"}");
    wait_until_answered_of("www.store.example.", &MEMBERS[..1]);
    assert_eq!(record(), before, "what was put is shown");
    let program = binary().display().to_string();
    let table = run(&program, &["ctl", "members", NAME, "--state", "down"]);
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows.len() == 3 && rows[1].starts_with(MEMBERS[1]) && rows[1].contains("node-107"), "{table}");
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("ringdns_members{state=\"down\"} 2"), "{metrics}");
    assert!(metrics.contains("ringdns_member_transitions_total{to=\"down\"}"), "{metrics}");
}

#[test]
fn listeners_that_close_leave_the_answers_and_come_back() {
    let _turn = turn();
    let (setup, _running) = start();
    let first = Listener::open(MEMBERS[0]);
    let second = Listener::open(MEMBERS[1]);
    let (program, config) = (binary().display().to_string(), setup.path("ringdns.toml").display().to_string());
    let _scheduler = Process::start(&setup, "scheduler.log", &program, &["scheduler", "--config", &config]);
    let scanner = Process::start(&setup, "scanner.log", &program, &["scanner", "--config", &config]);
    wait_until_answered(&MEMBERS[..2]);
    drop(second);
    let mut table = vec![("closed: not answered any more", wait_until_answered(&MEMBERS[..1]))];
    let second = Listener::open(MEMBERS[1]);
    table.push(("open again: answered again", wait_until_answered(&MEMBERS[..2])));
    drop((first, second));
    table.push(("all closed: all are answered", wait_until_answered(&MEMBERS)));
    for (what, time) in table {
        println!("{what}: {} ms, checked every 200 ms, fall and rise at the second", time.as_millis());
    }
    let state = etcdctl(&["get", "--print-value-only", &format!("/containerdns/monitor/status/{}", MEMBERS[0])]);
    assert!(state.contains("\"DOWN\"") && state.contains(NAME), "the names of an address are kept: {state}");
    let members = run("curl", &["-s", "http://127.0.0.1:8054/api/v1/members?state=down"]);
    assert!(MEMBERS.iter().all(|member| members.contains(member)), "{members}");
    drop(scanner);
}
