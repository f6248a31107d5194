//! Keys and values to the byte.

use std::path::Path;

use ringdns_controlplane::config::KubesyncRole;

use super::*;
use crate::object::{Endpoint, Key};

/// A layout.
fn layout(lines: &str) -> Layout {
    let text = format!("[etcd]\nendpoints = [\"http://a:1\"]\n[kubesync]\n{lines}\n");
    Layout::new(&KubesyncRole::parse(Path::new("/r.toml"), &text).unwrap().kubesync)
}

/// A key.
fn key(name: &str) -> Key {
    Key { namespace: "shop".into(), name: name.into() }
}

/// A port.
fn port(name: &str, number: u16) -> Port {
    Port { name: name.into(), protocol: Protocol::Tcp, number }
}

/// A Service.
fn service(name: &str, kind: ServiceKind, addresses: &[&str]) -> Service {
    Service {
        key: key(name),
        kind,
        cluster_ips: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        external_ips: vec!["203.0.113.9".parse().unwrap()],
        ingress: Vec::new(),
        external_name: Box::default(),
        ports: vec![port("HTTP", 80), port("", 81)],
        publish_not_ready: false,
        has_selector: true,
    }
}

/// A slice of endpoints: host name, address and readiness of each.
fn slice(endpoints: &[(&str, &str, bool)]) -> Slice {
    let endpoint = |&(hostname, address, ready): &(&str, &str, bool)| Endpoint {
        addresses: vec![address.parse().unwrap()],
        hostname: hostname.into(),
        pod: Box::default(),
        zone: Box::default(),
        ready,
    };
    let endpoints = endpoints.iter().map(endpoint).collect();
    let ports = vec![port("pg", 5432), port("", 1)];
    Slice { key: key("s"), service: "db".into(), cluster: Box::default(), ports, endpoints, triggered_ms: None }
}

/// Keys and values as lines.
fn lines(wanted: &Wanted) -> Vec<String> {
    wanted.records.iter().map(|(key, value)| format!("{key} {value}")).collect()
}

#[test]
fn a_service_of_skydns_is_an_address_and_its_named_ports() {
    let web = service("web", ServiceKind::ClusterIp, &["10.254.162.44", "fd00::1"]);
    let found =
        layout("layout = \"skydns\"\ndomain = \"Kube.local\"\nlegacy_names = true").service(&web, [].into_iter());
    let expected = [
        r#"/skydns/local/kube/shop/web {"host":"10.254.162.44","priority":10,"weight":10,"ttl":30,"targetstrip":0}"#,
        r#"/skydns/local/kube/svc/shop/web/2f1020d6 {"host":"10.254.162.44","priority":10,"weight":10,"ttl":30,"targetstrip":0}"#,
        r#"/skydns/local/kube/svc/shop/web/_tcp/_http/2f1020d6 {"host":"web.shop.svc.kube.local.","port":80,"priority":10,"weight":10,"ttl":30,"targetstrip":0}"#,
    ];
    let lines = lines(&found);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
    }
}

#[test]
fn endpoints_have_their_host_names_or_hashes_for_labels() {
    let db = service("db", ServiceKind::Headless, &[]);
    let slices = [slice(&[
        ("db-0", "10.1.0.5", true),
        ("", "10.1.0.6", true),
        ("db-0", "fd00::5", true),
        ("x", "10.1.0.7", false),
    ])];
    let found = layout("layout = \"skydns\"").service(&db, slices.iter());
    let at = |name: &str| found.records.get(&format!("/skydns/local/cluster/svc/shop/db/{name}")).map(String::as_str);
    assert_eq!(at("db-0"), Some(r#"{"host":"10.1.0.5","priority":10,"weight":10,"ttl":30,"targetstrip":0}"#));
    let target =
        r#"{"host":"db-0.db.shop.svc.cluster.local.","port":5432,"priority":10,"weight":10,"ttl":30,"targetstrip":0}"#;
    assert_eq!(at("_tcp/_pg/db-0"), Some(target));
    // Two more, each with its service; the one that is not ready has none.
    assert_eq!((found.records.len(), at("x")), (6, None));
    let mut all = db;
    all.publish_not_ready = true;
    assert_eq!(layout("layout = \"skydns\"").service(&all, slices.iter()).records.len(), 8);
}

#[test]
fn containerdns_has_types_sources_and_the_cluster_in_its_values() {
    let inner = layout("layout = \"containerdns\"\nservice_addresses = \"cluster-ip\"\ncluster = \"c1\"");
    let web = service("web", ServiceKind::ClusterIp, &["10.96.201.152"]);
    let found = inner.service(&web, [].into_iter());
    let expected = r#"/containerdns/local/cluster/svc/shop/web/3f73e5f9/ {"type":"A","source":"svc","host":"10.96.201.152","ttl":30,"priority":10,"weight":10,"cluster":"c1"}"#;
    assert_eq!(lines(&found), [expected]);
    assert_eq!((found.name.as_str(), found.ports.as_slice()), ("web.shop.svc.cluster.local.", [80, 81].as_slice()));
    let outer = layout("layout = \"containerdns\"\nttl = 7");
    let found = lines(&outer.service(&web, [].into_iter()));
    assert!(
        found[0].ends_with(r#"{"type":"A","source":"svc","host":"203.0.113.9","ttl":7,"priority":10,"weight":10}"#),
        "{found:?}"
    );
    let alias = service("ext", ServiceKind::ExternalName, &[]);
    assert_eq!(inner.service(&alias, [].into_iter()), Wanted::default());
}

#[test]
fn pods_have_names_of_either_layout() {
    let addresses = vec!["10.1.0.5".parse().unwrap(), "fd00::".parse().unwrap()];
    let pod = Pod { key: key("a.b"), addresses };
    let found = layout("layout = \"containerdns\"").pod(&pod);
    let first = r#"/containerdns/local/cluster/svc/shop/b/a/ip/ {"type":"A","source":"pod","host":"10.1.0.5","ttl":30,"priority":10,"weight":10}"#;
    let second = lines(&found).into_iter().find(|line| line.contains("\"AAAA\"")).unwrap();
    assert!(lines(&found).iter().any(|line| line == first) && second.contains("/svc/shop/b/a/"), "{found:?}");
    let found = lines(&layout("layout = \"skydns\"").pod(&pod));
    assert!(found.iter().any(|line| line.starts_with("/skydns/local/cluster/pod/shop/10-1-0-5/")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("/skydns/local/cluster/pod/shop/fd00--0/")), "{found:?}");
}

#[test]
fn the_service_of_a_key_is_known() {
    let layout = layout("layout = \"skydns\"");
    let unit = |key: &str| layout.unit(key).map(|unit| unit.to_string());
    assert_eq!(unit("/skydns/local/cluster/svc/shop/web/_tcp/_http/x").as_deref(), Some("service/shop/web"));
    assert_eq!(unit("/skydns/local/cluster/shop/web").as_deref(), Some("service/shop/web"));
    for other in ["/skydns/local/cluster/pod/shop/x/y", "/skydns/local/cluster/svc/shop", "/skydns/local/clusters/a/b"]
    {
        assert_eq!(unit(other), None, "{other}");
    }
}
