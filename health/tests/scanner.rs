//! The scanner against a real etcd and real targets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::real::Etcd;
use common::{Web, get, json, key, metric, scanner, state, status_key, wait_until};
use serde_json::json as value;

/// The key of our heartbeat.
const AGENT: &str = "/containerdns/monitor/agent/a";

/// The key of a job.
fn job_key(address: &str) -> String {
    format!("/containerdns/monitor/job/ipaddress/{address}")
}

/// A target's state that has a port.
fn status(word: &str, port: u16) -> String {
    value!({ "status": word, "ports": [port.to_string()], "domains": ["a.b."], "cluster": "c1", "of_others": [1] })
        .to_string()
}

/// Lines of a probe by HTTP for every address.
const HTTP: &str = "[[probe]]\ntargets = [\"0.0.0.0/0\"]\nkind = \"http\"\n";

#[test]
fn a_listener_that_is_closed_and_opened_turns_its_state_and_nothing_else() {
    let etcd = Etcd::start(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    etcd.put(&status_key("127.0.0.1"), &status("DOWN", local.port()));
    let scanner = scanner(&etcd, "jobs = \"all\"", "");
    wait_until("the open listener is up", || state(&etcd, "127.0.0.1") == "UP");
    drop(listener);
    wait_until("the closed listener is down", || state(&etcd, "127.0.0.1") == "DOWN");
    let mut found = key(&etcd, &status_key("127.0.0.1")).unwrap().0;
    let told = ["since", "error", "by"].map(|name| found.as_object_mut().unwrap().remove(name).unwrap());
    assert!(told[0].as_str().unwrap().ends_with('Z') && told[1].as_str().unwrap().contains("refused"), "{told:?}");
    assert_eq!(told[2], "a");
    assert_eq!(found, serde_json::from_str::<serde_json::Value>(&status("DOWN", local.port())).unwrap());

    let member = json(scanner.address(), "/api/v1/members/127.0.0.1");
    assert_eq!((&member["state"], &member["by"], &member["probe"]), (&"DOWN".into(), &"a".into(), &"tcp".into()));
    let error = member["last_error"].as_str().unwrap();
    assert!(error.starts_with(&format!("{local}: Connection refused")), "{error}");
    assert_eq!(json(scanner.address(), "/api/v1/members?state=down")["members"][0], member);
    assert_eq!(json(scanner.address(), "/api/v1/members?state=up"), value!({ "members": [] }));
    assert_eq!(get(scanner.address(), "/api/v1/members/127.0.0.9").0, 404);
    assert_eq!(get(scanner.address(), "/health").0, 200);
    assert_eq!(metric(scanner.address(), "ringdns_scanner_targets{state=\"down\"}"), 1.0);
    assert_eq!(metric(scanner.address(), "ringdns_scanner_writes_total{result=\"written\"}"), 2.0);

    let listener = TcpListener::bind(local).unwrap();
    wait_until("the listener is up again", || state(&etcd, "127.0.0.1") == "UP");
    drop(listener);
    let (heartbeat, _, lease) = key(&etcd, AGENT).unwrap();
    assert!(
        heartbeat["agent_name"] == "a" && heartbeat["last_report"].is_string() && lease != 0,
        "{heartbeat} {lease}"
    );
    scanner.stop();
    assert!(key(&etcd, AGENT).is_none(), "the lease is given back at the end");
}

#[test]
fn flapping_targets_are_damped_and_etcd_is_left_alone() {
    let etcd = Etcd::start(1);
    let web = Web::answering(|before| if before % 2 == 0 { 500 } else { 200 });
    etcd.put(&status_key("127.0.0.1"), &status("UP", web.address.port()));
    let before = key(&etcd, &status_key("127.0.0.1")).unwrap().1;
    let scanner = scanner(&etcd, "jobs = \"all\"\nheartbeat_seconds = 0", HTTP);
    wait_until("it has been looked at often", || web.count() >= 20);
    assert_eq!(key(&etcd, &status_key("127.0.0.1")).unwrap().1, before, "nothing is written");
    assert!(metric(scanner.address(), "ringdns_scanner_checks_total{result=\"down\"}") >= 5.0);
    assert_eq!(metric(scanner.address(), "ringdns_scanner_turns_total{to=\"down\"}"), 0.0);
    scanner.stop();
}

#[test]
fn what_is_due_while_too_many_checks_run_waits_and_is_not_skipped() {
    let etcd = Etcd::start(1);
    let counted: Arc<(AtomicU32, AtomicU32)> = Arc::default();
    let first = Web::start("127.0.0.1:0", Arc::clone(&counted), Arc::new(|_| (200, Duration::from_millis(100))));
    let port = first.address.port();
    let mut targets = vec![first];
    for last in 2..=12 {
        let slow = Arc::new(|_: &str| (200, Duration::from_millis(100)));
        targets.push(Web::start(&format!("127.0.0.{last}:{port}"), Arc::clone(&counted), slow));
    }
    for web in &targets {
        etcd.put(&status_key(&web.address.ip().to_string()), &status("UP", port));
    }
    let scanner = scanner(&etcd, "jobs = \"all\"\nchecks_max = 3", HTTP);
    wait_until("every target is checked again and again", || targets.iter().all(|web| web.count() >= 4));
    let peak = counted.1.load(Ordering::SeqCst);
    assert!((2..=3).contains(&peak), "{peak} at the same time");
    assert_eq!(metric(scanner.address(), "ringdns_scanner_checks_running_peak"), 3.0);
    assert!(metric(scanner.address(), "ringdns_scanner_check_late_seconds_max") > 0.0);
    let (least, most) = (targets.iter().map(Web::count).min().unwrap(), targets.iter().map(Web::count).max().unwrap());
    assert!(most <= least * 3, "each gets its turn: {least} to {most}");
    scanner.stop();
}

#[test]
fn states_change_while_etcd_is_gone_and_are_written_when_it_is_back() {
    let mut etcd = Etcd::start(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    etcd.put(&status_key("127.0.0.1"), &status("UP", listener.local_addr().unwrap().port()));
    let scanner = scanner(&etcd, "jobs = \"all\"", "");
    wait_until("it is checked", || json(scanner.address(), "/api/v1/members/127.0.0.1")["last_check"].is_string());
    wait_until("it has a lease", || metric(scanner.address(), "ringdns_scanner_lease") == 1.0);
    etcd.members[0].kill();
    drop(listener);
    wait_until("it is seen down without etcd", || {
        json(scanner.address(), "/api/v1/members/127.0.0.1")["state"] == "DOWN"
    });
    // Long enough for the lease to be gone.
    wait_until("the lease is lost", || metric(scanner.address(), "ringdns_scanner_lease") == 0.0);
    etcd.members[0].start();
    wait_until("it stands in etcd", || state(&etcd, "127.0.0.1") == "DOWN");
    wait_until("the agent is back", || key(&etcd, AGENT).is_some());
    scanner.stop();
}

#[test]
fn only_jobs_with_our_name_are_checked_and_shared_ones_are_observed() {
    let etcd = Etcd::start(1);
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        // Port 1: nobody listens there.
        etcd.put(&status_key(address), &status("UP", 1));
    }
    let job = |agents: &[&str]| value!({ "agent_name": agents[0], "agents": agents, "status": "" }).to_string();
    etcd.put(&job_key("127.0.0.1"), &job(&["a"]));
    etcd.put(&job_key("127.0.0.2"), &job(&["b"]));
    etcd.put(&job_key("127.0.0.3"), &job(&["b", "a", "c"]));
    let scanner = scanner(&etcd, "", "");
    wait_until("ours is down", || state(&etcd, "127.0.0.1") == "DOWN");
    let observation = "/containerdns/monitor/observation/127.0.0.3/a";
    // What it is taken for before its first checks may have been written.
    wait_until("the shared one is observed", || {
        key(&etcd, observation).is_some_and(|(seen, ..)| seen["status"] == "DOWN")
    });
    let (seen, _, lease) = key(&etcd, observation).unwrap();
    assert_eq!((&seen["status"], &seen["by"], lease), (&"DOWN".into(), &"a".into(), key(&etcd, AGENT).unwrap().2));
    assert!(seen["error"].as_str().unwrap().contains("refused") && seen["since"].is_string(), "{seen}");
    assert_eq!([state(&etcd, "127.0.0.2"), state(&etcd, "127.0.0.3")], ["UP", "UP"], "others decide");
    etcd.put(&job_key("127.0.0.2"), &job(&["a"]));
    wait_until("the job that became ours is checked", || state(&etcd, "127.0.0.2") == "DOWN");
    etcd.delete(&job_key("127.0.0.1"));
    wait_until("the job that went is left", || get(scanner.address(), "/api/v1/members/127.0.0.1").0 == 404);
    scanner.stop();
    assert!(key(&etcd, observation).is_none(), "observations go with their agent");
}

#[test]
fn who_has_lost_its_place_to_another_writes_nothing() {
    let etcd = Etcd::start(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    etcd.put(&status_key("127.0.0.1"), &status("UP", listener.local_addr().unwrap().port()));
    let scanner = scanner(&etcd, "jobs = \"all\"\nheartbeat_seconds = 60", "");
    wait_until("it has a lease", || key(&etcd, AGENT).is_some());
    wait_until("it is checked", || json(scanner.address(), "/api/v1/members/127.0.0.1")["last_check"].is_string());
    // Another of the same name has registered: our lease goes on, and the key is no longer on it.
    etcd.put(AGENT, "{\"agent_name\":\"a\"}");
    drop(listener);
    let refused = || metric(scanner.address(), "ringdns_scanner_writes_total{result=\"refused\"}") >= 1.0;
    wait_until("a write is refused", refused);
    assert_eq!(state(&etcd, "127.0.0.1"), "UP");
    scanner.stop();
}

#[test]
fn two_thousand_targets_fall_together_and_all_of_it_is_written() {
    let etcd = Etcd::start(1);
    let targets: Vec<String> = (0..2000).map(|number| format!("127.1.{}.{}", number / 200, number % 200 + 1)).collect();
    let pairs: Vec<(String, String)> = targets.iter().map(|target| (status_key(target), status("UP", 1))).collect();
    etcd.put_all(&pairs);
    let scanner = scanner(&etcd, "jobs = \"all\"\nheartbeat_seconds = 0\ninterval_ms = 1000", "");
    let down = || metric(scanner.address(), "ringdns_scanner_writes_total{result=\"written\"}") >= 2000.0;
    wait_until("all are written", down);
    assert!(targets.iter().step_by(97).all(|target| state(&etcd, target) == "DOWN"));
    assert_eq!(metric(scanner.address(), "ringdns_scanner_targets{state=\"down\"}"), 2000.0);
    let revision = || {
        let answer = etcd.ask(|client| async move { client.kv_client().get("/ready", None).await });
        answer.header().unwrap().revision()
    };
    let (before, checks) = (revision(), metric(scanner.address(), "ringdns_scanner_checks_total{result=\"down\"}"));
    wait_until("all are checked again", || {
        metric(scanner.address(), "ringdns_scanner_checks_total{result=\"down\"}") >= checks + 2000.0
    });
    assert_eq!(revision(), before, "in steady state nothing is written");
    scanner.stop();
}

#[test]
fn without_checks_everything_is_up() {
    let etcd = Etcd::start(1);
    etcd.put(&status_key("127.0.0.1"), &status("DOWN", 1));
    let scanner = scanner(&etcd, "jobs = \"all\"\ncheck = false", "");
    wait_until("it is up", || state(&etcd, "127.0.0.1") == "UP");
    scanner.stop();
}

#[test]
fn alerts_come_at_once_again_while_it_is_down_and_when_it_is_over() {
    let etcd = Etcd::start(1);
    let is_well = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&is_well);
    let target = Web::answering(move |_| if well.load(Ordering::SeqCst) { 200 } else { 503 });
    // The first request fails: it is tried again.
    let receiver = Web::answering(|before| if before == 0 { 500 } else { 200 });
    etcd.put(&status_key("127.0.0.1"), &status("UP", target.address.port()));
    let alert = format!(
        "[alert]\nurl = \"http://{}/send?x=1\"\nsilent_seconds = 2\nto = \"ops\"\nroom = \"r1\"\nsys_idx = \"7\"\n",
        receiver.address
    );
    let scanner = scanner(&etcd, "jobs = \"all\"", &format!("{HTTP}{alert}"));
    wait_until("it is looked at", || target.count() >= 3);
    assert_eq!(receiver.count(), 0);
    is_well.store(false, Ordering::SeqCst);
    let fell = Instant::now();
    wait_until("it is told, tried again and repeated", || receiver.count() >= 3);
    is_well.store(true, Ordering::SeqCst);
    let is_over = |body: &serde_json::Value| body["subject"] == "[r1] Recovered: 127.0.0.1 status is up";
    wait_until("the end is told", || receiver.bodies().iter().any(|(_, body)| is_over(body)));
    let bodies = receiver.bodies();
    for (_, body) in bodies.iter().filter(|(_, body)| !is_over(body)) {
        assert_eq!(body["subject"], "[r1] Warning: 127.0.0.1 status is down");
        assert_eq!((&body["to"], &body["sys_idx"]), (&"ops".into(), &"7".into()));
        let text: serde_json::Value = serde_json::from_str(body["text"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&text["target"], &text["rule"]),
            (&"127.0.0.1".into(), &"interval: 100, timeout: 2000, max_retry: 0".into())
        );
    }
    assert!(bodies[2].0 - fell >= Duration::from_secs(2), "repeated after the silent time");
    let count = bodies.len();
    assert_eq!(bodies.iter().filter(|(_, body)| is_over(body)).count(), 1);
    assert!(receiver.requests.lock().unwrap()[0].1.starts_with("POST /send?x=1 HTTP/1.1\r\n"));
    // Nothing more is told of a target that is well.
    let silent = Instant::now();
    wait_until("the silent time is over", || silent.elapsed() > Duration::from_millis(2500));
    assert_eq!(receiver.count(), count);
    wait_until("what was sent is counted", || {
        metric(scanner.address(), "ringdns_scanner_alerts_total{result=\"sent\"}") >= 3.0
    });
    scanner.stop();
}
