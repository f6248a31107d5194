//! The processor, the IOMMU, and what this process may do.

use super::{Check, Level, Patient};
use crate::kernel::{self, Iommu, ModuleState};
use crate::process::{IPC_LOCK, NET_ADMIN, NET_BIND_SERVICE, NET_RAW, SYS_RESOURCE};

/// What DPDK's x86-64 build executes without asking.
const CPU_NEEDED: [&str; 4] = ["sse2", "ssse3", "sse4_1", "sse4_2"];

/// What the packet path uses where it is there.
const CPU_USED: [&str; 2] = ["avx2", "bmi2"];

/// Files that may be open where DNS over TCP needs none: connections of the admin API, and the server's own.
const FILES_MIN: u64 = 1024;

/// Processor, IOMMU, vfio, rights and limits.
pub(super) fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let mut checks = vec![cpu(patient)];
    checks.extend(cores(patient));
    checks.push(numa(patient));
    checks.extend([iommu(patient), vfio(patient), capabilities(patient), files(patient)]);
    checks.extend(low_ports(patient));
    checks
}

/// The processor's features.
fn cpu(patient: &Patient<'_>) -> Check {
    let text = patient.root.text("proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    let Some((_, flags)) = line else {
        return Check::new("cpu", Level::Note, "not an x86-64 processor, or it does not tell its features");
    };
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let lacks = |wanted: &[&'static str]| -> Vec<&'static str> {
        wanted.iter().copied().filter(|flag| !flags.contains(flag)).collect()
    };
    let (needed, used) = (lacks(&CPU_NEEDED), lacks(&CPU_USED));
    if !needed.is_empty() {
        let remedy = "run on a newer processor, or have the hypervisor pass its features on (QEMU: -cpu host)";
        return Check::new("cpu", Level::Missing, format!("without {}", needed.join(", "))).remedy(remedy);
    }
    if used.is_empty() {
        Check::new("cpu", Level::Ok, "has all that is used, AVX2 among it")
    } else {
        Check::new("cpu", Level::Note, format!("without {}: queries cost more instructions", used.join(", ")))
    }
}

/// The workers' CPUs, and whether the kernel keeps off them.
fn cores(patient: &Patient<'_>) -> Vec<Check> {
    let online = cpu_list(&patient.root.text("sys/devices/system/cpu/online").unwrap_or_default());
    let isolated = cpu_list(&patient.root.text("sys/devices/system/cpu/isolated").unwrap_or_default());
    let no_tick = kernel::command_line_words(patient.root, "nohz_full=");
    let mut checks = Vec::new();
    let cores = patient.wants.map(|wants| wants.cores.as_slice()).unwrap_or_default();
    let offline: Vec<String> = cores.iter().filter(|core| !online.contains(core)).map(ToString::to_string).collect();
    if !offline.is_empty() {
        let finding = format!("{} of [workers] cores are offline or not there", offline.join(", "));
        checks.push(Check::new("cores", Level::Missing, finding).remedy("choose among those of: lscpu --extended"));
    }
    let isolation = match (isolated.len(), no_tick.first()) {
        (0, _) => "none isolated: the kernel may run other tasks beside workers (isolcpus=, nohz_full=)".to_owned(),
        (number, tick) => format!("{number} isolated{}", tick.map_or(String::new(), |tick| format!(", {tick}"))),
    };
    checks.push(Check::new("cores", Level::Note, format!("{} online, {isolation}", online.len())));
    checks
}

/// The CPUs of a list such as `0-3,8`.
pub(super) fn cpu_list(text: &str) -> Vec<usize> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Whether NICs and workers are on one NUMA node.
fn numa(patient: &Patient<'_>) -> Check {
    let folder = "sys/devices/system/node";
    let nodes: Vec<(u64, Vec<usize>)> = patient
        .root
        .names(folder)
        .iter()
        .filter_map(|name| Some((name.strip_prefix("node")?.parse().ok()?, name)))
        .map(|(node, name)| {
            (node, cpu_list(&patient.root.text(&format!("{folder}/{name}/cpulist")).unwrap_or_default()))
        })
        .collect();
    if nodes.len() < 2 {
        return Check::new("numa", Level::Ok, "one node");
    }
    let cores = patient.wants.map(|wants| wants.cores.as_slice()).unwrap_or_default();
    for (nic, node) in patient.wanted_nics().filter_map(|nic| Some((nic, nic.numa_node?))) {
        let here =
            nodes.iter().find(|(number, _)| *number == node).map(|(_, cores)| cores.as_slice()).unwrap_or_default();
        if let Some(core) = cores.iter().find(|core| !here.contains(core)) {
            let finding =
                format!("worker on CPU {core} is not on node {node} as {} is: every packet crosses", nic.address);
            let list: Vec<String> = here.iter().map(ToString::to_string).collect();
            return Check::new("numa", Level::Warning, finding)
                .remedy(format!("choose [workers] cores among {}", list.join(", ")));
        }
    }
    Check::new("numa", Level::Ok, format!("{} nodes, NICs and workers on the same", nodes.len()))
}

/// Whether an IOMMU guards the memory from devices.
fn iommu(patient: &Patient<'_>) -> Check {
    let iommu = Iommu::read(patient.root);
    if iommu.is_on() {
        return Check::new("iommu", Level::Ok, format!("on, {} groups ({})", iommu.groups, iommu.units.join(", ")));
    }
    let level = if patient.wanted_nics().next().is_some() { Level::Warning } else { Level::Note };
    Check::new("iommu", level, "off: a NIC bound to a process could write to any memory").remedy(
        "switch VT-d or AMD-Vi on in the firmware and put intel_iommu=on on the kernel's command line; without one: \
         `ringdns setup nic bind` with --no-iommu",
    )
}

/// Whether vfio can be had, and in which mode.
fn vfio(patient: &Patient<'_>) -> Check {
    let is_needed = patient.wanted_nics().any(|nic| nic.driver.as_deref().is_none_or(|driver| driver == "vfio-pci"));
    let mode = match kernel::unguarded_mode(patient.root) {
        Some(true) => ", no-IOMMU mode is on: bound devices can write to any memory",
        Some(false) => ", no-IOMMU mode is off",
        None => "",
    };
    match kernel::pci_driver(patient.root, "vfio-pci") {
        ModuleState::Present => {
            let level = if mode.contains("is on") { patient.flaw(Level::Warning) } else { Level::Ok };
            Check::new("vfio-pci", level, format!("there{mode}"))
        }
        ModuleState::Loadable => Check::new("vfio-pci", Level::Note, "not loaded; `ringdns setup nic bind` loads it"),
        ModuleState::Absent => {
            let level = if is_needed { Level::Missing } else { Level::Note };
            Check::new("vfio-pci", level, "this kernel does not have it: no NIC can be given to a process by it")
                .remedy("install the kernel's modules (Debian: linux-image-amd64, not -cloud)")
        }
    }
}

/// What this process may do. What a port needs is that port's check.
fn capabilities(patient: &Patient<'_>) -> Check {
    let process = &patient.process;
    let all = [NET_ADMIN, NET_RAW, IPC_LOCK, NET_BIND_SERVICE];
    let lacking: Vec<&str> =
        all.into_iter().filter(|capability| !process.has(*capability)).map(|(_, name)| name).collect();
    let who = if process.user == 0 { "root".to_owned() } else { format!("user {}", process.user) };
    if lacking.is_empty() {
        return Check::new("capabilities", Level::Ok, format!("{who} has all that any port needs"));
    }
    Check::new("capabilities", Level::Note, format!("{who} lacks {}", lacking.join(", "))).remedy(format!(
        "only where a port needs them (see below): run as root, or AmbientCapabilities={} in the unit",
        lacking.join(" ")
    ))
}

/// Whether the sockets of DNS over TCP can be opened, where there are such.
fn low_ports(patient: &Patient<'_>) -> Option<Check> {
    if !patient.wants?.listens_low {
        return None;
    }
    // The kernel may be told that ports below 1024 are nobody's.
    let first_free = patient.root.number("proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or(1024);
    Some(if patient.process.has(NET_BIND_SERVICE) || first_free <= 53 {
        Check::new("sockets", Level::Ok, "this user may listen on ports below 1024")
    } else {
        Check::new("sockets", Level::Missing, "CAP_NET_BIND_SERVICE is missing: [sockets] listens below port 1024")
            .remedy("run as root, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit")
    })
}

/// How many files may be open.
fn files(patient: &Patient<'_>) -> Check {
    let needed = patient.wants.map_or(0, |wants| wants.files).max(FILES_MIN);
    match patient.process.files_max {
        Some(files) if files < needed && !patient.process.has(SYS_RESOURCE) => {
            let finding = format!("{files} files may be open, {needed} are needed: DNS over TCP has fewer connections");
            Check::new("open files", patient.flaw(Level::Warning), finding)
                .remedy(format!("ulimit -Hn {needed} (systemd: LimitNOFILE={needed})"))
        }
        Some(files) if files < needed => Check::new("open files", Level::Ok, "this user may raise its own limit"),
        Some(files) => Check::new("open files", Level::Ok, format!("{files} may be open")),
        None => Check::new("open files", Level::Ok, "any number may be open"),
    }
}
