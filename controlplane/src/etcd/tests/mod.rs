//! Every rule of the trees of ContainerDNS and SkyDNS, and what changes of keys do to owners.

mod cases;
mod health;
mod kdns;
mod wildcards;

use std::sync::Arc;

use ringdns_engine::select::Mode;

use super::client::ranges;
use super::layout::{Generation, Layout, Tree};
use super::model::{Model, OWNER_KEYS_MAX};
use crate::health::{AllDown, Said, Status};
use crate::model::{Change, Rrset};
use crate::text::{rdata, rtype};

/// A tree with its usual prefix.
fn tree(layout: Layout, zones: &[&str]) -> Tree {
    let (prefix, ttl_seconds) = match layout {
        Layout::ContainerDns => ("/containerdns", 10),
        Layout::SkyDns => ("/skydns", 300),
        Layout::Kdns => ("/kdns", 30),
    };
    let zones = zones.iter().map(|zone| zone.parse().unwrap()).collect();
    Tree {
        layout,
        prefix: prefix.to_owned(),
        zones,
        ttl_seconds,
        skip_domain: false,
        answers: Mode::All,
        health: layout == Layout::ContainerDns,
        all_down: AllDown::All,
        wildcard_names_max: 0,
        generation: Generation::CoreDns,
        local: None,
    }
}

/// A model, and what is served of it.
struct Tried {
    model: Model,
    /// By owner, type and view.
    served: std::collections::BTreeMap<(String, u16, String), String>,
    /// Clients of views, as they were said last.
    clients: Vec<String>,
    /// What was said of addresses by the last updates.
    members: Vec<String>,
    faults: Vec<String>,
    revision: u32,
}

/// What tells an RRset from others, and its text: TTL, records, and how they are chosen from.
fn shown(rrset: &Rrset) -> ((String, u16, String), String) {
    let view = rrset.view.as_deref().map(|view| format!("@{view}")).unwrap_or_default();
    let records: Vec<String> = rrset.rdatas.iter().map(|data| rdata::show(rrset.rtype, data)).collect();
    let mut text = format!("{} {}", rrset.ttl, records.join(" + "));
    if let Some(selection) = &rrset.selection {
        text.push_str(&format!(" {:?}", selection.mode));
        if selection.answers_max > 0 {
            text.push_str(&format!(" max {}", selection.answers_max));
        }
        for member in &selection.members {
            text.push_str(&format!(" {}{}", member.weight, if member.up { "" } else { "-" }));
        }
    }
    ((rrset.owner.to_string(), rrset.rtype, view), text)
}

/// What was said of an address: it, its status, since when, by whom and why.
fn member(address: std::net::IpAddr, said: Option<Said>) -> String {
    match said {
        None => format!("{address} unknown"),
        Some(Said { status, since, error, by }) => {
            format!("{address} {} {} {by} {error}", status.word(), since.unwrap_or_default()).trim_end().to_owned()
        }
    }
}

impl Tried {
    fn new(trees: Vec<Tree>) -> Self {
        let status_path = Some(b"/containerdns/monitor/status".to_vec());
        let model = Model::new(trees.into(), status_path, Status::Up);
        let (served, clients, members, faults) = Default::default();
        Self { model, served, clients, members, faults, revision: 0 }
    }

    fn containerdns() -> Self {
        Self::new(vec![tree(Layout::ContainerDns, &["c.local.", "other.", "10.in-addr.arpa."])])
    }

    fn skydns() -> Self {
        Self::new(vec![tree(Layout::SkyDns, &["s.local.", "example.org.", "10.in-addr.arpa."])])
    }

    /// Applies updates; an empty value deletes. Gives the number of changes beside SOA records.
    fn apply(&mut self, updates: &[(&str, &str)]) -> usize {
        self.revision += 1;
        let update = |(key, value): &(&str, &str)| {
            (
                key.as_bytes().to_vec(),
                Some(*value).filter(|value| !value.is_empty()).map(|value| value.as_bytes().to_vec()),
            )
        };
        let outcome = self.model.apply(updates.iter().map(update).collect(), self.revision);
        self.faults =
            outcome.faults.iter().map(|(key, fault)| format!("{}: {fault}", String::from_utf8_lossy(key))).collect();
        let mut count = 0;
        self.members.clear();
        for change in outcome.changes {
            match change {
                Change::Put { rrset, .. } if rrset.rtype == rtype::SOA => {}
                Change::Put { rrset, .. } => {
                    count += 1;
                    let (key, text) = shown(&rrset);
                    self.served.insert(key, text);
                }
                Change::Remove { owner, rtype, view, .. } => {
                    count += 1;
                    let view = view.map(|view| format!("@{view}")).unwrap_or_default();
                    assert!(self.served.remove(&(owner.to_string(), rtype, view)).is_some(), "{owner} was not served");
                }
                Change::SetViews(clients) => {
                    self.clients = clients.iter().map(|(network, view)| format!("{network} {view}")).collect();
                }
                Change::SetMembers(said) => {
                    assert_eq!(count, 0, "what is known of members comes before their records");
                    self.members = said.into_iter().map(|(address, said)| member(address, said)).collect();
                }
                other => panic!("{other:?}"),
            }
        }
        count
    }

    /// True where the name has addresses.
    fn has(&self, name: &str) -> bool {
        self.served.contains_key(&(name.to_owned(), 1, String::new()))
    }

    /// What is served, one line an RRset.
    fn lines(&self) -> Vec<String> {
        let line = |((owner, number, view), text): (&(String, u16, String), &String)| {
            format!("{owner}{view} {} {text}", rtype::show(*number))
        };
        self.served.iter().map(line).collect()
    }

    /// Applies to an empty model and gives what is served.
    fn serve(mut self, updates: &[(&str, &str)]) -> Vec<String> {
        self.apply(updates);
        assert_eq!(self.faults, Vec::<String>::new());
        self.lines()
    }
}

#[test]
fn containerdns_addresses_lose_the_record_s_own_label_and_aliases_do_not() {
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/cctv2/4af19cb2/", r#"{"host":"192.168.10.1","type":"A","ttl":30,"user":"u1"}"#),
        ("/containerdns/local/c/cctv2/49f19b1f/", r#"{"host":"192.168.10.2","type":"A","ttl":20}"#),
        ("/containerdns/local/c/cctv2/six/", r#"{"host":"2001:db8::1","type":"A"}"#),
        ("/containerdns/local/c/tv1/", r#"{"host":"cctv2.c.local.","type":"CNAME","ttl":30,"user":"u1"}"#),
        ("/containerdns/local/c/tv2/x/", r#"{"host":"CCTV2.c.local","type":"a","ttl":9}"#),
        ("/containerdns/other/www/x", r#"{"host":"192.0.2.1","type":"A","ttl":0}"#),
        ("/containerdns/monitor/status/192.168.10.1", r#"{"status":"UP"}"#),
        ("/containerdns/local/d/www/x/", "no JSON, and no zone of ours"),
    ]);
    assert_eq!(
        lines,
        [
            "cctv2.c.local. A 20 192.168.10.2 + 192.168.10.1",
            "cctv2.c.local. AAAA 10 2001:db8::1",
            "tv1.c.local. CNAME 30 cctv2.c.local.",
            "tv2.c.local. CNAME 9 CCTV2.c.local.",
            "www.other. A 0 192.0.2.1",
        ]
    );
}

#[test]
fn containerdns_services_have_shares_of_a_hundred_and_the_addresses_of_their_targets() {
    let mut tried = Tried::containerdns();
    let pod = "/containerdns/local/c/svc/default/db/pod-0/";
    let service = "/containerdns/local/c/svc/default/db/_tcp/_sql/pod-0/";
    let srv = r#"{"type":"SRV","source":"svc","host":"pod-0.db.default.svc.c.local.","ttl":30,"port":3306,"priority":10,"weight":10}"#;
    tried.apply(&[(pod, r#"{"type":"A","source":"pod","host":"10.1.2.3","ttl":30}"#)]);
    assert_eq!(tried.lines(), ["db.default.svc.c.local. A 30 10.1.2.3"], "not by its own label without a service");
    tried.apply(&[(service, srv)]);
    assert_eq!(
        tried.lines(),
        [
            "_sql._tcp.db.default.svc.c.local. SRV 30 10 100 3306 pod-0.db.default.svc.c.local.",
            "db.default.svc.c.local. A 30 10.1.2.3",
            "pod-0.db.default.svc.c.local. A 30 10.1.2.3",
        ]
    );
    assert_eq!(tried.apply(&[(service, "")]), 2, "the target's addresses go with the service");
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/s/a/", r#"{"type":"SRV","host":"10.0.0.1","port":1,"weight":1}"#),
        ("/containerdns/local/c/s/b/", r#"{"type":"SRV","host":"b.example.","port":2,"weight":2}"#),
        ("/containerdns/local/c/s/c/", r#"{"type":"SRV","host":"c.example.","port":3,"priority":20}"#),
    ]);
    assert_eq!(lines[0], "a.s.c.local. A 10 10.0.0.1");
    assert_eq!(lines[1], "s.c.local. SRV 10 10 33 1 a.s.c.local. + 10 66 2 b.example. + 20 100 3 c.example.");
}

#[test]
fn containerdns_zones_have_their_own_records_below_names_of_their_own() {
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/dns/ns/n1/", r#"{"host":"10.0.0.2","type":"NS","ttl":30}"#),
        ("/containerdns/local/c/dns/ns/dns/dns-ip/x/", r#"{"host":"10.0.0.3","type":"A"}"#),
        ("/containerdns/local/c/mail/m1/", r#"{"host":"mx.c.local","type":"MX","mail":true,"priority":5}"#),
        ("/containerdns/local/c/mail/m2/", r#"{"host":"10.0.0.4","type":"MX","mail":true}"#),
        ("/containerdns/local/c/txt/t1/", r#"{"type":"TXT","text":"v=spf1 -all"}"#),
        ("/containerdns/local/c/www/t1/", r#"{"type":"TXT","text":"hello"}"#),
    ]);
    assert_eq!(
        lines,
        [
            "c.local. A 10 10.0.0.3",
            "c.local. NS 30 n1.c.local.",
            "c.local. MX 10 5 mx.c.local. + 10 m2.mail.c.local.",
            "c.local. TXT 10 \"v=spf1 -all\"",
            "dns-ip.dns.ns.dns.c.local. A 10 10.0.0.3",
            "m2.mail.c.local. A 10 10.0.0.4",
            "n1.c.local. A 30 10.0.0.2",
            "www.c.local. TXT 10 \"hello\"",
        ]
    );
}

#[test]
fn the_label_left_of_the_zone_is_left_out_where_that_is_wanted() {
    let trees = vec![Tree { skip_domain: true, ..tree(Layout::ContainerDns, &["c.local."]) }];
    let lines = Tried::new(trees).serve(&[
        ("/containerdns/local/c/svc/default/nginx/x/", r#"{"type":"A","host":"10.0.0.1"}"#),
        ("/containerdns/local/c/a/x/", r#"{"type":"A","host":"10.0.0.2"}"#),
    ]);
    assert_eq!(lines, ["a.c.local. A 10 10.0.0.2", "nginx.default.c.local. A 10 10.0.0.1"]);
}

#[test]
fn a_malformed_value_spoils_itself_alone_and_is_named() {
    let mut tried = Tried::containerdns();
    let long = format!("{{\"type\":\"TXT\",\"text\":\"{}\"}}", "x".repeat(9000));
    for (key, value, fault) in [
        ("www/a/", "{", "EOF"),
        ("www/a/", r#"{"host":"10.0.0.1"}"#, "type is missing"),
        ("www/a/", r#"{"type":"LOC","host":"10.0.0.1"}"#, "type \"LOC\" is not known"),
        ("www/a/", r#"{"type":"A"}"#, "host is missing"),
        ("www/a/", r#"{"type":"A","host":"a..b"}"#, "neither address nor name"),
        ("www/a/", r#"{"type":"SRV","host":"a.","port":70000}"#, "70000"),
        ("www/a/", r#"{"type":"A","host":"10.0.0.1","ttl":-1}"#, "-1"),
        ("www/a/", r#"{"type":"TXT"}"#, "text is missing"),
        ("www/a/", r#"{"type":"NS","host":"10.0.0.1"}"#, "below ns.dns"),
        ("dns/ns/a/", r#"{"type":"NS","host":"ns.example."}"#, "is an address"),
        ("www//a/", r#"{"type":"A","host":"10.0.0.1"}"#, "empty label"),
        ("www.x/a/", r#"{"type":"A","host":"10.0.0.1"}"#, "dot in it"),
        ("www/a/", &long, "longer than 8192"),
    ] {
        let good = ("/containerdns/local/c/www/good/", r#"{"type":"A","host":"10.0.0.9"}"#);
        let key = format!("/containerdns/local/c/{key}");
        tried.apply(&[(&key, value), good]);
        assert_eq!((tried.faults.len(), tried.model.malformed()), (1, 1), "{value}");
        assert!(tried.faults[0].starts_with(&key) && tried.faults[0].contains(fault), "{}", tried.faults[0]);
        assert_eq!(tried.lines(), ["www.c.local. A 10 10.0.0.9"]);
        tried.apply(&[(&key, "")]);
        assert_eq!(tried.model.malformed(), 0);
    }
    let label = format!("/containerdns/local/c/{}/a/", "x".repeat(64));
    tried.apply(&[(&label, r#"{"type":"A","host":"10.0.0.1"}"#)]);
    assert!(tried.faults[0].contains("63"), "{}", tried.faults[0]);
    let ttl = r#"{"type":"A","host":"10.0.0.1","ttl":4294967295}"#;
    tried.apply(&[(&label, ""), ("/containerdns/local/c/t/a/", ttl)]);
    assert!(tried.lines().contains(&"t.c.local. A 2147483647 10.0.0.1".to_owned()), "RFC 2181 section 8");
}

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
fn a_zone_has_the_addresses_of_all_that_is_below_it_unless_keys_are_for_it() {
    let key = |number: usize| format!("/skydns/local/s/many/{number}");
    let mut tried = Tried::skydns();
    for number in 0..=OWNER_KEYS_MAX {
        assert_eq!(tried.has("s.local."), number > 0, "{number}");
        tried.apply(&[(&key(number), r#"{"host":"10.0.0.1"}"#)]);
    }
    assert!(!tried.has("s.local."), "too many");
    tried.apply(&[
        ("/skydns/local/s/dns/ns/n", r#"{"host":"10.0.0.2"}"#),
        ("/skydns/local/s/dns/apex", r#"{"host":"10.0.0.3"}"#),
    ]);
    let own = |tried: &Tried| -> Vec<String> {
        tried.lines().into_iter().filter(|line| line.starts_with("s.local. ") && !line.contains(" SRV ")).collect()
    };
    assert_eq!(own(&tried), ["s.local. A 300 10.0.0.3", "s.local. NS 300 n.ns.dns.s.local."], "its own stay");
    let gone: Vec<String> = (1..=OWNER_KEYS_MAX).map(key).collect();
    tried.apply(&gone.iter().map(|key| (key.as_str(), "")).collect::<Vec<_>>());
    assert_eq!(own(&tried), ["s.local. A 300 10.0.0.3", "s.local. NS 300 n.ns.dns.s.local."]);
    tried.apply(&[("/skydns/local/s/dns/apex", "")]);
    assert_eq!(own(&tried)[0], "s.local. A 300 10.0.0.2 + 10.0.0.1");
    let skydns = Tree { generation: Generation::SkyDns, ..tree(Layout::SkyDns, &["s.local."]) };
    let keys = [(key(0), "10.0.0.1"), ("/skydns/local/s/dns/apex".to_owned(), "10.0.0.3")];
    let keys = keys.map(|(key, host)| (key, format!("{{\"host\":\"{host}\",\"ttl\":900}}")));
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let lines = Tried::new(vec![Tree { local: Some("0.many.s.local.".parse().unwrap()), ..skydns }]).serve(&keys);
    assert!(lines.contains(&"s.local. A 300 10.0.0.3 + 10.0.0.1".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"local.dns.s.local. A 300 10.0.0.1".to_owned()),
        "no TTL is longer than the tree's: {lines:?}"
    );
}

#[test]
fn names_with_too_much_below_them_are_not_answered() {
    let mut tried = Tried::skydns();
    let key = |number: usize| format!("/skydns/local/s/many/{number}");
    for number in 0..=OWNER_KEYS_MAX {
        let has = tried.has("many.s.local.");
        assert_eq!(has, number > 0, "{number}");
        tried.apply(&[(&key(number), r#"{"host":"10.0.0.1"}"#)]);
    }
    assert!(!tried.has("many.s.local."));
    tried.apply(&[(&key(0), "")]);
    assert!(tried.has("many.s.local."), "and again when it is less");
}

#[test]
fn only_what_differs_is_a_change_and_an_alias_makes_room() {
    let mut tried = Tried::containerdns();
    let (www, two) = ("/containerdns/local/c/www/1/", "/containerdns/local/c/www/2/");
    let a = r#"{"type":"A","host":"10.0.0.1"}"#;
    assert_eq!(tried.apply(&[(www, a)]), 1);
    assert_eq!(tried.apply(&[(www, a)]), 0, "the same value");
    assert_eq!(tried.apply(&[(www, r#"{"type":"A","host":"10.0.0.1","user":"u"}"#)]), 0, "the same record");
    assert_eq!(tried.apply(&[(two, a)]), 0, "a second key with the same record");
    assert_eq!(tried.apply(&[(www, "")]), 0);
    assert_eq!(tried.lines(), ["www.c.local. A 10 10.0.0.1"]);
    assert_eq!(tried.apply(&[(www, r#"{"type":"A","host":"x.example."}"#)]), 0, "an alias beside an address");
    assert_eq!(tried.apply(&[(two, "")]), 2);
    assert_eq!(tried.lines(), ["www.c.local. CNAME 10 x.example."]);
    assert_eq!(tried.apply(&[(two, a), (two, ""), (two, a)]), 2, "the last update of a key counts");
    assert_eq!(tried.lines(), ["www.c.local. A 10 10.0.0.1"]);
}

#[test]
fn a_page_replaces_the_keys_that_it_is_about() {
    let mut tried = Tried::containerdns();
    let a = r#"{"type":"A","host":"10.0.0.1"}"#;
    let key = |name: &str| format!("/containerdns/local/c/{name}/x/");
    for name in ["a", "b", "c", "d"] {
        tried.apply(&[(&key(name), a)]);
    }
    let page = vec![(key("b").into_bytes(), a.into()), (key("bb").into_bytes(), a.into())];
    let updates = tried.model.replacing(key("b").as_bytes(), key("d").as_bytes(), page);
    let gone: Vec<String> = updates
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| String::from_utf8(key.clone()).unwrap())
        .collect();
    assert_eq!(gone, [key("c")], "a and d are of other pages");
    let changes = tried.model.apply(updates, 9).changes;
    assert_eq!(changes.len(), 3, "bb comes, c goes, the serial rises: {changes:?}");
}

#[test]
fn ranges_are_read_once_and_nothing_beside_them() {
    let trees =
        [tree(Layout::ContainerDns, &["c.local.", "x.c.local.", "cc.local."]), tree(Layout::SkyDns, &["c.local."])];
    let found = ranges(&trees, None);
    let paths: Vec<&str> = found.iter().map(|range| str::from_utf8(&range.first).unwrap()).collect();
    assert_eq!(paths, ["/containerdns/local/c", "/containerdns/local/cc", "/skydns/local/c"]);
    assert_eq!(found[0].end, b"/containerdns/local/c0");
    assert!(found[0].has(b"/containerdns/local/c/a") && found[0].has(b"/containerdns/local/c"));
    assert!(!found[0].has(b"/containerdns/local/c-a") && !found[0].has(b"/containerdns/local/cc/a"));
}

#[test]
fn an_inner_zone_has_the_names_below_it_and_other_trees_none() {
    let trees = vec![tree(Layout::ContainerDns, &["local."]), tree(Layout::SkyDns, &["in.local."])];
    let mut tried = Tried::new(trees);
    tried.apply(&[
        ("/containerdns/local/in/www/x/", r#"{"type":"A","host":"10.0.0.1"}"#),
        ("/skydns/local/in/www", r#"{"host":"10.0.0.2"}"#),
    ]);
    let addresses = |line: &String| line.contains(" A ");
    let lines: Vec<String> = tried.lines().into_iter().filter(addresses).collect();
    assert_eq!(lines, ["in.local. A 300 10.0.0.2", "www.in.local. A 300 10.0.0.2"]);
}
