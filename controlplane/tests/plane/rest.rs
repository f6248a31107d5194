//! The REST interface over a real socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use crate::common::{Server, TOKEN};
use serde_json::{Value, json};

/// A server with zone example.org. in a directory that lives as long.
fn with_zone() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), "");
    assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
    (directory, server)
}

/// Path of an RRset in example.org.
fn rrset_path(owner: &str, rtype: &str) -> String {
    format!("/api/v1/zones/example.org/rrsets/{owner}/{rtype}")
}

/// Body of an RRset.
fn body(records: &[&str]) -> String {
    json!({"ttl": 300, "records": records}).to_string()
}

/// Status, code and field of an error.
fn error((status, value): (u16, Value)) -> (u16, String, String) {
    let error = &value["error"];
    assert_eq!(error["status"], status, "{value}");
    assert!(!error["message"].as_str().unwrap_or_default().is_empty(), "{value}");
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}

#[test]
fn a_zone_and_its_rrsets_from_cradle_to_grave() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    assert_eq!(server.get("/api/v1/zones"), (200, json!({"zones": [], "next": null})));

    let (status, zone) = server.json("PUT", "/api/v1/zones/Example.org", "");
    assert_eq!(status, 201, "{zone}");
    assert_eq!(zone["name"], "example.org.");
    assert_eq!((&zone["serial"], &zone["ttl"]), (&json!(1), &json!(3600)));
    assert_eq!(zone["ns"], json!(["ns.example.org."]));
    assert_eq!(zone["soa"]["rname"], "hostmaster.example.org.");
    assert_eq!((&zone["sources"], &zone["read_only"]), (&json!(["store"]), &json!(false)));

    let path = rrset_path("www", "A");
    let addresses = body(&["192.0.2.1", "192.0.2.2"]);
    let (status, rrset) = server.json("PUT", &path, &addresses);
    assert_eq!(status, 201, "{rrset}");
    let expected = json!({
        "owner": "www.example.org.", "type": "A", "ttl": 300, "records": ["192.0.2.1", "192.0.2.2"], "source": "store",
    });
    assert_eq!(rrset, expected);
    assert_eq!(server.get(&path), (200, expected));
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 2, "a change raises the serial");
    assert_eq!(server.json("PUT", &path, &addresses).0, 200);
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 2, "what is the same is no change");

    assert_eq!(server.json("DELETE", &path, "").0, 204);
    assert_eq!(error(server.json("DELETE", &path, "")).1, "rrset_not_found");
    assert_eq!(error(server.get(&path)), (404, "rrset_not_found".into(), String::new()));
    assert_eq!(server.json("DELETE", "/api/v1/zones/example.org", "").0, 204);
    assert_eq!(error(server.get("/api/v1/zones/example.org")).1, "zone_not_found");
    assert_eq!(error(server.json("DELETE", "/api/v1/zones/example.org", "")).1, "zone_not_found");
    server.stop();
}

#[test]
fn a_write_is_served_when_it_is_answered() {
    let (_directory, mut server) = with_zone();
    let apex = "example.org.".parse().unwrap();
    for round in 0..50 {
        let record = format!("192.0.2.{round}");
        server.json("PUT", &rrset_path("www", "A"), &body(&[&record]));
        let snapshot = server.reader.pin();
        let node = snapshot.node(&apex, &"www.example.org.".parse().unwrap()).unwrap();
        let rdatas: Vec<&[u8]> = node.rrset(1).unwrap().rdatas().collect();
        assert_eq!(rdatas, [[192, 0, 2, round]]);
    }
}

#[test]
fn what_a_zone_says_can_be_given_and_changed() {
    let (_directory, server) = with_zone();
    let given = json!({
        "ttl": 60, "ns": ["a.example.net.", "b.example.net."],
        "soa": {"mname": "m.", "rname": "r.", "serial": 4_294_967_295u32, "refresh": 1, "retry": 2, "expire": 3, "minimum": 4},
    });
    let (status, zone) = server.json("PUT", "/api/v1/zones/other", &given.to_string());
    assert_eq!(status, 201);
    assert_eq!((&zone["soa"], &zone["ns"], &zone["ttl"]), (&given["soa"], &given["ns"], &given["ttl"]));
    let (status, zone) = server.json("PUT", "/api/v1/zones/other", r#"{"soa":{"minimum":9}}"#);
    assert_eq!((status, &zone["soa"]["minimum"], &zone["serial"]), (200, &json!(9), &json!(0)), "the serial wraps");
    assert_eq!(zone["ns"], given["ns"], "what is not given stays");
    for (text, code, field) in [
        (r#"{"ttl":-1}"#, "ttl_out_of_bounds", "ttl"),
        (r#"{"soa":{"serial":4294967296}}"#, "out_of_bounds", "soa.serial"),
        (r#"{"soa":{"retry":2147483648}}"#, "out_of_bounds", "soa.retry"),
        (r#"{"soa":{"mname":"ns"}}"#, "invalid_name", "soa.mname"),
        (r#"{"soa":{"mname":7}}"#, "invalid_field", "soa.mname"),
        (r#"{"ns":[]}"#, "invalid_field", "ns"),
        (r#"{"ns":["a.",".."]}"#, "invalid_name", "ns[1]"),
        (r#"{"soa":{"who":1}}"#, "unknown_field", "who"),
        (r#"[]"#, "invalid_body", ""),
    ] {
        let found = error(server.json("PUT", "/api/v1/zones/other", text));
        assert_eq!(found, (422, code.into(), field.into()), "{text}");
    }
}

#[test]
fn owners_are_relative_or_absolute_by_one_rule() {
    let (_directory, server) = with_zone();
    for (owner, expected) in [
        ("www", "www.example.org."),
        ("www.example.org", "www.example.org."),
        ("WWW.Example.ORG.", "www.example.org."),
        ("@", "example.org."),
        ("example.org", "example.org."),
        ("%2A.a", "*.a.example.org."),
        ("a%2Fb", "a/b.example.org."),
        ("a%5C.b", "a\\.b.example.org."),
        ("%5C000", "\\000.example.org."),
        ("_dmarc", "_dmarc.example.org."),
        ("example.org.example.org.", "example.org.example.org."),
        ("www.example.com", "www.example.com.example.org."),
    ] {
        let (status, rrset) = server.json("PUT", &rrset_path(owner, "TXT"), &body(&["x"]));
        assert!(status == 200 || status == 201, "{owner}: {rrset}");
        assert_eq!(rrset["owner"], expected, "{owner}");
        assert_eq!(server.get(&rrset_path(owner, "TXT")).1["owner"], expected);
    }
    for (owner, code) in [
        ("www.example.com.", "out_of_zone"),
        ("org.", "out_of_zone"),
        ("a..b", "invalid_name"),
        ("b%C3%BCcher", "invalid_name"),
        (&"x".repeat(64), "invalid_name"),
    ] {
        let found = error(server.json("PUT", &rrset_path(owner, "TXT"), &body(&["x"])));
        assert_eq!(found, (422, code.into(), "owner".into()), "{owner}");
    }
}

#[test]
fn every_type_takes_presentation_form_and_generic_form() {
    let (_directory, server) = with_zone();
    for (owner, rtype, record, shown) in [
        ("a", "AAAA", "2001:DB8::1", "2001:db8::1"),
        ("b", "cname", "www.example.net.", "www.example.net."),
        ("c", "MX", "10 mail.example.net.", "10 mail.example.net."),
        ("d", "MX", "10 @", "10 example.org."),
        ("m", "NAPTR", "1 2 \"s\" \"a  @\" \"\" @", "1 2 \"s\" \"a  @\" \"\" example.org."),
        ("_s._tcp", "SRV", "0 0 443 a.example.net.", "0 0 443 a.example.net."),
        ("e", "TXT", "\"one two\" three", "\"one two\" \"three\""),
        ("f", "CAA", "0 issue \"ca.example.net\"", "0 issue \"ca.example.net\""),
        ("g", "HTTPS", "1 . alpn=h2", "1 . alpn=h2"),
        ("h", "A", "\\# 4 c0000201", "192.0.2.1"),
        ("i", "TYPE65280", "\\# 2 abCD", "\\# 2 abcd"),
        ("j", "PTR", "a.example.net.", "a.example.net."),
        ("k", "NS", "a.example.net.", "a.example.net."),
        ("l", "DS", "1 13 2 abcd", "1 13 2 abcd"),
    ] {
        let (status, rrset) = server.json("PUT", &rrset_path(owner, rtype), &body(&[record]));
        assert_eq!((status, &rrset["records"]), (201, &json!([shown])), "{rtype} {record}: {rrset}");
        let (status, _) = server.json("PUT", &rrset_path(owner, rtype), &body(&[shown]));
        assert_eq!(status, 200, "what is shown is taken: {shown}");
    }
}

#[test]
fn wrong_rrsets_are_named_by_field() {
    let (_directory, server) = with_zone();
    server.json("PUT", &rrset_path("www", "A"), &body(&["192.0.2.1"]));
    server.json("PUT", &rrset_path("alias", "CNAME"), &body(&["www.example.org."]));
    let long = format!("\"{}\"", "x".repeat(250));
    let large: Vec<String> = (0..300).map(|record| format!("{long} {record}")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    for (owner, rtype, body, code, field) in [
        ("a", "A", body(&["192.0.2.1", "192.0.2.256"]), "invalid_record", "records[1]"),
        ("a", "A", body(&[]), "invalid_records", "records"),
        ("a", "A", body(&["192.0.2.1\n192.0.2.2"]), "invalid_record", "records[0]"),
        ("a", "CNAME", body(&["a.", "b."]), "invalid_records", "records"),
        ("a", "CNAME", body(&["relative"]), "invalid_record", "records[0]"),
        ("a", "MX", body(&["10 mail"]), "invalid_record", "records[0]"),
        ("a", "A", body(&["\\# 3 c00002"]), "invalid_record", "records[0]"),
        ("a", "TXT", body(&large), "rrset_too_large", "records"),
        ("www", "CNAME", body(&["a."]), "cname_and_other", "type"),
        ("alias", "A", body(&["192.0.2.1"]), "cname_and_other", "type"),
        ("@", "CNAME", body(&["a."]), "cname_and_other", "type"),
        ("a", "SOA", body(&["a. b. 1 2 3 4 5"]), "soa_below_apex", "owner"),
        ("a", "FOO", body(&["x"]), "unknown_type", "type"),
        ("a", "TYPE255", body(&["\\# 0"]), "type_not_storable", "type"),
        ("a", "A", r#"{"ttl":2147483648,"records":["192.0.2.1"]}"#.into(), "ttl_out_of_bounds", "ttl"),
        ("a", "A", r#"{"ttl":-1,"records":["192.0.2.1"]}"#.into(), "ttl_out_of_bounds", "ttl"),
        ("a", "A", r#"{"ttl":1.5,"records":["192.0.2.1"]}"#.into(), "ttl_out_of_bounds", "ttl"),
        ("a", "A", r#"{"ttl":"1","records":["192.0.2.1"]}"#.into(), "ttl_out_of_bounds", "ttl"),
        ("a", "A", r#"{"records":["192.0.2.1"]}"#.into(), "missing_field", "ttl"),
        ("a", "A", r#"{"ttl":1}"#.into(), "missing_field", "records"),
        ("a", "A", r#"{"ttl":1,"records":"192.0.2.1"}"#.into(), "invalid_field", "records"),
        ("a", "A", r#"{"ttl":1,"records":[1]}"#.into(), "invalid_field", "records[0]"),
        ("a", "A", r#"{"ttl":1,"records":["192.0.2.1"],"tll":1}"#.into(), "unknown_field", "tll"),
    ] {
        let found = error(server.json("PUT", &rrset_path(owner, rtype), &body));
        assert_eq!(found, (422, code.into(), field.into()), "{owner} {rtype} {}", &body[..body.len().min(80)]);
    }
    for text in ["", "{", "nonsense", "{\"ttl\":1,}"] {
        let found = error(server.json("PUT", &rrset_path("a", "A"), text));
        assert_eq!((found.0, found.1.as_str()), (400, "malformed_json"), "{text:?}");
    }
    assert_eq!(error(server.get(&rrset_path("a", "A"))).0, 404, "nothing of it was taken");
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 3);
}

#[test]
fn post_makes_what_must_not_exist() {
    let (_directory, server) = with_zone();
    let path = "/api/v1/zones/example.org/rrsets";
    let text = r#"{"owner":"www","type":"A","ttl":300,"records":["192.0.2.1"]}"#;
    let reply = server.request("POST", path, &[("authorization", &format!("Bearer {TOKEN}"))], text);
    assert_eq!(reply.status, 201);
    let location = reply.header("location").unwrap();
    assert_eq!(server.get(location), (200, reply.json()));
    assert_eq!(error(server.json("POST", path, text)), (409, "rrset_exists".into(), String::new()));
    for (text, code, field) in [
        (r#"{"type":"A","ttl":300,"records":["192.0.2.1"]}"#, "missing_field", "owner"),
        (r#"{"owner":"www","ttl":300,"records":["192.0.2.1"]}"#, "missing_field", "type"),
        (r#"{"owner":1,"type":"A","ttl":300,"records":[]}"#, "invalid_field", "owner"),
        (r#"{"owner":"a.b.","type":"A","ttl":300,"records":[]}"#, "out_of_zone", "owner"),
    ] {
        assert_eq!(error(server.json("POST", path, text)), (422, code.into(), field.into()), "{text}");
    }
    let found = error(server.json("POST", "/api/v1/zones/nowhere/rrsets", text));
    assert_eq!((found.0, found.1.as_str()), (404, "zone_not_found"));
}

#[test]
fn the_apex_keeps_its_soa_and_ns_records() {
    let (_directory, server) = with_zone();
    for rtype in ["SOA", "NS"] {
        let found = error(server.json("DELETE", &rrset_path("@", rtype), ""));
        assert_eq!(found, (409, "apex_needed".into(), String::new()));
    }
    let (status, _) = server.json("PUT", &rrset_path("@", "SOA"), &body(&["a. b. 77 1 2 3 4"]));
    assert_eq!((status, &server.get("/api/v1/zones/example.org").1["serial"]), (200, &json!(77)));
}

#[test]
fn lists_come_in_pages_and_in_canonical_order() {
    let (_directory, server) = with_zone();
    for owner in ["b", "a", "z.a", "%2A", "c"] {
        server.json("PUT", &rrset_path(owner, "TXT"), &body(&["x"]));
        server.json("PUT", &rrset_path(owner, "A"), &body(&["192.0.2.1"]));
    }
    let list = |path: &str| {
        let (status, page) = server.get(path);
        assert_eq!(status, 200, "{page}");
        let lines: Vec<String> = (page["rrsets"].as_array().unwrap().iter())
            .map(|rrset| format!("{} {}", rrset["owner"].as_str().unwrap(), rrset["type"].as_str().unwrap()))
            .collect();
        (lines, page["next"].as_str().map(str::to_owned))
    };
    let (all, next) = list("/api/v1/zones/example.org/rrsets");
    assert_eq!(next, None);
    assert_eq!(all[..4], ["example.org. NS", "example.org. SOA", "*.example.org. A", "*.example.org. TXT"]);
    assert_eq!(all[4..8], ["a.example.org. A", "a.example.org. TXT", "z.a.example.org. A", "z.a.example.org. TXT"]);
    for limit in [1, 2, 5, 12, 13] {
        let mut paged = Vec::new();
        let mut next = Some(format!("/api/v1/zones/example.org/rrsets?limit={limit}"));
        while let Some(path) = next {
            let (page, more) = list(&path);
            assert!(page.len() <= limit && !page.is_empty());
            paged.extend(page);
            next = more;
        }
        assert_eq!(paged, all, "limit {limit}");
    }
    assert_eq!(list("/api/v1/zones/example.org/rrsets?owner=a").0, ["a.example.org. A", "a.example.org. TXT"]);
    let (first, next) = list("/api/v1/zones/example.org/rrsets?owner=z.a&limit=1");
    assert_eq!(first, ["z.a.example.org. A"]);
    assert_eq!(list(&next.unwrap()), (vec!["z.a.example.org. TXT".to_owned()], None));
    assert!(list("/api/v1/zones/example.org/rrsets?owner=nobody").0.is_empty());
    for (query, status) in [("limit=0", 422), ("limit=10001", 422), ("limit=x", 422), ("after=x", 422), ("page=1", 400)]
    {
        assert_eq!(error(server.get(&format!("/api/v1/zones/example.org/rrsets?{query}"))).0, status, "{query}");
    }

    for zone in ["b.example", "a.example", "example"] {
        server.json("PUT", &format!("/api/v1/zones/{zone}"), "");
    }
    let mut names = Vec::new();
    let mut next = Some("/api/v1/zones?limit=2".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).1;
        names.extend(page["zones"].as_array().unwrap().iter().map(|zone| zone["name"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(names, ["example.", "a.example.", "b.example.", "example.org."]);
}

#[test]
fn writes_need_the_token_and_reads_do_not() {
    let (_directory, server) = with_zone();
    let path = rrset_path("www", "A");
    let text = body(&["192.0.2.1"]);
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", TOKEN)],
        &[("authorization", "Basic 0123456789abcdef")],
        &[("authorization", "Bearer ")],
    ] {
        for (method, path) in [("PUT", path.as_str()), ("DELETE", &path), ("DELETE", "/api/v1/zones/example.org")] {
            let reply = server.request(method, path, headers, &text);
            assert_eq!(error((reply.status, reply.json())).1, "unauthorized", "{headers:?}");
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    let lower = format!("bearer {TOKEN}");
    assert_eq!(server.request("PUT", &path, &[("authorization", &lower)], &text).status, 201);
    assert_eq!(server.get(&path).0, 200);
}

#[test]
fn without_a_token_in_the_configuration_nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let text = crate::common::config_text(directory.path(), "").replace(&format!("token = \"{TOKEN}\""), "");
    let server = Server::start_text(directory.path(), &text);
    let (status, value) = server.json("PUT", "/api/v1/zones/example.org", "");
    assert_eq!(status, 401);
    assert!(value["error"]["remedy"].as_str().unwrap().contains("admin.token_file"));
}

#[test]
fn what_is_not_there_is_told_in_json() {
    let (_directory, server) = with_zone();
    for path in ["/", "/api", "/api/v1", "/api/v2/zones", "/api/v1/zones/example.org/rrsets/www", "/favicon.ico"] {
        assert_eq!(error(server.get(path)), (404, "not_found".into(), String::new()), "{path}");
    }
    assert_eq!(error(server.get("/api/v1/zones/nowhere")).1, "zone_not_found");
    assert_eq!(error(server.get("/api/v1/zones/nowhere/rrsets")).1, "zone_not_found");
    assert_eq!(error(server.get("/api/v1/zones/nowhere/rrsets/a/A")).1, "zone_not_found");
    assert_eq!(
        error(server.json("PUT", "/api/v1/zones/nowhere/rrsets/a/A", &body(&["192.0.2.1"]))).1,
        "zone_not_found"
    );
    assert_eq!(error(server.json("DELETE", "/api/v1/zones/nowhere/rrsets/a/A", "")).1, "zone_not_found");
    let reply = server.request("PATCH", "/api/v1/zones/example.org", &[], "");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, PUT, DELETE")));
    assert_eq!(reply.json()["error"]["code"], "method_not_allowed");
    assert_eq!(server.request("DELETE", "/metrics", &[], "").header("allow"), Some("GET, HEAD"));
    let head = server.request("HEAD", "/api/v1/zones/example.org", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn bodies_must_be_json_and_small() {
    let (_directory, server) = with_zone();
    let path = rrset_path("www", "A");
    let authorization = format!("Bearer {TOKEN}");
    let text = body(&["192.0.2.1"]);
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type)];
        let reply = server.request("PUT", &path, &headers, &text);
        assert_eq!(error((reply.status, reply.json())).0, 415, "{content_type}");
    }
    let headers = [("authorization", authorization.as_str()), ("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(server.request("PUT", &path, &headers, &text).status, 201);
    let large = " ".repeat((1 << 20) + 1);
    assert_eq!(error(server.json("PUT", &path, &large)).0, 413);
    // The same without a length announced.
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: {authorization}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(server.raw(&(head + &chunk)).status, 413);
    assert_eq!(server.json("PUT", &path, &text).0, 200, "the server goes on");
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let (_directory, server) = with_zone();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for host in 0..25 {
                    let path = rrset_path(&format!("w{writer}-{host}"), "A");
                    assert_eq!(server.json("PUT", &path, &body(&["192.0.2.1"])).0, 201);
                    assert_eq!(server.get(&path).0, 200);
                }
            });
        }
    });
    let (_, list) = server.get("/api/v1/zones/example.org/rrsets");
    assert_eq!(list["rrsets"].as_array().unwrap().len(), 202);
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 201);
    server.stop();
}

#[test]
fn the_document_of_the_api_is_served() {
    let (_directory, server) = with_zone();
    let (status, document) = server.get("/api/v1/openapi.json");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
}
