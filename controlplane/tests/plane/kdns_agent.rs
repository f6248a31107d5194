//! The whole conversation of kdns's agent with the record interface, across a restart, and over TLS with certificates.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Server, wait_until};
use crate::host::{Host, TABLE};
use ringdns_controlplane::config::Config;
use serde_json::{Value, json};

/// What the agent has in etcd: records as it sends them, members that are zero left out.
#[derive(Default)]
struct Agent {
    /// Records by a key that tells them apart.
    records: BTreeMap<String, Value>,
    /// Networks of views.
    views: Vec<Value>,
}

impl Agent {
    /// Notes a record, as from etcd.
    fn put(&mut self, record: Value) {
        self.records.insert(key(&record), record);
    }

    /// What the agent does twice a minute: where the server says that it is new, all is pushed.
    fn look(&self, host: &Host) -> String {
        let status = host.ok("GET", "/kdns/status", "");
        if status == "init" {
            let all = Value::from(self.records.values().cloned().collect::<Vec<_>>());
            assert_eq!(host.ok("POST", "/kdns/alldomains", &all.to_string()), "OK\n");
            for record in self.records.values().take(2) {
                assert_eq!(host.ok("POST", "/kdns/domain", &record.to_string()), "OK\n", "what is there is no mistake");
            }
            for view in &self.views {
                assert_eq!(host.ok("POST", "/kdns/view", &view.to_string()), "OK\n");
            }
            assert_eq!(host.ok("POST", "/kdns/status", "anything"), "OK\n");
        }
        status
    }

    /// What the agent does every two minutes: compares, removes what is too much, adds what is missing. Gives their numbers.
    fn compare(&self, host: &Host) -> (usize, usize) {
        let shown: Vec<Value> = serde_json::from_str(&host.ok("GET", "/kdns/domain", "")).unwrap();
        let shown: BTreeMap<String, Value> = shown.into_iter().map(|record| (key(&record), record)).collect();
        let surplus: Vec<&Value> =
            shown.iter().filter(|(key, _)| !self.records.contains_key(*key)).map(|(_, record)| record).collect();
        for record in &surplus {
            assert_eq!(host.ok("DELETE", "/kdns/domain", &record.to_string()), "OK\n");
        }
        let missing: Vec<&Value> =
            self.records.iter().filter(|(key, _)| !shown.contains_key(*key)).map(|(_, record)| record).collect();
        for record in &missing {
            assert_eq!(host.ok("POST", "/kdns/domain", &record.to_string()), "OK\n");
        }
        (surplus.len(), missing.len())
    }
}

/// What the agent compares of a record.
fn key(record: &Value) -> String {
    let of = |name: &str| record.get(name).cloned().unwrap_or_else(|| json!(0));
    // Addresses are sent with a priority and shown without.
    let more = if record["type"] == "SRV" { ["priority", "weight", "port"] } else { ["lbMode", "lbWeight", "type"] };
    let names = ["domainName", "type", "host", "ttl", "viewName"].into_iter().chain(more);
    Value::from(names.map(of).collect::<Vec<_>>()).to_string()
}

/// An A record as the agent sends it.
fn a(label: &str, host: &str, more: &Value) -> Value {
    let mut record = json!({
        "type": "A", "zoneName": "tst.local.", "domainName": format!("{label}.tst.local."), "host": host, "ttl": 30,
        "viewName": "no_info",
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

#[test]
fn the_agent_pushes_compares_and_comes_back_after_a_restart() {
    let mut host = Host::new("");
    let mut agent = Agent::default();
    agent.put(a("w", "10.0.0.1", &json!({"priority": 10})));
    agent.put(a("w", "10.0.0.2", &json!({"priority": 10})));
    agent.put(a("w", "10.9.0.1", &json!({"viewName": "gz", "lbMode": 1, "maxAnswer": 1})));
    agent.put(a("h", "10.0.0.3", &json!({"lbMode": 2, "lbWeight": 7})));
    agent.put(json!({
        "type": "SRV", "zoneName": "tst.local.", "domainName": "_s._tcp.tst.local.", "host": "w.tst.local.", "ttl": 60,
        "viewName": "no_info", "priority": 10, "weight": 5, "port": 80,
    }));
    agent.put(json!({
        "type": "CNAME", "zoneName": "tst.local.", "domainName": "alias.tst.local.", "host": "w.tst.local.", "ttl": 30,
        "viewName": "no_info",
    }));
    agent.views =
        vec![json!({"viewName": "gz", "cidrs": "192.168.0.0/24"}), json!({"viewName": "gz", "cidrs": "10.7.0.1"})];
    assert_eq!((agent.look(&host).as_str(), agent.look(&host).as_str()), ("init", "running"));
    assert_eq!(agent.compare(&host), (0, 0), "what was pushed is shown as it was pushed");
    assert_eq!(host.answers("192.168.0.7", "alias.tst.local.", "A"), ["w.tst.local.", "10.9.0.1"]);
    assert_eq!(host.answers("10.7.0.1", "w.tst.local.", "A"), ["10.9.0.1"]);
    assert_eq!(host.answers("10.7.0.2", "w.tst.local.", "A").len(), 2);

    // What was changed in etcd unseen is found by the comparison: another TTL, another address, one too much.
    agent.records.retain(|key, _| !key.contains("_s._tcp"));
    agent.records.retain(|key, _| !key.contains("10.0.0."));
    agent.put(a("w", "10.0.0.1", &json!({"ttl": 5})));
    agent.put(a("w", "10.0.0.4", &json!({"ttl": 5})));
    assert_eq!(agent.compare(&host), (4, 2));
    assert_eq!(agent.compare(&host), (0, 0));
    assert_eq!(host.answers("10.7.0.2", "w.tst.local.", "A").len(), 2);
    assert_eq!(host.refused(), 0);

    // A new process says so, and serves all it had meanwhile.
    let mut host = host.restart();
    assert_eq!(host.answers("192.168.0.7", "w.tst.local.", "A"), ["10.9.0.1"]);
    assert_eq!(host.ok("GET", "/kdns/view", "").matches("gz").count(), 2);
    let generation = host.server.get("/api/v1/status").1["generation"].clone();
    assert_eq!((agent.look(&host).as_str(), agent.compare(&host)), ("init", (0, 0)));
    assert_eq!(host.ok("GET", "/kdns/status", ""), "running");
    assert_eq!(host.server.get("/api/v1/status").1["generation"], generation, "what was there already changed nothing");
}

#[test]
fn statistics_are_those_of_the_workers() {
    let host = Host::new("");
    let of = |path: &str| -> Value { serde_json::from_str(&host.ok("GET", path, "")).unwrap() };
    host.server.counters.rx_frames.add(7);
    host.server.counters.queries_ipv4.add(3);
    assert_eq!(
        (&of("/kdns/statistics/get")["pkts_rcv"], &of("/kdns/statistics/get")["dns_pkts_snd"]),
        (&json!(7.0), &json!(3.0))
    );
    assert_eq!(of("/kdns/statistics/percore/get")[0]["pkts_rcv"], 7.0);
    let port = of("/kdns/statistics/port/get");
    assert_eq!(
        (&port[0]["ipackets"], &port[1]["q_ipackets"], port.as_array().unwrap().len()),
        (&json!(7.0), &json!(7.0), 2)
    );
    assert!(host.ok("GET", "/kdns/statistics/get", "").starts_with(r#"{"domain_num":"#));
    for path in ["statistics/reset", "statistics/port/reset", "metrics/resetlocal"] {
        assert_eq!(host.ok("POST", &format!("/kdns/{path}"), ""), "OK\n");
    }
    assert_eq!(
        (&of("/kdns/statistics/get")["pkts_rcv"], &of("/kdns/statistics/port/get")[1]["q_ipackets"]),
        (&json!(0.0), &json!(0.0))
    );
    assert_eq!(host.ok("DELETE", "/kdns/forward/caches", ""), "OK\n");
    assert_eq!(host.server.counters.rx_frames.get(), 7);
}

#[test]
fn zones_come_and_go_with_the_configuration() {
    let host = Host::new("");
    let path = host.directory.path().join("ringdns.toml");
    let parse = |table: &str| Config::parse(&path, &crate::common::config_text(host.directory.path(), table)).unwrap();
    let mut config = parse(TABLE);
    let reconfigure = |config: &mut Config, table: &str| {
        let changes = config.take(&parse(table));
        assert_eq!(changes.live, ["kdns_api.zones"]);
        host.server.plane().reconfigure(config, &changes).blocking_recv().unwrap();
    };
    let record = a("x", "10.0.0.1", &json!({})).to_string();
    assert_eq!(host.ok("POST", "/kdns/domain", &record), "OK\n");
    reconfigure(&mut config, "[kdns_api]\nlisten = \"127.0.0.1:0\"\nzones = [\"new.org\"]\n");
    wait_until("the new zone is made", || host.server.get("/api/v1/zones/new.org").0 == 200);
    assert_eq!(host.ok("GET", "/kdns/domain", ""), "[]");
    let reply = host.client.request("POST", "/kdns/domain", &[], &record);
    assert_eq!(reply.header("ringdns-refused"), Some("1 unknown_zone"));
    let new = json!({"type": "A", "zoneName": "new.org", "domainName": "a.new.org", "host": "10.0.0.2"}).to_string();
    assert_eq!(host.client.request("POST", "/kdns/domain", &[], &new).header("ringdns-refused"), None);
    reconfigure(&mut config, TABLE);
    assert!(host.ok("GET", "/kdns/domain", "").contains("10.0.0.1"), "what was kept is shown again");
}

#[test]
fn a_token_is_asked_for_where_one_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &format!("{TABLE}token = \"s3cret\"\n"));
    let client = crate::common::Client { address: server.plane().kdns_address().unwrap() };
    let status =
        |authorization: &str| client.request("GET", "/kdns/status", &[("authorization", authorization)], "").status;
    let refused = client.request("GET", "/kdns/status", &[], "");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"kdns\"")));
    // agent:s3cret and s3cret: in the way that clients write a user of a URL.
    for (authorization, expected) in [
        ("Bearer s3cret", 200),
        ("Basic YWdlbnQ6czNjcmV0", 200),
        ("Bearer wrong", 401),
        ("Basic czNjcmV0", 401),
        ("Basic ????", 401),
        ("Digest s3cret", 401),
        ("s3cret", 401),
    ] {
        assert_eq!(status(authorization), expected, "{authorization}");
    }
}

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl cannot be run: {error}; run scripts/install-deps test"));
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Makes who signs, and a certificate and key of the server and of a client.
fn certificates(directory: &Path) {
    openssl(
        directory,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=signer -keyout ca.key -out ca.crt",
    );
    for name in ["server", "client"] {
        openssl(
            directory,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
            ),
        );
        std::fs::write(directory.join("ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        openssl(
            directory,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.crt"
            ),
        );
    }
}

/// What openssl's client is answered to one request over TLS.
fn over_tls(directory: &Path, address: SocketAddr, more: &str, request: &str) -> String {
    let signer = if more.contains("-CAfile") { "" } else { "-CAfile ca.crt" };
    let arguments = format!("s_client -quiet -verify_return_error {signer} -connect {address} {more}");
    let mut client = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The server may have hung up before the request is written: then there is no answer either.
    let mut stdin = client.stdin.take().unwrap();
    let _ = stdin.write_all(request.as_bytes());
    let mut text = String::new();
    let mut stdout = client.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let _ = stdout.read_to_string(&mut text);
        text
    });
    wait_until("the client has ended", || reader.is_finished());
    drop(stdin);
    client.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn it_speaks_tls_and_knows_its_clients() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let tls = "cert_file = \"server.crt\"\nkey_file = \"server.key\"\n";
    let request = |method: &str, path: &str, body: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let server = Server::start(directory.path(), &format!("{TABLE}{tls}"));
    let address = server.plane().kdns_address().unwrap();
    let record = a("t", "10.0.0.1", &json!({})).to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let reply = over_tls(directory.path(), address, version, &request("POST", "/kdns/domain", &record));
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\nOK\n"), "{version}: {reply}");
    }
    let reply = over_tls(directory.path(), address, "", &request("GET", "/kdns/perdomain/t.tst.local.", ""));
    assert!(reply.contains("10.0.0.1"), "{reply}");
    // Who does not speak TLS is not answered, and keeps nobody else from being.
    let mut plain = std::net::TcpStream::connect(address).unwrap();
    plain.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let _ = plain.write_all(request("GET", "/kdns/status", "").as_bytes());
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
    // Renewed certificates are taken without a restart; those that cannot be read leave the old ones in place.
    std::fs::write(directory.path().join("server.crt"), "no certificate").unwrap();
    assert!(over_tls(directory.path(), address, "", &request("GET", "/kdns/status", "")).ends_with("init"));
    std::fs::rename(directory.path().join("ca.crt"), directory.path().join("old.crt")).unwrap();
    certificates(directory.path());
    assert!(over_tls(directory.path(), address, "", &request("GET", "/kdns/status", "")).ends_with("init"), "renewed");
    assert_eq!(over_tls(directory.path(), address, "-CAfile old.crt", &request("GET", "/kdns/status", "")), "");
    server.stop();

    let server = Server::start(directory.path(), &format!("{TABLE}{tls}client_ca_file = \"ca.crt\"\n"));
    let address = server.plane().kdns_address().unwrap();
    let status = request("GET", "/kdns/status", "");
    let known = over_tls(directory.path(), address, "-cert client.crt -key client.key", &status);
    assert!(known.ends_with("\r\n\r\ninit"), "{known}");
    assert_eq!(over_tls(directory.path(), address, "", &status), "", "without a certificate");
    openssl(
        directory.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=o -keyout other.key -out other.crt",
    );
    assert_eq!(over_tls(directory.path(), address, "-cert other.crt -key other.key", &status), "", "of another signer");
}

#[test]
fn wrong_certificates_are_told_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let parse = |lines: &str| {
        let text = crate::common::config_text(directory.path(), &format!("{TABLE}{lines}"));
        let config = Config::parse(&directory.path().join("c.toml"), &text);
        config.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(parse("cert_file = \"server.crt\"\nkey_file = \"server.key\"\n"), Ok(()));
    for (cert, key, expected) in [
        ("server.crt", "client.key", "client.key: keys may not be consistent"),
        ("missing.crt", "server.key", "missing.crt"),
        ("server.key", "server.key", "no certificate is in it"),
    ] {
        let error = parse(&format!("cert_file = \"{cert}\"\nkey_file = \"{key}\"\n")).unwrap_err();
        assert!(error.contains("kdns_api.cert_file: ") && error.contains(expected), "{error}");
    }
    let key = directory.path().join("server.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = parse("cert_file = \"server.crt\"\nkey_file = \"server.key\"\n").unwrap_err();
    assert!(error.contains("kdns_api.key_file: every user of this machine can read"), "{error}");
}
