//! A server that is killed at any moment under load comes back with everything that it acknowledged.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::dig::dig;
use harness::link::address_server;
use harness::link::addresses::SERVED4;
use harness::process::run;
use harness::rng::Rng;
use harness::server::rrset_path;
use harness::{Namespace, Server, turn, wait_for};

use super::{RING, TIME_MAX, WIRE, house};

/// Times that the server is killed.
const KILLS: u64 = 10;
/// Longest life of a server, in milliseconds.
const LIFE_MS_MAX: usize = 1_500;
/// The zone that is written.
const ZONE: &str = "written.example.";

/// Writes one name after another until the server is gone; gives how many were acknowledged in all.
fn write(server: &Server, mut acknowledged: u64, stop: &AtomicBool) -> u64 {
    let mut connection = server.connect();
    while !stop.load(Ordering::Relaxed) {
        let address = format!("203.0.113.{}", acknowledged % 250);
        let body = serde_json::json!({ "ttl": 60, "records": [address] }).to_string();
        let path = rrset_path(ZONE, &format!("name{acknowledged}"), "A");
        match connection.request("PUT", &path, &body) {
            Ok(response) if [200, 201].contains(&response.status) => acknowledged += 1,
            // Killed in the middle of it: the write may be there or not.
            _ => break,
        }
    }
    acknowledged
}

/// How long it takes from now on until a query is answered.
fn time_to_answer(client: &Namespace) -> Duration {
    let _entered = client.enter();
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(SocketAddr::new(SERVED4, 53)).expect("a route");
    socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a socket");
    // name1.load.example. A
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x05name1\x04load\x07example\0\0\x01\0\x01";
    let start = Instant::now();
    wait_for("an answer", TIME_MAX, || {
        // Where nobody listens yet there is an error, or nothing.
        let _ = socket.send(query);
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).ok()?;
        // An answer with an address, not SERVFAIL of a server that has not read its zones.
        (length > 12 && answer[3] & 0xf == 0 && answer[7] == 1).then_some(())
    });
    start.elapsed()
}

#[test]
fn kills_under_load_lose_nothing_that_was_acknowledged() {
    let _turn = turn();
    let mut house = house();
    let mut rng = Rng::new(20_261_122);
    house.server.put_zone(ZONE);
    let load = house.dnsperf(90, 2_000);
    let (mut acknowledged, mut slowest) = (0, Duration::ZERO);
    for round in 0..KILLS {
        let life = Duration::from_millis(rng.below(LIFE_MS_MAX) as u64);
        let stop = AtomicBool::new(false);
        let written = thread::scope(|scope| {
            let writer = scope.spawn(|| write(&house.server, acknowledged, &stop));
            thread::sleep(life);
            house.server.kill_now();
            stop.store(true, Ordering::Relaxed);
            writer.join().expect("a writer")
        });
        println!("kill {round} after {life:?}: {} names acknowledged in this life", written - acknowledged);
        acknowledged = written;
        wait_for("the killed server's interface to go", TIME_MAX, || {
            let links = run("ip", &["-brief", "link"]);
            (!links.contains(RING) && links.contains(WIRE)).then_some(())
        });
        house.server = house.setup.spawn();
        slowest = slowest.max(time_to_answer(&house.client));
        house.server.wait_ready();
        address_server(RING);
    }
    println!("slowest start, from the call of the program to the first answer: {slowest:?}");
    drop(load);
    assert!(acknowledged > 0, "some writes were acknowledged");
    let last = acknowledged - 1;
    {
        let _entered = house.client.enter();
        let owner = format!("name{last}.written.example");
        let expected = format!("{owner}. 60 IN A 203.0.113.{}", last % 250);
        assert_eq!(dig(SERVED4, &owner, "A").answer, [expected]);
    }
    for name in 0..acknowledged {
        let response = house.server.get(&rrset_path(ZONE, &format!("name{name}"), "A"));
        assert_eq!(response.status, 200, "name{name} of {acknowledged} was acknowledged and is lost");
    }
}

#[test]
fn a_restart_in_order_drains_and_answers_again_at_once() {
    let _turn = turn();
    let mut house = house();
    house.server.put_zone(ZONE);
    house.server.put_rrset(ZONE, "www", "A", 60, &["203.0.113.7"]);
    let load = house.dnsperf(4, 2_000);
    thread::sleep(Duration::from_secs(1));
    let start = Instant::now();
    let status = house.server.terminate();
    let stopped = start.elapsed();
    assert!(status.success(), "{status}: it ends as asked");
    house.server = house.setup.spawn();
    let answering = time_to_answer(&house.client);
    println!("ended {stopped:?} after SIGTERM, answering {answering:?} after the device was free");
    house.server.wait_ready();
    address_server(RING);
    drop(load);
    let _entered = house.client.enter();
    assert_eq!(dig(SERVED4, "www.written.example", "A").answer, ["www.written.example. 60 IN A 203.0.113.7"]);
}
