//! Records from a real etcd: read, watched, and served on while etcd is cut off, compacted, killed or gone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::{Server, wait_until};
use crate::real::{Etcd, Way};
use crate::source::{address, config, metric, put, records, seen, wait_for};
use ringdns_engine::name::WireName;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::snapshot::Snapshot;
use serde_json::json;

/// Sources for want of which the server is not ready.
fn missing(server: &Server) -> Vec<String> {
    let (_, ready) = server.get("/ready");
    let missing = ready["missing"].as_array().unwrap().iter().map(|missing| missing.as_str().unwrap().to_owned());
    missing.filter(|missing| missing.starts_with("source")).collect()
}

/// Looks at a name in what the workers see, all the time.
struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64, Reader)>,
}

impl Prober {
    fn start(server: &mut Server, name: &str) -> Self {
        let other = Publisher::new(Snapshot::empty());
        let mut reader = std::mem::replace(&mut server.reader, other.reader());
        let (apex, owner): (WireName, WireName) =
            ("c.local.".parse().unwrap(), format!("{name}.c.local.").parse().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut looks, mut missing) = (0, 0);
            while !ends.load(Ordering::Relaxed) {
                let node = reader.pin().node(&apex, &owner);
                missing += u64::from(node.and_then(|node| node.rrset(1)).is_none());
                looks += 1;
                std::thread::sleep(Duration::from_micros(200));
            }
            (looks, missing, reader)
        });
        Self { stop, thread }
    }

    /// Never once was the name missing. Gives back what the workers see.
    fn check(self) -> Reader {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, missing, reader) = self.thread.join().unwrap();
        assert!(looks > 100, "{looks} looks are too few to say anything");
        assert_eq!(missing, 0, "of {looks} looks");
        reader
    }
}

#[test]
fn keys_are_read_and_watched_and_a_malformed_one_spoils_itself() {
    let etcd = Etcd::start(1);
    // More than a page.
    let many: Vec<(String, String)> = (0..2500).map(|number| address(&format!("n{number}"), "10.0.0.1")).collect();
    etcd.put_all(&many);
    put(&etcd, "www", "10.0.0.1");
    etcd.put("/containerdns/local/c/alias/", r#"{"type":"CNAME","host":"www.c.local."}"#);
    etcd.put("/containerdns/local/c/bad/x/", "{");
    etcd.put("/skydns/local/s/web/1", r#"{"host":"10.0.0.5"}"#);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &config(directory.path(), &[etcd.members[0].endpoint()]));
    assert_eq!(records(&server, "www", "A"), json!(["10.0.0.1"]));
    assert_eq!(records(&server, "n2499", "A"), json!(["10.0.0.1"]));
    assert_eq!(records(&server, "alias", "CNAME"), json!(["www.c.local."]));
    let (_, web) = server.get("/api/v1/zones/s.local/rrsets/web/A");
    assert_eq!((&web["records"], &web["ttl"], &web["source"]), (&json!(["10.0.0.5"]), &json!(300), &json!("etcd")));
    let state = seen(&server);
    assert_eq!((&state["keys"], &state["malformed_keys"]), (&json!(2504), &json!(1)));
    assert_eq!(
        (&state["connected"], &state["from_cache"], &state["age_seconds"]),
        (&json!(true), &json!(false), &json!(0.0))
    );

    put(&etcd, "new", "10.0.0.2");
    wait_for(&server, "new", Some("10.0.0.2"));
    put(&etcd, "new", "10.0.0.3");
    wait_for(&server, "new", Some("10.0.0.3"));
    etcd.delete("/containerdns/local/c/new/x/");
    wait_for(&server, "new", None);
    etcd.put("/containerdns/other/www/x/", r#"{"type":"A","host":"10.0.0.9"}"#);
    wait_until("the other zone has it", || server.get("/api/v1/zones/other/rrsets/www/A").0 == 200);
    let (key, _) = address("bad", "");
    etcd.put(&key, &address("bad", "10.0.0.4").1);
    wait_for(&server, "bad", Some("10.0.0.4"));
    assert_eq!((metric(&server, "ringdns_etcd_malformed_keys"), metric(&server, "ringdns_etcd_connected")), (0.0, 1.0));
    assert_eq!((metric(&server, "ringdns_etcd_lists_total"), metric(&server, "ringdns_etcd_keys")), (1.0, 2505.0));
    server.stop();
}

#[test]
fn what_was_missed_and_compacted_is_listed_again_without_a_hole() {
    let etcd = Etcd::start(1);
    let way = Way::to(etcd.members[0].port);
    for name in ["stays", "goes", "changes"] {
        put(&etcd, name, "10.0.0.1");
    }
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", way.port);
    let mut server = Server::start(directory.path(), &config(directory.path(), &[endpoint]));
    let prober = Prober::start(&mut server, "stays");

    way.cut(true);
    wait_until("the cut is seen", || seen(&server)["connected"] == json!(false));
    assert!(seen(&server)["error"].is_string());
    etcd.delete("/containerdns/local/c/goes/x/");
    put(&etcd, "changes", "10.0.0.2");
    put(&etcd, "comes", "10.0.0.3");
    etcd.compact();
    assert_eq!(records(&server, "goes", "A"), json!(["10.0.0.1"]), "the last that is known is served");
    assert_eq!(missing(&server), [] as [String; 0]);
    way.cut(false);
    wait_for(&server, "comes", Some("10.0.0.3"));
    wait_for(&server, "changes", Some("10.0.0.2"));
    wait_for(&server, "goes", None);
    wait_until("it was listed again", || metric(&server, "ringdns_etcd_lists_total") == 2.0);

    // A cut without compaction is made up for by the watch alone.
    wait_until("it is connected", || seen(&server)["connected"] == json!(true));
    way.cut(true);
    put(&etcd, "later", "10.0.0.4");
    way.cut(false);
    wait_for(&server, "later", Some("10.0.0.4"));
    assert_eq!(metric(&server, "ringdns_etcd_lists_total"), 2.0);
    prober.check();
    server.stop();
}

#[test]
fn after_a_storm_of_changes_what_is_served_is_what_etcd_has() {
    let etcd = Etcd::start(1);
    let way = Way::to(etcd.members[0].port);
    let mut expected: BTreeMap<String, String> =
        (0..3000).map(|number| address(&format!("n{number}"), "10.0.0.1")).collect();
    expected.extend([address("stays", "10.0.0.1")]);
    etcd.put_all(&expected.clone().into_iter().collect::<Vec<_>>());
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", way.port);
    let mut server = Server::start(directory.path(), &config(directory.path(), &[endpoint]));
    let prober = Prober::start(&mut server, "stays");
    for round in 0..40 {
        match round % 10 {
            3 => way.cut(true),
            6 => etcd.compact(),
            8 => way.cut(false),
            _ => {}
        }
        let host = format!("10.0.1.{round}");
        let changed: Vec<_> =
            (0..100).map(|number| address(&format!("n{}", (number * 37 + round * 11) % 4000), &host)).collect();
        etcd.put_all(&changed);
        expected.extend(changed);
        let (gone, _) = address(&format!("n{}", round * 50), "");
        etcd.delete(&gone);
        expected.remove(&gone);
    }
    put(&etcd, "last", "10.9.9.9");
    expected.extend([address("last", "10.9.9.9")]);
    wait_for(&server, "last", Some("10.9.9.9"));
    let mut reader = prober.check();
    let apex: WireName = "c.local.".parse().unwrap();
    let served: BTreeMap<String, String> = (reader.pin().nodes(&apex))
        .filter_map(|node| {
            let host: [u8; 4] = node.rrset(1)?.rdatas().next()?.try_into().ok()?;
            let name = node.owner().to_string();
            Some(address(name.strip_suffix(".c.local.")?, &Ipv4Addr::from(host).to_string()))
        })
        .collect();
    assert!(served == expected, "{} names are served, {} are there", served.len(), expected.len());
    wait_until("compaction made it list again", || metric(&server, "ringdns_etcd_lists_total") > 1.0);
    server.stop();
}

#[test]
fn a_killed_etcd_is_taken_up_again_and_a_start_without_it_serves_the_last_data() {
    let mut etcd = Etcd::start(1);
    put(&etcd, "stays", "10.0.0.1");
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), &[etcd.members[0].endpoint()]);
    let mut server = Server::start(directory.path(), &text);
    let prober = Prober::start(&mut server, "stays");
    etcd.members[0].kill();
    wait_until("the loss is seen", || seen(&server)["connected"] == json!(false));
    etcd.members[0].start();
    put(&etcd, "after", "10.0.0.2");
    wait_for(&server, "after", Some("10.0.0.2"));
    assert_eq!(metric(&server, "ringdns_etcd_lists_total"), 1.0);
    prober.check();

    let cache = directory.path().join("etcd.cache");
    let has = |text: &str| std::fs::read(&cache).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
    wait_until("the copy on disk has it", || has("/after/"));
    server.stop();
    etcd.members[0].kill();

    let server = Server::start(directory.path(), &text);
    assert_eq!(records(&server, "after", "A"), json!(["10.0.0.2"]));
    let state = seen(&server);
    assert_eq!((&state["connected"], &state["from_cache"]), (&json!(false), &json!(true)));
    assert!(metric(&server, "ringdns_etcd_age_seconds") > 0.0);
    etcd.members[0].start();
    etcd.delete("/containerdns/local/c/after/x/");
    wait_for(&server, "after", None);
    assert_eq!(records(&server, "stays", "A"), json!(["10.0.0.1"]));
    wait_until("it says so", || seen(&server)["from_cache"] == json!(false));
    server.stop();
}

#[test]
fn without_etcd_and_without_a_copy_nothing_is_denied() {
    let directory = tempfile::tempdir().unwrap();
    let server =
        Server::start_unsynced(directory.path(), &config(directory.path(), &["http://127.0.0.1:1".to_owned()]));
    wait_until("a try has failed", || metric(&server, "ringdns_etcd_failures_total") > 2.0);
    assert_eq!(missing(&server), ["source etcd has not been read"]);
    assert!(!server.plane().is_synced());
    server.stop();
}

#[test]
fn another_etcd_in_its_place_is_listed_anew() {
    let first = Etcd::start(1);
    put(&first, "stays", "10.0.0.1");
    put(&first, "goes", "10.0.0.1");
    let second = Etcd::start(1);
    put(&second, "stays", "10.0.0.1");
    let ways = [Way::to(first.members[0].port), Way::to(second.members[0].port)];
    ways[1].cut(true);
    let directory = tempfile::tempdir().unwrap();
    let endpoints = ways.each_ref().map(|way| format!("http://127.0.0.1:{}", way.port));
    let mut server = Server::start(directory.path(), &config(directory.path(), &endpoints));
    let prober = Prober::start(&mut server, "stays");
    assert_eq!(records(&server, "goes", "A"), json!(["10.0.0.1"]));
    ways[0].cut(true);
    ways[1].cut(false);
    wait_for(&server, "goes", None);
    prober.check();
    server.stop();
}

#[test]
fn the_leader_s_death_is_survived() {
    let mut etcd = Etcd::start(3);
    put(&etcd, "stays", "10.0.0.1");
    let endpoints: Vec<String> = etcd.members.iter().map(crate::real::Member::endpoint).collect();
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &config(directory.path(), &endpoints));
    let prober = Prober::start(&mut server, "stays");
    for round in 0..2 {
        let leader = etcd.leader();
        etcd.members[leader].kill();
        let (name, host) = (format!("round{round}"), format!("10.0.1.{round}"));
        put(&etcd, &name, &host);
        wait_for(&server, &name, Some(&host));
        etcd.members[leader].start();
        put(&etcd, &name, "10.0.2.1");
        wait_for(&server, &name, Some("10.0.2.1"));
    }
    assert_eq!(metric(&server, "ringdns_etcd_lists_total"), 1.0);
    prober.check();
    server.stop();
}

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl cannot be run: {error}; run scripts/install-deps test"));
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Makes a certificate of our own authority.
fn certificate(directory: &Path, name: &str) {
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        directory,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ),
    );
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"
        ),
    );
}

#[test]
fn certificates_and_passwords_are_shown_and_wrong_ones_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    openssl(
        directory.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2",
    );
    certificate(directory.path(), "member");
    certificate(directory.path(), "client");
    let secure = format!("https://127.0.0.1:{}", crate::real::free_port());
    let mut etcd = Etcd::start_with(1, &|plain| {
        vec![
            ("--listen-client-urls", format!("{plain},{secure}")),
            ("--cert-file", path("member.pem")),
            ("--key-file", path("member.key")),
            ("--trusted-ca-file", path("ca.pem")),
            ("--client-cert-auth", "true".to_owned()),
            ("--bcrypt-cost", "4".to_owned()),
        ]
    });
    put(&etcd, "www", "10.0.0.1");
    etcd.protect("/containerdns/", "secret");
    std::fs::write(path("password"), "secret\n").unwrap();
    std::fs::set_permissions(path("password"), Permissions::from_mode(0o600)).unwrap();
    let tls = |user: &str| {
        let text = format!(
            "[etcd]\nendpoints = [{secure:?}]\ntimeout_seconds = 2\ncache_file = \"etcd.cache\"\nca_file = \"ca.pem\"\n\
             cert_file = \"client.pem\"\nkey_file = \"client.key\"\nuser = {user:?}\npassword_file = \"password\"\n"
        );
        format!("{text}[[etcd_tree]]\nlayout = \"containerdns\"\nzones = [\"c.local\"]\n")
    };
    let server = Server::start(directory.path(), &tls("reader"));
    assert_eq!(records(&server, "www", "A"), json!(["10.0.0.1"]));
    // A member that comes back knows no token that it gave before.
    etcd.members[0].kill();
    etcd.members[0].start();
    put(&etcd, "new", "10.0.0.2");
    wait_for(&server, "new", Some("10.0.0.2"));
    server.stop();

    std::fs::remove_file(path("etcd.cache")).unwrap();
    let server = Server::start_unsynced(directory.path(), &tls("nobody"));
    wait_until("the refusal is told", || {
        seen(&server)["error"].as_str().is_some_and(|error| error.contains("authentication"))
    });
    server.stop();
}
