//! The machine's NICs: where they are, who drives them, and what would be lost with them.

use std::fmt;
use std::str::FromStr;

use crate::root::Root;

/// PCI drivers that leave a NIC to a process.
pub const USER_DRIVERS: &[&str] = &["vfio-pci", "uio_pci_generic", "igb_uio"];

/// Kernel drivers that a process uses beside the kernel: such a NIC is not bound to anything else.
pub const SHARED_DRIVERS: &[&str] = &["mlx5_core", "mlx4_core", "mana"];

/// The address of a PCI function, such as `0000:01:00.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PciAddress(String);

/// The text is no address of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciAddressError;

impl fmt::Display for PciAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no PCI address: write one such as 0000:01:00.0 (`ringdns setup nic list` shows them)")
    }
}

impl std::error::Error for PciAddressError {}

impl FromStr for PciAddress {
    type Err = PciAddressError;

    /// Reads `0000:01:00.0` or `01:00.0`, as the kernel or lspci write it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let full = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
        let parts: Vec<&str> = full.split([':', '.']).collect();
        let is_right = match parts[..] {
            [domain, bus, device, function] => {
                let whole = format!("{domain}:{bus}:{device}.{function}");
                whole == full && is_hex(domain, 4) && is_hex(bus, 2) && is_hex(device, 2) && is_hex(function, 1)
            }
            _ => false,
        };
        if is_right { Ok(Self(full.to_ascii_lowercase())) } else { Err(PciAddressError) }
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ethernet controller on the PCI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Where it is.
    pub address: PciAddress,
    /// Who made it.
    pub vendor: u64,
    /// What it is, by the vendor's number.
    pub device: u64,
    /// The kernel's driver, a user driver among them; none: nobody drives it.
    pub driver: Option<String>,
    /// Its kernel interfaces; none where a process has it.
    pub interfaces: Vec<Interface>,
    /// The NUMA node that it is on; none: the machine has one, or does not say.
    pub numa_node: Option<u64>,
    /// The number of its IOMMU group; none: no IOMMU guards it.
    pub iommu_group: Option<String>,
}

/// A kernel interface of a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether a cable and somebody at its other end are there.
    pub has_link: bool,
    /// The interface with the IPv4 default route: itself or one on top of it (a bond, a bridge, a VLAN).
    pub default_route4: Option<String>,
    /// The same for IPv6.
    pub default_route6: Option<String>,
}

impl Nic {
    /// Reads one NIC. None where there is no such device, or it is no Ethernet controller.
    pub fn read(root: &Root, address: &PciAddress) -> Option<Self> {
        read(root, address, &DefaultRoutes::read(root))
    }

    /// Whether a process can have it as it is.
    pub fn is_user_driven(&self) -> bool {
        self.driver.as_deref().is_some_and(|driver| USER_DRIVERS.contains(&driver) || SHARED_DRIVERS.contains(&driver))
    }

    /// The folder of the device, without the leading slash.
    pub fn folder(&self) -> String {
        folder(&self.address)
    }

    /// The file through which vfio gives the NIC to a process; none where it is not with vfio.
    pub fn vfio_file(&self, root: &Root) -> Option<String> {
        let group = self.iommu_group.as_ref().filter(|_| self.driver.as_deref() == Some("vfio-pci"))?;
        let plain = format!("dev/vfio/{group}");
        let unguarded = format!("dev/vfio/noiommu-{group}");
        Some(if root.exists(&unguarded) { unguarded } else { plain })
    }

    /// The file that a process which has the NIC holds open; none where no process can have it.
    pub fn user_file(&self, root: &Root) -> Option<String> {
        let uio = || Some(format!("dev/{}", root.names(&format!("{}/uio", self.folder())).first()?));
        self.vfio_file(root).or_else(uio)
    }

    /// The interface that a default route leads to, and that route's family.
    pub fn default_route(&self) -> Option<(&str, &'static str)> {
        let of = |interface: &'_ Interface| match interface {
            Interface { default_route4: Some(_), .. } => Some("IPv4"),
            Interface { default_route6: Some(_), .. } => Some("IPv6"),
            _ => None,
        };
        self.interfaces.iter().find_map(|interface| Some((interface.name.as_str(), of(interface)?)))
    }
}

/// All Ethernet controllers on the PCI bus, by address.
pub fn nics(root: &Root) -> Vec<Nic> {
    let routes = DefaultRoutes::read(root);
    let names = root.names("sys/bus/pci/devices");
    names.iter().filter_map(|name| read(root, &name.parse().ok()?, &routes)).collect()
}

/// The folder of a PCI device, without the leading slash.
fn folder(address: &PciAddress) -> String {
    format!("sys/bus/pci/devices/{address}")
}

/// Reads a device; none where it is no Ethernet controller.
fn read(root: &Root, address: &PciAddress, routes: &DefaultRoutes) -> Option<Nic> {
    /// The class of network controllers, in the highest of three bytes.
    const CLASS_NETWORK: u64 = 0x02;
    let folder = folder(address);
    if root.hex(&format!("{folder}/class"))? >> 16 != CLASS_NETWORK {
        return None;
    }
    let interfaces = interface_names(root, &folder).into_iter().map(|name| interface(root, name, routes)).collect();
    Some(Nic {
        address: address.clone(),
        vendor: root.hex(&format!("{folder}/vendor")).unwrap_or_default(),
        device: root.hex(&format!("{folder}/device")).unwrap_or_default(),
        driver: root.link_name(&format!("{folder}/driver")),
        interfaces,
        // -1, which is no number here, where the machine does not say.
        numa_node: root.number(&format!("{folder}/numa_node")),
        iommu_group: root.link_name(&format!("{folder}/iommu_group")),
    })
}

/// The kernel interfaces of a device. Those of a virtio device belong to a device of the virtio bus below it.
pub fn interface_names(root: &Root, folder: &str) -> Vec<String> {
    let below = root.names(folder).into_iter().filter(|name| name.starts_with("virtio"));
    let folders = [format!("{folder}/net")].into_iter().chain(below.map(|name| format!("{folder}/{name}/net")));
    folders.flat_map(|net| root.names(&net)).collect()
}

/// Reads an interface.
fn interface(root: &Root, name: String, routes: &DefaultRoutes) -> Interface {
    /// IFF_UP of linux/if.h.
    const UP: u64 = 1;
    let folder = format!("sys/class/net/{name}");
    let above = with_uppers(root, &name);
    let first_of = |routes: &[String]| above.iter().find(|name| routes.contains(name)).cloned();
    Interface {
        is_up: root.hex(&format!("{folder}/flags")).unwrap_or_default() & UP != 0,
        // The file cannot be read while the interface is down.
        has_link: root.number(&format!("{folder}/carrier")) == Some(1),
        default_route4: first_of(&routes.ipv4),
        default_route6: first_of(&routes.ipv6),
        name,
    }
}

/// An interface and all that stand on it, such as bonds, bridges and VLANs.
fn with_uppers(root: &Root, name: &str) -> Vec<String> {
    let mut found = vec![name.to_owned()];
    let mut next = 0;
    while let Some(name) = found.get(next).cloned() {
        next += 1;
        for entry in root.names(&format!("sys/class/net/{name}")) {
            if let Some(upper) = entry.strip_prefix("upper_").filter(|upper| !found.iter().any(|known| known == upper))
            {
                found.push(upper.to_owned());
            }
        }
    }
    found
}

/// The interfaces with a default route.
struct DefaultRoutes {
    /// Of IPv4.
    ipv4: Vec<String>,
    /// Of IPv6.
    ipv6: Vec<String>,
}

impl DefaultRoutes {
    /// Reads both tables.
    fn read(root: &Root) -> Self {
        let ipv4 = root.text("proc/net/route").unwrap_or_default();
        let ipv6 = root.text("proc/net/ipv6_route").unwrap_or_default();
        Self {
            ipv4: ipv4.lines().skip(1).filter_map(default_route4).collect(),
            ipv6: ipv6.lines().filter_map(default_route6).collect(),
        }
    }
}

/// The interface of a line of /proc/net/route, where that is a default route.
fn default_route4(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields[..] {
        [interface, "00000000", _, _, _, _, _, "00000000", ..] => Some(interface.to_owned()),
        _ => None,
    }
}

/// The interface of a line of /proc/net/ipv6_route, where that is a default route and not the one that refuses.
fn default_route6(line: &str) -> Option<String> {
    /// RTF_REJECT of linux/route.h: what no other route takes is refused here.
    const REJECT: u64 = 0x200;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [destination, "00", _, _, _, _, _, _, flags, interface] = fields[..] else {
        return None;
    };
    let is_refusal = u64::from_str_radix(flags, 16).ok()? & REJECT != 0;
    (destination.bytes().all(|byte| byte == b'0') && !is_refusal && interface != "lo").then(|| interface.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeMachine;

    #[test]
    fn addresses_are_read_in_both_forms() {
        for (text, address) in [("0000:3B:00.1", "0000:3b:00.1"), ("3b:00.1", "0000:3b:00.1")] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), address);
        }
        for wrong in
            ["", "eth0", "0000:3b:00", "0000.3b.00.1", "0000:3b:00.1/..", "0000:3b:00:1", "g0:00.0", "../a:00.0"]
        {
            assert_eq!(wrong.parse::<PciAddress>(), Err(PciAddressError), "{wrong:?}");
        }
    }

    #[test]
    fn nics_are_found_with_driver_interface_and_routes() {
        let machine = FakeMachine::new("nics");
        machine.nic("0000:00:03.0", "e1000e", Some("eth0"), Some("5"));
        machine.nic("0000:00:04.0", "vfio-pci", None, Some("6"));
        machine.file("sys/bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
        machine.file("proc/net/route", "Iface\tDestination\nbr0\t00000000\t010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        machine.folder("sys/class/net/eth0/upper_br0");
        let found = nics(&machine.root());
        let seen: Vec<_> = found.iter().map(|nic| (nic.address.to_string(), nic.driver.clone().unwrap())).collect();
        let expected = [("0000:00:03.0", "e1000e"), ("0000:00:04.0", "vfio-pci")];
        assert_eq!(seen, expected.map(|(address, driver)| (address.to_owned(), driver.to_owned())));
        assert_eq!(found[0].default_route(), Some(("eth0", "IPv4")), "by way of the bridge on top of it");
        assert_eq!(found[1].default_route(), None);
        assert!(found[1].is_user_driven() && !found[0].is_user_driven());
        assert_eq!(found[1].vfio_file(&machine.root()).as_deref(), Some("dev/vfio/6"));
    }

    #[test]
    fn interfaces_of_virtio_devices_lie_deeper() {
        let machine = FakeMachine::new("virtio");
        machine.nic("0000:00:03.0", "virtio-pci", None, None);
        machine.folder("sys/bus/pci/devices/0000:00:03.0/virtio2/net/eth7");
        let found = nics(&machine.root());
        assert_eq!(found[0].interfaces[0].name, "eth7");
    }

    #[test]
    fn the_route_that_refuses_is_no_default_route() {
        let zeros = "0".repeat(32);
        let line = |flags: &str, interface: &str| {
            format!("{zeros} 00 {zeros} 00 {zeros} 00000400 00000001 00000000 {flags} {interface}")
        };
        assert_eq!(default_route6(&line("00000003", "eth0")).as_deref(), Some("eth0"));
        assert_eq!(default_route6(&line("00200200", "lo")), None);
        assert_eq!(default_route4("eth0\t0000A8C0\t0\t1\t0\t0\t0\t00FFFFFF\t0\t0\t0"), None);
    }
}
