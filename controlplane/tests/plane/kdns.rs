//! The record interface of kdns: requests and replies as its documents and its agent have them, and what is served after them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeSet;

use crate::host::{Host, a_record, record};
use serde_json::{Value, json};

#[test]
fn records_are_made_shown_served_and_removed() {
    let mut host = Host::new("");
    // The examples of the documentation.
    let plain = r#"{"type":"A","zoneName":"example.com","domainName":"chen.example.com","host":"192.168.2.2"}"#;
    let in_view = r#"{"type":"A","zoneName":"example.com","domainName":"chen.example.com","viewName":"gz","lbMode":1,"host":"1.1.1.1"}"#;
    let service = r#"{"type":"SRV","zoneName":"example.com","domainName":"_srvtcp._tcp.example.com","host":"chen.example.com","priority":20,"weight":50,"port":8800}"#;
    for body in [plain, in_view, service] {
        assert_eq!(host.ok("POST", "/kdns/domain", body), "OK\n");
    }
    assert_eq!(host.ok("POST", "/kdns/view", r#"{"viewName":"gz","cidrs":"192.168.0.0/24"}"#), "OK\n");
    let srv = r#"{"type":"SRV","domainName":"_srvtcp._tcp.example.com","host":"chen.example.com","zoneName":"example.com","viewName":"no_info","ttl":30,"maxAnswer":0,"priority":20,"weight":50,"port":8800}"#;
    let default = r#"{"type":"A","domainName":"chen.example.com","host":"192.168.2.2","zoneName":"example.com","viewName":"no_info","ttl":30,"maxAnswer":0,"lbMode":0,"lbWeight":0}"#;
    let gz = r#"{"type":"A","domainName":"chen.example.com","host":"1.1.1.1","zoneName":"example.com","viewName":"gz","ttl":30,"maxAnswer":0,"lbMode":1,"lbWeight":0}"#;
    assert_eq!(host.ok("GET", "/kdns/domain", ""), format!("[{srv},{default},{gz}]"));
    assert_eq!(host.ok("GET", "/kdns/perdomain/chen.example.com", ""), format!("[{default},{gz}]"));
    let short = srv.replace(r#""viewName":"no_info","#, "").replace(r#""maxAnswer":0,"#, "");
    assert_eq!(host.ok("GET", "/kdns/perdomain/_srvtcp._tcp.example.com", ""), format!("[{short}]"));
    assert_eq!(host.ok("GET", "/kdns/view", ""), r#"[{"viewName":"gz","cidrs":"192.168.0.0/24"}]"#);

    assert_eq!(host.answers("203.0.113.9", "chen.example.com.", "A"), ["192.168.2.2"]);
    assert_eq!(host.answers("192.168.0.9", "CHEN.example.com.", "A"), ["1.1.1.1"]);
    let served = host.answers("203.0.113.9", "_srvtcp._tcp.example.com.", "SRV");
    assert_eq!(served, ["20 50 8800 chen.example.com."]);

    for body in [in_view, service] {
        assert_eq!(host.ok("DELETE", "/kdns/domain", body), "OK\n");
        assert_eq!(host.ok("DELETE", "/kdns/domain", body), "OK\n", "what is not there is no mistake");
    }
    assert_eq!(host.answers("192.168.0.9", "chen.example.com.", "A"), ["192.168.2.2"], "the default view's");
    assert_eq!(host.ok("DELETE", "/kdns/view", r#"{"viewName":"gz","cidrs":"192.168.0.0/24"}"#), "OK\n");
    assert_eq!(host.ok("GET", "/kdns/view", ""), "[]");
    assert_eq!(host.ok("DELETE", "/kdns/alldomains", &format!("[{plain}]")), "OK\n");
    assert_eq!(host.ok("GET", "/kdns/domain", ""), "[]");
    assert_eq!(host.ok("GET", "/kdns/perdomain/chen.example.com", ""), "[]");
    assert_eq!(host.rcode("chen.example.com."), 3);
    assert_eq!(host.refused(), 0);
}

#[test]
fn every_type_is_served_in_forward_and_reverse_zones() {
    let mut host = Host::new("");
    let records = json!([
        record("AAAA", "example.com", "w.example.com.", "2001:db8::1"),
        record("CNAME", "example.com.", "www.example.com", "W.example.com"),
        record("PTR", "168.192.in-addr.arpa", "2.2.168.192.in-addr.arpa", "w.example.com"),
        record("A", "EXAMPLE.com", "*.wild.example.com", "192.0.2.7"),
    ]);
    assert_eq!(host.ok("POST", "/kdns/alldomains", &records.to_string()), "OK\n");
    assert_eq!(host.answers("192.0.2.9", "w.example.com.", "AAAA"), ["2001:db8::1"]);
    assert_eq!(host.answers("192.0.2.9", "www.example.com.", "AAAA"), ["w.example.com.", "2001:db8::1"]);
    assert_eq!(host.answers("192.0.2.9", "2.2.168.192.in-addr.arpa.", "PTR"), ["w.example.com."]);
    assert_eq!(host.answers("192.0.2.9", "a.b.wild.example.com.", "A"), ["192.0.2.7"]);
    // The zone as the original makes it, with a TTL that lets resolvers remember what is not there.
    let zone = host.server.get("/api/v1/zones/example.com").1;
    let soa = json!({
        "mname": "ns1.example.com.", "rname": "mail.example.com.", "serial": zone["soa"]["serial"],
        "refresh": 3600, "retry": 900, "expire": 1_209_600, "minimum": 1800,
    });
    assert_eq!((&zone["soa"], &zone["ttl"]), (&soa, &json!(60)));
    assert!(zone["serial"].as_u64().unwrap() > 2_017_070_809, "the serial of the original, and a change");
    assert_eq!(host.rcode("nothing.example.com."), 3);
    assert_eq!(host.rcode("nothing.tst.local."), 3, "a zone without records is there from the start");
}

#[test]
fn what_cannot_be_read_is_told() {
    let host = Host::new("");
    let a = a_record("a", "192.0.2.1");
    let mut without_zone = a.clone();
    without_zone.as_object_mut().unwrap().remove("zoneName");
    let of_type = |rtype: &str| record(rtype, "example.com", "a.example.com", "192.0.2.1").to_string();
    for (path, body) in [
        ("/kdns/domain", String::new()),
        ("/kdns/domain", "{".into()),
        ("/kdns/domain", "[]".into()),
        ("/kdns/domain", format!("{a} x")),
        ("/kdns/domain", format!("[{a}]")),
        ("/kdns/domain", without_zone.to_string()),
        ("/kdns/domain", of_type("a")),
        ("/kdns/domain", of_type("MX")),
        ("/kdns/domain", of_type("AAAA")),
        ("/kdns/domain", of_type("SRV")),
        ("/kdns/alldomains", a.to_string()),
        ("/kdns/alldomains", format!("[{a}")),
        ("/kdns/view", r#"{"viewName":"gz"}"#.into()),
        ("/kdns/view", r#"{"viewName":"gz","cidrs":["10.0.0.0/8"]}"#.into()),
        ("/kdns/allview", r#"{"viewName":"gz","cidrs":"10.0.0.0/8"}"#.into()),
    ] {
        for method in ["POST", "DELETE"] {
            assert_eq!(host.ok(method, path, &body), "parse data err\n", "{method} {path} {body}");
        }
    }
    assert_eq!(host.ok("GET", "/kdns/domain", ""), "[]");
    // What comes before the first mistake is taken.
    let list = format!("[{a},{{}},{}]", a_record("b", "192.0.2.1"));
    assert_eq!(host.ok("POST", "/kdns/alldomains", &list), "parse data err\n");
    assert_eq!(host.hosts("a.example.com"), ["192.0.2.1"]);
    assert_eq!(host.ok("GET", "/kdns/perdomain/b.example.com", ""), "[]");
    // Members of a wrong type that need not be there have their defaults.
    let mut odd = a_record("c", "192.0.2.1");
    odd.as_object_mut().unwrap().extend(
        json!({"ttl": 7.5, "maxAnswer": "1", "lbMode": null, "viewName": [], "more": {}}).as_object().unwrap().clone(),
    );
    assert_eq!(host.ok("POST", "/kdns/domain", &odd.to_string()), "OK\n");
    let shown: Value = serde_json::from_str(&host.ok("GET", "/kdns/perdomain/c.example.com", "")).unwrap();
    assert_eq!(
        (&shown[0]["ttl"], &shown[0]["lbMode"], &shown[0]["viewName"]),
        (&json!(30), &json!(0), &json!("no_info"))
    );
    assert_eq!(host.ok("POST", "/kdns/alldomains", "[]"), "OK\n");
}

#[test]
fn paths_are_found_as_in_the_original() {
    let host = Host::new("");
    assert_eq!(host.ok("POST", "/kdns/domain", &a_record("A.b.", "192.0.2.1").to_string()), "OK\n");
    for path in ["/kdns/domain", "/kdns/domain/x", "/kdns/domains", "/kdns/perdomain/A.b.example.com"] {
        assert!(host.ok("GET", path, "").contains("192.0.2.1"), "{path}");
    }
    for (path, text) in [
        ("/kdns/perdomain/", "[]"),
        ("/kdns/perdomain/a.b.example.com", "[]"),
        ("/kdns/perdomain/A.b.example.com.", "[]"),
        ("/kdns/perdomain/%41.b.example.com?x=1", ""),
        ("/kdns/perdomain/%ff", "[]"),
        ("/kdns/perdomain/a..b", "[]"),
        ("/kdns/status/", "init"),
        ("/kdns/viewer", "[]"),
        ("/kdns/metrics/domains", "[]"),
        ("/kdns/metrics/clientIp", "[]"),
        ("/kdns/forward/caches", "[]"),
    ] {
        let found = host.ok("GET", path, "");
        assert!(found == text || (text.is_empty() && found.contains("192.0.2.1")), "{path}: {found}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/kdns"),
        ("GET", "/kdns/perdomain"),
        ("GET", "/kdns/alldomains"),
        ("GET", "/kdns/statistics"),
        ("POST", "/kdns/domain/"),
        ("POST", "/kdns/domainx"),
        ("POST", "/kdns/statistics/get"),
        ("POST", "/kdns/forward/caches"),
        ("DELETE", "/kdns/status"),
        ("DELETE", "/kdns/perdomain/A.b.example.com"),
        ("PUT", "/kdns/domain"),
        ("PATCH", "/kdns/domain"),
        ("HEAD", "/kdns/domain"),
    ] {
        let reply = host.client.request(method, path, &[], if method == "HEAD" { "" } else { "{}" });
        let body = if method == "HEAD" { "" } else { "Resource not found" };
        assert_eq!((reply.status, reply.body.as_str()), (404, body), "{method} {path}");
    }
    assert_eq!(
        host.client.request("GET", "/kdns/view", &[], "").header("content-type"),
        Some("application/json; charset=utf-8")
    );
}

#[test]
fn what_breaks_a_rule_is_answered_with_ok_and_not_taken() {
    let mut host = Host::new("[[zone_file]]\nzone = \"tst.local\"\npath = \"tst.zone\"\n");
    let more = |more: Value| {
        let mut record = a_record("w", "192.0.2.2");
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    assert_eq!(host.ok("POST", "/kdns/domain", &a_record("w", "192.0.2.1").to_string()), "OK\n");
    let alias = |name: &str, target: &str| record("CNAME", "example.com", &format!("{name}.example.com"), target);
    assert_eq!(host.ok("POST", "/kdns/domain", &alias("al", "w.example.com").to_string()), "OK\n");
    for (record, reason) in [
        (more(json!({"zoneName": "other.org"})), "unknown_zone"),
        (more(json!({"zoneName": "sub.example.com"})), "other_zone"),
        (more(json!({"domainName": "w.sub.example.com"})), "other_zone"),
        (record("A", "tst.local", "a.tst.local", "192.0.2.1"), "zone_read_only"),
        (more(json!({"ttl": 60})), "other_ttl"),
        (more(json!({"ttl": 60, "host": "192.0.2.1"})), "other_ttl"),
        (more(json!({"lbMode": 1})), "other_lb_mode"),
        (more(json!({"lbMode": 4})), "lb_mode"),
        (more(json!({"ttl": -1})), "ttl"),
        (more(json!({"ttl": 2_147_483_648_u32})), "ttl"),
        (more(json!({"viewName": "a b"})), "view_name"),
        (more(json!({"viewName": "default"})), "view_name"),
        (alias("al", "x.example.com"), "second_cname"),
        (alias("w", "x.example.com"), "cname_and_other"),
        (record("A", "example.com", "al.example.com", "192.0.2.1"), "cname_and_other"),
    ] {
        let reply = host.client.request("POST", "/kdns/domain", &[], &record.to_string());
        let shown = (reply.status, reply.body.as_str(), reply.header("ringdns-refused"));
        assert_eq!(shown, (200, "OK\n", Some(format!("1 {reason}").as_str())), "{record}");
    }
    assert_eq!(host.refused(), 15);
    assert_eq!(host.hosts("w.example.com"), ["192.0.2.1"], "what is shown is what is served");
    assert_eq!(host.answers("192.0.2.9", "w.example.com.", "A"), ["192.0.2.1"]);
    // In another view another TTL, mode and alias are no matter.
    let view = json!([more(json!({"viewName": "gz", "ttl": 60, "lbMode": 2})), {
        "type": "CNAME", "zoneName": "example.com", "domainName": "al.example.com", "viewName": "gz", "host": "y.org",
    }]);
    let again = host.client.request("POST", "/kdns/alldomains", &[], &view.to_string());
    assert_eq!((again.body.as_str(), again.header("ringdns-refused")), ("OK\n", None));
    // The same once more is no mistake: agents push everything again.
    let again = host.client.request("POST", "/kdns/alldomains", &[], &view.to_string());
    assert_eq!((again.body.as_str(), again.header("ringdns-refused")), ("OK\n", None));
    let shown: Vec<Value> = serde_json::from_str(&host.ok("GET", "/kdns/domain", "")).unwrap();
    assert_eq!(shown.len(), 4);
    for (cidr, view, reason) in [
        ("10.0.0.0/8", "gz", None),
        ("10.0.0.0/8", "gz", None),
        ("10.0.0.0/8", "bj", Some("1 other_view")),
        ("10.0.0.1/8", "gz", Some("1 other_view")),
        ("10.0.0.0/33", "gz", Some("1 network")),
        ("10.1.0.0/16", "a b", Some("1 view_name")),
    ] {
        let body = json!({"viewName": view, "cidrs": cidr}).to_string();
        let reply = host.client.request("POST", "/kdns/view", &[], &body);
        assert_eq!((reply.body.as_str(), reply.header("ringdns-refused")), ("OK\n", reason), "{body}");
    }
    assert_eq!(host.ok("GET", "/kdns/view", ""), r#"[{"viewName":"gz","cidrs":"10.0.0.0/8"}]"#);
}

#[test]
fn records_are_chosen_from_as_their_mode_says() {
    let mut host = Host::new("");
    let of = |name: &str, last: u8, more: Value| {
        let mut record = a_record(name, &format!("192.0.2.{last}"));
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let records: Vec<Value> = (1..=3)
        .flat_map(|last| {
            [
                of("all", last, json!({})),
                of("two", last, json!({"maxAnswer": 2})),
                of("turn", last, json!({"lbMode": 1, "maxAnswer": 2})),
                of("weight", last, json!({"lbMode": 2, "lbWeight": if last == 2 { 60_000 } else { 0 }})),
                of("source", last, json!({"lbMode": 3})),
            ]
        })
        .collect();
    assert_eq!(host.ok("POST", "/kdns/alldomains", &Value::from(records).to_string()), "OK\n");
    let first = host.many("all.example.com.", 6);
    let starts: BTreeSet<&String> = first.iter().map(|answers| &answers[0]).collect();
    assert_eq!((starts.len(), first.iter().all(|answers| answers.len() == 3)), (3, true), "all, each first in turn");
    assert!(host.many("two.example.com.", 3).iter().all(|answers| answers.len() == 2));
    let turns = host.many("turn.example.com.", 6);
    assert!(turns.iter().all(|answers| answers.len() == 1) && turns[..3] == turns[3..], "{turns:?}");
    assert_eq!(turns[..3].iter().flatten().collect::<BTreeSet<_>>().len(), 3);
    let heavy = host.many("weight.example.com.", 20).into_iter().filter(|answers| answers == &["192.0.2.2"]).count();
    assert!(heavy >= 18, "{heavy} of 20");
    // 192.168.0.1 with three records: the second.
    assert_eq!(host.answers("192.168.0.1", "source.example.com.", "A"), ["192.0.2.2"]);
    let rrset = host.server.get("/api/v1/zones/example.com/rrsets/weight/A").1;
    assert_eq!(
        (&rrset["selection"]["mode"], &rrset["selection"]["members"][0]["weight"]),
        (&json!("weighted"), &json!(1))
    );
    // The last one left is answered without choosing.
    let gone = json!([of("turn", 1, json!({})), of("turn", 2, json!({}))]).to_string();
    assert_eq!(host.ok("DELETE", "/kdns/alldomains", &gone), "OK\n");
    let rrset = host.server.get("/api/v1/zones/example.com/rrsets/turn/A").1;
    assert_eq!((&rrset["records"], rrset.get("selection")), (&json!(["192.0.2.3"]), None));
}

#[test]
fn other_interfaces_change_the_same_names() {
    let mut host = Host::new("");
    let two = json!([a_record("w", "192.0.2.1"), a_record("w", "192.0.2.2"), a_record("v", "192.0.2.1")]).to_string();
    assert_eq!(host.ok("POST", "/kdns/alldomains", &two), "OK\n");
    let rrset = "/api/v1/zones/example.com/rrsets/w/A";
    let put = |records: &[&str]| json!({"ttl": 30, "records": records}).to_string();
    assert_eq!(host.server.json("PUT", rrset, &put(&["192.0.2.2", "192.0.2.3"])).0, 200);
    assert_eq!(
        host.hosts("w.example.com"),
        ["192.0.2.2"],
        "what was removed is shown no longer, what is new was not told here"
    );
    assert_eq!(host.ok("POST", "/kdns/domain", &a_record("w", "192.0.2.4").to_string()), "OK\n");
    assert_eq!(host.ok("DELETE", "/kdns/domain", &a_record("w", "192.0.2.2").to_string()), "OK\n");
    assert_eq!(host.ok("DELETE", "/kdns/domain", &a_record("w", "192.0.2.3").to_string()), "OK\n");
    assert_eq!(host.server.get(rrset).1["records"], json!(["192.0.2.3", "192.0.2.4"]), "another's record stays");
    assert_eq!(host.server.json("DELETE", "/api/v1/zones/example.com", "").0, 204);
    assert_eq!(host.ok("GET", "/kdns/domain", ""), "[]");
    assert_eq!(
        host.ok("POST", "/kdns/domain", &a_record("w", "192.0.2.5").to_string()),
        "OK\n",
        "the zone comes again"
    );
    assert_eq!(host.answers("192.0.2.9", "w.example.com.", "A"), ["192.0.2.5"]);
    // A record that another interface has marked as down stays so.
    let down = json!({"ttl": 30, "records": ["192.0.2.5", "192.0.2.6"],
        "selection": {"mode": "rotate", "members": [{"up": false}, {}]}});
    assert_eq!(host.server.json("PUT", rrset, &down.to_string()).0, 200);
    assert_eq!(host.ok("POST", "/kdns/domain", &a_record("w", "192.0.2.7").to_string()), "OK\n");
    let up: Vec<Value> = host.server.get(rrset).1["selection"]["members"].as_array().unwrap().clone();
    assert_eq!(up.iter().map(|member| member["up"] == true).collect::<Vec<_>>(), [false, true, true]);
    // A record that another interface has made, with a TTL of its own.
    assert_eq!(host.server.json("PUT", "/api/v1/zones/example.com/rrsets/x/A", &put(&["192.0.2.1"])).0, 201);
    assert_eq!(host.ok("POST", "/kdns/domain", &a_record("x", "192.0.2.1").to_string()), "OK\n");
    assert_eq!(host.hosts("x.example.com"), ["192.0.2.1"], "told here too from now on");
    let body = json!({"viewName": "gz", "cidrs": "10.0.0.0/8"}).to_string();
    assert_eq!(host.ok("POST", "/kdns/view", &body), "OK\n");
    assert_eq!(host.server.get("/api/v1/views/gz").1["prefixes"], json!(["10.0.0.0/8"]));
    assert_eq!(host.server.json("DELETE", "/api/v1/views/gz", "").0, 204);
    assert_eq!(host.ok("GET", "/kdns/view", ""), "[]");
    assert_eq!(host.ok("POST", "/kdns/view", &body), "OK\n");
    assert_eq!(host.ok("GET", "/kdns/view", ""), format!("[{}]", r#"{"viewName":"gz","cidrs":"10.0.0.0/8"}"#));
}

#[test]
fn fifty_thousand_records_come_in_one_request() {
    let mut host = Host::new("");
    let address = |number: u32| format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
    let records: Vec<Value> =
        (0..50_000).map(|number| a_record(&format!("n{}", number / 2), &address(number))).collect();
    let body = Value::from(records.as_slice()).to_string();
    assert_eq!(host.ok("POST", "/kdns/alldomains", &body), "OK\n");
    assert_eq!(host.answers("192.0.2.9", "n24999.example.com.", "A").len(), 2);
    assert_eq!(host.ok("GET", "/kdns/domain", "").matches("\"host\":\"10.").count(), 50_000);
    let some = Value::from(&records[..5000]).to_string();
    assert_eq!(host.ok("POST", "/kdns/alldomains", &some), "OK\n", "some again");
    // Thousands of one name: as many as one answer can carry.
    let many: Vec<Value> = (0..5000).map(|number| a_record("many", &address(number))).collect();
    let reply = host.client.request("POST", "/kdns/alldomains", &[], &Value::from(many).to_string());
    assert_eq!((reply.body.as_str(), reply.header("ringdns-refused")), ("OK\n", Some("938 too_many")));
    assert_eq!(host.ok("DELETE", "/kdns/alldomains", &some), "OK\n");
    assert_eq!((host.rcode("n2499.example.com."), host.rcode("n2500.example.com.")), (3, 0));
    assert_eq!(host.hosts("many.example.com").len(), 4062);
}
