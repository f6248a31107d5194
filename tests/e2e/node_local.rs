//! DNS on a node for its Pods: who is killed leaves nothing behind, and Pods go on to the cluster's DNS.
//!
//! A Pod and the cluster's DNS have namespaces of their own; the node between them translates the cluster IP as kube-proxy does.
//! Both servers serve the same zone and say which of them they are.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::dig::dig_with;
use harness::process::{finish, run};
use harness::{Namespace, Server, Setup, turn, wait_for};
use nix::sys::signal::Signal;

use crate::zone_text;

/// Longest until something is seen that happens soon.
const SEEN_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest until nothing is left of a server that was killed.
const GONE_TIME_MAX: Duration = Duration::from_secs(1);
/// Longest that a helper may take.
const HELPER_TIME_MAX: Duration = Duration::from_secs(10);
/// Where Pods find DNS.
const CLUSTER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
/// The node's own address of DNS.
const LOCAL4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));
/// The node's own address of DNS over IPv6.
const LOCAL6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 0xa));
/// What the node's server says.
const ON_NODE: &str = "who.cluster.local. 300 IN A 203.0.113.1";
/// What the cluster's server says.
const IN_CLUSTER: &str = "who.cluster.local. 300 IN A 203.0.113.2";
/// The translation of the cluster IP.
const KUBE_PROXY: &str = "table ip kube_proxy {
    chain prerouting {
        type nat hook prerouting priority dstnat
        ip daddr 10.96.0.10 udp dport 53 dnat to 10.244.9.2
        ip daddr 10.96.0.10 tcp dport 53 dnat to 10.244.9.2
    }
    chain output {
        type nat hook output priority -100
        ip daddr 10.96.0.10 udp dport 53 dnat to 10.244.9.2
    }
}
";

/// A node, in the namespace of the calling thread, with what is around it.
struct Node {
    /// The Pod's namespace.
    pod: Namespace,
    /// The cluster's DNS.
    _cluster: Server,
    /// Its folder and namespace.
    _home: (Setup, Namespace),
    /// What the node's own server is started from.
    setup: Setup,
}

/// A setup without ports whose server says `who` it is.
fn setup(who: u8, more: &str) -> Setup {
    let mut setup = Setup::new();
    setup.device = String::new();
    setup.write_zone("cluster.local.", &zone_text("cluster.local.", 1, &format!("who IN A 203.0.113.{who}\n")));
    setup.more = more.to_owned();
    setup
}

/// Joins a namespace to this one by a network 10.244.`net`.0/24, and one of IPv6.
fn join(name: &str, net: u8) -> Namespace {
    let namespace = Namespace::new();
    let (here, there) = (format!("veth-{name}"), format!("{name}0"));
    run("ip", &["link", "add", &here, "type", "veth", "peer", "name", &there]);
    run("ip", &["link", "set", &there, "netns", &namespace.path()]);
    let address = |interface: &str, host: u8| {
        run("ip", &["address", "add", &format!("10.244.{net}.{host}/24"), "dev", interface]);
        run("ip", &["address", "add", &format!("fd00:{net}::{host}/64"), "dev", interface, "nodad"]);
        run("ip", &["link", "set", interface, "up"]);
    };
    address(&here, 1);
    let _entered = namespace.enter();
    address(&there, 2);
    run("ip", &["route", "add", "default", "via", &format!("10.244.{net}.1")]);
    run("ip", &["-6", "route", "add", "default", "via", &format!("fd00:{net}::1")]);
    drop(_entered);
    namespace
}

/// A node whose own server is not started yet; `more` are lines of its configuration.
fn node(more: &str) -> Node {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a writable setting");
    let (pod, home) = (join("pod", 1), join("dns", 9));
    let rules = tempfile::NamedTempFile::new().expect("a file");
    fs::write(rules.path(), KUBE_PROXY).expect("a file");
    run("nft", &["-f", rules.path().to_str().expect("a path in UTF-8")]);
    let cluster = setup(2, "[sockets]\nlisten = [\"10.244.9.2:53\"]\n");
    let server = {
        let _entered = home.enter();
        cluster.start()
    };
    let table =
        format!("[node_local]\naddresses = [\"{LOCAL4}\", \"{CLUSTER_IP}\", \"{LOCAL6}\"]\ncheck_seconds = 1\n");
    let setup = setup(1, &format!("{table}[cluster_http]\nhealth = \"{LOCAL4}:8080\"\n{more}"));
    Node { pod, _cluster: server, _home: (cluster, home), setup }
}

impl Node {
    /// What the Pod is told by whom it asks there.
    fn ask(&self, server: IpAddr, options: &[&str]) -> Vec<String> {
        let _entered = self.pod.enter();
        dig_with(server, "who.cluster.local", "A", options).answer
    }

    /// Starts the node's server, and waits until Pods come to it.
    fn start(&self) -> Server {
        let server = self.setup.start();
        wait_for("Pods to come here", SEEN_TIME_MAX, || (self.ask(CLUSTER_IP, &[]) == [ON_NODE]).then_some(()));
        server
    }

    /// Waits until nothing is left of the node's server, and Pods are answered by the cluster's.
    fn assert_gone(&self, since: Instant) {
        wait_for("rules and addresses to go", GONE_TIME_MAX, || (!has_rules() && !has_interface()).then_some(()));
        assert_eq!(self.ask(CLUSTER_IP, &[]), [IN_CLUSTER]);
        println!("Pods were answered by the cluster's DNS {:?} after the signal", since.elapsed());
    }
}

/// Whether the rules stand.
fn has_rules() -> bool {
    run("nft", &["list", "tables"]).contains("ringdns_node_local")
}

/// Whether the interface is there.
fn has_interface() -> bool {
    run("ip", &["-oneline", "link", "show"]).contains("nodelocaldns")
}

/// Whether the node tracks a connection from this port.
fn is_tracked(port: u16) -> bool {
    let text = fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("a kernel that shows its connections");
    text.lines().any(|line| line.contains(&format!("sport={port} dport=53")))
}

#[test]
fn pods_are_answered_on_their_node_past_connection_tracking() {
    let _turn = turn();
    let node = node("");
    assert_eq!(node.ask(CLUSTER_IP, &["-b", "10.244.1.2#40001"]), [IN_CLUSTER]);
    assert!(is_tracked(40001), "what is not ours is seen to be tracked");
    let server = node.start();
    assert_eq!(node.ask(CLUSTER_IP, &["-b", "10.244.1.2#40002"]), [ON_NODE]);
    assert_eq!(node.ask(CLUSTER_IP, &["-b", "10.244.1.2#40003", "+tcp"]), [ON_NODE]);
    assert_eq!(node.ask(LOCAL4, &["-b", "10.244.1.2#40004"]), [ON_NODE]);
    assert_eq!(node.ask(LOCAL6, &["-b", "fd00:1::2#40005"]), [ON_NODE]);
    let on_node = dig_with(CLUSTER_IP, "who.cluster.local", "A", &["-b", "10.244.1.1#40006"]);
    assert_eq!(on_node.answer, [ON_NODE], "the node itself asks here too");
    assert!(![40002, 40003, 40004, 40005, 40006].into_iter().any(is_tracked), "what comes here is not tracked");
    let rules = run("nft", &["list", "table", "inet", "ringdns_node_local"]);
    assert!(rules.contains("flags owner"), "{rules}");
    // Three addresses over two transports and one port for probes, both ends, for what comes in and what goes out.
    assert_eq!(rules.matches("notrack").count(), (3 * 2 + 1) * 2 * 2, "{rules}");
    assert!(rules.contains("ip saddr 10.96.0.10 udp sport 53") && rules.contains("ip6 daddr fd00:99::a tcp dport 53"));
    assert!(rules.contains("ip daddr 169.254.20.10 tcp dport 8080"), "{rules}");
    assert_eq!(server.metrics().sum("ringdns_node_local_redirects", &[]), 1);
    let metrics = server.get("/metrics").body;
    for kind in ["interface_add", "interface_check", "iptables"] {
        let row = format!("coredns_nodecache_setup_errors_total{{errortype=\"{kind}\"}} 0");
        assert!(metrics.contains(&row), "{row}: {metrics}");
    }
}

#[test]
fn who_is_killed_leaves_nothing_and_comes_back() {
    let _turn = turn();
    let node = node("");
    for _ in 0..2 {
        let server = node.start();
        assert!(has_rules() && has_interface());
        let since = Instant::now();
        server.kill_now();
        node.assert_gone(since);
    }
}

#[test]
fn at_the_end_pods_are_left_to_the_cluster_before_the_sockets_close() {
    let _turn = turn();
    let mut node = node("[shutdown]\nlameduck_ms = 600000\n");
    node.setup.more = node.setup.more.replace(&format!(", \"{LOCAL6}\""), "");
    let mut server = node.start();
    let link = run("ip", &["-oneline", "link", "show", "nodelocaldns"]);
    assert!(link.contains("state DOWN"), "who looks for interfaces that are up does not find it: {link}");
    server.signal(Signal::SIGTERM);
    wait_for("the rules to go", GONE_TIME_MAX, || (!has_rules()).then_some(()));
    assert_eq!(node.ask(CLUSTER_IP, &[]), [IN_CLUSTER]);
    assert_eq!(node.ask(LOCAL4, &[]), [ON_NODE], "who asks the node's own address is answered yet");
    assert_eq!(server.metrics().sum("ringdns_node_local_redirects", &[]), 0);
    let since = Instant::now();
    let status = server.terminate();
    assert!(status.success(), "{status:?}:\n{}", server.log());
    node.assert_gone(since);
}

#[test]
fn what_others_change_is_mended() {
    let _turn = turn();
    let node = node("");
    let server = node.start();
    let flush = finish(Command::new("nft").args(["delete", "table", "inet", "ringdns_node_local"]), HELPER_TIME_MAX);
    assert!(!flush.status.success() && has_rules(), "nobody else can take the rules away: {}", flush.stderr);
    let back = |address: IpAddr| {
        wait_for("the address to be back", SEEN_TIME_MAX, || {
            run("ip", &["-oneline", "address", "show"]).contains(&format!(" {address}/")).then_some(())
        });
        assert_eq!(node.ask(address, &[]), [ON_NODE]);
    };
    run("ip", &["address", "del", &format!("{LOCAL4}/32"), "dev", "nodelocaldns"]);
    back(LOCAL4);
    run("ip", &["link", "set", "nodelocaldns", "down"]);
    back(LOCAL6);
    run("ip", &["link", "delete", "nodelocaldns"]);
    back(LOCAL4);
    back(LOCAL6);
    back(CLUSTER_IP);
    assert!(server.log().contains("the interface is gone"), "{}", server.log());

    // Where another has the name, that is told and counted, and tried again.
    wait_for("the name", SEEN_TIME_MAX, || {
        let ip = |words: &[&str]| finish(Command::new("ip").args(words), HELPER_TIME_MAX).status.success();
        ip(&["link", "delete", "nodelocaldns"]);
        // The server may have been faster.
        ip(&["link", "add", "nodelocaldns", "type", "bridge"]).then_some(())
    });
    let failures = || server.metrics().sum("coredns_nodecache_setup_errors_total", &["errortype=\"interface_add\""]);
    wait_for("the failure to be counted", SEEN_TIME_MAX, || (failures() > 0).then_some(()));
    assert!(server.log().contains("it is tried again in 1s"), "{}", server.log());
    run("ip", &["link", "delete", "nodelocaldns"]);
    back(LOCAL6);
}

#[test]
fn pods_are_not_brought_to_a_server_that_has_not_read_everything() {
    /// Some looks at whether the time has come.
    const LOOKS: Duration = Duration::from_millis(2500);
    let _turn = turn();
    let mut node = node("");
    // A pipe that nobody writes to: its zone is being read for ever.
    let pipe = node.setup.path("pipe.example.zone");
    node.setup.write_zone("pipe.example.", "");
    fs::remove_file(&pipe).expect("a file");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let server = node.setup.spawn();
    wait_for("the interface", SEEN_TIME_MAX, || has_interface().then_some(()));
    std::thread::sleep(LOOKS);
    assert!(!has_rules() && server.get("/ready").status == 503, "{}", server.log());
    assert_eq!(node.ask(CLUSTER_IP, &[]), [IN_CLUSTER]);
    server.kill();
}

#[test]
fn an_interface_of_others_is_left_alone() {
    let _turn = turn();
    run("ip", &["link", "add", "nodelocaldns", "type", "bridge"]);
    let setup = setup(1, &format!("[node_local]\naddresses = [\"{LOCAL4}\"]\n"));
    let ended = setup.run_to_end(SEEN_TIME_MAX);
    assert!(!ended.status.success() && has_interface());
    let words = ["node_local.interface: nodelocaldns cannot be made", "ip link delete nodelocaldns"];
    assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
}
