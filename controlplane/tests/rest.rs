//! The REST interface over a real socket.

mod common;

use common::Server;
use serde_json::json;

#[test]
fn a_zone_and_its_rrsets_from_cradle_to_grave() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    assert_eq!(server.get("/api/v1/zones"), (200, json!({"zones": [], "next": null})));

    let (status, zone) = server.json("PUT", "/api/v1/zones/Example.org", "");
    assert_eq!(status, 201, "{zone}");
    assert_eq!(zone["name"], "example.org.");
    assert_eq!(zone["serial"], 1);
    assert_eq!(zone["ns"], json!(["ns.example.org."]));
    assert_eq!(zone["soa"]["rname"], "hostmaster.example.org.");

    let path = "/api/v1/zones/example.org/rrsets/www/A";
    let body = r#"{"ttl":300,"records":["192.0.2.1","192.0.2.2"]}"#;
    let (status, rrset) = server.json("PUT", path, body);
    assert_eq!(status, 201, "{rrset}");
    let expected = json!({"owner": "www.example.org.", "type": "A", "ttl": 300, "records": ["192.0.2.1", "192.0.2.2"], "source": "store"});
    assert_eq!(rrset, expected);
    assert_eq!(server.get(path), (200, expected.clone()));
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 2, "a change raises the serial");
    assert_eq!(server.json("PUT", path, body).0, 200);
    assert_eq!(server.get("/api/v1/zones/example.org").1["serial"], 2, "what is the same is no change");

    let (status, list) = server.get("/api/v1/zones/example.org/rrsets");
    assert_eq!(status, 200);
    let types: Vec<_> =
        list["rrsets"].as_array().unwrap().iter().map(|rrset| rrset["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["NS", "SOA", "A"]);

    assert_eq!(server.json("DELETE", path, "").0, 204);
    assert_eq!(server.json("DELETE", path, "").0, 404);
    assert_eq!(server.get(path).0, 404);
    assert_eq!(server.json("DELETE", "/api/v1/zones/example.org", "").0, 204);
    assert_eq!(server.get("/api/v1/zones/example.org").0, 404);
    server.stop();
}
