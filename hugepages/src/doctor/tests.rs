//! Made-up machines, well and ill.

use super::*;
use crate::testing::FakeMachine;

/// A machine on which a TAP device works, and that has one NIC, which carries the default route.
fn laptop(name: &str) -> FakeMachine {
    let machine = FakeMachine::new(name);
    machine.nic("0000:00:03.0", "e1000e", Some("eth0"), None);
    machine.file("proc/net/route", "head\neth0\t00000000\t010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    machine.file("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
    machine.file("proc/cpuinfo", "processor : 0\nflags\t\t: sse2 ssse3 sse4_1 sse4_2 avx2 bmi2\n");
    machine.file("proc/self/status", "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t000001ffffffffff\n");
    machine.file("proc/self/limits", "Max open files  65536 65536 files\nMax locked memory 65536 65536 bytes\n");
    machine.file("sys/devices/system/cpu/online", "0-3\n");
    machine.file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    machine.file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
    machine.file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
    machine.file("dev/net/tun", "");
    machine.file("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_tap.so.23", "");
    machine
}

/// A port without an interface of the kernel.
fn port(device: &str) -> WantedPort {
    WantedPort { device: device.to_owned(), kernel: None }
}

/// What a laptop's configuration wants.
fn tap() -> Wants {
    Wants { memory_mib: 256, ports: vec![port("net_tap0,iface=ringdns0")], ..Wants::default() }
}

/// What an appliance's configuration wants.
fn dedicated() -> Wants {
    let ports = vec![WantedPort { kernel: Some(ToKernel::Any), ..port("0000:00:04.0") }];
    Wants { hugepages: true, memory_mib: 512, cores: vec![1, 2], ports, ..Wants::default() }
}

/// The checks of at least a level, one line each.
fn lines(checks: &[Check], level: Level) -> Vec<String> {
    let bad = checks.iter().filter(|check| check.level >= level);
    bad.map(|check| format!("{}: {} -> {}", check.subject, check.finding, check.remedy.as_deref().unwrap_or("")))
        .collect()
}

/// Asserts that a line holds all of these words.
#[track_caller]
fn assert_line(lines: &[String], words: &[&str]) {
    let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?} in {lines:#?}");
}

#[test]
fn a_laptop_with_a_tap_device_is_well() {
    let machine = laptop("laptop");
    let checks = examine(&machine.root(), Some(&tap()));
    assert_eq!(lines(&checks, Level::Warning), [""; 0]);
    let notes = lines(&checks, Level::Note);
    assert_line(&notes, &["nic 0000:00:03.0", "e1000e", "eth0 (link up)", "IPv4 default route"]);
}

#[test]
fn without_a_configuration_nothing_is_missing() {
    let machine = laptop("general");
    std::fs::remove_file(machine.root().path("dev/net/tun")).unwrap();
    let checks = examine(&machine.root(), None);
    assert_eq!(lines(&checks, Level::Warning), [""; 0]);
    assert_line(&lines(&checks, Level::Note), &["hugepages", "ringdns setup hugepages --mib"]);
    assert_line(&lines(&checks, Level::Note), &["/dev/net/tun", "modprobe tun"]);
}

#[test]
fn each_thing_that_is_missing_is_named_with_its_remedy() {
    let machine = laptop("ill");
    machine.nic("0000:00:04.0", "igb", Some("eth1"), Some("7"));
    let wants = Wants { cores: vec![1, 9], ..dedicated() };
    let missing = lines(&examine(&machine.root(), Some(&wants)), Level::Missing);
    assert_line(&missing, &["hugepages: none are reserved", "ringdns setup hugepages --mib 512"]);
    assert_line(&missing, &["port 0000:00:04.0: with igb", "ringdns setup nic bind 0000:00:04.0"]);
    assert_line(&missing, &["port 0000:00:04.0", "librte-net-e1000-23", "librte-net-ixgbe23"]);
    assert_line(&missing, &["cores: 9"]);
    let warnings = lines(&examine(&machine.root(), Some(&wants)), Level::Warning);
    assert_line(&warnings, &["iommu: off", "intel_iommu=on"]);
}

#[test]
fn after_set_up_the_same_machine_is_well() {
    let machine = laptop("well");
    machine.nic("0000:00:04.0", "vfio-pci", None, Some("7"));
    machine.folder("sys/class/iommu/dmar0");
    machine.file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "256\n");
    machine.file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256\n");
    machine.file("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_e1000.so.23", "");
    let checks = examine(&machine.root(), Some(&dedicated()));
    assert_eq!(lines(&checks, Level::Warning), [""; 0]);
}

#[test]
fn a_user_without_rights_is_told_which() {
    let machine = laptop("user");
    machine.nic("0000:00:04.0", "vfio-pci", None, Some("7"));
    std::fs::set_permissions(machine.root().path("dev/vfio/7"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    machine.file("proc/self/status", "Uid:\t9\t65533\t9\t9\nGid:\t9\t65533\t9\t9\nGroups:\t\nCapEff:\t0\n");
    let wants = Wants { ports: vec![port("0000:00:04.0"), port("net_tap0")], ..dedicated() };
    let missing = lines(&examine(&machine.root(), Some(&wants)), Level::Missing);
    assert_line(&missing, &["/dev/vfio/7", "ringdns setup permissions"]);
    assert_line(&missing, &["locked memory", "LimitMEMLOCK"]);
    assert_line(&missing, &["port net_tap0", "CAP_NET_ADMIN"]);
}

#[test]
fn workers_on_another_node_than_the_nic_are_a_warning() {
    let machine = laptop("numa");
    machine.nic("0000:00:04.0", "vfio-pci", None, Some("7"));
    machine.file("sys/bus/pci/devices/0000:00:04.0/numa_node", "1\n");
    machine.file("sys/devices/system/node/node0/cpulist", "0-1\n");
    machine.file("sys/devices/system/node/node1/cpulist", "2-3\n");
    let warnings = lines(&examine(&machine.root(), Some(&dedicated())), Level::Warning);
    assert_line(&warnings, &["numa: worker on CPU 1", "choose [workers] cores among 2, 3"]);
}

#[test]
fn an_old_processor_is_refused() {
    let machine = laptop("old");
    machine.file("proc/cpuinfo", "flags : sse2 ssse3 sse4_1\n");
    assert_line(&lines(&examine(&machine.root(), Some(&tap())), Level::Missing), &["cpu: without sse4_2"]);
}

#[test]
fn a_port_with_an_interface_of_the_kernel_needs_the_ways_to_it() {
    let machine = laptop("kernel");
    let with =
        |kernel: ToKernel| Wants { ports: vec![WantedPort { kernel: Some(kernel), ..port("net_tap0") }], ..tap() };
    assert_eq!(lines(&examine(&machine.root(), Some(&with(ToKernel::Tap))), Level::Warning), [""; 0]);
    let missing = lines(&examine(&machine.root(), Some(&with(ToKernel::Vhost))), Level::Missing);
    assert_line(&missing, &["port net_tap0: for its kernel interface: /dev/vhost-net", "modprobe vhost_net"]);
    let notes = lines(&examine(&machine.root(), Some(&with(ToKernel::Any))), Level::Note);
    assert_line(&notes, &["port net_tap0: its kernel interface will be a TAP device"]);
    machine.file("dev/vhost-net", "");
    assert_eq!(lines(&examine(&machine.root(), Some(&with(ToKernel::Vhost))), Level::Warning), [""; 0]);
}

#[test]
fn an_iommu_with_short_addresses_needs_root() {
    let machine = laptop("narrow");
    machine.nic("0000:00:04.0", "vfio-pci", None, Some("7"));
    machine.file("sys/class/iommu/dmar0/intel-iommu/cap", "d2008c22260286\n");
    std::fs::set_permissions(machine.root().path("dev/vfio/7"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .unwrap();
    let by_root = lines(&examine(&machine.root(), Some(&dedicated())), Level::Missing);
    assert!(!by_root.iter().any(|line| line.contains("39 bits")), "{by_root:#?}");
    machine.file("proc/self/status", "Uid:\t9\t65533\t9\t9\nGid:\t9\t65533\t9\t9\nGroups:\t\nCapEff:\t0\n");
    let by_user = lines(&examine(&machine.root(), Some(&dedicated())), Level::Missing);
    assert_line(&by_user, &["port 0000:00:04.0: the IOMMU's addresses have 39 bits"]);
}

#[test]
fn sockets_of_the_kernel_need_files_and_low_ports() {
    let machine = laptop("sockets");
    let wants = Wants { files: 100_000, listens_low: true, ..tap() };
    assert_eq!(lines(&examine(&machine.root(), Some(&wants)), Level::Warning), [""; 0], "root may do both");
    machine.file("proc/self/status", "Uid:\t9\t65533\t9\t9\nGid:\t9\t65533\t9\t9\nGroups:\t\nCapEff:\t1400\n");
    let warnings = lines(&examine(&machine.root(), Some(&wants)), Level::Warning);
    assert_line(&warnings, &["open files: 65536 files may be open, 100000 are needed", "LimitNOFILE=100000"]);
    machine.file("proc/self/status", "Uid:\t9\t65533\t9\t9\nGid:\t9\t65533\t9\t9\nGroups:\t\nCapEff:\t1000\n");
    let missing = lines(&examine(&machine.root(), Some(&wants)), Level::Missing);
    assert_line(&missing, &["sockets: CAP_NET_BIND_SERVICE is missing"]);
    machine.file("proc/sys/net/ipv4/ip_unprivileged_port_start", "53\n");
    let missing = lines(&examine(&machine.root(), Some(&wants)), Level::Missing);
    assert!(!missing.iter().any(|line| line.starts_with("sockets")), "{missing:#?}");
}

#[test]
fn dns_of_the_node_needs_a_tun_device_a_right_and_a_kernel() {
    let machine = laptop("node");
    machine.file("proc/sys/kernel/osrelease", "5.12.0-1-amd64\n");
    let wants = |redirects: bool| Wants { node_local: Some(WantedNodeLocal { redirects }), ..tap() };
    assert_eq!(lines(&examine(&machine.root(), Some(&wants(true))), Level::Warning), [""; 0]);
    machine.file("proc/sys/kernel/osrelease", "5.4.0-200-generic\n");
    assert_eq!(lines(&examine(&machine.root(), Some(&wants(false))), Level::Warning), [""; 0], "needs no rules");
    let missing = lines(&examine(&machine.root(), Some(&wants(true))), Level::Missing);
    assert_line(&missing, &["node_local: Linux 5.4.0-200-generic", "redirect = \"none\""]);
    machine.file("proc/self/status", "Uid:\t9\t65533\t9\t9\nGid:\t9\t65533\t9\t9\nGroups:\t\nCapEff:\t0\n");
    std::fs::remove_file(machine.root().path("dev/net/tun")).unwrap();
    let missing = lines(&examine(&machine.root(), Some(&wants(false))), Level::Missing);
    assert_line(&missing, &["node_local: /dev/net/tun is not there", "modprobe tun"]);
    assert_line(&missing, &["node_local: CAP_NET_ADMIN is missing"]);
}
