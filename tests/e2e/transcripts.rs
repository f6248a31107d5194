//! What the originals' users type, with the programs that they type it with, compared byte for byte.
//!
//! A transcript is text: a line that begins with `$ ` is a command for the shell, and what follows up to the next is all that
//! it prints. Lines that begin with `#` before the first command are for people.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use harness::process::{finish, run};
use harness::server::{TOKEN, binary};
use harness::{Setup, turn};

/// Longest that one command may take, `nslookup`'s own retries included.
const TIME_MAX: Duration = Duration::from_secs(30);

/// The interfaces at the ports that the originals' examples name; sockets, so that the examples' 127.0.0.1 can be asked.
const TABLES: &str = "[sockets]\nlisten = [\"127.0.0.1:53\"]\n\
                      [containerdns_api]\nlisten = \"127.0.0.1:9001\"\ntoken = \"123456789\"\n\
                      [containerdns_stats]\nlisten = \"127.0.0.1:9600\"\ntoken = \"@containerdns.com\"\n\
                      [kdns_api]\nzones = [\"example.com\", \"168.192.in-addr.arpa\"]\n";

/// Commands, each with what it prints.
fn steps(transcript: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in transcript.split_inclusive('\n') {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.trim_end().to_owned(), String::new())),
            (None, Some((_, output))) => output.push_str(line),
            (None, None) => assert!(line.starts_with('#'), "{line} stands before the first command"),
        }
    }
    assert!(!steps.is_empty(), "a transcript has commands");
    steps
}

/// Replays a transcript against a server with these tables.
fn replay(tables: &str, transcript: &str) {
    let _turn = turn();
    run("ip", &["link", "set", "lo", "up"]);
    let mut setup = Setup::new();
    setup.more = tables.to_owned();
    let _server = setup.start();
    for name in ["ringdns", "containerdns-apicmd", "skydns-apicmd"] {
        symlink(binary(), setup.path(name)).expect("a writable folder");
    }
    let folder = setup.path("");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    for (command, expected) in steps(transcript) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(&folder).env("PATH", &path).env("RINGDNS_TOKEN", TOKEN);
        let finished = finish(&mut shell, TIME_MAX);
        let printed = finished.stdout + &finished.stderr;
        assert_eq!(printed, expected, "$ {command}");
    }
}

#[test]
fn the_examples_of_containerdns_print_what_they_printed() {
    replay(TABLES, include_str!("transcripts/current.txt"));
}

#[test]
fn the_examples_of_the_first_generation_print_what_they_printed() {
    replay(TABLES, include_str!("transcripts/documented.txt"));
}

#[test]
fn the_examples_of_kdns_print_what_they_printed() {
    replay(TABLES, include_str!("transcripts/kdns.txt"));
}

#[test]
fn the_record_client_does_what_it_did() {
    replay(TABLES, include_str!("transcripts/apicmd.txt"));
}

#[test]
fn a_server_is_managed_from_a_shell() {
    replay(TABLES, include_str!("transcripts/ctl.txt"));
}

#[test]
fn one_address_of_several_is_printed_where_that_is_configured() {
    let tables = TABLES.replace("token = \"123456789\"\n", "token = \"123456789\"\nanswers = \"hone-one\"\n");
    let make = "$ curl -s -X POST -d '{\"type\":\"A\",\"ips\":[\"192.168.10.1\",\"192.168.10.2\"]}' 'http://127.0.0.1:9001/skydns/api/cctv2?token=123456789'\nOK\n";
    let ask = "$ for turn in 1 2 3 4 5; do nslookup cctv2.containerdns.local 192.0.2.53 | grep -c '^Address: '; done | uniq -c | tr -s ' '\n 5 1\n";
    let same = "$ for turn in 1 2 3 4 5; do nslookup cctv2.containerdns.local 192.0.2.53; done | grep '^Address: ' | sort -u | wc -l\n1\n";
    replay(&tables, &[make, ask, same].concat());
}
