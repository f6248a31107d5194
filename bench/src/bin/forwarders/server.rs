//! The forwarders, each on one core and one end of a veth pair, and their upstream behind another.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::link::addresses::{CLIENT4, SERVED4};
use harness::link::veth_pair;
use harness::message::{Answer, Question};
use harness::others::{self, Other};
use harness::process::{run, terminate};
use harness::{Namespace, Server, Setup, udp, wait_for};
use ringdns_bench::cpu::stay_on;
use ringdns_bench::dnsperf::CLIENT_CORE;
use ringdns_bench::{Outcome, zone};

use super::{A, upstream_address};

/// The core of the servers.
const SERVER_CORE: usize = 1;
/// The end of the clients' pair that servers have.
const SERVER_END: &str = "veth-server";
/// The clients' end.
const CLIENT_END: &str = "veth-client";
/// The end of the upstream's pair that servers have.
const OUR_END: &str = "veth-ours";
/// The upstream's end.
const THEIR_END: &str = "veth-theirs";
/// The servers' address on the upstream's network.
const OUR_ADDRESS: &str = "198.51.100.1/24";
/// Longest from a server's start to its first answer.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest from SIGTERM to a server's end.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Answers that each may keep: more than a turn brings.
const CACHE_ENTRIES: usize = 500_000;

/// A forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// RingDNS, by AF_XDP.
    RingDns,
    /// dnsmasq.
    Dnsmasq,
    /// Unbound.
    Unbound,
    /// dnsdist.
    Dnsdist,
}

/// All of them, in the order of a round.
pub const SERVERS: [Program; 4] = [Program::RingDns, Program::Dnsmasq, Program::Unbound, Program::Dnsdist];

impl Program {
    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Program::RingDns => "RingDNS",
            Program::Dnsmasq => "dnsmasq",
            Program::Unbound => "Unbound",
            Program::Dnsdist => "dnsdist",
        }
    }

    /// Whether it is RingDNS.
    pub fn is_ours(self) -> bool {
        self == Program::RingDns
    }

    /// Its configuration and how it is called.
    fn command_line(self, config: &str) -> (String, Vec<String>) {
        let upstream = upstream_address();
        let (text, arguments): (String, &[&str]) = match self {
            Program::RingDns => panic!("RingDNS is started by the harness"),
            Program::Dnsmasq => (
                format!(
                    "no-resolv\nno-hosts\nlisten-address={SERVED4}\nbind-interfaces\npid-file=\ncache-size={CACHE_ENTRIES}\n\
                     dns-forward-max=10000\nserver={upstream}\n"
                ),
                &["dnsmasq", "--keep-in-foreground", "--user=root", "-C", config],
            ),
            Program::Unbound => (
                format!(
                    "server:\n  interface: {SERVED4}\n  access-control: 0.0.0.0/0 allow\n  num-threads: 1\n  username: \"\"\n  \
                     chroot: \"\"\n  directory: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n  \
                     module-config: \"iterator\"\n  minimal-responses: yes\n  msg-cache-size: 128m\n  rrset-cache-size: 256m\n  \
                     outgoing-range: 8192\n  num-queries-per-thread: 4096\n  so-rcvbuf: 4m\n  so-sndbuf: 4m\n\
                     remote-control:\n  control-enable: no\nforward-zone:\n  name: \".\"\n  forward-addr: {upstream}\n"
                ),
                &["unbound", "-d", "-c", config],
            ),
            Program::Dnsdist => (
                format!(
                    "setLocal(\"{SERVED4}:53\")\nsetACL({{\"0.0.0.0/0\"}})\nsetSecurityPollSuffix(\"\")\n\
                     newServer({{address=\"{upstream}\", sockets=4, checkName=\"{}\"}})\n\
                     getPool(\"\"):setCache(newPacketCache({CACHE_ENTRIES}, {{maxTTL=86400, numberOfShards=20}}))\n",
                    zone::APEX
                ),
                &["dnsdist", "--supervised", "--disable-syslog", "-C", config],
            ),
        };
        (text, arguments.iter().map(|&argument| argument.to_owned()).collect())
    }
}

/// The upstream of all of them: Knot, with a zone.
pub struct Upstream<'a> {
    /// The server.
    knot: Other,
    /// Where it is.
    theirs: &'a Namespace,
}

impl<'a> Upstream<'a> {
    /// Makes the pair from this namespace to the upstream's, and starts it there, on the generators' core.
    pub fn start(theirs: &'a Namespace, folder: PathBuf, zone_text: &str) -> Self {
        run("ip", &["link", "add", OUR_END, "type", "veth", "peer", "name", THEIR_END]);
        run("ip", &["link", "set", THEIR_END, "netns", &theirs.path()]);
        run("ip", &["address", "add", OUR_ADDRESS, "dev", OUR_END]);
        run("ip", &["link", "set", OUR_END, "up"]);
        {
            let _entered = theirs.enter();
            run("ip", &["address", "add", &format!("{}/24", upstream_address()), "dev", THEIR_END]);
            run("ip", &["link", "set", THEIR_END, "up"]);
        }
        stay_on(CLIENT_CORE).expect("a core");
        let knot = Other::start(others::Program::Knot, (theirs, upstream_address()), folder, zone::APEX, zone_text);
        Self { knot, theirs }
    }

    /// Packets that have come to it: questions, but for a few.
    pub fn asked(&self) -> Outcome<f64> {
        let _entered = self.theirs.enter();
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        // Behind the name: bytes and packets that were received, then others.
        let counts = devices.lines().find_map(|line| line.trim_start().strip_prefix(THEIR_END)?.strip_prefix(':'));
        let packets = counts.and_then(|counts| counts.split_whitespace().nth(1)).ok_or("no counters")?;
        Ok(packets.parse()?)
    }
}

/// A server that runs; it ends when this is dropped.
pub enum Running {
    /// RingDNS.
    Ours(Server),
    /// Another one, with its log.
    Theirs(Child, PathBuf),
}

impl Running {
    /// Makes the veth pair from this namespace to the client's, starts the server, and waits until it answers.
    pub fn start(program: Program, setup: &mut Setup, client: &Namespace, upstream: &Upstream<'_>) -> Running {
        veth_pair(SERVER_END, CLIENT_END, client);
        // What is started from here inherits the core.
        stay_on(SERVER_CORE).expect("a second core");
        let running = if program.is_ours() {
            setup.device = format!("net_af_xdp0,iface={SERVER_END},busy_budget=0");
            setup.workers = format!("cores = [{SERVER_CORE}]\nidle = \"sleep\"");
            setup.eal = "hugepages = true\nmemory_mib = 128".to_owned();
            setup.more = format!("[forward]\nupstreams = [\"{}\"]\n", upstream.knot.address());
            Running::Ours(setup.start())
        } else {
            // The kernel answers ARP here; the client is known beforehand, as a router is.
            run("ip", &["link", "set", SERVER_END, "arp", "on"]);
            let network = CLIENT4.split('/').nth(1).unwrap_or("24");
            run("ip", &["address", "add", &format!("{SERVED4}/{network}"), "dev", SERVER_END]);
            spawn(program, setup)
        };
        stay_on(CLIENT_CORE).expect("a core");
        let _entered = client.enter();
        wait_for(&format!("{} to answer", program.name()), START_TIME_MAX, || running.answer());
        running
    }

    /// Something once the server answers what its upstream knows.
    fn answer(&self) -> Option<()> {
        self.check_alive();
        let mut query = Question::new(&zone::owner(0), A).to_wire(1);
        query[2] |= 1;
        let answer = udp::exchange(&udp::socket(SERVED4), &query, Duration::from_millis(200))?;
        (Answer::parse(&answer).ok()?.answer.len() == 1).then_some(())
    }

    /// Panics with its log where it has ended.
    pub fn check_alive(&self) {
        let (id, log) = match self {
            Running::Ours(server) => (server.id(), server.log()),
            Running::Theirs(child, log) => (child.id(), fs::read_to_string(log).unwrap_or_default()),
        };
        let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let is_alive = state.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X']) && !rest.is_empty());
        assert!(is_alive, "the server has ended: {log}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Running::Theirs(child, _) = self else { return };
        // All of them end quickly on SIGTERM.
        terminate(child, STOP_TIME_MAX);
    }
}

/// Starts another server on the core of this thread.
fn spawn(program: Program, setup: &Setup) -> Running {
    let folder = setup.path(program.name());
    let config = folder.join("config").display().to_string();
    let (text, arguments) = program.command_line(&config);
    fs::create_dir_all(&folder).expect("a writable folder");
    fs::write(&config, text).expect("a writable folder");
    let log = folder.join("log");
    let output = File::create(&log).expect("a writable folder");
    let errors = output.try_clone().expect("a second handle");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(others::script()).args(arguments);
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("setpriv of util-linux");
    Running::Theirs(child, log)
}
