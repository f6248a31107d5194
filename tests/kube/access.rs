//! Permissions that come and go, and tokens that end.

use std::process::Command;
use std::time::{Duration, Instant};

use harness::link::address_client;
use harness::server::TAP;
use harness::{turn, wait_for};

use crate::cluster::Cluster;
use crate::dns::{CHANGE_TIME_MAX, HEAL_TIME_MAX, ask, faults, setup, until, until_connected, until_fault};

/// Seconds for which the short token holds: long enough for a start on a busy machine.
const TOKEN_SECONDS: u64 = 30;

/// The API server's own Service, which it makes itself, and its address.
const OWNER: &str = "kubernetes.default.svc.cluster.local";

/// The first address of the range of Services.
const ADDRESS: &str = "A 10.96.0.1";

#[test]
fn nothing_is_denied_before_it_may_be_read() {
    let _turn = turn();
    let cluster = Cluster::start();
    cluster.kubectl(&["delete", "clusterrolebinding", "system:ringdns"]);
    let setup = setup(&cluster, &cluster.write_token("token"));
    let server = setup.spawn();
    wait_for("the device of the server", HEAL_TIME_MAX, || {
        let shown = Command::new("ip").args(["link", "show", TAP]).output().expect("iproute2");
        shown.status.success().then_some(())
    });
    address_client(TAP);
    wait_for("answers", HEAL_TIME_MAX, || server.log().contains("permit the verbs list and watch").then_some(()));
    until(OWNER, "A", "SERVFAIL", HEAL_TIME_MAX);
    assert_eq!(ask("no.such.svc.cluster.local", "A"), "SERVFAIL", "what is not known is not denied");
    assert_eq!(server.get("/ready").status, 503);
    assert!(faults(&server, "forbidden") > 0);

    cluster.permit();
    until(OWNER, "A", ADDRESS, HEAL_TIME_MAX);
    until("no.such.svc.cluster.local", "A", "NXDOMAIN", HEAL_TIME_MAX);
    wait_for("readiness", HEAL_TIME_MAX, || (server.get("/ready").status == 200).then_some(()));
    assert!(server.stop().success());
}

#[test]
fn a_token_that_has_ended_and_a_permission_that_was_taken_away_leave_what_was_known() {
    let _turn = turn();
    let mut cluster = Cluster::start();
    let token = cluster.write_short_token("token", TOKEN_SECONDS);
    let begun = Instant::now();
    let server = setup(&cluster, &token).start();
    until(OWNER, "A", ADDRESS, CHANGE_TIME_MAX);

    // Watches outlive the token that they were opened with; the ones after them do not.
    cluster.kill_api();
    let before = faults(&server, "unauthorized");
    let rest = Duration::from_secs(TOKEN_SECONDS + 1).saturating_sub(begun.elapsed());
    std::thread::sleep(rest);
    cluster.restart_api();
    until_fault(&server, "unauthorized", before);
    assert_eq!((ask(OWNER, "A").as_str(), server.get("/ready").status), (ADDRESS, 200));
    cluster.write_token("token");
    until_connected(&server);

    let before = faults(&server, "forbidden");
    cluster.kubectl(&["delete", "clusterrolebinding", "system:ringdns"]);
    cluster.kill_api();
    cluster.restart_api();
    until_fault(&server, "forbidden", before);
    assert_eq!((ask(OWNER, "A").as_str(), server.get("/ready").status), (ADDRESS, 200));
    cluster.permit();
    until_connected(&server);
    cluster.kubectl(&["create", "service", "clusterip", "new", "--clusterip=10.96.5.5", "--tcp=80", "-n", "default"]);
    until("new.default.svc.cluster.local", "A", "A 10.96.5.5", CHANGE_TIME_MAX);
    assert!(server.stop().success());
}
