//! Keys and values to the byte.

use serde_json::json;

use super::scene::{Scene, service, slice, wait_until};

/// A cluster such as the originals were run with: a Service with an address, a headless one whose endpoint has a host name, an alias,
/// a Pod.
fn shop(scene: &Scene) {
    scene.server.remove("services", "default", "kubernetes");
    scene.server.put(json!({ "kind": "Namespace", "metadata": { "name": "shop" } }));
    scene.server.put(service("shop", "web", "10.96.201.152"));
    let mut db = service("shop", "db", "None");
    db["spec"]["ports"] = json!([{ "name": "pg", "port": 5432 }]);
    scene.server.put(db);
    scene.server.put(json!({ "kind": "Service", "metadata": { "namespace": "shop", "name": "ext" },
                             "spec": { "type": "ExternalName", "externalName": "example.com" } }));
    scene.server.put(slice("shop", "db", &[("db-0", "10.1.0.5")]));
    scene.server.put(
        json!({ "kind": "Pod", "metadata": { "namespace": "shop", "name": "db-0", "labels": { "app": "db" } },
                             "spec": { "hostname": "db-0", "subdomain": "db" },
                             "status": { "phase": "Running", "podIP": "10.1.0.5" } }),
    );
}

/// Keys with their values.
fn pairs(lines: &[&str]) -> Vec<(String, String)> {
    lines
        .iter()
        .map(|line| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap())
        .collect()
}

#[test]
fn containerdns_is_written_as_its_kubeapi_wrote_it() {
    let scene = Scene::start();
    shop(&scene);
    let lines = "layout = \"containerdns\"\ncluster = \"c1\"\npods = true\nservice_addresses = \"cluster-ip\"";
    let writer = scene.writer("s1", lines);
    writer.wait_synced();
    let mut expected = pairs(&[
        r#"/containerdns/local/cluster/svc/shop/web/3f73e5f9/ {"type":"A","source":"svc","host":"10.96.201.152","ttl":30,"priority":10,"weight":10,"cluster":"c1"}"#,
        r#"/containerdns/local/cluster/svc/shop/db/db-0/ {"type":"A","source":"svc","host":"10.1.0.5","ttl":30,"priority":10,"weight":10,"cluster":"c1"}"#,
        r#"/containerdns/local/cluster/svc/shop/db/_tcp/_pg/db-0/ {"type":"SRV","source":"svc","host":"db-0.db.shop.svc.cluster.local.","ttl":30,"port":5432,"priority":10,"weight":10,"cluster":"c1"}"#,
        r#"/containerdns/local/cluster/svc/shop/db-0/ip/ {"type":"A","source":"pod","host":"10.1.0.5","ttl":30,"priority":10,"weight":10,"cluster":"c1"}"#,
        r#"/containerdns/monitor/status/10.96.201.152 {"status":"UP","ports":["80"],"domains":["web.shop.svc.cluster.local."],"cluster":"c1"}"#,
        r#"/containerdns/monitor/status/10.1.0.5 {"status":"UP","ports":["5432"],"domains":["db.shop.svc.cluster.local.","db-0.shop.svc.cluster.local."],"cluster":"c1"}"#,
    ]);
    expected.sort();
    assert_eq!(scene.etcd.all("/containerdns/"), expected);
}

#[test]
fn skydns_is_written_as_kube2sky_wrote_it_and_nothing_once_it_is_there() {
    let scene = Scene::start();
    shop(&scene);
    let writer = scene.writer("s1", "layout = \"skydns\"\npods = true");
    writer.wait_synced();
    let mut expected = pairs(&[
        r#"/skydns/local/cluster/svc/shop/db/db-0 {"host":"10.1.0.5","priority":10,"weight":10,"ttl":30,"targetstrip":0}"#,
        r#"/skydns/local/cluster/svc/shop/db/_tcp/_pg/db-0 {"host":"db-0.db.shop.svc.cluster.local.","port":5432,"priority":10,"weight":10,"ttl":30,"targetstrip":0}"#,
    ]);
    let found = scene.etcd.all("/skydns/");
    let web = |key: &str| key.starts_with("/skydns/local/cluster/svc/shop/web/");
    let labels: Vec<&str> =
        found.iter().filter_map(|(key, _)| key.strip_prefix("/skydns/local/cluster/svc/shop/web/")).collect();
    // The hash of the address's value, which the service has too.
    let label = labels.iter().find(|label| !label.contains('/')).unwrap();
    assert!(
        label.len() <= 8
            && u32::from_str_radix(label, 16).is_ok()
            && labels.contains(&format!("_tcp/_http/{label}").as_str()),
        "{labels:?}"
    );
    expected.retain(|pair| found.contains(pair));
    assert_eq!((expected.len(), labels.len(), found.len()), (2, 2, 5), "{found:#?}");
    let port = found.iter().find(|(key, _)| web(key) && key.contains("_http")).unwrap();
    assert_eq!(
        port.1,
        r#"{"host":"web.shop.svc.cluster.local.","port":80,"priority":10,"weight":10,"ttl":30,"targetstrip":0}"#
    );
    assert!(found.iter().any(|(key, _)| key.starts_with("/skydns/local/cluster/pod/shop/10-1-0-5/")), "{found:#?}");

    // Listed again, and told again what was told before: nothing is written.
    let revision = scene.revision();
    let before = writer.state.json()["cluster"]["kinds"]["service"]["lists"].as_u64().unwrap();
    scene.server.cluster().pass(1);
    scene.server.cluster().compact();
    scene.server.cut();
    wait_until("the cluster is listed again", || {
        writer.state.json()["cluster"]["kinds"]["service"]["lists"].as_u64().unwrap() > before
    });
    scene.server.put(service("shop", "web", "10.96.201.152"));
    writer.wait_synced();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(scene.revision(), revision);
}
