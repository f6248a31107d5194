//! Records put in over REST, asked with dig.

use harness::dig::{dig, dig_with};
use harness::link::addresses::{SERVED4, SERVED6};
use harness::{Setup, turn};

/// The zone of these scenarios.
const ZONE: &str = "example.org.";

#[test]
fn records_put_by_rest_are_answered_over_ipv4_and_ipv6() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    server.put_rrset(ZONE, "www", "A", 60, &["203.0.113.1", "203.0.113.2"]);
    server.put_rrset(ZONE, "www", "AAAA", 61, &["2001:db8::1"]);
    server.put_rrset(ZONE, "@", "MX", 62, &["10 mail.example.org."]);
    server.put_rrset(ZONE, "mail", "A", 63, &["203.0.113.3"]);
    server.put_rrset(ZONE, "text", "TXT", 64, &["\"one\" \"two words\""]);
    server.put_rrset(ZONE, "alias", "CNAME", 65, &["www.example.org."]);
    server.put_rrset(ZONE, "_sip._udp", "SRV", 66, &["1 2 5060 www.example.org."]);
    server.put_rrset(ZONE, "@", "CAA", 67, &["0 issue \"ca.example.net\""]);
    server.put_rrset(ZONE, "odd", "TYPE65400", 68, &["\\# 3 010203"]);
    server.put_rrset(ZONE, "*.apps", "A", 69, &["203.0.113.9"]);
    for address in [SERVED4, SERVED6] {
        let answer = dig(address, "www.example.org", "A");
        assert_eq!((answer.rcode.as_str(), answer.flags.contains("aa")), ("NOERROR", true));
        let mut records = answer.answer;
        records.sort();
        assert_eq!(records, ["www.example.org. 60 IN A 203.0.113.1", "www.example.org. 60 IN A 203.0.113.2"]);
        for (owner, rtype, record) in [
            ("www.example.org", "AAAA", "www.example.org. 61 IN AAAA 2001:db8::1"),
            ("example.org", "MX", "example.org. 62 IN MX 10 mail.example.org."),
            ("text.example.org", "TXT", "text.example.org. 64 IN TXT \"one\" \"two words\""),
            ("_sip._udp.example.org", "SRV", "_sip._udp.example.org. 66 IN SRV 1 2 5060 www.example.org."),
            ("example.org", "CAA", "example.org. 67 IN CAA 0 issue \"ca.example.net\""),
            ("odd.example.org", "TYPE65400", "odd.example.org. 68 IN TYPE65400 \\# 3 010203"),
            ("x.y.apps.example.org", "A", "x.y.apps.example.org. 69 IN A 203.0.113.9"),
        ] {
            let answer = dig(address, owner, rtype);
            assert_eq!((answer.rcode.as_str(), answer.answer), ("NOERROR", vec![record.to_owned()]), "{owner} {rtype}");
        }
        let chased = dig(address, "alias.example.org", "AAAA").answer;
        let expected = ["alias.example.org. 65 IN CNAME www.example.org.", "www.example.org. 61 IN AAAA 2001:db8::1"];
        assert_eq!(chased, expected);
    }
}

#[test]
fn answers_follow_changes_and_deletions() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    server.put_rrset(ZONE, "www", "A", 60, &["203.0.113.1"]);
    let serial = || serial_of(&dig(SERVED4, "example.org", "SOA").answer[0]);
    let serial_before = serial();
    assert_eq!(dig(SERVED4, "www.example.org", "A").answer, ["www.example.org. 60 IN A 203.0.113.1"]);
    server.put_rrset(ZONE, "www", "A", 30, &["203.0.113.2"]);
    for address in [SERVED4, SERVED6] {
        assert_eq!(dig(address, "www.example.org", "A").answer, ["www.example.org. 30 IN A 203.0.113.2"]);
    }
    assert_ne!(serial(), serial_before, "a change raises the serial");
    server.delete_rrset(ZONE, "www", "A");
    for address in [SERVED4, SERVED6] {
        let answer = dig(address, "www.example.org", "A");
        assert_eq!((answer.rcode.as_str(), answer.answer.len()), ("NXDOMAIN", 0));
    }
    let response = server.send("DELETE", &format!("/api/v1/zones/{ZONE}"), None);
    assert_eq!(response.status, 204, "{response:?}");
    assert_eq!(dig(SERVED4, "example.org", "SOA").rcode, "REFUSED");
}

#[test]
fn absences_carry_the_soa_and_other_names_are_refused() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    server.put_rrset(ZONE, "a.b.c", "A", 60, &["203.0.113.1"]);
    for (owner, rtype, rcode) in [
        ("missing.example.org", "A", "NXDOMAIN"),
        ("a.b.c.example.org", "AAAA", "NOERROR"),
        // An empty non-terminal exists (RFC 8020).
        ("b.c.example.org", "A", "NOERROR"),
    ] {
        let answer = dig(SERVED4, owner, rtype);
        assert_eq!(
            (answer.rcode.as_str(), answer.answer.len(), answer.authority.len()),
            (rcode, 0, 1),
            "{owner} {rtype}"
        );
        assert!(answer.authority[0].contains(" IN SOA "), "{:?}", answer.authority);
        assert!(answer.flags.contains("aa"), "{owner} {rtype}");
    }
    for owner in ["example.net", "org", "notexample.org"] {
        let answer = dig(SERVED6, owner, "A");
        assert_eq!((answer.rcode.as_str(), answer.authority.len()), ("REFUSED", 0), "{owner}");
        assert!(!answer.flags.contains("aa"), "{owner}");
    }
}

#[test]
fn an_answer_that_the_link_cannot_carry_is_truncated() {
    let _turn = turn();
    let mut setup = Setup::new();
    // More than the 1500 bytes of the device.
    setup.more = "[dns]\nudp_answer_bytes_max = 4096\n".to_owned();
    let server = setup.start();
    server.put_zone(ZONE);
    let addresses: Vec<String> = (0..120).map(|host| format!("203.0.113.{host}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    server.put_rrset(ZONE, "large", "A", 60, &addresses);
    for address in [SERVED4, SERVED6] {
        let answer = dig_with(address, "large.example.org", "A", &["+bufsize=4096", "+ignore"]);
        assert!(answer.flags.contains("tc"), "{answer:?}");
        let answer = dig_with(address, "large.example.org", "A", &["+noedns", "+ignore"]);
        assert!(answer.flags.contains("tc"), "{answer:?}");
    }
}

#[test]
fn writes_need_the_token() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    let path = harness::server::rrset_path(ZONE, "www", "A");
    let body = Some(r#"{"ttl": 60, "records": ["203.0.113.1"]}"#);
    for token in [None, Some("wrong")] {
        let response = harness::http::request(setup.admin, "PUT", &path, token, body).expect("an answer");
        assert_eq!(response.status, 401, "{response:?}");
        assert!(response.json()["error"]["message"].is_string(), "{response:?}");
    }
    assert_eq!(dig(SERVED4, "www.example.org", "A").rcode, "NXDOMAIN");
}

#[test]
fn sigterm_ends_with_success_and_records_survive_the_restart() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    server.put_zone(ZONE);
    server.put_rrset(ZONE, "www", "A", 60, &["203.0.113.1"]);
    let status = server.stop();
    assert_eq!(status.code(), Some(0), "{status}");
    let _restarted = setup.start();
    assert_eq!(dig(SERVED4, "www.example.org", "A").answer, ["www.example.org. 60 IN A 203.0.113.1"]);
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let _turn = turn();
    let setup = Setup::new();
    for round in 1..=3 {
        let server = setup.start();
        server.put_zone(ZONE);
        let address = format!("203.0.113.{round}");
        server.put_rrset(ZONE, &format!("round{round}"), "A", 60, &[&address]);
        server.kill();
    }
    let _server = setup.start();
    for round in 1..=3 {
        let answer = dig(SERVED4, &format!("round{round}.example.org"), "A").answer;
        assert_eq!(answer, [format!("round{round}.example.org. 60 IN A 203.0.113.{round}")]);
    }
}

/// The serial in a SOA record's text.
fn serial_of(record: &str) -> String {
    record.split(' ').nth(6).expect("a SOA record").to_owned()
}
