//! What the machine has of hugepages.
//!
//! A hugepage is 2 MiB or 1 GiB of memory under one entry of the page table. Packet buffers lie in them because a device
//! needs memory that stays where it is, and because a core finds them with far fewer table walks. They must be reserved
//! before RingDNS starts.

use std::fs;
use std::io;
use std::path::Path;

/// Bytes of the usual hugepage on x86-64 and AArch64.
pub const PAGE_BYTES_2M: u64 = 2 << 20;

/// Bytes of the large hugepage.
pub const PAGE_BYTES_1G: u64 = 1 << 30;

/// The hugepages of one size on one NUMA node, or on the whole machine where the kernel knows no nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagePool {
    /// The NUMA node; none for the whole machine.
    pub node: Option<u32>,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages that are set aside.
    pub reserved_pages: u64,
    /// Those that nobody uses.
    pub free_pages: u64,
}

impl PagePool {
    /// Bytes that could be had of it.
    pub fn free_bytes(&self) -> u64 {
        self.free_pages.saturating_mul(self.page_bytes)
    }
}

/// Memory of the machine and its hugepages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// All memory that the kernel manages.
    pub memory_bytes: u64,
    /// What could be had without swapping.
    pub available_bytes: u64,
    /// One entry for every node and page size, smaller pages first.
    pub pools: Vec<PagePool>,
}

impl Machine {
    /// Bytes in hugepages that nobody uses.
    pub fn free_bytes(&self) -> u64 {
        self.pools.iter().map(PagePool::free_bytes).sum()
    }

    /// Bytes in hugepages, used or not.
    pub fn reserved_bytes(&self) -> u64 {
        self.pools.iter().map(|pool| pool.reserved_pages.saturating_mul(pool.page_bytes)).sum()
    }

    /// The command that makes so many bytes of hugepages free; none where they are. The memory must be there.
    pub fn remedy(&self, wanted_bytes: u64) -> Option<String> {
        let missing = wanted_bytes.checked_sub(self.free_bytes()).filter(|&bytes| bytes != 0)?;
        let reserved: u64 =
            self.pools.iter().filter(|pool| pool.page_bytes == PAGE_BYTES_2M).map(|pool| pool.reserved_pages).sum();
        let pages = reserved + missing.div_ceil(PAGE_BYTES_2M);
        Some(format!("ringdns setup hugepages --mib {}", pages * (PAGE_BYTES_2M >> 20)))
    }
}

/// Reads what this machine has.
///
/// # Errors
/// Where /proc/meminfo cannot be read or is not what it should be. A kernel without hugepages is no error: there are none.
pub fn probe() -> io::Result<Machine> {
    probe_at(Path::new("/"))
}

/// Reads what the machine has whose /proc and /sys lie under `root`.
///
/// # Errors
/// See [`probe`].
pub fn probe_at(root: &Path) -> io::Result<Machine> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo"))?;
    let mut pools = Vec::new();
    for (node, folder) in nodes(&root.join("sys/devices/system/node")) {
        pools.extend(page_pools(Some(node), &folder.join("hugepages")));
    }
    if pools.is_empty() {
        pools = page_pools(None, &root.join("sys/kernel/mm/hugepages"));
    }
    pools.sort_by_key(|pool| (pool.page_bytes, pool.node));
    Ok(Machine {
        memory_bytes: meminfo_bytes(&meminfo, "MemTotal:")?,
        available_bytes: meminfo_bytes(&meminfo, "MemAvailable:")?,
        pools,
    })
}

/// The NUMA nodes and their folders.
fn nodes(folder: &Path) -> Vec<(u32, std::path::PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let node = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        Some((number, entry.path()))
    };
    entries.flatten().filter_map(node).collect()
}

/// The page sizes in one folder, each a folder `hugepages-2048kB`.
fn page_pools(node: Option<u32>, folder: &Path) -> Vec<PagePool> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let pool = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let size_kib: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        Some(PagePool {
            node,
            page_bytes: size_kib.checked_mul(1024)?,
            reserved_pages: number(&entry.path().join("nr_hugepages"))?,
            free_pages: number(&entry.path().join("free_hugepages"))?,
        })
    };
    entries.flatten().filter_map(pool).collect()
}

/// The number that a file of one line holds.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line of /proc/meminfo, in bytes.
fn meminfo_bytes(meminfo: &str, label: &str) -> io::Result<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/meminfo has no line {label} N kB")))
}

#[cfg(test)]
mod tests;
