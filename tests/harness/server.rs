//! The server as a process, in the namespace of the calling thread.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::http::{self, Connection, Response};
use crate::link::{address_client, addresses};
use crate::metrics::Metrics;
use crate::process::{self, Finished, finish, signal};
use crate::wait_for;

/// The kernel's side of the TAP device.
pub const TAP: &str = "rdtap0";

/// What writes show.
pub const TOKEN: &str = "a-token-of-the-outer-tests";

/// Longest from the start to readiness.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest from SIGTERM to the end.
const STOP_TIME_MAX: Duration = Duration::from_secs(15);

/// Where the admin API listens: each namespace has its own loopback.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);

/// A folder with a configuration, zone files and the store; servers are started from it, one after the other.
pub struct Setup {
    /// The folder.
    folder: TempDir,
    /// Device arguments of the port; empty: there is none, and DPDK is not started.
    pub device: String,
    /// More lines of the `[[port]]` table.
    pub port: String,
    /// Zones with files named for them.
    zones: Vec<String>,
    /// The `[workers]` table's lines.
    pub workers: String,
    /// The `[eal]` table's lines.
    pub eal: String,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// More tables, at the end.
    pub more: String,
    /// Variables that the server finds in its environment.
    pub environment: Vec<(String, String)>,
}

impl Setup {
    /// A TAP device and an empty store.
    pub fn new() -> Setup {
        let folder = tempfile::Builder::new().prefix("ringdns-test.").tempdir().expect("a folder for the test");
        Setup {
            folder,
            device: format!("net_tap0,iface={TAP}"),
            port: String::new(),
            zones: Vec::new(),
            workers: "idle = \"sleep\"".to_owned(),
            eal: "hugepages = false\nmemory_mib = 256".to_owned(),
            admin: ADMIN,
            more: String::new(),
            environment: Vec::new(),
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a zone's file; a zone that is new is served from the next start on.
    pub fn write_zone(&mut self, zone: &str, text: &str) {
        fs::write(self.path(&format!("{zone}zone")), text).expect("a writable folder");
        if !self.zones.iter().any(|known| known == zone) {
            self.zones.push(zone.to_owned());
        }
    }

    /// Serves a zone's file no longer, from the next start or reload on.
    pub fn remove_zone(&mut self, zone: &str) {
        self.zones.retain(|known| known != zone);
    }

    /// Writes the configuration and returns its path.
    pub fn write_config(&self) -> PathBuf {
        let path = self.path("ringdns.toml");
        fs::write(&path, self.config()).expect("a writable folder");
        path
    }

    /// The configuration.
    fn config(&self) -> String {
        let Setup { device, port, workers, eal, admin, more, .. } = self;
        let (v4, v6) = (addresses::SERVED4, addresses::SERVED6);
        let zones: String = self
            .zones
            .iter()
            .map(|zone| format!("[[zone_file]]\nzone = \"{zone}\"\npath = \"{zone}zone\"\n"))
            .collect();
        let ports = if device.is_empty() {
            String::new()
        } else {
            format!(
                "[workers]\n{workers}\n[eal]\n{eal}\n[[port]]\ndevice = \"{device}\"\naddresses = [\"{v4}\", \"{v6}\"]\n{port}\n"
            )
        };
        format!(
            "{ports}[store]\npath = \"ringdns.redb\"\n{zones}[admin]\nlisten = \"{admin}\"\ntoken = \"{TOKEN}\"\n{more}"
        )
    }

    /// Starts the server and waits until it is ready; addresses the client's side of a TAP device.
    pub fn start(&self) -> Server {
        let mut server = self.spawn();
        server.wait_ready();
        if self.device.starts_with("net_tap") {
            address_client(TAP);
        }
        server
    }

    /// Starts the server without waiting.
    pub fn spawn(&self) -> Server {
        let config = self.write_config();
        let log = self.path("log");
        let file = File::options().create(true).append(true).open(&log).expect("a writable folder");
        let errors = file.try_clone().expect("a second handle");
        let mut command = command(&config);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().expect("setpriv of util-linux");
        Server { child: Some(child), log, admin: self.admin }
    }

    /// Runs the server to its end, which must come by itself within the time.
    pub fn run_to_end(&self, time_max: Duration) -> Finished {
        finish(&mut command(&self.write_config()), time_max)
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// The server with a configuration. It dies with the thread that started it, even if that is killed.
fn command(config: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary()).args(["run", "--config"]).arg(config);
    command
}

/// The server's binary: `RINGDNS_BIN`, or the release build.
pub fn binary() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/ringdns");
    let binary = std::env::var_os("RINGDNS_BIN").map_or(built, PathBuf::from);
    assert!(binary.exists(), "there is no {}: run make build, or set RINGDNS_BIN", binary.display());
    binary
}

/// A running server. Stopped when dropped; its log is shown when the test fails.
pub struct Server {
    /// The process; none once it was waited for.
    child: Option<Child>,
    /// What it writes to both streams.
    log: PathBuf,
    /// Where its admin API listens.
    admin: SocketAddr,
}

impl Server {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Something once it is ready; panics if it has ended.
    fn readiness(&mut self) -> Option<()> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child of ours"));
        assert!(ended.is_none(), "the server ended while starting ({ended:?}):\n{}", self.log());
        let response = self.try_request("GET", "/ready", None)?;
        (response.status == 200).then_some(())
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a request without a token to the admin API.
    pub fn get(&self, path: &str) -> Response {
        http::request(self.admin, "GET", path, None, None).expect("an answer of the admin API")
    }

    /// Sends a request with the token and perhaps a JSON body.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        http::request(self.admin, method, path, Some(TOKEN), body).expect("an answer of the admin API")
    }

    /// A connection to the admin API for many requests.
    pub fn connect(&self) -> Connection {
        Connection::open(self.admin, TOKEN).expect("a connection to the admin API")
    }

    /// A request that may find nobody.
    fn try_request(&self, method: &str, path: &str, body: Option<&str>) -> Option<Response> {
        http::request(self.admin, method, path, None, body).ok()
    }

    /// Creates or replaces a zone.
    pub fn put_zone(&self, zone: &str) {
        let response = self.send("PUT", &format!("/api/v1/zones/{zone}"), Some("{}"));
        assert!([200, 201].contains(&response.status), "{response:?}");
    }

    /// Creates or replaces an RRset; records in presentation form.
    pub fn put_rrset(&self, zone: &str, owner: &str, rtype: &str, ttl: u32, records: &[&str]) -> Response {
        let body = serde_json::json!({ "ttl": ttl, "records": records }).to_string();
        let response = self.send("PUT", &rrset_path(zone, owner, rtype), Some(&body));
        assert!([200, 201].contains(&response.status), "{response:?}");
        response
    }

    /// Deletes an RRset that is there.
    pub fn delete_rrset(&self, zone: &str, owner: &str, rtype: &str) {
        let response = self.send("DELETE", &rrset_path(zone, owner, rtype), None);
        assert_eq!(response.status, 204, "{response:?}");
    }

    /// Its counters now.
    pub fn metrics(&self) -> Metrics {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        Metrics::parse(&response.body)
    }

    /// Asks it to read its zone files again.
    pub fn reload(&self) {
        signal(self.child(), Signal::SIGHUP);
    }

    /// Ends it by SIGTERM and returns how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate()
    }

    /// Sends it a signal.
    pub fn signal(&self, which: Signal) {
        signal(self.child(), which);
    }

    /// The same as [`Server::stop`]; nothing can be asked of it afterwards.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits until it has ended, which something has made it do; nothing can be asked of it afterwards.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running server");
        let status = process::wait(&mut child, STOP_TIME_MAX);
        self.child = Some(child);
        status.unwrap_or_else(|| panic!("the server did not end within {STOP_TIME_MAX:?} of SIGTERM"))
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) {
        self.kill_now();
        let mut child = self.child.take().expect("a running server");
        child.wait().expect("a child of ours");
    }

    /// Sends SIGKILL; it is gone when this is dropped.
    pub fn kill_now(&self) {
        signal(self.child(), Signal::SIGKILL);
    }

    /// Waits until it is ready.
    pub fn wait_ready(&mut self) {
        wait_for("the server to be ready", START_TIME_MAX, || self.readiness());
    }

    /// The process.
    fn child(&self) -> &Child {
        self.child.as_ref().expect("a running server")
    }
}

/// The path of an RRset in the admin API.
pub fn rrset_path(zone: &str, owner: &str, rtype: &str) -> String {
    // The only character of our tests' names that a URL needs escaped.
    let owner = owner.replace('*', "%2A");
    format!("/api/v1/zones/{zone}/rrsets/{owner}/{rtype}")
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server ---\n{}---", self.log());
        }
        let Some(mut child) = self.child.take() else { return };
        if !process::terminate(&mut child, STOP_TIME_MAX) {
            // Nothing more to say than that it had to be killed: a panic here could hide the test's own.
            eprintln!("the server did not end within {STOP_TIME_MAX:?} of SIGTERM and was killed");
        }
    }
}
