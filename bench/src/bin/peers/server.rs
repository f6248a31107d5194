//! The servers, each on one core and one end of a veth pair.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::link::addresses::{CLIENT4, SERVED4};
use harness::link::veth_pair;
use harness::message::{Answer, Question};
use harness::process::{run, terminate};
use harness::{Namespace, Server, Setup, udp, wait_for};
use ringdns_bench::{Outcome, zone};

use super::SERVER_CORE;

/// The end of the veth pair that servers have.
const SERVER_END: &str = "veth-server";
/// The other end.
const CLIENT_END: &str = "veth-client";
/// Longest from a server's start to its first answer.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest from SIGTERM to a server's end.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Names whose addresses are compared.
const SAMPLE: usize = 500;
/// The `A` type.
const A: u16 = 1;

/// A way to serve the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// RingDNS.
    RingDns {
        /// As the table calls the device.
        name: &'static str,
        /// The device's driver and arguments before and after the interface.
        device: [&'static str; 2],
        /// What the worker does while nothing comes.
        idle: &'static str,
    },
    /// Knot over XDP.
    KnotXdp,
    /// Knot over sockets.
    Knot,
    /// NSD.
    Nsd,
    /// BIND.
    Bind,
}

/// All of them, in the order of a round.
///
/// RingDNS naps when nothing comes and AF_XDP does not poll the kernel's side itself: on a veth pair, whose sender does the
/// receiver's work, both make larger bursts, and the rate is a fifth to a quarter less without either.
pub const SERVERS: [Program; 6] = [
    Program::RingDns { name: "RingDNS (net_af_xdp)", device: ["net_af_xdp0", ",busy_budget=0"], idle: "sleep" },
    Program::RingDns { name: "RingDNS (net_af_packet)", device: ["net_af_packet0", ",qdisc_bypass=1"], idle: "sleep" },
    Program::KnotXdp,
    Program::Knot,
    Program::Nsd,
    Program::Bind,
];

impl Program {
    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Program::RingDns { name, .. } => name,
            Program::KnotXdp => "Knot-XDP",
            Program::Knot => "Knot",
            Program::Nsd => "NSD",
            Program::Bind => "BIND",
        }
    }

    /// Whether it is RingDNS.
    pub fn is_ours(self) -> bool {
        matches!(self, Program::RingDns { .. })
    }

    /// Its configuration and how it is called.
    fn command_line(self, folder: &Path, zone_file: &Path) -> (String, Vec<String>) {
        let config = folder.join("config").display().to_string();
        let (folder, zone_file, apex) = (folder.display(), zone_file.display(), zone::APEX);
        let (text, arguments): (String, &[&str]) = match self {
            Program::Nsd => (
                format!(
                    "server:\n  ip-address: {SERVED4}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
                     database: \"\"\n  zonesdir: \"{folder}\"\n  pidfile: \"{folder}/pid\"\n  xfrdfile: \"{folder}/xfrd\"\n  \
                     zonelistfile: \"{folder}/zones\"\n  xfrdir: \"{folder}\"\n  rrl-ratelimit: 0\n  \
                     minimal-responses: yes\nremote-control:\n  control-enable: no\nzone:\n  name: {apex}\n  \
                     zonefile: \"{zone_file}\"\n"
                ),
                &["nsd", "-d", "-c"],
            ),
            Program::Bind => (
                format!(
                    "options {{ directory \"{folder}\"; listen-on {{ {SERVED4}; }}; listen-on-v6 {{ none; }}; \
                     recursion no; pid-file none; session-keyfile none; minimal-responses yes; dnssec-validation no; \
                     empty-zones-enable no; zone-statistics none; notify no; }};\ncontrols {{ }};\n\
                     zone \"{apex}\" {{ type primary; file \"{zone_file}\"; }};\n"
                ),
                &["named", "-f", "-n", "1", "-U", "1", "-c"],
            ),
            _ => {
                let listen = format!(
                    "server:\n  listen: {SERVED4}@53\n  rundir: \"{folder}\"\n  udp-workers: 1\n  tcp-workers: 1\n  \
                     background-workers: 1\n"
                );
                let xdp =
                    if self == Program::KnotXdp { format!("xdp:\n  listen: {SERVER_END}@53\n") } else { String::new() };
                let text = format!(
                    "{listen}{xdp}database:\n  storage: \"{folder}\"\nlog:\n  - target: stdout\n    any: info\nzone:\n  \
                     - domain: {apex}\n    file: \"{zone_file}\"\n    storage: \"{folder}\"\n    semantic-checks: off\n"
                );
                (text, &["knotd", "-c"])
            }
        };
        (text, arguments.iter().map(|&argument| argument.to_owned()).chain([config]).collect())
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
    pub fn start(program: Program, setup: &mut Setup, client: &Namespace) -> Running {
        veth_pair(SERVER_END, CLIENT_END, client);
        let running = if let Program::RingDns { device: [driver, more], idle, .. } = program {
            setup.device = format!("{driver},iface={SERVER_END}{more}");
            setup.workers = format!("cores = [{SERVER_CORE}]\nidle = \"{idle}\"");
            setup.eal = "hugepages = true\nmemory_mib = 128".to_owned();
            Running::Ours(setup.start())
        } else {
            // The kernel answers ARP here; the client is known beforehand, as a router is.
            run("ip", &["link", "set", SERVER_END, "arp", "on"]);
            let network = CLIENT4.split('/').nth(1).unwrap_or("24");
            run("ip", &["address", "add", &format!("{SERVED4}/{network}"), "dev", SERVER_END]);
            spawn(program, setup)
        };
        let _entered = client.enter();
        wait_for(&format!("{} to answer", program.name()), START_TIME_MAX, || running.answer());
        running
    }

    /// Something once the server answers from the zone.
    fn answer(&self) -> Option<()> {
        self.check_alive();
        let answer = udp::exchange(
            &udp::socket(SERVED4),
            &Question::new(&zone::owner(0), A).to_wire(1),
            Duration::from_millis(200),
        )?;
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
        // All of them end quickly on SIGTERM, with their children.
        terminate(child, STOP_TIME_MAX);
    }
}

/// The script that runs other servers and kxdpgun.
pub fn script() -> Outcome<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/reference-server").canonicalize()?)
}

/// Starts another server on the servers' core.
fn spawn(program: Program, setup: &Setup) -> Running {
    let folder = setup.path(&format!("{program:?}"));
    let mut text = String::new();
    write!(text, "{}zone", zone::APEX).expect("a string takes it");
    let zone_file = setup.path(&text);
    let (config, arguments) = program.command_line(&folder, &zone_file);
    fs::create_dir_all(&folder).expect("a writable folder");
    fs::write(folder.join("config"), config).expect("a writable folder");
    let log = folder.join("log");
    let output = File::create(&log).expect("a writable folder");
    let errors = output.try_clone().expect("a second handle");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", &SERVER_CORE.to_string()]);
    command.arg(script().expect("the repository")).args(arguments);
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("setpriv of util-linux");
    Running::Theirs(child, log)
}

/// Compares the addresses of a sample of names; panics where one is wrong.
pub fn check_sample(names: u64) {
    let mut numbers = zone::Numbers(11);
    let sample: Vec<u64> = (0..SAMPLE).map(|_| numbers.draw() % names).collect();
    let query = |index: usize, id| Question::new(&zone::owner(sample[index]), A).to_wire(id);
    udp::ask_all(&udp::socket(SERVED4), SAMPLE, 16, query, |index, answer| {
        let answer = Answer::parse(answer).expect("a message");
        let rdatas: Vec<&[u8]> = answer.answer.iter().map(|rr| rr.rdata.as_slice()).collect();
        assert_eq!(rdatas, [zone::address(sample[index])], "{}", zone::owner(sample[index]));
    });
}
