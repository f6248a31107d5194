//! What all trees have in common: how they are tried, malformed values, and what changes of keys do to owners.

mod cases;
mod containerdns;
mod health;
mod kdns;
mod skydns;
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
        stub_zones: false,
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
