//! What a node's own DNS (`[node_local]`) needs.

use super::{Check, Level, Patient};
use crate::process::NET_ADMIN;

/// The first Linux whose nf_tables have rules that go with a process.
const LINUX_NEEDED: (u32, u32) = (5, 12);

/// What is missing, or that nothing is; nothing where no configuration asks.
pub(super) fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let Some(node_local) = patient.wants.and_then(|wants| wants.node_local) else { return Vec::new() };
    let mut checks = Vec::new();
    let mut missing = |finding: String, remedy: &str| {
        checks.push(Check::new("node_local", Level::Missing, finding).remedy(remedy));
    };
    if patient.process.may_use(patient.root, "dev/net/tun") != Some(true) {
        let finding = "/dev/net/tun is not there, or not open to this user".to_owned();
        missing(finding, "modprobe tun (in a container: mount the node's /dev/net/tun)");
    }
    if !patient.process.has(NET_ADMIN) {
        missing("CAP_NET_ADMIN is missing".to_owned(), "run as root, or AmbientCapabilities=CAP_NET_ADMIN in the unit");
    }
    let release = patient.root.text("proc/sys/kernel/osrelease").unwrap_or_default();
    if node_local.redirects && version(&release).is_some_and(|version| version < LINUX_NEEDED) {
        let (major, minor) = LINUX_NEEDED;
        let finding = format!("Linux {} has no rules that go with a process", release.trim());
        missing(finding, &format!("use Linux {major}.{minor} or newer, or set node_local.redirect = \"none\""));
    }
    if checks.is_empty() {
        checks.push(Check::new("node_local", Level::Ok, "this user may give the node addresses of its own for DNS"));
    }
    checks
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
