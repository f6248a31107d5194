//! The systemd units: what they promise stands in them, and what they read is explained.

use crate::source::is_word;
use crate::tree::{Tree, Violation};

/// The server's unit.
const SERVER: &str = "conf/systemd/ringdns.service";

/// The unit that prepares the machine.
const SETUP: &str = "conf/systemd/ringdns-setup.service";

/// What the latter reads.
const VARIABLES: &str = "conf/systemd/setup.env";

/// The units of the roles beside the server.
const ROLES: [&str; 3] = [
    "conf/systemd/ringdns-kubesync.service",
    "conf/systemd/ringdns-scanner.service",
    "conf/systemd/ringdns-scheduler.service",
];

/// Lines, or their starts, that these must have.
const ROLES_PROMISES: &[&str] = &[
    "Restart=always",
    "User=",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "PrivateDevices=yes",
    "RestrictAddressFamilies=",
    "SystemCallFilter=@system-service",
];

/// Lines, or their starts, that the server's unit must have: each is named in hugepages/README.md.
const PROMISES: &[&str] = &[
    "Type=notify",
    "WatchdogSec=",
    "Restart=always",
    "ExecReload=",
    "User=",
    "StateDirectory=",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "DeviceAllow=char-vfio rw",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=",
    "SystemCallFilter=@system-service",
    "LimitMEMLOCK=infinity",
    "LimitNOFILE=",
];

/// Promises that the units do not keep.
pub fn promises(tree: &Tree) -> Vec<Violation> {
    let of_server = PROMISES.iter().map(|&promise| (SERVER, promise));
    let of_roles = ROLES.iter().flat_map(|&unit| ROLES_PROMISES.iter().map(move |&promise| (unit, promise)));
    let is_kept = |(unit, promise): &(&str, &str)| {
        tree.text(unit).unwrap_or_default().lines().any(|line| line.starts_with(promise))
    };
    let broken = of_server.chain(of_roles).filter(|promise| !is_kept(promise));
    broken
        .map(|(unit, promise)| violation(unit, format!("the line {promise} is gone: put it back, or change the list")))
        .collect()
}

/// Variables of the setup unit that its file of variables does not explain.
pub fn variables(tree: &Tree) -> Vec<Violation> {
    let unit = tree.text(SETUP).unwrap_or_default();
    let known = tree.text(VARIABLES).unwrap_or_default();
    let used = unit.split('$').skip(1).map(|rest| {
        let rest = rest.trim_start_matches('{');
        &rest[..rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())]
    });
    // Lower case: the shell's own.
    let used = used.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
    let unknown = used.filter(|name| !known.lines().any(|line| line.starts_with(&format!("{name}="))));
    unknown.map(|name| violation(SETUP, format!("{name} is not in {VARIABLES}: explain it there"))).collect()
}

/// One violation of these rules.
fn violation(path: &str, message: String) -> Violation {
    Violation { path: path.to_owned(), line: 1, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_seen() {
        let kept: Vec<String> = PROMISES.iter().skip(1).map(|promise| format!("{promise}\n")).collect();
        let role: String = ROLES_PROMISES.iter().map(|promise| format!("{promise}\n")).collect();
        let units = [
            (SERVER, &*format!("# Type=notify\n{}", kept.concat())),
            (ROLES[0], &role),
            (ROLES[1], &role),
            (ROLES[2], &role),
        ];
        assert_eq!(promises(&Tree::of(&units)).len(), 1);
        assert_eq!(promises(&Tree::of(&[])).len(), PROMISES.len() + ROLES.len() * ROLES_PROMISES.len());
    }

    #[test]
    fn a_variable_without_explanation_is_seen() {
        let unit = "ExecStart=a ${KNOWN}\nExecStart=sh -c 'for b in $$LOST; do c \"$$b\"; done'\n";
        let found = variables(&Tree::of(&[(SETUP, unit), (VARIABLES, "KNOWN=1\n")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("LOST"));
    }
}
