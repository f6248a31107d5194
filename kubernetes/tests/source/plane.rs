//! A running control plane with a cluster for a source, asked over its sockets and its API.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use ringdns_controlplane::config::{Config, KubernetesAccess, KubernetesConfig};
use ringdns_controlplane::guest::Guest;
use ringdns_controlplane::sockets::SocketOptions;
use ringdns_controlplane::{BuildInfo, ControlPlane};
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::query;
use ringdns_kubernetes::api::Tempo;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::double::Server;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the double runs: a control plane has a runtime of its own, and must not be started within one.
pub struct Clients {
    /// The runtime.
    pub runtime: Runtime,
    /// The API server.
    pub server: Server,
}

impl Clients {
    /// A server without objects.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start());
        Self { runtime, server }
    }

    /// Goes away.
    pub fn go_away(&mut self) {
        self.runtime.block_on(self.server.go_away());
    }

    /// Is back.
    pub fn come_back(&mut self) {
        self.runtime.block_on(self.server.listen());
    }
}

/// A control plane.
pub struct Plane {
    /// It.
    plane: ControlPlane,
    /// Where it answers.
    dns: SocketAddr,
    /// When it was started.
    pub started: Instant,
}

/// The cluster's configuration with these lines.
fn config(directory: &Path, access: KubernetesAccess, lines: &str) -> (Config, KubernetesConfig) {
    let text = format!(
        "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n[sockets]\nlisten = [\"127.0.0.1:0\"]\nudp = true\n\
         [store]\npath = \"{}/ringdns.redb\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n\
         [kubernetes]\nzones = [\"cluster.local\"]\nreverse_zones = [\"10.0.0.0/8\"]\n{lines}\n",
        directory.display()
    );
    let config = Config::parse(&directory.join("ringdns.toml"), &text).unwrap();
    let cluster = KubernetesConfig { access, ..config.kubernetes.clone().unwrap() };
    (config, cluster)
}

impl Plane {
    /// Starts, and does not wait.
    pub fn start(directory: &Path, access: KubernetesAccess, lines: &str) -> Self {
        let tempo = Tempo {
            page_objects: 3,
            timeout: Duration::from_millis(500),
            silence: Duration::from_millis(400),
            watch_seconds: 2,
            pause_first: Duration::from_millis(2),
            pause_max: Duration::from_millis(40),
            absent: Duration::from_millis(30),
        };
        let (config, cluster) = config(directory, access, lines);
        let config = Config { kubernetes: Some(cluster), ..config };
        let guest: Box<dyn Guest> = ringdns_kubernetes::guest_with(&config, tempo).unwrap();
        let answers = MessageConfig {
            udp_answer_bytes_max: 4096,
            hides_aaaa: false,
            edns: EdnsConfig::default(),
            chaos: ChaosConfig::default(),
            rate_limit: None,
            recall: None,
        };
        let sockets =
            SocketOptions { listen: config.sockets.listen.clone(), answers, names: config.stats.names, others: None };
        let build = BuildInfo { version: "1.2.3".into(), commit: "abc".into(), dpdk: "22.11".into() };
        let publisher = Publisher::new(Snapshot::empty());
        let started = Instant::now();
        let plane = ControlPlane::start(&config, sockets, Vec::new(), publisher, build, vec![guest]).unwrap();
        let dns = plane.socket_addresses()[0];
        Self { plane, dns, started }
    }

    /// Waits until everything was read.
    pub fn synced(self) -> Self {
        self.until("everything is read", |plane| plane.plane.is_synced());
        self
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            assert!(since.elapsed() < PATIENCE, "never: {what}; {:#}", self.status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks for addresses: them, or the response code.
    pub fn ask(&self, name: &str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let question = query(name, 1);
        socket.send_to(&question, self.dns).unwrap();
        let mut reply = [0; 4096];
        let length = socket.recv(&mut reply).unwrap();
        match reply[3] & 15 {
            0 => {}
            2 => return "SERVFAIL".to_owned(),
            3 => return "NXDOMAIN".to_owned(),
            other => return format!("RCODE{other}"),
        }
        // Each record: a pointer to the question's name, type, class, TTL, a length of four, and the address.
        let count = usize::from(reply[7]);
        let records = reply[question.len()..length].chunks(16).take(count);
        let mut addresses: Vec<String> =
            records.map(|record| Ipv4Addr::from(<[u8; 4]>::try_from(&record[12..16]).unwrap()).to_string()).collect();
        addresses.sort();
        if addresses.is_empty() { "NODATA".to_owned() } else { addresses.join(" ") }
    }

    /// Waits until a name is answered so.
    pub fn until_says(&self, name: &str, expected: &str) {
        self.until(&format!("{name} is {expected}, but {}", self.ask(name)), |plane| plane.ask(name) == expected);
    }

    /// Status and body of a path of the API.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.plane.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer 0123456789abcdef\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The status.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/status").1).unwrap()
    }

    /// A zone as it is served, but for its serial number.
    pub fn zone(&self, zone: &str) -> String {
        let (status, text) = self.get(&format!("/api/v1/zones/{zone}/export"));
        assert_eq!(status, 200, "{text}");
        text.lines()
            .filter(|line| !line.contains("SOA") && !line.starts_with(';'))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Ends it.
    pub fn stop(self) {
        self.plane.shutdown();
    }
}
