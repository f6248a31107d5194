//! The statistics interface of ContainerDNS: what was asked over sockets is told byte for byte as the original tells it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::net::UdpSocket;
use std::time::Duration;

use crate::common::{Client, Server};
use ringdns_engine::testing::query;
use serde_json::{Value, json};

/// The interface, a record interface to fill it by, and sockets to ask.
const TABLES: &str = "[sockets]\nlisten = [\"127.0.0.1:0\"]\n\
                      [containerdns_stats]\nlisten = \"127.0.0.1:0\"\ntoken = \"@containerdns.com\"\n\
                      [containerdns_api]\nlisten = \"127.0.0.1:0\"\ntoken = \"123456789\"\n";

/// A running interface.
struct Host {
    /// The control plane.
    server: Server,
    /// Speaks to the interface.
    client: Client,
    /// The store.
    _directory: tempfile::TempDir,
}

impl Host {
    /// An interface over an empty store.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), TABLES);
        let client = Client { address: server.plane().containerdns_stats_address().unwrap() };
        Self { server, client, _directory: directory }
    }

    /// Status 200 and a line of text; gives it without its end.
    fn tell(&self, method: &str, path: &str, body: &str) -> String {
        let reply = self.client.request(method, &format!("/containerdns{path}?token=@containerdns.com"), &[], body);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; charset=utf-8")), "{path}");
        reply.body.strip_suffix('\n').unwrap().to_owned()
    }

    /// What is told as JSON.
    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.tell("GET", path, "")).unwrap()
    }

    /// Makes records of a name.
    fn put(&self, name: &str, body: &Value) {
        let api = Client { address: self.server.plane().containerdns_address().unwrap() };
        let path = format!("/containerdns/api/{name}?user=u1&token=123456789");
        assert_eq!(api.request("POST", &path, &[], &body.to_string()).body, "OK\n");
    }

    /// Asks for a name; gives the response code.
    fn ask(&self, qname: &str, qtype: u16) -> u8 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send_to(&query(qname, qtype), self.server.plane().socket_addresses()[0]).unwrap();
        let mut room = [0; 1500];
        let length = socket.recv(&mut room).unwrap();
        room[..length][3] & 0xf
    }
}

#[test]
fn requests_need_the_token_and_a_known_path() {
    let host = Host::new();
    for path in ["/containerdns/stats", "/containerdns/master?token=wrong", "/containerdns/stats/top/5?token="] {
        let reply = host.client.request("GET", path, &[], "");
        assert_eq!((reply.status, reply.body.as_str()), (200, "No authorized\n"), "{path}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = host.client.request("POST", "/containerdns/master", &form, "token=%40containerdns.com");
    assert_eq!(reply.body, "OK\n", "the token may be in a form");
    for path in ["/", "/containerdns", "/containerdns/", "/containerdns/stats/", "/containerdns/stats/top/", "/metrics"]
    {
        let reply = host.client.request("GET", &format!("{path}?token=@containerdns.com"), &[], "");
        assert_eq!((reply.status, reply.body.as_str()), (404, "404 page not found\n"), "{path}");
    }
    assert_eq!(host.client.request("PUT", "/containerdns/stats?token=@containerdns.com", &[], "").status, 405);
}

#[test]
fn queries_are_told_in_total_and_by_name() {
    let host = Host::new();
    host.put("cctv2.containerdns.local", &json!({"type": "A", "ips": ["192.168.10.1"]}));
    assert_eq!(host.tell("GET", "/stats/top/3", ""), "null", "before the first query");
    assert_eq!(host.tell("GET", "/stats/cctv2.containerdns.local", ""), "domain not found");
    for (qname, qtype, rcode) in [
        ("cctv2.containerdns.local.", 1, 0),
        ("CCTV2.containerdns.local.", 1, 0),
        ("cctv2.containerdns.local.", 28, 0),
        ("missing.containerdns.local.", 1, 3),
        ("missing.containerdns.local.", 1, 3),
        ("example.com.", 1, 5),
    ] {
        assert_eq!(host.ask(qname, qtype), rcode, "{qname}");
    }
    assert_eq!(host.tell("GET", "/stats", ""), "{\"reqCount\":6,\"domainSize\":2,\"noNameCount\":2,\"noDataCount\":1}");

    let one = host.json("/stats/cctv2.containerdns.local");
    assert_eq!(one["reqCount"], 3);
    for member in ["lastQueryTime", "firstQueryTime"] {
        let time = one[member].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 20, "{time}");
    }
    // A list may be a second old: the one from before the queries goes first.
    crate::common::wait_until("the names are listed", || host.tell("GET", "/stats/top/1", "") != "null");
    assert_eq!(host.tell("GET", "/stats/top/1", ""), "[{\"reqCount\":3,\"domain\":\"cctv2.containerdns.local.\"}]");
    let top = host.json("/stats/top/2000");
    let names: Vec<&str> = top.as_array().unwrap().iter().map(|name| name["domain"].as_str().unwrap()).collect();
    assert_eq!(names, ["cctv2.containerdns.local.", "missing.containerdns.local.", "example.com."]);
    assert_eq!(host.tell("GET", "/stats/top/x1", ""), "strconv.Atoi: parsing \"x1\": invalid syntax");
    assert_eq!(
        host.tell("GET", "/stats/top/99999999999999999999", ""),
        "strconv.Atoi: parsing \"99999999999999999999\": value out of range"
    );
}

#[test]
fn messages_of_names_that_were_asked_for_are_shown() {
    let host = Host::new();
    host.put("a.containerdns.local", &json!({"type": "A", "ips": ["192.168.10.1"]}));
    host.put("a.containerdns.local", &json!({"type": "CNAME", "alias": "b.containerdns.local"}));
    let missing = "no found domain: b.containerdns.local.";
    assert_eq!(host.tell("GET", "/domain/b.containerdns.local", ""), missing, "not asked for yet");
    assert_eq!(host.tell("DELETE", "/domain/b.containerdns.local.", ""), missing);
    host.ask("b.containerdns.local.", 1);
    let expected = "{\"Id\":0,\"Response\":true,\"Opcode\":0,\"Authoritative\":true,\"Truncated\":false,\
        \"RecursionDesired\":true,\"RecursionAvailable\":false,\"Zero\":false,\"AuthenticatedData\":false,\
        \"CheckingDisabled\":false,\"Rcode\":0,\
        \"Question\":[{\"Name\":\"b.containerdns.local.\",\"Qtype\":1,\"Qclass\":1}],\
        \"Answer\":[{\"Hdr\":{\"Name\":\"b.containerdns.local.\",\"Rrtype\":5,\"Class\":1,\"Ttl\":30,\"Rdlength\":22},\
        \"Target\":\"a.containerdns.local.\"},\
        {\"Hdr\":{\"Name\":\"a.containerdns.local.\",\"Rrtype\":1,\"Class\":1,\"Ttl\":30,\"Rdlength\":4},\
        \"A\":\"192.168.10.1\"}],\"Ns\":null,\"Extra\":null}";
    assert_eq!(host.tell("GET", "/domain/B.containerdns.local", ""), expected);
    assert_eq!(host.tell("DELETE", "/domain/b.containerdns.local", ""), "OK");
    assert_eq!(host.tell("GET", "/domain/b.containerdns.local", ""), expected, "it follows its source anyway");

    host.ask("missing.containerdns.local.", 1);
    let negative = host.json("/domain/missing.containerdns.local");
    assert_eq!((&negative["Rcode"], &negative["Answer"]), (&json!(3), &Value::Null));
    assert_eq!(negative["Ns"][0]["Mbox"], "hostmaster.containerdns.local.");
    assert_eq!(negative["Ns"][0]["Minttl"], 60);
}

#[test]
fn records_are_shown_as_the_original_keeps_them() {
    let host = Host::new();
    host.put("a.containerdns.local", &json!({"type": "A", "ips": ["192.168.10.1", "192.168.10.2"]}));
    host.put("s.containerdns.local", &json!({"type": "SRV", "ips": ["192.168.10.9"], "ports": [80]}));
    host.put("t.containerdns.local", &json!({"type": "TXT", "text": "v=spf1 -all"}));
    assert_eq!(host.tell("GET", "/domainL1/x.containerdns.local", ""), "no found domain : x.containerdns.local.");
    assert_eq!(host.tell("DELETE", "/domainL1/x.containerdns.local", ""), "no found domain: x.containerdns.local.");
    assert_eq!(host.tell("POST", "/domainL1/x.containerdns.local", ""), "OK");
    let text = host.tell("GET", "/domainL1/a.containerdns.local", "");
    let records = "{\"msgs\":[{\"type\":\"A\",\"host\":\"192.168.10.1\",\"ttl\":30},{\"type\":\"A\",\"host\":\"192.168.10.2\",\"ttl\":30}],\"updateTime\":\"20";
    assert!(text.starts_with(records), "{text}");
    assert_eq!(host.tell("DELETE", "/domainL1/a.containerdns.local", ""), "OK");
    let service = &host.json("/domainL1/s.containerdns.local")["msgs"][0];
    assert!(service["host"].as_str().unwrap().ends_with(".s.containerdns.local."), "{service}");
    let numbers = ["ttl", "port", "priority", "weight"].map(|member| service[member].as_u64().unwrap());
    assert_eq!((service["type"].as_str(), numbers), (Some("SRV"), [30, 80, 10, 100]));
    let apex = host.json("/domainL1/containerdns.local");
    let text = apex["msgs"].as_array().unwrap().iter().find(|record| record["type"] == "TXT").unwrap();
    assert_eq!(text["text"], "v=spf1 -all");
}

#[test]
fn what_can_be_set_is_remembered() {
    let host = Host::new();
    assert_eq!(host.tell("GET", "/master", ""), "{\"cacheTtl\":60,\"syncPeriod\":10}");
    for (body, after) in [
        ("{\"cacheTtl\":120}", "{\"cacheTtl\":120,\"syncPeriod\":10}"),
        ("{\"syncPeriod\":3,\"cacheTtl\":0}", "{\"cacheTtl\":120,\"syncPeriod\":3}"),
        ("{\"syncPeriod\":-3,\"cacheTtl\":\"5\"}", "{\"cacheTtl\":120,\"syncPeriod\":3}"),
        ("no JSON", "{\"cacheTtl\":120,\"syncPeriod\":3}"),
    ] {
        assert_eq!(host.tell("POST", "/master", body), "OK");
        assert_eq!(host.tell("GET", "/master", ""), after, "{body}");
    }
}

#[test]
fn the_admin_api_tells_the_same() {
    let host = Host::new();
    host.put("a.containerdns.local", &json!({"type": "A", "ips": ["192.168.10.1"]}));
    for (qname, qtype) in [("A.containerdns.local.", 1), ("a.containerdns.local.", 28), ("b.example.", 1)] {
        host.ask(qname, qtype);
    }
    let (status, totals) = host.server.get("/api/v1/stats");
    let expected = json!({"queries": 3, "nxdomain": 0, "nodata": 1, "truncated": 0, "names_counted": true});
    assert_eq!((status, totals), (200, expected));
    let (status, list) = host.server.get("/api/v1/stats/names?top=1");
    assert_eq!((status, list["names"].as_array().unwrap().len()), (200, 1));
    let (status, one) = host.server.get("/api/v1/stats/names/A.containerdns.local");
    assert_eq!((status, &one), (200, &list["names"][0]));
    assert_eq!((&one["name"], &one["queries"]), (&json!("a.containerdns.local."), &json!(2)));
    assert!(one["last_ms"].as_u64() >= one["first_ms"].as_u64() && one["first_ms"].as_u64() > Some(1_700_000_000_000));
    for (path, status, code) in [
        ("/api/v1/stats/names/c.example.", 404, "name_not_counted"),
        ("/api/v1/stats/names?top=0", 422, "out_of_bounds"),
        ("/api/v1/stats/names?more=1", 400, "unknown_parameter"),
    ] {
        let (found, body) = host.server.get(path);
        assert_eq!((found, &body["error"]["code"]), (status, &json!(code)), "{path}");
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    let (status, body) = server.get("/api/v1/stats/names");
    assert_eq!((status, &body["error"]["code"]), (404, &json!("names_not_counted")));
    assert_eq!(server.get("/api/v1/stats").1["nodata"], Value::Null);
}
