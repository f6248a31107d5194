//! Several that write: one leads.

use super::scene::{Scene, service, wait_until};

/// Where the Services of the tests are.
const BASE: &str = "/skydns/local/cluster/svc/a/";

#[test]
fn a_leader_that_was_stopped_changes_nothing_when_it_wakes_up() {
    let scene = Scene::start();
    for number in 0..100 {
        scene.server.put(service("a", &format!("n{number}"), &format!("10.96.1.{number}")));
    }
    let processes = ["s1", "s2"].map(|name| scene.process(name, "layout = \"skydns\""));
    wait_until("everything is written", || scene.read(BASE).len() == 200);
    let leader = scene.leader("skydns").unwrap();
    let (stopped, other) = if processes[0].name == leader { (0, 1) } else { (1, 0) };
    processes[stopped].signal("-STOP");
    for number in 0..100 {
        scene.server.put(service("a", &format!("n{number}"), &format!("10.96.2.{number}")));
    }
    let is_new = || scene.read(BASE).values().filter(|value| value.contains("\"10.96.2.")).count() == 100;
    wait_until("the other one leads and writes", is_new);
    assert_eq!(scene.leader("skydns").as_deref(), Some(processes[other].name.as_str()));
    wait_until("old ones are gone", || scene.read(BASE).len() == 200);
    let (before, revision) = (scene.read("/"), scene.revision());
    // It believes that it leads, and hears of all that has happened.
    processes[stopped].signal("-CONT");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((scene.read("/"), scene.revision()), (before, revision));
    // It leads once the other one is gone.
    processes[other].signal("-KILL");
    wait_until("it leads again", || scene.leader("skydns").as_ref() == Some(&leader));
    scene.server.put(service("a", "n0", "10.96.3.1"));
    wait_until("it writes", || scene.read(BASE).values().any(|value| value.contains("10.96.3.1")));
}

#[test]
fn a_leader_that_ends_gives_its_lock_back() {
    let scene = Scene::start();
    let first = scene.writer("s1", "layout = \"skydns\"");
    first.wait_synced();
    let second = scene.writer("s2", "layout = \"skydns\"");
    wait_until("it follows", || second.state.json()["leader"] == "s1" && second.state.json()["listed"] == true);
    drop(first);
    wait_until("it leads", || second.state.leads());
    scene.server.put(service("a", "web", "10.96.0.2"));
    second.wait_synced();
    wait_until("it writes", || scene.read(BASE).len() == 2);
    drop(second);
    assert_eq!(scene.leader("skydns"), None);
}
