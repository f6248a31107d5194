//! A server with nothing but a Corefile, called as CoreDNS is.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::dig::dig_with;
use harness::process::{Finished, finish, terminate};
use harness::server::binary;
use harness::{http, turn, wait_for};

use crate::zone_text;

/// Longest wait for anything that is to come.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Where the admin API listens by default.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);

/// The address that is asked.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server that ends with its test.
struct Coredns(Child);

impl Drop for Coredns {
    fn drop(&mut self) {
        terminate(&mut self.0, TIME_MAX);
    }
}

/// Writes a version of the mounted files, and swaps the link to it as the kubelet does.
fn mount(folder: &Path, version: &str, corefile: &str) {
    let directory = folder.join(version);
    fs::create_dir_all(&directory).expect("a folder");
    fs::write(directory.join("Corefile"), corefile).expect("a file");
    let (link, data) = (folder.join("..tmp"), folder.join("..data"));
    symlink(version, &link).expect("a link");
    fs::rename(&link, &data).expect("a link in its place");
}

/// The answers to a question on port 1053.
fn answers(owner: &str, rtype: &str, options: &[&str]) -> Vec<String> {
    dig_with(LOOPBACK, owner, rtype, &[&["-p", "1053"], options].concat()).answer
}

/// What a member of the status says of the configuration.
fn status() -> String {
    http::request(ADMIN, "GET", "/api/v1/status", None, None).map(|response| response.body).unwrap_or_default()
}

#[test]
fn a_mounted_corefile_is_served_without_ports_and_read_again() {
    let _turn = turn();
    let folder = tempfile::Builder::new().prefix("ringdns-test.").tempdir().expect("a folder");
    let zone = folder.path().join("zone");
    fs::write(&zone, zone_text("file.example.", 1, "www IN A 203.0.113.1\n")).expect("a file");
    let corefile = |version: &str| {
        format!("file.example:1053 {{\n    file {}\n    chaos {version}\n    forward . 192.0.2.1\n}}\n", zone.display())
    };
    mount(folder.path(), "..1", &corefile("one"));
    symlink("..data/Corefile", folder.path().join("Corefile")).expect("a link");
    let program = folder.path().join("coredns");
    symlink(binary(), &program).expect("a link");
    let mut command = Command::new(&program);
    command.arg("-conf").arg(folder.path().join("Corefile")).stdin(Stdio::null()).stderr(Stdio::null());
    let _server = Coredns(command.spawn().expect("a server"));
    wait_for("the zone's answer", TIME_MAX, || {
        let ready = http::request(ADMIN, "GET", "/ready", None, None).is_ok_and(|response| response.status == 200);
        (ready && answers("www.file.example", "A", &[]) == ["www.file.example. 300 IN A 203.0.113.1"]).then_some(())
    });
    let version = || answers("version.bind", "TXT", &["-c", "CH"]);
    assert_eq!(version(), ["version.bind. 0 CH TXT \"one\""]);

    mount(folder.path(), "..2", &corefile("two"));
    wait_for("the new version", TIME_MAX, || (version() == ["version.bind. 0 CH TXT \"two\""]).then_some(()));
    mount(folder.path(), "..3", &format!("{}broken {{\n", corefile("three")));
    wait_for("the refusal to be shown", TIME_MAX, || status().contains("Corefile:6").then_some(()));
    assert_eq!(version(), ["version.bind. 0 CH TXT \"two\""], "the one before stays");
    fs::write(&zone, zone_text("file.example.", 2, "www IN A 203.0.113.22\n")).expect("a file");
    wait_for("the zone file's new answer", TIME_MAX, || {
        (answers("www.file.example", "A", &[]) == ["www.file.example. 300 IN A 203.0.113.22"]).then_some(())
    });
    assert!(status().contains("Corefile:6"), "what is wrong stays shown");
    mount(folder.path(), "..4", &corefile("four"));
    wait_for("a version that is right", TIME_MAX, || (version() == ["version.bind. 0 CH TXT \"four\""]).then_some(()));
}

#[test]
fn a_corefile_that_cannot_be_served_is_refused_with_its_lines() {
    let _turn = turn();
    let folder = tempfile::Builder::new().prefix("ringdns-test.").tempdir().expect("a folder");
    let path = folder.path().join("Corefile");
    fs::write(&path, ".:1053 {\n    log\n    rewrite name a b\n}\n").expect("a file");
    let refused = |arguments: &[&str]| -> Finished {
        let mut command = Command::new(binary());
        finish(command.args(arguments).arg(&path), TIME_MAX)
    };
    for arguments in [&["run", "--corefile"][..], &["check-config"], &["config", "import"]] {
        let finished = refused(arguments);
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}");
        assert!(finished.stderr.contains("Corefile:3") && finished.stderr.contains("rewrite"), "{}", finished.stderr);
    }
}
