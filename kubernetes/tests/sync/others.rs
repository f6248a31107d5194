//! What others wrote, and what was deleted while nobody looked.

use super::scene::{Scene, service, slice, wait_until};

/// Where the Services of the tests are.
const BASE: &str = "/skydns/local/cluster/svc/a/";

#[test]
fn what_was_deleted_while_nobody_looked_is_gone_and_keys_of_others_stay() {
    let scene = Scene::start();
    let foreign = [
        "/skydns/local/cluster/svc/a/web/by-hand",
        "/skydns/local/cluster/www",
        "/skydns/local/cluster/svc/a/gone/external-dns",
        "/skydns/org/example/x1",
    ];
    foreign.iter().for_each(|key| scene.etcd.put(key, r#"{"host":"192.0.2.9","owner":"another"}"#));
    for (name, address) in [("web", "10.96.0.2"), ("gone", "10.96.0.3"), ("moved", "10.96.0.4")] {
        scene.server.put(service("a", name, address));
    }
    let writer = scene.writer("s1", "layout = \"skydns\"");
    writer.wait_synced();
    assert_eq!(scene.read(BASE).len(), 8);
    drop(writer);
    scene.server.remove("services", "a", "gone");
    scene.server.put(service("a", "moved", "10.96.0.5"));
    scene.server.cluster().compact();
    let writer = scene.writer("s2", "layout = \"skydns\"");
    writer.wait_synced();
    let left = scene.read(BASE);
    let hosts: Vec<&String> = left.values().filter(|value| value.contains("10.96.0.")).collect();
    assert_eq!((left.len(), hosts.len()), (6, 2), "{left:#?}");
    assert!(hosts.iter().any(|value| value.contains("10.96.0.5")));
    // The last Service of its namespace goes while somebody looks.
    scene.server.remove("services", "a", "web");
    scene.server.remove("services", "a", "moved");
    wait_until("only what others wrote is left", || scene.read(BASE).len() == 2);
    let all = scene.read("/skydns/");
    assert!(foreign.iter().all(|key| all.contains_key(*key)), "{all:#?}");
    let ledger = scene.read("/ringdns/kubesync/skydns/cluster.local/written/");
    assert_eq!(ledger.len(), 1, "{ledger:#?}");
}

#[test]
fn a_service_that_changes_always_has_an_address() {
    let scene = Scene::start();
    scene.server.put(service("a", "web", "10.96.0.2"));
    scene.server.put(service("a", "db", "None"));
    let many = |from: usize| {
        let addresses: Vec<String> =
            (from..from + 200).map(|number| format!("10.9.{}.{}", number / 250, number % 250)).collect();
        let endpoints: Vec<(&str, &str)> = addresses.iter().map(|address| ("", address.as_str())).collect();
        slice("a", "db", &endpoints)
    };
    scene.server.put(many(0));
    let writer = scene.writer("s1", "layout = \"skydns\"");
    writer.wait_synced();
    let since = scene.revision();
    for turn in 0..10 {
        let address = format!("10.96.1.{turn}");
        scene.server.put(service("a", "web", &address));
        wait_until("it has its new address", || {
            scene.read(&format!("{BASE}web/")).values().any(|value| value.contains(&address))
        });
    }
    let web = scene.addresses_since(&format!("{BASE}web/"), since);
    assert!(web.len() > 10 && web.iter().all(|(_, count)| *count == 1), "{web:?}");
    // More than a transaction holds.
    let since = scene.revision();
    scene.server.put(many(1000));
    wait_until("it has its new addresses", || {
        let found = scene.read(&format!("{BASE}db/"));
        found.len() == 400 && found.values().all(|value| !value.contains("10.9.0."))
    });
    let db = scene.addresses_since(&format!("{BASE}db/"), since);
    assert!(db.iter().all(|(_, count)| *count >= 200), "{db:?}");
    assert_eq!(db.last().map(|(_, count)| *count), Some(200));
}

#[test]
fn what_was_written_elsewhere_before_moves() {
    let scene = Scene::start();
    scene.etcd.put("/old/local/cluster/svc/a/web/by-hand", "{}");
    scene.server.put(service("a", "web", "10.96.0.2"));
    for (prefix, kept) in [("/old", 3), ("/new", 1)] {
        let writer = scene.writer("s1", &format!("layout = \"skydns\"\ncluster = \"c1\"\nprefix = \"{prefix}\""));
        writer.wait_synced();
        assert_eq!(scene.read("/old/local/cluster/svc/a/").len(), kept);
    }
    assert_eq!(scene.read("/new/local/cluster/svc/a/").len(), 2);
}

#[test]
fn a_cluster_that_has_lost_its_objects_deletes_nothing() {
    let scene = Scene::start();
    scene.server.put(service("a", "web", "10.96.0.2"));
    drop({
        let writer = scene.writer("s1", "layout = \"skydns\"");
        writer.wait_synced();
        writer
    });
    let before = scene.read(BASE);
    scene.server.remove("services", "a", "web");
    scene.server.remove("services", "default", "kubernetes");
    let writer = scene.writer("s2", "layout = \"skydns\"");
    wait_until("it is said", || writer.state.json()["empty"] == true && writer.state.leads());
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(scene.read(BASE), before);
    // It has come back, without that one.
    scene.server.put(service("default", "kubernetes", "10.96.0.1"));
    wait_until("it is gone", || scene.read(BASE).is_empty());
}
