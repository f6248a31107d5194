//! The scheduler as a process has it.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use ringdns_controlplane::config::health::RoleConfig;
use ringdns_health::scheduler::Scheduler;

use crate::common::real::free_port;
use crate::scene::{Agent, Scene, address, wait_until};

/// What is answered to a GET, with its headers.
fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_role_can_be_read_and_ends_in_order() {
    let scene = Scene::start();
    scene.put_targets(3);
    let agent = Agent::start(&scene, "a");
    let config = RoleConfig::load(&scene.configure("s1", scene.etcd.members[0].port, "")).unwrap();
    let role = Scheduler::start(&config.etcd, &config.health).unwrap();
    scene.wait_assigned(3, &[&agent]);
    let health = get(role.address(), "/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""leads":true"#), "{health}");
    let member = format!(r#""target":"{}""#, address(2));
    wait_until("its members are told", || {
        let members = get(role.address(), "/api/v1/members?state=up");
        members.contains(&member) && members.matches(r#""agents":["a"]"#).count() == 3
    });
    let metrics = get(role.address(), "/metrics");
    for line in
        ["ringdns_scheduler_leads 1", "ringdns_scheduler_agent_targets{agent=\"a\"} 3", "scheduler_elections_total 1"]
    {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    role.stop();
    assert_eq!(scene.leader(), None);
}

#[test]
fn a_role_needs_its_address_and_no_etcd() {
    let scene = Scene::start();
    // Nobody is there.
    let mut config = RoleConfig::load(&scene.configure("s1", free_port(), "")).unwrap();
    let role = Scheduler::start(&config.etcd, &config.health).unwrap();
    wait_until("it says what is wrong", || {
        let health = get(role.address(), "/health");
        health.starts_with("HTTP/1.1 503") && health.contains("http://127.0.0.1:")
    });
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.health.scheduler.listen = taken.local_addr().unwrap();
    let error = Scheduler::start(&config.etcd, &config.health).unwrap_err().to_string();
    assert!(error.starts_with("scheduler.listen: "), "{error}");
    role.stop();
}
