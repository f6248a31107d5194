//! etcd and the API server are away, slow, or cut off.

use super::scene::{Scene, service, wait_until};
use crate::double::Fault;
use crate::etcd::Way;

/// Where the Services of the tests are.
const BASE: &str = "/skydns/local/cluster/svc/a/";

/// The addresses that are written.
fn hosts(scene: &Scene) -> Vec<String> {
    let values = scene.read(BASE).into_values().filter(|value| !value.contains("\"port\""));
    let mut hosts: Vec<String> = values.map(|value| value.split('"').nth(3).unwrap().to_owned()).collect();
    hosts.sort();
    hosts
}

#[test]
fn what_happens_while_etcd_is_away_is_written_when_it_is_back() {
    let mut scene = Scene::start();
    scene.server.put(service("a", "web", "10.96.0.2"));
    scene.server.put(service("a", "gone", "10.96.0.3"));
    let way = Way::to(scene.etcd.members[0].port);
    let writer = scene.writer_by("s1", way.port, "layout = \"skydns\"");
    writer.wait_synced();
    assert_eq!(hosts(&scene), ["10.96.0.2", "10.96.0.3"]);
    // Cut off.
    way.cut(true);
    scene.server.put(service("a", "web", "10.96.0.4"));
    scene.server.remove("services", "a", "gone");
    wait_until("it says what is wrong", || writer.state.json()["etcd"] != "");
    scene.server.put(service("a", "web", "10.96.0.5"));
    way.cut(false);
    wait_until("the last state is there", || hosts(&scene) == ["10.96.0.5"]);
    // Dead, in the middle of many changes.
    for number in 0..50 {
        scene.server.put(service("a", &format!("n{number}"), &format!("10.96.3.{number}")));
    }
    scene.etcd.members[0].kill();
    for number in 0..50 {
        scene.server.put(service("a", &format!("n{number}"), &format!("10.96.4.{number}")));
    }
    scene.etcd.members[0].start();
    wait_until("the last state is there", || {
        let found = hosts(&scene);
        found.len() == 51 && found.iter().filter(|host| host.starts_with("10.96.4.")).count() == 50
    });
    wait_until("it knows", || writer.state.is_synced());
}

#[test]
fn what_happens_while_the_api_server_is_away_is_written_when_it_is_back() {
    let mut scene = Scene::start();
    scene.server.put(service("a", "web", "10.96.0.2"));
    scene.server.put(service("a", "gone", "10.96.0.3"));
    let writer = scene.writer("s1", "layout = \"skydns\"");
    writer.wait_synced();
    scene.away(true);
    wait_until("it knows", || writer.state.json()["cluster"]["connected"] == false);
    scene.server.put(service("a", "web", "10.96.0.4"));
    scene.server.remove("services", "a", "gone");
    scene.server.cluster().compact();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(hosts(&scene), ["10.96.0.2", "10.96.0.3"], "what was written stays");
    scene.server.faults().next.extend([Fault::Slow(200), Fault::Cut, Fault::Status(500), Fault::CutMiddle]);
    scene.away(false);
    wait_until("the last state is there", || hosts(&scene) == ["10.96.0.4"]);
}
