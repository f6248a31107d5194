//! Health, readiness, status and metrics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{Server, wait_until};
use ringdns_controlplane::ports::PortGauges;
use ringdns_engine::verdict::{Fate, Reason};
use serde_json::json;

/// A metric as the text has it: type, help, and value by labels.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    help: String,
    pub samples: BTreeMap<String, f64>,
}

/// Reads the OpenMetrics text form back; checks its grammar as far as it is used here.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    assert!(text.ends_with("# EOF\n"), "the text ends with its mark");
    for line in text.lines().filter(|&line| line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!families.contains_key(name), "{name} is there twice");
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
                None => (series, ""),
            };
            let suffixes = ["_total", "_bucket", "_sum", "_count", "_info", ""];
            let family = suffixes.iter().find_map(|suffix| {
                families.contains_key(name.strip_suffix(suffix)?).then(|| name.strip_suffix(suffix)).flatten()
            });
            let family = family.unwrap_or_else(|| panic!("{line}: of no family"));
            let suffix = &name[family.len()..];
            let samples = &mut families.get_mut(family).unwrap().samples;
            let before = samples.insert(format!("{suffix}{{{labels}}}"), value.parse().unwrap());
            assert_eq!(before, None, "{line}: is there twice");
        }
    }
    families
}

/// The metrics of a server.
pub fn metrics(server: &Server) -> BTreeMap<String, Family> {
    let reply = server.request("GET", "/metrics", &[], "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    parse(&reply.body)
}

#[test]
fn metrics_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    let counters = &server.counters;
    counters.queries_ipv4.add(3);
    counters.queries_ipv6.add(4);
    counters.rx_frames.add(5);
    counters.answered(0, 1);
    counters.answered(3, 1);
    counters.answered(3, 1);
    counters.answered(16, 1);
    for (amount, &reason) in (1u64..).zip(Reason::ALL) {
        counters.count_many(reason, amount);
    }
    server.json("PUT", "/api/v1/zones/example.org", "");
    let metrics = metrics(&server);
    let value = |name: &str, sample: &str| {
        let family = metrics.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        *family.samples.get(sample).unwrap_or_else(|| panic!("{name}: {sample} is missing in {:?}", family.samples))
    };
    assert_eq!(value("ringdns_queries", "_total{worker=\"0\",family=\"ipv4\"}"), 3.0);
    assert_eq!(value("ringdns_queries", "_total{worker=\"0\",family=\"ipv6\"}"), 4.0);
    assert_eq!(value("ringdns_rx_frames", "_total{worker=\"0\"}"), 5.0);
    assert_eq!(value("ringdns_responses", "_total{worker=\"0\",rcode=\"NOERROR\"}"), 1.0);
    assert_eq!(value("ringdns_responses", "_total{worker=\"0\",rcode=\"NXDOMAIN\"}"), 2.0);
    assert_eq!(value("ringdns_responses", "_total{worker=\"0\",rcode=\"BADVERS\"}"), 1.0);
    assert_eq!(value("ringdns_responses", "_total{worker=\"0\",rcode=\"BADCOOKIE\"}"), 0.0);
    for (amount, &reason) in (1u32..).zip(Reason::ALL) {
        let name = match reason.fate() {
            Fate::Drop => "ringdns_drops",
            Fate::Punt => "ringdns_punts",
            Fate::Formerr => "ringdns_formerr",
        };
        assert_eq!(value(name, &format!("_total{{worker=\"0\",reason=\"{}\"}}", reason.name())), f64::from(amount));
    }
    assert_eq!(value("ringdns_snapshot_rrsets", "{}"), 2.0);
    assert_eq!(value("ringdns_snapshot_zones", "{}"), 1.0);
    assert_eq!(value("ringdns_snapshot_complete", "{}"), 1.0);
    assert!(value("ringdns_snapshot_memory_bytes", "{}") > 0.0);
    assert_eq!(value("ringdns_source_synced", "{source=\"store\"}"), 1.0);
    assert!(value("ringdns_source_age_seconds", "{source=\"store\"}") < 30.0);
    assert_eq!(value("ringdns_store_commits", "_total{}"), 1.0);
    assert!(value("ringdns_publish_seconds", "_count{}") >= 2.0, "the start and a write, whatever was taken together");
    assert_eq!(value("ringdns_publish_seconds", "_bucket{le=\"+Inf\"}"), value("ringdns_publish_seconds", "_count{}"));
    assert!(value("ringdns_publish_seconds", "_bucket{le=\"5.0\"}") > 0.0);
    assert_eq!(value("ringdns_build", "_info{version=\"1.2.3\",commit=\"abc\",dpdk=\"22.11\"}"), 1.0);
    assert!(value("process_start_time_seconds", "{}") > 1.6e9);
}

#[test]
fn metrics_are_named_by_their_rules() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    for (name, family) in metrics(&server) {
        assert!(name.starts_with("ringdns_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(!name.ends_with("_total") && !name.ends_with("_count"), "{name}: the suffix is added by the text form");
        assert!(family.help.ends_with('.') && !family.help.ends_with(".."), "{name}: {}", family.help);
        match family.kind.as_str() {
            "counter" => assert!(family.samples.keys().all(|sample| sample.starts_with("_total{")), "{name}"),
            "gauge" => assert!(family.samples.keys().all(|sample| sample.starts_with('{')), "{name}"),
            "histogram" | "info" => {}
            other => panic!("{name} is a {other}"),
        }
    }
}

#[test]
fn health_is_plain() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_unsynced(directory.path(), "");
    let reply = server.request("GET", "/health", &[], "");
    assert_eq!((reply.status, reply.body.as_str()), (200, "OK\n"));
}

#[test]
fn ready_follows_sources_and_workers() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    let (status, ready) = server.get("/ready");
    assert_eq!((status, &ready["ready"]), (503, &json!(false)));
    assert_eq!(ready["missing"], json!(["worker 0 does not poll its ports"]));

    let (counters, polling) = (Arc::clone(&server.counters), Arc::new(AtomicBool::new(true)));
    let goes_on = Arc::clone(&polling);
    let worker = std::thread::spawn(move || {
        while goes_on.load(Ordering::Relaxed) {
            counters.polls.add(1);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    wait_until("the worker polls", || server.get("/ready").0 == 200);
    let (_, ready) = server.get("/ready");
    assert_eq!(ready["missing"], json!([]));
    assert_eq!(ready["workers"], json!([{"worker": 0, "polling": true}]));
    let names: BTreeSet<_> =
        ready["sources"].as_array().unwrap().iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["store", "zone_files"]));

    polling.store(false, Ordering::Relaxed);
    worker.join().unwrap();
    wait_until("the worker counts as stalled", || server.get("/ready").0 == 503);
}

#[test]
fn status_tells_what_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.json("PUT", "/api/v1/zones/example.org", "");
    let (status, value) = server.get("/api/v1/status");
    assert_eq!(status, 200);
    assert_eq!(
        (&value["version"], &value["commit"], &value["dpdk"]),
        (&json!("1.2.3"), &json!("abc"), &json!("22.11"))
    );
    assert_eq!((&value["synced"], &value["workers"]), (&json!(true), &json!(1)));
    assert_eq!((&value["snapshot"]["zones"], &value["snapshot"]["names"]), (&json!(1), &json!(1)));
    assert_eq!(value["snapshot"]["rrsets"], 2);
    assert!(value["snapshot"]["generation"].as_u64().unwrap() > 0);
}

#[test]
fn before_the_sources_are_read_nothing_is_known() {
    // A zone file that is a pipe nobody writes to: the source waits for it for ever.
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let more = "[[zone_file]]\nzone = \"slow\"\npath = \"pipe\"\n";
    let mut server = Server::start_unsynced(directory.path(), more);
    wait_until("the store is read", || {
        server.get("/ready").1["missing"].as_array().unwrap()[0] == "source zone_files has not been read"
    });
    assert_eq!(server.request("GET", "/health", &[], "").status, 200);
    for (method, path) in [("GET", "/api/v1/zones"), ("GET", "/api/v1/zones/a"), ("PUT", "/api/v1/zones/a")] {
        let (status, value) = server.json(method, path, "");
        assert_eq!((status, &value["error"]["code"]), (503, &json!("unavailable")), "{method} {path}");
    }
    assert!(!server.reader.pin().is_complete(), "what is not known is answered with SERVFAIL");
    let metrics = metrics(&server);
    assert_eq!(metrics["ringdns_source_synced"].samples["{source=\"zone_files\"}"], 0.0);
    std::fs::write(&pipe, "").unwrap();
    wait_until("all is read", || server.plane().is_synced());
    assert!(server.reader.pin().is_complete());

    // The reload hangs on the pipe; the end does not wait for it.
    drop(server.plane().request_reload());
    std::thread::sleep(Duration::from_millis(100));
    let started = std::time::Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Lets the reader go.
    std::fs::write(&pipe, "").unwrap();
}

#[test]
fn ports_are_shown_as_they_were_last_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    assert!(metrics(&server)["ringdns_port_link_up"].samples.is_empty(), "none is known yet");
    let ports: Vec<_> = ["net_tap0", "0000:01:00.0"].map(|name| Arc::new(PortGauges::new(name))).into();
    server.plane().show_ports(ports.clone());
    ports[1].link_up.set(1);
    ports[1].speed_mbps.set(25_000);
    let shown = &ports[1];
    let counts = [&shown.rx_missed, &shown.rx_errors, &shown.rx_without_buffer, &shown.tx_errors];
    for (amount, count) in (1u64..).zip(counts) {
        count.set(amount);
    }
    let metrics = metrics(&server);
    for (name, kind, values) in [
        ("link_up", "gauge", [0.0, 1.0]),
        ("speed_mbps", "gauge", [0.0, 25_000.0]),
        ("rx_missed", "counter", [0.0, 1.0]),
        ("rx_errors", "counter", [0.0, 2.0]),
        ("rx_without_buffer", "counter", [0.0, 3.0]),
        ("tx_errors", "counter", [0.0, 4.0]),
    ] {
        let family = &metrics[&format!("ringdns_port_{name}")];
        let suffix = if kind == "counter" { "_total" } else { "" };
        let shown = ["net_tap0", "0000:01:00.0"].map(|port| family.samples[&format!("{suffix}{{port=\"{port}\"}}")]);
        assert_eq!((family.kind.as_str(), shown), (kind, values), "{name}");
    }
}
