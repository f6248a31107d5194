//! The store on a real etcd: several servers, one truth; killed, compacted, emptied and written by hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Client, Server, TOKEN, wait_until};
use crate::real::{Etcd, Way};
use serde_json::{Value, json};

/// Configuration of a server with its store in an etcd, and with more keys of `[store]`.
fn text(directory: &Path, endpoints: &[String], more: &str) -> String {
    let directory = directory.display();
    format!(
        "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [containerdns_api]\nlisten = \"127.0.0.1:0\"\ntoken = \"t\"\ndomains = [\"c.local\"]\n\
         [etcd]\nendpoints = {endpoints:?}\ntimeout_seconds = 3\n\
         [store]\npath = \"{directory}/ringdns.redb\"\nbackend = \"etcd\"\n{more}"
    )
}

/// A server on an etcd, with a file of its own.
struct Host {
    server: Server,
    directory: tempfile::TempDir,
}

impl Host {
    fn new(etcd: &Etcd) -> Self {
        Self::open(tempfile::tempdir().unwrap(), &endpoints(etcd), "")
    }

    /// A server over a file that may be there already; waits until it is read.
    fn open(directory: tempfile::TempDir, endpoints: &[String], more: &str) -> Self {
        let server = Server::start_text(directory.path(), &text(directory.path(), endpoints, more));
        Self { server, directory }
    }

    /// Ends it; its file stays.
    fn stop(self) -> tempfile::TempDir {
        self.server.stop();
        self.directory
    }

    /// Makes a zone.
    fn zone(&self, zone: &str) {
        assert_eq!(self.server.json("PUT", &format!("/api/v1/zones/{zone}"), "").0, 201);
    }

    /// Writes an address record of zone z; gives the status.
    fn put(&self, owner: &str, address: &str) -> (u16, Value) {
        let body = json!({"ttl": 60, "records": [address]}).to_string();
        self.server.json("PUT", &format!("/api/v1/zones/z/rrsets/{owner}/A"), &body)
    }

    /// The addresses of an owner of zone z.
    fn addresses(&self, owner: &str) -> Vec<String> {
        records(&self.server, "z", owner)
    }

    /// Waits until an owner has exactly this address, or none.
    fn wait_for(&self, owner: &str, address: Option<&str>) {
        let expected: Vec<&str> = address.into_iter().collect();
        wait_until(&format!("{owner} is {address:?}"), || self.addresses(owner) == expected);
    }

    /// What the replica says of itself.
    fn seen(&self) -> Value {
        self.server.get("/api/v1/status").1["store_etcd"].clone()
    }

    /// A POST of addresses to the ContainerDNS interface, which adds to what is there.
    fn add(&self, name: &str, addresses: &[String]) -> String {
        let client = Client { address: self.server.plane().containerdns_address().unwrap() };
        let body = json!({"type": "A", "ips": addresses}).to_string();
        client.request("POST", &format!("/containerdns/api/{name}.c.local?user=u&token=t"), &[], &body).body
    }
}

/// The addresses of an owner.
fn records(server: &Server, zone: &str, owner: &str) -> Vec<String> {
    let reply = server.request("GET", &format!("/api/v1/zones/{zone}/rrsets/{owner}/A"), &[], "");
    if reply.status != 200 {
        return Vec::new();
    }
    let records = reply.json()["records"].as_array().unwrap().clone();
    records.iter().map(|record| record.as_str().unwrap().to_owned()).collect()
}

/// Where an etcd's members are reached.
fn endpoints(etcd: &Etcd) -> Vec<String> {
    etcd.members.iter().map(crate::real::Member::endpoint).collect()
}

/// The keys and values of RRsets, but for SOA and NS records.
fn stored(etcd: &Etcd) -> Vec<(String, String)> {
    let all = etcd.all("/ringdns/rrsets/").into_iter();
    all.filter(|(key, _)| !key.ends_with("/SOA") && !key.ends_with("/NS")).collect()
}

/// Writes an RRset by hand.
fn by_hand(etcd: &Etcd, owner: &str, address: &str) {
    let value = json!({"ttl": 60, "records": [address]}).to_string();
    etcd.put(&format!("/ringdns/rrsets/z./{owner}.z./A"), &value);
}

#[test]
fn servers_see_each_other_s_writes_and_people_can_read_them() {
    let etcd = Etcd::start(1);
    let (a, b) = (Host::new(&etcd), Host::new(&etcd));
    a.zone("z");
    assert_eq!(a.put("www", "192.0.2.1").0, 201);
    assert_eq!(a.addresses("www"), ["192.0.2.1"], "served when it is answered");
    b.wait_for("www", Some("192.0.2.1"));
    assert_eq!(b.put("www", "192.0.2.2").0, 200, "it is there for the other");
    a.wait_for("www", Some("192.0.2.2"));
    let value = r#"{"owner":"www.z.","records":["192.0.2.2"],"ttl":60,"type":"A"}"#;
    assert_eq!(stored(&etcd), [("/ringdns/rrsets/z./www.z./A".to_owned(), value.to_owned())]);
    assert_eq!(etcd.all("/ringdns/zones/"), [("/ringdns/zones/z.".to_owned(), "{}".to_owned())]);
    let serial = |host: &Host| host.server.get("/api/v1/zones/z").1["soa"]["serial"].clone();
    assert_eq!((serial(&a), serial(&b)), (json!(3), json!(3)), "one serial for all");

    // Views and what interfaces keep beside RRsets go along.
    let (view, path) = (r#"{"prefixes":["192.0.2.0/24"]}"#, "/api/v1/views/office");
    assert_eq!(a.server.json("PUT", path, view).0, 201);
    assert_eq!(etcd.all("/ringdns/views/"), [("/ringdns/views/office".to_owned(), view.to_owned())]);
    wait_until("the view is there", || b.server.request("GET", path, &[], "").status == 200);
    assert_eq!(a.add("n", &["10.0.0.1".to_owned()]), "OK\n");
    wait_until("the note is there", || b.add("n", &["10.0.0.1".to_owned()]) == "ERR, set domain name error \n");

    assert_eq!(b.server.json("DELETE", "/api/v1/zones/z", "").0, 204);
    wait_until("the zone is gone", || a.server.request("GET", "/api/v1/zones/z", &[], "").status == 404);
    assert!(stored(&etcd).iter().all(|(key, _)| key.starts_with("/ringdns/rrsets/c.local./")), "nothing is left of it");
    a.zone("z");
    wait_until("the zone is back", || b.server.request("GET", "/api/v1/zones/z", &[], "").status == 200);
    assert_eq!(b.put("new", "192.0.2.3").0, 201);
    a.wait_for("new", Some("192.0.2.3"));
    assert!(a.addresses("www").is_empty());
    a.stop();
    b.stop();
}

#[test]
fn writers_on_two_servers_lose_nothing() {
    let etcd = Etcd::start(1);
    let hosts = [Host::new(&etcd), Host::new(&etcd)];
    hosts[0].zone("z");
    wait_until("both have the zone", || hosts[1].server.request("GET", "/api/v1/zones/z", &[], "").status == 200);
    let made: Vec<usize> = std::thread::scope(|scope| {
        let work = |(number, host)| {
            move || {
                let mut made = 0;
                for step in 0..40 {
                    // Each reads what is there and adds to it.
                    assert_eq!(Host::add(host, "all", &[format!("10.{number}.0.{step}")]), "OK\n");
                    let body = json!({"owner": format!("n{step}"), "type": "A", "ttl": 60, "records": ["192.0.2.1"]});
                    let (status, reply) = host.server.json("POST", "/api/v1/zones/z/rrsets", &body.to_string());
                    assert!(status == 201 || status == 409, "{status} {reply}");
                    made += usize::from(status == 201);
                }
                made
            }
        };
        let threads: Vec<_> = hosts.iter().enumerate().map(|host| scope.spawn(work(host))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().sum::<usize>(), 40, "each was made once: {made:?}");
    for host in &hosts {
        wait_until("all are there", || records(&host.server, "c.local", "all").len() == 80);
    }
    // More than etcd takes in a plain transaction.
    let many: Vec<String> = (0..300).map(|number| format!("10.9.{}.{}", number / 200, number % 200)).collect();
    let client = Client { address: hosts[0].server.plane().containerdns_address().unwrap() };
    let body = json!({"type": "SRV", "ips": many, "ports": vec![80; 300]}).to_string();
    let reply = client.request("POST", "/containerdns/api/many.c.local?user=u&token=t", &[], &body);
    assert_eq!(reply.body, "OK\n");
    let below = || etcd.all("/ringdns/rrsets/c.local./").iter().filter(|(key, _)| key.contains(".many.")).count();
    assert_eq!(below(), 300);
}

#[test]
fn conditional_writes_on_two_servers_count_right() {
    let etcd = Etcd::start(1);
    let hosts = [Host::new(&etcd), Host::new(&etcd)];
    hosts[0].zone("z");
    let path = "/api/v1/zones/z/rrsets/count/TXT";
    let body = |count: u32| json!({"ttl": 60, "records": [format!("\"{count}\"")]}).to_string();
    assert_eq!(hosts[0].server.json("PUT", path, &body(0)).0, 201);
    // The number and the tag that it has.
    let look = |host: &Host| {
        let reply = host.server.request("GET", path, &[], "");
        let number = |reply: &crate::common::Reply| {
            reply.json()["records"][0].as_str().unwrap().trim_matches('"').parse::<u32>().unwrap()
        };
        (reply.status == 200).then(|| (number(&reply), reply.header("etag").unwrap().to_owned()))
    };
    wait_until("both have it", || look(&hosts[1]).is_some());
    std::thread::scope(|scope| {
        for host in hosts.iter().flat_map(|host| [host, host]) {
            scope.spawn(move || {
                let authorization = format!("Bearer {TOKEN}");
                for _ in 0..25 {
                    wait_until("the number is raised", || {
                        let (number, tag) = look(host).unwrap();
                        let headers = [("authorization", authorization.as_str()), ("if-match", tag.as_str())];
                        let reply = host.server.request("PUT", path, &headers, &body(number + 1));
                        assert!(reply.status == 200 || reply.status == 412, "{reply:?}");
                        reply.status == 200
                    });
                }
            });
        }
    });
    for host in &hosts {
        wait_until("each increment is there", || look(host).unwrap().0 == 100);
    }
}

#[test]
fn what_was_acknowledged_survives_the_death_of_etcd() {
    let mut etcd = Etcd::start(1);
    let (a, b) = (Host::new(&etcd), Host::new(&etcd));
    a.zone("z");
    wait_until("both have the zone", || b.server.request("GET", "/api/v1/zones/z", &[], "").status == 200);
    let ends = AtomicBool::new(false);
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let write = |(number, host)| {
            let ends = &ends;
            move || {
                let mut acknowledged = Vec::new();
                for step in 0.. {
                    let owner = format!("w{number}-{step}");
                    let (status, reply) = Host::put(host, &owner, "192.0.2.1");
                    match status {
                        201 => acknowledged.push(owner),
                        503 => assert_eq!(reply["error"]["code"], "etcd_unavailable", "{reply}"),
                        other => panic!("{other} {reply}"),
                    }
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                }
                acknowledged
            }
        };
        let threads: Vec<_> = [&a, &b].into_iter().enumerate().map(|host| scope.spawn(write(host))).collect();
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(400));
            etcd.members[0].kill();
            std::thread::sleep(std::time::Duration::from_millis(100));
            etcd.members[0].start();
            wait_until("both write again", || [&a, &b].iter().all(|host| host.seen()["connected"] == json!(true)));
        }
        ends.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(acknowledged.len() > 20, "{} writes are too few to say anything", acknowledged.len());
    let keys: Vec<String> = stored(&etcd).into_iter().map(|(key, _)| key).collect();
    for owner in &acknowledged {
        assert!(keys.contains(&format!("/ringdns/rrsets/z./{owner}.z./A")), "{owner} is lost");
    }
    for host in [&a, &b] {
        wait_until("all of etcd's are served, and no other", || {
            keys.iter().all(|key| !host.addresses(key.split('/').nth(4).unwrap()).is_empty())
        });
        let (_, listed) = host.server.get("/api/v1/zones/z/rrsets?limit=1000");
        if listed["next"].is_null() {
            assert_eq!(listed["rrsets"].as_array().unwrap().len(), keys.len() + 2);
        }
    }
}

#[test]
fn a_replica_is_served_without_etcd() {
    let mut etcd = Etcd::start(1);
    let host = Host::new(&etcd);
    host.zone("z");
    assert_eq!(host.put("www", "192.0.2.1").0, 201);
    etcd.members[0].kill();
    wait_until("it is noticed", || host.seen()["connected"] == json!(false));
    let (status, reply) = host.put("www", "192.0.2.9");
    assert_eq!((status, &reply["error"]["code"]), (503, &json!("etcd_unavailable")), "{reply}");
    assert!(reply["error"]["message"].as_str().unwrap().contains("etcd is away"), "{reply}");
    assert!(reply["error"]["remedy"].as_str().unwrap().contains("etcdctl"), "{reply}");
    assert_eq!(host.addresses("www"), ["192.0.2.1"]);

    let host = Host::open(host.stop(), &endpoints(&etcd), "");
    assert_eq!(host.addresses("www"), ["192.0.2.1"], "after a start without etcd");
    assert_eq!(host.put("www", "192.0.2.9").0, 503);
    etcd.members[0].start();
    wait_until("it takes writes again", || host.put("www", "192.0.2.2").0 == 200);
    assert_eq!(host.addresses("www"), ["192.0.2.2"]);

    // A file that never was a replica has nothing to serve, and says so.
    etcd.members[0].kill();
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_text_unsynced(directory.path(), &text(directory.path(), &endpoints(&etcd), ""));
    let seen = || server.get("/api/v1/status").1["store_etcd"]["error"].is_string();
    wait_until("it has looked for etcd", seen);
    assert!(!server.plane().is_synced());
}

#[test]
fn keys_written_by_hand_are_served_and_a_malformed_one_spoils_itself() {
    let etcd = Etcd::start(1);
    let host = Host::new(&etcd);
    by_hand(&etcd, "early", "192.0.2.7");
    etcd.put("/ringdns/nonsense", "x");
    wait_until("both are told of", || host.seen()["malformed_keys"] == json!(2));
    host.zone("z");
    host.wait_for("early", Some("192.0.2.7"));
    assert_eq!(host.seen()["malformed_keys"], json!(1), "its zone is there");
    by_hand(&etcd, "www", "192.0.2.1");
    host.wait_for("www", Some("192.0.2.1"));
    etcd.put("/ringdns/rrsets/z./www.z./A", r#"{"ttl":60,"records":["nowhere"]}"#);
    etcd.put("/ringdns/rrsets/z./WWW.z./A", r#"{"ttl":60,"records":["192.0.2.3"]}"#);
    host.wait_for("www", None);
    wait_until("they are counted", || host.seen()["malformed_keys"] == json!(3));
    let metrics = host.server.request("GET", "/metrics", &[], "").body;
    assert!(metrics.contains("ringdns_store_etcd_malformed_keys{} 3"), "{metrics}");
    assert_eq!(host.addresses("early"), ["192.0.2.7"]);
    assert_eq!(host.put("www", "192.0.2.4").0, 201, "a write puts it right");
    assert_eq!(host.seen()["malformed_keys"], json!(2));

    // A zone that is taken away takes its records along, and gives them back.
    etcd.delete("/ringdns/zones/z.");
    wait_until("the zone is gone", || host.server.request("GET", "/api/v1/zones/z", &[], "").status == 404);
    etcd.put("/ringdns/zones/z.", "{}");
    host.wait_for("www", Some("192.0.2.4"));
    let directory = host.stop();
    etcd.delete("/ringdns/rrsets/z./www.z./A");
    let host = Host::open(directory, &endpoints(&etcd), "");
    host.wait_for("www", None);
    host.wait_for("early", Some("192.0.2.7"));
}

#[test]
fn what_is_missed_and_forgotten_is_found_by_comparing() {
    let etcd = Etcd::start(1);
    let way = Way::to(etcd.members[0].port);
    let near = [format!("http://127.0.0.1:{}", way.port)];
    let (far, host) = (Host::new(&etcd), Host::open(tempfile::tempdir().unwrap(), &near, ""));
    far.zone("z");
    for owner in ["stays", "goes", "changes"] {
        assert_eq!(far.put(owner, "192.0.2.1").0, 201);
    }
    host.wait_for("changes", Some("192.0.2.1"));
    way.cut(true);
    wait_until("it is noticed", || host.seen()["connected"] == json!(false));
    assert_eq!(far.put("changes", "192.0.2.2").0, 200);
    assert_eq!(far.put("comes", "192.0.2.3").0, 201);
    assert_eq!(far.server.json("DELETE", "/api/v1/zones/z/rrsets/goes/A", "").0, 204);
    etcd.compact();
    assert_eq!(host.addresses("goes"), ["192.0.2.1"], "what was known stays served");
    way.cut(false);
    host.wait_for("comes", Some("192.0.2.3"));
    host.wait_for("goes", None);
    assert_eq!(
        (host.addresses("changes"), host.addresses("stays")),
        (vec!["192.0.2.2".into()], vec!["192.0.2.1".into()])
    );
    assert_eq!(host.put("own", "192.0.2.4").0, 201);
    far.wait_for("own", Some("192.0.2.4"));
}

#[test]
fn nothing_is_merged_and_a_file_is_put_into_etcd_where_that_is_wanted() {
    let etcd = Etcd::start(1);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    assert_eq!(server.json("PUT", "/api/v1/zones/z", "").0, 201);
    let body = r#"{"ttl":60,"records":["192.0.2.1"]}"#;
    assert_eq!(server.json("PUT", "/api/v1/zones/z/rrsets/www/A", body).0, 201);
    server.stop();
    let refused = Server::try_start_text(directory.path(), &text(directory.path(), &endpoints(&etcd), ""));
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("is no replica of etcd at /ringdns; to put them into"), "{error}");
    assert!(error.contains("store.etcd_import = true"), "{error}");
    assert_eq!(etcd.all("/ringdns/"), []);

    let host = Host::open(directory, &endpoints(&etcd), "etcd_import = true\n");
    wait_until("etcd is filled", || !etcd.all("/ringdns/head").is_empty());
    assert_eq!(stored(&etcd).len(), 1);
    wait_until("it takes writes", || host.put("more", "192.0.2.2").0 != 503);
    let other = Host::new(&etcd);
    assert_eq!(other.addresses("www"), ["192.0.2.1"]);
    other.wait_for("more", Some("192.0.2.2"));

    // An etcd that has lost everything does not empty its replicas.
    let (kept, lost) = (other.stop(), Etcd::start(1));
    let host = Host::open(host.stop(), &endpoints(&lost), "");
    wait_until("it is told", || {
        host.seen()["error"].as_str().is_some_and(|error| error.contains("restore etcd from a backup"))
    });
    assert_eq!(host.addresses("more"), ["192.0.2.2"]);
    let (status, reply) = host.put("more", "192.0.2.9");
    assert_eq!(status, 503, "{reply}");
    let filled = Host::open(kept, &endpoints(&lost), "etcd_import = true\n");
    wait_until("one of them fills it", || filled.put("more", "192.0.2.3").0 == 200);
    host.wait_for("more", Some("192.0.2.3"));
    assert_eq!(host.put("again", "192.0.2.4").0, 201, "and the other goes on");
    let directory = host.stop();
    assert!(Server::try_start(directory.path(), "").is_ok(), "a replica can be a store of its own");
    let again = Server::try_start_text(directory.path(), &text(directory.path(), &endpoints(&lost), ""));
    assert!(again.is_err(), "and is none of etcd's then");
}
