//! What a client is answered.

use serde_json::{Value, json};

use super::{Clients, Plane};
use crate::double::Chance;

/// A namespace.
fn namespace(name: &str) -> Value {
    json!({ "kind": "Namespace", "metadata": { "name": name } })
}

/// A Service with an address, or a headless one.
fn service(name: &str, address: &str) -> Value {
    json!({ "kind": "Service", "metadata": { "namespace": "a", "name": name },
            "spec": { "clusterIP": address, "selector": { "app": name }, "ports": [{ "name": "http", "port": 80 }] } })
}

/// The endpoints of a Service, which have changed right now.
fn slice(service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({ "addresses": [address] })).collect();
    let now = jiff::Timestamp::now().to_string();
    json!({ "kind": "EndpointSlice", "metadata": { "namespace": "a", "name": format!("{service}-x"),
                "labels": { "kubernetes.io/service-name": service },
                "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": now } },
            "endpoints": endpoints, "ports": [{ "name": "http", "port": 80 }] })
}

/// A cluster with a namespace and two Services.
fn cluster() -> Clients {
    let clients = Clients::start();
    clients.server.put(namespace("a"));
    clients.server.put(service("web", "10.0.0.1"));
    clients.server.put(service("db", "None"));
    clients.server.put(slice("db", &["10.1.0.1"]));
    clients
}

#[test]
fn changes_of_the_cluster_are_answered_and_what_was_known_while_it_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = cluster();
    let plane = Plane::start(directory.path(), clients.server.access(), "").synced();
    assert_eq!(plane.get("/ready").0, 200);
    assert_eq!(plane.ask("web.a.svc.cluster.local"), "10.0.0.1");
    assert_eq!(plane.ask("db.a.svc.cluster.local"), "10.1.0.1");
    assert_eq!(plane.ask("none.a.svc.cluster.local"), "NXDOMAIN");

    clients.server.put(slice("db", &["10.1.0.1", "10.1.0.2"]));
    plane.until_says("db.a.svc.cluster.local", "10.1.0.1 10.1.0.2");
    clients.server.put(slice("web", &["10.1.0.3"]));
    plane.until_says("10-1-0-3.web.a.svc.cluster.local", "10.1.0.3");
    clients.server.remove("services", "a", "web");
    plane.until_says("web.a.svc.cluster.local", "NXDOMAIN");

    clients.go_away();
    plane.until("it is away", |plane| plane.status()["kubernetes"]["connected"] == false);
    assert_eq!((plane.ask("db.a.svc.cluster.local").as_str(), plane.get("/ready").0), ("10.1.0.1 10.1.0.2", 200));
    clients.server.put(slice("db", &["10.1.0.9"]));
    clients.server.cluster().compact();
    clients.come_back();
    plane.until_says("db.a.svc.cluster.local", "10.1.0.9");
    plane.until("it is back", |plane| plane.status()["kubernetes"]["connected"] == true);
    plane.stop();
}

#[test]
fn metrics_and_status_tell_how_the_source_is() {
    let directory = tempfile::tempdir().unwrap();
    let clients = cluster();
    let plane = Plane::start(directory.path(), clients.server.access(), "").synced();
    let text = || plane.get("/metrics").1;
    assert!(!text().contains("dns_programming_duration_seconds_count{service_kind=\"headless_with_selector\"} 1"));
    clients.server.put(slice("db", &["10.1.0.2"]));
    clients.server.put(slice("web", &["10.1.0.3"]));
    for kind in ["headless_with_selector", "cluster_ip"] {
        let wanted = format!("coredns_kubernetes_dns_programming_duration_seconds_count{{service_kind=\"{kind}\"}} 1");
        plane.until(&wanted, |_| text().contains(&wanted));
    }
    plane.until("objects are counted", |_| text().contains("ringdns_kubernetes_objects{kind=\"endpoints\"} 2"));
    let bytes = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("ringdns_kubernetes_bytes{kind=\"service\"} "));
        line.and_then(|bytes| bytes.parse::<f64>().ok())
    };
    plane.until("bytes are counted", |_| bytes(&text()).is_some_and(|bytes| bytes > 0.0));
    let (text, host) = (text(), clients.server.address());
    for wanted in [
        "coredns_kubernetes_dns_programming_duration_seconds_count{service_kind=\"headless_without_selector\"} 0"
            .to_owned(),
        "coredns_kubernetes_dns_programming_duration_seconds_bucket{le=\"524.288\",service_kind=\"cluster_ip\"} 1"
            .to_owned(),
        format!("coredns_kubernetes_rest_client_requests_total{{code=\"200\",method=\"GET\",host=\"{host}\"}} "),
        format!("coredns_kubernetes_rest_client_request_duration_seconds_count{{verb=\"GET\",host=\"{host}\"}} "),
        format!("coredns_kubernetes_rest_client_rate_limiter_duration_seconds_sum{{verb=\"GET\",host=\"{host}\"}} 0.0"),
        "ringdns_kubernetes_connected{} 1.0".to_owned(),
        "ringdns_kubernetes_lists_total{kind=\"service\"} 1".to_owned(),
        format!("ringdns_kubernetes_resource_version{{kind=\"endpoints\"}} {}.0", clients.server.cluster().version()),
        "ringdns_source_synced{source=\"kubernetes\"} 1.0".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted} in {text}");
    }
    let status = plane.status();
    assert_eq!(status["kubernetes"]["kinds"]["service"]["objects"], 2, "{status:#}");
    assert_eq!(status["kubernetes"]["kinds"]["endpoints"]["listed"], true);
    plane.stop();
}

#[test]
fn until_everything_is_read_answers_are_held_back_and_then_nothing_is_denied() {
    let directory = tempfile::tempdir().unwrap();
    let clients = cluster();
    clients.server.cluster().forbidden.insert("endpointslices".to_owned());
    let plane = Plane::start(directory.path(), clients.server.access(), "startup_timeout_ms = 400");
    plane.ask("web.a.svc.cluster.local");
    assert!(plane.started.elapsed().as_millis() >= 400, "the first answer waits for its time");
    // What is known is answered.
    plane.until_says("web.a.svc.cluster.local", "10.0.0.1");
    assert_eq!(plane.ask("db.a.svc.cluster.local"), "SERVFAIL");
    let (status, body) = plane.get("/ready");
    assert_eq!(status, 503);
    assert!(body.contains("permit the verbs list and watch on endpointslices"), "{body}");
    clients.server.cluster().forbidden.clear();
    plane.until("it is ready", |plane| plane.get("/ready").0 == 200);
    assert_eq!(plane.ask("db.a.svc.cluster.local"), "10.1.0.1");
    assert_eq!(plane.ask("none.a.svc.cluster.local"), "NXDOMAIN");
    plane.stop();
}

#[test]
fn a_copy_on_disk_is_served_while_the_server_is_away_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = cluster();
    let lines = "startup_timeout_ms = 300\ncache_file = \"cluster.cache\"";
    let plane = Plane::start(directory.path(), clients.server.access(), lines).synced();
    plane.until("it is written", |plane| plane.get("/metrics").1.contains("ringdns_kubernetes_cache_writes_total{} 1"));
    plane.stop();

    clients.go_away();
    let plane = Plane::start(directory.path(), clients.server.access(), lines).synced();
    assert_eq!((plane.ask("db.a.svc.cluster.local").as_str(), plane.get("/ready").0), ("10.1.0.1", 200));
    assert_eq!(plane.ask("web.a.svc.cluster.local"), "10.0.0.1");
    assert_eq!(plane.ask("none.a.svc.cluster.local"), "NXDOMAIN");
    assert_eq!(plane.status()["kubernetes"]["from_cache"], true);
    clients.server.remove("services", "a", "web");
    clients.server.remove("endpointslices", "a", "db-x");
    clients.server.put(service("new", "10.0.0.3"));
    clients.come_back();
    plane.until_says("new.a.svc.cluster.local", "10.0.0.3");
    plane.until_says("web.a.svc.cluster.local", "NXDOMAIN");
    plane.until_says("db.a.svc.cluster.local", "NXDOMAIN");
    plane.until("it is compared", |plane| plane.status()["kubernetes"]["from_cache"] == false);
    plane.stop();

    std::fs::write(directory.path().join("cluster.cache"), "damaged").unwrap();
    let plane = Plane::start(directory.path(), clients.server.access(), lines).synced();
    assert_eq!(plane.ask("new.a.svc.cluster.local"), "10.0.0.3", "a damaged copy is as if there were none");
    plane.stop();
}

#[test]
fn after_a_storm_what_is_served_is_what_a_fresh_server_serves() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut clients = cluster();
    let lines = "pods = \"verified\"\nnamespace_labels = \"dns=yes\"";
    let plane = Plane::start(directories[0].path(), clients.server.access(), lines).synced();
    clients.server.faults().storm = Some((Chance::new(77), 3));
    clients.server.faults().bookmark_ms = 20;
    let mut chance = Chance::new(7);
    for turn in 0..120 {
        let (number, server) = (chance.below(9), &clients.server);
        let labels = if chance.below(3) == 0 { json!({}) } else { json!({ "dns": "yes" }) };
        let address = format!("10.1.{number}.{}", chance.below(4));
        match chance.below(9) {
            0 => server.put(json!({ "kind": "Namespace", "metadata": { "name": "a", "labels": labels } })),
            1 => server.remove("services", "a", &format!("s{number}")),
            2 => server.remove("endpointslices", "a", &format!("s{number}-x")),
            3 | 4 => server.put(service(&format!("s{number}"), ["None", &address][usize::from(number % 2 == 0)])),
            5 => server.put(json!({ "kind": "Pod", "metadata": { "namespace": "a", "name": format!("p{number}") },
                                    "status": { "phase": "Running", "podIP": address } })),
            _ => server.put(slice(&format!("s{number}"), &[&address, "10.1.0.77"])),
        }
        match chance.below(20) {
            0 => clients.server.cut(),
            1 => clients.server.cluster().compact(),
            2 => {
                clients.go_away();
                clients.come_back();
            }
            _ => std::thread::sleep(std::time::Duration::from_millis(chance.below(6))),
        }
        assert_ne!(plane.get("/ready").0, 503, "turn {turn}: once ready, it stays so");
    }
    clients.server.faults().storm = None;
    clients.server.put(json!({ "kind": "Namespace", "metadata": { "name": "a", "labels": { "dns": "yes" } } }));
    clients.server.put(service("last", "10.0.0.99"));
    let fresh = Plane::start(directories[1].path(), clients.server.access(), lines).synced();
    for zone in ["cluster.local", "10.in-addr.arpa"] {
        let wanted = fresh.zone(zone);
        assert!(wanted.lines().count() > 5, "{wanted}");
        plane.until(&format!("{zone} is\n{wanted}"), |plane| plane.zone(zone) == wanted);
    }
    plane.stop();
    fresh.stop();
}
