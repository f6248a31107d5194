//! Ports, queues and workers: plans for odd machines, sleep, links that come and go, large frames, VLANs.

use std::thread;
use std::time::Duration;

use harness::dig::{dig, dig_with};
use harness::frames::{PacketSocket, Way};
use harness::link::addresses::{SERVED4, SERVED6};
use harness::link::{mac_address, veth_pair};
use harness::message::Question;
use harness::metrics::Metrics;
use harness::process::run;
use harness::server::TAP;
use harness::udp::exchange;
use harness::{Namespace, Server, Setup, turn, wait_for};

/// Longest wait for something that takes a moment.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Type A.
const A: u16 = 1;

/// A server with one name.
fn start(setup: &Setup) -> Server {
    let server = setup.start();
    server.put_zone("example.org.");
    server.put_rrset("example.org.", "www", "A", 60, &["203.0.113.1"]);
    server
}

/// Checks that the name is answered over both families.
fn assert_answers() {
    for address in [SERVED4, SERVED6] {
        assert_eq!(dig(address, "www.example.org", "A").answer, ["www.example.org. 60 IN A 203.0.113.1"]);
    }
}

/// The lines of the plan that name a port.
fn plan_of(server: &Server, port: &str) -> Vec<String> {
    let log = server.log();
    let rows = log.lines().filter_map(|line| line.split_once("ringdns::ports: ")).map(|(_, row)| row);
    rows.filter(|row| row.starts_with(port)).map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Times that the workers polled.
fn polls(metrics: &Metrics) -> u64 {
    metrics.sum("ringdns_polls_total", &[])
}

#[test]
fn an_idle_worker_sleeps_until_a_query_comes() {
    /// More polls than sleeping takes and far fewer than napping does, which are 9,000 a second.
    const POLLS_A_SECOND: u64 = 3_000;
    let _turn = turn();
    let setup = Setup::new();
    let server = start(&setup);
    assert!(plan_of(&server, "net_tap0").iter().any(|row| row.ends_with("sleep (interrupts)")), "{}", server.log());
    assert_answers();
    // The kernel says something over a new interface from time to time, and each wakes the worker.
    wait_for("a worker that sleeps", TIME_MAX, || {
        let before = polls(&server.metrics());
        thread::sleep(Duration::from_secs(1));
        let polled = polls(&server.metrics()) - before;
        assert!(polled > 0, "it must be seen to live");
        (polled < POLLS_A_SECOND).then_some(())
    });
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(20));
        assert_answers();
    }
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn each_way_to_idle_answers() {
    let _turn = turn();
    for (word, shown) in [("busy", "busy"), ("pause", "pause"), ("sleep", "sleep (interrupts)")] {
        let mut setup = Setup::new();
        setup.workers = format!("idle = [\"{word}\"]");
        let server = start(&setup);
        let plan = plan_of(&server, "net_tap0");
        assert!(plan.len() == 1 && plan[0].ends_with(shown), "{plan:?}");
        assert_answers();
        assert!(server.stop().success());
    }
}

#[test]
fn two_workers_share_the_flows_of_a_port() {
    let _turn = turn();
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("one core: nothing to share");
        return;
    }
    let mut setup = Setup::new();
    setup.workers = "cores = [0, 1]\nidle = \"sleep\"".to_owned();
    let server = start(&setup);
    assert_eq!(plan_of(&server, "net_tap0").len(), 2, "{}", server.log());
    for id in 0..100 {
        // A flow each: whichever queue it comes to, it is answered.
        let socket = harness::udp::socket(SERVED4);
        let query = Question::new("www.example.org.", A).to_wire(id);
        wait_for("an answer", TIME_MAX, || exchange(&socket, &query, Duration::from_secs(1)));
    }
    let metrics = server.metrics();
    let share = |worker: &str| metrics.sum("ringdns_queries_total", &[worker]);
    let shares = [share("worker=\"0\""), share("worker=\"1\"")];
    assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
}

#[test]
fn one_worker_serves_several_ports_and_sleeps_on_all_of_them() {
    let _turn = turn();
    let mut setup = Setup::new();
    let second = "198.51.100.53".parse().expect("an address");
    setup.more = format!("[[port]]\ndevice = \"net_tap1,iface=rdtap1\"\naddresses = [\"{second}\"]\n");
    let server = start(&setup);
    run("ip", &["address", "add", "198.51.100.1/24", "dev", "rdtap1"]);
    run("ip", &["link", "set", "rdtap1", "up"]);
    for port in ["net_tap0", "net_tap1"] {
        let plan = plan_of(&server, port);
        assert!(plan.len() == 1 && plan[0].ends_with("sleep (interrupts)"), "{plan:?}");
        assert_eq!(server.metrics().sum("ringdns_port_link_up", &[&format!("port=\"{port}\"")]), 1);
    }
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(20));
        assert_eq!(dig(second, "www.example.org", "A").answer, ["www.example.org. 60 IN A 203.0.113.1"]);
        assert_answers();
    }
    // What one port serves, the other does not.
    let before = server.metrics().reason("other_address");
    run("ip", &["route", "replace", &format!("{SERVED4}/32"), "dev", "rdtap1"]);
    run("ip", &["neighbour", "replace", &SERVED4.to_string(), "lladdr", &mac_text("rdtap1"), "dev", "rdtap1"]);
    let query = Question::new("www.example.org.", A).to_wire(7);
    assert_eq!(exchange(&harness::udp::socket(SERVED4), &query, Duration::from_millis(500)), None);
    assert!(server.metrics().reason("other_address") > before);
}

/// The MAC address of an interface, which is also its port's, as text.
fn mac_text(interface: &str) -> String {
    mac_address(interface).map(|byte| format!("{byte:02x}")).join(":")
}

#[test]
fn a_core_without_a_queue_gets_no_worker_and_is_named() {
    let _turn = turn();
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("one core: no worker too many");
        return;
    }
    let client = Namespace::new();
    veth_pair("veth-server", "veth-client", &client);
    let mut setup = Setup::new();
    setup.device = "net_af_packet0,iface=veth-server,qdisc_bypass=1".to_owned();
    setup.workers = "cores = [1, 0]\nidle = \"sleep\"".to_owned();
    let server = start(&setup);
    let plan = plan_of(&server, "net_af_packet0");
    assert!(plan.len() == 1 && plan[0].ends_with("sleep (naps)"), "{plan:?}");
    assert!(server.log().contains("no queue is left for this core"), "{}", server.log());
    assert_eq!(server.metrics().sum("ringdns_polls_total", &["worker=\"1\""]), 0);
    let _entered = client.enter();
    assert_answers();
}

#[test]
fn a_link_that_comes_back_is_served_again() {
    let _turn = turn();
    let setup = Setup::new();
    let server = start(&setup);
    let link_up = || server.metrics().sum("ringdns_port_link_up", &["port=\"net_tap0\""]);
    let wait_for_link = |up: u64| wait_for("the link's metric", TIME_MAX, || (link_up() == up).then_some(()));
    wait_for_link(1);
    for round in 0..3 {
        run("ip", &["link", "set", TAP, "down"]);
        wait_for_link(0);
        assert_eq!(server.get("/ready").status, 200);
        run("ip", &["link", "set", TAP, "up"]);
        wait_for_link(1);
        // The kernel forgets IPv6 addresses of an interface that goes down.
        run("ip", &["address", "replace", harness::link::addresses::CLIENT6, "dev", TAP, "nodad"]);
        assert_answers();
        let lines = |what: &str| server.log().lines().filter(|line| line.contains(what)).count();
        assert_eq!((lines("link is down"), lines("link is up")), (round + 1, round + 1), "each change is told once");
    }
}

#[test]
fn a_veth_link_that_goes_down_under_queries_comes_back() {
    let _turn = turn();
    let client = Namespace::new();
    veth_pair("veth-server", "veth-client", &client);
    let mut setup = Setup::new();
    setup.device = "net_af_packet0,iface=veth-server,qdisc_bypass=1".to_owned();
    let server = start(&setup);
    let socket = {
        let _entered = client.enter();
        assert_answers();
        harness::udp::socket(SERVED4)
    };
    let ask = |id| exchange(&socket, &Question::new("www.example.org.", A).to_wire(id), Duration::from_millis(200));
    for id in 0..3u16 {
        run("ip", &["link", "set", "veth-server", "down"]);
        for _ in 0..3 {
            // Queries go on, and get no answer now.
            ask(id);
        }
        run("ip", &["link", "set", "veth-server", "up"]);
        wait_for("an answer after the link came back", TIME_MAX, || ask(1_000 + id));
    }
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn large_frames_pass_where_the_device_takes_them() {
    let _turn = turn();
    let client = Namespace::new();
    veth_pair("veth-server", "veth-client", &client);
    run("ip", &["link", "set", "veth-server", "mtu", "3000"]);
    let mut setup = Setup::new();
    // Of the virtual devices of DPDK 22.11 that are wires, the one that takes more than 1,500 bytes.
    setup.device = "net_af_xdp0,iface=veth-server,force_copy=1,busy_budget=0".to_owned();
    setup.port = "mtu = 3000".to_owned();
    setup.more = "[dns]\nudp_answer_bytes_max = 4096\n".to_owned();
    let server = start(&setup);
    let strings: Vec<String> = (0..11).map(|index| format!("\"{index:02}{}\"", "x".repeat(240))).collect();
    server.put_rrset("example.org.", "large", "TXT", 60, &[&strings.join(" ")]);
    let _entered = client.enter();
    run("ip", &["link", "set", "veth-client", "mtu", "3000"]);
    assert_answers();
    for address in [SERVED4, SERVED6] {
        let answer = dig_with(address, "large.example.org", "TXT", &["+bufsize=4096", "+ignore", "+notcp"]);
        assert!(!answer.flags.split(' ').any(|flag| flag == "tc"), "{answer:?}");
        assert!(answer.answer.len() == 1 && answer.answer[0].len() > 11 * 242, "{answer:?}");
    }
}

#[test]
fn an_mtu_that_the_device_cannot_have_is_refused_by_name() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.port = "mtu = 9000".to_owned();
    let finished = setup.run_to_end(TIME_MAX);
    assert!(!finished.status.success(), "{}", finished.stdout);
    assert!(finished.stderr.contains("it cannot have an MTU of 9000; set [[port]] mtu between"), "{}", finished.stderr);
}

#[test]
fn a_port_answers_in_its_vlan_and_in_no_other() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.port = "vlan = 100".to_owned();
    let server = start(&setup);
    let mac = mac_address(TAP);
    let source = "192.0.2.1".parse().expect("an address");
    let way = Way {
        source_mac: [2, 0, 0, 0, 0, 9],
        destination_mac: mac,
        source,
        destination: SERVED4,
        source_port: 40_000,
        destination_port: 53,
    };
    let socket = PacketSocket::open(TAP);
    let untagged = way.frame(&Question::new("www.example.org.", A).to_wire(7));
    let before = server.metrics();
    for tag in [&[0x81, 0, 0, 100][..], &[0x81, 0, 0xa0, 100], &[0x81, 0, 0, 101], &[]] {
        socket.send(&[&untagged[..12], tag, &untagged[12..]].concat());
    }
    wait_for("all four frames", TIME_MAX, || {
        let after = server.metrics();
        let grown = |name: &str| after.sum(name, &[]) - before.sum(name, &[]);
        // The priority in a tag does not make it another VLAN's.
        (grown("ringdns_queries_total") == 2 && after.reason("other_vlan") - before.reason("other_vlan") >= 2)
            .then_some(())
    });
    assert_eq!(server.metrics().sum("ringdns_responses_total", &["rcode=\"NOERROR\""]), 2);
}
