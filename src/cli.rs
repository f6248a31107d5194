//! The command line: `ringdns run | scanner | scheduler | kubesync | check-config | config | ctl | apicmd | doctor | setup | version`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use ringdns_controlplane::config::{ConfigSource, RoleConfig};
use ringdns_controlplane::{BuildInfo, CheckError, check_config, zonefile};
use ringdns_ctl::apicmd::{self, Program};
use ringdns_ctl::commands::{self, Ctl, Host};
use ringdns_ctl::import;
use ringdns_dataplane::dpdk::Eal;

use crate::coredns::{self, Action};
use crate::doctor::{self, Doctor};
use crate::setup::{self, Setup};
use crate::{health, kubesync, preflight, run};

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
    Run(Run),
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
    /// Write a Kubernetes cluster's records to etcd, for servers outside of it, until SIGTERM or SIGINT; one of many leads
    Kubesync {
        /// The configuration file; [etcd], [kubernetes] and [kubesync] count
        #[arg(short, long, value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Check a configuration and the zone files that it names, without starting anything
    CheckConfig {
        /// The configuration file, or a Corefile
        #[arg(value_name = "FILE", default_value = CONFIG_PATH)]
        config: PathBuf,
    },
    /// Take over the configuration of other name servers
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List, show and change what a running server serves, over its admin API
    Ctl(Box<Ctl>),
    /// The record client of ContainerDNS, as it is when called containerdns-apicmd or skydns-apicmd
    #[command(disable_help_flag = true)]
    Apicmd {
        /// Its flags, with one dash; -h explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
    /// Look at this machine: what it has, what is missing, and the command that brings it
    Doctor(Doctor),
    /// Prepare this machine: hugepages, NICs, permissions (as root)
    Setup(Setup),
    /// Print version, commit and the version of DPDK
    Version,
}

/// Where the configuration of a server is.
#[derive(Args)]
struct Run {
    /// The configuration file; conf/example.toml explains every key [default: /etc/ringdns/ringdns.toml, without --corefile]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A Corefile, the configuration of CoreDNS; with --config part of that file. It is read again when it changes
    #[arg(long, visible_alias = "conf", value_name = "FILE")]
    corefile: Option<PathBuf>,
    /// A plugin of the Corefile that is passed over; may be given again
    #[arg(long, value_name = "PLUGIN", requires = "corefile")]
    corefile_ignore: Vec<String>,
}

impl From<Run> for ConfigSource {
    fn from(run: Run) -> Self {
        let file = run.config.or_else(|| run.corefile.is_none().then(|| CONFIG_PATH.into()));
        Self { file, corefile: run.corefile, ignore: run.corefile_ignore, port: None }
    }
}

/// What can be done with configurations.
#[derive(Subcommand)]
enum ConfigCommand {
    /// Turn a Corefile, containerdns.conf, skydns.conf, kdns.cfg and the like into a configuration of RingDNS
    Import(import::Options),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    // A link of that name to this program is the other program.
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let flags = || words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    if let Some(program) = Program::called_as(&name) {
        return apicmd::main(program, &flags()).into();
    }
    if coredns::is_name(&name) {
        return as_coredns(&flags());
    }
    match Arguments::parse().command {
        Command::Config(ConfigCommand::Import(options)) => import::main(&options).into(),
        Command::Ctl(ctl) => commands::main(&ctl, host()).into(),
        Command::Apicmd { flags } => apicmd::main(Program::Own, &flags).into(),
        Command::Run(run) => serve(&run.into()),
        Command::Scanner { config } => ended(health::scan(&config)),
        Command::Scheduler { config } => ended(health::schedule(&config)),
        Command::Kubesync { config } => ended(kubesync::run(&config)),
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

/// Serves, as told by a configuration.
fn serve(source: &ConfigSource) -> ExitCode {
    match run::run(source, build_info()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(run::RunError::Config(error)) => fail(&error, MISUSED),
        Err(error) => fail(&error, FAILED),
    }
}

/// Does what CoreDNS would, called by its name.
fn as_coredns(flags: &[String]) -> ExitCode {
    match coredns::read(flags) {
        Ok(Action::Serve { source, pid_file }) => {
            let id = std::process::id();
            match pid_file.map_or(Ok(()), |path| std::fs::write(path, format!("{id}\n"))) {
                Ok(()) => serve(&source),
                Err(error) => fail(&format!("-pidfile cannot be written: {error}; name another file"), FAILED),
            }
        }
        Ok(Action::Version) => say(&format!("RingDNS-{}", env!("CARGO_PKG_VERSION"))),
        Err(fault) => fail(&fault, MISUSED),
    }
}

/// What `ringdns ctl` asks of the rest of this program.
fn host() -> Host<'static> {
    Host { command: Arguments::command, read_zone: &zonefile::list, environment: &|name| std::env::var(name).ok() }
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
    if let Some(report) = kubesync::check(path)? {
        return Ok(report);
    }
    if let Some(role) = RoleConfig::load_alone(path) {
        let RoleConfig { etcd, health, .. } = role.map_err(|error| error.to_string())?;
        let (path, members) = (path.display(), etcd.endpoints.len());
        let (scanner, scheduler) = (&health.scanner.name, &health.scheduler.name);
        return Ok(format!(
            "{path}: right for `ringdns scanner` ({scanner}) and `ringdns scheduler` ({scheduler}); members of etcd: {members}; \
             without [[port]] it is none for `ringdns run`"
        ));
    }
    let checked = check_config(path).map_err(|error: CheckError| error.to_string())?;
    preflight::devices(&checked.config).map_err(|error| error.to_string())?;
    if let Some(cluster) = &checked.config.kubernetes {
        ringdns_kubernetes::check(&cluster.access).map_err(|error| error.to_string())?;
    }
    let mut report = String::new();
    for warning in &checked.warnings {
        report += &format!("warning: {warning}\n");
    }
    for (zone, records) in &checked.zone_records {
        report += &format!("{zone} {records} records\n");
    }
    let ports = checked.config.ports.len();
    let workers = if ports == 0 { 0 } else { checked.config.workers.cores.len().max(1) };
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
