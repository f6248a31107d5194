//! A cluster with agents and schedulers, some of which are processes that can be stopped and killed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etcd_client::{Client, Error, GetOptions, PutOptions};
use ringdns_controlplane::config::health::RoleConfig;
use ringdns_health::scanner::Scanner;
use ringdns_health::scheduler::rendezvous::Agents;
use ringdns_health::scheduler::{Scheduler, SchedulerState};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::common::real::Etcd;

/// Where things stand in etcd.
pub const ROOT: &str = "/containerdns/monitor";

/// Longest wait for anything: every bound of the tests is a few seconds, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Seconds after which agents and leaders that are gone count as gone.
const LEASE_SECONDS: i64 = 5;

/// Names a scheduler's configuration to a process that is one.
const SCHEDULER: &str = "RINGDNS_TEST_SCHEDULER";

/// Names a scanner's configuration to a process that is one.
const SCANNER: &str = "RINGDNS_TEST_SCANNER";

/// Waits until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The jobs, agents and locks of an etcd.
pub struct Scene {
    /// It.
    pub etcd: Etcd,
    /// Configurations.
    directory: tempfile::TempDir,
}

impl Scene {
    /// Starts an etcd.
    pub fn start() -> Self {
        Self { etcd: Etcd::start(1), directory: tempfile::tempdir().unwrap() }
    }

    /// Makes states of addresses.
    pub fn put_targets(&self, count: usize) {
        let state = |number: usize| {
            (format!("{ROOT}/status/{}", address(number)), r#"{"status":"UP","ports":["80"]}"#.to_owned())
        };
        self.etcd.put_all(&(0..count).map(state).collect::<Vec<_>>());
    }

    /// Everything below a path of the root: keys without it, each with its value and revision.
    pub fn read(&self, path: &str) -> BTreeMap<String, (Value, i64)> {
        let path = format!("{ROOT}/{path}/");
        let answer = self.etcd.ask(|client| {
            let path = path.clone();
            async move { client.kv_client().get(path, Some(GetOptions::new().with_prefix())).await }
        });
        let read = |pair: &etcd_client::KeyValue| {
            let key = pair.key_str().unwrap().strip_prefix(&path).unwrap().to_owned();
            let value = serde_json::from_slice(pair.value()).unwrap_or_else(|_| pair.value_str().unwrap().into());
            (key, (value, pair.mod_revision()))
        };
        answer.kvs().iter().map(read).collect()
    }

    /// Who has each job of an address.
    pub fn assignments(&self) -> BTreeMap<String, String> {
        let jobs = self.read("job/ipaddress");
        jobs.into_iter().map(|(key, (job, _))| (key, job["agent_name"].as_str().unwrap().to_owned())).collect()
    }

    /// Waits until that many targets have each the one of these agents that it should have, and says which.
    #[track_caller]
    pub fn wait_assigned(&self, count: usize, agents: &[&Agent]) -> BTreeMap<String, String> {
        let live = Agents::new(agents.iter().map(|agent| agent.name.as_str().into()));
        let mut found = BTreeMap::new();
        wait_until("every target has a live agent", || {
            found = self.assignments();
            found.len() == count && found.iter().all(|(target, agent)| *live.chosen(target, 1)[0] == **agent)
        });
        found
    }

    /// Who leads.
    pub fn leader(&self) -> Option<String> {
        let found = self.read("job").remove("ip_lock")?;
        Some(found.0.as_str()?.to_owned())
    }

    /// The revision of etcd.
    pub fn revision(&self) -> i64 {
        self.etcd.ask(|client| async move { client.kv_client().get("/ready", None).await }).header().unwrap().revision()
    }

    /// Writes the configuration of a scheduler.
    pub fn configure(&self, name: &str, port: u16, scheduler: &str) -> PathBuf {
        let text = format!(
            "[scheduler]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n\
             lease_seconds = {LEASE_SECONDS}\ninterval_seconds = 1\n{scheduler}\n"
        );
        self.write(name, port, &text)
    }

    /// Writes a configuration.
    fn write(&self, name: &str, port: u16, tables: &str) -> PathBuf {
        let path = self.directory.path().join(format!("{name}-{port}.toml"));
        let text = format!("version = 1\n[etcd]\nendpoints = [\"http://127.0.0.1:{port}\"]\n{tables}");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts a scheduler in a process of its own.
    pub fn process(&self, name: &str) -> Process {
        Process::start(name, SCHEDULER, &self.configure(name, self.etcd.members[0].port, ""))
    }

    /// Starts a scanner in a process of its own, whose targets have one port.
    pub fn scanner(&self, name: &str, port: u16) -> Process {
        self.lasting_scanner(name, port, LEASE_SECONDS, "")
    }

    /// The same with a lease of so many seconds and with further tables.
    pub fn lasting_scanner(&self, name: &str, port: u16, lease_seconds: i64, tables: &str) -> Process {
        let text = format!(
            "[scanner]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nlease_seconds = {lease_seconds}\n\
             heartbeat_seconds = 0\ninterval_ms = 4000\nretries = 0\nrise = 1\nfall = 1\nports = [{port}]\n{tables}"
        );
        Process::start(name, SCANNER, &self.write(name, self.etcd.members[0].port, &text))
    }

    /// Starts a scheduler in a thread.
    pub fn thread(&self, name: &str, port: u16, scheduler: &str) -> Thread {
        Thread::start(&RoleConfig::load(&self.configure(name, port, scheduler)).unwrap())
    }

    /// Starts a scheduler in a thread that waits for etcd's answers as long as it takes.
    pub fn patient_thread(&self, name: &str, port: u16) -> Thread {
        let mut config = RoleConfig::load(&self.configure(name, port, "")).unwrap();
        config.etcd.timeout = PATIENCE;
        Thread::start(&config)
    }
}

/// The address of a number.
pub fn address(number: usize) -> String {
    format!("10.0.{}.{}", number / 256, number % 256)
}

/// A role in a process of its own. Killed when it is dropped.
pub struct Process {
    /// It.
    child: Child,
    /// What it is called.
    pub name: String,
}

impl Process {
    /// Starts one.
    fn start(name: &str, role: &str, config: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["scene::is_a_role_where_it_is_told_so", "--exact", "--nocapture"]).env(role, config);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, name: name.to_owned() }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process of ours does; nothing where it is not told that it is one.
#[test]
fn is_a_role_where_it_is_told_so() {
    if [SCHEDULER, SCANNER].iter().any(|role| std::env::var_os(role).is_some()) {
        // Nothing ever comes, but the end of who has started us, however it ends.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(path) = std::env::var_os(SCHEDULER) {
        let config = RoleConfig::load(path.as_ref()).unwrap();
        runtime.block_on(Scheduler::new(&config.etcd, &config.health).run(std::future::pending()));
    }
    if let Some(path) = std::env::var_os(SCANNER) {
        let config = RoleConfig::load(path.as_ref()).unwrap();
        let _scanner = Scanner::start(config.etcd, &config.health).unwrap();
        runtime.block_on(std::future::pending::<()>());
    }
}

/// A scheduler in a thread. Gives its locks back when it is dropped.
pub struct Thread {
    /// What it shows.
    pub state: Arc<SchedulerState>,
    /// Tells it to stop.
    stop: Option<oneshot::Sender<()>>,
    /// It.
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts it.
    fn start(config: &RoleConfig) -> Self {
        let scheduler = Scheduler::new(&config.etcd, &config.health);
        let (state, (stop, stopped)) = (scheduler.state(), oneshot::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(scheduler.run(async move { drop(stopped.await) }));
        });
        Self { state, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// An agent that does nothing but live. Dies without a word when it is dropped: its key goes away with its lease.
pub struct Agent {
    /// What it is called.
    pub name: String,
    /// True while it lives.
    lives: Arc<AtomicBool>,
    /// What keeps its lease.
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Lets one live.
    pub fn start(scene: &Scene, name: &str) -> Self {
        let (lives, endpoint) = (Arc::new(AtomicBool::new(true)), scene.etcd.members[0].endpoint());
        let (goes_on, key) = (Arc::clone(&lives), format!("{ROOT}/agent/{name}"));
        let value = format!(r#"{{"agent_name":"{name}","last_report":"2006-01-02 15:04:05"}}"#);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::connect([endpoint], None).await.unwrap();
                let lease = client.lease_client().grant(LEASE_SECONDS, None).await.unwrap().id();
                client.kv_client().put(key, value, Some(PutOptions::new().with_lease(lease))).await.unwrap();
                while goes_on.load(Ordering::Relaxed) {
                    // While etcd is away nothing can be kept, and leases do not run out either.
                    let mut leases = client.lease_client();
                    let kept = tokio::time::timeout(Duration::from_secs(1), leases.keep_alive(lease)).await;
                    let is_lost = matches!(kept, Ok(Err(Error::LeaseKeepAliveError(_))));
                    assert!(!is_lost, "this machine is too slow for a lease of {LEASE_SECONDS} seconds");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            });
        });
        Self { name: name.to_owned(), lives, thread: Some(thread) }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.lives.store(false, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}
