//! Selections and views over the REST interface: taken, shown, checked, stored and served.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use crate::common::{Server, wait_until};
use ringdns_controlplane::health::Status;
use ringdns_engine::counters::Counters;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::testing::{TestFrame, UdpFrame, query, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};
use serde_json::{Value, json};

/// Two views in the configuration.
const VIEWS: &str = "[[view]]\nname = \"office\"\nprefixes = [\"198.51.100.0/24\", \"2001:db8:1::/48\"]\n\
                     [[view]]\nname = \"lab\"\nprefixes = [\"198.51.100.128/25\"]\n";

/// A server with views and zone example.org. in a directory that lives as long.
fn with_zone() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), VIEWS);
    assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
    (directory, server)
}

/// Path of an RRset in example.org.
fn path(owner: &str, rtype: &str) -> String {
    format!("/api/v1/zones/example.org/rrsets/{owner}/{rtype}")
}

/// Body of an RRset of addresses, with a selection.
fn body(records: &[&str], selection: &Value) -> String {
    json!({"ttl": 60, "records": records, "selection": selection}).to_string()
}

/// Code and field of an error.
fn error((status, value): (u16, Value)) -> (u16, String, String) {
    let text = |key: &str| value["error"][key].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}

/// The last address of the answer that a client gets for the A records of a name, and their number.
fn ask(server: &mut Server, client: &str, qname: &str) -> (u16, [u8; 4]) {
    let source = client.parse().unwrap();
    let path = UdpFrame { addresses: (source, "192.0.2.53".parse().unwrap()), ..UdpFrame::ipv4() };
    let mut frames = [TestFrame::new(&path.build(&query(qname, 1)))];
    let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
    let mut engine = ringdns_engine::serve::Server::new(&server_config());
    engine.serve_burst(&mut frames, &mut verdicts, server.reader.pin(), &Counters::default());
    let reply = ringdns_engine::frame::FrameBuffer::frame(&frames[0]).to_vec();
    let message = reply_message(&reply, &path);
    (u16::from_be_bytes([message[6], message[7]]), *message.last_chunk().unwrap())
}

#[test]
fn a_selection_is_taken_shown_served_and_survives_a_restart() {
    let (directory, mut server) = with_zone();
    let given = json!({"mode": "weighted", "max_answers": 1, "members": [{"weight": 7}, {"up": false}, {}]});
    let text = body(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], &given);
    let (status, rrset) = server.json("PUT", &path("www", "A"), &text);
    assert_eq!(status, 201, "{rrset}");
    let shown = json!({
        "mode": "weighted", "max_answers": 1,
        "members": [{"weight": 7, "up": true}, {"weight": 1, "up": false}, {"weight": 1, "up": true}],
    });
    assert_eq!(rrset["selection"], shown);
    assert_eq!(server.get(&path("www", "A")), (200, rrset.clone()));
    let serial = server.get("/api/v1/zones/example.org").1["serial"].clone();
    let (status, again) =
        server.json("PUT", &path("www", "A"), &body(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], &shown));
    assert_eq!((status, &again), (200, &rrset), "what is shown is taken");
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], serial, "and is no change");
    for _ in 0..20 {
        let (count, address) = ask(&mut server, "203.0.113.1", "www.example.org.");
        assert!(count == 1 && [1, 3].contains(&address[3]), "{count} {address:?}");
    }
    server.stop();

    let mut server = Server::start(directory.path(), VIEWS);
    assert_eq!(server.get(&path("www", "A")), (200, rrset), "after a restart");
    // A member goes down: the only one left is given.
    let down = json!({"mode": "weighted", "members": [{"up": false}, {"up": false}, {}]});
    let (status, _) = server.json("PUT", &path("www", "A"), &body(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], &down));
    assert_eq!(status, 200);
    assert_eq!(ask(&mut server, "203.0.113.1", "www.example.org."), (1, [192, 0, 2, 3]));
    // No selection any more.
    let plain = json!({"ttl": 60, "records": ["192.0.2.1", "192.0.2.2"]}).to_string();
    assert_eq!(server.json("PUT", &path("www", "A"), &plain).1.get("selection"), None);
    assert_eq!(ask(&mut server, "203.0.113.1", "www.example.org."), (2, [192, 0, 2, 2]));
}

#[test]
fn every_mode_is_known_by_name_and_repeated_records_take_their_members_along() {
    let (_directory, server) = with_zone();
    for mode in ["rotate", "round_robin", "weighted", "source_hash", "random", "sticky"] {
        let (status, rrset) = server.json("PUT", &path(mode, "A"), &body(&["192.0.2.1"], &json!({"mode": mode})));
        assert_eq!((status, &rrset["selection"]["mode"]), (201, &json!(mode)));
    }
    let nothing =
        server.json("PUT", &path("all", "A"), &body(&["192.0.2.1"], &json!({"mode": "all", "members": [{}]})));
    assert_eq!((nothing.0, nothing.1.get("selection")), (201, None), "what chooses nothing is no selection");
    assert_eq!(server.json("PUT", &path("null", "A"), &body(&["192.0.2.1"], &Value::Null)).0, 201);
    let twice = json!({"members": [{"weight": 1}, {"weight": 2}, {"weight": 3}]});
    let (_, rrset) = server.json("PUT", &path("twice", "A"), &body(&["192.0.2.1", "192.0.2.1", "192.0.2.2"], &twice));
    assert_eq!(rrset["records"], json!(["192.0.2.1", "192.0.2.2"]));
    assert_eq!(rrset["selection"]["members"], json!([{"weight": 1, "up": true}, {"weight": 3, "up": true}]));
}

#[test]
fn wrong_selections_are_named_by_field() {
    let (_directory, server) = with_zone();
    for (selection, code, field) in [
        (json!(7), "invalid_field", "selection"),
        (json!({"mode": "best"}), "unknown_mode", "selection.mode"),
        (json!({"mode": 1}), "unknown_mode", "selection.mode"),
        (json!({"mod": "all"}), "unknown_field", "selection.mod"),
        (json!({"max_answers": -1}), "out_of_bounds", "selection.max_answers"),
        (json!({"max_answers": 65536}), "out_of_bounds", "selection.max_answers"),
        (json!({"members": {}}), "invalid_field", "selection.members"),
        (json!({"members": [{}]}), "members_mismatch", "selection.members"),
        (json!({"members": []}), "members_mismatch", "selection.members"),
        (json!({"members": [{}, 1]}), "invalid_field", "selection.members[1]"),
        (json!({"members": [{}, {"wait": 1}]}), "unknown_field", "selection.members[1].wait"),
        (json!({"members": [{"weight": 65536}, {}]}), "out_of_bounds", "selection.members[0].weight"),
        (json!({"members": [{"weight": 1.5}, {}]}), "out_of_bounds", "selection.members[0].weight"),
        (json!({"members": [{}, {"up": "no"}]}), "invalid_field", "selection.members[1].up"),
    ] {
        let found = error(server.json("PUT", &path("www", "A"), &body(&["192.0.2.1", "192.0.2.2"], &selection)));
        assert_eq!(found, (422, code.into(), field.into()), "{selection}");
    }
    let many: Vec<String> = (0..1025).map(|number| format!("10.0.{}.{}", number / 256, number % 256)).collect();
    let text = json!({"ttl": 1, "records": many, "selection": {"mode": "sticky"}}).to_string();
    assert_eq!(error(server.json("PUT", &path("www", "A"), &text)), (422, "too_many_members".into(), "records".into()));
    assert_eq!(server.get(&path("www", "A")).0, 404, "nothing of it was taken");
}

#[test]
fn each_view_has_an_rrset_of_its_own() {
    let (directory, mut server) = with_zone();
    let plain = |address: &str| json!({"ttl": 60, "records": [address]}).to_string();
    let www = path("www", "A");
    assert_eq!(server.json("PUT", &www, &plain("192.0.2.1")).0, 201);
    let (status, rrset) = server.json("PUT", &format!("{www}?view=office"), &plain("10.0.0.1"));
    assert_eq!((status, &rrset["view"], &rrset["records"]), (201, &json!("office"), &json!(["10.0.0.1"])));
    let text = r#"{"owner":"www","type":"A","ttl":60,"records":["10.0.0.2"],"view":"lab"}"#;
    let authorization = format!("Bearer {}", crate::common::TOKEN);
    let headers = [("authorization", authorization.as_str())];
    let reply = server.request("POST", "/api/v1/zones/example.org/rrsets", &headers, text);
    assert_eq!(reply.status, 201);
    assert_eq!(server.get(reply.header("location").unwrap()), (200, reply.json()));
    assert_eq!(server.request("POST", "/api/v1/zones/example.org/rrsets", &headers, text).status, 409);

    let seen = [("203.0.113.1", [192, 0, 2, 1]), ("198.51.100.1", [10, 0, 0, 1]), ("198.51.100.200", [10, 0, 0, 2])];
    for (client, address) in seen {
        assert_eq!(ask(&mut server, client, "www.example.org."), (1, address), "{client}");
    }
    // Lists have all of them, page by page.
    let mut listed = Vec::new();
    let mut next = Some("/api/v1/zones/example.org/rrsets?limit=1&owner=www".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).1;
        let rrsets = page["rrsets"].as_array().unwrap();
        listed.extend(rrsets.iter().map(|rrset| rrset["view"].as_str().unwrap_or_default().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(listed, ["", "office", "lab"]);
    server.stop();

    // The same after a restart; without a view's table its RRsets are kept, and nobody sees them.
    let mut server = Server::start(directory.path(), VIEWS);
    for (client, address) in seen {
        assert_eq!(ask(&mut server, client, "www.example.org."), (1, address), "{client}");
    }
    server.stop();
    let mut server = Server::start(directory.path(), "");
    for (client, _) in seen {
        assert_eq!(ask(&mut server, client, "www.example.org."), (1, [192, 0, 2, 1]), "{client}");
    }
    assert_eq!(server.get(&format!("{www}?view=lab")).1["records"], json!(["10.0.0.2"]));
    assert_eq!(server.json("DELETE", &format!("{www}?view=lab"), "").0, 204, "it can be cleared away");
    assert_eq!(server.get(&format!("{www}?view=lab")).0, 404);
    assert_eq!(server.get(&www).1["records"], json!(["192.0.2.1"]), "the others stay");
    assert_eq!(server.get(&format!("{www}?view=office")).0, 200);
}

#[test]
fn wrong_views_are_named() {
    let (_directory, server) = with_zone();
    let www = path("www", "A");
    let text = json!({"ttl": 60, "records": ["192.0.2.1"]}).to_string();
    for (found, expected) in [
        (server.json("PUT", &format!("{www}?view=nowhere"), &text), (422, "unknown_view", "view")),
        (server.json("PUT", &format!("{www}?vew=lab"), &text), (400, "unknown_parameter", "")),
        (server.json("DELETE", &format!("{www}?view=lab"), ""), (404, "rrset_not_found", "")),
        (server.get(&format!("{www}?view=nowhere")), (404, "rrset_not_found", "")),
        (
            server.json("PUT", &format!("{}?view=lab", path("a", "NS")), r#"{"ttl":1,"records":["ns."]}"#),
            (422, "type_in_no_view", "view"),
        ),
        (
            server.json(
                "POST",
                "/api/v1/zones/example.org/rrsets",
                r#"{"owner":"a","type":"A","ttl":1,"records":["192.0.2.1"],"view":1}"#,
            ),
            (422, "invalid_field", "view"),
        ),
    ] {
        let (status, code, field) = expected;
        assert_eq!(error(found), (status, code.to_owned(), field.to_owned()));
    }
    // The default view has a name.
    assert_eq!(server.json("PUT", &format!("{www}?view=default"), &text).1.get("view"), None);
    // An alias beside addresses: in one view it cannot be, in another it can.
    let alias = r#"{"ttl":1,"records":["a."]}"#;
    assert_eq!(error(server.json("PUT", &path("www", "CNAME"), alias)).1, "cname_and_other");
    assert_eq!(server.json("PUT", &format!("{}?view=lab", path("www", "CNAME")), alias).0, 201);
    assert_eq!(error(server.json("PUT", &format!("{www}?view=lab"), &text)).1, "cname_and_other");
}

#[test]
fn members_that_are_down_are_not_answered_and_what_was_put_is_as_it_was() {
    let (_directory, mut server) = with_zone();
    let selection = json!({"mode": "all", "max_answers": 0, "members": [{}, {"up": false}, {}, {}]});
    let text = body(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], &selection);
    assert_eq!(server.json("PUT", &path("www", "A"), &text).0, 201);
    let before = server.request("GET", &path("www", "A"), &[], "");
    server.say(&[
        ("192.0.2.4", Some(Status::Down)),
        ("192.0.2.2", Some(Status::Up)),
        ("192.0.2.9", Some(Status::Down)),
    ]);
    wait_until("it is left out", || ask(&mut server, "203.0.113.1", "www.example.org.") == (2, [192, 0, 2, 3]));
    let after = server.request("GET", &path("www", "A"), &[], "");
    assert_eq!((&after.body, after.header("etag")), (&before.body, before.header("etag")));
    let condition = [("if-match", before.header("etag").unwrap())];
    let same = server.authorised("PUT", &path("www", "A"), &condition, &text);
    assert_eq!(same.status, 200, "{}", same.body);
    assert_eq!(ask(&mut server, "203.0.113.1", "www.example.org."), (2, [192, 0, 2, 3]), "and is left out still");

    let targets = |server: &Server, query: &str| -> Vec<String> {
        let page = server.get(&format!("/api/v1/members{query}")).1;
        let members = page["members"].as_array().unwrap_or_else(|| panic!("{page}"));
        members.iter().map(|member| format!("{} {}", member["target"], member["state"]).replace('"', "")).collect()
    };
    assert_eq!(targets(&server, "?state=down"), ["192.0.2.4 DOWN", "192.0.2.9 DOWN"]);
    assert_eq!(
        targets(&server, "?name=www.example.org"),
        ["192.0.2.1 UNKNOWN", "192.0.2.2 UP", "192.0.2.3 UNKNOWN", "192.0.2.4 DOWN"]
    );
    assert_eq!(targets(&server, "?name=www.example.org.&state=unknown&after=192.0.2.1"), ["192.0.2.3 UNKNOWN"]);
    let (mut next, mut pages) = ("?limit=1&state=down".to_owned(), Vec::new());
    while !next.is_empty() {
        pages.extend(targets(&server, &next));
        let link = server.get(&format!("/api/v1/members{next}")).1["next"].clone();
        next = link.as_str().map(|link| link.replace("/api/v1/members", "")).unwrap_or_default();
    }
    assert_eq!(pages, ["192.0.2.4 DOWN", "192.0.2.9 DOWN"]);
    for (query, expected) in [
        ("?state=sleepy", (422, "invalid_field", "state")),
        ("?after=x", (422, "invalid_token", "after")),
        ("?name=www.nowhere", (404, "zone_not_found", "")),
        ("?name=none.example.org", (404, "rrset_not_found", "")),
        ("/192.0.2.1", (404, "member_not_found", "")),
        ("/x", (404, "member_not_found", "")),
    ] {
        let (status, code, field) = error(server.get(&format!("/api/v1/members{query}")));
        assert_eq!((status, code.as_str(), field.as_str()), expected, "{query}");
    }

    server.say(&[("192.0.2.4", None)]);
    wait_until("it is back", || ask(&mut server, "203.0.113.1", "www.example.org.") == (3, [192, 0, 2, 4]));
    let metrics = server.request("GET", "/metrics", &[], "").body;
    assert!(metrics.contains("ringdns_members{state=\"down\"} 1.0"), "{metrics}");
    let handle = server.plane().health();
    let found = handle.records(&["example.org.".parse().unwrap()], 3);
    assert_eq!((found.addresses.len(), found.left_out), (3, 1));
    assert!(handle.records(&["example.net.".parse().unwrap()], 3).addresses.is_empty());
}
