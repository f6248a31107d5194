//! Several agents check each target.

use crate::scene::{Agent, ROOT, Scene, wait_until};

#[test]
fn a_target_is_down_when_enough_agents_say_so() {
    let scene = Scene::start();
    let status = format!("{ROOT}/status/10.0.0.1");
    scene.etcd.put(&status, r#"{"status":"UP","ports":["80"],"domains":["a.local."],"cluster":"c1","more":1}"#);
    let agents = ["a", "b", "c"].map(|name| Agent::start(&scene, name));
    let scheduler = scene.thread("s1", scene.etcd.members[0].port, "replicas = 3\nquorum = 2");
    wait_until("all three have it", || {
        scene
            .read("job/ipaddress")
            .get("10.0.0.1")
            .is_some_and(|(job, _)| job["agents"].as_array().map_or(0, Vec::len) == 3)
    });
    let sees = |agent: &str, word: &str| {
        scene
            .etcd
            .put(&format!("{ROOT}/observation/10.0.0.1/{agent}"), &format!(r#"{{"status":"{word}","by":"{agent}"}}"#));
    };
    let stands = || scene.read("status").remove("10.0.0.1").unwrap().0;
    sees("a", "DOWN");
    sees("b", "UP");
    sees("c", "DOWN");
    wait_until("it is down", || stands()["status"] == "DOWN");
    let value = stands();
    assert_eq!(
        (&value["cluster"], &value["domains"][0], &value["more"]),
        (&"c1".into(), &"a.local.".into(), &1.into())
    );
    sees("a", "UP");
    wait_until("it is up", || stands()["status"] == "UP");

    // Who is gone has no say, and what it saw is removed once another has its place.
    let [a, b, c] = agents;
    drop(c);
    wait_until("two are left", || {
        scene.read("job/ipaddress")["10.0.0.1"].0["agents"].as_array().map_or(0, Vec::len) == 2
            && !scene.read("observation").contains_key("10.0.0.1/c")
    });
    sees("a", "DOWN");
    sees("b", "DOWN");
    wait_until("both say that it is down", || stands()["status"] == "DOWN");
    assert!(scheduler.state.leads());
    drop((a, b));
}
