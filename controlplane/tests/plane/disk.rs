//! A disk that is full or cannot be written: writes are refused with words that say so, nothing is lost, and writing goes on
//! when the disk is as it should be. Each test takes a disk of its own where this process may (root), and is skipped otherwise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::Server;
use serde_json::{Value, json};

/// Tells a copy of this test binary that it is in a mount namespace of its own, and where its small disk is.
const FILL: &str = "RINGDNS_TEST_FILL";

/// Size of the small disk in MiB.
const DISK_MIB: usize = 12;

/// Size of what is removed from it in the end, in MiB.
const BALLAST_MIB: usize = 5;

/// Says that a test is not run, and why.
fn skip(why: &str) {
    // The harness keeps what is printed by macros to itself; this is to be seen.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs a command; true where it went well.
fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Path of a text of example.org.
fn path(owner: &str) -> String {
    format!("/api/v1/zones/example.org/rrsets/{owner}/TXT")
}

/// An RRset of some size.
fn body(kibibytes: usize) -> String {
    let records: Vec<String> = (0..kibibytes * 4).map(|number| format!("\"{number:0250}\"")).collect();
    json!({"ttl": 300, "records": records}).to_string()
}

/// Owners of all texts that are served.
fn owners(server: &Server) -> BTreeSet<String> {
    let list = server.get("/api/v1/zones/example.org/rrsets?limit=10000").1;
    let texts = list["rrsets"].as_array().unwrap().iter().filter(|rrset| rrset["type"] == "TXT");
    texts.map(|rrset| rrset["owner"].as_str().unwrap().to_owned()).collect()
}

/// Status, code and words of an error.
fn error((status, value): (u16, Value)) -> (u16, String, String) {
    let error = &value["error"];
    (status, error["code"].as_str().unwrap_or_default().to_owned(), format!("{} {}", error["message"], error["remedy"]))
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    if std::env::var_os(FILL).is_some() {
        return;
    }
    if !run("unshare", &["--mount", "true"]) {
        return skip("a disk of its own takes root and unshare (util-linux)");
    }
    let directory = tempfile::tempdir().unwrap();
    // The mount is the namespace's, and goes with its last process.
    let script = format!(
        "mount -t tmpfs -o size={DISK_MIB}m none \"$0\" && exec \"$1\" --exact disk::fill_when_told_to --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .env(FILL, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("the disk was full"), "{text}");
}

/// In a copy with a small disk: fills it. Otherwise nothing.
#[test]
fn fill_when_told_to() {
    let Some(directory) = std::env::var_os(FILL).map(PathBuf::from) else { return };
    let ballast = directory.join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_MIB << 20]).unwrap();
    let server = Server::start(&directory, "");
    assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
    let large = body(48);
    let mut written = BTreeSet::new();
    let refused = loop {
        let owner = format!("n{}", written.len());
        match server.json("PUT", &path(&owner), &large) {
            (201, _) => drop(written.insert(format!("{owner}.example.org."))),
            refused => break refused,
        }
        assert!(written.len() < DISK_MIB * 32, "the disk is never full");
    };
    let (status, code, words) = error(refused);
    assert_eq!((status, code.as_str()), (507, "disk_full"), "{words}");
    assert!(words.contains("cannot grow") && words.contains("make room on the disk of store.path"), "{words}");
    assert_eq!(owners(&server), written, "what was written is served");
    for _ in 0..3 {
        assert_eq!(server.json("PUT", &path("again"), &large).0, 507, "it is still full");
        assert_eq!(server.get(&path("n0")).0, 200);
    }
    assert_eq!(
        server.get("/ready").1["missing"].as_array().unwrap().len(),
        1,
        "only the worker that this test has not"
    );
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(server.json("PUT", &path("room"), &large).0, 201, "there is room again");
    written.insert("room.example.org.".to_owned());
    assert_eq!(server.json("DELETE", &path("n0"), "").0, 204);
    written.remove("n0.example.org.");
    assert_eq!(owners(&server), written);
    server.stop();
    let server = Server::start(&directory, "");
    assert_eq!(owners(&server), written, "the same after a restart");
    server.stop();
    std::io::stdout().write_all(format!("the disk was full after {} writes\n", written.len()).as_bytes()).unwrap();
}

/// A file that nobody can write, whoever he is, until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    /// Nothing where the file system or this process cannot.
    fn new(path: &Path) -> Option<Self> {
        run("chattr", &["+i", &path.display().to_string()]).then(|| Self(path.to_path_buf()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        run("chattr", &["-i", &self.0.display().to_string()]);
    }
}

#[test]
fn a_file_that_cannot_be_written_refuses_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "");
    server.json("PUT", "/api/v1/zones/example.org", "");
    let small = json!({"ttl": 300, "records": ["x"]}).to_string();
    assert_eq!(server.json("PUT", &path("before"), &small).0, 201);
    let file = directory.path().join("ringdns.redb");
    let Some(immutable) = Immutable::new(&file) else {
        return skip("a file that root cannot write takes chattr +i, root, and a file system that knows it");
    };
    for _ in 0..3 {
        let (status, code, words) = error(server.json("PUT", &path("during"), &small));
        assert_eq!((status, code.as_str()), (503, "store_failed"), "{words}");
        assert!(words.contains("not permitted") && words.contains("check the disk of store.path"), "{words}");
    }
    assert_eq!(owners(&server), BTreeSet::from(["before.example.org.".to_owned()]), "it is served all the same");
    let refused = error(server.json(
        "POST",
        "/api/v1/transactions",
        &json!({"operations": [{"op": "delete_zone", "zone": "example.org."}]}).to_string(),
    ));
    assert_eq!(refused.0, 503, "{refused:?}");
    drop(immutable);
    assert_eq!(server.json("PUT", &path("after"), &small).0, 201, "it can be written again");
    let expected = BTreeSet::from(["after.example.org.".to_owned(), "before.example.org.".to_owned()]);
    assert_eq!(owners(&server), expected);
    server.stop();
    let server = Server::start(directory.path(), "");
    assert_eq!(owners(&server), expected, "the same after a restart");
}

#[test]
fn a_disk_that_cannot_be_written_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    Server::start(directory.path(), "").stop();
    let file = directory.path().join("ringdns.redb");
    let Some(immutable) = Immutable::new(&file) else {
        return skip("a file that root cannot write takes chattr +i, root, and a file system that knows it");
    };
    let error = Server::try_start(directory.path(), "").err().unwrap().to_string();
    assert!(
        error.contains("store.path") && error.contains("cannot be opened") && error.contains("check its owner"),
        "{error}"
    );
    drop(immutable);
    Server::start(directory.path(), "").stop();
}
