//! The NICs of the machine, and the devices of the configuration.

use super::drivers::{self, Plugins};
use super::{Check, Level, Patient, ToKernel, WantedPort};
use crate::kernel::{self, ModuleState, TRANSLATION};
use crate::nic::{Nic, PciAddress, SHARED_DRIVERS};
use crate::process::{Capability, NET_ADMIN, NET_RAW, SYS_RAWIO};

/// Drivers of virtual devices that need a capability.
const CAPABILITIES: &[(&str, Capability)] =
    &[("tap", NET_ADMIN), ("af_packet", NET_RAW), ("af_xdp", NET_ADMIN), ("virtio", NET_ADMIN)];

/// Bits of addresses for which DPDK has the IOMMU translate a process's own addresses.
const ADDRESS_BITS_MIN: u64 = 48;

/// NICs, the ways to the kernel, and the ports.
pub(super) fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let mut checks: Vec<Check> = patient.nics.iter().map(nic).collect();
    if checks.is_empty() {
        checks.push(Check::new("nic", Level::Note, "no Ethernet controller on the PCI bus"));
    }
    checks.push(to_kernel(patient, "dev/net/tun", "modprobe tun"));
    checks.push(to_kernel(patient, "dev/vhost-net", "modprobe vhost_net"));
    let plugins = Plugins::find(patient.root);
    for WantedPort { device, kernel } in patient.wanted_ports() {
        let subject = format!("port {}", device.split(',').next().unwrap_or_default());
        let found = match device.split(',').next().unwrap_or_default().parse::<PciAddress>() {
            Ok(address) => nic_port(patient, &subject, &address, &plugins),
            Err(_) => virtual_port(patient, &subject, device, &plugins),
        };
        checks.extend(found);
        checks.extend(kernel.and_then(|kernel| kernel_interface(patient, &subject, kernel)));
    }
    checks
}

/// What a port lacks for its interface of the kernel.
fn kernel_interface(patient: &Patient<'_>, subject: &str, kernel: ToKernel) -> Option<Check> {
    let may_use = |file: &str| patient.process.may_use(patient.root, file) == Some(true);
    let missing = |finding: &str| Check::new(subject, Level::Missing, format!("for its kernel interface: {finding}"));
    // vhost-net feeds a TAP interface too.
    if !may_use("dev/net/tun") {
        let check = missing("/dev/net/tun is not there, or not open to this user");
        return Some(check.remedy("modprobe tun; ringdns setup permissions --user USER"));
    }
    if !patient.process.has(NET_ADMIN) {
        let check = missing("CAP_NET_ADMIN is missing");
        return Some(check.remedy("run as root, or AmbientCapabilities=CAP_NET_ADMIN in the unit"));
    }
    match (kernel, may_use("dev/vhost-net")) {
        (ToKernel::Tap, _) | (_, true) => None,
        (ToKernel::Vhost, false) => {
            let check = missing("/dev/vhost-net is not there, or not open to this user");
            Some(check.remedy("modprobe vhost_net; ringdns setup permissions --user USER; or kernel = \"tap\""))
        }
        (ToKernel::Any, false) => {
            let check = Check::new(subject, Level::Note, "its kernel interface will be a TAP device, not vhost-net");
            Some(check.remedy("for more packets a second: modprobe vhost_net; ringdns setup permissions --user USER"))
        }
    }
}

/// One NIC in words.
fn nic(nic: &Nic) -> Check {
    let mut words = vec![nic.driver.clone().unwrap_or_else(|| "no driver".to_owned())];
    for interface in &nic.interfaces {
        let state = match (interface.is_up, interface.has_link) {
            (false, _) => "down",
            (true, false) => "no link",
            (true, true) => "link up",
        };
        words.push(format!("{} ({state})", interface.name));
        for (route, family) in [(&interface.default_route4, "IPv4"), (&interface.default_route6, "IPv6")] {
            if let Some(by) = route {
                let by = if *by == interface.name { String::new() } else { format!(" by {by}") };
                words.push(format!("carries the {family} default route{by}"));
            }
        }
    }
    words.extend(nic.numa_node.map(|node| format!("node {node}")));
    words.push(nic.iommu_group.as_ref().map_or("no IOMMU group".to_owned(), |group| format!("IOMMU group {group}")));
    Check::new(format!("nic {}", nic.address), Level::Note, words.join(", "))
}

/// Whether this process can make interfaces of the kernel by a file.
fn to_kernel(patient: &Patient<'_>, file: &str, remedy: &str) -> Check {
    let subject = format!("/{file}");
    match patient.process.may_use(patient.root, file) {
        Some(true) => Check::new(subject, Level::Ok, "there"),
        Some(false) => Check::new(subject, Level::Note, "not open to this user").remedy(format!("chown USER /{file}")),
        None => Check::new(subject, Level::Note, "not there").remedy(remedy),
    }
}

/// A port on a NIC.
fn nic_port(patient: &Patient<'_>, subject: &str, address: &PciAddress, plugins: &Plugins) -> Vec<Check> {
    let Some(nic) = patient.nics.iter().find(|nic| nic.address == *address) else {
        let check = Check::new(subject, Level::Missing, "no Ethernet controller at this address");
        return vec![check.remedy("correct [[port]] device: ringdns setup nic list")];
    };
    let mut checks = vec![nic_driver(patient, subject, nic)];
    let wanted = drivers::of_nic(nic);
    let first = wanted.first().copied().unwrap_or_default();
    if !wanted.is_empty() && !wanted.iter().any(|name| plugins.has(name)) {
        let names: Vec<String> = wanted.iter().map(|name| plugins.package(name)).collect();
        let finding = format!("DPDK's driver for it is not installed: one of {}", names.join(", "));
        let remedy = format!("apt-get install --no-install-recommends {}", plugins.package(first));
        checks.push(Check::new(subject, Level::Missing, finding).remedy(remedy));
    }
    checks
}

/// Whether a process can have the NIC, and this one.
fn nic_driver(patient: &Patient<'_>, subject: &str, nic: &Nic) -> Check {
    let address = &nic.address;
    let driver = nic.driver.as_deref().unwrap_or("no driver");
    if !nic.is_user_driven() {
        let unguarded = if nic.iommu_group.is_none() { " --no-iommu" } else { "" };
        let force = if nic.default_route().is_some() { " --force" } else { "" };
        let finding = match nic.default_route() {
            Some((interface, family)) => {
                format!("with {driver}: it is {interface}, which carries the {family} default route")
            }
            None => format!("with {driver}: no process can have it"),
        };
        let remedy = format!("ringdns setup nic bind {address}{unguarded}{force}");
        return Check::new(subject, Level::Missing, finding).remedy(remedy);
    }
    if SHARED_DRIVERS.contains(&driver) {
        return Check::new(subject, Level::Ok, format!("with {driver}, which shares it with the kernel"));
    }
    let Some(file) = nic.vfio_file(patient.root) else {
        let level = if patient.process.user == 0 { Level::Ok } else { Level::Missing };
        let check = Check::new(subject, level, format!("with {driver}, which needs root"));
        return if level == Level::Ok { check } else { check.remedy("run as root, or bind it to vfio-pci") };
    };
    match patient.process.may_use(patient.root, &file) {
        Some(true) if file.contains("noiommu") && !patient.process.has(SYS_RAWIO) => {
            Check::new(subject, Level::Missing, "no-IOMMU mode needs CAP_SYS_RAWIO")
                .remedy("run as root, or AmbientCapabilities=CAP_SYS_RAWIO in the unit")
        }
        Some(true)
            if !file.contains("noiommu") && kernel::module(patient.root, TRANSLATION) == ModuleState::Loadable =>
        {
            let finding = format!("with {driver}, but vfio cannot speak to the IOMMU yet");
            Check::new(subject, Level::Missing, finding).remedy(format!("modprobe {TRANSLATION}"))
        }
        Some(true) => match kernel::iommu_address_bits(patient.root) {
            // What DPDK uses instead are physical addresses, which the kernel tells root alone.
            Some(bits) if bits < ADDRESS_BITS_MIN && patient.process.user != 0 => {
                let finding =
                    format!("the IOMMU's addresses have {bits} bits: {ADDRESS_BITS_MIN} are needed without root");
                Check::new(subject, Level::Missing, finding).remedy("run as root (User=root in the unit)")
            }
            _ => Check::new(subject, Level::Ok, format!("with {driver}, /{file} is open to this user")),
        },
        Some(false) => Check::new(subject, Level::Missing, format!("/{file} is not open to this user"))
            .remedy("ringdns setup permissions --user USER"),
        None => Check::new(subject, Level::Missing, format!("/{file} is not there"))
            .remedy("in a container: pass /dev/vfio in (--device /dev/vfio)"),
    }
}

/// A port on a virtual device.
fn virtual_port(patient: &Patient<'_>, subject: &str, device: &str, plugins: &Plugins) -> Vec<Check> {
    let Some(plugin) = drivers::of_virtual(device) else {
        let check = Check::new(subject, Level::Missing, "neither a virtual device nor a PCI address");
        return vec![check.remedy("correct [[port]] device; see conf/example.toml")];
    };
    let mut checks = Vec::new();
    if !plugins.has(&plugin) {
        let finding = format!("DPDK's driver net_{plugin} is not installed");
        let remedy = format!("apt-get install --no-install-recommends {}", plugins.package(&plugin));
        checks.push(Check::new(subject, Level::Missing, finding).remedy(remedy));
    }
    if plugin == "tap" && patient.process.may_use(patient.root, "dev/net/tun") != Some(true) {
        let check = Check::new(subject, Level::Missing, "/dev/net/tun is not there, or not open to this user");
        checks.push(check.remedy("modprobe tun (in a container: --device /dev/net/tun)"));
    }
    let needed = CAPABILITIES.iter().find(|(name, _)| *name == plugin).map(|(_, capability)| *capability);
    if let Some((_, name)) = needed.filter(|&capability| !patient.process.has(capability)) {
        let check = Check::new(subject, Level::Missing, format!("{name} is missing"));
        checks.push(check.remedy(format!("run as root, or AmbientCapabilities={name} in the unit")));
    }
    let interface = device.split(',').find_map(|argument| argument.strip_prefix("iface="));
    let is_there = |name: &&str| patient.root.exists(&format!("sys/class/net/{name}"));
    if plugin.starts_with("af_")
        && let Some(name) = interface.filter(|name| !is_there(name))
    {
        let check = Check::new(subject, Level::Missing, format!("there is no interface {name}"));
        checks.push(check.remedy("correct iface= in [[port]] device: ip link"));
    }
    if checks.is_empty() {
        checks.push(Check::new(subject, Level::Ok, format!("net_{plugin} is installed and permitted")));
    }
    checks
}
