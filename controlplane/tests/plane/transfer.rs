//! Zones as files: what is exported is imported as what it was; and what changes is told to those who watch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Client, Server};
use serde_json::{Value, json};

/// The views of the tests.
const VIEWS: &str = "[[view]]\nname = \"gz\"\nprefixes = [\"192.0.2.0/24\"]\n[[view]]\nname = \"sz\"\nprefixes = [\"198.51.100.0/24\"]\n";

/// A zone with everything that is hard to write down.
const ZONE: &str = r#"$ORIGIN example.org.
$TTL 300
@ 3600 SOA ns hostmaster 2026112201 3600 600 604800 60
@ 3600 NS ns
ns A 192.0.2.53
;@ select=weighted max=2
www A 192.0.2.1 ;@ weight=3
www A 192.0.2.2 ;@ weight=1 down
    A 192.0.2.3
;@ view=gz select=sticky
www A 10.0.0.1
www A 10.0.0.2 ;@ weight=0
www A 10.1.0.1 ;@ view=sz
;@ view=gz
alias CNAME www
alias 60 TXT "only where no view has an alias"
a\.b.x TXT "quotes \" and \\ and \007 and ; and ;@ weight=1" "two"
*.wild 0 AAAA 2001:db8::1
\$dollar MX 10 mail.example.net.
\@at TYPE65280 \# 3 010203
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1
_sip._tcp SRV 1 2 5060 sip
"#;

/// A server with views in a directory that lives as long.
fn server() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), VIEWS);
    (directory, server)
}

/// Imports; the last line of the answer.
fn import(server: &Server, query: &str, content_type: &str, body: &str) -> Value {
    let path = format!("/api/v1/zones/example.org/import?{query}");
    let reply = server.authorised("POST", &path, &[("content-type", content_type)], body);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    serde_json::from_str(reply.body.lines().last().unwrap()).unwrap()
}

/// Exports as a format.
fn export(server: &Server, format: &str) -> String {
    let reply = server.request("GET", &format!("/api/v1/zones/example.org/export?format={format}"), &[], "");
    assert_eq!(reply.status, 200);
    reply.body
}

/// A zone file without its first line, which names the generation.
fn records(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with("; ")).map(str::to_owned).collect()
}

/// An export as JSON without its generation.
fn rrsets(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["rrsets"].take()
}

#[test]
fn what_is_exported_is_imported_as_what_it_was() {
    let (_directory, first) = server();
    let done = import(&first, "mode=replace", "text/dns", ZONE);
    assert_eq!((&done["done"]["created"], &done["done"]["unchanged"]), (&json!(14), &json!(0)), "{done}");
    let (file, json) = (export(&first, "zone"), export(&first, "json"));
    assert_eq!(first.get("/api/v1/zones/example.org").1["serial"], 2_026_112_201u32, "the file's serial");
    let www = first.get("/api/v1/zones/example.org/rrsets/www/A").1;
    let members = json!([{"weight": 3, "up": true}, {"weight": 1, "up": false}, {"weight": 1, "up": true}]);
    assert_eq!(www["selection"], json!({"mode": "weighted", "max_answers": 2, "members": members}));
    let gz = first.get("/api/v1/zones/example.org/rrsets/www/A?view=gz").1;
    assert_eq!((&gz["records"], &gz["selection"]["mode"]), (&json!(["10.0.0.1", "10.0.0.2"]), &json!("sticky")));
    assert_eq!(first.get("/api/v1/zones/example.org/rrsets/www/A?view=sz").1["records"], json!(["10.1.0.1"]));
    assert_eq!(records(&file)[0].split('\t').nth(3), Some("SOA"), "{file}");

    for (content_type, text) in [("text/dns", &file), ("application/json", &json)] {
        let (_directory, second) = server();
        let done = import(&second, "mode=replace", content_type, text);
        assert!(done["done"].is_object(), "{done}");
        assert_eq!(records(&export(&second, "zone")), records(&file));
        assert_eq!(rrsets(&export(&second, "json")), rrsets(&json));
        let done = import(&second, "mode=replace", content_type, text);
        let expected = json!({"created": 0, "replaced": 0, "deleted": 0, "unchanged": 14, "dry_run": false});
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(done["done"][key], *value, "{content_type} {done}");
        }
    }
}

#[test]
fn a_zone_file_of_the_configuration_has_annotations_too() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("z"), ZONE).unwrap();
    let more = format!("{VIEWS}[[zone_file]]\nzone = \"example.org\"\npath = \"z\"\n");
    let served = Server::start(directory.path(), &more);
    let file = export(&served, "zone");
    let (_directory, stored) = server();
    import(&stored, "mode=replace", "text/dns", ZONE);
    assert_eq!(records(&file), records(&export(&stored, "zone")));
    let reply = served.authorised(
        "POST",
        "/api/v1/zones/example.org/import?mode=replace",
        &[("content-type", "text/dns")],
        ZONE,
    );
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (409, &json!("zone_read_only")));
}

#[test]
fn an_import_replaces_or_merges_or_only_counts() {
    let (_directory, server) = server();
    import(&server, "mode=replace", "text/dns", ZONE);
    let before = export(&server, "json");
    let part = "www 9 A 192.0.2.9\nnew 9 A 192.0.2.9\nns 300 A 192.0.2.53\n";
    let done = import(&server, "mode=merge&dry_run=true", "text/dns", part);
    let counts =
        |done: &Value| ["created", "replaced", "deleted", "unchanged"].map(|key| done["done"][key].as_u64().unwrap());
    assert_eq!(counts(&done), [1, 1, 0, 1], "{done}");
    assert_eq!(rrsets(&export(&server, "json")), rrsets(&before), "a dry run changes nothing");
    let done = import(&server, "mode=merge", "text/dns", part);
    assert_eq!(counts(&done), [1, 1, 0, 1], "{done}");
    assert!(done["done"]["generation"].is_u64());
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 2_026_112_203u32, "two changes");
    let done = import(&server, "mode=replace&dry_run=true", "text/dns", part);
    assert_eq!(counts(&done), [0, 0, 10, 3], "SOA and NS stay where they are not sent: {done}");
    let done = import(&server, "mode=replace", "text/dns", part);
    assert_eq!(counts(&done), [0, 0, 10, 3], "{done}");
    assert_eq!(rrsets(&export(&server, "json")).as_array().unwrap().len(), 5);
    let serial = server.get("/api/v1/zones/example.org").1["serial"].as_u64().unwrap();
    // An export that was changed by hand has the old serial: the zone gets a new one all the same.
    let edited = export(&server, "zone").replace("192.0.2.9", "192.0.2.99");
    import(&server, "mode=replace", "text/dns", &edited);
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], serial + 2);
}

#[test]
fn an_import_with_a_mistake_leaves_nothing() {
    let (_directory, server) = server();
    import(&server, "mode=replace", "text/dns", ZONE);
    let before = export(&server, "json");
    for (text, code, field) in [
        ("good 1 A 192.0.2.1\nbad 1 A 192.0.2\n", "invalid_zone_file", "line 2"),
        ("good 1 A 192.0.2.1\n\n;@ weight=1\na 1 A 192.0.2.1\n", "invalid_zone_file", "line 3"),
        ("a 1 A 192.0.2.1 ;@ nonsense\n", "invalid_zone_file", "line 1"),
        ("a 1 A 192.0.2.1\n;@ view=gz\n", "invalid_zone_file", "line 2"),
        ("a 1 A 192.0.2.1 ;@ max=1\na 1 A 192.0.2.2 ;@ max=2\n", "invalid_zone_file", "line 2"),
        ("$INCLUDE /etc/hostname\n", "invalid_zone_file", "line 1"),
        ("good 1 A 192.0.2.1\nalias 1 A 192.0.2.1 ;@ view=gz\n", "cname_and_other", "line 2"),
        ("x.example.net. 1 A 192.0.2.1\n", "invalid_zone_file", "line 1"),
    ] {
        let done = import(&server, "mode=merge", "text/dns", text);
        assert_eq!((&done["error"]["code"], &done["error"]["field"]), (&json!(code), &json!(field)), "{text} {done}");
    }
    let rrset = |owner: &str, more: Value| {
        let mut rrset = json!({"owner": owner, "type": "A", "ttl": 1, "records": ["192.0.2.1"]});
        rrset.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rrset
    };
    let list = |bad: Value| json!({"rrsets": [rrset("good", json!({})), bad]}).to_string();
    for (text, code, field) in [
        (list(rrset("a", json!({"records": ["x"]}))), "invalid_record", "rrsets[1].records[0]"),
        (list(rrset("a", json!({"view": "nowhere"}))), "unknown_view", "rrsets[1].view"),
        (list(rrset("a", json!({"x": 1}))), "unknown_field", "rrsets[1].x"),
        (list(rrset("GOOD", json!({}))), "repeated_rrset", "rrsets[1]"),
        (list(rrset("alias", json!({"view": "gz"}))), "cname_and_other", "rrsets[1]"),
        (list(json!(1)), "invalid_body", "rrsets[1]"),
        (json!({"zone": "example.net.", "rrsets": []}).to_string(), "another_zone", "zone"),
        (json!({"rrsets": [], "x": 1}).to_string(), "unknown_field", "x"),
        (json!({}).to_string(), "missing_field", "rrsets"),
        ("{\"rrsets\":[".to_owned(), "malformed_json", ""),
        ("[]".to_owned(), "invalid_body", ""),
    ] {
        let done = import(&server, "mode=merge", "application/json", &text);
        let field_found = done["error"]["field"].as_str().unwrap_or_default();
        assert_eq!((&done["error"]["code"], field_found), (&json!(code), field), "{text} {done}");
    }
    assert_eq!(rrsets(&export(&server, "json")), rrsets(&before));
    for (query, content_type, body, status) in [
        ("", "text/dns", "x", 422),
        ("mode=all", "text/dns", "x", 422),
        ("mode=merge&x=1", "text/dns", "x", 400),
        ("mode=merge", "text/plain", "x", 415),
        ("mode=merge", "text/dns", "", 400),
    ] {
        let path = format!("/api/v1/zones/example.org/import?{query}");
        assert_eq!(server.authorised("POST", &path, &[("content-type", content_type)], body).status, status, "{query}");
    }
    let path = "/api/v1/zones/nowhere/import?mode=merge";
    assert_eq!(server.authorised("POST", path, &[("content-type", "text/dns")], "a 1 A 192.0.2.1").status, 404);
}

#[test]
fn a_large_zone_comes_and_goes_in_pieces() {
    let (_directory, server) = server();
    let mut text = String::from("@ 1 SOA ns h 1 2 3 4 5\n@ 1 NS ns\n");
    for host in 0..51_000 {
        text.push_str(&format!("h{host} 300 A 10.{}.{}.{}\n", host >> 16, host >> 8 & 255, host & 255));
    }
    let path = "/api/v1/zones/example.org/import?mode=replace";
    let reply = server.authorised("POST", path, &[("content-type", "text/dns")], &text);
    let lines: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"progress": {"read": 50_000}}));
    assert_eq!(lines[1], json!({"progress": {"read": 51_002, "rrsets": 51_002}}));
    let done = lines.last().unwrap();
    assert_eq!(done["done"]["created"], 51_002, "{done}");
    let mut written = lines[2..lines.len() - 1].iter().map(|line| line["progress"]["written"].as_u64().unwrap());
    assert!(written.by_ref().all(|count| count <= 51_002));
    let file = export(&server, "zone");
    assert_eq!(records(&file).len(), 51_002);
    assert!(file.contains("h50999.example.org.\t300\tIN\tA\t10.0.199.55\n"));
    let accept = server.request("GET", "/api/v1/zones/example.org/export", &[("accept", "application/json")], "");
    assert_eq!(accept.header("content-type"), Some("application/json"));
    assert_eq!(rrsets(&accept.body).as_array().unwrap().len(), 51_002);
    assert_eq!(server.get("/api/v1/zones/nowhere/export").0, 404);
    assert_eq!(server.get("/api/v1/zones/example.org/export?format=xml").0, 422);
}

/// Somebody who watches.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    /// Begins to watch; comes back when it does.
    fn start(client: &Client, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(client.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET /api/v1/watch{query} HTTP/1.1\r\nhost: t\r\n{headers}\r\n").unwrap();
        let mut watcher = Self(BufReader::new(stream));
        let head: Vec<String> = std::iter::from_fn(|| watcher.line().filter(|line| !line.is_empty())).collect();
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        watcher
    }

    /// The next line; nothing at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Name, data and id of the next block; nothing at the end. Chunk lengths are lines of their own, which are no fields.
    fn event(&mut self) -> Option<(String, Value, String)> {
        let (mut name, mut data, mut id) = (String::new(), Value::Null, String::new());
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
                Some(("id", text)) => id = text.to_owned(),
                _ if line.is_empty() && (!name.is_empty() || !id.is_empty()) => return Some((name, data, id)),
                _ => {}
            }
        }
    }

    /// The next event that has a name.
    fn named(&mut self) -> (String, Value) {
        loop {
            let (name, data, _) = self.event().unwrap();
            if !name.is_empty() {
                return (name, data);
            }
        }
    }
}

#[test]
fn who_watches_is_told_what_changes() {
    let (_directory, server) = server();
    let mut all = Watcher::start(&server, "", "");
    let (_, _, start) = all.event().unwrap();
    let mut one = Watcher::start(&server, "?zone=example.net", "");
    one.event().unwrap();
    server.json("PUT", "/api/v1/zones/example.org", "");
    assert_eq!(all.named().0, "zone");
    assert_eq!((all.named().1["type"].clone(), all.named().1["type"].clone()), (json!("NS"), json!("SOA")));
    let path = "/api/v1/zones/example.org/rrsets/www/A";
    let (_, rrset) = server.json("PUT", path, &json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string());
    let (name, soa) = all.named();
    assert_eq!(
        (name.as_str(), &soa["type"], &soa["rrset"]["records"]),
        ("change", &json!("SOA"), &json!(["ns.example.org. hostmaster.example.org. 2 3600 600 604800 60"]))
    );
    let (_, data, id) = all.event().unwrap();
    let generation = data["generation"].as_u64().unwrap();
    assert_eq!(
        data,
        json!({"generation": generation, "zone": "example.org.", "owner": "www.example.org.", "type": "A", "rrset": rrset})
    );
    assert!(id.starts_with(&format!("{generation}-")), "{id}");
    assert_eq!(server.get(path).0, 200, "what is told is served");
    server.json("PUT", "/api/v1/zones/example.net", "");
    server.json("DELETE", path, "");
    server.json("DELETE", "/api/v1/zones/example.org", "");
    let (name, data) = one.named();
    assert_eq!((name.as_str(), &data["zone"], &data["outcome"]), ("zone", &json!("example.net."), &json!("created")));
    let expected = [
        "example.net. zone",
        "example.net. NS",
        "example.net. SOA",
        "example.org. SOA",
        "www.example.org. A",
        "example.org. zone",
    ];
    for expected in expected {
        let (name, data) = all.named();
        let found = match name.as_str() {
            "zone" => format!("{} zone", data["zone"].as_str().unwrap()),
            _ => format!("{} {}", data["owner"].as_str().unwrap(), data["type"].as_str().unwrap()),
        };
        assert_eq!(found, expected);
        if expected == "www.example.org. A" {
            assert_eq!(data["rrset"], Value::Null);
        }
    }
    // Who was away is told what came after the last event that it knows.
    for (query, headers) in [
        (format!("?from={generation}"), String::new()),
        (String::new(), format!("last-event-id: {id}\r\n")),
        (format!("?from={start}"), format!("last-event-id: {id}\r\n")),
    ] {
        let mut back = Watcher::start(&server, &query, &headers);
        back.event().unwrap();
        assert_eq!(back.named().1["zone"], "example.net.", "{query} {headers}");
    }
    let mut stranger = Watcher::start(&server, "?from=999999", "");
    assert_eq!(stranger.named().0, "reset");
    let mut stranger = Watcher::start(&server, "", "last-event-id: 1-abc\r\n");
    assert_eq!(stranger.named().0, "reset", "the generation of another run");
    for (query, status) in [("?from=x", 422), ("?zone=..", 422), ("?x=1", 400)] {
        assert_eq!(server.get(&format!("/api/v1/watch{query}")).0, status, "{query}");
    }
    server.stop();
    while all.event().is_some() {}
}

#[test]
fn who_does_not_listen_holds_nobody_up() {
    let (_directory, server) = server();
    let mut slow = Watcher::start(&server, "", "");
    slow.event().unwrap();
    server.json("PUT", "/api/v1/zones/example.org", "");
    // More than sockets and the ring hold together.
    let text = vec!["x".repeat(255); 8].join(" ");
    for round in 0..6 {
        let hosts = (0..4_000).map(|host| format!("h{host} {round} TXT {text}\n"));
        let zone: String = hosts.collect();
        let done = import(&server, "mode=merge", "text/dns", &zone);
        assert!(done["done"].is_object(), "{done}");
    }
    let mut names = std::collections::BTreeMap::<String, u32>::new();
    while !names.contains_key("reset") {
        *names.entry(slow.named().0).or_default() += 1;
    }
    let path = "/api/v1/zones/example.org/rrsets/late/A";
    server.json("PUT", path, &json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string());
    while slow.named().1["owner"] != "late.example.org." {}
}
