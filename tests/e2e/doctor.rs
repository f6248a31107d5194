//! What `ringdns doctor` and `ringdns setup` say of this machine, without changing it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::process::{Finished, finish};
use harness::server::binary;
use harness::{Setup, turn};

/// Longest that a look at the machine may take.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Runs `ringdns` with arguments.
fn ringdns(arguments: &[&str]) -> Finished {
    finish(Command::new(binary()).args(arguments), TIME_MAX)
}

#[test]
fn a_machine_with_a_tap_device_is_well_and_one_without_its_nic_is_not() {
    let _turn = turn();
    let mut setup = Setup::new();
    let config = setup.write_config();
    let path = config.to_str().expect("a path in UTF-8");
    let well = ringdns(&["doctor", "--config", path]);
    assert_eq!(well.status.code(), Some(0), "{}", well.stdout);

    setup.device = "0000:ff:1f.7".to_owned();
    setup.write_config();
    let ill = ringdns(&["doctor", "--json", "--config", path]);
    assert_eq!(ill.status.code(), Some(1), "{}", ill.stdout);
    let found: serde_json::Value = serde_json::from_str(&ill.stdout).expect("JSON");
    let checks = found["checks"].as_array().expect("a list of checks");
    let port = checks.iter().find(|check| check["subject"] == "port 0000:ff:1f.7").expect("the port's check");
    assert_eq!((&found["well"], &port["level"]), (&false.into(), &"missing".into()), "{port}");
    assert!(port["remedy"].as_str().is_some_and(|remedy| remedy.contains("setup nic list")), "{port}");
}

#[test]
fn a_dry_run_reserves_nothing() {
    let reserved = || {
        let memory = fs::read_to_string("/proc/meminfo").expect("/proc");
        memory.lines().find(|line| line.starts_with("HugePages_Total:")).map(str::to_owned)
    };
    let _turn = turn();
    let before = reserved();
    if before.is_none() {
        println!("this kernel has no hugepages: nothing to reserve");
        return;
    }
    let dry = ringdns(&["setup", "hugepages", "--mib", "66", "--dry-run"]);
    assert!(dry.status.success() && dry.stdout.contains("echo 33 > /sys/kernel/mm/hugepages"), "{dry:?}");
    assert_eq!(reserved(), before);
}

#[test]
fn wrong_usage_is_told_from_what_cannot_be_done() {
    assert_eq!(ringdns(&["setup", "nic", "bind", "eth0"]).status.code(), Some(2));
    assert_eq!(ringdns(&["setup", "hugepages", "--mib", "3"]).status.code(), Some(2));
    let unknown = ringdns(&["setup", "nic", "bind", "0000:ff:1f.7"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("ringdns setup nic list"), "{unknown:?}");
}
