//! The cache of names of others and their upstreams over the API. Who forwards is of another crate: here it is a list.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_controlplane::foreign::{
    Asked, AskedClient, AskedName, AskedTimes, CacheEntry, CachedRecord, ForeignCache, ForeignTotals, Took, Upstream,
    Waits,
};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::RecallConfig;
use serde_json::{Value, json};

use crate::common::{Server, TOKEN};
use crate::host::Host;

/// A cache that is a list.
#[derive(Debug)]
pub struct Kept(Mutex<Vec<CacheEntry>>);

/// Ports of which these queries have waited for others.
#[derive(Debug, Default)]
pub struct Ports(Counters);

impl Waits for Ports {
    fn served(&self) -> &Counters {
        &self.0
    }

    fn lost(&self) -> u64 {
        2
    }
}

/// No queries of ports.
pub fn no_ports() -> Arc<Ports> {
    Arc::default()
}

/// A name.
fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// A kept answer with a record of the type A.
pub fn entry(owner: &str, qtype: u16) -> CacheEntry {
    let record = CachedRecord { owner: name(owner), rtype: 1, ttl: 7, rdata: vec![192, 0, 2, 1] };
    CacheEntry {
        name: name(owner),
        qtype,
        dnssec_ok: false,
        checking_disabled: false,
        rcode: 0,
        ends_seconds: 1_700_000_000,
        seconds_left: 7,
        stale_seconds: 60,
        uses: 2,
        records: vec![record],
        authority: Vec::new(),
    }
}

impl Default for Kept {
    fn default() -> Self {
        let denial = CacheEntry {
            rcode: 3,
            seconds_left: -1,
            dnssec_ok: true,
            records: Vec::new(),
            authority: vec![CachedRecord { owner: name("test."), rtype: 2, ttl: 0, rdata: vec![1, b'a', 0] }],
            ..entry("no.test.", 15)
        };
        Self(Mutex::new(vec![entry("www.test.", 1), entry("www.test.", 28), entry("www.other.", 1), denial]))
    }
}

impl ForeignCache for Kept {
    fn entries(&self, below: Option<&WireName>, skipped: usize, count: usize) -> Vec<CacheEntry> {
        let entries = self.0.lock().unwrap();
        let wanted = entries.iter().filter(|entry| below.is_none_or(|below| below.contains(&entry.name)));
        wanted.skip(skipped).take(count).cloned().collect()
    }

    fn flush(&self, below: Option<&WireName>, qtype: Option<u16>) -> usize {
        let mut entries = self.0.lock().unwrap();
        let before = entries.len();
        entries.retain(|entry| {
            !(below.is_none_or(|below| below.contains(&entry.name)) && qtype.is_none_or(|qtype| entry.qtype == qtype))
        });
        before - entries.len()
    }

    fn upstreams(&self) -> Vec<Upstream> {
        let upstream = |zone: &str, text: &str, config| Upstream {
            zone: name(zone),
            name: text.to_owned(),
            config,
            host: (zone == "test.").then(|| (name("dns.test"), Some("no upstream has answered".to_owned()))),
            is_up: zone == ".",
            is_loop: false,
            latency: (zone == ".").then_some(Duration::from_millis(250)),
            p95: None,
            connections: 1,
            asked: 9,
            answered: 6,
            failures_in_row: 2,
            failures: vec![("timeout", 3), ("refused", 0)],
        };
        let address = "0.0.0.0:853".parse().unwrap();
        let tls = UpstreamConfig::Tls { address, name: None, ca_file: None };
        vec![
            upstream(".", "192.0.2.2", UpstreamConfig::Plain("192.0.2.2:53".parse().unwrap())),
            upstream("test.", "tls://dns.test", tls),
        ]
    }

    fn set_stub_zones(&self, _: &StubZones) {}

    fn forget(&self, name: &WireName) -> usize {
        let mut entries = self.0.lock().unwrap();
        let before = entries.len();
        entries.retain(|entry| entry.name != *name);
        before - entries.len()
    }

    fn totals(&self) -> ForeignTotals {
        ForeignTotals { entries: self.0.lock().unwrap().len() as u64, forwarded: 7 }
    }

    fn recall(&self) -> Option<RecallConfig> {
        None
    }

    fn ttl_seconds_max(&self) -> u32 {
        60
    }

    fn set_ttl_seconds_max(&self, _seconds: u32) {}

    fn count_askers(&self) {}

    fn askers(&self) -> Asked {
        let times = AskedTimes { queries: 3, first_us: 1_700_000_000_000_000, last_us: 1_700_000_001_000_000 };
        let took = Took { min_us: 12, max_us: 2000, sum_us: 2112, buckets: [0, 2, 0, 1] };
        let of = |client: &str| AskedClient { name: name("www.test."), client: client.parse().unwrap(), times };
        Asked {
            names: vec![AskedName { name: name("www.test."), times, took }],
            clients: vec![of("2001:db8::1"), of("192.168.0.200"), of("192.168.0.1")],
        }
    }
}

/// Names and types of a page.
fn entries(page: &Value) -> Vec<String> {
    let text = |entry: &Value| format!("{} {}", entry["name"].as_str().unwrap(), entry["type"].as_str().unwrap());
    page["entries"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn without_forwarding_it_is_said_how_to_come_by_a_cache() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    for (method, path) in [("GET", "/api/v1/cache"), ("DELETE", "/api/v1/cache"), ("GET", "/api/v1/upstreams")] {
        let (status, body) = server.json(method, path, "");
        assert_eq!((status, &body["error"]["code"]), (404, &json!("not_forwarding")), "{method} {path}");
        assert!(body["error"]["remedy"].as_str().unwrap().contains("[forward]"), "{body}");
    }
    server.stop();
}

#[test]
fn the_cache_is_read_by_page_and_name() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.plane().show_foreign(Arc::new(Kept::default()), no_ports());
    let (status, page) = server.get("/api/v1/cache?limit=3");
    assert_eq!(
        (status, entries(&page)),
        (200, ["www.test. A", "www.test. AAAA", "www.other. A"].map(str::to_owned).into())
    );
    assert_eq!(page["next"], "/api/v1/cache?limit=3&skip=3");
    assert_eq!(
        page["entries"][0],
        json!({
            "name": "www.test.", "type": "A", "rcode": "NOERROR", "seconds_left": 7, "stale_seconds": 60, "uses": 2,
            "dnssec_ok": false, "checking_disabled": false, "records": ["www.test. 7 IN A 192.0.2.1"], "authority": []
        })
    );
    let (_, page) = server.get(page["next"].as_str().unwrap());
    assert_eq!((entries(&page), &page["next"]), (vec!["no.test. MX".to_owned()], &Value::Null));
    let denial = &page["entries"][0];
    assert_eq!((&denial["rcode"], &denial["seconds_left"]), (&json!("NXDOMAIN"), &json!(-1)));
    assert_eq!(denial["authority"], json!(["test. 0 IN NS a."]));

    let (_, page) = server.get("/api/v1/cache?name=TEST&limit=1&skip=1");
    assert_eq!(entries(&page), ["www.test. AAAA"]);
    assert_eq!(page["next"], "/api/v1/cache?limit=1&skip=2&name=TEST");
    for (query, field) in [("limit=0", "limit"), ("skip=x", "skip"), ("name=a..b", "name"), ("name=%C3%BC", "name")] {
        let (status, body) = server.get(&format!("/api/v1/cache?{query}"));
        assert_eq!((status, &body["error"]["field"]), (422, &json!(field)), "{query}");
    }
    assert_eq!(server.get("/api/v1/cache?type=A").1["error"]["code"], "unknown_parameter");
    server.stop();
}

#[test]
fn entries_are_removed_by_who_may_write() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    let kept = Arc::new(Kept::default());
    server.plane().show_foreign(Arc::clone(&kept) as Arc<dyn ForeignCache>, no_ports());
    assert_eq!(server.request("DELETE", "/api/v1/cache", &[], "").status, 401);
    let wrong = [("authorization", "Bearer fedcba9876543210")];
    assert_eq!(server.request("DELETE", "/api/v1/cache", &wrong, "").status, 401);
    assert_eq!(server.json("DELETE", "/api/v1/cache?type=NONSENSE", "").0, 422);
    assert_eq!(server.json("DELETE", "/api/v1/cache?nmae=test", "").0, 400);
    assert_eq!(kept.0.lock().unwrap().len(), 4, "what is refused removes nothing");
    assert_eq!(server.json("DELETE", "/api/v1/cache?name=test&type=a", ""), (200, json!({ "removed": 1 })));
    assert_eq!(server.json("DELETE", "/api/v1/cache?name=www.TEST.", ""), (200, json!({ "removed": 1 })));
    assert_eq!(server.json("DELETE", "/api/v1/cache", ""), (200, json!({ "removed": 2 })));
    assert_eq!(server.json("DELETE", "/api/v1/cache", ""), (200, json!({ "removed": 0 })));
    server.stop();
}

#[test]
fn a_token_for_some_zones_is_for_these_names_only() {
    let directory = tempfile::tempdir().unwrap();
    let token = |name: &str, token: &str, permissions: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, token).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "[[admin_token]]\nname = \"{name}\"\nfile = \"{}\"\nzones = [\"test\"]\npermissions = [{permissions}]\n",
            path.display()
        )
    };
    let more = format!(
        "read_needs_token = true\n{}{}",
        token("reader", "reader-0123456789", "\"read\""),
        token("writer", "writer-0123456789", "\"read\", \"write\"")
    );
    let server = Server::start(directory.path(), &more);
    server.plane().show_foreign(Arc::new(Kept::default()), no_ports());
    let ask = |token: &str, method: &str, path: &str| {
        let reply = server.request(method, path, &[("authorization", &format!("Bearer {token}"))], "");
        (reply.status, reply.json())
    };
    assert_eq!(server.get("/api/v1/cache").0, 401);
    assert_eq!(server.get("/api/v1/upstreams").0, 401);
    let (reader, writer) = ("reader-0123456789", "writer-0123456789");
    assert_eq!(ask(reader, "GET", "/api/v1/cache").0, 403);
    assert_eq!(ask(reader, "GET", "/api/v1/cache?name=other").0, 403);
    assert_eq!(entries(&ask(reader, "GET", "/api/v1/cache?name=www.test").1).len(), 2);
    let zones = |(_, body): (u16, Value)| body["upstreams"].as_array().unwrap().len();
    assert_eq!(zones(ask(reader, "GET", "/api/v1/upstreams")), 1, "that of test. and not that of the root");
    assert_eq!(zones(ask(TOKEN, "GET", "/api/v1/upstreams")), 2);
    assert_eq!(ask(reader, "DELETE", "/api/v1/cache?name=test").0, 403);
    assert_eq!(ask(writer, "DELETE", "/api/v1/cache").0, 403);
    assert_eq!(ask(writer, "DELETE", "/api/v1/cache?name=other").0, 403);
    assert_eq!(ask(writer, "DELETE", "/api/v1/cache?name=test"), (200, json!({ "removed": 3 })));
    server.stop();
}

#[test]
fn upstreams_are_shown_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.plane().show_foreign(Arc::new(Kept::default()), no_ports());
    let (status, body) = server.get("/api/v1/upstreams");
    assert_eq!(
        (status, &body["upstreams"][0]),
        (
            200,
            &json!({
                "zone": ".", "name": "192.0.2.2", "address": "192.0.2.2:53", "host": null, "host_error": null, "transport": "udp", "up": true, "loop": false,
                "latency_seconds": 0.25, "p95_seconds": null, "connections": 1, "asked": 9, "answered": 6,
                "failures_in_row": 2, "failed": 3, "failures": { "timeout": 3 }
            })
        )
    );
    let second = &body["upstreams"][1];
    assert_eq!(
        (&second["zone"], &second["transport"], &second["up"], &second["latency_seconds"]),
        (&json!("test."), &json!("tls"), &json!(false), &Value::Null)
    );
    assert_eq!(
        (&second["name"], &second["address"], &second["host"], &second["host_error"]),
        (&json!("tls://dns.test"), &Value::Null, &json!("dns.test."), &json!("no upstream has answered"))
    );
    assert_eq!(server.request("POST", "/api/v1/upstreams", &[], "").status, 405);
    server.stop();
}

#[test]
fn the_interface_of_kdns_has_the_cache_too() {
    let host = Host::new("");
    let kept = Arc::new(Kept::default());
    host.server.plane().show_foreign(Arc::clone(&kept) as Arc<dyn ForeignCache>, no_ports());
    // For clients with DO, and for a while longer: the original has one entry for a name and a type.
    let longer = CacheEntry { dnssec_ok: true, ends_seconds: 1_700_000_060, ..entry("www.test.", 1) };
    kept.0.lock().unwrap().push(longer);
    let shown: Value = serde_json::from_str(&host.ok("GET", "/kdns/forward/caches", "")).unwrap();
    let row = |domain: &str, rtype: u16, time: &str| json!({ "Domain": domain, "Type": rtype, "ExpiredTime": time });
    assert_eq!(
        shown,
        json!([
            row("www.other.", 1, "2023-11-14 22:13:20"),
            row("no.test.", 15, "2023-11-14 22:13:20"),
            row("www.test.", 1, "2023-11-14 22:14:20"),
            row("www.test.", 28, "2023-11-14 22:13:20"),
        ])
    );
    assert_eq!(host.ok("DELETE", "/kdns/forward/caches", ""), "OK\n");
    assert!(kept.0.lock().unwrap().is_empty());
    assert_eq!(host.ok("GET", "/kdns/forward/caches", ""), "[]");
    host.server.stop();
}

#[test]
fn the_interface_of_kdns_tells_who_asks_for_what() {
    let host = Host::new("metrics_host = \"dns 1\"\n");
    assert_eq!(host.ok("GET", "/kdns/metrics/domains", ""), "[]", "nobody forwards");
    host.server.plane().show_foreign(Arc::new(Kept::default()), {
        let ports = Ports::default();
        ports.0.queries_ipv4.add(5);
        Arc::new(ports)
    });
    let expected = "[{\"Domain\":\"www.test.\",\"QueryNum\":3.0,\"FirstQueryTime\":1700000000000000.0,\
        \"LastQueryTime\":1700000001000000.0,\"MinTime\":12.0,\"MaxTime\":2000.0,\"SumTime\":2112.0,\"metrics1\":0.0,\
        \"metrics2\":2.0,\"metrics3\":0.0,\"metrics4\":1.0}]";
    assert_eq!(host.ok("GET", "/kdns/metrics/domains", ""), expected);
    let shown: Value = serde_json::from_str(&host.ok("GET", "/kdns/metrics/clientIp", "")).unwrap();
    let row = |address: i64| {
        json!({ "Domain": "www.test.", "Host": "dns 1", "QueryNum": 3.0, "FirstQueryTime": 1.7e15,
                "LastQueryTime": 1.700_000_001e15, "SourceIP": address })
    };
    // As the original's machines read an address: the last number is the highest byte, and the highest bit a sign.
    let mut of_ipv6 = row(0);
    of_ipv6["SourceIPv6"] = json!("2001:db8::1");
    assert_eq!(shown, json!([row(0x0100_a8c0), row(i64::from(0xc800_a8c0_u32.cast_signed())), of_ipv6]));

    // What ports' queries came to that have waited is part of the whole, until it is set to zero.
    host.server.counters.recalled.add(10);
    host.server.counters.forwarded.add(8);
    let numbers = || {
        let all: Value = serde_json::from_str(&host.ok("GET", "/kdns/statistics/get", "")).unwrap();
        ["udp_fwd_rcv", "udp_fwd_snd", "udp_fwd_lost", "tcp_fwd_rcv", "dns_pkts_snd"]
            .map(|name| all[name].as_f64().unwrap())
    };
    assert_eq!(numbers(), [18.0, 15.0, 2.0, 0.0, 5.0]);
    assert_eq!(host.ok("POST", "/kdns/statistics/reset", ""), "OK\n");
    assert_eq!(numbers(), [0.0; 5]);
    host.server.stop();
}
