//! An etcd, an API server, and what writes from one to the other, in threads or in processes that can be stopped.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etcd_client::GetOptions;
use ringdns_controlplane::config::KubesyncRole;
use ringdns_kubernetes::api::Tempo;
use ringdns_kubernetes::sync::{ClusterWriter, SyncState};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::double::Server;
use crate::etcd::Etcd;

/// Longest wait for anything: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// Names its configuration to a process that is one.
const ROLE: &str = "RINGDNS_TEST_KUBESYNC";

/// As fast as a test wants it.
const TEMPO: Tempo = Tempo {
    page_objects: 50,
    timeout: Duration::from_secs(2),
    silence: Duration::from_secs(5),
    watch_seconds: 20,
    pause_first: Duration::from_millis(2),
    pause_max: Duration::from_millis(100),
    absent: Duration::from_millis(100),
};

/// Waits until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A cluster and an etcd.
pub struct Scene {
    /// The etcd.
    pub etcd: Etcd,
    /// The API server.
    pub server: Server,
    /// Where it runs.
    pub runtime: Runtime,
    /// Configurations.
    directory: tempfile::TempDir,
}

impl Scene {
    /// Starts both; the cluster has the Service that each has.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start());
        server.put(service("default", "kubernetes", "10.96.0.1"));
        Self { etcd: Etcd::start(1), server, runtime, directory: tempfile::tempdir().unwrap() }
    }

    /// Writes a configuration, by way of a port of etcd.
    pub fn configure(&self, name: &str, port: u16, lines: &str) -> PathBuf {
        let path = self.directory.path().join(format!("{name}.toml"));
        let api = self.server.address();
        let text = format!(
            "[etcd]\nendpoints = [\"http://127.0.0.1:{port}\"]\ntimeout_seconds = 2\n\
             [kubernetes]\nendpoint = \"http://{api}\"\n\
             [kubesync]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nlease_seconds = 3\n{lines}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts what writes in a thread.
    pub fn writer(&self, name: &str, lines: &str) -> Writer {
        self.writer_by(name, self.etcd.members[0].port, lines)
    }

    /// The same by way of another port.
    pub fn writer_by(&self, name: &str, port: u16, lines: &str) -> Writer {
        Writer::start(&KubesyncRole::load(&self.configure(name, port, lines)).unwrap())
    }

    /// Starts what writes in a process of its own.
    pub fn process(&self, name: &str, lines: &str) -> Process {
        Process::start(name, &self.configure(name, self.etcd.members[0].port, lines))
    }

    /// Everything below a path.
    pub fn read(&self, path: &str) -> BTreeMap<String, String> {
        self.etcd.all(path).into_iter().collect()
    }

    /// The revision of etcd, and how many keys below a path had an address in each one since another.
    pub fn addresses_since(&self, path: &str, since: i64) -> Vec<(i64, usize)> {
        let count = |revision: i64| {
            let answer = self.etcd.ask(|client| {
                let options = GetOptions::new().with_prefix().with_revision(revision);
                let path = path.to_owned();
                async move { client.kv_client().get(path, Some(options)).await }
            });
            // Those with a port are services.
            answer.kvs().iter().filter(|pair| !pair.value_str().unwrap().contains("\"port\"")).count()
        };
        (since..=self.revision()).map(|revision| (revision, count(revision))).collect()
    }

    /// The revision of etcd.
    pub fn revision(&self) -> i64 {
        self.etcd.ask(|client| async move { client.kv_client().get("/ready", None).await }).header().unwrap().revision()
    }

    /// Who leads.
    pub fn leader(&self, layout: &str) -> Option<String> {
        self.read(&format!("/ringdns/kubesync/{layout}/cluster.local/lock")).into_values().next()
    }

    /// Takes the API server away, or brings it back.
    pub fn away(&mut self, is_away: bool) {
        let server = &mut self.server;
        self.runtime.block_on(async { if is_away { server.go_away().await } else { server.listen().await } });
    }
}

/// A Service with a named port.
pub fn service(namespace: &str, name: &str, address: &str) -> Value {
    let mut spec = json!({ "type": "ClusterIP", "clusterIP": address, "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] });
    if address != "None" {
        spec["clusterIPs"] = json!([address]);
    }
    json!({ "kind": "Service", "metadata": { "namespace": namespace, "name": name }, "spec": spec })
}

/// A slice of endpoints: host name and address of each.
pub fn slice(namespace: &str, service: &str, endpoints: &[(&str, &str)]) -> Value {
    let endpoint = |(hostname, address): &(&str, &str)| match *hostname {
        "" => json!({ "addresses": [address], "conditions": { "ready": true } }),
        hostname => json!({ "addresses": [address], "hostname": hostname, "conditions": { "ready": true } }),
    };
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    json!({ "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
            "metadata": { "namespace": namespace, "name": format!("{service}-abc"), "labels": { "kubernetes.io/service-name": service } },
            "ports": [{ "name": "pg", "port": 5432, "protocol": "TCP" }] })
}

/// What writes, in a thread. Gives its lock back when it is dropped.
pub struct Writer {
    /// What it shows.
    pub state: Arc<SyncState>,
    /// Tells it to stop.
    stop: Option<oneshot::Sender<()>>,
    /// It.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it.
    fn start(config: &KubesyncRole) -> Self {
        let writer = ClusterWriter::new(config, TEMPO);
        let (state, (stop, stopped)) = (writer.state(), oneshot::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(writer.run(async move { drop(stopped.await) }));
        });
        Self { state, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits until everything is written.
    #[track_caller]
    pub fn wait_synced(&self) {
        wait_until("everything is written", || self.state.leads() && self.state.is_synced());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// What writes, in a process of its own. Killed when it is dropped.
pub struct Process {
    /// It.
    child: Child,
    /// What it is called.
    pub name: String,
}

impl Process {
    /// Starts one.
    fn start(name: &str, config: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["sync::scene::is_a_role_where_it_is_told_so", "--exact", "--nocapture"]).env(ROLE, config);
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
    let Some(path) = std::env::var_os(ROLE) else { return };
    // Nothing ever comes, but the end of who has started us, however it ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let config = KubesyncRole::load(path.as_ref()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ClusterWriter::new(&config, TEMPO).run(std::future::pending()));
}
