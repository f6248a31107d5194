//! SkyDNS's tree.

use super::*;

#[test]
fn skydns_answers_for_all_that_is_below_a_name() {
    let lines = Tried::skydns().serve(&[
        ("/skydns/local/s/east/rails/1", r#"{"host":"10.0.0.1","port":8080,"ttl":60}"#),
        ("/skydns/local/s/east/rails/2", r#"{"host":"2001:db8::2","port":8081,"weight":300,"unknown":[1]}"#),
        ("/skydns/local/s/dns/stub/org/example/ns1", r#"{"host":"192.0.2.10"}"#),
        ("/skydns/config", "{}"),
    ]);
    assert_eq!(
        lines,
        [
            "1.rails.east.s.local. A 60 10.0.0.1",
            "1.rails.east.s.local. SRV 60 10 100 8080 1.rails.east.s.local.",
            "2.rails.east.s.local. AAAA 300 2001:db8::2",
            "2.rails.east.s.local. SRV 300 10 100 8081 2.rails.east.s.local.",
            "east.s.local. A 60 10.0.0.1",
            "east.s.local. AAAA 300 2001:db8::2",
            "east.s.local. SRV 60 10 25 8080 1.rails.east.s.local. + 10 75 8081 2.rails.east.s.local.",
            "rails.east.s.local. A 60 10.0.0.1",
            "rails.east.s.local. AAAA 300 2001:db8::2",
            "rails.east.s.local. SRV 60 10 25 8080 1.rails.east.s.local. + 10 75 8081 2.rails.east.s.local.",
            "s.local. A 60 10.0.0.1",
            "s.local. AAAA 300 2001:db8::2",
            "s.local. SRV 60 10 25 8080 1.rails.east.s.local. + 10 75 8081 2.rails.east.s.local.",
        ]
    );
}

#[test]
fn skydns_names_are_aliases_services_or_mail_exchanges() {
    let lines = Tried::skydns().serve(&[
        ("/skydns/local/s/alias", r#"{"host":"www.example.","text":"a note"}"#),
        ("/skydns/local/s/db", r#"{"host":"db.example.","port":5432,"priority":5}"#),
        ("/skydns/local/s/mx", r#"{"host":"mx.example.","mail":true,"priority":20}"#),
        ("/skydns/local/s/note", r#"{"text":"hello"}"#),
        ("/skydns/local/s/two/b", r#"{"host":"b.example."}"#),
        ("/skydns/local/s/two/a", r#"{"host":"a.example."}"#),
    ]);
    assert_eq!(
        lines,
        [
            "a.two.s.local. CNAME 300 a.example.",
            "a.two.s.local. SRV 300 10 100 0 a.example.",
            "alias.s.local. CNAME 300 www.example.",
            "alias.s.local. TXT 300 \"a note\"",
            "alias.s.local. SRV 300 10 100 0 www.example.",
            "b.two.s.local. CNAME 300 b.example.",
            "b.two.s.local. SRV 300 10 100 0 b.example.",
            "db.s.local. CNAME 300 db.example.",
            "db.s.local. SRV 300 5 100 5432 db.example.",
            "mx.s.local. CNAME 300 mx.example.",
            "mx.s.local. MX 300 20 mx.example.",
            "note.s.local. TXT 300 \"hello\"",
            "s.local. MX 300 20 mx.example.",
            "s.local. TXT 300 \"a note\" + \"hello\"",
            "s.local. SRV 300 10 33 0 www.example. + 5 100 5432 db.example. + 10 33 0 a.example. + 10 33 0 b.example.",
            "two.s.local. CNAME 300 a.example.",
            "two.s.local. SRV 300 10 50 0 a.example. + 10 50 0 b.example.",
        ]
    );
    let text = format!(r#"{{"text":"{}"}}"#, "y".repeat(300));
    let lines = Tried::skydns().serve(&[("/skydns/local/s/long", &text)]);
    assert_eq!(lines[0], format!("long.s.local. TXT 300 \"{}\" \"{}\"", "y".repeat(255), "y".repeat(45)));
    let text = format!(r#"{{"text":"{}"}}"#, "y".repeat(255));
    let lines = Tried::skydns().serve(&[("/skydns/local/s/full", &text)]);
    assert_eq!(lines[0], format!("full.s.local. TXT 300 \"{}\" \"\"", "y".repeat(255)));
    let lines = Tried::skydns().serve(&[("/skydns/local/s/short", r#"{"host":"server1"}"#)]);
    assert!(lines.iter().all(|line| line.contains(" SRV ")), "a single label is nobody's to look up: {lines:?}");
}

#[test]
fn skydns_groups_are_not_mixed() {
    let group = |host: u8, group: &str| format!(r#"{{"host":"10.0.0.{host}","group":"{group}","text":"{host}"}}"#);
    let (one, two) = (group(1, "g1"), group(2, "g2"));
    let a = |lines: Vec<String>, name: &str| {
        lines.into_iter().find(|line| line.starts_with(&format!("{name} A "))).unwrap_or_default()
    };
    let keys = [("/skydns/local/s/d/a/1", one.as_str()), ("/skydns/local/s/d/a/b/2", &two)];
    assert_eq!(a(Tried::skydns().serve(&keys), "d.s.local."), "d.s.local. A 300 10.0.0.1", "the shortest key decides");
    let keys = [("/skydns/local/s/d/1", one.as_str()), ("/skydns/local/s/d/2", &two)];
    assert_eq!(a(Tried::skydns().serve(&keys), "d.s.local."), "d.s.local. A 300 10.0.0.1 + 10.0.0.2", "they disagree");
    let keys = [
        ("/skydns/local/s/d/1", one.as_str()),
        ("/skydns/local/s/d/x/2", &two),
        ("/skydns/local/s/d/x/3", r#"{"host":"10.0.0.3"}"#),
    ];
    assert_eq!(
        a(Tried::skydns().serve(&keys), "d.s.local."),
        "d.s.local. A 300 10.0.0.1 + 10.0.0.3",
        "without a group"
    );
}

#[test]
fn what_external_dns_writes_is_served_as_it_is() {
    let lines = Tried::skydns().serve(&[
        ("/skydns/org/example/www/1a2b3c4d", r#"{"host":"192.0.2.1","targetstrip":1,"ttl":60,"owner":"default"}"#),
        ("/skydns/org/example/5e6f7a8b", r#"{"host":"192.0.2.2","targetstrip":1}"#),
        ("/skydns/arpa/in-addr/10/1/2/3", r#"{"host":"www.example.org"}"#),
        (
            "/skydns/org/example/ext/0c0c0c0c",
            r#"{"host":"lb.example.net","targetstrip":1,"text":"heritage=external-dns"}"#,
        ),
    ]);
    for line in [
        "www.example.org. A 60 192.0.2.1",
        "www.example.org. SRV 60 10 100 0 www.example.org.",
        "example.org. A 300 192.0.2.2",
        "3.2.1.10.in-addr.arpa. PTR 300 www.example.org.",
        "ext.example.org. CNAME 300 lb.example.net.",
    ] {
        assert!(lines.iter().any(|served| served == line), "{line} in {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("2.1.10.in-addr")), "{lines:?}");
}

#[test]
fn skydns_zones_have_their_servers_and_addresses_below_dns() {
    let mut tried = Tried::skydns();
    tried.apply(&[
        ("/skydns/local/s/dns/ns/n1", r#"{"host":"10.0.0.2"}"#),
        ("/skydns/local/s/dns/apex", r#"{"host":"10.0.0.3"}"#),
        ("/skydns/local/s/dns/ns/n2", r#"{"host":"ns.example."}"#),
        ("/skydns/arpa/in-addr/10/1", r#"{"host":"10.0.0.1"}"#),
        ("/skydns/local/s/nothing", "{}"),
    ]);
    let lines = tried.lines();
    assert!(lines.contains(&"s.local. NS 300 n1.ns.dns.s.local.".to_owned()), "{lines:?}");
    assert!(lines.contains(&"s.local. A 300 10.0.0.3".to_owned()), "{lines:?}");
    assert!(lines.contains(&"n1.ns.dns.s.local. A 300 10.0.0.2".to_owned()), "{lines:?}");
    assert_eq!(tried.faults.len(), 3, "{:?}", tried.faults);
}

#[test]
fn stub_zones_are_read_where_they_are_wanted() {
    let stubs = |zones: &crate::suffixes::StubZones| {
        zones.iter().map(|(zone, servers)| format!("{zone} {servers:?}")).collect::<Vec<_>>()
    };
    let keys = [
        ("/skydns/local/s/dns/stub/org/example/ns1", r#"{"host":"192.0.2.10"}"#),
        ("/skydns/local/s/dns/stub/org/Example/ns2", r#"{"host":"2001:db8::1","port":5353}"#),
        ("/skydns/local/s/dns/stub/local/s/sub/x", r#"{"host":"192.0.2.11","port":0}"#),
        ("/skydns/local/s/dns/stub/named", r#"{"host":"192.0.2.12"}"#),
        ("/skydns/local/s/dns/stub/org/bad/ns", r#"{"host":"ns.example"}"#),
        ("/skydns/local/s/dns/other/org/ns", r#"{"host":"192.0.2.13"}"#),
        ("/skydns/local/elsewhere/dns/stub/org/x/ns", r#"{"host":"192.0.2.14"}"#),
    ];
    let apply = |model: &mut Model, keys: &[(&str, &str)]| {
        let value = |value: &str| Some(value.as_bytes().to_vec()).filter(|value| !value.is_empty());
        let updates = keys.iter().map(|(key, text)| (key.as_bytes().to_vec(), value(text))).collect();
        model.apply(updates, 1)
    };
    let mut without = Model::new(vec![tree(Layout::SkyDns, &["s.local."])].into(), None, Status::Up);
    assert_eq!(apply(&mut without, &keys).stubs, None);
    let with = Tree { stub_zones: true, ..tree(Layout::SkyDns, &["s.local."]) };
    let mut model = Model::new(vec![with].into(), None, Status::Up);
    let outcome = apply(&mut model, &keys);
    assert_eq!(
        stubs(&outcome.stubs.unwrap()),
        ["sub.s.local. [192.0.2.11:53]", "example.org. [[2001:db8::1]:5353, 192.0.2.10:53]"]
    );
    let faults: Vec<String> = outcome.faults.iter().map(|(_, fault)| fault.to_string()).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("names no zone between dns/stub")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("host is no address that could be asked")), "{faults:?}");
    let outcome = apply(&mut model, &[(keys[0].0, ""), (keys[2].0, "")]);
    assert_eq!(stubs(&outcome.stubs.unwrap()), ["example.org. [[2001:db8::1]:5353]"]);
    assert_eq!(apply(&mut model, &[("/skydns/local/s/www", r#"{"host":"192.0.2.1"}"#)]).stubs, None);
}
