//! What the trees of a real etcd say beyond records: leases, states of addresses, views, questions for any label, and that their
//! zones are not written otherwise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Server, wait_until};
use crate::real::Etcd;
use crate::source::{address, config, metric, put, records, seen, wait_for};
use ringdns_controlplane::foreign::{Asked, CacheEntry, ForeignCache, ForeignTotals, Upstream, Waits};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{RecallConfig, is_foreign};
use ringdns_engine::testing::query;
use serde_json::{Value, json};

#[test]
fn a_record_goes_with_its_lease() {
    let etcd = Etcd::start(1);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &config(directory.path(), &[etcd.members[0].endpoint()]));
    put(&etcd, "stays", "10.0.0.1");
    let (key, value) = address("goes", "10.0.0.2");
    etcd.put_for(2, &key, &value);
    wait_for(&server, "goes", Some("10.0.0.2"));
    wait_for(&server, "goes", None);
    assert_eq!(records(&server, "stays", "A"), json!(["10.0.0.1"]));
    server.stop();
}

#[test]
fn zones_of_etcd_are_not_written_over_the_api() {
    let etcd = Etcd::start(1);
    put(&etcd, "www", "10.0.0.1");
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &config(directory.path(), &[etcd.members[0].endpoint()]));
    let (_, zone) = server.get("/api/v1/zones/c.local");
    assert_eq!((&zone["read_only"], &zone["sources"]), (&json!(true), &json!(["etcd"])));
    for (method, path, body) in [
        ("PUT", "/api/v1/zones/c.local", "{}"),
        ("DELETE", "/api/v1/zones/c.local", ""),
        ("PUT", "/api/v1/zones/c.local/rrsets/www/A", r#"{"ttl":60,"records":["10.0.0.2"]}"#),
        ("DELETE", "/api/v1/zones/c.local/rrsets/www/A", ""),
    ] {
        let (status, answer) = server.json(method, path, body);
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("zone_read_only")), "{method} {path}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("zone c.local. is served from etcd"), "{message}");
    }
    assert_eq!(server.json("PUT", "/api/v1/zones/own.local", "{}").0, 201);
    assert_eq!(server.get("/api/v1/zones/own.local").1["read_only"], json!(false));
    assert_eq!(records(&server, "www", "A"), json!(["10.0.0.1"]));
    server.stop();
}

#[test]
fn addresses_that_are_down_are_known_without_etcd_too() {
    let mut etcd = Etcd::start(1);
    let pair = [("1", "10.0.0.1"), ("2", "10.0.0.2")];
    for (label, host) in pair {
        etcd.put(&format!("/containerdns/local/c/www/{label}/"), &address("", host).1);
    }
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), &[etcd.members[0].endpoint()]);
    let server = Server::start(directory.path(), &text);
    let states = |server: &Server| -> Value {
        let members = server.get("/api/v1/members?name=www.c.local").1["members"].clone();
        members.as_array().unwrap().iter().map(|member| member["state"].clone()).collect()
    };
    let rrset = |server: &Server| server.get("/api/v1/zones/c.local/rrsets/www/A").1;
    let before = rrset(&server);
    assert_eq!(states(&server), json!(["UNKNOWN", "UNKNOWN"]));
    etcd.put("/containerdns/monitor/status/10.0.0.2", r#"{"status":"DOWN","ports":["80"]}"#);
    wait_until("it is down", || states(&server) == json!(["UNKNOWN", "DOWN"]));
    assert_eq!(seen(&server)["addresses_down"], json!(1));
    etcd.put("/containerdns/monitor/status/10.0.0.2", r#"{"status":"UP","ports":["80"]}"#);
    wait_until("it is up", || states(&server) == json!(["UNKNOWN", "UP"]));
    etcd.put("/containerdns/monitor/status/10.0.0.1", r#"{"status":"DOWN"}"#);
    wait_until("the other is down", || states(&server) == json!(["DOWN", "UP"]));
    assert_eq!(rrset(&server), before, "what etcd has of the record is the same");
    let cache = directory.path().join("etcd.cache");
    let has = |text: &str| std::fs::read(&cache).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
    wait_until("the copy on disk has it", || has("status/10.0.0.1"));
    server.stop();
    etcd.members[0].kill();
    let server = Server::start(directory.path(), &text);
    assert_eq!(states(&server), json!(["DOWN", "UP"]));
    server.stop();
}

#[test]
fn the_views_of_kdns_have_clients_and_records() {
    let etcd = Etcd::start(1);
    etcd.put("/kdns/com/example/www/1/", r#"{"type":"A","host":"10.0.0.1"}"#);
    etcd.put("/kdns/com/example/www/2/", r#"{"type":"A","host":"10.0.0.2","viewName":"gz","lbMode":1}"#);
    etcd.put("/kdns/dnsviews/gz", r#"{"viewName":"gz","cidrs":["198.51.100.0/24"]}"#);
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[etcd]\nendpoints = [{:?}]\ncache_file = \"{}/c\"\n[[etcd_tree]]\nlayout = \"kdns\"\nzones = [\"example.com\"]\n",
        etcd.members[0].endpoint(),
        directory.path().display()
    );
    let mut server = Server::start(directory.path(), &text);
    let (apex, owner): (WireName, WireName) = ("example.com.".parse().unwrap(), "www.example.com.".parse().unwrap());
    // What a client gets: the address of its view.
    let host = |server: &mut Server, client: [u8; 4]| -> Vec<u8> {
        let snapshot = server.reader.pin();
        let node = snapshot.node(&apex, &owner).unwrap();
        let rrset = node.rrset_in(1, snapshot.view_of(client.into())).or(node.rrset(1)).unwrap();
        rrset.rdatas().next().unwrap().to_vec()
    };
    assert_eq!(host(&mut server, [198, 51, 100, 9]), [10, 0, 0, 2]);
    assert_eq!(host(&mut server, [203, 0, 113, 9]), [10, 0, 0, 1]);
    etcd.put("/kdns/dnsviews/gz", r#"{"viewName":"gz","cidrs":["203.0.113.0/24"]}"#);
    wait_until("the view has other clients", || host(&mut server, [203, 0, 113, 9]) == [10, 0, 0, 2]);
    assert_eq!(host(&mut server, [198, 51, 100, 9]), [10, 0, 0, 1]);
    server.stop();
}

/// The response code of an answer over a socket, and the number of its records.
fn ask(server: &Server, qname: &str) -> (u8, u8) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server.plane().socket_addresses()[0]).unwrap();
    socket.send(&query(qname, 1)).unwrap();
    let mut answer = [0; 512];
    assert!(socket.recv(&mut answer).unwrap() > 12);
    (answer[3] & 0xf, answer[7])
}

#[test]
fn questions_for_any_label_are_answered_and_names_that_are_missing_are_not() {
    let etcd = Etcd::start(1);
    etcd.put("/skydns/local/s/east/rails/1", r#"{"host":"10.0.0.1"}"#);
    etcd.put("/skydns/local/s/east/rails/2", r#"{"host":"10.0.0.2"}"#);
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[sockets]\nlisten = [\"127.0.0.1:0\"]\n[etcd]\nendpoints = [{:?}]\ncache_file = \"{}/c\"\n\
         [[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"s.local\"]\nwildcard_names_max = 100\n",
        etcd.members[0].endpoint(),
        directory.path().display()
    );
    let server = Server::start(directory.path(), &text);
    for name in ["rails.east", "*.rails.east", "any.rails.east", "rails.*", "*", "any.any.east"] {
        assert_eq!(ask(&server, &format!("{name}.s.local.")), (0, 2), "{name}");
    }
    for name in ["3.rails.east", "west", "rails.west", "3.*.east"] {
        assert_eq!(ask(&server, &format!("{name}.s.local.")), (3, 0), "{name}");
    }
    assert_eq!(seen(&server)["wildcards_refused"], json!([]));
    for number in 0..100 {
        etcd.put(&format!("/skydns/local/s/east/n{number}"), r#"{"host":"10.0.0.3"}"#);
    }
    wait_until("they are too many", || seen(&server)["wildcards_refused"] == json!(["/skydns"]));
    wait_until("none is answered", || ask(&server, "*.rails.east.s.local.") == (3, 0));
    assert_eq!(ask(&server, "rails.east.s.local."), (0, 2));
    assert_eq!(metric(&server, "ringdns_etcd_wildcards_refused"), 1.0);
    server.stop();
}

/// Notes the stub zones that it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl ForeignCache for Told {
    fn entries(&self, _: Option<&WireName>, _: usize, _: usize) -> Vec<CacheEntry> {
        Vec::new()
    }

    fn flush(&self, _: Option<&WireName>, _: Option<u16>) -> usize {
        0
    }

    fn upstreams(&self) -> Vec<Upstream> {
        Vec::new()
    }

    fn forget(&self, _: &WireName) -> usize {
        0
    }

    fn totals(&self) -> ForeignTotals {
        ForeignTotals::default()
    }

    fn recall(&self) -> Option<RecallConfig> {
        None
    }

    fn ttl_seconds_max(&self) -> u32 {
        0
    }

    fn set_ttl_seconds_max(&self, _: u32) {}

    fn count_askers(&self) {}

    fn askers(&self) -> Asked {
        Asked::default()
    }

    fn set_stub_zones(&self, zones: &StubZones) {
        *self.0.lock().unwrap() = zones.iter().map(|(zone, servers)| format!("{zone} {servers:?}")).collect();
    }
}

/// Queries of ports, of which there are none.
#[derive(Debug, Default)]
struct NoPorts(Counters);

impl Waits for NoPorts {
    fn served(&self) -> &Counters {
        &self.0
    }

    fn lost(&self) -> u64 {
        0
    }
}

#[test]
fn stub_zones_follow_their_keys_and_are_cut_out_of_zones() {
    let etcd = Etcd::start(1);
    etcd.put("/skydns/local/s/dns/stub/org/example/ns1", r#"{"host":"192.0.2.10"}"#);
    etcd.put("/skydns/local/s/sub/www", r#"{"host":"10.0.0.1"}"#);
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), &[etcd.members[0].endpoint()]);
    let mut server = Server::start(directory.path(), &format!("{text}stub_zones = true\n[forward]\n"));
    let told = Arc::new(Told::default());
    server.plane().show_foreign(Arc::clone(&told) as Arc<dyn ForeignCache>, Arc::new(NoPorts::default()));
    let is = |expected: &[&str]| *told.0.lock().unwrap() == expected;
    wait_until("the zone is told", || is(&["example.org. [192.0.2.10:53]"]));
    let name: WireName = "www.sub.s.local.".parse().unwrap();
    assert!(!is_foreign(server.reader.pin(), &name, 1));
    etcd.put("/skydns/local/s/dns/stub/local/s/sub/ns1", r#"{"host":"192.0.2.11","port":5353}"#);
    wait_until("both are told", || is(&["sub.s.local. [192.0.2.11:5353]", "example.org. [192.0.2.10:53]"]));
    wait_until("it is cut out", || is_foreign(server.reader.pin(), &name, 1));
    etcd.delete("/skydns/local/s/dns/stub/local/s/sub/ns1");
    etcd.delete("/skydns/local/s/dns/stub/org/example/ns1");
    wait_until("none are told", || is(&[]));
    wait_until("it is served again", || !is_foreign(server.reader.pin(), &name, 1));
    server.stop();
}
