//! Why a machine could not be set up. Every message ends with what to do about it.

use std::fmt;
use std::io;

/// Why a step of the set-up was not taken. What had been changed before it has been changed back.
#[derive(Debug)]
pub enum SetupError {
    /// A file could not be written, or a program failed.
    Step {
        /// The step, as a shell would take it.
        step: String,
        /// Why.
        error: io::Error,
    },
    /// The kernel has no hugepages of this size.
    PageSize {
        /// The size.
        page_mib: u64,
        /// The node that was named.
        node: Option<u32>,
        /// Sizes that there are, in MiB.
        sizes_mib: Vec<u64>,
    },
    /// The memory is no multiple of a page.
    PartOfPage {
        /// What was asked for.
        mib: u64,
        /// The page's size.
        page_mib: u64,
    },
    /// The machine has not that much memory to give.
    Memory {
        /// What would be set aside on top of what is.
        more_mib: u64,
        /// What could be had without swapping.
        available_mib: u64,
        /// What must be left.
        rest_mib: u64,
    },
    /// The kernel set aside less than was asked for.
    Hugepages {
        /// What was asked for.
        wanted_mib: u64,
        /// What it gave.
        got_mib: u64,
        /// Size of the pages.
        page_mib: u64,
    },
    /// What was asked for cannot be said in sysctl.d.
    NotPersistable,
    /// There is no Ethernet controller at the address.
    NoNic(String),
    /// The NIC carries the default route.
    DefaultRoute {
        /// Its address.
        nic: String,
        /// The interface.
        interface: String,
        /// IPv4 or IPv6.
        family: &'static str,
    },
    /// The kernel does not have the driver.
    NoDriver(String),
    /// No IOMMU guards the NIC.
    Unguarded {
        /// Its address.
        nic: String,
        /// The driver that was asked for.
        driver: String,
    },
    /// The kernel's vfio cannot drive unguarded devices.
    NoUnguardedMode,
    /// Other devices of the IOMMU group are used by the kernel.
    Group {
        /// The group's number.
        group: String,
        /// These devices, with their drivers.
        others: Vec<String>,
    },
    /// A process has the NIC.
    InUse {
        /// The NIC's address.
        nic: String,
        /// The process: number and name.
        process: String,
    },
    /// The driver did not take the NIC.
    NotTaken {
        /// The NIC's address.
        nic: String,
        /// The driver.
        driver: String,
    },
    /// The machine has no such user.
    NoUser(String),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { step, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "`{step}` is not permitted; run this as root (in a container: with --privileged)")
            }
            Self::Step { step, error } => write!(f, "`{step}` failed: {error}; see `dmesg | tail`"),
            Self::PageSize { page_mib, node, sizes_mib } => {
                let place = node.map_or(String::new(), |node| format!(" on NUMA node {node}"));
                let sizes: Vec<String> = sizes_mib.iter().map(|mib| format!("{mib} MiB")).collect();
                let there = if sizes.is_empty() { "none".to_owned() } else { sizes.join(", ") };
                write!(f, "there are no hugepages of {page_mib} MiB{place}; choose among these sizes: {there}")
            }
            Self::PartOfPage { mib, page_mib } => {
                write!(f, "{mib} MiB are no whole pages of {page_mib} MiB; give a multiple of {page_mib}")
            }
            Self::Memory { more_mib, available_mib, rest_mib } => write!(
                f,
                "{more_mib} MiB more would be set aside, {available_mib} MiB are available, and {rest_mib} MiB must be left; \
                 ask for less, or end other programs (`free -m`)"
            ),
            Self::Hugepages { wanted_mib, got_mib, page_mib } => write!(
                f,
                "the kernel set aside {got_mib} of {wanted_mib} MiB, also after compacting its memory; what was there before \
                 is there again. Free memory (`free -m`), ask for less, or reserve at boot: hugepagesz={page_mib}M \
                 hugepages={} on the kernel's command line",
                wanted_mib / page_mib
            ),
            Self::NotPersistable => f.write_str(
                "sysctl.d knows the machine's default page size only, and no nodes; leave out --persist and have \
                 ringdns-setup.service reserve them at boot, or put hugepagesz= and hugepages= on the kernel's command line",
            ),
            Self::NoNic(nic) => {
                write!(f, "there is no Ethernet controller at {nic}; see `ringdns setup nic list`")
            }
            Self::DefaultRoute { nic, interface, family } => write!(
                f,
                "{nic} is {interface}, which carries the {family} default route: this machine could not be reached any more; \
                 choose another NIC, or add --force"
            ),
            Self::NoDriver(driver) => write!(
                f,
                "this kernel has no driver {driver}; install the kernel's modules (Debian: linux-image-amd64, not -cloud), or \
                 choose another by --driver"
            ),
            Self::Unguarded { nic, driver } => write!(
                f,
                "no IOMMU would guard this machine from {nic} with {driver}; switch the IOMMU on (firmware: VT-d or AMD-Vi; \
                 kernel's command line: intel_iommu=on) and use vfio-pci, or add --no-iommu if you trust the NIC and \
                 everybody who may use it with all memory"
            ),
            Self::NoUnguardedMode => f.write_str(
                "this kernel's vfio drives guarded devices only (CONFIG_VFIO_NOIOMMU); use --driver uio_pci_generic --no-iommu",
            ),
            Self::Group { group, others } => write!(
                f,
                "IOMMU group {group} holds devices that the kernel uses: {}; vfio gives a group to a process only as a whole: \
                 put the NIC into another slot, or unbind those too",
                others.join(", ")
            ),
            Self::InUse { nic, process } => {
                write!(f, "process {process} uses {nic}; end it first (`systemctl stop ringdns`)")
            }
            Self::NotTaken { nic, driver } => {
                write!(f, "{driver} did not take {nic}; see `dmesg | tail` for its reason")
            }
            Self::NoUser(user) => {
                write!(f, "there is no user {user}; make it: useradd --system --no-create-home {user}")
            }
        }
    }
}

impl std::error::Error for SetupError {}
