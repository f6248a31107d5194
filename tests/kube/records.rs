//! Objects of every kind, made by kubectl, and what is answered for them.

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::turn;
use serde_json::json;

use crate::cluster::Cluster;
use crate::dns::{CHANGE_TIME_MAX, ask, setup, until};

/// The objects.
const OBJECTS: &str = include_str!("objects.yaml");

/// The zone of Services.
const SVC: &str = "shop.svc.cluster.local";

/// Questions and answers; a name without a dot at its end is below [`SVC`].
const ANSWERS: &[(&str, &str, &str)] = &[
    ("fixed", "A", "A 10.96.7.7"),
    ("fixed", "AAAA", "NODATA"),
    ("FIXED", "A", "A 10.96.7.7"),
    ("fixed", "SRV", "SRV 0 100 443 fixed.shop.svc.cluster.local."),
    ("7.7.96.10.in-addr.arpa.", "PTR", "PTR fixed.shop.svc.cluster.local."),
    ("6.7.96.10.in-addr.arpa.", "PTR", "NXDOMAIN"),
    ("_http._tcp.web", "SRV", "SRV 0 100 80 web.shop.svc.cluster.local."),
    ("_stats._udp.web", "SRV", "SRV 0 100 9090 web.shop.svc.cluster.local."),
    ("_http._udp.web", "SRV", "NXDOMAIN"),
    ("both", "A", "A 10.96.8.8"),
    ("both", "AAAA", "AAAA fd00:96::88"),
    ("db", "A", "A 10.1.0.5, A 10.1.0.6"),
    ("db", "AAAA", "AAAA fd00:1::5"),
    ("db-0.db", "A", "A 10.1.0.5"),
    ("db-0.db", "AAAA", "AAAA fd00:1::5"),
    ("10-1-0-6.db", "A", "A 10.1.0.6"),
    ("db-2.db", "A", "NXDOMAIN"),
    ("5.0.1.10.in-addr.arpa.", "PTR", "PTR db-0.db.shop.svc.cluster.local."),
    ("6.0.1.10.in-addr.arpa.", "PTR", "PTR 10-1-0-6.db.shop.svc.cluster.local."),
    ("7.0.1.10.in-addr.arpa.", "PTR", "NXDOMAIN"),
    ("early", "A", "A 10.1.0.8"),
    ("outside", "A", "CNAME www.example.com."),
    ("inside", "A", "A 10.96.7.7, CNAME fixed.shop.svc.cluster.local."),
    ("nothing", "A", "NXDOMAIN"),
    ("a.nothing", "A", "NXDOMAIN"),
    ("", "A", "NODATA"),
    ("web.nowhere.svc.cluster.local.", "A", "NXDOMAIN"),
    ("dns-version.cluster.local.", "TXT", "TXT \"1.1.0\""),
    ("10-1-0-5.shop.pod.cluster.local.", "A", "A 10.1.0.5"),
    ("10-1-0-6.shop.pod.cluster.local.", "A", "NXDOMAIN"),
    ("lb", "A", "A 10.96.9.9"),
    ("lb.shop.example.net.", "A", "A 203.0.113.7"),
    ("web.shop.example.net.", "A", "NXDOMAIN"),
];

/// The name of a question.
fn owner(name: &str) -> String {
    match name {
        "" => format!("{SVC}."),
        name if name.ends_with('.') => name.to_owned(),
        name => format!("{name}.{SVC}."),
    }
}

#[test]
fn services_of_all_kinds_are_answered_and_follow_kubectl() {
    let _turn = turn();
    let cluster = Cluster::start();
    let server = setup(&cluster, &cluster.write_token("token")).start();
    assert_eq!(ask("fixed.shop.svc.cluster.local", "A"), "NXDOMAIN", "there is nothing yet");

    cluster.apply(OBJECTS);
    cluster.change("/api/v1/namespaces/shop/pods/db-0", "/status", |pod| {
        pod["status"] = json!({ "phase": "Running", "podIP": "10.1.0.5", "podIPs": [{ "ip": "10.1.0.5" }] });
    });
    cluster.change("/api/v1/namespaces/shop/services/lb", "/status", |service| {
        service["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "203.0.113.7" }] } });
    });
    for (name, rtype, expected) in ANSWERS {
        until(&owner(name), rtype, expected, CHANGE_TIME_MAX);
    }
    // The weights share 100 among addresses, as CoreDNS has them; both families of one host are one record.
    until(
        &owner("_pg._tcp.db"),
        "SRV",
        "SRV 0 33 5432 10-1-0-6.db.shop.svc.cluster.local., SRV 0 33 5432 db-0.db.shop.svc.cluster.local.",
        CHANGE_TIME_MAX,
    );
    // The API server has given it an address.
    let web = cluster.kubectl(&["get", "service", "web", "-n", "shop", "-o", "jsonpath={.spec.clusterIP}"]);
    until(&owner("web"), "A", &format!("A {web}"), CHANGE_TIME_MAX);
    let denied = dig(SERVED4, &owner("nothing"), "A");
    assert!(denied.flags.contains("aa"), "{denied:?}");
    assert!(denied.authority[0].starts_with("cluster.local. 5 IN SOA ns.dns.cluster.local."), "{denied:?}");

    // What people do next.
    cluster.kubectl(&["delete", "service", "fixed", "-n", "shop"]);
    until(&owner("fixed"), "A", "NXDOMAIN", CHANGE_TIME_MAX);
    until(&owner("7.7.96.10.in-addr.arpa."), "PTR", "NXDOMAIN", CHANGE_TIME_MAX);
    // As CoreDNS has it: an alias within the cluster is told with what it leads to, or not at all.
    until(&owner("inside"), "A", "NODATA", CHANGE_TIME_MAX);
    let other = r#"{"spec":{"externalName":"other.example.com"}}"#;
    cluster.kubectl(&["patch", "service", "outside", "-n", "shop", "-p", other]);
    until(&owner("outside"), "A", "CNAME other.example.com.", CHANGE_TIME_MAX);
    cluster.kubectl(&["delete", "pod", "db-0", "-n", "shop", "--grace-period=0", "--force"]);
    until(&owner("10-1-0-5.shop.pod.cluster.local."), "A", "NXDOMAIN", CHANGE_TIME_MAX);
    cluster.kubectl(&["delete", "endpointslice", "db-1", "-n", "shop"]);
    until(&owner("db"), "A", "NODATA", CHANGE_TIME_MAX);
    until(&owner("db-0.db"), "AAAA", "AAAA fd00:1::5", CHANGE_TIME_MAX);
    assert!(server.stop().success());
}
