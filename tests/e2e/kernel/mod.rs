//! The kernel path: what is not DNS over UDP works as if the server were not there, while DNS is under load.
//!
//! The server has one end of a veth pair by AF_XDP, so that the kernel sees nothing of it but by the kernel path.

mod flood;
mod restart;
mod sessions;
mod sockets;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::dig::dig;
use harness::frames::PacketSocket;
use harness::link::addresses::{CLIENT4, SERVED4, SERVED6};
use harness::link::{address_server, mac_address, parse_mac, veth_pair};
use harness::process::{run, terminate};
use harness::{Namespace, Server, Setup, turn, wait_for};

use crate::zone_text;

/// The server's end of the veth pair, which no address is given to.
const WIRE: &str = "veth-server";
/// The client's end.
const CLIENT: &str = "veth-client";
/// The port's interface in the kernel.
const RING: &str = "ring0";
/// Names in the zone that is asked for under load.
const NAMES: usize = 200;
/// Longest for anything that is waited for.
const TIME_MAX: Duration = Duration::from_secs(20);

/// A server with a kernel path, addressed, and the client's namespace.
struct House {
    /// Where clients are.
    client: Namespace,
    /// The server's folder.
    setup: Setup,
    /// The server.
    server: Server,
}

/// Starts a server on one end of a veth pair in this namespace.
fn house() -> House {
    let client = Namespace::new();
    veth_pair(WIRE, CLIENT, &client);
    let mut setup = Setup::new();
    setup.device = format!("net_af_xdp0,iface={WIRE},busy_budget=0");
    setup.port = format!("kernel = \"tap\"\nkernel_interface = \"{RING}\"");
    let lines: String = (0..NAMES).map(|index| format!("name{index} IN A 203.0.113.{}\n", index % 250)).collect();
    setup.write_zone("load.example.", &zone_text("load.example.", 1, &lines));
    let server = setup.start();
    address_server(RING);
    House { client, setup, server }
}

impl House {
    /// dnsperf in the client's namespace for so many seconds, at a rate that the machine carries beside other things.
    fn dnsperf(&self, seconds: u32, rate: u32) -> Load {
        let questions: String = (0..NAMES).map(|index| format!("name{index}.load.example A\n")).collect();
        let file = self.setup.path("questions");
        fs::write(&file, questions).expect("a writable folder");
        let _entered = self.client.enter();
        let mut command = Command::new("dnsperf");
        command.args([
            "-s",
            &SERVED4.to_string(),
            "-l",
            &seconds.to_string(),
            "-Q",
            &rate.to_string(),
            "-t",
            "5",
            "-d",
        ]);
        let child = command.arg(file).stdout(Stdio::piped()).spawn().expect("dnsperf");
        Load(child)
    }
}

/// A running dnsperf; ended when dropped.
struct Load(Child);

impl Load {
    /// Waits for its end; gives the queries that were completed and those that were lost.
    fn figures(mut self) -> (u64, u64) {
        let mut report = String::new();
        let mut output = self.0.stdout.take().expect("a piped output");
        std::io::Read::read_to_string(&mut output, &mut report).expect("text");
        assert!(report.contains("NOERROR"), "{report}");
        let number = |title: &str| {
            let rest = report.split(title).nth(1).unwrap_or_else(|| panic!("no {title} in {report}"));
            rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        (number("Queries completed:"), number("Queries lost:"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        terminate(&mut self.0, Duration::from_secs(5));
    }
}

#[test]
fn neighbours_echo_and_fragments_are_the_kernel_s() {
    let _turn = turn();
    let house = house();
    let replies = ["arp", "neighbour", "echo"].map(|what| format!("ringdns_{what}_replies_total"));
    {
        let _entered = house.client.enter();
        for (family, address) in [("-4", SERVED4), ("-6", SERVED6)] {
            let address = address.to_string();
            let report = run("ping", &[family, "-c", "5", "-i", "0.2", "-W", "5", &address]);
            assert!(report.contains("5 packets transmitted, 5 received"), "{report}");
            // Goes in fragments, there and back.
            let report = run("ping", &[family, "-c", "2", "-i", "0.2", "-W", "5", "-s", "4000", &address]);
            assert!(report.contains("2 packets transmitted, 2 received"), "{report}");
            let neighbour = run("ip", &["neighbour", "show", &address, "dev", CLIENT]);
            assert!(neighbour.contains("lladdr"), "{neighbour}");
        }
    }
    // The other way round: who asks is the kernel behind the server.
    let client = CLIENT4.trim_end_matches("/24");
    run("ping", &["-c", "3", "-i", "0.2", "-W", "5", client]);
    let metrics = house.server.metrics();
    assert!(replies.iter().all(|name| metrics.sum(name, &[]) == 0), "the data plane keeps out of it");
    assert!(metrics.reason("fragment") > 0 && metrics.reason("other_arp") > 0);
    assert_eq!(mac_address(RING), mac_address(WIRE), "one station on the wire");
    let _entered = house.client.enter();
    assert_eq!(dig(SERVED4, "name1.load.example", "A").answer, ["name1.load.example. 300 IN A 203.0.113.1"]);
}

#[test]
fn frames_of_every_kind_pass_both_ways_unchanged() {
    let _turn = turn();
    let house = house();
    let mac = mac_address(RING);
    let kernel = PacketSocket::open(RING);
    let wire = {
        let _entered = house.client.enter();
        PacketSocket::open(CLIENT)
    };
    let peer = parse_mac("02:00:00:00:00:77");
    let frame = |to: &[u8], rest: &[u8]| [to, &peer, rest, &[0x5a; 60]].concat();
    let ipv4 = |flags: &[u8; 2], protocol: u8| {
        [&[8, 0, 0x45, 0, 0, 80, 0, 9], &flags[..], &[64, protocol, 0, 0, 198, 51, 100, 9, 192, 0, 2, 99]].concat()
    };
    let kinds = [
        ("LLDP", frame(&[1, 0x80, 0xc2, 0, 0, 0xe], &[0x88, 0xcc])),
        ("PTP", frame(&[1, 0x1b, 0x19, 0, 0, 0], &[0x88, 0xf7])),
        ("an unknown ethertype", frame(&mac, &[0x88, 0xb5])),
        ("another VLAN", frame(&mac, &[0x81, 0, 0, 77, 8, 0, 0x45])),
        ("a broadcast", frame(&[0xff; 6], &ipv4(&[0, 0], 17))),
        ("OSPF", frame(&[1, 0, 0x5e, 0, 0, 5], &ipv4(&[0, 0], 89))),
        (
            "IPv4 options",
            frame(&mac, &[8, 0, 0x46, 0, 0, 80, 0, 9, 0, 0, 64, 17, 0, 0, 198, 51, 100, 9, 192, 0, 2, 99]),
        ),
        ("an IPv6 extension", frame(&mac, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 22, 0, 64])),
    ];
    for (kind, sent) in &kinds {
        wire.send(sent);
        let from = &sent[6..12];
        let seen = wait_for(kind, TIME_MAX, || kernel.receive().filter(|frame| frame.get(6..12) == Some(from)));
        assert_eq!(seen, as_shown(sent), "{kind} from the wire to the kernel");
        // Back: from the kernel's end to the wire.
        let back = [&[2, 0, 0, 0, 0, 0x78], &mac[..], &sent[12..]].concat();
        kernel.send(&back);
        let is_back = |frame: &Vec<u8>| frame.get(..12) == back.get(..12);
        assert_eq!(
            wait_for(kind, TIME_MAX, || wire.receive().filter(is_back)),
            as_shown(&back),
            "{kind} from the kernel to the wire"
        );
        // What the interface sent is shown to packet sockets as well.
        while kernel.receive().is_some() {}
    }
}

/// A frame as packet sockets show it: the kernel takes the VLAN tag out.
fn as_shown(frame: &[u8]) -> Vec<u8> {
    let tag = if frame.get(12..14) == Some(&[0x81, 0]) { 4 } else { 0 };
    [&frame[..12], &frame[12 + tag..]].concat()
}

#[test]
fn the_kernel_follows_the_link_and_a_killed_server_leaves_no_interface() {
    let _turn = turn();
    let house = house();
    let set = |state: &str| {
        let _entered = house.client.enter();
        run("ip", &["link", "set", CLIENT, state]);
    };
    let shows = |text: &str| run("ip", &["link", "show", RING]).contains(text).then_some(());
    set("down");
    wait_for("the kernel to see the link go", TIME_MAX, || shows("NO-CARRIER"));
    set("up");
    wait_for("the kernel to see the link come", TIME_MAX, || shows("NO-CARRIER").is_none().then_some(()));
    {
        let _entered = house.client.enter();
        run("ping", &["-c", "2", "-i", "0.2", "-W", "5", &SERVED4.to_string()]);
    }
    let House { server, setup, client } = house;
    server.kill();
    assert!(!run("ip", &["-brief", "link"]).contains(RING), "the interface goes with its process");
    let server = setup.start();
    address_server(RING);
    let _entered = client.enter();
    run("ping", &["-c", "2", "-i", "0.2", "-W", "5", &SERVED4.to_string()]);
    drop(server);
}

#[test]
fn an_interface_that_was_there_before_stays() {
    let _turn = turn();
    run("ip", &["tuntap", "add", RING, "mode", "tap", "multi_queue"]);
    address_server(RING);
    let house = house_on_its_interface();
    {
        let _entered = house.client.enter();
        run("ping", &["-c", "2", "-i", "0.2", "-W", "5", &SERVED4.to_string()]);
    }
    house.server.kill();
    let shown = run("ip", &["address", "show", RING]);
    assert!(shown.contains(&SERVED4.to_string()), "addresses outlive the server: {shown}");
}

#[test]
fn a_port_with_a_larger_mtu_than_its_interface_can_have_says_so_and_serves() {
    let _turn = turn();
    let client = Namespace::new();
    veth_pair(WIRE, CLIENT, &client);
    run("ip", &["link", "set", WIRE, "mtu", "3000"]);
    let mut setup = Setup::new();
    setup.device = format!("net_af_xdp0,iface={WIRE},busy_budget=0");
    setup.port = "kernel = \"tap\"\nmtu = 3000".to_owned();
    let server = setup.start();
    address_server(RING);
    assert!(server.log().contains("larger frames do not reach the kernel"), "{}", server.log());
    assert!(run("ip", &["link", "show", RING]).contains("mtu 1500"));
    let _entered = client.enter();
    run("ping", &["-c", "2", "-i", "0.2", "-W", "5", &SERVED4.to_string()]);
}

/// [`house`] where the interface is there already, addressed.
fn house_on_its_interface() -> House {
    let client = Namespace::new();
    veth_pair(WIRE, CLIENT, &client);
    let mut setup = Setup::new();
    setup.device = format!("net_af_xdp0,iface={WIRE},busy_budget=0");
    setup.port = "kernel = \"tap\"".to_owned();
    let server = setup.start();
    House { client, setup, server }
}
