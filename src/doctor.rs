//! `ringdns doctor`: what the machine has, what is missing, and the command that brings it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ringdns_controlplane::config::{Config, ConfigError, KernelKind, NodeLocalConfig, PortConfig};
use ringdns_forward::policy::Policies;
use ringdns_hugepages::Root;
use ringdns_hugepages::doctor::{Check, Level, ToKernel, WantedNodeLocal, WantedPort, Wants, examine};
use serde_json::json;

/// Files beside those of connections over TCP (conf/example.toml names the number).
const OTHER_FILES: u64 = 512;

/// How the machine is looked at.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all that is needed is there, 1 something is missing, 2 wrong usage.\n\
                        ok: as it should be; note: for information; warning: it will run, but not as well or as safely as \
                        it could; missing: it will not run so. What is looked at is what this user may do: run it as the \
                        user that RingDNS runs as.")]
pub struct Doctor {
    /// Judge by what this configuration needs. Without it nothing counts as missing; the findings are for information
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What was found: the text to print, and whether all that is needed is there.
pub fn look(doctor: &Doctor) -> (String, bool) {
    let mut checks = Vec::new();
    let mut wants = None;
    if let Some(path) = &doctor.config {
        match Config::load(path) {
            Ok(config) => {
                checks.push(Check::new("configuration", Level::Ok, format!("{} is right", path.display())));
                checks.extend(policies(&config));
                wants = Some(wants_of(&config));
            }
            Err(error) => checks.push(configuration_fault(path, &error)),
        }
    }
    checks.extend(examine(&Root::machine(), wants.as_ref()));
    let is_well = !checks.iter().any(|check| check.level == Level::Missing);
    (if doctor.json { as_json(&checks, is_well) } else { as_lines(&checks) }, is_well)
}

/// Whether the files of the policies can be read, where names of others are asked for.
fn policies(config: &Config) -> Option<Check> {
    config.forward.as_ref()?;
    Some(match Policies::load(config) {
        Ok(policies) => {
            let [blocked, hosts] = policies.sizes();
            let finding = format!("names that are not asked for: {blocked}; names of hosts: {hosts}");
            Check::new("policies", Level::Ok, finding)
        }
        Err(error) => Check::new("policies", Level::Missing, error.to_string())
            .remedy(format!("correct [policy] in {}, or the file", config.path.display())),
    })
}

/// What a configuration needs of the machine.
fn wants_of(config: &Config) -> Wants {
    let of_node = config.node_local.iter().flat_map(NodeLocalConfig::listen);
    let listen: Vec<SocketAddr> = config.sockets.listen.iter().copied().chain(of_node).collect();
    Wants {
        hugepages: config.eal.hugepages,
        memory_mib: config.eal.memory_mib.into(),
        cores: config.workers.cores.clone(),
        ports: config.ports.iter().map(port).collect(),
        files: if listen.is_empty() { 0 } else { config.sockets.tcp_connections_max as u64 + OTHER_FILES },
        listens_low: listen.iter().any(|address| address.port() < 1024),
        node_local: config.node_local.as_ref().map(|node_local| WantedNodeLocal { redirects: node_local.redirect }),
    }
}

/// What a port needs of the machine.
fn port(port: &PortConfig) -> WantedPort {
    let kernel = port.kernel.as_ref().map(|kernel| match kernel.kind {
        KernelKind::Auto => ToKernel::Any,
        KernelKind::Vhost => ToKernel::Vhost,
        KernelKind::Tap => ToKernel::Tap,
    });
    WantedPort { device: port.device.clone(), kernel }
}

/// What is wrong with a configuration.
fn configuration_fault(path: &Path, error: &ConfigError) -> Check {
    let finding = error.to_string().replace('\n', "; ");
    Check::new("configuration", Level::Missing, finding).remedy(format!("ringdns check-config {}", path.display()))
}

/// A line for each check, with what to do on a line below it.
fn as_lines(checks: &[Check]) -> String {
    let mut lines = Vec::new();
    for Check { subject, level, finding, remedy } in checks {
        lines.push(format!("{level:<8} {subject}: {finding}"));
        lines.extend(remedy.iter().map(|remedy| format!("         -> {remedy}")));
    }
    let number = |wanted: Level| checks.iter().filter(|check| check.level == wanted).count();
    let (missing, warnings) = (number(Level::Missing), number(Level::Warning));
    lines.push(if missing == 0 {
        format!("All that is needed is there; warnings: {warnings}")
    } else {
        format!("Missing: {missing}; warnings: {warnings}")
    });
    lines.join("\n")
}

/// The same for programs.
fn as_json(checks: &[Check], is_well: bool) -> String {
    let checks: Vec<_> = checks
        .iter()
        .map(|Check { subject, level, finding, remedy }| {
            json!({ "subject": subject, "level": level.word(), "finding": finding, "remedy": remedy })
        })
        .collect();
    json!({ "well": is_well, "checks": checks }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each level.
    fn checks() -> Vec<Check> {
        let of = |level: Level| Check::new("x", level, "found");
        vec![of(Level::Ok), of(Level::Note), of(Level::Warning), of(Level::Missing).remedy("do \"this\"")]
    }

    #[test]
    fn lines_name_level_finding_and_remedy() {
        let text = as_lines(&checks());
        assert_eq!(text.lines().nth(3), Some("missing  x: found"));
        assert_eq!(text.lines().nth(4), Some("         -> do \"this\""));
        assert_eq!(text.lines().last(), Some("Missing: 1; warnings: 1"));
    }

    #[test]
    fn json_says_the_same() {
        let value: serde_json::Value = serde_json::from_str(&as_json(&checks(), false)).unwrap();
        assert_eq!(value["well"], false);
        assert_eq!(value["checks"][3]["remedy"], "do \"this\"");
        assert_eq!(value["checks"][1]["level"], "note");
    }

    #[test]
    fn a_configuration_that_is_not_there_is_missing() {
        let doctor = Doctor { config: Some(PathBuf::from("/nonexistent/ringdns.toml")), json: false };
        let (text, is_well) = look(&doctor);
        assert!(!is_well && text.starts_with("missing  configuration: "), "{text}");
    }
}
