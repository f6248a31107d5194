//! `ringdns ctl`: lists, shows and changes what a running server serves, over its admin API.

mod api;
mod arguments;
mod cache;
mod diff;
mod failure;
mod members;
mod observe;
mod records;
mod table;
mod transfer;
mod watch;
mod zones;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;

use crate::terminal::{Terminal, with_process};
use api::Api;
pub use arguments::Ctl;
use arguments::{Command, Create, Delete, Output, Shell, Update};
use failure::Done;

/// What this library asks of the program that it is part of.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The whole command line, for completions.
    pub command: fn() -> clap::Command,
    /// Reads the zone file of a zone: a list of RRsets as the admin API shows them; otherwise what is wrong with it.
    pub read_zone: &'a dyn Fn(&str, &Path) -> Result<Value, String>,
    /// A variable of the environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

/// Runs on this process's streams; gives the exit code.
pub fn main(ctl: &Ctl, host: Host<'_>) -> u8 {
    with_process(|terminal| run(ctl, host, terminal))
}

/// Does what the arguments say; gives the exit code.
pub fn run(ctl: &Ctl, host: Host<'_>, terminal: &mut Terminal<'_>) -> u8 {
    let code = match follow(ctl, host, terminal) {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(words) = failure.words() {
                terminal.note(&format!("ringdns ctl: {words}"));
            }
            failure.code()
        }
    };
    // What stands in a buffer would be lost with the process.
    if terminal.out.flush().is_err() { code.max(failure::REFUSED) } else { code }
}

/// Does what the arguments say.
fn follow(ctl: &Ctl, host: Host<'_>, terminal: &mut Terminal<'_>) -> Done {
    if let Command::Completions { shell } = &ctl.command {
        let mut text = Vec::new();
        let mut command = (host.command)();
        let generator = match shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        clap_complete::generate(generator, &mut command, "ringdns", &mut text);
        return Ok(terminal.print(&String::from_utf8_lossy(&text))?);
    }
    let api = Api::new(&ctl.connection, host.environment, terminal)?;
    let screen = &mut Screen { terminal, output: ctl.connection.output };
    match &ctl.command {
        Command::List { zone: None, .. } => zones::list(&api, screen),
        Command::List { zone: Some(zone), owner } => records::list(&api, zone, owner.as_deref(), screen),
        Command::Show { zone, owner: None, .. } => zones::show(&api, zone, screen),
        Command::Show { zone, owner: Some(owner), rtype: None, .. } => records::list(&api, zone, Some(owner), screen),
        Command::Show { zone, owner: Some(owner), rtype: Some(rtype), view } => {
            records::show(&api, &records::Place { zone, owner, rtype, view: view.as_deref() }, screen)
        }
        Command::Create(Create::Zone(zone)) => zones::create(&api, zone, screen),
        Command::Create(Create::Record(record)) => records::create(&api, record, screen),
        Command::Update(Update::Zone(zone)) => zones::update(&api, zone, screen),
        Command::Update(Update::Record(change)) => records::update(&api, change, screen),
        Command::Delete(Delete::Zone { zone, yes }) => zones::delete(&api, zone, *yes),
        Command::Delete(Delete::Record { zone, owner, rtype, view }) => {
            records::delete(&api, &records::Place { zone, owner, rtype, view: view.as_deref() })
        }
        Command::Import(import) => transfer::import(&api, import, screen),
        Command::Export(export) => transfer::export(&api, export, screen),
        Command::Watch(watch) => watch::watch(&api, watch, screen),
        Command::Diff { zone, file } => diff::diff(&api, zone, file, host.read_zone, screen),
        Command::Status => observe::status(&api, screen),
        Command::Stats { name, top } => observe::stats(&api, name.as_deref(), *top, screen),
        Command::Cache(action) => cache::cache(&api, action, screen),
        Command::Upstreams => cache::upstreams(&api, screen),
        Command::Members(asked) => members::members(&api, asked, screen),
        Command::Views(views) => observe::views(&api, views.as_ref(), screen),
        Command::Completions { .. } => Ok(()),
    }
}

/// Where output goes, and in which form.
struct Screen<'a, 'b> {
    /// Where.
    terminal: &'a mut Terminal<'b>,
    /// In which form.
    output: Output,
}

impl Screen<'_, '_> {
    /// Prints text.
    fn print(&mut self, text: &str) -> Done {
        Ok(self.terminal.print(text)?)
    }

    /// Prints JSON where that is asked for, else what the function makes of it.
    fn show(&mut self, value: &Value, table: impl FnOnce(&Value) -> String) -> Done {
        let text = match self.output {
            Output::Json => format!("{value:#}\n"),
            Output::Table => table(value),
        };
        self.print(&text)
    }
}
