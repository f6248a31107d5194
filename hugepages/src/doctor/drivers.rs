//! DPDK's driver plugins, and which of them a device needs.

use crate::nic::Nic;
use crate::root::Root;

/// Where distributions and DPDK's own build put plugins: folders that hold `dpdk/pmds-*`.
const LIBRARY_FOLDERS: [&str; 5] = ["usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64", "lib"];

/// The plugins for a NIC by its maker, of which one must be there, without `librte_net_`.
const BY_VENDOR: &[(u64, &[&str])] = &[
    (0x1af4, &["virtio"]),
    (0x15ad, &["vmxnet3"]),
    (0x15b3, &["mlx5", "mlx4"]),
    (0x1d0f, &["ena"]),
    (0x14e4, &["bnxt"]),
    (0x8086, &["e1000", "igc", "ixgbe", "i40e", "ice", "iavf"]),
    (0x1425, &["cxgbe"]),
    (0x1077, &["qede"]),
    (0x1924, &["sfc"]),
];

/// Plugins whose device has another name.
const RENAMED: &[(&str, &str)] = &[("tun", "tap"), ("virtio_user", "virtio")];

/// What is installed.
pub(super) struct Plugins {
    /// Names without `librte_net_` and ending.
    names: Vec<String>,
    /// The number in the name of Debian's packages.
    number: String,
}

impl Plugins {
    /// Looks for them.
    pub(super) fn find(root: &Root) -> Self {
        let mut plugins = Self { names: Vec::new(), number: String::new() };
        for folder in LIBRARY_FOLDERS {
            plugins.look_in(root, &format!("{folder}/dpdk"));
            for below in root.names(folder) {
                plugins.look_in(root, &format!("{folder}/{below}/dpdk"));
            }
        }
        plugins
    }

    /// Looks in one folder.
    fn look_in(&mut self, root: &Root, folder: &str) {
        for version in root.names(folder).iter().filter_map(|name| name.strip_prefix("pmds-")) {
            version.split('.').next().unwrap_or_default().clone_into(&mut self.number);
            for file in root.names(&format!("{folder}/pmds-{version}")) {
                if let Some(name) = file.strip_prefix("librte_net_").and_then(|rest| rest.split(".so").next()) {
                    self.names.push(name.to_owned());
                }
            }
        }
    }

    /// Whether one is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// The package that brings one.
    pub(super) fn package(&self, name: &str) -> String {
        let name = name.replace('_', "-");
        // A name that ends in a digit is set apart from the number.
        let hyphen = if name.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
        format!("librte-net-{name}{hyphen}{}", self.number)
    }
}

/// The plugin of a virtual device (`net_tap0,iface=x`).
pub(super) fn of_virtual(device: &str) -> Option<String> {
    let name = device.split(',').next()?.strip_prefix("net_")?;
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let renamed = RENAMED.iter().find(|(from, _)| *from == driver).map(|(_, to)| *to);
    Some(renamed.unwrap_or(driver).to_owned())
}

/// The plugins of which a NIC needs one; empty where its maker is not known here.
pub(super) fn of_nic(nic: &Nic) -> &'static [&'static str] {
    BY_VENDOR.iter().find(|(vendor, _)| *vendor == nic.vendor).map(|(_, plugins)| *plugins).unwrap_or_default()
}
