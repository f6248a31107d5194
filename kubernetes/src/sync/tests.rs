//! The board without etcd: what is written, taken as if it had been carried out.

use std::collections::BTreeMap;
use std::path::Path;

use ringdns_controlplane::config::KubesyncRole;
use ringdns_health::follow::{Change, News};
use ringdns_health::link::{Entry, Listing};
use ringdns_health::scheduler::fence::Write;

use super::board::{Board, PLACES, Place};
use super::unit::Unit;
use crate::object::{Endpoint, Event, Key, Kind, Object, Pod, Port, Protocol, Service, ServiceKind, Slice};

/// A board, and an etcd that does what it is told.
struct Bench {
    /// The board.
    board: Board,
    /// Keys with values and revisions.
    keys: BTreeMap<String, (Vec<u8>, i64)>,
    /// The revision.
    revision: i64,
}

impl Bench {
    /// An empty etcd that was listed, and a cluster that was told.
    fn start(lines: &str) -> Self {
        let text = format!("[etcd]\nendpoints = [\"http://a:1\"]\n[kubesync]\n{lines}\n");
        let role = KubesyncRole::parse(Path::new("/r.toml"), &text).unwrap();
        let mut bench = Self { board: Board::new(&role.kubesync, true), keys: BTreeMap::new(), revision: 1 };
        bench.list();
        bench.board.told();
        bench
    }

    /// Lists everything.
    fn list(&mut self) {
        for place in PLACES {
            let Some(path) = self.board.path(place).map(|path| format!("{path}/")) else { continue };
            let below = self.keys.iter().filter(|(key, _)| key.starts_with(&path));
            let entries = below.map(|(key, (value, revision))| entry(key, value, *revision)).collect();
            self.board.news(place, News::Listed(Listing { entries, revision: self.revision }));
        }
    }

    /// Tells the board of a change.
    fn tell(&mut self, key: &str, change: &Change) {
        let is_in = |place: &Place| self.board.path(*place).is_some_and(|path| key.starts_with(&format!("{path}/")));
        if let Some(place) = PLACES.into_iter().find(is_in) {
            self.board.news(place, News::Changed(vec![change.clone()]));
        }
    }

    /// Writes a key as somebody else.
    fn put(&mut self, key: &str, value: &str) {
        self.carry_out(&Write { key: key.to_owned(), known: 0, value: Some(value.into()), lease: 0 });
    }

    /// Carries out a write.
    fn carry_out(&mut self, write: &Write) {
        self.revision += 1;
        let change = match &write.value {
            Some(value) => {
                self.keys.insert(write.key.clone(), (value.clone(), self.revision));
                Change::Put(entry(&write.key, value, self.revision))
            }
            None => {
                self.keys.remove(&write.key).unwrap();
                Change::Deleted { key: write.key.clone(), revision: self.revision }
            }
        };
        self.tell(&write.key, &change);
    }

    /// Writes all that is due, and says in how many keys, of transactions of so many writes.
    fn settle(&mut self, writes_max: usize) -> usize {
        let mut written = 0;
        for _ in 0..10_000 {
            let due = self.board.due(writes_max);
            if due.is_empty() {
                self.board.resume();
                if !self.board.has_work() {
                    return written;
                }
                continue;
            }
            for (unit, writes) in due {
                assert!(writes.len() <= writes_max);
                for write in &writes {
                    let known = self.keys.get(&write.key).map_or(0, |(_, revision)| *revision);
                    assert_eq!(write.known, known, "{}", write.key);
                    self.carry_out(write);
                    written += 1;
                }
                self.board.wrote(unit, &writes, self.revision);
                // What was seen before it was said to be written.
                self.put("/skydns/local/cluster/beat", "{}");
                self.put("/containerdns/local/cluster/beat", "{}");
                self.put("/ringdns/kubesync/skydns/cluster.local/written/beat", "{}");
                self.put("/ringdns/kubesync/containerdns/cluster.local/written/beat", "{}");
                self.put("/containerdns/monitor/status/192.0.2.255", "{}");
            }
        }
        panic!("it never settles")
    }

    /// The keys of records.
    fn records(&self) -> Vec<&str> {
        let keys = self.keys.keys().map(String::as_str);
        keys.filter(|key| !key.contains("beat") && !key.starts_with("/ringdns") && !key.contains("status")).collect()
    }
}

/// A key as it is listed.
fn entry(key: &str, value: &[u8], revision: i64) -> Entry {
    Entry { key: key.to_owned(), value: value.to_vec(), revision, created: revision, lease: 0 }
}

/// A key of an object.
fn key(name: &str) -> Key {
    Key { namespace: "a".into(), name: name.into() }
}

/// A Service at an address; without one it has none of its own.
fn service(name: &str, address: &str) -> Event {
    Event::Put(Object::Service(Service {
        key: key(name),
        kind: if address.is_empty() { ServiceKind::Headless } else { ServiceKind::ClusterIp },
        cluster_ips: address.parse().into_iter().collect(),
        external_ips: Vec::new(),
        ingress: Vec::new(),
        external_name: Box::default(),
        ports: vec![Port { name: "p".into(), protocol: Protocol::Tcp, number: 80 }],
        publish_not_ready: false,
        has_selector: true,
    }))
}

/// A slice of so many endpoints, from an address on.
fn slice(service: &str, first: u8, count: u8) -> Event {
    let endpoint = |number: u8| Endpoint {
        addresses: vec![[10, 9, 0, number].into()],
        hostname: Box::default(),
        pod: Box::default(),
        zone: Box::default(),
        ready: true,
    };
    Event::Put(Object::Slice(Slice {
        key: key(&format!("{service}-x")),
        service: service.into(),
        cluster: Box::default(),
        ports: Vec::new(),
        endpoints: (first..first + count).map(endpoint).collect(),
        triggered_ms: None,
    }))
}

#[test]
fn only_what_differs_is_written_and_what_is_gone_is_deleted() {
    let mut bench = Bench::start("layout = \"skydns\"");
    bench.board.take(service("web", "10.0.0.1"));
    // Address, port, ledger.
    assert_eq!(bench.settle(100), 3);
    bench.board.take(service("web", "10.0.0.1"));
    assert_eq!(bench.settle(100), 0);
    bench.board.take(service("web", "10.0.0.2"));
    let due = bench.board.due(100);
    let puts = due[0].1.iter().filter(|write| write.value.is_some()).count();
    assert_eq!((due.len(), due[0].1.len(), puts), (1, 5, 3), "one transaction has the new and the old");
    bench.board.postpone(due[0].0.clone());
    bench.settle(100);
    bench.list();
    assert_eq!(bench.settle(100), 0);
    bench.board.take(service("other", "10.0.0.3"));
    bench.board.take(Event::Gone(Kind::Service, key("web")));
    bench.settle(100);
    assert!(bench.records().iter().all(|key| key.contains("/other/")), "{:?}", bench.records());
}

#[test]
fn what_was_deleted_while_nobody_looked_goes_and_what_others_wrote_stays() {
    let mut bench = Bench::start("layout = \"skydns\"");
    bench.put("/skydns/local/cluster/svc/a/web/by-hand", "{\"host\":\"192.0.2.1\"}");
    bench.board.take(service("web", "10.0.0.1"));
    bench.board.take(service("stays", "10.0.0.3"));
    bench.settle(100);
    let mut later = Bench::start("layout = \"skydns\"");
    later.keys.clone_from(&bench.keys);
    later.revision = bench.revision;
    later.list();
    // Nothing is written while there is no Service at all.
    assert!(!later.board.has_work());
    later.board.take(service("stays", "10.0.0.3"));
    later.settle(100);
    let left = later.records();
    assert!(left.len() == 3 && left.iter().all(|key| key.contains("/stays/") || key.ends_with("by-hand")), "{left:?}");
}

#[test]
fn keys_that_others_have_are_left_unless_they_are_adopted() {
    let value = r#"{"host":"10.254.162.44","priority":10,"weight":10,"ttl":30,"targetstrip":0}"#;
    let (at, other) = ("/skydns/local/cluster/svc/a/web/2f1020d6", "/skydns/local/cluster/svc/a/web/_tcp/_p/2f1020d6");
    for (adopt, foreign, left) in [(false, 2, 2), (true, 1, 1)] {
        let mut bench = Bench::start(&format!("layout = \"skydns\"\nadopt = {adopt}"));
        bench.put(at, value);
        bench.put(other, "{\"host\":\"by.hand.\"}");
        bench.board.take(service("web", "10.254.162.44"));
        bench.board.take(service("stays", "10.0.0.3"));
        bench.settle(100);
        assert_eq!(bench.board.foreign.values().next().map(std::collections::BTreeSet::len), Some(foreign));
        bench.board.take(Event::Gone(Kind::Service, key("web")));
        bench.settle(100);
        let found = bench.records().into_iter().filter(|key| key.contains("/web/")).count();
        assert_eq!((found, bench.board.foreign.len()), (left, 0), "adopt = {adopt}");
    }
    let mut bench = Bench::start("layout = \"skydns\"");
    bench.board.take(service("web", "10.254.162.44"));
    bench.settle(100);
    bench.put(at, "{\"host\":\"192.0.2.1\"}");
    bench.settle(100);
    assert_eq!(bench.keys[at].0, b"{\"host\":\"192.0.2.1\"}");
    // What was deleted is written again.
    bench.carry_out(&Write { key: at.to_owned(), known: 0, value: None, lease: 0 });
    bench.settle(100);
    assert_eq!(bench.keys[at].0, value.as_bytes());
}

#[test]
fn large_units_grow_before_they_shrink() {
    let mut bench = Bench::start("layout = \"skydns\"");
    bench.board.take(service("big", ""));
    bench.board.take(slice("big", 0, 60));
    bench.settle(10);
    assert_eq!(bench.records().len(), 60);
    bench.board.take(slice("big", 60, 60));
    let mut least = usize::MAX;
    while bench.board.has_work() {
        for (unit, writes) in bench.board.due(10) {
            writes.iter().for_each(|write| bench.carry_out(write));
            bench.board.wrote(unit, &writes, bench.revision);
            bench.put("/skydns/local/cluster/beat", "{}");
            bench.put("/ringdns/kubesync/skydns/cluster.local/written/beat", "{}");
        }
        least = least.min(bench.records().len());
    }
    assert!(least >= 60, "{least} addresses were left");
    assert_eq!(bench.records().len(), 60);
    bench.board.take(service("other", "10.0.0.1"));
    bench.board.take(Event::Gone(Kind::Service, key("big")));
    bench.settle(10);
    assert_eq!(bench.records().len(), 2);
    assert_eq!(bench.board.ledgers.len(), 1);
}

#[test]
fn addresses_have_states_as_long_as_somebody_is_there() {
    let mut bench = Bench::start("layout = \"containerdns\"\npods = true\nservice_addresses = \"cluster-ip\"");
    let pod = Pod { key: key("db-0"), addresses: vec![[10, 9, 0, 5].into()] };
    bench.board.take(Event::Put(Object::Pod(pod)));
    bench.board.take(service("db", ""));
    bench.board.take(slice("db", 5, 1));
    // The state is there before the record is.
    let first = bench.board.due(100).into_iter().next().unwrap();
    assert!(matches!(first.0, Unit::Address(_)));
    bench.board.resume();
    bench.list();
    bench.settle(100);
    let at = "/containerdns/monitor/status/10.9.0.5";
    let state = |bench: &Bench| String::from_utf8(bench.keys[at].0.clone()).unwrap();
    let made = r#"{"status":"UP","ports":["80"],"domains":["db.a.svc.cluster.local.","db-0.a.svc.cluster.local."]}"#;
    assert_eq!(state(&bench), made);
    // A scanner writes it too.
    bench.put(at, &made.replace("UP", "DOWN"));
    bench.board.take(Event::Gone(Kind::Pod, key("db-0")));
    bench.settle(100);
    assert_eq!(state(&bench), r#"{"status":"DOWN","ports":["80"],"domains":["db.a.svc.cluster.local."]}"#);
    bench.board.take(slice("db", 6, 1));
    bench.settle(100);
    assert!(!bench.keys.contains_key(at) && bench.keys.contains_key("/containerdns/monitor/status/10.9.0.6"));
}
