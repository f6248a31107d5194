//! The API server is killed, its etcd forgets or is put back to an earlier state: what was known is served, and nothing wrong is in
//! the end.

use harness::turn;

use crate::cluster::Cluster;
use crate::dns::{CHANGE_TIME_MAX, HEAL_TIME_MAX, Observer, faults, setup, until, until_connected, until_fault};

/// The port of an API server that RingDNS does not ask.
const OTHER_PORT: u16 = 6444;

/// A name that is not touched.
const STEADY: &str = "steady.default.svc.cluster.local";

/// What it is answered with.
const STEADY_ADDRESS: &str = "10.96.1.1";

/// A Service with an address.
fn service(name: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
         spec: {{clusterIP: {address}, ports: [{{port: 80}}]}}\n---\n"
    )
}

/// The name of a Service.
fn owner(name: &str) -> String {
    format!("{name}.default.svc.cluster.local")
}

/// Checks that the name that is not touched was answered as ever.
fn check_steady(observer: Observer) {
    assert_eq!(observer.stop().answers, [STEADY_ADDRESS], "what is not touched is answered as ever");
}

#[test]
fn what_was_known_is_served_while_the_api_server_is_away_and_all_heals() {
    let _turn = turn();
    let mut cluster = Cluster::start();
    cluster.apply(&(service("steady", STEADY_ADDRESS) + &service("leaves", "10.96.1.2")));
    let server = setup(&cluster, &cluster.write_token("token")).start();
    let observer = Observer::start(STEADY);
    observer.until(STEADY_ADDRESS);
    until(&owner("leaves"), "A", "A 10.96.1.2", CHANGE_TIME_MAX);

    // Killed with open watches, and back without a change: the watches go on.
    let before = faults(&server, "unreachable");
    cluster.kill_api();
    until_fault(&server, "unreachable", before);
    assert_eq!(server.get("/ready").status, 200, "it serves what it knows");
    until(&owner("leaves"), "A", "A 10.96.1.2", CHANGE_TIME_MAX);
    cluster.restart_api();
    until_connected(&server);
    cluster.apply(&service("comes", "10.96.1.3"));
    until(&owner("comes"), "A", "A 10.96.1.3", CHANGE_TIME_MAX);

    // Away, while another API server changes the cluster and etcd forgets the versions in between: all is listed.
    let before = faults(&server, "gone");
    cluster.kill_api();
    cluster.start_api(OTHER_PORT);
    let other = format!("https://127.0.0.1:{OTHER_PORT}");
    harness::wait_for("the other API server", HEAL_TIME_MAX, || {
        let mut command = std::process::Command::new("curl");
        command.args(["-sf", "--cacert", &cluster.text("ca.crt"), &format!("{other}/readyz")]);
        harness::process::finish(&mut command, CHANGE_TIME_MAX).status.success().then_some(())
    });
    cluster.kubectl_at(&other, &["delete", "service", "leaves", "-n", "default"]);
    cluster.apply_at(&other, &service("late", "10.96.1.4"));
    cluster.kill_api();
    cluster.compact();
    until(&owner("leaves"), "A", "A 10.96.1.2", CHANGE_TIME_MAX);
    cluster.restart_api();
    until(&owner("leaves"), "A", "NXDOMAIN", HEAL_TIME_MAX);
    until(&owner("late"), "A", "A 10.96.1.4", HEAL_TIME_MAX);
    assert!(faults(&server, "gone") > before, "the API server said that the version is too old");
    until_connected(&server);
    check_steady(observer);
    assert!(server.stop().success());
}

#[test]
fn an_etcd_that_was_put_back_is_served_as_it_is_then() {
    let _turn = turn();
    let mut cluster = Cluster::start();
    cluster
        .apply(&(service("steady", STEADY_ADDRESS) + &service("leaves", "10.96.1.2") + &service("moves", "10.96.1.3")));
    let server = setup(&cluster, &cluster.write_token("token")).start();
    let observer = Observer::start(STEADY);
    observer.until(STEADY_ADDRESS);
    until(&owner("leaves"), "A", "A 10.96.1.2", CHANGE_TIME_MAX);

    let copy = cluster.text("copy");
    cluster.etcdctl(&["snapshot", "save", &copy]);
    cluster.kubectl(&["delete", "service", "leaves", "moves", "-n", "default"]);
    // Many versions more than a restarted API server makes by itself.
    let later: Vec<String> =
        (0..60).map(|number| service(&format!("later-{number}"), &format!("10.96.2.{number}"))).collect();
    cluster.apply(&(later.concat() + &service("moves", "10.96.3.3")));
    until(&owner("later-59"), "A", "A 10.96.2.59", CHANGE_TIME_MAX);
    until(&owner("moves"), "A", "A 10.96.3.3", CHANGE_TIME_MAX);
    until(&owner("leaves"), "A", "NXDOMAIN", CHANGE_TIME_MAX);

    let before = faults(&server, "backwards");
    cluster.restore("copy");
    until(&owner("leaves"), "A", "A 10.96.1.2", HEAL_TIME_MAX);
    until(&owner("moves"), "A", "A 10.96.1.3", HEAL_TIME_MAX);
    until(&owner("later-59"), "A", "NXDOMAIN", HEAL_TIME_MAX);
    until_connected(&server);
    assert!(faults(&server, "backwards") > before, "the versions went back, which was seen");
    // And it is followed from there, through the versions that it has had before.
    cluster.apply(&service("again", "10.96.4.4"));
    until(&owner("again"), "A", "A 10.96.4.4", CHANGE_TIME_MAX);
    check_steady(observer);
    assert!(server.stop().success());
}
