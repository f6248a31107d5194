//! What the kernel brings: modules, IOMMU, vfio's modes.

use crate::root::Root;

/// Whether a PCI driver or another module can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// It is there, loaded or part of the kernel.
    Present,
    /// `modprobe` can load it.
    Loadable,
    /// This kernel does not have it.
    Absent,
}

/// Where the kernel tells whether vfio drives devices that no IOMMU guards.
pub const UNGUARDED_MODE: &str = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/// The module by which vfio has an IOMMU translate addresses.
pub const TRANSLATION: &str = "vfio_iommu_type1";

/// Whether a PCI driver can be had.
pub fn pci_driver(root: &Root, name: &str) -> ModuleState {
    // A driver that is part of the kernel shows on the bus, and perhaps nowhere else.
    if root.exists(&format!("sys/bus/pci/drivers/{name}")) { ModuleState::Present } else { module(root, name) }
}

/// Whether a module can be had.
pub fn module(root: &Root, name: &str) -> ModuleState {
    // The kernel writes modules' names with underscores, their files may have hyphens.
    let plain = name.replace('-', "_");
    if root.exists(&format!("sys/module/{plain}")) {
        return ModuleState::Present;
    }
    let release = root.text("proc/sys/kernel/osrelease").unwrap_or_default();
    let lists = |list: &str| {
        let text = root.text(&format!("lib/modules/{release}/{list}")).unwrap_or_default();
        let mut paths = text.lines().filter_map(|line| line.split(':').next());
        paths.any(|path| {
            let file = path.rsplit('/').next().unwrap_or_default();
            file.split(".ko").next().is_some_and(|stem| stem.replace('-', "_") == plain)
        })
    };
    if lists("modules.builtin") {
        ModuleState::Present
    } else if lists("modules.dep") {
        ModuleState::Loadable
    } else {
        ModuleState::Absent
    }
}

/// The IOMMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iommu {
    /// The hardware units that the kernel uses, such as `dmar0`.
    pub units: Vec<String>,
    /// Groups of devices that it keeps apart.
    pub groups: usize,
}

impl Iommu {
    /// Reads what there is.
    pub fn read(root: &Root) -> Self {
        Self { units: root.names("sys/class/iommu"), groups: root.names("sys/kernel/iommu_groups").len() }
    }

    /// Whether devices are guarded by it.
    pub fn is_on(&self) -> bool {
        self.groups != 0 && !self.units.is_empty()
    }
}

/// Bits of the addresses that every IOMMU of the machine translates; none where that is not told (AMD's are all wide enough).
pub fn iommu_address_bits(root: &Root) -> Option<u64> {
    // Intel's capability register: one less than the maximum guest address width in bits 16 to 21.
    let bits = |unit: &String| Some((root.hex(&format!("sys/class/iommu/{unit}/intel-iommu/cap"))? >> 16 & 0x3f) + 1);
    root.names("sys/class/iommu").iter().filter_map(bits).min()
}

/// Whether vfio drives devices that no IOMMU guards; none: this kernel's vfio cannot, or is not loaded.
pub fn unguarded_mode(root: &Root) -> Option<bool> {
    Some(root.text(UNGUARDED_MODE)? == "Y")
}

/// The words of the kernel's command line that start so, such as `isolcpus=`.
pub fn command_line_words(root: &Root, start: &str) -> Vec<String> {
    let line = root.text("proc/cmdline").unwrap_or_default();
    line.split_whitespace().filter(|word| word.starts_with(start)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeMachine;

    #[test]
    fn modules_are_present_loadable_or_absent() {
        let machine = FakeMachine::new("modules");
        machine.file("proc/sys/kernel/osrelease", "6.1.0\n");
        machine.file("lib/modules/6.1.0/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/x.ko\n");
        machine.file("lib/modules/6.1.0/modules.builtin", "kernel/drivers/uio/uio.ko\n");
        machine.folder("sys/bus/pci/drivers/igb_uio");
        let root = machine.root();
        assert_eq!(pci_driver(&root, "vfio-pci"), ModuleState::Loadable);
        assert_eq!(pci_driver(&root, "igb_uio"), ModuleState::Present);
        assert_eq!(module(&root, "uio"), ModuleState::Present);
        assert_eq!(module(&root, "x"), ModuleState::Absent);
        machine.folder("sys/module/vfio_pci");
        assert_eq!(pci_driver(&root, "vfio-pci"), ModuleState::Present);
    }

    #[test]
    fn the_narrowest_iommu_counts() {
        let machine = FakeMachine::new("width");
        assert_eq!(iommu_address_bits(&machine.root()), None);
        machine.file("sys/class/iommu/dmar0/intel-iommu/cap", "d2008c222f0686\n");
        assert_eq!(iommu_address_bits(&machine.root()), Some(48));
        machine.file("sys/class/iommu/dmar1/intel-iommu/cap", "d2008c22260286\n");
        assert_eq!(iommu_address_bits(&machine.root()), Some(39));
    }

    #[test]
    fn an_iommu_needs_units_and_groups() {
        let machine = FakeMachine::new("iommu");
        assert!(!Iommu::read(&machine.root()).is_on());
        machine.folder("sys/kernel/iommu_groups/0");
        assert!(!Iommu::read(&machine.root()).is_on(), "groups of vfio's unguarded mode");
        machine.folder("sys/class/iommu/dmar0");
        assert!(Iommu::read(&machine.root()).is_on());
    }
}
