//! Judges a machine: what is there, what is missing, and the command that brings it.

mod drivers;
mod machine;
mod memory;
mod node;
mod ports;

use std::fmt;

use crate::nic::{Nic, nics};
use crate::process::Process;
use crate::root::Root;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// RingDNS will run, but not as well as it could, or as safely.
    Warning,
    /// RingDNS will not run so.
    Missing,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub subject: String,
    /// How it came out.
    pub level: Level,
    /// What was found, in one line.
    pub finding: String,
    /// The command that brings what is missing, or what else to do.
    pub remedy: Option<String>,
}

impl Check {
    /// A check that needs no remedy.
    pub fn new(subject: impl Into<String>, level: Level, finding: impl Into<String>) -> Self {
        Self { subject: subject.into(), level, finding: finding.into(), remedy: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// What a configuration needs of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Whether packet buffers lie in hugepages.
    pub hugepages: bool,
    /// Memory for packet buffers.
    pub memory_mib: u64,
    /// The workers' CPUs; empty: the last one.
    pub cores: Vec<usize>,
    /// The ports.
    pub ports: Vec<WantedPort>,
    /// Files that may have to be open at once.
    pub files: u64,
    /// Whether the kernel's sockets listen on ports below 1024.
    pub listens_low: bool,
    /// What is wanted of the node for DNS of its own; none: nothing.
    pub node_local: Option<WantedNodeLocal>,
}

/// What is wanted of a node for DNS of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedNodeLocal {
    /// Whether rules bring packets there.
    pub redirects: bool,
}

/// What a port needs of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPort {
    /// Its device, as DPDK takes it.
    pub device: String,
    /// How what is not DNS comes to the kernel; none: not at all.
    pub kernel: Option<ToKernel>,
}

/// What makes a port's interface of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToKernel {
    /// vhost-net where it can be had, else TAP.
    Any,
    /// vhost-net.
    Vhost,
    /// TAP.
    Tap,
}

/// What every check reads.
struct Patient<'a> {
    /// The machine.
    root: &'a Root,
    /// This process.
    process: Process,
    /// The machine's NICs.
    nics: Vec<Nic>,
    /// What is needed; none: nobody has said.
    wants: Option<&'a Wants>,
}

impl Patient<'_> {
    /// What a flaw is that only a configuration that asks for it makes one.
    fn flaw(&self, level: Level) -> Level {
        if self.wants.is_some() { level } else { Level::Note }
    }

    /// The ports of the configuration.
    fn wanted_ports(&self) -> impl Iterator<Item = &WantedPort> {
        self.wants.into_iter().flat_map(|wants| &wants.ports)
    }

    /// The ports' NICs: those on the PCI bus, in the ports' order.
    fn wanted_nics(&self) -> impl Iterator<Item = &Nic> {
        self.wanted_ports().filter_map(|port| {
            let address = port.device.split(',').next()?.parse().ok()?;
            self.nics.iter().find(|nic| nic.address == address)
        })
    }
}

/// Looks at everything. Without wants nothing is missing: what is found is told.
pub fn examine(root: &Root, wants: Option<&Wants>) -> Vec<Check> {
    let patient = Patient { root, process: Process::read(root), nics: nics(root), wants };
    let mut checks = machine::checks(&patient);
    checks.extend(memory::checks(&patient));
    checks.extend(ports::checks(&patient));
    checks.extend(node::checks(&patient));
    checks
}

#[cfg(test)]
mod tests;
