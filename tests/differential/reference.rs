//! Other authoritative servers on the loopback of this namespace.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::message::{Answer, Question};
use harness::{Setup, udp, wait_for};

use crate::UDP_ANSWER_BYTES_MAX;
use crate::nasty;
use crate::zone::APEX;

/// Longest from the start to the first answer.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// NSD of NLnet Labs.
    Nsd,
    /// Knot DNS of CZ.NIC.
    Knot,
}

impl Program {
    /// Where it listens.
    fn port(self) -> u16 {
        match self {
            Program::Nsd => 5300,
            Program::Knot => 5301,
        }
    }
}

/// A running reference server; killed when dropped.
pub struct Reference {
    /// Which one.
    program: Program,
    /// The process.
    child: Child,
}

impl Reference {
    /// Starts it on the zone file of the setup and waits for its first answer.
    pub fn start(program: Program, setup: &Setup) -> Reference {
        let folder = setup.path(&format!("{program:?}"));
        fs::create_dir(&folder).expect("a writable folder");
        let apexes = std::iter::once(APEX).chain(nasty::others().into_iter().map(|(apex, _)| apex));
        let zone_files: Vec<(&str, PathBuf)> = apexes.map(|apex| (apex, setup.path(&format!("{apex}zone")))).collect();
        let (name, config, arguments) = match program {
            Program::Nsd => ("nsd", nsd_config(&folder, &zone_files), ["-d", "-c"].as_slice()),
            Program::Knot => ("knotd", knot_config(&folder, &zone_files), ["-c"].as_slice()),
        };
        let config_file = folder.join("config");
        fs::write(&config_file, config).expect("a writable folder");
        let log = folder.join("log");
        let output = File::create(&log).expect("a writable folder");
        let errors = output.try_clone().expect("a second handle");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/reference-server");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script).arg(name).args(arguments).arg(config_file);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("setpriv of util-linux");
        let mut reference = Reference { program, child };
        wait_for(&format!("{name} to answer"), START_TIME_MAX, || reference.readiness(&log));
        reference
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.program.port()))
    }

    /// Something once it answers from the zone; panics if it has ended.
    fn readiness(&mut self, log: &PathBuf) -> Option<()> {
        let ended = self.child.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(log).unwrap_or_default());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect(self.address()).expect("a loopback");
        let query = Question::new(APEX, 6).to_wire(1);
        let answer = udp::exchange(&socket, &query, Duration::from_millis(200))?;
        (Answer::parse(&answer).ok()?.answer.len() == 1).then_some(())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Both end quickly on SIGTERM; NSD's children end with it.
        harness::process::terminate(&mut self.child, Duration::from_secs(5));
    }
}

/// NSD without privileges to drop, files elsewhere, rate limits or a control socket.
fn nsd_config(folder: &Path, zone_files: &[(&str, PathBuf)]) -> String {
    let port = Program::Nsd.port();
    let folder = folder.display();
    let zones: String = zone_files
        .iter()
        .map(|(apex, file)| format!("zone:\n  name: {apex}\n  zonefile: \"{}\"\n", file.display()))
        .collect();
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  database: \"\"\n  \
         zonesdir: \"{folder}\"\n  pidfile: \"{folder}/pid\"\n  xfrdfile: \"{folder}/xfrd\"\n  zonelistfile: \"{folder}/zones\"\n  \
         xfrdir: \"{folder}\"\n  ipv4-edns-size: {UDP_ANSWER_BYTES_MAX}\n  rrl-ratelimit: 0\n  minimal-responses: yes\n  \
         hide-version: yes\nremote-control:\n  control-enable: no\n{zones}"
    )
}

/// Knot with its files in the folder.
fn knot_config(folder: &Path, zone_files: &[(&str, PathBuf)]) -> String {
    let port = Program::Knot.port();
    let folder = folder.display();
    let zones: String = zone_files
        .iter()
        .map(|(apex, file)| {
            let file = file.display();
            format!("  - domain: {apex}\n    file: \"{file}\"\n    storage: \"{folder}\"\n    semantic-checks: off\n")
        })
        .collect();
    format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: \"{folder}\"\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n  udp-max-payload: {UDP_ANSWER_BYTES_MAX}\ndatabase:\n  storage: \"{folder}\"\nlog:\n  - target: stdout\n    \
         any: info\nzone:\n{zones}"
    )
}
