//! The HTTP ports around a cluster's DNS, asked as kubelets and Prometheus do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use ringdns_controlplane::ClusterPort;
use ringdns_controlplane::guest::{Guest, GuestTask};
use ringdns_controlplane::source::Sink;
use ringdns_engine::counters::Counters;
use ringdns_engine::testing::{query, query_edns};
use serde_json::{Value, json};

use crate::common::{Client, Reply, Server, config_text, wait_until};

/// All ports, and sockets for DNS.
const ALL: &str = "[sockets]\nlisten = [\"127.0.0.1:0\"]\n[cluster_http]\nhealth = \"127.0.0.1:0\"\nready = \"127.0.0.1:0\"\n\
                   metrics = \"127.0.0.1:0\"\nkube_dns = \"127.0.0.1:0\"\nkube_dns_metrics = \"127.0.0.1:0\"\n\
                   sidecar = \"127.0.0.1:0\"\n";

/// A worker that polls until it is dropped.
struct Polling(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Polling {
    /// Polls for these counters.
    fn start(counters: &Arc<Counters>) -> Self {
        let (goes_on, counters) = (Arc::new(AtomicBool::new(true)), Arc::clone(counters));
        let its = Arc::clone(&goes_on);
        let poll = move || {
            while its.load(Ordering::Relaxed) {
                counters.polls.add(1);
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        Self(goes_on, Some(std::thread::spawn(poll)))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

/// Asks a port of a server.
fn get(server: &Server, port: ClusterPort, path: &str) -> Reply {
    Client { address: server.plane().cluster_address(port).unwrap() }.request("GET", path, &[], "")
}

/// Status and body.
fn told(server: &Server, port: ClusterPort, path: &str) -> (u16, String) {
    let reply = get(server, port, path);
    (reply.status, reply.body)
}

/// Asks over UDP, and gives the answer's bytes.
fn ask_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(query, server).unwrap();
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// Asks over TCP, and gives the answer's bytes.
fn ask_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, query].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// Value by what follows the family's name, the labels, sorted, among it.
    rows: BTreeMap<String, f64>,
}

impl Family {
    /// The names of the labels that rows have, but that of buckets.
    fn labels(&self) -> BTreeSet<Vec<String>> {
        let names = |row: &String| {
            let (_, labels) = row.split_once('{').unwrap();
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let names = labels.map(|label| label.split('=').next().unwrap().to_owned());
            names.filter(|name| name != "le").collect()
        };
        self.rows.keys().map(names).collect()
    }

    /// The value of a row.
    fn value(&self, row: &str) -> f64 {
        *self.rows.get(row).unwrap_or_else(|| panic!("{row} is missing in {self:#?}"))
    }

    /// The bounds of its buckets.
    fn bounds(&self) -> Vec<String> {
        let bounds = self.rows.keys().filter_map(|row| Some(row.split_once("le=\"")?.1.split_once('"')?.0.to_owned()));
        let mut bounds: Vec<String> = bounds.collect::<BTreeSet<_>>().into_iter().collect();
        bounds.sort_by(|one, other| one.parse::<f64>().unwrap().total_cmp(&other.parse().unwrap()));
        bounds
    }
}

/// Reads the text form 0.0.4 back; checks its grammar as far as it is used here.
fn parse(reply: &Reply) -> BTreeMap<String, Family> {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in reply.body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "the help comes first");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split_once(' ').unwrap().0.to_owned();
            assert!(families.insert(current.clone(), Family::default()).is_none(), "{current} is there twice");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let suffix = name.strip_prefix(&*current).unwrap_or_else(|| panic!("{line}: not of {current}"));
            let family = families.get_mut(&current).unwrap();
            let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}: not of {current}");
            let mut labels: Vec<&str> = labels.strip_suffix('}').unwrap().split(',').collect();
            labels.sort_unstable();
            let before = family.rows.insert(format!("{suffix}{{{}}}", labels.join(",")), value.parse().unwrap());
            assert_eq!(before, None, "{line}: is there twice");
        }
    }
    families
}

/// A server with a zone of one address.
fn with_zone(directory: &Path, more: &str) -> (Server, Polling) {
    std::fs::write(
        directory.join("zone"),
        "$ORIGIN cluster.local.\n@ 60 IN SOA ns.cluster.local. a. 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n\
         a.b 5 IN A 192.0.2.7\na.b 5 IN SRV 1 2 53 ns\n",
    )
    .unwrap();
    let text = format!("{more}[[zone_file]]\nzone = \"cluster.local\"\npath = \"zone\"\n");
    let server = Server::start(directory, &text);
    let polling = Polling::start(&server.counters);
    wait_until("the worker counts as polling", || server.get("/ready").0 == 200);
    (server, polling)
}

#[test]
fn probes_of_pods_get_what_they_expect_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _polling) = with_zone(directory.path(), ALL);
    let (health, ready, kube_dns) = (ClusterPort::Health, ClusterPort::Ready, ClusterPort::KubeDns);
    assert_eq!(told(&server, health, "/health"), (200, "OK".to_owned()));
    assert_eq!(told(&server, health, "/healthz"), (200, "ok".to_owned()));
    assert_eq!(told(&server, ready, "/ready"), (200, "OK".to_owned()));
    assert_eq!(told(&server, kube_dns, "/readiness"), (200, "ok\n".to_owned()));
    assert_eq!(told(&server, ClusterPort::Sidecar, "/healthz"), (200, "ok".to_owned()));
    for (port, path) in [(health, "/ready"), (ready, "/"), (ClusterPort::Sidecar, "/healthcheck/none")] {
        assert_eq!(get(&server, port, path).status, 404, "{path}");
    }
    let address = server.plane().cluster_address(health).unwrap();
    assert_eq!(Client { address }.request("POST", "/health", &[], "{}").status, 405);

    let tree: Value = serde_json::from_str(&told(&server, kube_dns, "/cache").1).unwrap();
    let owner = &tree["ChildNodes"]["local"]["ChildNodes"]["cluster"]["ChildNodes"]["b"]["ChildNodes"]["a"];
    assert_eq!(owner["Entries"]["A-0"], json!({"type": "A", "host": "192.0.2.7", "ttl": 5}));
    assert_eq!(owner["Entries"]["SRV-0"]["port"], 53);

    server.plane().announce_end();
    assert_eq!(told(&server, ready, "/ready"), (503, "Shutting down".to_owned()));
    assert_eq!(get(&server, kube_dns, "/readiness").status, 503);
    let (status, body) = server.get("/ready");
    assert_eq!((status, &body["missing"]), (503, &json!(["the server is about to end"])));
    assert_eq!(told(&server, health, "/health"), (200, "OK".to_owned()), "it goes on");
    assert_eq!(told(&server, health, "/healthz").0, 200, "DNS too");
    server.stop();
}

#[test]
fn what_is_not_read_yet_is_named() {
    // A zone file that is a pipe nobody writes to: the source waits for it.
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let more = format!("{ALL}[[zone_file]]\nzone = \"slow\"\npath = \"pipe\"\n");
    let server = Server::start_unsynced(directory.path(), &more);
    let is_told = |words: &str| {
        let words = (503, words.to_owned());
        wait_until(&words.1, || told(&server, ClusterPort::Ready, "/ready") == words);
    };
    is_told("zone_files,workers");
    assert_eq!(told(&server, ClusterPort::Health, "/healthz").1, "a worker does not poll its ports\n");
    let _polling = Polling::start(&server.counters);
    is_told("zone_files");
    let healthz = (503, "DNS is answered with SERVFAIL: not everything has been read yet\n".to_owned());
    wait_until("the worker counts as polling", || told(&server, ClusterPort::Health, "/healthz") == healthz);
    assert_eq!(get(&server, ClusterPort::Health, "/health").status, 200);
    std::fs::write(&pipe, "").unwrap();
    wait_until("all is read", || get(&server, ClusterPort::Ready, "/ready").status == 200);
    // The file is no zone: its names are answered with SERVFAIL for good, and the server is well.
    assert_eq!(told(&server, ClusterPort::Health, "/healthz"), (200, "ok".to_owned()));
    server.stop();
}

#[test]
fn without_sockets_the_server_asks_itself_and_over_tcp_alone_that_way() {
    for sockets in ["", "[sockets]\nlisten = [\"0.0.0.0:0\"]\nudp = false\n"] {
        let directory = tempfile::tempdir().unwrap();
        let (server, _polling) =
            with_zone(directory.path(), &format!("{sockets}[cluster_http]\nhealth = \"127.0.0.1:0\"\n"));
        assert_eq!(told(&server, ClusterPort::Health, "/healthz"), (200, "ok".to_owned()), "{sockets}");
        server.stop();
    }
}

/// Bounds of CoreDNS's and of SkyDNS's histograms.
const SIZES: &str = "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000 +Inf";
const TIMES: &str =
    "0.00025 0.0005 0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 +Inf";
const SKYDNS_TIMES: &str = "0.001 0.003 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf";
const SKYDNS_SIZES: &str = "0 512 1024 1500 2048 4096 8192 12288 16384 20480 24576 28672 32768 36864 40960 45056 49152 \
                            53248 57344 61440 65536 +Inf";

/// Every metric of CoreDNS's that is served: name, type and labels.
const COREDNS: &[(&str, &str, &str)] = &[
    ("coredns_build_info", "gauge", "goversion revision version"),
    ("coredns_panics_total", "counter", ""),
    ("coredns_plugin_enabled", "gauge", "name server view zone"),
    ("coredns_dns_requests_total", "counter", "family proto server type view zone"),
    ("coredns_dns_request_duration_seconds", "histogram", "server view zone"),
    ("coredns_dns_request_size_bytes", "histogram", "proto server view zone"),
    ("coredns_dns_do_requests_total", "counter", "server view zone"),
    ("coredns_dns_response_size_bytes", "histogram", "proto server view zone"),
    ("coredns_dns_responses_total", "counter", "plugin rcode server view zone"),
    ("coredns_health_request_duration_seconds", "histogram", ""),
    ("coredns_health_request_failures_total", "counter", ""),
    ("coredns_reload_failed_total", "counter", ""),
    ("coredns_reload_version_info", "gauge", "hash value"),
    ("coredns_dns_request_count_total", "counter", "family proto server zone"),
    ("coredns_dns_request_type_count_total", "counter", "server type zone"),
    ("coredns_dns_request_do_count_total", "counter", "server zone"),
    ("coredns_dns_response_rcode_count_total", "counter", "rcode server zone"),
    ("coredns_panic_count_total", "counter", ""),
];

/// What Prometheus's libraries show of a process.
const PROCESS: &[(&str, &str, &str)] = &[
    ("process_cpu_seconds_total", "counter", ""),
    ("process_resident_memory_bytes", "gauge", ""),
    ("process_virtual_memory_bytes", "gauge", ""),
    ("process_open_fds", "gauge", ""),
    ("process_max_fds", "gauge", ""),
];

/// Checks type and labels of each.
fn check_shapes(families: &BTreeMap<String, Family>, expected: &[(&str, &str, &str)]) {
    for &(name, kind, labels) in expected {
        let family = families.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let labels: Vec<String> = labels.split(' ').filter(|label| !label.is_empty()).map(str::to_owned).collect();
        assert_eq!((family.kind.as_str(), family.labels()), (kind, BTreeSet::from([labels])), "{name}");
    }
}

#[test]
fn metrics_have_the_names_labels_and_values_of_coredns() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _polling) = with_zone(directory.path(), ALL);
    let dns = server.plane().socket_addresses()[0];
    let udp = [
        query("a.b.cluster.local.", 1),
        query_edns("a.b.cluster.local.", 28, 1232, true),
        query("x.cluster.local.", 99),
    ];
    let answers: Vec<Vec<u8>> = udp.iter().map(|query| ask_udp(dns, query)).collect();
    ask_tcp(dns, &query("elsewhere.", 12));
    // The counters are written after the answer is sent.
    let families = || parse(&get(&server, ClusterPort::Metrics, "/metrics"));
    let timed = |families: &BTreeMap<String, Family>| {
        families["coredns_dns_request_duration_seconds"]
            .rows
            .iter()
            .filter(|(row, _)| row.starts_with("_count"))
            .map(|(_, value)| value)
            .sum::<f64>()
    };
    wait_until("all is counted, and /health was asked for", || {
        let families = families();
        timed(&families) == 4.0 && families["coredns_health_request_duration_seconds"].value("_count{}") > 0.0
    });
    let families = families();
    check_shapes(&families, COREDNS);
    check_shapes(&families, PROCESS);
    let known: BTreeSet<&str> = COREDNS.iter().map(|(name, ..)| *name).collect();
    let shown = families.keys().map(String::as_str).filter(|name| name.starts_with("coredns_"));
    assert_eq!(shown.collect::<BTreeSet<_>>(), known);

    let place = format!("server=\"dns://:{}\"", dns.port());
    let zone = "view=\"\",zone=\"cluster.local.\"";
    let requests = &families["coredns_dns_requests_total"];
    for (proto, qtype) in [("udp", "A"), ("udp", "AAAA"), ("udp", "other"), ("tcp", "PTR")] {
        let row = format!("{{family=\"1\",proto=\"{proto}\",{place},type=\"{qtype}\",{zone}}}");
        assert_eq!(requests.value(&row), 1.0);
    }
    assert_eq!(requests.rows.len(), 4);
    assert_eq!(families["coredns_dns_do_requests_total"].value(&format!("{{{place},{zone}}}")), 1.0);
    let old = &families["coredns_dns_request_count_total"];
    assert_eq!(old.value(&format!("{{family=\"1\",proto=\"udp\",{place},zone=\"cluster.local.\"}}")), 3.0);
    for (rcode, count) in [("NOERROR", 2.0), ("NXDOMAIN", 1.0), ("REFUSED", 1.0)] {
        let row = format!("{{plugin=\"ringdns\",rcode=\"{rcode}\",{place},{zone}}}");
        assert_eq!(families["coredns_dns_responses_total"].value(&row), count);
        let row = format!("{{rcode=\"{rcode}\",{place},zone=\"cluster.local.\"}}");
        assert_eq!(families["coredns_dns_response_rcode_count_total"].value(&row), count);
    }
    let bytes = |messages: &[Vec<u8>]| messages.iter().map(Vec::len).sum::<usize>() as f64;
    for (name, expected) in [("request", bytes(&udp)), ("response", bytes(&answers))] {
        let sizes = &families[&format!("coredns_dns_{name}_size_bytes")];
        assert_eq!(sizes.value(&format!("_sum{{proto=\"udp\",{place},{zone}}}")), expected, "{name}");
        assert_eq!(sizes.value(&format!("_bucket{{le=\"0\",proto=\"udp\",{place},{zone}}}")), 0.0);
        assert_eq!(sizes.value(&format!("_bucket{{le=\"511\",proto=\"udp\",{place},{zone}}}")), 3.0);
        assert_eq!(sizes.bounds().join(" "), SIZES);
    }
    let durations = &families["coredns_dns_request_duration_seconds"];
    assert_eq!(durations.bounds().join(" "), TIMES);
    assert!(durations.value(&format!("_sum{{{place},{zone}}}")) > 0.0);
    assert_eq!(
        families["coredns_health_request_duration_seconds"].bounds().join(" "),
        "0.00025 0.0025 0.025 0.25 2.5 +Inf"
    );
    assert_eq!(families["coredns_health_request_failures_total"].value("{}"), 0.0);
    assert_eq!(families["coredns_build_info"].value("{goversion=\"\",revision=\"abc\",version=\"1.2.3\"}"), 1.0);
    assert_eq!(families["coredns_plugin_enabled"].value(&format!("{{name=\"file\",{place},{zone}}}")), 1.0);
    assert_eq!(families["coredns_panics_total"].value("{}"), 0.0);
    server.stop();
}

#[test]
fn all_that_the_admin_api_shows_is_there_too_and_what_a_guest_adds() {
    /// A source that has nothing but a histogram.
    struct Cluster;

    /// The histogram.
    #[derive(Debug)]
    struct Programming;

    impl Collector for Programming {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
            let name = "coredns_kubernetes_dns_programming_duration_seconds";
            let mut metric = encoder.encode_descriptor(name, "Latency.", None, MetricType::Histogram)?;
            let labels = [("service_kind", "cluster_ip")];
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(0.5, 2, &[(0.001, 1), (f64::INFINITY, 1)], None)
        }
    }

    impl Guest for Cluster {
        fn name(&self) -> &'static str {
            "kubernetes"
        }

        fn metrics(&self) -> Option<Box<dyn Collector>> {
            Some(Box::new(Programming))
        }

        fn run(self: Box<Self>, sink: Sink) -> GuestTask {
            Box::pin(async move {
                let _ = sink.synced().await;
                std::future::pending().await
            })
        }
    }

    let directory = tempfile::tempdir().unwrap();
    let server = Server::try_start_with(directory.path(), &config_text(directory.path(), ALL), vec![Box::new(Cluster)]);
    let server = server.unwrap();
    wait_until("the guest is synced", || server.plane().is_synced());
    let admin = crate::observability::metrics(&server);
    let families = parse(&get(&server, ClusterPort::Metrics, "/metrics"));
    for (name, family) in &admin {
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let found = families.get(&format!("{name}{suffix}")).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(found.rows.len(), family.samples.len(), "{name}");
    }
    assert!(admin.len() > 50 && admin.contains_key("coredns_kubernetes_dns_programming_duration_seconds"));
    let programming = &families["coredns_kubernetes_dns_programming_duration_seconds"];
    assert_eq!(programming.value("_count{service_kind=\"cluster_ip\"}"), 2.0);
    let enabled = families["coredns_plugin_enabled"].rows.keys().filter(|row| row.contains("\"kubernetes\""));
    assert_eq!(enabled.count(), 2, "for the port and for the sockets");
    server.stop();
}

#[test]
fn kube_dns_and_its_sidecar_are_stood_in_for() {
    let directory = tempfile::tempdir().unwrap();
    let (asked, _polling) = with_zone(directory.path(), ALL);
    let dns = asked.plane().socket_addresses()[0];
    let probe = |label: &str, server: SocketAddr, name: &str, more: &str| {
        format!(
            "[[cluster_http.probe]]\nlabel = \"{label}\"\nserver = \"{server}\"\nname = \"{name}\"\ninterval_ms = 100\n{more}\n"
        )
    };
    let closed = TcpStream::connect(dns).unwrap().local_addr().unwrap();
    let probes = [
        probe("kubedns", dns, "a.b.cluster.local", "type = \"SRV\""),
        probe("missing", dns, "x.cluster.local", ""),
        probe("dead", closed, "a.b.cluster.local", ""),
    ];
    let other = tempfile::tempdir().unwrap();
    let text = format!("[cluster_http]\nsidecar = \"127.0.0.1:0\"\n{}", probes.concat());
    let server = Server::start(other.path(), &text);
    let check = |label: &str| get(&server, ClusterPort::Sidecar, &format!("/healthcheck/{label}"));
    wait_until("the probe succeeds", || check("kubedns").status == 200);
    let reply = check("kubedns");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.body.starts_with("{\"IsOk\":true,\"LatencySeconds\":0."), "{reply:?}");
    assert!(reply.json()["LatencySeconds"].as_f64().unwrap() > 0.0 && reply.json()["Err"] == "");
    for (label, words) in [("missing", "no RRs for domain \"x.cluster.local.\""), ("dead", "cannot be asked")] {
        wait_until("the probe fails", || check(label).body.contains(&Value::from(words).to_string()[1..words.len()]));
        let reply = check(label);
        assert_eq!(
            (reply.status, &reply.json()["IsOk"], &reply.json()["LatencySeconds"]),
            (503, &json!(false), &json!(0))
        );
    }
    let families = parse(&get(&server, ClusterPort::Sidecar, "/metrics"));
    check_shapes(&families, PROCESS);
    for label in ["kubedns", "missing", "dead"] {
        let (latency, errors) = (format!("kubedns_probe_{label}_latency_ms"), format!("kubedns_probe_{label}_errors"));
        check_shapes(&families, &[(latency.as_str(), "histogram", ""), (errors.as_str(), "counter", "")]);
        let is_well = label == "kubedns";
        assert_eq!(families[&latency].value("_count{}") > 0.0, is_well, "{label}");
        assert_eq!(families[&errors].value("{}") == 0.0, is_well, "{label}");
        assert_eq!((families[&latency].bounds().len(), families[&latency].bounds()[15].as_str()), (17, "8192"));
    }

    ask_udp(dns, &query("7.2.0.192.in-addr.arpa.", 12));
    ask_udp(dns, &query("b.cluster.local.", 1));
    let families = parse(&get(&asked, ClusterPort::KubeDnsMetrics, "/metrics"));
    let expected = [
        ("skydns_skydns_dns_request_count_total", "counter", "system"),
        ("skydns_skydns_dns_request_duration_seconds", "histogram", "system"),
        ("skydns_skydns_dns_response_size_bytes", "histogram", "system"),
        ("skydns_skydns_dns_error_count_total", "counter", "cause system"),
    ];
    check_shapes(&families, &expected);
    check_shapes(&families, PROCESS);
    assert_eq!(families["skydns_skydns_dns_request_duration_seconds"].bounds().join(" "), SKYDNS_TIMES);
    assert_eq!(families["skydns_skydns_dns_response_size_bytes"].bounds().join(" "), SKYDNS_SIZES);
    assert_eq!(families["skydns_skydns_dns_request_count_total"].value("{system=\"reverse\"}"), 1.0);
    let errors = &families["skydns_skydns_dns_error_count_total"];
    let of = |cause: &str| errors.value(&format!("{{cause=\"{cause}\",system=\"auth\"}}"));
    assert_eq!((of("refused"), of("nodata"), of("servfail"), of("truncated")), (1.0, 1.0, 0.0, 0.0));
    assert!(of("nxdomain") > 0.0, "the probe's");
    server.stop();
    asked.stop();
}
