//! Sets hugepages aside, and gives them back.

use crate::error::SetupError;
use crate::pages::{Machine, PAGE_BYTES_2M, PagePool};
use crate::root::Root;
use crate::session::{Session, Step};

/// Where sysctl finds what is reserved at boot.
const SYSCTL_FILE: &str = "etc/sysctl.d/60-ringdns.conf";

/// What must be left to all other programs.
const REST_MIB: u64 = 64;

/// Has the kernel move what is in use together, so that free memory comes in larger pieces.
const COMPACT_FILE: &str = "proc/sys/vm/compact_memory";

/// What is to be set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// All memory in pages of this size, on the node if one is named. 0 gives everything back that nobody uses.
    pub mib: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// The NUMA node; none: wherever the kernel has memory.
    pub node: Option<u32>,
    /// Whether the same is to be done at every boot.
    pub persist: bool,
}

impl Default for Reservation {
    fn default() -> Self {
        Self { mib: 0, page_bytes: PAGE_BYTES_2M, node: None, persist: false }
    }
}

/// Sets hugepages aside and reads back what the kernel gave.
///
/// # Errors
/// Where it gave less, or there are no such pages; then all is as it was.
pub fn reserve(session: &mut Session<'_>, wanted: &Reservation) -> Result<(), SetupError> {
    session.whole(|session| {
        let page_mib = wanted.page_bytes >> 20;
        if !wanted.mib.is_multiple_of(page_mib) {
            return Err(SetupError::PartOfPage { mib: wanted.mib, page_mib });
        }
        if wanted.persist && (wanted.node.is_some() || default_page_bytes(session.root()) != Some(wanted.page_bytes)) {
            return Err(SetupError::NotPersistable);
        }
        set_pages(session, wanted, page_mib)?;
        if wanted.persist { persist(session, wanted.mib / page_mib) } else { Ok(()) }
    })
}

/// Refuses to starve the machine: the kernel would give all that it can free, and other programs would be ended.
fn check_available(root: &Root, more_mib: u64) -> Result<(), SetupError> {
    let available_mib = crate::pages::probe_at(&root.path("")).map_or(0, |machine| machine.available_bytes >> 20);
    if more_mib != 0 && more_mib + REST_MIB > available_mib {
        return Err(SetupError::Memory { more_mib, available_mib, rest_mib: REST_MIB });
    }
    Ok(())
}

/// Writes the number of pages, a second time after compaction where the first gave too few.
fn set_pages(session: &mut Session<'_>, wanted: &Reservation, page_mib: u64) -> Result<(), SetupError> {
    let folder = pool_folder(wanted);
    let file = format!("{folder}/nr_hugepages");
    let Some(before) = session.root().number(&file) else {
        let sizes_mib = sizes_mib(session.root(), wanted.node);
        return Err(SetupError::PageSize { page_mib, node: wanted.node, sizes_mib });
    };
    let pages = wanted.mib / page_mib;
    if before == pages {
        session.tell(format!("{} MiB are reserved already", wanted.mib));
        return Ok(());
    }
    check_available(session.root(), pages.saturating_sub(before) * page_mib)?;
    let write = Step::write(file.as_str(), pages.to_string());
    session.take(&write, Some(Step::write(file.as_str(), before.to_string())))?;
    if session.is_dry_run() {
        return Ok(());
    }
    let got = |session: &Session<'_>| session.root().number(&file).unwrap_or_default();
    if got(session) < pages && session.root().exists(COMPACT_FILE) {
        session.take(&Step::write(COMPACT_FILE, "1"), None)?;
        session.take(&write, None)?;
    }
    let (got, free) = (got(session), session.root().number(&format!("{folder}/free_hugepages")).unwrap_or_default());
    if got < pages {
        return Err(SetupError::Hugepages { wanted_mib: wanted.mib, got_mib: got * page_mib, page_mib });
    }
    session.tell(format!(
        "{} MiB are reserved in pages of {page_mib} MiB, {} MiB free",
        got * page_mib,
        free * page_mib
    ));
    if got > pages {
        session.tell("those that a process uses will be given back when it ends");
    }
    Ok(())
}

/// Has the same done at boot, or not done any more.
fn persist(session: &mut Session<'_>, pages: u64) -> Result<(), SetupError> {
    let former = session.root().text(SYSCTL_FILE);
    let undo = match &former {
        Some(text) => Step::Create { path: SYSCTL_FILE.to_owned(), text: format!("{text}\n") },
        None => Step::Remove { path: SYSCTL_FILE.to_owned() },
    };
    let step = match (pages, &former) {
        (0, None) => return Ok(()),
        (0, Some(_)) => Step::Remove { path: SYSCTL_FILE.to_owned() },
        _ => Step::Create { path: SYSCTL_FILE.to_owned(), text: format!("vm.nr_hugepages = {pages}\n") },
    };
    session.take(&step, Some(undo)).map(drop)
}

/// The folder of the pages, without the leading slash.
fn pool_folder(wanted: &Reservation) -> String {
    let size_kib = wanted.page_bytes >> 10;
    match wanted.node {
        Some(node) => format!("sys/devices/system/node/node{node}/hugepages/hugepages-{size_kib}kB"),
        None => format!("sys/kernel/mm/hugepages/hugepages-{size_kib}kB"),
    }
}

/// The sizes of pages that there are, in MiB.
fn sizes_mib(root: &Root, node: Option<u32>) -> Vec<u64> {
    let pools = crate::pages::probe_at(&root.path("")).map_or(Vec::new(), |Machine { pools, .. }| pools);
    let here = |pool: &&PagePool| node.is_none() || pool.node == node;
    let mut sizes: Vec<u64> = pools.iter().filter(here).map(|pool| pool.page_bytes >> 20).collect();
    sizes.dedup();
    sizes
}

/// Bytes of the pages that `vm.nr_hugepages` counts.
fn default_page_bytes(root: &Root) -> Option<u64> {
    let meminfo = root.text("proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::PAGE_BYTES_1G;
    use crate::testing::{FakeKernel, FakeMachine};

    /// Where the made-up machine counts its pages.
    const FILE: &str = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

    /// A machine with 10 pages, of which the kernel can have `most` at once.
    fn machine(name: &str, most: u64) -> (FakeMachine, FakeKernel) {
        let machine = FakeMachine::new(name);
        let meminfo = "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nHugepagesize:    2048 kB\n";
        machine.file("proc/meminfo", meminfo);
        machine.file("proc/sys/vm/compact_memory", "");
        machine.file(FILE, "10\n");
        machine.file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10\n");
        let mut kernel = FakeKernel::new(&machine.root());
        kernel.pages_max = most;
        (machine, kernel)
    }

    /// Reserves, and returns what was told or what went wrong.
    fn outcome(machine: &FakeMachine, kernel: &mut FakeKernel, wanted: Reservation, dry_run: bool) -> String {
        let mut session = Session::new(machine.root(), kernel, dry_run);
        let outcome = reserve(&mut session, &wanted);
        let lines = session.into_lines().join("\n");
        outcome.map_or_else(|error| format!("{lines}\n{error}"), |()| lines.clone())
    }

    #[test]
    fn pages_are_reserved_and_given_back() {
        let (machine, mut kernel) = machine("reserve", 1000);
        let wanted = Reservation { mib: 512, persist: true, ..Reservation::default() };
        let said = outcome(&machine, &mut kernel, wanted, false);
        assert!(said.contains("echo 256 > /sys/kernel/mm"), "{said}");
        assert_eq!(machine.root().number(FILE), Some(256));
        assert_eq!(machine.root().text(SYSCTL_FILE).as_deref(), Some("vm.nr_hugepages = 256"));
        assert!(outcome(&machine, &mut kernel, wanted, false).contains("already"));
        outcome(&machine, &mut kernel, Reservation { persist: true, ..Reservation::default() }, false);
        assert_eq!(machine.root().number(FILE), Some(0));
        assert!(!machine.root().exists(SYSCTL_FILE));
    }

    #[test]
    fn too_few_pages_are_an_error_after_compaction_and_leave_what_was_there() {
        let (machine, mut kernel) = machine("few", 100);
        let said = outcome(&machine, &mut kernel, Reservation { mib: 512, ..Reservation::default() }, false);
        assert!(said.contains("/proc/sys/vm/compact_memory"), "{said}");
        assert!(said.contains("200 of 512 MiB"), "{said}");
        assert_eq!(machine.root().number(FILE), Some(10));
    }

    #[test]
    fn compaction_may_be_enough() {
        let (machine, mut kernel) = machine("compact", 100);
        kernel.pages_max_compacted = Some(400);
        outcome(&machine, &mut kernel, Reservation { mib: 512, ..Reservation::default() }, false);
        assert_eq!(machine.root().number(FILE), Some(256));
    }

    #[test]
    fn a_dry_run_writes_nothing() {
        let (machine, mut kernel) = machine("dry", 1000);
        let wanted = Reservation { mib: 512, persist: true, ..Reservation::default() };
        let said = outcome(&machine, &mut kernel, wanted, true);
        assert!(said.contains("echo 256") && said.contains("60-ringdns.conf"), "{said}");
        assert_eq!(machine.root().number(FILE), Some(10));
        assert!(!machine.root().exists(SYSCTL_FILE));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (machine, mut kernel) = machine("refused", 1000);
        for (wanted, words) in [
            (Reservation { mib: 3, ..Reservation::default() }, "multiple of 2"),
            (Reservation { mib: 4096, ..Reservation::default() }, "4096 MiB are available"),
            (Reservation { mib: 1024, page_bytes: PAGE_BYTES_1G, ..Reservation::default() }, "2 MiB"),
            (Reservation { mib: 512, node: Some(7), ..Reservation::default() }, "NUMA node 7"),
            (
                Reservation { mib: 1024, page_bytes: PAGE_BYTES_1G, persist: true, ..Reservation::default() },
                "--persist",
            ),
        ] {
            let said = outcome(&machine, &mut kernel, wanted, false);
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(machine.root().number(FILE), Some(10));
    }
}
