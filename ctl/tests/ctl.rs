//! `ringdns ctl` against a running server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

#[path = "../../controlplane/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::{Args as _, FromArgMatches as _};
use common::{Server, TOKEN};
use ringdns_ctl::Terminal;
use ringdns_ctl::commands::{self, Ctl, Host};
use serde_json::Value;

/// A running server, and who speaks to it.
struct Desk {
    /// The server.
    server: Server,
    /// The store, and files of the test.
    directory: tempfile::TempDir,
}

/// What a command printed, what it said about it, and how it ended.
#[derive(Debug)]
struct Printed {
    /// Standard output.
    out: String,
    /// Standard error.
    err: String,
    /// Exit code.
    code: u8,
}

/// The command line as a program of its own.
fn command() -> clap::Command {
    Ctl::augment_args(clap::Command::new("ringdns"))
}

/// Runs a command line.
fn run(words: &[&str], token: &str) -> Printed {
    let matches = command().try_get_matches_from([&["ringdns"], words].concat()).unwrap();
    let ctl = Ctl::from_arg_matches(&matches).unwrap();
    let environment = |name: &str| (name == "RINGDNS_TOKEN").then(|| token.to_owned());
    let host = Host { command, read_zone: &ringdns_controlplane::zonefile::list, environment: &environment };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = commands::run(&ctl, host, &mut Terminal { out: &mut out, err: &mut err });
    Printed { out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap(), code }
}

impl Desk {
    /// A server without zones.
    fn new() -> Self {
        Self::with("")
    }

    /// A server with more in its configuration.
    fn with(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), more);
        Self { server, directory }
    }

    /// Runs a command against it, whatever comes of it.
    fn run(&self, words: &[&str]) -> Printed {
        let url = format!("http://{}", self.server.address);
        run(&[words, &["--server", &url]].concat(), TOKEN)
    }

    /// Runs a command that is done; gives its output.
    fn done(&self, words: &[&str]) -> String {
        let printed = self.run(words);
        assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{words:?}: {printed:?}");
        printed.out
    }

    /// Runs a command that fails with this code and says this.
    fn fails(&self, words: &[&str], code: u8, says: &str) {
        let printed = self.run(words);
        assert!(printed.code == code && printed.err.contains(says), "{words:?}: {printed:?}");
        assert_eq!(printed.out, "", "{words:?}");
    }

    /// The JSON that a command prints.
    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[words, &["--output", "json"]].concat())).unwrap()
    }

    /// A file of this text.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn zones_are_made_shown_changed_and_removed() {
    let desk = Desk::new();
    assert_eq!(desk.done(&["list"]), "ZONE  SERIAL  SOURCES  WRITABLE\n");
    let made = desk.done(&["create", "zone", "example.org.", "--ns", "ns1.example.org.", "--minimum", "30"]);
    assert!(made.contains("ns           ns1.example.org.\n") && made.contains("soa.minimum  30\n"), "{made}");
    desk.fails(&["create", "zone", "example.org"], 1, "zone example.org is there already");
    let list = desk.done(&["list"]);
    assert!(list.lines().nth(1).unwrap().starts_with("example.org.  "), "{list}");
    desk.done(&["update", "zone", "example.org", "--minimum", "60", "--ttl", "120"]);
    assert_eq!(desk.json(&["show", "example.org"])["soa"]["minimum"], 60);
    desk.fails(&["update", "zone", "example.net"], 3, "zone example.net. does not exist");
    desk.fails(&["show", "example.net"], 3, "zone example.net. does not exist");
    desk.fails(&["delete", "zone", "example.org"], 2, "say --yes");
    assert_eq!(desk.done(&["delete", "zone", "example.org", "--yes"]), "");
    desk.fails(&["delete", "zone", "example.org", "--yes"], 3, "does not exist");
}

#[test]
fn records_are_made_shown_changed_and_removed() {
    let desk = Desk::new();
    desk.done(&["create", "zone", "example.org."]);
    let made = desk.done(&["create", "record", "example.org", "www", "A", "192.0.2.1", "192.0.2.2", "--ttl", "60"]);
    let shown = "OWNER             TTL  TYPE  RECORD\n\
                 www.example.org.  60   A     192.0.2.1\n\
                 www.example.org.  60   A     192.0.2.2\n";
    assert_eq!(made, shown);
    assert_eq!(desk.done(&["show", "example.org", "www", "A"]), shown);
    assert_eq!(desk.done(&["list", "example.org", "--owner", "www.example.org."]), shown);
    desk.fails(&["create", "record", "example.org", "www", "A", "192.0.2.9"], 1, "exists");
    desk.fails(&["create", "record", "example.org", "w", "A", "192.0.2"], 1, "records[0]: ");
    desk.fails(&["show", "example.org", "nowhere"], 3, "nowhere has no records");
    desk.fails(&["show", "example.org", "www", "AAAA"], 3, "does not exist");
    desk.fails(&["update", "record", "example.org", "nowhere", "A", "192.0.2.1"], 3, "does not exist");

    let update = ["update", "record", "example.org", "www", "A"];
    desk.done(&[&update[..], &["--add", "192.0.2.3", "--remove", "192.0.2.1", "--ttl", "30"]].concat());
    let rrset = desk.json(&["show", "example.org", "www", "A"]);
    assert_eq!((&rrset["ttl"], rrset["records"].as_array().unwrap().len()), (&30.into(), 2));
    assert_eq!(rrset["selection"], Value::Null);
    desk.fails(&[&update[..], &["--remove", "192.0.2.1"]].concat(), 3, "no such record");
    desk.fails(&[&update[..], &["--remove", "192.0.2.2", "--remove", "192.0.2.3"]].concat(), 2, "ctl delete record");
    desk.done(&["delete", "record", "example.org", "www", "A"]);
    desk.fails(&["delete", "record", "example.org", "www", "A"], 3, "does not exist");
}

#[test]
fn selections_follow_their_records() {
    let desk = Desk::new();
    desk.done(&["create", "zone", "example.org."]);
    let record = ["create", "record", "example.org", "www", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3"];
    desk.done(&[&record[..], &["--select", "weighted", "--weights", "5,3,1", "--down", "192.0.2.3"]].concat());
    let update = ["update", "record", "example.org", "www", "A"];
    let changed =
        desk.done(&[&update[..], &["--remove", "192.0.2.1", "--add", "192.0.2.4", "--max-answers", "2"]].concat());
    let words: Vec<&str> = changed.lines().skip(1).map(|line| line.split("300  A     ").nth(1).unwrap()).collect();
    assert_eq!(
        words,
        [
            "192.0.2.2  ;@ select=weighted max=2 weight=3",
            "192.0.2.3  ;@ select=weighted max=2 down",
            "192.0.2.4  ;@ select=weighted max=2",
        ]
    );
    desk.done(&[&update[..], &["--up", "192.0.2.3", "--weights", "1,2,3"]].concat());
    let members = &desk.json(&["show", "example.org", "www", "A"])["selection"]["members"];
    assert_eq!((&members[1]["up"], &members[2]["weight"]), (&true.into(), &3.into()));
    desk.fails(&[&update[..], &["--weights", "1"]].concat(), 2, "1 weights for 3 records");
    desk.fails(&[&update[..], &["--down", "192.0.2.9"]].concat(), 2, "--down 192.0.2.9: the RRset has no such record");
    desk.fails(&[&update[..], &["--select", "best"]].concat(), 1, "selection.mode: \"best\" is no mode");
}

#[test]
fn files_are_compared_with_what_is_served() {
    let desk = Desk::new();
    desk.done(&[
        "create",
        "zone",
        "example.org.",
        "--ttl",
        "60",
        "--ns",
        "ns.example.org.",
        "--rname",
        "h.example.org.",
    ]);
    desk.done(&["create", "record", "example.org", "ns", "A", "192.0.2.53", "--ttl", "60"]);
    desk.done(&["create", "record", "example.org", "www", "A", "192.0.2.2", "192.0.2.1", "--ttl", "60"]);
    let soa = desk.json(&["show", "example.org", "@", "SOA"])["records"][0].as_str().unwrap().to_owned();
    let mut numbers: Vec<&str> = soa.split(' ').collect();
    numbers[2] = "1";
    let soa = numbers.join(" ");
    let head = format!("$TTL 60\n@ SOA {soa}\n@ NS ns\nns A 192.0.2.53\n");
    let same = desk.file("same.zone", &format!("{head}www A 192.0.2.1\nwww A 192.0.2.2\n"));
    assert_eq!(desk.done(&["diff", "example.org", &same]), "");
    let other = desk.file("other.zone", &format!("{head}www 30 A 192.0.2.1\nmail MX 10 www\n"));
    let printed = desk.run(&["diff", "example.org.", &other]);
    let expected = "+ mail.example.org. 60 MX 10 www.example.org.\n\
                    - www.example.org. 60 A 192.0.2.2\n\
                    - www.example.org. 60 A 192.0.2.1\n\
                    + www.example.org. 30 A 192.0.2.1\n";
    assert_eq!((printed.out.as_str(), printed.code), (expected, 5), "{printed:?}");

    let json = desk.json(&["list", "example.org"]);
    let file = desk.file("same.json", &json.to_string());
    assert_eq!(desk.done(&["diff", "example.org", &file]), "");
    let fewer = desk
        .file("fewer.json", r#"{"rrsets":[{"owner":"www","type":"a","ttl":60,"records":["192.0.2.1","192.0.2.2"]}]}"#);
    let printed = desk.run(&["diff", "example.org", &fewer, "-o", "json"]);
    let differences: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!((printed.code, differences["differences"].as_array().unwrap().len()), (5, 3), "{differences:#}");
    let wrong = desk.file("wrong.zone", &format!("{head}www A 192.0.2\n"));
    desk.fails(&["diff", "example.org", &wrong], 1, "wrong.zone:5: ");
    desk.fails(&["diff", "example.net", &same], 3, "zone example.net. does not exist");
}

#[test]
fn the_server_tells_of_itself() {
    let desk = Desk::new();
    let status = desk.done(&["status"]);
    assert!(status.lines().any(|line| line.starts_with("version ") && line.ends_with(" 1.2.3")), "{status}");
    assert_eq!(desk.json(&["status"])["version"], "1.2.3");
    assert!(desk.done(&["stats"]).contains("queries        0\n"), "{}", desk.done(&["stats"]));
    desk.fails(&["stats", "--top", "3"], 3, "set stats.names");
    let counting = Desk::with("[stats]\nnames = 100\n");
    assert_eq!(counting.done(&["stats", "--top", "3"]), "QUERIES  NAME\n");
    counting.fails(&["stats", "www.example.org"], 3, "www.example.org");
}

#[test]
fn tokens_come_from_files_and_from_the_environment() {
    let desk = Desk::new();
    let url = format!("http://{}", desk.server.address);
    let make = ["--server", &url, "create", "zone", "example.org."];
    let refused = run(&make, "wrong");
    assert!(refused.code == 1 && refused.err.contains("--token-file FILE"), "{refused:?}");
    let file = desk.file("token", &format!("{TOKEN}\nmore\n"));
    assert_eq!(run(&[&make[..], &["--token-file", &file]].concat(), "wrong").code, 0);
    let empty = desk.file("empty", "\n");
    assert_eq!(run(&[&make[..], &["--token-file", &empty]].concat(), "").code, 2);
    assert_eq!(run(&[&make[..], &["--token-file", "/nonexistent"]].concat(), "").code, 2);
}

#[test]
fn a_server_that_is_away_or_elsewhere_is_told_from_one_that_refuses() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = run(&["--server", &format!("http://{closed}"), "list"], TOKEN);
    assert!(away.code == 4 && away.err.contains("nothing listens there"), "{away:?}");
    let lost = run(&["--server", "http://no-such-host.invalid:8053", "list"], TOKEN);
    assert_eq!(lost.code, 4, "{lost:?}");
    let wrong = run(&["--server", "ftp://127.0.0.1", "list"], TOKEN);
    assert!(wrong.code == 2 && wrong.err.contains("is no URL"), "{wrong:?}");
    let roots = run(&["--server", "https://127.0.0.1:1", "--ca-file", "/nonexistent", "list"], TOKEN);
    assert!(roots.code == 2 && roots.err.contains("/nonexistent cannot be read"), "{roots:?}");
}

/// Makes a certificate that signs itself.
fn certificate(directory: &Path, name: &str) {
    let arguments = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -addext \
         subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout {name}.key -out {name}.crt"
    );
    let ran = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl cannot be run: {error}; run scripts/install-deps test"));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_server_behind_tls_is_believed_only_with_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["server", "other"] {
        certificate(directory.path(), name);
    }
    // The admin API has no TLS of its own. This interface has, and what it answers to a path of the other was asked over TLS.
    let table = "[kdns_api]\nzones = [\"a.\"]\nlisten = \"127.0.0.1:0\"\ncert_file = \"server.crt\"\nkey_file = \"server.key\"\n";
    let server = Server::start(directory.path(), table);
    let url = format!("https://{}", server.plane().kdns_address().unwrap());
    let list = |name: &str| {
        let roots = directory.path().join(name).display().to_string();
        run(&["--server", &url, "--ca-file", &roots, "list"], TOKEN)
    };
    let known = list("server.crt");
    assert!(known.code == 1 && known.err.contains("is no RingDNS admin API"), "{known:?}");
    let unknown = list("other.crt");
    assert!(unknown.code == 4 && unknown.err.contains("certificate"), "{unknown:?}");
    let none = list("server.key");
    assert!(none.code == 2 && none.err.contains("has no certificate in PEM form"), "{none:?}");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let printed = run(&["completions", shell], "");
        assert_eq!(printed.code, 0);
        for word in ["import", "watch", "completions", "dry-run"] {
            assert!(printed.out.contains(word), "{word} in what {shell} reads");
        }
    }
}

#[test]
fn zones_are_exported_imported_and_compared() {
    let desk = Desk::new();
    let text = "$TTL 60\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n\
                www A 192.0.2.1 ;@ select=weighted weight=3\nwww A 192.0.2.2 ;@ down\n";
    let file = desk.file("example.org.zone", text);
    let replace = ["import", "example.org", file.as_str(), "--mode", "replace"];
    let dry = desk.done(&[&replace[..], &["--dry-run"]].concat());
    assert!(dry.contains("created    4\n") && dry.contains("dry_run    true\n"), "{dry}");
    desk.fails(&["show", "example.org"], 3, "does not exist");
    let done = desk.json(&replace);
    assert_eq!((&done["created"], &done["deleted"]), (&4.into(), &0.into()), "{done}");
    assert_eq!(desk.done(&["diff", "example.org", &file]), "");

    let more = desk.file("more.json", r#"{"rrsets":[{"owner":"new","type":"TXT","ttl":5,"records":["\"x\""]}]}"#);
    assert_eq!(desk.json(&["import", "example.org", &more])["created"], 1, "merge is the default");
    assert_eq!(desk.json(&["import", "example.org", &more])["unchanged"], 1);
    let wrong = desk.file("wrong.zone", &format!("{text}www A 192.0.2\n"));
    desk.fails(&["import", "example.org", &wrong], 1, "nothing was imported: line 7");
    desk.fails(&["import", "example.net", &more], 3, "zone example.net. does not exist");

    for format in ["zone", "json"] {
        let out = desk.directory.path().join(format!("out.{format}")).display().to_string();
        assert_eq!(desk.done(&["export", "example.org", "--format", format, "--out", &out]), "");
        assert_eq!(desk.done(&["export", "example.org", "--format", format]), fs::read_to_string(&out).unwrap());
        assert_eq!(desk.done(&["diff", "example.org", &out]), "", "{format}");
        let back = desk.json(&["import", "example.org", &out, "--mode", "replace", "--format", format]);
        assert_eq!(
            (&back["created"], &back["replaced"], &back["deleted"]),
            (&0.into(), &0.into(), &0.into()),
            "{back}"
        );
    }
    desk.fails(&["export", "example.net"], 3, "does not exist");
}

#[test]
fn changes_are_printed_as_they_are_published() {
    let desk = Desk::new();
    desk.done(&["create", "zone", "example.org."]);
    desk.done(&["create", "zone", "example.net."]);
    let url = format!("http://{}", desk.server.address);
    let from = desk.json(&["status"])["snapshot"]["generation"].to_string();
    let watch = move |more: &'static [&'static str]| {
        let (url, from) = (url.clone(), from.clone());
        std::thread::spawn(move || {
            let words = ["watch", "example.org", "--server", &url, "--from", &from, "--count", "4"];
            run(&[&words[..], more].concat(), "")
        })
    };
    let (table, json) = (watch(&[]), watch(&["--output", "json"]));
    desk.done(&["create", "record", "example.net", "www", "A", "192.0.2.9"]);
    desk.done(&["create", "record", "example.org", "www", "A", "192.0.2.1", "192.0.2.2", "--ttl", "5"]);
    desk.done(&["delete", "record", "example.org", "www", "A"]);
    let (table, json) = (table.join().unwrap(), json.join().unwrap());
    // The serial of the SOA record is raised by each of them.
    let lines = table.out.lines().map(|line| line.split_once(' ').unwrap().1);
    let lines: Vec<&str> = lines.filter(|line| !line.contains(" SOA ")).collect();
    let expected = [
        "example.org. + www.example.org. 5 A 192.0.2.1",
        "example.org. + www.example.org. 5 A 192.0.2.2",
        "example.org. - www.example.org. A",
    ];
    assert_eq!((lines.as_slice(), table.code), (&expected[..], 0), "{table:?}");
    let events = json.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: Vec<Value> = events.filter(|event| event["data"]["type"] != "SOA").collect();
    assert_eq!(events.len(), 2, "{json:?}");
    assert_eq!((&events[0]["event"], &events[0]["data"]["rrset"]["ttl"]), (&"change".into(), &5.into()));
    assert_eq!(events[1]["data"]["rrset"], Value::Null);
}

#[test]
fn views_are_listed_made_and_removed() {
    let desk = Desk::new();
    assert_eq!(desk.done(&["views"]), "VIEW  SOURCE  WRITABLE  NETWORKS\n");
    desk.done(&["views", "set", "office", "192.0.2.0/24", "2001:db8::/32"]);
    let office = "office  store   yes       192.0.2.0/24 2001:db8::/32";
    assert_eq!(desk.done(&["views", "list"]).lines().nth(1), Some(office));
    desk.done(&["create", "zone", "example.org."]);
    desk.done(&["create", "record", "example.org", "www", "A", "192.0.2.1", "--view", "office"]);
    assert!(
        desk.done(&["show", "example.org", "www", "A", "--view", "office"]).ends_with("192.0.2.1  ;@ view=office\n")
    );
    desk.fails(&["show", "example.org", "www", "A"], 3, "does not exist");
    desk.done(&["update", "record", "example.org", "www", "A", "192.0.2.2", "--view", "office"]);
    desk.done(&["delete", "record", "example.org", "www", "A", "--view", "office"]);
    desk.done(&["views", "delete", "office"]);
    desk.fails(&["views", "delete", "office"], 3, "");
    desk.fails(&["views", "set", "office", "192.0.2.0/99"], 1, "prefixes[0]");
}

#[test]
fn who_changes_the_same_at_the_same_time_is_told() {
    let desk = Desk::new();
    desk.done(&["create", "zone", "example.org."]);
    desk.done(&["create", "record", "example.org", "n", "TXT", "0"]);
    let url = format!("http://{}", desk.server.address);
    let writers: Vec<_> = (0..4)
        .map(|writer: usize| {
            let url = url.clone();
            std::thread::spawn(move || {
                let words = |number: usize| format!("\"{writer}-{number}\"");
                let update = |number: usize| {
                    let record = words(number);
                    run(&["update", "record", "example.org", "n", "TXT", "--add", &record, "--server", &url], TOKEN)
                        .code
                };
                (0..10).filter(|&number| update(number) == 0).map(words).collect::<Vec<_>>()
            })
        })
        .collect();
    let written: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    let rrset = desk.json(&["show", "example.org", "n", "TXT"]);
    let records: Vec<&str> =
        rrset["records"].as_array().unwrap().iter().map(|record| record.as_str().unwrap()).collect();
    assert_eq!(records.len(), written.len() + 1, "what was told to be done is there, and nothing else");
    assert!(written.iter().all(|record| records.contains(&record.as_str())) && !written.is_empty());
}
