//! What the data plane answers itself beside DNS, and a device between two namespaces.

use harness::dig::dig;
use harness::link::addresses::{SERVED4, SERVED6};
use harness::link::veth_pair;
use harness::metrics::Metrics;
use harness::process::run;
use harness::server::TAP;
use harness::{Namespace, Setup, turn};

#[test]
fn ping_arp_and_neighbour_discovery_are_answered_without_a_kernel_path() {
    let _turn = turn();
    let setup = Setup::new();
    let server = setup.start();
    let counts = |metrics: &Metrics| {
        ["arp", "neighbour", "echo"].map(|what| metrics.sum(&format!("ringdns_{what}_replies_total"), &[]))
    };
    let before = counts(&server.metrics());
    for (family, address) in [("-4", SERVED4), ("-6", SERVED6)] {
        let address = address.to_string();
        let report = run("ping", &[family, "-c", "3", "-i", "0.2", "-W", "3", &address]);
        assert!(report.contains("3 packets transmitted, 3 received"), "{report}");
        // As large as the link carries.
        run("ping", &[family, "-c", "1", "-W", "3", "-s", "1400", &address]);
        let neighbour = run("ip", &["neighbour", "show", &address, "dev", TAP]);
        assert!(neighbour.contains("lladdr"), "{neighbour}");
    }
    let after = counts(&server.metrics());
    let [arp, neighbour, echo] = std::array::from_fn(|index| after[index] - before[index]);
    assert!(arp >= 1 && neighbour >= 1, "{arp} ARP replies, {neighbour} neighbour advertisements");
    assert_eq!(echo, 8, "echo replies");
}

#[test]
fn the_interface_goes_with_the_server_even_when_that_is_killed() {
    let _turn = turn();
    let setup = Setup::new();
    setup.start().kill();
    let links = run("ip", &["-brief", "link"]);
    assert!(!links.contains(TAP), "{links}");
}

#[test]
fn queries_are_answered_between_network_namespaces() {
    let _turn = turn();
    let client = Namespace::new();
    veth_pair("veth-server", "veth-client", &client);
    let mut setup = Setup::new();
    setup.device = "net_af_packet0,iface=veth-server,qdisc_bypass=1".to_owned();
    let server = setup.start();
    server.put_zone("example.org.");
    server.put_rrset("example.org.", "www", "A", 60, &["203.0.113.1"]);
    let answers = {
        let _entered = client.enter();
        [SERVED4, SERVED6].map(|address| dig(address, "www.example.org", "A"))
    };
    for answer in &answers {
        assert_eq!(answer.answer, ["www.example.org. 60 IN A 203.0.113.1"]);
    }
    server.put_rrset("example.org.", "www", "A", 60, &["203.0.113.2"]);
    let _entered = client.enter();
    assert_eq!(dig(SERVED4, "www.example.org", "A").answer, ["www.example.org. 60 IN A 203.0.113.2"]);
}
