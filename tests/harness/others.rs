//! Other people's name servers, as processes in a namespace: Unbound, Knot and dnsmasq, unpacked by `scripts/reference-server`.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::message::{Answer, Question};
use crate::namespace::Namespace;
use crate::{process, udp, wait_for};

/// Longest from the start to the first answer.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest from SIGTERM to the end.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// The SOA type.
const SOA: u16 = 6;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Unbound of NLnet Labs: a resolver, here of one zone, which it has from a file, and of nothing else.
    Unbound,
    /// Knot DNS of CZ.NIC: the zone's own server.
    Knot,
    /// dnsmasq of Simon Kelley: the records that its configuration names.
    Dnsmasq,
}

impl Program {
    /// As `scripts/reference-server` calls it.
    fn name(self) -> &'static str {
        match self {
            Program::Unbound => "unbound",
            Program::Knot => "knotd",
            Program::Dnsmasq => "dnsmasq",
        }
    }

    /// What stands between its name and its configuration.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Program::Unbound => &["-d", "-c"],
            Program::Knot => &["-c"],
            Program::Dnsmasq => &["--keep-in-foreground", "--user=root", "-C"],
        }
    }
}

/// The script that runs the servers of others.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/reference-server")
}

/// A server of somebody else's zone, which can be started again.
pub struct Other {
    /// Which one.
    program: Program,
    /// The zone.
    zone: String,
    /// Where it answers.
    address: IpAddr,
    /// Its files.
    folder: PathBuf,
    /// The process, while there is one.
    child: Option<Child>,
}

impl Other {
    /// Starts it in a namespace and waits for its first answer. `folder` is made; `records` are lines of a zone file, or of
    /// dnsmasq's configuration.
    pub fn start(
        program: Program,
        (namespace, address): (&Namespace, IpAddr),
        folder: PathBuf,
        zone: &str,
        records: &str,
    ) -> Other {
        fs::create_dir(&folder).expect("a writable folder");
        let zone_file = folder.join("zone");
        fs::write(&zone_file, records).expect("a writable folder");
        let config = match program {
            Program::Unbound => unbound_config(&folder, address, zone),
            Program::Knot => knot_config(&folder, address, zone),
            Program::Dnsmasq => {
                let zone = zone.trim_end_matches('.');
                format!(
                    "no-resolv\nno-hosts\nlisten-address={address}\nbind-interfaces\npid-file=\nlocal=/{zone}/\n\
                     {records}"
                )
            }
        };
        fs::write(folder.join("config"), config).expect("a writable folder");
        let mut other = Other { program, zone: zone.to_owned(), address, folder, child: None };
        other.resume(namespace);
        other
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 53)
    }

    /// Starts it again.
    pub fn resume(&mut self, namespace: &Namespace) {
        let log = self.folder.join("log");
        let output = File::options().create(true).append(true).open(&log).expect("a writable folder");
        let errors = output.try_clone().expect("a second handle");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script()).arg(self.program.name()).args(self.program.arguments());
        command.arg(self.folder.join("config")).stdin(Stdio::null()).stdout(output).stderr(errors);
        let _entered = namespace.enter();
        self.child = Some(command.spawn().expect("setpriv of util-linux"));
        wait_for(&format!("{} to answer", self.program.name()), START_TIME_MAX, || self.readiness(&log));
    }

    /// Ends it, as a machine does that loses its power; its addresses stay.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("a running server");
        child.wait().expect("a child of ours");
    }

    /// Something once it answers from its zone; panics if it has ended.
    fn readiness(&mut self, log: &Path) -> Option<()> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child of ours"));
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(log).unwrap_or_default());
        let socket = UdpSocket::bind((self.address, 0)).expect("a free port");
        socket.connect(self.address()).expect("an address of this namespace");
        let mut query = Question::new(&self.zone, SOA).to_wire(1);
        // RD: dnsmasq answers nobody who does not want recursion.
        query[2] |= 1;
        let answer = udp::exchange(&socket, &query, Duration::from_millis(200))?;
        // dnsmasq has no SOA record; that it answers is enough.
        (Answer::parse(&answer).ok()?.answer.len() == 1 || self.program == Program::Dnsmasq).then_some(())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            process::terminate(child, STOP_TIME_MAX);
        }
    }
}

/// Unbound as a resolver of everybody's that has a copy of one zone, and nowhere else to go; it checks no signatures.
fn unbound_config(folder: &Path, address: IpAddr, zone: &str) -> String {
    let folder = folder.display();
    format!(
        "server:\n  interface: {address}\n  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  num-threads: 1\n  \
         username: \"\"\n  chroot: \"\"\n  directory: \"{folder}\"\n  pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n  \
         module-config: \"iterator\"\n  minimal-responses: yes\n  local-zone: \"{zone}\" nodefault\n  do-not-query-localhost: no\n\
         remote-control:\n  control-enable: no\nauth-zone:\n  name: \"{zone}\"\n  zonefile: \"{folder}/zone\"\n  \
         for-downstream: no\n  for-upstream: yes\n"
    )
}

/// Knot with its files in the folder.
fn knot_config(folder: &Path, address: IpAddr, zone: &str) -> String {
    let folder = folder.display();
    format!(
        "server:\n  listen: {address}@53\n  rundir: \"{folder}\"\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: \"{folder}\"\nlog:\n  - target: stdout\n    any: info\nzone:\n  - domain: {zone}\n    \
         file: \"{folder}/zone\"\n    storage: \"{folder}\"\n    semantic-checks: off\n"
    )
}
