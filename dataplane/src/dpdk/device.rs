//! Device arguments as they stand in the configuration.

use std::fmt;
use std::fs;
use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use ringdns_ffi as ffi;

use super::error::{DeviceProblem, DpdkError};

/// A device that a port is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name and arguments, separated by commas.
    arguments: String,
    /// Bytes of the name.
    name_len: usize,
    /// What it is.
    kind: Kind,
}

/// The two kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Made by a driver out of nothing; the driver's name is so many bytes of the device's.
    Virtual {
        /// Without the number at the end.
        driver_len: usize,
    },
    /// On the PCI bus.
    Pci,
}

/// Drivers that need a capability: its number (linux/capability.h) and name.
const CAPABILITIES: &[(&str, u32, &str)] = &[
    ("net_tap", 12, "CAP_NET_ADMIN"),
    ("net_tun", 12, "CAP_NET_ADMIN"),
    ("net_af_packet", 13, "CAP_NET_RAW"),
    ("net_af_xdp", 12, "CAP_NET_ADMIN"),
];

/// Arguments of the drivers that silently ignore others: of DPDK 22.11 and, for `persist`, of later ones.
const ARGUMENTS: &[(&str, &[&str])] = &[("net_tap", &["iface", "mac", "remote", "persist"]), ("net_tun", &["iface"])];

/// Drivers whose package is named otherwise.
const PACKAGES: &[(&str, &str)] =
    &[("net_tun", "tap"), ("net_virtio_user", "virtio"), ("net_bonding", "bond"), ("net_null", "null")];

impl Device {
    /// Reads device arguments: `net_tap0,iface=ringdns0`, `0000:01:00.0`.
    ///
    /// # Errors
    /// Where it is neither a virtual device nor a PCI address.
    pub fn parse(arguments: &str) -> Result<Self, DpdkError> {
        let name = arguments.split(',').next().unwrap_or_default();
        let kind = if is_pci_address(name) {
            Some(Kind::Pci)
        } else {
            let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let numbered = driver.len() < name.len();
            let plain = driver.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            let known_prefix = driver.strip_prefix("net_").is_some_and(|rest| !rest.is_empty());
            (numbered && plain && known_prefix).then_some(Kind::Virtual { driver_len: driver.len() })
        };
        match kind {
            // A zero byte cannot be passed to C.
            Some(kind) if name.len() < ffi::RTE_ETH_NAME_MAX_LEN as usize && !arguments.contains('\0') => {
                let device = Self { arguments: arguments.to_owned(), name_len: name.len(), kind };
                device.check_arguments()?;
                Ok(device)
            }
            _ => Err(DpdkError::device(arguments, DeviceProblem::Syntax)),
        }
    }

    /// Finds misspelt arguments, where the driver does not.
    fn check_arguments(&self) -> Result<(), DpdkError> {
        let driver = self.driver().unwrap_or_default();
        let Some(&(_, known)) = ARGUMENTS.iter().find(|&&(name, _)| name == driver) else { return Ok(()) };
        let mut names =
            self.arguments.split(',').skip(1).map(|argument| argument.split('=').next().unwrap_or_default());
        names.find(|name| !known.contains(name)).map_or(Ok(()), |name| {
            Err(DpdkError::device(&self.arguments, DeviceProblem::UnknownArgument { name: name.to_owned(), known }))
        })
    }

    /// Name and arguments.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// The name, which is also the port's.
    pub fn name(&self) -> &str {
        &self.arguments[..self.name_len]
    }

    /// True for a device on the PCI bus.
    pub fn is_pci(&self) -> bool {
        self.kind == Kind::Pci
    }

    /// The driver of a virtual device.
    pub fn driver(&self) -> Option<&str> {
        match self.kind {
            Kind::Virtual { driver_len } => Some(&self.arguments[..driver_len]),
            Kind::Pci => None,
        }
    }

    /// The value of an argument.
    fn argument(&self, key: &str) -> Option<&str> {
        let mut arguments = self.arguments.split(',').skip(1).filter_map(|argument| argument.split_once('='));
        arguments.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// False where the device is on an interface of the kernel whose link is down.
    pub(super) fn has_carrier(&self) -> bool {
        let on_interface = matches!(self.driver(), Some("net_af_packet" | "net_af_xdp"));
        let interface = self.argument("iface").filter(|_| on_interface);
        let Some(interface) = interface else { return true };
        // NOTE: not by sysfs, which shows the namespace that it was mounted in.
        let is_running = |link: &InterfaceAddress| link.flags.contains(InterfaceFlags::IFF_RUNNING);
        getifaddrs().is_ok_and(|mut links| links.any(|link| link.interface_name == interface && is_running(&link)))
    }

    /// Checks beforehand what drivers report by an error number at best.
    pub(super) fn check_surroundings(&self) -> Result<(), DpdkError> {
        let Some(driver) = self.driver() else { return Ok(()) };
        if matches!(driver, "net_tap" | "net_tun") && !Path::new("/dev/net/tun").exists() {
            return Err(DpdkError::device(self.name(), DeviceProblem::NoTun));
        }
        if let Some(interface) = self.argument("iface").filter(|_| matches!(driver, "net_tap" | "net_tun")) {
            let folder = Path::new("/sys/class/net").join(interface);
            if is_taken(&folder) {
                let problem = DeviceProblem::InterfaceTaken(interface.to_owned());
                return Err(DpdkError::device(self.name(), problem));
            }
        }
        let status = fs::read_to_string("/proc/self/status")?;
        match CAPABILITIES.iter().find(|&&(name, bit, _)| name == driver && !has_capability(&status, bit)) {
            Some(&(_, _, capability)) => Err(DpdkError::device(self.name(), DeviceProblem::Capability(capability))),
            None => Ok(()),
        }
    }

    /// The Debian package that brings the driver of a virtual device.
    pub(super) fn package(&self) -> String {
        let driver = self.driver().unwrap_or_default();
        let renamed = PACKAGES.iter().find(|(name, _)| *name == driver).map(|(_, package)| (*package).to_owned());
        let name = renamed.unwrap_or_else(|| driver.trim_start_matches("net_").replace('_', "-"));
        // Packages carry the ABI's version, the year after the LTS; a name that ends in a digit is set apart by a hyphen.
        let hyphen = if name.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
        format!("librte-net-{name}{hyphen}{}", ffi::RTE_VER_YEAR + 1)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arguments)
    }
}

/// `0000:01:00.0` or `01:00.0`, in hexadecimal digits.
fn is_pci_address(name: &str) -> bool {
    let is_hex = |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = name.split(':').collect();
    let (bus, slot) = match parts[..] {
        [domain, bus, slot] if is_hex(domain, 4) => (bus, slot),
        [bus, slot] => (bus, slot),
        _ => return false,
    };
    is_hex(bus, 2) && slot.split_once('.').is_some_and(|(device, function)| is_hex(device, 2) && is_hex(function, 1))
}

/// Whether an interface, by its folder below /sys/class/net, is no TAP device that is waiting for its process.
///
/// Without this, a second process would become one more queue of the first one's interface, and each would get some flows.
fn is_taken(folder: &Path) -> bool {
    /// IFF_PERSIST (linux/if_tun.h): the interface was there before its process and stays after it.
    const PERSISTENT: u32 = 0x800;
    let flags = fs::read_to_string(folder.join("tun_flags")).unwrap_or_default();
    let flags = flags.trim().strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    folder.exists() && flags.is_none_or(|flags| flags & PERSISTENT == 0)
}

/// Whether the effective capabilities in the text of /proc/self/status have a bit.
fn has_capability(status: &str, bit: u32) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_devices_and_pci_addresses() {
        let tap = Device::parse("net_tap0,iface=ringdns0").unwrap();
        assert_eq!((tap.name(), tap.driver(), tap.is_pci()), ("net_tap0", Some("net_tap"), false));
        let pci = Device::parse("0000:3b:00.1,rx_vec_en=1").unwrap();
        assert_eq!((pci.name(), pci.driver(), pci.is_pci()), ("0000:3b:00.1", None, true));
        assert!(Device::parse("3b:00.1").unwrap().is_pci());
        assert_eq!(Device::parse("net_e1000_12").unwrap().driver(), Some("net_e1000_"));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(Device::parse("net_tap0,iface=x,mac=fixed,persist").is_ok());
        for wrong in [
            "net_tap0,ifac=x",
            "net_tap0,",
            "",
            "eth0",
            "net_tap",
            "net_0",
            "0000:01:00",
            "net_tap0 ",
            "-a",
            "net_tap0\0",
            "Net_tap0",
        ] {
            assert!(Device::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn packages_are_named_as_debian_names_them() {
        let abi = ffi::RTE_VER_YEAR + 1;
        for (device, package) in
            [("net_tap0", "tap"), ("net_af_packet1", "af-packet"), ("net_virtio_user0", "virtio"), ("net_tun0", "tap")]
        {
            assert_eq!(Device::parse(device).unwrap().package(), format!("librte-net-{package}{abi}"));
        }
    }

    #[test]
    fn interfaces_that_belong_to_others_are_taken() {
        let folder = std::env::temp_dir().join(format!("ringdns-device-{}", std::process::id()));
        assert!(!is_taken(&folder), "no such interface");
        fs::create_dir_all(&folder).unwrap();
        assert!(is_taken(&folder), "an interface that is no TAP device");
        for (flags, taken) in [("0x1102\n", true), ("0x1902\n", false)] {
            fs::write(folder.join("tun_flags"), flags).unwrap();
            assert_eq!(is_taken(&folder), taken, "{flags}");
        }
        fs::remove_dir_all(&folder).unwrap();
        let tap = Device::parse("net_tap0,mac=fixed,iface=ringdns0").unwrap();
        assert_eq!((tap.argument("iface"), tap.argument("remote")), (Some("ringdns0"), None));
    }

    #[test]
    fn capabilities_are_bits_of_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000001000\n";
        assert!(has_capability(status, 12));
        assert!(!has_capability(status, 13));
        assert!(!has_capability("", 12));
    }
}
