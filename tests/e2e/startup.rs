//! Starts that cannot work: one clear message, and a bounded end.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use harness::process::{Finished, finish};
use harness::server::binary;
use harness::{Setup, turn};

/// Longest that a start that cannot work may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Checks that a start failed and said all of these words, without a panic.
fn assert_refused(finished: &Finished, words: &[&str]) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(finished.status.code().is_some_and(|code| code != 0), "{}: {said}", finished.status);
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "the message lacks {word:?}:\n{said}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.more = "[log]\nlevle = \"info\"\n".to_owned();
    let line = fs::read_to_string(setup.write_config()).expect("a configuration").lines().count();
    assert_refused(&setup.run_to_end(TIME_MAX), &["levle", "ringdns.toml", &line.to_string()]);
    let mut check = Command::new(binary());
    assert_refused(&finish(check.arg("check-config").arg(setup.path("ringdns.toml")), TIME_MAX), &["levle"]);
}

#[test]
fn an_unknown_driver_is_refused_with_the_package_to_install() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.device = "net_nosuch0".to_owned();
    assert_refused(&setup.run_to_end(TIME_MAX), &["net_nosuch", "librte-net-"]);
}

#[test]
fn a_tap_device_without_privileges_is_refused_with_the_remedy() {
    let _turn = turn();
    let setup = Setup::new();
    let config = setup.write_config();
    // Nobody may read and write all of the folder, and run the binary from there.
    let program = setup.path("ringdns");
    fs::copy(binary(), &program).expect("a copy of the binary");
    let folder = config.parent().expect("a folder");
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("a folder of ours");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(program).args(["run", "--config"]).arg(config);
    assert_refused(&finish(&mut command, TIME_MAX), &["CAP_NET_ADMIN"]);
}

#[test]
fn a_busy_admin_port_is_refused() {
    let _turn = turn();
    let setup = Setup::new();
    let _listener = TcpListener::bind(setup.admin).expect("a free port in a new namespace");
    assert_refused(&setup.run_to_end(TIME_MAX), &["admin", "8053"]);
}

#[test]
fn a_store_in_use_is_refused() {
    let _turn = turn();
    let mut setup = Setup::new();
    let _first = setup.start();
    // All else is free: only the store is in use.
    setup.admin.set_port(8054);
    setup.device = "net_tap1,iface=rdtap1".to_owned();
    assert_refused(&setup.run_to_end(TIME_MAX), &["ringdns.redb"]);
}

#[test]
fn missing_hugepages_are_refused_with_the_remedy() {
    let _turn = turn();
    let memory = fs::read_to_string("/proc/meminfo").expect("/proc");
    let reserved = memory.lines().find_map(|line| line.strip_prefix("HugePages_Total:")).map_or("0", str::trim);
    if reserved != "0" {
        println!("{reserved} huge pages are reserved here: nothing to refuse");
        return;
    }
    let mut setup = Setup::new();
    setup.eal = "hugepages = true\nmemory_mib = 256".to_owned();
    assert_refused(&setup.run_to_end(TIME_MAX), &["ringdns setup hugepages --mib"]);
}

#[test]
fn a_broken_zone_file_is_named_with_its_line() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("file.example.", &crate::zone_text("file.example.", 1, "bad IN A not-an-address\n"));
    let config = setup.write_config();
    let mut check = Command::new(binary());
    assert_refused(
        &finish(check.arg("check-config").arg(config), TIME_MAX),
        &["file.example.zone", "6", "not-an-address"],
    );
}
