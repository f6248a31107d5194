//! An API server that has no slices yet: Endpoints are read, until there are slices.

use harness::turn;

use crate::cluster::Cluster;
use crate::dns::{CHANGE_TIME_MAX, HEAL_TIME_MAX, Observer, setup, until, until_connected};

/// A headless Service and its endpoints.
const OBJECTS: &str = "apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: pg, port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db, namespace: default}
subsets:
- addresses: [{ip: 10.1.0.5, hostname: db-0}, {ip: 10.1.0.6}]
  notReadyAddresses: [{ip: 10.1.0.7}]
  ports: [{name: pg, port: 5432, protocol: TCP}]
";

/// The same endpoints as a slice, with one more.
const SLICE: &str = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.1.0.5], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.6], conditions: {ready: true}}
- {addresses: [10.1.0.8], conditions: {ready: true}}
ports: [{name: pg, port: 5432, protocol: TCP}]
";

/// The Service.
const OWNER: &str = "db.default.svc.cluster.local";

#[test]
fn endpoints_stand_in_for_slices_until_there_are_slices() {
    let _turn = turn();
    let mut cluster = Cluster::start_bare();
    cluster.permit();
    cluster.apply(OBJECTS);
    let server = setup(&cluster, &cluster.write_token("token")).start();
    until(OWNER, "A", "A 10.1.0.5, A 10.1.0.6", CHANGE_TIME_MAX);
    until(&format!("db-0.{OWNER}"), "A", "A 10.1.0.5", CHANGE_TIME_MAX);
    until("5.0.1.10.in-addr.arpa", "PTR", &format!("PTR db-0.{OWNER}."), CHANGE_TIME_MAX);
    cluster.kubectl(&[
        "patch",
        "endpoints",
        "db",
        "-n",
        "default",
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/subsets/0/addresses/-","value":{"ip":"10.1.0.9"}}]"#,
    ]);
    until(OWNER, "A", "A 10.1.0.5, A 10.1.0.6, A 10.1.0.9", CHANGE_TIME_MAX);

    // It is upgraded: the next time that a watch ends, there are slices.
    let observer = Observer::start(OWNER);
    cluster.serve_slices();
    cluster.apply(SLICE);
    cluster.kill_api();
    cluster.restart_api();
    until(OWNER, "A", "A 10.1.0.5, A 10.1.0.6, A 10.1.0.8", HEAL_TIME_MAX);
    until_connected(&server);
    let seen = observer.stop().answers;
    let ready = |last: &str| format!("10.1.0.5 10.1.0.6 10.1.0.{last}");
    assert!(seen == [ready("9"), ready("8")] || seen == [ready("9"), ready("8 10.1.0.9"), ready("8")], "{seen:?}");
    assert!(server.stop().success());
}
