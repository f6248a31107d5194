//! Selections and `[[view]]`: whom the running server gives which records.

use std::collections::BTreeMap;

use harness::dig::dig;
use harness::link::addresses::{SERVED4, SERVED6};
use harness::{Server, Setup, turn};

/// The zone of these scenarios.
const ZONE: &str = "example.org.";

/// Puts an RRset by its body.
fn put(server: &Server, path: &str, body: &serde_json::Value) {
    let path = format!("/api/v1/zones/{ZONE}/rrsets/{path}");
    let response = server.send("PUT", &path, Some(&body.to_string()));
    assert!([200, 201].contains(&response.status), "{response:?}");
}

/// How often each record is the only one in answers to some questions.
fn counts(qname: &str, questions: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..questions {
        let answer = dig(SERVED4, qname, "A").answer;
        assert_eq!(answer.len(), 1, "{answer:?}");
        *counts.entry(answer[0].rsplit(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn round_robin_takes_turns_and_leaves_out_what_is_down() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    let records = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let body = |selection| serde_json::json!({ "ttl": 5, "records": records, "selection": selection });
    put(&server, "www/A", &body(serde_json::json!({ "mode": "round_robin" })));
    let expected = records.map(|record| (record.to_owned(), 3));
    assert_eq!(counts("www.example.org", 9), expected.clone().into());
    put(&server, "www/A", &body(serde_json::json!({ "mode": "round_robin", "members": [{}, { "up": false }, {}] })));
    let [first, _, third] = expected;
    assert_eq!(counts("www.example.org", 6), [first, third].into());
    // The same client, the same record.
    put(&server, "www/A", &body(serde_json::json!({ "mode": "sticky" })));
    assert_eq!(counts("www.example.org", 6).len(), 1);
}

#[test]
fn views_are_told_by_the_client_s_network() {
    let _turn = turn();
    let mut setup = Setup::new();
    // The client is 192.0.2.1 and 2001:db8:53::1.
    setup.more = "[[view]]\nname = \"near\"\nprefixes = [\"192.0.2.0/25\", \"2001:db8::/32\"]\n\
                  [[view]]\nname = \"far\"\nprefixes = [\"192.0.2.2\", \"2001:db8:53::/64\"]\n"
        .to_owned();
    let server = setup.start();
    server.put_zone(ZONE);
    for (view, address) in [("", "203.0.113.1"), ("?view=near", "203.0.113.2"), ("?view=far", "203.0.113.3")] {
        put(&server, &format!("www/A{view}"), &serde_json::json!({ "ttl": 5, "records": [address] }));
    }
    assert_eq!(dig(SERVED4, "www.example.org", "A").answer, ["www.example.org. 5 IN A 203.0.113.2"]);
    assert_eq!(dig(SERVED6, "www.example.org", "A").answer, ["www.example.org. 5 IN A 203.0.113.3"]);
    let response = server.send("DELETE", &format!("/api/v1/zones/{ZONE}/rrsets/www/A?view=far"), None);
    assert_eq!(response.status, 204, "{response:?}");
    assert_eq!(dig(SERVED6, "www.example.org", "A").answer, ["www.example.org. 5 IN A 203.0.113.1"]);
}
