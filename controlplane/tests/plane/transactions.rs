//! Transactions, conditions, what a writer waits for, and tokens for some zones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{Reply, Server};
use serde_json::{Value, json};

/// A server with zones example.org. and example.net. in a directory that lives as long.
fn with_zones() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "[[view]]\nname = \"office\"\nprefixes = [\"192.0.2.0/24\"]\n");
    for zone in ["example.org", "example.net"] {
        assert_eq!(server.json("PUT", &format!("/api/v1/zones/{zone}"), "").0, 201);
    }
    (directory, server)
}

/// Carries a transaction out.
fn transact(server: &Server, operations: &Value) -> (u16, Value) {
    server.json("POST", "/api/v1/transactions", &json!({ "operations": operations }).to_string())
}

/// An operation on an address of example.org.
fn put(op: &str, owner: &str, record: &str) -> Value {
    json!({"op": op, "zone": "example.org.", "owner": owner, "type": "A", "ttl": 300, "records": [record]})
}

/// Path of an address of example.org.
fn path(owner: &str) -> String {
    format!("/api/v1/zones/example.org/rrsets/{owner}/A")
}

/// Status, code and field of an error.
fn error((status, value): (u16, Value)) -> (u16, String, String) {
    let text = |key: &str| value["error"][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(value["error"]["status"], status, "{value}");
    (status, text("code"), text("field"))
}

/// The entity tag of an answer.
fn etag(reply: &Reply) -> String {
    reply.header("etag").unwrap_or_else(|| panic!("no ETag: {reply:?}")).to_owned()
}

/// The generation of the served snapshot.
fn generation(server: &Server) -> u64 {
    server.get("/api/v1/status").1["snapshot"]["generation"].as_u64().unwrap()
}

#[test]
fn a_transaction_is_one_change() {
    let (_directory, server) = with_zones();
    let before = generation(&server);
    let operations = json!([
        {"op": "put_zone", "zone": "new.example.", "ttl": 60, "soa": {"serial": 7}},
        {"op": "put_rrset", "zone": "new.example", "owner": "a", "type": "TXT", "ttl": 1, "records": ["x"]},
        put("create_rrset", "www", "192.0.2.1"),
        put("put_rrset", "www", "192.0.2.2"),
        {"op": "put_rrset", "zone": "example.org.", "owner": "www", "type": "A", "ttl": 9, "records": ["192.0.2.9"],
         "view": "office", "selection": {"mode": "rotate"}},
        {"op": "delete_zone", "zone": "example.net"},
    ]);
    let (status, value) = transact(&server, &operations);
    assert_eq!(status, 200, "{value}");
    assert_eq!(value["generation"], before + 1, "one publication for all of it");
    let outcomes: Vec<&str> =
        value["results"].as_array().unwrap().iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["created", "created", "created", "replaced", "created", "deleted"]);
    assert_eq!(server.get(&path("www")).1["records"], json!(["192.0.2.2"]));
    assert_eq!(server.get(&format!("{}?view=office", path("www"))).1["selection"]["mode"], "rotate");
    assert_eq!(server.get("/api/v1/zones/new.example").1["serial"], 8);
    assert_eq!(server.get("/api/v1/zones/example.net").0, 404);
    let operations = json!([
        {"op": "delete_rrset", "zone": "example.org.", "owner": "www", "type": "A", "view": "office"},
        {"op": "delete_rrset", "zone": "example.org.", "owner": "www", "type": "A", "view": "default"},
    ]);
    assert_eq!(transact(&server, &operations).0, 200);
    assert_eq!(server.get(&path("www")).0, 404);
    server.stop();
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let (_directory, server) = with_zones();
    server.json("PUT", &path("there"), &json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string());
    let before = (generation(&server), server.get("/api/v1/zones/example.org/rrsets").1);
    let good = put("put_rrset", "www", "192.0.2.1");
    let bad = [
        (put("create_rrset", "there", "192.0.2.1"), 409, "rrset_exists", "operations[1]"),
        (put("put_rrset", "a", "192.0.2"), 422, "invalid_record", "operations[1].records[0]"),
        (put("put_rrset", "a.example.net.", "192.0.2.1"), 422, "out_of_zone", "operations[1].owner"),
        (put("put_rrsets", "a", "192.0.2.1"), 422, "unknown_word", "operations[1].op"),
        (
            json!({"op": "put_rrset", "zone": "example.org.", "owner": "www", "type": "CNAME", "ttl": 1, "records": ["a."]}),
            422,
            "cname_and_other",
            "operations[1].type",
        ),
        (
            json!({"op": "delete_rrset", "zone": "example.org.", "owner": "www", "type": "AAAA"}),
            404,
            "rrset_not_found",
            "operations[1]",
        ),
        (
            json!({"op": "delete_rrset", "zone": "example.org.", "owner": "www"}),
            422,
            "missing_field",
            "operations[1].type",
        ),
        (json!({"op": "delete_zone", "zone": "nowhere."}), 404, "zone_not_found", "operations[1]"),
        (json!({"op": "delete_zone", "zone": "example.org.", "ttl": 1}), 422, "unknown_field", "operations[1].ttl"),
        (
            json!({"op": "put_zone", "zone": "example.org.", "soa": {"retry": -1}}),
            422,
            "out_of_bounds",
            "operations[1].soa.retry",
        ),
        (json!({"op": "put_zone", "zone": ".."}), 422, "invalid_name", "operations[1].zone"),
        (json!({"op": "put_zone"}), 422, "missing_field", "operations[1].zone"),
        (json!({"op": 1, "zone": "a."}), 422, "invalid_field", "operations[1].op"),
        (
            json!({"op": "put_zone", "zone": "a.", "if_match": "x"}),
            422,
            "malformed_condition",
            "operations[1].if_match",
        ),
        (json!({"op": "put_zone", "zone": "a.", "if_match": "*"}), 412, "precondition_failed", "operations[1]"),
        (json!("put_zone"), 422, "invalid_field", "operations[1]"),
    ];
    for (operation, status, code, field) in bad {
        let found = error(transact(&server, &json!([good, operation])));
        assert_eq!(found, (status, code.into(), field.into()), "{operation}");
    }
    for (body, field) in [
        (json!({}), "operations"),
        (json!({"operations": []}), "operations"),
        (json!({"operations": 1}), "operations"),
        (json!({"x": 1}), "x"),
    ] {
        let found = error(server.json("POST", "/api/v1/transactions", &body.to_string()));
        assert_eq!((found.0, found.2.as_str()), (422, field), "{body}");
    }
    assert_eq!(server.get("/api/v1/zones/example.org/rrsets").1, before.1);
    assert_eq!(generation(&server), before.0, "nothing was published");
}

#[test]
fn entity_tags_are_of_what_is_there() {
    let (directory, server) = with_zones();
    let text = json!({"ttl": 300, "records": ["192.0.2.1", "192.0.2.2"]}).to_string();
    let made = etag(&server.authorised("PUT", &path("www"), &[], &text));
    let read = |server: &Server, path: &str| etag(&server.request("GET", path, &[], ""));
    assert_eq!(read(&server, &path("www")), made);
    let zone = read(&server, "/api/v1/zones/example.org");
    let again = etag(&server.authorised("PUT", "/api/v1/zones/example.org", &[], ""));
    assert_eq!(again, zone, "nothing has changed");
    server.stop();
    let server = Server::start(directory.path(), "");
    assert_eq!((read(&server, &path("www")), read(&server, "/api/v1/zones/example.org")), (made.clone(), zone.clone()));
    let other = json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string();
    assert_ne!(etag(&server.authorised("PUT", &path("www"), &[], &other)), made);
    assert_ne!(read(&server, "/api/v1/zones/example.org"), zone, "a zone's tag changes with each of its RRsets");
    let back = etag(&server.authorised("PUT", &path("www"), &[], &text));
    assert_eq!(back, made);
}

#[test]
fn conditions_are_looked_at() {
    let (_directory, server) = with_zones();
    let text = json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string();
    let send = |method: &str, path: &str, header: &str, tag: &str| {
        let body = if method == "PUT" && path.contains("rrsets") { text.as_str() } else { "" };
        server.authorised(method, path, &[(header, tag)], body).status
    };
    assert_eq!(send("PUT", &path("www"), "if-match", "*"), 412);
    assert_eq!(send("DELETE", &path("www"), "if-match", "\"x\""), 412);
    assert_eq!(send("PUT", &path("www"), "if-none-match", "*"), 201);
    assert_eq!(send("PUT", &path("www"), "if-none-match", "*"), 412);
    let reply = server.request("GET", &path("www"), &[], "");
    let tag = etag(&reply);
    for (header, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", &format!("\"x\", W/{tag}"), 304),
        ("if-none-match", "\"x\"", 200),
        ("if-none-match", "*", 304),
        ("if-match", &tag, 200),
        ("if-match", &format!("W/{tag}"), 412),
        ("if-match", "\"x\"", 412),
        ("if-match", "x", 400),
    ] {
        let reply = server.request("GET", &path("www"), &[(header, value)], "");
        assert_eq!(reply.status, status, "{header}: {value}");
        assert_eq!(reply.body.is_empty(), status == 304, "{header}: {value}");
    }
    assert_eq!(send("PUT", &path("www"), "if-match", &tag), 200);
    assert_eq!(send("PUT", &path("www"), "if-match", "nonsense"), 400);
    assert_eq!(send("DELETE", &path("www"), "if-match", "\"x\""), 412);
    assert_eq!(send("DELETE", &path("www"), "if-match", &tag), 204);
    let zone = etag(&server.request("GET", "/api/v1/zones/example.org", &[], ""));
    assert_eq!(send("PUT", &path("other"), "if-match", "*"), 412);
    assert_eq!(send("PUT", &path("other"), "if-none-match", &tag), 201);
    assert_eq!(send("DELETE", "/api/v1/zones/example.org", "if-match", &zone), 412, "the zone has changed since");
    let zone = etag(&server.request("GET", "/api/v1/zones/example.org", &[], ""));
    assert_eq!(send("PUT", "/api/v1/zones/example.org", "if-none-match", "*"), 412);
    assert_eq!(send("DELETE", "/api/v1/zones/example.org", "if-match", &zone), 204);
}

#[test]
fn of_those_who_change_what_they_saw_one_wins_at_a_time() {
    let (_directory, server) = with_zones();
    let text = |number: u64| json!({"ttl": number, "records": ["192.0.2.1"]}).to_string();
    server.authorised("PUT", &path("count"), &[], &text(0));
    let operations = json!([{"op": "put_rrset", "zone": "example.org.", "owner": "count", "type": "A", "ttl": 9, "records": ["192.0.2.1"], "if_match": "\"x\""}]);
    assert_eq!(error(transact(&server, &operations)).1, "precondition_failed");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 10 {
                    let reply = server.request("GET", &path("count"), &[], "");
                    let next = reply.json()["ttl"].as_u64().unwrap() + 1;
                    let headers = [("if-match", reply.header("etag").unwrap())];
                    let written = server.authorised("PUT", &path("count"), &headers, &text(next));
                    match written.status {
                        200 => done += 1,
                        412 => {}
                        status => panic!("{status}"),
                    }
                }
            });
        }
    });
    assert_eq!(server.get(&path("count")).1["ttl"], 60, "no count was lost");
}

#[test]
fn a_writer_need_not_wait_for_the_wire() {
    let (_directory, server) = with_zones();
    let text = json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string();
    for wait in ["stored", "published"] {
        let (status, value) = server.json("PUT", &format!("{}?wait={wait}", path(wait)), &text);
        assert_eq!((status, &value["records"], &value["source"]), (201, &json!(["192.0.2.1"]), &json!("store")));
        let (status, zone) = server.json("PUT", &format!("/api/v1/zones/{wait}.example?wait={wait}"), r#"{"ttl":7}"#);
        assert_eq!((status, &zone["ttl"], &zone["serial"]), (201, &json!(7), &json!(1)), "{zone}");
        assert_eq!(zone["ns"], json!([format!("ns.{wait}.example.")]));
        let (status, value) = server.json(
            "POST",
            &format!("/api/v1/transactions?wait={wait}"),
            &json!({"operations": [put("put_rrset", "x", "192.0.2.1")]}).to_string(),
        );
        assert_eq!((status, value["generation"].is_u64()), (200, wait == "published"), "{value}");
        assert_eq!(server.json("DELETE", &format!("{}?wait={wait}", path(wait)), "").0, 204);
    }
    crate::common::wait_until("what was stored is served", || server.get(&path("stored")).0 == 404);
    assert_eq!(
        error(server.json("PUT", &format!("{}?wait=never", path("a")), &text)),
        (422, "unknown_word".into(), "wait".into())
    );
    assert_eq!(error(server.json("PUT", &format!("{}?wiat=stored", path("a")), &text)).0, 400);
}

/// Writes a token into a file that nobody else may read.
fn token_file(directory: &Path, name: &str, token: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, token).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// The configuration of three tokens and of reads that need one.
fn tokens(directory: &Path) -> String {
    let file = |name: &str| token_file(directory, name, &format!("token-{name}"));
    let token = |name: &str, zones: &str, permissions: &str| {
        format!(
            "[[admin_token]]\nname = \"{name}\"\nfile = \"{}\"\nzones = {zones}\npermissions = {permissions}\n",
            file(name)
        )
    };
    format!(
        "read_needs_token = true\n{}{}{}",
        token("deploy", "[\"example.org.\"]", "[\"read\", \"write\"]"),
        token("viewer", "[\".\"]", "[\"read\"]"),
        token("operator", "[\".\"]", "[\"admin\"]"),
    )
}

/// A server with these tokens and zones example.org., sub.example.org. and example.net.
fn guarded(directory: &Path) -> Server {
    let server = Server::start(directory, &tokens(directory));
    for zone in ["example.org", "sub.example.org", "example.net"] {
        assert_eq!(server.json("PUT", &format!("/api/v1/zones/{zone}"), "").0, 201);
    }
    server
}

/// What somebody with a token gets: the status, and the body of a refusal.
fn ask(server: &Server, name: &str, (method, path): (&str, &str), body: &str) -> (u16, Value) {
    let authorization = format!("Bearer token-{name}");
    let reply = server.request(method, path, &[("authorization", &authorization)], body);
    (reply.status, if reply.status < 300 { Value::Null } else { reply.json() })
}

#[test]
fn tokens_are_for_zones_and_permit_some_things() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    let www = json!({"ttl": 300, "records": ["192.0.2.1"]}).to_string();
    let other =
        json!({"operations": [put("put_rrset", "a", "192.0.2.1"), {"op": "delete_zone", "zone": "example.net."}]})
            .to_string();
    for (name, method, path, body, status) in [
        ("deploy", "PUT", "/api/v1/zones/example.org/rrsets/www/A", www.as_str(), 201),
        ("deploy", "PUT", "/api/v1/zones/sub.example.org/rrsets/www/A", &www, 201),
        ("deploy", "PUT", "/api/v1/zones/new.example.org", "", 201),
        ("deploy", "PUT", "/api/v1/zones/example.net/rrsets/www/A", &www, 403),
        ("deploy", "DELETE", "/api/v1/zones/example.net", "", 403),
        ("deploy", "DELETE", "/api/v1/zones/nowhere", "", 403),
        ("deploy", "POST", "/api/v1/transactions", &other, 403),
        ("deploy", "POST", "/api/v1/zones/example.net/import?mode=merge", "x", 403),
        ("deploy", "POST", "/api/v1/reload", "", 403),
        ("deploy", "GET", "/api/v1/zones/example.net", "", 403),
        ("deploy", "GET", "/api/v1/zones/example.net/export", "", 403),
        ("deploy", "GET", "/api/v1/watch?zone=example.net", "", 403),
        ("deploy", "GET", "/api/v1/zones/example.org/rrsets/www/A", "", 200),
        ("viewer", "GET", "/api/v1/zones/example.net", "", 200),
        ("viewer", "PUT", "/api/v1/zones/example.net", "", 403),
        ("operator", "GET", "/api/v1/zones/example.net", "", 403),
        ("operator", "POST", "/api/v1/reload", "", 503),
        ("stranger", "GET", "/api/v1/zones", "", 401),
    ] {
        let (found, value) = ask(&server, name, (method, path), body);
        assert_eq!(found, status, "{name} {method} {path}: {value}");
        if status == 403 {
            assert_eq!(value["error"]["code"], "forbidden");
            assert!(value["error"]["message"].as_str().unwrap().contains(&format!("token \"{name}\"")), "{value}");
        }
    }
    assert_eq!(error(server.get("/api/v1/zones")).1, "unauthorized");
    assert_eq!(server.request("GET", "/health", &[], "").status, 200);
    assert_eq!(server.get("/api/v1/status").0, 200);
    let list = server.request("GET", "/api/v1/zones", &[("authorization", "Bearer token-deploy")], "").json();
    let names: Vec<&str> =
        list["zones"].as_array().unwrap().iter().map(|zone| zone["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["example.org.", "new.example.org.", "sub.example.org."], "only what the token may see");
    assert_eq!(
        server.json("GET", "/api/v1/zones/example.net", "").0,
        200,
        "the token of the configuration permits all"
    );
}

#[test]
fn a_token_that_is_taken_back_is_good_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    let mut watch = std::net::TcpStream::connect(server.address).unwrap();
    watch.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let get =
        "GET /api/v1/watch HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer token-viewer\r\n\r\n";
    watch.write_all(get.as_bytes()).unwrap();
    let mut start = [0; 16];
    watch.read_exact(&mut start).unwrap();

    // A token that is taken out of the configuration is good for nothing from the next reload on.
    let path = directory.path().join("ringdns.toml");
    let mut running = ringdns_controlplane::config::Config::parse(
        &path,
        &crate::common::config_text(directory.path(), &tokens(directory.path())),
    )
    .unwrap();
    let new =
        ringdns_controlplane::config::Config::parse(&path, &crate::common::config_text(directory.path(), "")).unwrap();
    let changes = running.take(&new);
    assert_eq!(changes.live, ["admin.read_needs_token", "admin_token"]);
    server.plane().reconfigure(&new, &changes).blocking_recv().unwrap();
    assert_eq!(server.get("/api/v1/zones").0, 200);
    assert_eq!(ask(&server, "deploy", ("PUT", "/api/v1/zones/example.org"), "").0, 401);
    // Something happens, and nothing of it is told to whose token is none any more.
    assert_eq!(server.json("PUT", "/api/v1/zones/secret.example", "").0, 201);
    let mut rest = String::new();
    watch.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("secret.example"), "{rest}");
}
