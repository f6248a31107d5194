//! `ringdns setup`: prepares the machine, as root, before the server runs.

use std::io;

use clap::{Args, Subcommand, ValueEnum};
use ringdns_hugepages::bind::{self, Binding};
use ringdns_hugepages::nic::{self, Nic, PciAddress};
use ringdns_hugepages::reserve::{self, Reservation};
use ringdns_hugepages::session::{Session, ThisMachine};
use ringdns_hugepages::{PAGE_BYTES_1G, PAGE_BYTES_2M, Root, SetupError, permissions};

/// What of the machine is to be set up.
#[derive(Debug, Args)]
pub struct Setup {
    /// Show the steps, as a shell would take them, and take none
    #[arg(long, global = true)]
    dry_run: bool,
    /// What.
    #[command(subcommand)]
    command: Command,
}

/// What can be set up.
#[derive(Debug, Subcommand)]
enum Command {
    /// Set memory aside in hugepages, for [eal] hugepages = true
    #[command(
        after_help = "The number is all that this machine has in such pages: what other programs need comes on top. \
                            Pages last until the machine restarts, unless --persist is given."
    )]
    Hugepages {
        /// All memory in such pages, in MiB; 0 gives back what nobody uses
        #[arg(long, value_name = "N")]
        mib: u64,
        /// The size of a page
        #[arg(long, value_enum, default_value_t = PageSize::TwoMib)]
        page_size: PageSize,
        /// Only on this NUMA node: that of the NIC
        #[arg(long, value_name = "N")]
        numa_node: Option<u32>,
        /// Do the same at every boot, by /etc/sysctl.d/60-ringdns.conf
        #[arg(long)]
        persist: bool,
    },
    /// Take a NIC from the kernel for RingDNS, give it back, or show all
    Nic {
        /// What to do.
        #[command(subcommand)]
        command: NicCommand,
    },
    /// Let a user other than root use the NICs that are bound to vfio-pci
    Permissions {
        /// The user that RingDNS runs as
        #[arg(long)]
        user: String,
    },
}

/// What can be done about NICs.
#[derive(Debug, Subcommand)]
enum NicCommand {
    /// Take a NIC from the kernel, so that RingDNS can have it
    #[command(
        after_help = "Nothing but RingDNS can use the NIC then: its interface and addresses are gone from the kernel \
                            until it is given back. This lasts until the machine restarts."
    )]
    Bind {
        /// The NIC's PCI address, such as 0000:01:00.0
        #[arg(value_name = "PCI")]
        nic: PciAddress,
        /// The driver that leaves it to a process
        #[arg(long, value_enum, default_value_t = UserDriver::VfioPci)]
        driver: UserDriver,
        /// Also the NIC that carries the default route
        #[arg(long)]
        force: bool,
        /// Also where no IOMMU keeps the NIC from reading and writing all memory; needed with uio_pci_generic
        #[arg(long)]
        no_iommu: bool,
    },
    /// Give a NIC back to the kernel, with its interface's name, addresses and routes
    Unbind {
        /// The NIC's PCI address
        #[arg(value_name = "PCI")]
        nic: PciAddress,
    },
    /// Show all NICs
    List,
}

/// Sizes of hugepages on x86-64.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PageSize {
    /// 2 MiB
    #[value(name = "2M")]
    TwoMib,
    /// 1 GiB: fewer of them, and mostly to be had at boot only
    #[value(name = "1G")]
    OneGib,
}

/// Drivers that leave a NIC to a process.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UserDriver {
    /// Guarded by an IOMMU, and for any user
    #[value(name = "vfio-pci")]
    VfioPci,
    /// Unguarded, and for root
    #[value(name = "uio_pci_generic")]
    UioPciGeneric,
}

/// Does it; what there is to tell, whether or not it went well.
pub fn set_up(setup: Setup) -> (String, Result<(), SetupError>) {
    let mut machine = ThisMachine;
    let mut session = Session::new(Root::machine(), &mut machine, setup.dry_run);
    let outcome = match setup.command {
        Command::Hugepages { mib, page_size, numa_node, persist } => {
            let page_bytes = match page_size {
                PageSize::TwoMib => PAGE_BYTES_2M,
                PageSize::OneGib => PAGE_BYTES_1G,
            };
            reserve::reserve(&mut session, &Reservation { mib, page_bytes, node: numa_node, persist })
        }
        Command::Nic { command } => set_up_nic(&mut session, command),
        Command::Permissions { user } => permissions::permit(&mut session, &user),
    };
    (session.into_lines().join("\n"), outcome)
}

/// Does what is asked about NICs.
fn set_up_nic(session: &mut Session<'_>, command: NicCommand) -> Result<(), SetupError> {
    match command {
        NicCommand::Bind { nic, driver, force, no_iommu } => {
            let driver = match driver {
                UserDriver::VfioPci => "vfio-pci",
                UserDriver::UioPciGeneric => "uio_pci_generic",
            };
            bind::bind(session, &Binding { nic, driver: driver.to_owned(), force, unguarded: no_iommu })
        }
        NicCommand::Unbind { nic } => bind::unbind(session, &nic),
        NicCommand::List => {
            let nics = nic::nics(session.root());
            session.tell(table(&nics));
            Ok(())
        }
    }
}

/// All NICs, one a line.
fn table(nics: &[Nic]) -> String {
    let header = ["PCI", "maker:device", "driver", "interface", "link", "node", "IOMMU group", "default route"];
    let rows = nics.iter().map(|nic| {
        let interfaces: Vec<&str> = nic.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        let link = if nic.interfaces.iter().any(|interface| interface.has_link) { "up" } else { "-" };
        let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
        [
            nic.address.to_string(),
            format!("{:04x}:{:04x}", nic.vendor, nic.device),
            or_dash(nic.driver.clone()),
            or_dash(Some(interfaces.join(","))),
            link.to_owned(),
            or_dash(nic.numa_node.map(|node| node.to_string())),
            or_dash(nic.iommu_group.clone()),
            or_dash(nic.default_route().map(|(_, family)| family.to_owned())),
        ]
    });
    let rows: Vec<[String; 8]> = [header.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let line = |row: &[String; 8]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether the message is about how the command was called, and not about the machine.
pub fn is_misuse(error: &SetupError) -> bool {
    matches!(error, SetupError::PartOfPage { .. } | SetupError::NotPersistable)
        || matches!(error, SetupError::Step { error, .. } if error.kind() == io::ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The subcommand by itself.
    #[derive(clap::Parser)]
    struct Alone {
        /// What to do.
        #[command(flatten)]
        setup: Setup,
    }

    #[test]
    fn the_commands_of_the_documents_are_understood() {
        for line in [
            "hugepages --mib 512",
            "hugepages --mib 2048 --page-size 1G --numa-node 1 --dry-run",
            "hugepages --mib 0 --persist",
            "nic bind 0000:01:00.0",
            "--dry-run nic bind 01:00.0 --driver uio_pci_generic --no-iommu --force",
            "nic unbind 0000:01:00.0",
            "nic list",
            "permissions --user ringdns",
        ] {
            let words = ["setup"].into_iter().chain(line.split(' '));
            assert!(Alone::try_parse_from(words).is_ok(), "{line}");
        }
        assert!(Alone::try_parse_from(["setup", "nic", "bind", "eth0"]).is_err());
    }

    #[test]
    fn the_table_has_a_line_a_nic() {
        let nic = Nic {
            address: "0000:01:00.0".parse().unwrap(),
            vendor: 0x8086,
            device: 0x10d3,
            driver: Some("vfio-pci".to_owned()),
            interfaces: vec![],
            numa_node: Some(1),
            iommu_group: Some("17".to_owned()),
        };
        let shown = table(&[nic]);
        let words: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["0000:01:00.0", "8086:10d3", "vfio-pci", "-", "-", "1", "17", "-"]);
    }
}
