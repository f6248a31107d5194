//! Agents, leaders and etcd are lost, and come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::common::real::Way;
use crate::scene::{Agent, ROOT, Scene, address, wait_until};

/// Targets of the tests with many.
const TARGETS: usize = 2000;

/// The targets that have another agent than before.
fn moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    before.iter().filter(|(target, agent)| after.get(*target) != Some(agent)).map(|(_, agent)| agent.clone()).collect()
}

#[test]
fn every_target_keeps_a_live_agent_while_agents_and_leaders_are_killed() {
    let scene = Scene::start();
    scene.put_targets(TARGETS);
    let [first, second, third] = ["a", "b", "c"].map(|name| Agent::start(&scene, name));
    let mut schedulers = ["s1", "s2"].map(|name| scene.process(name)).into_iter().collect::<Vec<_>>();
    let all = scene.wait_assigned(TARGETS, &[&first, &second, &third]);
    for agent in ["a", "b", "c"] {
        let load = all.values().filter(|name| *name == agent).count();
        assert!((TARGETS / 4..TARGETS / 2).contains(&load), "{agent} has {load} targets");
    }

    // Nothing happens, so nothing is written, though everything is looked at each second.
    let revision = scene.revision();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(scene.revision(), revision, "something was written");

    // The loss of an agent moves its targets alone, and when it comes back it has them again.
    drop(first);
    let without = scene.wait_assigned(TARGETS, &[&second, &third]);
    assert!(moved(&all, &without).iter().all(|agent| agent == "a"));
    let first = Agent::start(&scene, "a");
    wait_until("the agent has its targets again", || scene.assignments() == all);

    // The leader and an agent are lost together.
    let leader = scene.leader().unwrap();
    let place = schedulers.iter().position(|scheduler| scheduler.name == leader).unwrap();
    drop((schedulers.remove(place), second));
    let without = scene.wait_assigned(TARGETS, &[&first, &third]);
    assert!(moved(&all, &without).iter().all(|agent| agent == "b"));
    assert_eq!(scene.leader().unwrap(), schedulers[0].name);

    // With another scheduler, and that one killed in its turn.
    let replacement = scene.process("s3");
    drop((schedulers.remove(0), third));
    let last = scene.wait_assigned(TARGETS, &[&first]);
    assert_eq!(
        (moved(&without, &last).contains(&"a".to_owned()), scene.leader().unwrap()),
        (false, replacement.name.clone())
    );

    // Targets come and go.
    scene.etcd.delete(&format!("{ROOT}/status/{}", address(0)));
    scene.etcd.put(&format!("{ROOT}/status/2001:db8::1"), "{}");
    wait_until("jobs follow states", || {
        let jobs = scene.assignments();
        !jobs.contains_key(&address(0)) && jobs.get("2001:db8::1").is_some_and(|agent| agent == "a")
    });
}

#[test]
fn what_changed_while_etcd_was_out_of_reach_is_made_up_for() {
    let mut scene = Scene::start();
    scene.put_targets(20);
    let agent = Agent::start(&scene, "a");
    let way = Way::to(scene.etcd.members[0].port);
    let scheduler = scene.thread("s1", way.port, "");
    scene.wait_assigned(20, &[&agent]);

    // What the watch would begin with is gone.
    way.cut(true);
    wait_until("it is cut off", || !scheduler.state.is_connected());
    scene.etcd.delete(&format!("{ROOT}/status/{}", address(3)));
    scene.etcd.put(&format!("{ROOT}/status/10.9.9.9"), "{}");
    scene.etcd.compact();
    way.cut(false);
    wait_until("it catches up", || {
        let jobs = scene.assignments();
        jobs.len() == 20 && jobs.contains_key("10.9.9.9") && !jobs.contains_key(&address(3))
    });

    // etcd itself is away for longer than a lease, and nothing is different afterwards.
    let before = scene.read("job/ipaddress");
    scene.etcd.members[0].kill();
    wait_until("etcd is away", || !scheduler.state.is_connected());
    std::thread::sleep(Duration::from_secs(3));
    scene.etcd.members[0].start();
    wait_until("it leads again", || scheduler.state.leads());
    wait_until("the agent is back", || scheduler.state.json()["agents"][0]["live"] == true);
    assert_eq!(scene.read("job/ipaddress"), before);
    scene.etcd.put(&format!("{ROOT}/status/10.9.9.8"), "{}");
    wait_until("it goes on", || scene.assignments().contains_key("10.9.9.8"));
}

#[test]
fn a_mass_of_writes_keeps_to_the_rate() {
    let scene = Scene::start();
    scene.put_targets(150);
    let agent = Agent::start(&scene, "a");
    let started = Instant::now();
    let _scheduler = scene.thread("s1", scene.etcd.members[0].port, "writes_per_second = 50");
    scene.wait_assigned(150, &[&agent]);
    // A quarter of a second's worth can be written at once.
    let least = Duration::from_millis(1000 * (150 - 13) / 50);
    assert!(started.elapsed() >= least, "150 writes took {:?}", started.elapsed());
}

#[test]
fn names_of_records_and_agents_of_the_original_are_known() {
    let scene = Scene::start();
    let record = r#"{"type":"A","source":"api","host":"10.0.0.1","ttl":30}"#;
    scene.etcd.put("/containerdns/local/shop/web/3f73e5f9/", record);
    scene.etcd.put("/containerdns/local/shop/web/4f73e5f9/", record);
    scene.etcd.put("/containerdns/local/shop/alias/", r#"{"type":"CNAME","host":"web.shop.local."}"#);
    // It has no lease, and a clock that cannot be believed: every report is a sign of life.
    let report = |second: u32| {
        let value = format!(r#"{{"agent_name":"old","last_report":"2006-01-02 15:04:{second:02}"}}"#);
        scene.etcd.put(&format!("{ROOT}/agent/old"), &value);
    };
    let scheduler = scene.thread("s1", scene.etcd.members[0].port, "agent_downtime_seconds = 2");
    wait_until("it leads", || scheduler.state.leads());
    report(0);
    let job = |name: &str| scene.read("job/domain").remove(name).map(|(job, _)| job);
    wait_until("names have jobs", || {
        ["web.shop.local", "alias.shop.local"]
            .iter()
            .all(|name| job(name).is_some_and(|job| job["agent_name"] == "old"))
    });
    let value = job("web.shop.local").unwrap();
    assert_eq!((&value["status"], value.get("init_data"), value.get("agents")), (&"DOWN".into(), None, None));

    // The scanner has changed its state since: that is no reason to write.
    scene.etcd.delete("/containerdns/local/shop/web/3f73e5f9/");
    let mut up = value;
    up["status"] = "UP".into();
    scene.etcd.put(&format!("{ROOT}/job/domain/web.shop.local"), &up.to_string());
    wait_until("it is gone", || scheduler.state.json()["agents"][0]["live"] == false);
    let agent = Agent::start(&scene, "new");
    wait_until("another one has its names", || {
        ["web.shop.local", "alias.shop.local"]
            .iter()
            .all(|name| job(name).is_some_and(|job| job["agent_name"] == agent.name))
    });
    assert_eq!(job("web.shop.local").unwrap()["status"], "UP");
    scene.etcd.delete("/containerdns/local/shop/web/4f73e5f9/");
    wait_until("the last record takes the job with it", || job("web.shop.local").is_none());
}
