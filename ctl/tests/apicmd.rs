//! The record client of ContainerDNS against the running interface: each transcript byte for byte.
//!
//! A transcript is what a terminal shows. Lines after `$` are commands, those after `!` are commands that fail (exit code 1),
//! and what follows up to the next one is what they print. `export NAME=VALUE` lasts; `{ADDR}` stands for the interface's
//! address. A line `# domains: ...` names the suffixes of the server; other lines after `#` are for readers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

#[path = "../../controlplane/tests/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::ffi::OsStr;

use common::Server;
use ringdns_ctl::Terminal;
use ringdns_ctl::apicmd::{self, Program};

/// A terminal with a server behind it.
struct Shell {
    /// The server.
    server: Server,
    /// Exported variables.
    variables: HashMap<String, String>,
    /// The store.
    _directory: tempfile::TempDir,
}

/// What a command printed, what it said about it, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    /// Standard output.
    out: String,
    /// Standard error.
    err: String,
    /// Exit code.
    code: u8,
}

impl Shell {
    /// A server with these suffixes.
    fn new(domains: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let domains: Vec<String> = domains.split_whitespace().map(|domain| format!("{domain:?}")).collect();
        let table = format!(
            "[containerdns_api]\nlisten = \"127.0.0.1:0\"\ntoken = \"123456789\"\ndomains = [{}]\n",
            domains.join(", ")
        );
        let server = Server::start(directory.path(), &table);
        Self { server, variables: HashMap::new(), _directory: directory }
    }

    /// Runs a command line; quotes keep words together.
    fn run(&mut self, line: &str) -> Printed {
        let addr = self.server.plane().containerdns_address().unwrap().to_string();
        let mut words = split(&line.replace("{ADDR}", &addr)).into_iter();
        let name = words.next().unwrap();
        let words: Vec<String> = words.collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut code = 0;
        if name == "export" {
            let (name, value) = words[0].split_once('=').unwrap();
            self.variables.insert(name.to_owned(), value.to_owned());
        } else {
            let program = Program::called_as(OsStr::new(&name)).unwrap_or(Program::Own);
            let variables = |name: &str| self.variables.get(name).cloned();
            code = apicmd::run(program, &words, &variables, &mut Terminal { out: &mut out, err: &mut err });
        }
        Printed { out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap(), code }
    }
}

/// Splits a line into words as a shell does with double quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for character in line.chars() {
        match character {
            '"' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    words.extend(Some(word).filter(|_| begun));
    words
}

/// Plays a transcript.
fn play(name: &str) {
    let path = format!("{}/tests/transcripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let domains = text.lines().find_map(|line| line.strip_prefix("# domains:")).unwrap_or("containerdns.local.");
    let mut shell = Shell::new(domains);
    let mut expected = String::new();
    let mut printed = Printed { out: String::new(), err: String::new(), code: 0 };
    for (number, line) in text.lines().enumerate().chain([(usize::MAX, "$ export END=")]) {
        let fails = line.starts_with("! ");
        if line.starts_with('#') {
            continue;
        }
        let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("! ")) else {
            expected += line;
            expected += "\n";
            continue;
        };
        assert_eq!(printed.out, expected, "{name}, above line {}: {}", number.wrapping_add(1), printed.err);
        expected.clear();
        printed = shell.run(command);
        assert_eq!(printed.code, u8::from(fails), "{name}:{}: {printed:?}", number.wrapping_add(1));
    }
}

#[test]
fn the_documented_examples_of_the_first_generation_print_what_they_printed() {
    play("skydns.txt");
}

#[test]
fn each_method_does_what_the_help_shows() {
    play("documented.txt");
}

#[test]
fn a_user_can_be_named_where_the_server_wants_one() {
    play("current.txt");
}

#[test]
fn refusals_are_printed_in_the_words_of_the_original() {
    play("refused.txt");
}

#[test]
fn what_the_original_kept_to_itself_is_told_beside_its_output() {
    let mut shell = Shell::new("containerdns.local.");
    let printed = shell.run("containerdns-apicmd -addr {ADDR} -token wrong -list");
    let err = "containerdns-apicmd: the server said: No authorized\n";
    assert_eq!(printed, Printed { out: "domain : not found\n".into(), err: err.into(), code: 0 });
}
