//! The command line: `ringdns run | scanner | scheduler | check-config | doctor | setup | version`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringdns_controlplane::{BuildInfo, CheckError, check_config};
use ringdns_dataplane::dpdk::Eal;

use crate::doctor::{self, Doctor};
use crate::setup::{self, Setup};
use crate::{health, preflight, run};

/// Exit code where RingDNS could not start, or could not go on.
const FAILED: u8 = 1;
/// Exit code where the command line or the configuration is wrong; clap uses the same.
const MISUSED: u8 = 2;

/// Where packages put the configuration.
const CONFIG_PATH: &str = "/etc/ringdns/ringdns.toml";

/// A DNS server that answers from NIC rings.
#[derive(Parser)]
#[command(name = "ringdns", disable_version_flag = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 ended as asked, 1 could not start or go on, 2 wrong usage or configuration.\n\
                        Signals of `run`: SIGTERM and SIGINT drain and end it, SIGHUP reads configuration and zone files again.")]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What RingDNS can be told to do.
#[derive(Subcommand)]
enum Command {
    /// Serve DNS until SIGTERM or SIGINT
    Run {
        /// The configuration file; conf/example.toml explains every key
        #[arg(short, long, value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Check targets and tell etcd which of them are up, until SIGTERM or SIGINT
    Scanner {
        /// The configuration file; [etcd], [scanner], [[probe]] and [alert] count
        #[arg(short, long, value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Say which scanner checks which target, until SIGTERM or SIGINT; one scheduler of many leads
    Scheduler {
        /// The configuration file; [etcd], [health] and [scheduler] count
        #[arg(short, long, value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Check a configuration and the zone files that it names, without starting anything
    CheckConfig {
        /// The configuration file
        #[arg(value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Look at this machine: what it has, what is missing, and the command that brings it
    Doctor(Doctor),
    /// Prepare this machine: hugepages, NICs, permissions (as root)
    Setup(Setup),
    /// Print version, commit and the version of DPDK
    Version,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => match run::run(&config, build_info()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(run::RunError::Config(error)) => fail(&error, MISUSED),
            Err(error) => fail(&error, FAILED),
        },
        Command::Scanner { config } => ended(health::scan(&config)),
        Command::Scheduler { config } => ended(health::schedule(&config)),
        Command::CheckConfig { config } => match check(&config) {
            Ok(report) => say(&report),
            Err(report) => fail(&report, MISUSED),
        },
        Command::Doctor(doctor) => {
            let (report, is_well) = doctor::look(&doctor);
            say(&report);
            if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Command::Setup(setup) => {
            let (report, outcome) = setup::set_up(setup);
            if !report.is_empty() {
                say(&report);
            }
            outcome.map_or_else(
                |error| fail(&error, if setup::is_misuse(&error) { MISUSED } else { FAILED }),
                |()| ExitCode::SUCCESS,
            )
        }
        Command::Version => {
            let BuildInfo { version, commit, dpdk } = build_info();
            say(&format!("ringdns {version} (commit {commit}, {dpdk})"))
        }
    }
}

/// The exit code of a role.
fn ended(outcome: Result<(), health::RoleError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ health::RoleError::Config(_)) => fail(&error, MISUSED),
        Err(error) => fail(&error, FAILED),
    }
}

/// What the program was built from, and the DPDK that it found.
fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("RINGDNS_COMMIT").to_owned(),
        dpdk: Eal::version(),
    }
}

/// What there is to say of a configuration, or what is wrong with it.
fn check(path: &Path) -> Result<String, String> {
    let checked = check_config(path).map_err(|error: CheckError| error.to_string())?;
    preflight::devices(&checked.config).map_err(|error| error.to_string())?;
    let mut report = String::new();
    for warning in &checked.warnings {
        report += &format!("warning: {warning}\n");
    }
    for (zone, records) in &checked.zone_records {
        report += &format!("{zone} {records} records\n");
    }
    let (ports, workers) = (checked.config.ports.len(), checked.config.workers.cores.len().max(1));
    Ok(report + &format!("{}: right; ports: {ports}, workers: {workers}", path.display()))
}

/// Prints to standard output.
#[allow(clippy::print_stdout, reason = "this is what the user asked to see")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// Prints what went wrong to standard error.
#[allow(clippy::print_stderr, reason = "errors at start are for the terminal, whatever the log's format")]
fn fail(error: &impl std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("ringdns: {error}");
    ExitCode::from(code)
}
