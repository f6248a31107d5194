//! `ringdns config import`: others' configuration files turned into one of RingDNS.
//!
//! Each key of such a file ends in one of three ways: it is a key of the new file; it has no counterpart, which is said where it
//! would stand and in the report, with the reason and what to do instead; or it is not known, which is said with its line.
//! Nothing is dropped silently. What the old file cannot know (the NIC, mostly) is marked `FILL IN`.

mod agent;
mod common;
mod containerdns;
mod corefile;
mod draft;
mod kdns;
mod kind;
mod kubeapi;
mod others;
mod read;
mod settings;
mod skydns;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::terminal::{Terminal, with_process};
use draft::{Draft, Secret};
pub use kind::Kind;

/// How others' configuration is taken over.
#[derive(Args, Clone, Debug, Default)]
#[command(
    after_help = "The new file goes to standard output or to --out, the report to standard error: every key without \
counterpart, every unknown key, and what is left to do by hand. The files may be of different programs: the server and its \
record interface give one file together.\n\nExamples:\n  \
ringdns config import /etc/containerdns/containerdns.conf --out ringdns.toml\n  \
ringdns config import containerdns.conf containerdns-api.conf --device 0000:01:00.0 --address 192.0.2.53 \\\n      \
--secrets-dir /etc/ringdns --out /etc/ringdns/ringdns.toml\n  \
ringdns config import kdns.cfg | less\n  ringdns config import /etc/coredns/Corefile --out ringdns.toml\n\nExit codes: 0 imported, 1 a file could not be written, 2 wrong usage, a file that \
cannot be read, or of a kind that is not known."
)]
pub struct Options {
    /// containerdns.conf, skydns.conf, containerdns-api.conf, skydns-api.conf, kdns.cfg, kdns-agent.yaml, SkyDNS's own JSON or
    /// variables, a Corefile, or the directory of kube-dns's ConfigMap
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What the files are, where their content does not tell it
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Write the configuration to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write tokens and passwords to files in this directory, readable by their owner alone. Without it they are not written, and
    /// the report says what to do
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// The device of the port: a PCI address, or the arguments of a virtual device
    #[arg(long)]
    pub device: Option<String>,
    /// An address to answer for, in place of what the file says; may be given again
    #[arg(long = "address", value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,
    /// A plugin of a Corefile that is passed over; may be given again
    #[arg(long = "ignore", value_name = "PLUGIN")]
    pub ignore: Vec<String>,
    /// Pass over every plugin of a Corefile that is not supported; the report names each
    #[arg(long)]
    pub ignore_unsupported: bool,
}

/// Why nothing was imported.
#[derive(Debug, PartialEq, Eq)]
pub enum ImportError {
    /// A file cannot be read, or is none of those that are known.
    Read(String),
    /// A file cannot be written.
    Write(String),
}

/// What came out.
#[derive(Debug)]
pub struct Imported {
    /// The configuration.
    pub toml: String,
    /// What there is to say of it.
    pub report: String,
    /// Files of secrets.
    secrets: Vec<Secret>,
}

/// Runs on this process's streams; gives the exit code.
pub fn main(options: &Options) -> u8 {
    with_process(|terminal| run(options, terminal))
}

/// Imports, writes and reports; gives the exit code.
pub fn run(options: &Options, terminal: &mut Terminal<'_>) -> u8 {
    match import(options).and_then(|imported| write(options, &imported, terminal)) {
        Ok(()) => 0,
        Err(ImportError::Write(fault)) => {
            terminal.note(&format!("ringdns config import: {fault}"));
            1
        }
        Err(ImportError::Read(fault)) => {
            terminal.note(&format!("ringdns config import: {fault}"));
            2
        }
    }
}

/// Reads the files.
pub fn import(options: &Options) -> Result<Imported, ImportError> {
    let mut draft = Draft::default();
    draft.secrets_dir = options.secrets_dir.as_deref().map(absolute);
    let mut names = Vec::new();
    for path in &options.files {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        draft.file.clone_from(&name);
        let of_path = |fault: String| ImportError::Read(format!("{}: {fault}", path.display()));
        let kind = if path.is_dir() {
            corefile::config_map(path, &mut draft).map_err(ImportError::Read)?;
            Kind::KubeDnsConfigmap
        } else {
            let text = fs::read_to_string(path)
                .map_err(|error| ImportError::Read(format!("{} cannot be read: {error}", path.display())))?;
            let kind = kind::of(options.kind, &name, &text).map_err(of_path)?;
            match kind {
                // What it imports stands beside it.
                Kind::Corefile => corefile::import(path, options, &mut draft).map_err(ImportError::Read)?,
                _ => one(kind, &text, options, &mut draft).map_err(of_path)?,
            }
            kind
        };
        names.push(format!("{name} ({})", kind.describes()));
    }
    Ok(Imported { toml: draft.toml(&names.join(" and ")), report: draft.report(), secrets: draft.secrets })
}

/// Takes in one file.
fn one(kind: Kind, text: &str, options: &Options, draft: &mut Draft) -> Result<(), String> {
    let mut settings = match kind {
        Kind::Containerdns | Kind::ContainerdnsApi => read::gcfg(text)?,
        Kind::Kdns => read::dpdk(text)?,
        Kind::KdnsAgent => read::yaml(text)?,
        Kind::SkydnsJson => read::json(text)?,
        Kind::SkydnsEnv => read::variables(text)?,
        Kind::Corefile | Kind::KubeDnsConfigmap => {
            return Err("the ConfigMap of kube-dns is a directory with a file for each key; name that".to_owned());
        }
    };
    for setting in std::mem::take(&mut settings.overruled) {
        // Shown without its value, which may be a secret.
        let setting = setting.secret();
        draft.remark("[log]", &setting, "not taken: a later line has the same key");
    }
    match kind {
        Kind::Containerdns => containerdns::import(&mut settings, options, draft),
        Kind::ContainerdnsApi => kubeapi::import(&mut settings, options, draft),
        Kind::Kdns => kdns::import(&mut settings, options, draft),
        Kind::KdnsAgent => agent::import(&mut settings, options, draft),
        Kind::SkydnsJson | Kind::SkydnsEnv => skydns::import(&mut settings, options, draft),
        // Told above.
        Kind::Corefile | Kind::KubeDnsConfigmap => {}
    }
    for setting in settings.into_rest() {
        // Nobody knows what it is, so nobody knows that it is no secret.
        draft.remark("[log]", &setting.secret(), "unknown key: not one of this kind of file; was it misspelt?");
    }
    Ok(())
}

/// Writes what came out.
fn write(options: &Options, imported: &Imported, terminal: &mut Terminal<'_>) -> Result<(), ImportError> {
    if let Some(directory) = &options.secrets_dir {
        for secret in &imported.secrets {
            write_secret(&absolute(directory).join(secret.name), &secret.text)?;
        }
    }
    match &options.out {
        Some(path) => {
            let fault = |error| ImportError::Write(format!("{} cannot be written: {error}", path.display()));
            let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(fault)?;
            file.write_all(imported.toml.as_bytes()).map_err(fault)?;
        }
        None => {
            let fault = |error| ImportError::Write(format!("standard output cannot be written: {error}"));
            terminal.print(&imported.toml).map_err(fault)?;
        }
    }
    terminal.note(imported.report.trim_end());
    Ok(())
}

/// Writes a file that its owner alone may read. One that is there already must say the same.
fn write_secret(path: &Path, text: &str) -> Result<(), ImportError> {
    let fault = |error| ImportError::Write(format!("{} cannot be written: {error}", path.display()));
    if let Ok(found) = fs::read_to_string(path) {
        if found.lines().next() == Some(text) {
            return Ok(());
        }
        let message = format!("{} is there already and says something else; move it away first", path.display());
        return Err(ImportError::Write(message));
    }
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(fault)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fault)?;
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(fault)
}

/// A path that does not depend on where RingDNS is started.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
