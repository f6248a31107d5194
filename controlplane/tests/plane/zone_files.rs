//! Zone files in a running control plane: beside the store, with mistakes, read again. And the battery that every source
//! must pass.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::path::Path;

use crate::common::Server;
use ringdns_controlplane::check_config;
use serde_json::{Value, json};

/// What every zone of these tests starts with.
const APEX: &str = "$TTL 300\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n";

/// Configuration of zone files, each a zone and its file.
fn zone_files(files: &[(&str, &str)]) -> String {
    files.iter().map(|(zone, path)| format!("[[zone_file]]\nzone = \"{zone}\"\npath = \"{path}\"\n")).collect()
}

/// Writes a zone file.
fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), format!("{APEX}{text}")).unwrap();
}

/// Owner, type and records of a zone, with their source.
fn listed(server: &Server, zone: &str) -> Vec<String> {
    let (status, page) = server.get(&format!("/api/v1/zones/{zone}/rrsets"));
    assert_eq!(status, 200, "{page}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (page["rrsets"].as_array().unwrap().iter())
        .map(|rrset| {
            let records: Vec<String> = rrset["records"].as_array().unwrap().iter().map(text).collect();
            let (owner, rtype, source) = (text(&rrset["owner"]), text(&rrset["type"]), text(&rrset["source"]));
            format!("{owner} {} {rtype} {} [{source}]", rrset["ttl"], records.join(","))
        })
        .collect()
}

#[test]
fn a_zone_file_is_served_and_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "z", "www A 192.0.2.1\nwww A 192.0.2.2\n");
    let server = Server::start(directory.path(), &zone_files(&[("example.org", "z")]));
    let expected = [
        "example.org. 300 NS ns.example.org. [zone_files]",
        "example.org. 300 SOA ns.example.org. hostmaster.example.org. 1 2 3 4 5 [zone_files]",
        "www.example.org. 300 A 192.0.2.1,192.0.2.2 [zone_files]",
    ];
    assert_eq!(listed(&server, "example.org"), expected);
    let (_, zone) = server.get("/api/v1/zones/example.org");
    assert_eq!((&zone["read_only"], &zone["sources"]), (&json!(true), &json!(["zone_files"])));
    assert_eq!(zone["zone_file"]["records"], 4);
    let body = r#"{"ttl":1,"records":["192.0.2.9"]}"#;
    for (method, path, body) in [
        ("PUT", "/api/v1/zones/example.org", ""),
        ("DELETE", "/api/v1/zones/example.org", ""),
        ("PUT", "/api/v1/zones/example.org/rrsets/www/A", body),
        ("DELETE", "/api/v1/zones/example.org/rrsets/www/A", ""),
        ("POST", "/api/v1/zones/example.org/rrsets", body),
    ] {
        let (status, value) = server.json(method, path, body);
        assert_eq!((status, &value["error"]["code"]), (409, &json!("zone_read_only")), "{method} {path}");
        assert!(value["error"]["remedy"].as_str().unwrap().contains("SIGHUP"));
    }
    assert_eq!(server.json("PUT", "/api/v1/zones/sub.example.org", "").0, 201, "another zone below it can be written");
    server.stop();
}

#[test]
fn the_store_outranks_a_zone_file_and_gives_way_when_its_zone_goes() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.json("PUT", "/api/v1/zones/example.org", "");
    server.json("PUT", "/api/v1/zones/example.org/rrsets/www/A", r#"{"ttl":60,"records":["192.0.2.9"]}"#);
    server.json("PUT", "/api/v1/zones/example.org/rrsets/alias/CNAME", r#"{"ttl":60,"records":["a."]}"#);
    server.stop();

    write(directory.path(), "z", "www A 192.0.2.1\nwww TXT x\nalias A 192.0.2.1\nother A 192.0.2.1\n");
    let server = Server::start(directory.path(), &zone_files(&[("example.org", "z")]));
    let served = listed(&server, "example.org");
    assert_eq!(
        served[2..],
        [
            "alias.example.org. 60 CNAME a. [store]",
            "other.example.org. 300 A 192.0.2.1 [zone_files]",
            "www.example.org. 60 A 192.0.2.9 [store]",
            "www.example.org. 300 TXT \"x\" [zone_files]",
        ]
    );
    let (_, status) = server.get("/api/v1/status");
    assert_eq!(status["shadowed_rrsets"], 4, "SOA, NS and two addresses");
    assert_eq!(server.get("/api/v1/zones/example.org").1["sources"], json!(["store", "zone_files"]));

    assert_eq!(server.json("DELETE", "/api/v1/zones/example.org", "").0, 204, "out of the store");
    let served = listed(&server, "example.org");
    assert_eq!(served.len(), 6);
    assert!(served.iter().all(|line| line.ends_with("[zone_files]")), "{served:?}");
    assert_eq!(server.json("DELETE", "/api/v1/zones/example.org", "").0, 409);
    assert_eq!(server.get("/api/v1/status").1["shadowed_rrsets"], 0);
}

#[test]
fn a_bad_file_spoils_its_own_zone_only_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "good", "www A 192.0.2.1\n");
    write(directory.path(), "bad", "www A 192.0.2.999\n");
    let server = Server::start(directory.path(), &zone_files(&[("bad", "bad"), ("good", "good"), ("gone", "gone")]));
    assert_eq!(listed(&server, "good").len(), 3);
    assert!(listed(&server, "bad").is_empty());
    let (_, zone) = server.get("/api/v1/zones/bad");
    assert_eq!((&zone["serial"], &zone["soa"]), (&json!(null), &json!(null)));
    let error = zone["zone_file"]["error"].as_str().unwrap();
    assert!(error.contains("bad:4: www A 192.0.2.999: \"192.0.2.999\" is no IPv4 address"), "{error}");
    let (_, ready) = server.get("/ready");
    let failed = ready["zone_files_failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{ready}");
    assert_eq!((&failed[0]["zone"], &failed[0]["served"]), (&json!("bad."), &json!("SERVFAIL")));
    assert!(failed[1]["error"].as_str().unwrap().contains("No such file"));
    let metrics = server.request("GET", "/metrics", &[], "").body;
    for line in ["ringdns_zone_file_ok{zone=\"bad.\"} 0", "ringdns_zone_file_ok{zone=\"good.\"} 1"] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[test]
fn a_reload_publishes_what_changed_and_keeps_what_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a", "www A 192.0.2.1\nold A 192.0.2.1\n");
    write(directory.path(), "b", "www A 192.0.2.1\n");
    let mut server = Server::start(directory.path(), &zone_files(&[("a", "a"), ("b", "b")]));
    let before = listed(&server, "b");

    write(directory.path(), "a", "www A 192.0.2.2\nnew CNAME www\n");
    write(directory.path(), "b", "www A nonsense\n");
    let generation = server.reader.pin().generation();
    let report = server.plane().reload().unwrap();
    assert_eq!((report.loaded, report.failed.len()), (1, 1));
    assert!(report.failed[0].to_string().contains("b:4: www A nonsense"), "{}", report.failed[0]);
    assert!(server.reader.pin().generation() > generation);
    let expected = ["new.a. 300 CNAME www.a. [zone_files]", "www.a. 300 A 192.0.2.2 [zone_files]"];
    assert_eq!(listed(&server, "a")[2..], expected);
    assert_eq!(listed(&server, "b"), before, "a zone whose file is broken stays as it is");
    let (_, ready) = server.get("/ready");
    assert_eq!(ready["zone_files_failed"][0]["served"], "as it was before");

    write(directory.path(), "b", "www A 192.0.2.3\n");
    assert_eq!(server.plane().reload().unwrap().failed.len(), 0);
    assert_eq!(listed(&server, "b")[2..], ["www.b. 300 A 192.0.2.3 [zone_files]"]);
    assert_eq!(server.get("/ready").1["zone_files_failed"], json!([]));
}

/// A source that is being tried: how it is given a zone's records, and how they are changed.
trait Tried {
    /// Makes zone z. have these records (and an apex).
    fn give(&mut self, records: &[(&str, &str, &str)]);

    /// The running control plane.
    fn server(&self) -> &Server;
}

/// The store, given records over REST.
struct TriedStore(
    Server,
    Vec<(String, String)>,
    #[expect(dead_code, reason = "lives as long as the store")] tempfile::TempDir,
);

impl TriedStore {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), "");
        server.json("PUT", "/api/v1/zones/z", "");
        Self(server, Vec::new(), directory)
    }
}

impl Tried for TriedStore {
    fn give(&mut self, records: &[(&str, &str, &str)]) {
        for (owner, rtype) in self.1.drain(..) {
            assert_eq!(self.0.json("DELETE", &format!("/api/v1/zones/z/rrsets/{owner}/{rtype}"), "").0, 204);
        }
        for (owner, rtype, rdata) in records {
            let path = format!("/api/v1/zones/z/rrsets/{owner}/{rtype}");
            let body = json!({"ttl": 300, "records": [rdata]}).to_string();
            let (status, value) = self.0.json("PUT", &path, &body);
            assert_eq!(status, 201, "{value}");
            self.1.push(((*owner).to_owned(), (*rtype).to_owned()));
        }
    }

    fn server(&self) -> &Server {
        &self.0
    }
}

/// A zone file, changed and reloaded.
struct TriedZoneFile(Server, tempfile::TempDir);

impl TriedZoneFile {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "z", "");
        let server = Server::start(directory.path(), &zone_files(&[("z", "z")]));
        Self(server, directory)
    }
}

impl Tried for TriedZoneFile {
    fn give(&mut self, records: &[(&str, &str, &str)]) {
        let lines: String = records.iter().map(|(owner, rtype, rdata)| format!("{owner} {rtype} {rdata}\n")).collect();
        write(self.1.path(), "z", &lines);
        assert_eq!(self.0.plane().reload().unwrap().failed, []);
    }

    fn server(&self) -> &Server {
        &self.0
    }
}

/// What every source must do alike.
fn battery(tried: &mut impl Tried) {
    let steps: [&[(&str, &str, &str)]; 6] = [
        &[("www", "A", "192.0.2.1"), ("a.b.c", "TXT", "\"x y\"")],
        &[("www", "A", "192.0.2.2")],
        &[("www", "CNAME", "a.z.")],
        &[("www", "A", "192.0.2.1"), ("*", "MX", "10 a.z."), ("_s._tcp", "SRV", "0 0 1 a.z.")],
        &[("x", "TYPE65280", "\\# 2 abcd"), ("x", "HTTPS", "1 . alpn=h2"), ("x", "CAA", "0 issue \"a\"")],
        &[],
    ];
    for records in steps {
        tried.give(records);
        let mut expected: Vec<String> =
            records.iter().map(|(owner, rtype, rdata)| format!("{owner}.z. 300 {rtype} {rdata}")).collect();
        let mut served: Vec<String> = listed(tried.server(), "z")
            .into_iter()
            .filter(|line| !line.starts_with("z. "))
            .map(|line| line.rsplit_once(" [").unwrap().0.to_owned())
            .collect();
        expected.sort();
        served.sort();
        assert_eq!(served, expected);
        assert_eq!(listed(tried.server(), "z").iter().filter(|line| line.starts_with("z. ")).count(), 2);
        let (status, ready) = tried.server().get("/api/v1/status");
        assert_eq!((status, &ready["synced"], &ready["refused_changes"]), (200, &json!(true), &json!(0)));
    }
}

#[test]
fn the_store_passes_the_battery() {
    battery(&mut TriedStore::new());
}

#[test]
fn zone_files_pass_the_battery() {
    battery(&mut TriedZoneFile::new());
}

#[test]
fn check_config_reads_zone_files_and_names_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ringdns.toml");
    write(directory.path(), "a", "www 5 A 192.0.2.1\nwww 6 A 192.0.2.2\n");
    std::fs::write(&path, crate::common::config_text(directory.path(), &zone_files(&[("a", "a")]))).unwrap();
    let checked = check_config(&path).unwrap();
    assert_eq!(checked.zone_records, [("a.".to_owned(), 4)]);
    assert!(checked.warnings[0].contains("the TTL differs"), "{:?}", checked.warnings);
    assert!(!directory.path().join("ringdns.redb").exists(), "a check leaves nothing behind");

    write(directory.path(), "a", "www A x\n");
    write(directory.path(), "b", "$NONSENSE\n");
    std::fs::write(&path, crate::common::config_text(directory.path(), &zone_files(&[("a", "a"), ("b", "b")])))
        .unwrap();
    let error = check_config(&path).unwrap_err().to_string();
    assert!(error.contains("zone a. is not loaded") && error.contains("zone b. is not loaded"), "{error}");
}
