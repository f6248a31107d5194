//! Probes of made-up machines.

use super::*;
use std::path::PathBuf;

/// A folder that holds a made-up /proc and /sys, removed at the end.
struct FakeRoot(PathBuf);

impl FakeRoot {
    /// Writes the given files.
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("ringdns-hugepages-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }
}

impl Drop for FakeRoot {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lines of a machine with 8 GiB.
const MEMINFO: &str = "MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    4194304 kB\n";

#[test]
fn two_nodes_with_two_page_sizes() {
    let root = FakeRoot::new(
        "nodes",
        &[
            ("proc/meminfo", MEMINFO),
            ("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "100\n"),
            ("sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "0\n"),
            ("sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages", "1\n"),
            ("sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages", "1\n"),
            ("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "50\n"),
            ("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "30\n"),
            ("sys/devices/system/node/possible", "0-1\n"),
        ],
    );
    let machine = probe_at(&root.0).unwrap();
    assert_eq!(machine.memory_bytes, 8 << 30);
    assert_eq!(machine.available_bytes, 4 << 30);
    let seen: Vec<_> = machine.pools.iter().map(|pool| (pool.page_bytes, pool.node, pool.free_pages)).collect();
    let expected = [(PAGE_BYTES_2M, Some(0), 30), (PAGE_BYTES_2M, Some(1), 0), (PAGE_BYTES_1G, Some(0), 1)];
    assert_eq!(seen, expected);
    assert_eq!(machine.free_bytes(), PAGE_BYTES_1G + 30 * PAGE_BYTES_2M);
    assert_eq!(machine.reserved_bytes(), PAGE_BYTES_1G + 150 * PAGE_BYTES_2M);
}

#[test]
fn the_remedy_adds_to_what_is_reserved() {
    let root = FakeRoot::new(
        "remedy",
        &[
            ("proc/meminfo", MEMINFO),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "100\n"),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10\n"),
        ],
    );
    let machine = probe_at(&root.0).unwrap();
    assert_eq!(machine.remedy(20 << 20), None, "10 pages are free");
    assert_eq!(machine.remedy(256 << 20).as_deref(), Some("ringdns setup hugepages --mib 436"), "118 more are needed");
}

#[test]
fn a_kernel_without_hugepages_has_none() {
    let root = FakeRoot::new("none", &[("proc/meminfo", MEMINFO)]);
    let machine = probe_at(&root.0).unwrap();
    assert_eq!(machine.pools, []);
    assert_eq!(machine.free_bytes(), 0);
}

#[test]
fn a_meminfo_without_its_lines_is_an_error() {
    let root = FakeRoot::new("broken", &[("proc/meminfo", "MemTotal: lots\n")]);
    assert_eq!(probe_at(&root.0).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn this_machine_can_be_probed() {
    let machine = probe().unwrap();
    assert!(machine.memory_bytes >= machine.available_bytes);
    assert!(machine.reserved_bytes() >= machine.free_bytes());
}
