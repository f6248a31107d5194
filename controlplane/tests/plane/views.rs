//! Views over the REST interface: made, changed, shown beside those of the configuration, kept and served.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use crate::common::Server;
use ringdns_engine::counters::Counters;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::testing::{TestFrame, UdpFrame, query, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};
use serde_json::{Value, json};

/// A view in the configuration.
const CONFIGURED: &str = "[[view]]\nname = \"office\"\nprefixes = [\"198.51.100.0/24\", \"2001:db8:1::/48\"]\n";

/// Body of a view.
fn body(prefixes: &[&str]) -> String {
    json!({ "prefixes": prefixes }).to_string()
}

/// The last byte of the address that a client is given for a.example.org.
fn ask(server: &mut Server, client: &str) -> u8 {
    let path = UdpFrame { addresses: (client.parse().unwrap(), "192.0.2.53".parse().unwrap()), ..UdpFrame::ipv4() };
    let mut frames = [TestFrame::new(&path.build(&query("a.example.org.", 1)))];
    let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
    let mut engine = ringdns_engine::serve::Server::new(&server_config());
    engine.serve_burst(&mut frames, &mut verdicts, server.reader.pin(), &Counters::default());
    *reply_message(ringdns_engine::frame::FrameBuffer::frame(&frames[0]), &path).last().unwrap()
}

/// Names and sources of all views.
fn listed(server: &Server) -> Vec<String> {
    let (status, list) = server.get("/api/v1/views");
    assert_eq!(status, 200);
    let show = |view: &Value| format!("{} {}", view["name"].as_str().unwrap(), view["source"].as_str().unwrap());
    list["views"].as_array().unwrap().iter().map(show).collect()
}

#[test]
fn a_view_is_made_changed_served_kept_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), "");
    assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
    let (status, view) = server.json("PUT", "/api/v1/views/lab", &body(&["198.51.100.128/25", "2001:db8:2::/48"]));
    let shown = json!({
        "name": "lab", "prefixes": ["198.51.100.128/25", "2001:db8:2::/48"], "source": "store", "read_only": false,
    });
    assert_eq!((status, &view), (201, &shown));
    assert_eq!(server.get("/api/v1/views/lab"), (200, shown));
    let address = |last: u8| json!({"ttl": 60, "records": [format!("192.0.2.{last}")]}).to_string();
    let rrset = "/api/v1/zones/example.org/rrsets/a/A";
    assert_eq!(server.json("PUT", rrset, &address(1)).0, 201);
    assert_eq!(server.json("PUT", &format!("{rrset}?view=lab"), &address(2)).0, 201, "it can be written at once");
    assert_eq!((ask(&mut server, "198.51.100.1"), ask(&mut server, "198.51.100.129")), (1, 2));

    assert_eq!(server.json("PUT", "/api/v1/views/lab", &body(&["198.51.100.0/25"])).0, 200);
    assert_eq!((ask(&mut server, "198.51.100.1"), ask(&mut server, "198.51.100.129")), (2, 1));
    server.stop();

    // After a restart the store's view counts where the configuration names the same network.
    let mut server = Server::start(directory.path(), &CONFIGURED.replace("0/24", "0/25"));
    assert_eq!(listed(&server), ["lab store", "office configuration"]);
    assert_eq!((ask(&mut server, "198.51.100.1"), ask(&mut server, "198.51.100.129")), (2, 1));
    assert_eq!(server.json("DELETE", "/api/v1/views/lab", "").0, 204);
    assert_eq!(server.json("DELETE", "/api/v1/views/lab", "").0, 404);
    assert_eq!((ask(&mut server, "198.51.100.1"), listed(&server)), (1, vec!["office configuration".to_owned()]));
    assert_eq!(server.get(&format!("{rrset}?view=lab")).0, 200, "its RRsets are remembered");
    assert_eq!(server.json("PUT", &format!("{rrset}?view=lab"), &address(3)).1["error"]["code"], "unknown_view");
}

#[test]
fn mistakes_are_named_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), CONFIGURED);
    assert_eq!(server.json("PUT", "/api/v1/views/lab", &body(&["10.0.0.0/8"])).0, 201);
    for (name, text, status, code, field) in [
        ("default", body(&["10.0.0.0/8"]), 422, "invalid_name", "name"),
        ("a%20b", body(&["10.0.0.0/8"]), 422, "invalid_name", "name"),
        ("office", body(&["10.1.0.0/16"]), 409, "view_read_only", ""),
        ("x", body(&["10.1.0.0/16", "10.0.0.0/8"]), 409, "network_taken", "prefixes"),
        ("x", body(&["10.1.0.0/16", "10.0.0.1/8"]), 422, "invalid_network", "prefixes[1]"),
        ("x", body(&["net"]), 422, "invalid_network", "prefixes[0]"),
        ("x", body(&[]), 422, "invalid_field", "prefixes"),
        ("x", r#"{"prefixes":"10.0.0.0/8"}"#.into(), 422, "invalid_field", "prefixes"),
        ("x", r#"{"prefixes":[7]}"#.into(), 422, "invalid_field", "prefixes[0]"),
        ("x", "{}".into(), 422, "missing_field", "prefixes"),
        ("x", r#"{"prefixes":[],"name":"x"}"#.into(), 422, "unknown_field", "name"),
        ("x", "{".into(), 400, "malformed_json", ""),
    ] {
        let (found, value) = server.json("PUT", &format!("/api/v1/views/{name}"), &text);
        let error = &value["error"];
        let shown = (found, error["code"].as_str().unwrap(), error["field"].as_str().unwrap_or_default());
        assert_eq!(shown, (status, code, field), "{name} {text}");
    }
    assert_eq!(server.json("DELETE", "/api/v1/views/office", "").1["error"]["code"], "view_read_only");
    assert_eq!(server.get("/api/v1/views/x").1["error"]["code"], "view_not_found");
    assert_eq!(server.request("PUT", "/api/v1/views/x", &[], &body(&["10.1.0.0/16"])).status, 401);
    assert_eq!(listed(&server), ["lab store", "office configuration"], "nothing of it was taken");
}
